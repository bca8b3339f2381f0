/** What masters say to each other and to everybody about leadership. */
import { Id, Natural, Text, Type, type Static } from './schema.js';

export const masterCalls = {
  /** The leader to itself: its age in a probe's answer shows that the control connection lives. Rule: LNK-4. */
  LOOPBACK: Type.Object({}),
  /** A standby that reaches the registry asks the leader of that epoch, which has not renewed its lease, to make way. Rule: TKO-4. */
  ABDICATE: Type.Object({ epoch: Natural }),
} as const;

export const leaderBroadcasts = {
  ELECTED: Type.Object({ masterId: Id, name: Text(255), epoch: Natural }),
} as const;

/** The question on the probe subject, and its answer. */
export const probeMessages = {
  PROBE: Type.Object({}),
  LEADING: Type.Object({
    masterId: Id,
    name: Text(255),
    epoch: Natural,
    /** Age of the last loop-back heard on the control connection. */
    loopbackAgeMs: Natural,
    /** Age of the last renewal of the lease that was confirmed. */
    renewedAgeMs: Natural,
  }),
} as const;

export type LeadingBody = Static<(typeof probeMessages)['LEADING']>;

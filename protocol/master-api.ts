/** What masters say to each other and to everybody about leadership. */
import { Id, Natural, Text, Type, type Static } from './schema.js';

export const masterCalls = {
  /** The leader to itself: its age in a probe's answer shows that the control connection lives. Rule: LNK-4. */
  LOOPBACK: Type.Object({}),
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
  }),
} as const;

export type LeadingBody = Static<(typeof probeMessages)['LEADING']>;

/** How an agent comes to a leader and stays: knocking, invitation, session, silence. Rules: LNK-1, LNK-6, AGT-1, AGT-2. */
import { backoffMs } from '../backoff.js';
import { log, NOTHING, publish, type Effect, type Effects } from '../effect.js';
import type { LeaderMessage, MasterToAgentMessage, MessageOf, Stamp } from '../events.js';
import { beginSession, endSession, instanceOf, lastQuestion, nextQuestion } from '../member.js';
import type { AgentTask } from '../../protocol/agent-api.js';
import {
  bucketDigests,
  bucketOf,
  byCodeUnits,
  DIGEST_BYTES,
  differingBuckets,
  digestOf,
  stateByte,
  valueDigest,
} from '../../protocol/digest.js';
import type { MessageBody, MessageType } from '../../protocol/messages.js';
import type { AgentState, LaunchRow } from './agent-state.js';
import { wakeToForget } from './ended.js';
import { watchDisk } from './sandboxes.js';
import { answerLaunches, sendOutstanding } from './updates.js';

export function toMaster<T extends MessageType<'masterAgent'>>(
  state: AgentState,
  message: T,
  body: MessageBody<'masterAgent', T>,
  head: { id?: string; cause?: string | undefined } = {},
): Effect {
  const { link, epoch } = state.member;
  const to = { row: 'masterAgent' as const, parameters: { principal: state.config.name } };
  return publish(to, message, body, { session: link.session, epoch, ...head });
}

export function onStart(state: AgentState, { random, now }: Stamp): Effects {
  state.member.instance = instanceOf(random);
  state.member.heardAtMs = now;
  state.uuidSeed = random;
  wakeToForget(state, now);
  return watchDisk(state, now);
}

/** Asks to be registered, and again with backoff until it is answered. */
export function register(state: AgentState, { now, random }: Stamp): Effects {
  const { member, config, agentId } = state;
  state.need = 'nothing';
  endSession(member);
  state.deadlines.clear('invitation');
  member.attempt += 1;
  awaitAnswer(state, now, random);
  const { info: agentInfo, version } = config;
  if (agentId === undefined) return [toMaster(state, 'REGISTER', { agentInfo, version }, { id: nextQuestion(member) })];
  return [reregister(state, agentId)];
}

function awaitAnswer({ deadlines, member, config: { timings } }: AgentState, now: number, random: number): void {
  const { registrationBackoffMs, registrationBackoffMaxMs } = timings;
  const waitMs = backoffMs(member.attempt, registrationBackoffMs, registrationBackoffMaxMs, random);
  deadlines.set('register', now + waitMs);
}

type Reregister = MessageBody<'masterAgent', 'REREGISTER'>;

/** A digest of what runs, and what the master lacks of it, if that is known. Rule: LNK-6. */
function reregister(state: AgentState, agentId: string, differing?: Reregister['differing']): Effect {
  const { config, launches, executors, member } = state;
  const sorted = [...launches.keys()].sort(byCodeUnits);
  const states = sorted.map((launchId) => {
    const row = launches.get(launchId) as LaunchRow;
    return stateByte(row.storedState, row.updates.length > 0);
  });
  const body = {
    agentId,
    version: config.version,
    digest: { launches: digestOf(sorted), info: valueDigest(config.info) },
    states: Uint8Array.from(states),
    executors: [...executors.values()].map(({ frameworkId, executorId, containerId }) => ({
      ...{ frameworkId, executorId, containerId },
    })),
    ...(differing && { differing }),
  };
  return toMaster(state, 'REREGISTER', body, { id: nextQuestion(member) });
}

/** The master has another digest: what differs goes to it. Rules: LNK-6, AGT-8. */
export function onDiffers(state: AgentState, event: MessageOf<MasterToAgentMessage, 'master.DIFFERS'>): Effects {
  const { meta, body, now, random } = event;
  const { member, agentId, config } = state;
  // Of an earlier question the answer is out of date.
  if (agentId === undefined || meta.cause !== lastQuestion(member)) return NOTHING;
  const of = body.buckets.length / DIGEST_BYTES;
  if (!Number.isInteger(of) || of === 0) return NOTHING;
  const buckets = differingBuckets(bucketDigests(state.launches.keys(), of), body.buckets);
  const isAsked = new Set(buckets);
  const rows = [...state.launches.values()].filter(({ launchId }) => isAsked.has(bucketOf(launchId, of)));
  awaitAnswer(state, now, random);
  const executors = [...state.executors.values()].map(({ containerId, frameworkId, info }) => ({
    ...{ containerId, frameworkId, info },
  }));
  const differing = {
    ...(body.wantsInfo && { agentInfo: config.info }),
    ...(body.wantsExecutors && { executors }),
    ...{ of, buckets, launches: rows.map(agentTask) },
  };
  return [reregister(state, agentId, differing)];
}

function agentTask({ frameworkId, taskId, launchId, task, containerId }: LaunchRow): AgentTask {
  const { name, resources, labels, killPolicy, executor } = task ?? {};
  return {
    frameworkId,
    taskId,
    launchId,
    ...(name !== undefined && { name }),
    ...(resources && { resources }),
    ...(labels && { labels }),
    ...(killPolicy && { killPolicy }),
    ...(executor && { executorId: executor.executorId }),
    ...(containerId !== undefined && { containerId }),
  };
}

/** A new leader is known: it will invite us; if it does not, we knock. */
export function awaitInvitation(state: AgentState, { now, random }: Stamp): Effects {
  state.need = 'nothing';
  endSession(state.member);
  state.member.attempt = 0;
  state.deadlines.clear('register');
  state.deadlines.set('invitation', now + state.config.timings.invitationWaitMs * (1 + random / 4));
  return NOTHING;
}

export function onElected(state: AgentState, { meta }: MessageOf<LeaderMessage, 'leader.ELECTED'>): Effects {
  if (meta.epoch <= state.leaderEpoch || state.need === 'end') return NOTHING;
  state.leaderEpoch = meta.epoch;
  // Nobody invites an agent that nobody knows.
  state.need = state.agentId === undefined ? 'registration' : 'invitation';
  return NOTHING;
}

export function onInvite(state: AgentState, { meta }: MessageOf<MasterToAgentMessage, 'master.INVITE'>): Effects {
  // An id that this principal had once is invited too, and would make it come again for ever.
  const { agentId: named } = meta.parameters;
  if (state.agentId !== undefined && named !== undefined && named !== state.agentId) return NOTHING;
  state.leaderEpoch = meta.epoch;
  state.need = 'registration';
  state.member.attempt = 0;
  return NOTHING;
}

type Registered = MessageOf<MasterToAgentMessage, 'master.REGISTERED' | 'master.REREGISTERED'>;

/** The session begins: what is outstanding goes at once. Rules: LNK-1, UPD-6. */
export function onRegistered(state: AgentState, event: Registered): Effects {
  const { meta, body, now } = event;
  beginSession(state.member, meta);
  state.member.heardAtMs = now;
  state.leaderEpoch = meta.epoch;
  state.need = 'nothing';
  state.heartbeatIntervalMs = body.heartbeatIntervalMs;
  state.deadlines.clear('register');
  state.deadlines.clear('invitation');
  state.deadlines.set('silence', now + silenceMs(state));
  const launches = event.type === 'master.REREGISTERED' ? event.body.launches : [];
  return [
    log('info', 'registered', { agentId: body.agentId, session: meta.session }),
    ...sendOutstanding(state, now),
    ...answerLaunches(state, launches, now),
  ];
}

const silenceMs = (state: AgentState): number =>
  state.heartbeatIntervalMs * (state.config.timings.missedHeartbeats + 1);

/** A master that pings nobody has lost us, or is gone: register anew. */
export function onSilenceDue(state: AgentState, now: number): Effects {
  const quietMs = now - state.member.heardAtMs;
  state.deadlines.set('silence', now + Math.max(1, silenceMs(state) - quietMs));
  if (quietMs < silenceMs(state)) return NOTHING;
  state.deadlines.set('silence', now + silenceMs(state));
  state.need = 'registration';
  return [log('warn', 'the master is silent', { quietMs })];
}

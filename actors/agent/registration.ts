/** How an agent comes to a leader and stays: knocking, invitation, session, silence. Rules: LNK-1, AGT-1, AGT-2. */
import { backoffMs } from '../backoff.js';
import { log, NOTHING, publish, type Effect, type Effects } from '../effect.js';
import type { LeaderMessage, MasterToAgentMessage, MessageOf, Stamp } from '../events.js';
import { beginSession, endSession, instanceOf, nextQuestion } from '../member.js';
import type { MessageBody, MessageType } from '../../protocol/messages.js';
import type { AgentState } from './agent-state.js';
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
  const { registrationBackoffMs, registrationBackoffMaxMs } = config.timings;
  state.need = 'nothing';
  endSession(member);
  state.deadlines.clear('invitation');
  state.deadlines.set(
    'register',
    now + backoffMs(++member.attempt, registrationBackoffMs, registrationBackoffMaxMs, random),
  );
  const { info: agentInfo, version } = config;
  const head = { id: nextQuestion(member) };
  if (agentId === undefined) return [toMaster(state, 'REGISTER', { agentInfo, version }, head)];
  const tasks = [...state.launches.values()].map(({ frameworkId, taskId, launchId, storedState }) => ({
    frameworkId,
    taskId,
    launchId,
    state: storedState,
  }));
  return [toMaster(state, 'REREGISTER', { agentId, agentInfo, version, tasks }, head)];
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

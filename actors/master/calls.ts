/** Which function answers which message, and which deadline calls what: one screen. */
import { errorBody } from '../../protocol/errors.js';
import { log, NOTHING, reply, type Effect, type Effects } from '../effect.js';
import type { AgentMessage, InvalidMessage, MessageOf, SchedulerMessage, Stamp } from '../events.js';
import { onAccept } from './accept.js';
import { admitFramework, refuse } from './admission.js';
import { onPong, onRegister, onReregister, onUnregister } from './agents.js';
import { onRaiseDue, onStaleEpoch } from './doubt.js';
import { onExecutorMessage, onExitedExecutor, onSchedulerMessage, onShutdown } from './executors.js';
import { heartbeatFrameworks, onFailoverDue, onSubscribe, teardown } from './frameworks.js';
import { sendInvitations } from './invitations.js';
import { onKill } from './kills.js';
import { probe, renewLease, retryClaim, sendLoopback } from './leadership.js';
import type { FrameworkRow, MasterState } from './master-state.js';
import { allocate, onDecline, onOfferDue, onRevive, onSuppress } from './offers.js';
import { toScheduler } from './send.js';
import { heartbeatAgents, markSilent } from './silence.js';
import { WITNESS } from './stored.js';
import { onAcknowledge, onReconcile, onStatusUpdate } from './tasks.js';
import { unreachable } from '../invariant.js';

/** A call of a framework with a session. */
type Handler<T extends SchedulerMessage['type']> = (
  state: MasterState,
  framework: FrameworkRow,
  event: MessageOf<SchedulerMessage, T>,
) => Effects;

/** Answers a call that is understood and not served yet; the framework lives on. */
const unsupported = (state: MasterState, framework: FrameworkRow, { type, meta }: SchedulerMessage): Effects => {
  const error = errorBody('UNSUPPORTED', `${type.slice('scheduler.'.length)}.`);
  return [toScheduler(state, framework, 'ERROR', error, meta.id)];
};

const onHeartbeat: Handler<'scheduler.HEARTBEAT'> = (_state, framework) => {
  framework.missedHeartbeats = 0;
  return NOTHING;
};

const onTeardown: Handler<'scheduler.TEARDOWN'> = (state, framework, { now }) => teardown(state, framework, now);

const onRequest: Handler<'scheduler.REQUEST'> = (state, framework, { body }) => {
  state.allocator.requestResources(framework.frameworkId, body.request.requests ?? []);
  return NOTHING;
};

const HANDLERS: { readonly [T in Exclude<SchedulerMessage['type'], 'scheduler.SUBSCRIBE'>]: Handler<T> } = {
  'scheduler.ACCEPT': onAccept,
  'scheduler.DECLINE': onDecline,
  'scheduler.REVIVE': onRevive,
  'scheduler.SUPPRESS': onSuppress,
  'scheduler.ACKNOWLEDGE': onAcknowledge,
  'scheduler.KILL': onKill,
  'scheduler.RECONCILE': onReconcile,
  'scheduler.TEARDOWN': onTeardown,
  'scheduler.HEARTBEAT': onHeartbeat,
  'scheduler.REQUEST': onRequest,
  'scheduler.SHUTDOWN': onShutdown,
  'scheduler.MESSAGE': onSchedulerMessage,
  'scheduler.UPDATE_FRAMEWORK': unsupported,
  'scheduler.ACCEPT_INVERSE_OFFERS': unsupported,
  'scheduler.DECLINE_INVERSE_OFFERS': unsupported,
  'scheduler.ACKNOWLEDGE_OPERATION_STATUS': unsupported,
  'scheduler.RECONCILE_OPERATIONS': unsupported,
};

export function onSchedulerCall(state: MasterState, event: SchedulerMessage): Effects {
  if (event.type === 'scheduler.SUBSCRIBE') return onSubscribe(state, event);
  const admitted = admitFramework(state, event.meta, event.body.frameworkId, event.now);
  if ('refused' in admitted) return admitted.refused;
  // Anything that a scheduler says shows that it is there.
  admitted.framework.missedHeartbeats = 0;
  const handler = HANDLERS[event.type] as Handler<SchedulerMessage['type']>;
  return handler(state, admitted.framework, event);
}

/** Tells the caller what is wrong. The call takes its place in the session, so that no gap is seen behind it. Rule: PRO-1. */
export function onInvalidCall(state: MasterState, { type, meta, body, now }: InvalidMessage): Effects {
  const error = errorBody('INVALID_MESSAGE', `${body.call}: ${body.wrong}.`);
  if (type === 'operator.INVALID') return reply('masterOperator', meta, 'ERROR', error, state.epoch);
  const { frameworkId } = body;
  if (frameworkId === undefined || body.call === 'SUBSCRIBE')
    return refuse(state, meta, frameworkId ?? 'new', 'INVALID_MESSAGE', `${body.call}: ${body.wrong}.`);
  const admitted = admitFramework(state, meta, frameworkId, now);
  if ('refused' in admitted) return admitted.refused;
  return [toScheduler(state, admitted.framework, 'ERROR', error, meta.id)];
}

export function onAgentMessage(state: MasterState, event: AgentMessage): Effects {
  switch (event.type) {
    case 'agent.REGISTER':
      return onRegister(state, event);
    case 'agent.REREGISTER':
      return onReregister(state, event);
    case 'agent.STATUS_UPDATE':
      return onStatusUpdate(state, event);
    case 'agent.PONG':
      return onPong(state, event);
    case 'agent.EXITED_EXECUTOR':
      return onExitedExecutor(state, event);
    case 'agent.EXECUTOR_MESSAGE':
      return onExecutorMessage(state, event);
    case 'agent.UNREGISTER':
      return onUnregister(state, event);
    case 'agent.STALE_EPOCH':
      return onStaleEpoch(state, event);
    default:
      return unreachable(event);
  }
}

/** Runs what waited for a write, against the state as it is now. Rule: REG-3. */
export function onStored(state: MasterState, event: Stamp & { readonly requestId: number }): Effects {
  const then = state.writes.get(event.requestId);
  state.writes.delete(event.requestId);
  return then === undefined ? NOTHING : then(state, event.now, WITNESS);
}

/** Runs every deadline that is due. */
export function onTick(state: MasterState, { now }: Stamp): Effects {
  const effects: Effect[] = [];
  for (let key = state.deadlines.take(now); key !== undefined; key = state.deadlines.take(now))
    for (const effect of onDue(state, key, now)) effects.push(effect);
  return effects;
}

function onDue(state: MasterState, key: string, now: number): Effects {
  const at = key.indexOf(':');
  const id = key.slice(at + 1);
  switch (at < 0 ? key : key.slice(0, at)) {
    case 'probe':
      return probe(state, now);
    case 'claim':
      return retryClaim(state, now);
    case 'renew':
      return renewLease(state, now);
    case 'raise':
      return onRaiseDue(state);
    case 'loopback':
      return sendLoopback(state, now);
    case 'heartbeat':
      state.deadlines.set('heartbeat', now + state.config.timings.heartbeatIntervalMs);
      return [...heartbeatAgents(state, now), ...heartbeatFrameworks(state, now)];
    case 'invitations':
      return sendInvitations(state, now);
    case 'silent':
      return markSilent(state, now);
    case 'allocate':
      return allocate(state, now);
    case 'offer':
      return onOfferDue(state, id, now);
    case 'failover':
      return onFailoverDue(state, id, now);
    default:
      return [log('error', 'a deadline of no known kind', { key })];
  }
}

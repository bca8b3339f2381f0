/** The driver of a scheduler: subscription, session, acknowledgements, reconciliation. Rules: FRW-1, FRW-6, UPD-2, LNK-1. */
import { isTerminal } from '../../protocol/task-state.js';
import { MAX_TASKS_PER_CALL, type Timings } from '../../protocol/limits.js';
import type { MessageBody, MessageType } from '../../protocol/messages.js';
import type { FrameworkInfo } from '../../protocol/framework.js';
import { NO_SESSION } from '../../protocol/ids.js';
import { backoffMs } from '../backoff.js';
import { Deadlines } from '../deadlines.js';
import { log, NOTHING, publish, type Effect, type Effects } from '../effect.js';
import type { LeaderMessage, MasterToSchedulerMessage, MessageOf, Stamp } from '../events.js';
import { unreachable } from '../invariant.js';
import type { TaskStatus } from '../../protocol/task.js';
import * as member from '../member.js';
import type { ActorState } from '../perform.js';
import type { Call, Calls, Scheduler } from './scheduler.js';

export interface SchedulerConfig {
  readonly principal: string;
  readonly scheduler: Scheduler<unknown, unknown>;
  /** The scheduler's own state. */
  readonly own: unknown;
  readonly timings: Timings;
  /** The id of a framework that comes back. */
  readonly frameworkId: string | undefined;
}

export interface SchedulerState extends ActorState {
  readonly config: SchedulerConfig;
  readonly member: member.Member;
  frameworkId: string | undefined;
  /** Tasks that were launched and have not ended, with their agents. */
  readonly live: Map<string, string>;
  /** Of these it must be asked what became of them. */
  readonly unsure: Set<string>;
  reconciles: number;
  suppressed: boolean;
  /** It was suppressed or revived while there was no session, perhaps after the question that the next one begins with. */
  suppressionUnsaid: boolean;
  teardownSent: boolean;
  /** Set by a decision, read by the chart. */
  need: 'nothing' | 'subscription' | 'teardown' | 'end';
  /** Why it ended, when it did not mean to. */
  error: MessageBody<'scheduler', 'ERROR'>['error'] | undefined;
}

export function newSchedulerState(config: SchedulerConfig): SchedulerState {
  return {
    config,
    deadlines: new Deadlines(),
    announcedMs: undefined,
    member: member.newMember(),
    frameworkId: config.frameworkId,
    live: new Map(),
    unsure: new Set(),
    reconciles: 0,
    suppressed: (config.scheduler.suppressedRoles ?? []).length > 0,
    suppressionUnsaid: false,
    teardownSent: false,
    need: 'nothing',
    error: undefined,
  };
}

function toMaster<T extends MessageType<'masterScheduler'>>(
  state: SchedulerState,
  message: T,
  body: MessageBody<'masterScheduler', T>,
  head: { id?: string; cause?: string | undefined } = {},
): Effect {
  const { link, epoch } = state.member;
  const to = { row: 'masterScheduler' as const, parameters: { principal: state.config.principal } };
  return publish(to, message, body, { session: link.session, epoch, ...head });
}

export function onStart(state: SchedulerState, { random, now }: Stamp): Effects {
  state.member.instance = member.instanceOf(random);
  state.member.heardAtMs = now;
  return NOTHING;
}

/** Subscribes, and again with backoff until it is answered. Rule: FRW-1. */
export function subscribe(state: SchedulerState, { now, random }: Stamp): Effects {
  const { config, frameworkId } = state;
  const { registrationBackoffMs, registrationBackoffMaxMs } = config.timings;
  if (state.need === 'subscription') state.need = 'nothing';
  member.endSession(state.member);
  const waitMs = backoffMs(++state.member.attempt, registrationBackoffMs, registrationBackoffMaxMs, random);
  state.deadlines.set('subscribe', now + waitMs);
  const { info } = config.scheduler;
  const roles = info.roles ?? [info.role ?? '*'];
  const frameworkInfo = { ...partitionAware(info), ...(frameworkId !== undefined && { id: frameworkId }) };
  const body = { subscribe: { frameworkInfo, ...(state.suppressed && { suppressedRoles: roles }) } };
  const named = frameworkId === undefined ? body : { ...body, frameworkId };
  return [toMaster(state, 'SUBSCRIBE', named, { id: member.nextQuestion(state.member) })];
}

/** The driver itself is: it asks again where the word is UNREACHABLE, and would forget a task that is told as LOST. Rule: REC-2. */
function partitionAware(info: FrameworkInfo): FrameworkInfo {
  const others = (info.capabilities ?? []).filter(({ type }) => type !== 'PARTITION_AWARE');
  return { ...info, capabilities: [...others, { type: 'PARTITION_AWARE' }] };
}

/** The one gate for staleness; then the session. Rules: EPO-2, LNK-1. */
export function onMasterMessage(state: SchedulerState, event: MasterToSchedulerMessage): Effects {
  const { meta, now } = event;
  const verdict = member.passEpoch(state.member, meta.epoch);
  if (verdict === 'stale') return [{ type: 'count', metric: 'stale_epoch' }];
  if (event.type === 'master.SUBSCRIBED') return onSubscribed(state, event);
  if (event.type === 'master.INVITE') return onInvite(state, event);
  if (event.type === 'master.ERROR') return onError(state, event);
  const admission = member.admitMessage(state.member, meta, now);
  if (admission === 'gap') {
    wantSubscription(state);
    return [log('info', 'a message of the master is lost'), { type: 'count', metric: 'session_gap' }];
  }
  return admission === 'ok' ? onAdmitted(state, event) : NOTHING;
}

function wantSubscription(state: SchedulerState): void {
  if (state.need === 'nothing') state.need = 'subscription';
}

export const isSubscribed = (state: SchedulerState): boolean => state.member.link.session !== NO_SESSION;

function onSubscribed(state: SchedulerState, event: MessageOf<MasterToSchedulerMessage, 'master.SUBSCRIBED'>): Effects {
  const { meta, body, now } = event;
  if (!member.beginsSession(state.member, meta)) return NOTHING;
  member.beginSession(state.member, meta);
  state.member.heardAtMs = now;
  if (state.need === 'subscription') state.need = 'nothing';
  const { frameworkId, heartbeatIntervalSeconds } = body.subscribed;
  const again = state.frameworkId !== undefined;
  state.frameworkId = frameworkId;
  state.deadlines.clear('subscribe');
  const silenceMs = (heartbeatIntervalSeconds ?? 2) * 1000 * (state.config.timings.missedHeartbeats + 1);
  state.deadlines.set(`silence:${silenceMs}`, now + silenceMs);
  // What was sent under the old session may be lost, launches too: ask what became of each.
  for (const taskId of state.live.keys()) state.unsure.add(taskId);
  state.reconciles = 0;
  const asks = [...saySuppression(state), ...reconcile(state, event)];
  const calls = state.config.scheduler.onSubscribed?.(state.config.own, { frameworkId, again }, event) ?? [];
  return [...asks, ...perform(state, calls, event, meta.id)];
}

/**
 * 1. It asks to be subscribed, suppressed. 2. It revives; there is no session to say so in. 3. It is subscribed, suppressed, as it
 * had asked: without a word it would never get an offer again. Rule: OFR-5.
 */
function saySuppression(state: SchedulerState): Effects {
  const { frameworkId, suppressionUnsaid, suppressed } = state;
  state.suppressionUnsaid = false;
  if (!suppressionUnsaid || frameworkId === undefined) return NOTHING;
  return [toMaster(state, suppressed ? 'SUPPRESS' : 'REVIVE', { frameworkId })];
}

/** Asks for each task whose fate is unknown; silence means "ask again". Rule: REC-1. */
export function reconcile(state: SchedulerState, { now, random }: Stamp): Effects {
  if (state.unsure.size === 0 || state.frameworkId === undefined || !isSubscribed(state)) return NOTHING;
  state.deadlines.set('reconcile', now + backoffMs(state.reconciles++, 500, 30_000, random));
  const tasks = [...state.unsure].map((taskId) => ({ taskId, agentId: state.live.get(taskId) ?? '' }));
  const { frameworkId } = state;
  const effects: Effect[] = [];
  for (let at = 0; at < tasks.length; at += MAX_TASKS_PER_CALL) {
    const part = tasks.slice(at, at + MAX_TASKS_PER_CALL);
    effects.push(toMaster(state, 'RECONCILE', { frameworkId, reconcile: { tasks: part } }));
  }
  return effects;
}

function onInvite(state: SchedulerState, { meta }: MessageOf<MasterToSchedulerMessage, 'master.INVITE'>): Effects {
  if (meta.parameters['frameworkId'] === state.frameworkId) wantSubscription(state);
  return NOTHING;
}

/** An error of our session or in answer to our question. All but those of a single call are fatal. */
function onError(state: SchedulerState, { meta, body }: MessageOf<MasterToSchedulerMessage, 'master.ERROR'>): Effects {
  const isOurs =
    (meta.session !== NO_SESSION && meta.session === state.member.link.session) ||
    meta.cause?.startsWith(`${state.member.instance}-q`) === true;
  if (!isOurs) return NOTHING;
  const { code, message } = body.error;
  if (code === 'UNSUPPORTED' || code === 'INVALID_MESSAGE') {
    // Of that one call. What it would have launched is asked for anew after subscribing again.
    wantSubscription(state);
    return [log('error', message, { code })];
  }
  // A new leader does not know a framework that was removed under the one before.
  const isGone = code === 'FRAMEWORK_REMOVED' || code === 'UNKNOWN_FRAMEWORK';
  if (state.need !== 'teardown' || !isGone) {
    state.error = body.error;
    state.config.scheduler.onError?.(state.config.own, body.error);
  }
  state.need = 'end';
  return [log(state.error === undefined ? 'info' : 'error', message, { code })];
}

function onAdmitted(
  state: SchedulerState,
  event: Exclude<MasterToSchedulerMessage, { type: 'master.SUBSCRIBED' | 'master.INVITE' | 'master.ERROR' }>,
): Effects {
  const { scheduler, own } = state.config;
  const { meta } = event;
  switch (event.type) {
    case 'master.OFFERS':
      return perform(state, scheduler.onOffers(own, event.body.offers.offers, event), event, meta.id);
    case 'master.UPDATE':
      return onUpdate(state, event);
    case 'master.RESCIND':
      return perform(state, scheduler.onRescind?.(own, event.body.rescind.offerId, event) ?? [], event, meta.id);
    case 'master.MESSAGE':
      return perform(state, scheduler.onMessage?.(own, event.body.message, event) ?? [], event, meta.id);
    case 'master.FAILURE':
      return perform(state, scheduler.onFailure?.(own, event.body.failure, event) ?? [], event, meta.id);
    case 'master.HEARTBEAT':
      return [toMaster(state, 'HEARTBEAT', { frameworkId: state.frameworkId ?? '' }, { cause: meta.id })];
    case 'master.INVERSE_OFFERS':
    case 'master.RESCIND_INVERSE_OFFER':
    case 'master.UPDATE_OPERATION_STATUS':
      return NOTHING; // of calls that this driver does not make
    default:
      return unreachable(event);
  }
}

/**
 * UNREACHABLE is a guess, and it must be asked for something better: 1. a launch is lost on its way to the master; 2. asked
 * for it, the master, which cannot know that the absent agent has it not, says UNREACHABLE; 3. the agent comes back and has
 * nothing to say of a launch that neither it nor the master has heard of. Rule: REC-1.
 */
function noteFate(state: SchedulerState, { taskId, agentId, state: fate }: TaskStatus, { now, random }: Stamp): void {
  state.unsure.delete(taskId);
  if (fate === 'TASK_UNREACHABLE' && agentId !== undefined) {
    state.live.set(taskId, agentId);
    state.unsure.add(taskId);
    state.deadlines.setEarliest('reconcile', now + backoffMs(++state.reconciles, 500, 30_000, random));
  }
  if (state.unsure.size === 0) state.deadlines.clear('reconcile');
  if (isTerminal(fate)) state.live.delete(taskId);
}

/** First the scheduler's own decision, then the acknowledgement. Rule: UPD-2. */
function onUpdate(state: SchedulerState, event: MessageOf<MasterToSchedulerMessage, 'master.UPDATE'>): Effects {
  const { status } = event.body.update;
  const { taskId, agentId, uuid, launchId } = status;
  noteFate(state, status, event);
  const calls = state.config.scheduler.onUpdate(state.config.own, status, event);
  const effects = perform(state, calls, event, event.meta.id);
  if (uuid === undefined || agentId === undefined || state.frameworkId === undefined) return effects;
  const acknowledge = { agentId, taskId, uuid, ...(launchId !== undefined && { launchId }) };
  const body = { frameworkId: state.frameworkId, acknowledge };
  return [...effects, toMaster(state, 'ACKNOWLEDGE', body, { cause: event.meta.id })];
}

/** Turns a scheduler's calls into messages. */
export function perform(state: SchedulerState, calls: Calls, { now }: Stamp, cause?: string): Effects {
  return calls.flatMap((call) => performOne(state, call, now, cause));
}

function performOne(state: SchedulerState, call: Call, now: number, cause: string | undefined): Effects {
  switch (call.type) {
    case 'WAKE':
      state.deadlines.set('wake', Math.max(now, call.atMs));
      return NOTHING;
    case 'LEAVE':
      state.need = 'end';
      return NOTHING;
    case 'TEARDOWN':
      state.need = 'teardown';
      return NOTHING;
    case 'SUPPRESS':
    case 'REVIVE':
      state.suppressed = call.type === 'SUPPRESS';
      state.suppressionUnsaid = !isSubscribed(state);
      break;
    case 'ACCEPT':
      noteLaunches(state, call);
      break;
    default:
  }
  const { frameworkId } = state;
  // Without a session nothing would arrive: offers are void then, and the rest is asked for anew after subscribing.
  if (frameworkId === undefined || !isSubscribed(state)) return NOTHING;
  const { type, ...body } = call;
  return [toMaster(state, type, { frameworkId, ...body } as never, { cause })];
}

function noteLaunches(state: SchedulerState, { accept }: Extract<Call, { type: 'ACCEPT' }>): void {
  for (const operation of accept.operations ?? []) {
    const tasks =
      operation.type === 'LAUNCH'
        ? operation.launch.taskInfos
        : operation.type === 'LAUNCH_GROUP'
          ? operation.launchGroup.taskGroup.tasks
          : [];
    for (const task of tasks ?? []) {
      state.live.set(task.taskId, task.agentId);
      if (!isSubscribed(state)) state.unsure.add(task.taskId);
    }
  }
}

/** All schedulers hear of a new leader in the same instant. */
const ELECTED_JITTER_MS = 50;

/** A new leader: come at once, with jitter. Rule: LNK-1. */
export function onElected(state: SchedulerState, event: MessageOf<LeaderMessage, 'leader.ELECTED'>): Effects {
  if (member.passEpoch(state.member, event.meta.epoch) !== 'newer') return NOTHING;
  state.member.attempt = 0;
  member.endSession(state.member);
  state.deadlines.set('subscribe', event.now + ELECTED_JITTER_MS * event.random);
  return NOTHING;
}

const TEARDOWN_INTERVAL_MS = 500;

/** Asks for the removal of the framework until it is answered; between two tries it subscribes anew, as the session may be what is wrong. Rule: FRW-5. */
export function tearDown(state: SchedulerState, event: Stamp): Effects {
  const { frameworkId } = state;
  if (frameworkId === undefined) {
    state.need = 'end';
    return NOTHING;
  }
  state.deadlines.set('teardown', event.now + TEARDOWN_INTERVAL_MS);
  state.teardownSent = !state.teardownSent && isSubscribed(state);
  return state.teardownSent ? [toMaster(state, 'TEARDOWN', { frameworkId })] : subscribe(state, event);
}

export function onInput(state: SchedulerState, event: Stamp & { readonly input: unknown }): Effects {
  const { scheduler, own } = state.config;
  return perform(state, scheduler.onInput?.(own, event.input, event) ?? [], event);
}

export function onTick(state: SchedulerState, event: Stamp): Effects {
  const effects: Effect[] = [];
  for (let key = state.deadlines.take(event.now); key !== undefined; key = state.deadlines.take(event.now))
    effects.push(...onDue(state, key, event));
  return effects;
}

function onDue(state: SchedulerState, key: string, event: Stamp): Effects {
  const { scheduler, own } = state.config;
  if (key === 'subscribe') {
    if (isSubscribed(state)) return NOTHING;
    return subscribe(state, event);
  }
  if (key === 'reconcile') return reconcile(state, event);
  if (key === 'wake') return perform(state, scheduler.onWake?.(own, event) ?? [], event);
  if (key === 'teardown') return state.need === 'teardown' ? tearDown(state, event) : NOTHING;
  if (key.startsWith('silence:')) return onSilenceDue(state, key, event.now);
  return [log('error', 'a deadline of no known kind', { key })];
}

/** A master that sends no heartbeat has lost us, or is gone. Rule: LNK-3. */
function onSilenceDue(state: SchedulerState, key: string, now: number): Effects {
  const silenceMs = Number(key.slice('silence:'.length));
  const quietMs = now - state.member.heardAtMs;
  state.deadlines.set(key, now + Math.max(1, silenceMs - quietMs));
  if (quietMs < silenceMs) return NOTHING;
  state.deadlines.set(key, now + silenceMs);
  wantSubscription(state);
  return [log('warn', 'the master is silent', { quietMs })];
}

export const sayGoodbye = (): Effects => [{ type: 'stop', restart: false, reason: 'the scheduler has ended' }];

/** The driver of a custom executor: subscription, session, launches once, updates until acknowledged. Rules: EXC-1 to EXC-4, EXC-7. */
import type { Timings } from '../../protocol/limits.js';
import type { MessageBody, MessageType } from '../../protocol/messages.js';
import { hex, NO_SESSION, uuidOf } from '../../protocol/ids.js';
import type { TaskInfo, TaskStatus } from '../../protocol/task.js';
import { isTerminal } from '../../protocol/task-state.js';
import { backoffMs } from '../backoff.js';
import { Deadlines } from '../deadlines.js';
import { log, NOTHING, publish, type Effect, type Effects } from '../effect.js';
import type { AgentToExecutorMessage, MessageOf, Stamp } from '../events.js';
import { unreachable } from '../invariant.js';
import * as member from '../member.js';
import type { ActorState } from '../perform.js';
import type { Executor, ExecutorCalls, TaskReport } from './executor.js';

export interface ExecutorConfig {
  readonly principal: string;
  readonly agentPrincipal: string;
  readonly frameworkId: string;
  readonly executorId: string;
  /** The container that it runs in. */
  readonly containerId: string | undefined;
  readonly executor: Executor<unknown, unknown>;
  /** The executor's own state. */
  readonly own: unknown;
  readonly timings: Timings;
  /** Between SHUTDOWN and the kill. */
  readonly shutdownGraceMs: number;
}

/** An update that the agent has not acknowledged; `told` once it was sent in this session, or in the question that began it. */
interface Kept {
  readonly status: TaskStatus;
  told: boolean;
}

/** A task from its LAUNCH to the acknowledgement of its end. */
interface DriverTask {
  readonly launchId: string;
  readonly info: TaskInfo;
  /** Not yet acknowledged, in order. */
  readonly updates: Kept[];
  /** Whether the agent has acknowledged any update of it. */
  acknowledged: boolean;
  ended: boolean;
  attempt: number;
}

/** Launches that are over are remembered up to this many, the oldest forgotten first. */
const MAX_ENDED = 100_000;

export interface ExecutorState extends ActorState {
  readonly config: ExecutorConfig;
  readonly member: member.Member;
  /** By task id. */
  readonly tasks: Map<string, DriverTask>;
  /** Launches taken so far: none is taken twice. Rule: EXC-4. */
  readonly taken: Set<string>;
  uuidSeed: number;
  uuids: number;
  heartbeatIntervalMs: number;
  hasSubscribed: boolean;
  isShutDown: boolean;
  /** It ends once nothing is unacknowledged. */
  isEnding: boolean;
  /** Set by a decision, read by the chart. */
  need: 'nothing' | 'subscription' | 'end';
  error: MessageBody<'executor', 'ERROR'>['error'] | undefined;
}

export const newExecutorState = (config: ExecutorConfig): ExecutorState => ({
  config,
  deadlines: new Deadlines(),
  announcedMs: undefined,
  member: member.newMember(),
  tasks: new Map(),
  taken: new Set(),
  uuidSeed: 0,
  uuids: 0,
  heartbeatIntervalMs: config.timings.heartbeatIntervalMs,
  hasSubscribed: false,
  isShutDown: false,
  isEnding: false,
  need: 'nothing',
  error: undefined,
});

function toAgent<T extends MessageType<'agentExecutor'>>(
  { config, member: { link, epoch } }: ExecutorState,
  message: T,
  body: Omit<MessageBody<'agentExecutor', T>, 'frameworkId' | 'executorId'>,
  head: { id?: string; cause?: string | undefined } = {},
): Effect {
  const { principal, agentPrincipal, frameworkId, executorId } = config;
  const to = { row: 'agentExecutor' as const, parameters: { agentPrincipal, principal } };
  const whole = { frameworkId, executorId, ...body } as unknown as MessageBody<'agentExecutor', T>;
  return publish(to, message, whole, { session: link.session, epoch, ...head });
}

export const isSubscribed = (state: ExecutorState): boolean => state.member.link.session !== NO_SESSION;

export function onStart(state: ExecutorState, { random, now }: Stamp): Effects {
  state.member.instance = member.instanceOf(random);
  state.member.heardAtMs = now;
  state.uuidSeed = random;
  return NOTHING;
}

/** Subscribes with what is unacknowledged, and again with backoff for as long as it takes: an executor never ends because its agent is away. Rules: EXC-2, EXC-3. */
export function subscribe(state: ExecutorState, { now, random }: Stamp): Effects {
  const { registrationBackoffMs, registrationBackoffMaxMs } = state.config.timings;
  if (state.need === 'subscription') state.need = 'nothing';
  member.endSession(state.member);
  const waitMs = backoffMs(++state.member.attempt, registrationBackoffMs, registrationBackoffMaxMs / 3, random);
  state.deadlines.set('subscribe', now + waitMs);
  const { containerId } = state.config;
  const tasks = [...state.tasks.values()];
  // What is reported from here on goes when the session begins. Of several questions any may be the one that is answered.
  if (state.member.attempt === 1) for (const { updates } of tasks) for (const kept of updates) kept.told = true;
  const subscribe = {
    ...(containerId !== undefined && { containerId }),
    unacknowledgedTasks: tasks.filter(({ acknowledged }) => !acknowledged).map(({ info }) => info),
    unacknowledgedUpdates: tasks.flatMap(({ updates }) => updates.map(({ status }) => ({ status }))),
  };
  return [toAgent(state, 'SUBSCRIBE', { subscribe }, { id: member.nextQuestion(state.member) })];
}

const wantSubscription = (state: ExecutorState): void => {
  if (state.need === 'nothing') state.need = 'subscription';
};

export function onReconnected(state: ExecutorState): Effects {
  wantSubscription(state);
  return NOTHING;
}

/** Only messages of the session count; a gap means subscribing anew. Rule: EXC-3. */
export function onAgentMessage(state: ExecutorState, event: AgentToExecutorMessage): Effects {
  const { frameworkId, executorId } = state.config;
  const { parameters } = event.meta;
  // All executors of an agent may share a principal, and with it what they hear.
  if (parameters['frameworkId'] !== frameworkId || parameters['executorId'] !== executorId) return NOTHING;
  if (event.type === 'agent.SUBSCRIBED') return onSubscribed(state, event);
  if (event.type === 'agent.INVITE') {
    state.member.attempt = 0;
    wantSubscription(state);
    return NOTHING;
  }
  if (event.type === 'agent.ERROR') return onError(state, event);
  const admission = member.admitMessage(state.member, event.meta, event.now);
  if (admission === 'gap') {
    wantSubscription(state);
    return [log('info', 'a message of the agent is lost'), { type: 'count', metric: 'session_gap' }];
  }
  return admission === 'ok' ? onAdmitted(state, event) : NOTHING;
}

function onSubscribed(state: ExecutorState, event: MessageOf<AgentToExecutorMessage, 'agent.SUBSCRIBED'>): Effects {
  const { meta, body, now } = event;
  if (!member.beginsSession(state.member, meta)) return NOTHING;
  member.beginSession(state.member, meta);
  state.member.heardAtMs = now;
  if (state.need === 'subscription') state.need = 'nothing';
  const { subscribed } = body;
  state.heartbeatIntervalMs = subscribed.heartbeatIntervalMs ?? state.heartbeatIntervalMs;
  state.deadlines.clear('subscribe');
  state.deadlines.set('silence', now + silenceMs(state));
  const again = state.hasSubscribed;
  state.hasSubscribed = true;
  const untold = [...state.tasks.values()].flatMap((task) => sendUpdates(state, task, 'untold', now, meta.id));
  const calls = state.config.executor.onSubscribed?.(state.config.own, { ...subscribed, again }, event) ?? [];
  return [...untold, ...perform(state, calls, event, meta.id)];
}

/** Another instance has this executor's id now, or the agent does not want it: it ends. A word of an older session is none. */
function onError(state: ExecutorState, { meta, body }: MessageOf<AgentToExecutorMessage, 'agent.ERROR'>): Effects {
  const isOurs =
    (meta.session !== NO_SESSION && meta.session === state.member.link.session) ||
    meta.cause?.startsWith(`${state.member.instance}-q`) === true;
  if (!isOurs) return NOTHING;
  state.error = body.error;
  state.config.executor.onError?.(state.config.own, body.error);
  state.need = 'end';
  return [log('error', body.error.message, { code: body.error.code })];
}

type Admitted = Exclude<AgentToExecutorMessage, { type: 'agent.SUBSCRIBED' | 'agent.INVITE' | 'agent.ERROR' }>;

function onAdmitted(state: ExecutorState, event: Admitted): Effects {
  const { executor, own } = state.config;
  const { id } = event.meta;
  switch (event.type) {
    case 'agent.LAUNCH':
      return onLaunch(state, event);
    case 'agent.KILL': {
      const { taskId, killPolicy } = event.body.kill;
      return perform(state, executor.onKill(own, taskId, killPolicy, event), event, id);
    }
    case 'agent.MESSAGE':
      return perform(state, executor.onMessage?.(own, event.body.message.data, event) ?? [], event, id);
    case 'agent.ACKNOWLEDGED':
      return onAcknowledged(state, event);
    case 'agent.SHUTDOWN':
      return shutDown(state, event);
    case 'agent.HEARTBEAT':
      return [toAgent(state, 'HEARTBEAT', {}, { cause: id })];
    case 'agent.LAUNCH_GROUP':
      return [log('error', 'task groups are not supported yet')];
    default:
      return unreachable(event);
  }
}

/**
 * Each launch once. 1. LAUNCH arrives and the task begins. 2. Its first update is lost, and the session with it. 3. The
 * agent, which has heard nothing of the task, sends LAUNCH again. Rule: EXC-4.
 */
function onLaunch(state: ExecutorState, event: MessageOf<AgentToExecutorMessage, 'agent.LAUNCH'>): Effects {
  const { task: info } = event.body.launch;
  const launchId = event.body.launchId ?? `task ${info.taskId}`;
  if (state.taken.has(launchId)) return NOTHING;
  state.taken.add(launchId);
  const oldest = state.taken.keys().next().value;
  if (state.taken.size > MAX_ENDED && oldest !== undefined) state.taken.delete(oldest);
  const task: DriverTask = { launchId, info, updates: [], acknowledged: false, ended: false, attempt: 0 };
  state.tasks.set(info.taskId, task);
  // Nobody is to start what would be killed at once.
  if (state.isShutDown || state.isEnding)
    return report(state, { taskId: info.taskId, state: 'TASK_KILLED', message: 'The executor ends.' }, event);
  return perform(state, state.config.executor.onLaunch(state.config.own, info, event), event, event.meta.id);
}

/** The agent has stored it. Rule: EXC-2. */
function onAcknowledged(state: ExecutorState, event: MessageOf<AgentToExecutorMessage, 'agent.ACKNOWLEDGED'>): Effects {
  const { taskId, uuid } = event.body.acknowledged;
  const task = state.tasks.get(taskId);
  const at = task?.updates.findIndex(({ status }) => hex(status.uuid as Uint8Array) === hex(uuid)) ?? -1;
  if (task === undefined || at < 0) return NOTHING;
  task.acknowledged = true;
  task.attempt = 0;
  task.updates.splice(at, 1);
  if (task.updates.length > 0) return NOTHING;
  state.deadlines.clear(`update:${taskId}`);
  if (task.ended) state.tasks.delete(taskId);
  return endIfDone(state);
}

/** Everything is to end: the agent says so, or the process is asked to. Rule: EXC-6. */
export function shutDown(state: ExecutorState, event: Stamp): Effects {
  if (state.isShutDown) return NOTHING;
  state.isShutDown = true;
  const { executor, own, shutdownGraceMs } = state.config;
  if (executor.onShutdown === undefined) {
    state.need = 'end';
    return NOTHING;
  }
  // A little before the agent would: an exit of its own is the better end.
  state.deadlines.set('end', event.now + shutdownGraceMs * 0.9);
  const effects = perform(state, executor.onShutdown(own, shutdownGraceMs, event), event);
  return [...effects, ...endIfDone(state)];
}

function endIfDone(state: ExecutorState): Effects {
  const tasks = [...state.tasks.values()];
  const isTold = tasks.every(({ updates }) => updates.length === 0);
  if (state.isEnding ? isTold : state.isShutDown && tasks.length === 0) state.need = 'end';
  return NOTHING;
}

function perform(state: ExecutorState, calls: ExecutorCalls, stamp: Stamp, cause?: string): Effects {
  return calls.flatMap((call): Effects => {
    switch (call.type) {
      case 'UPDATE':
        return report(state, call.status, stamp, cause);
      case 'MESSAGE':
        return isSubscribed(state) ? [toAgent(state, 'MESSAGE', { message: { data: call.data } }, { cause })] : NOTHING;
      case 'WAKE':
        state.deadlines.set('wake', Math.max(stamp.now, call.atMs));
        return NOTHING;
      case 'END':
        state.isEnding = true;
        return endIfDone(state);
      default:
        return unreachable(call);
    }
  });
}

/** Gives a report its uuid, keeps it until the agent has it, and sends it if there is a session. Rule: EXC-2. */
function report(state: ExecutorState, status: TaskReport, { now }: Stamp, cause?: string): Effects {
  const task = state.tasks.get(status.taskId);
  if (task === undefined || task.ended)
    return [log('warn', 'a report of a task that does not run here', { taskId: status.taskId, state: status.state })];
  task.ended = isTerminal(status.state);
  const whole: TaskStatus = {
    ...status,
    launchId: task.launchId,
    executorId: state.config.executorId,
    source: 'SOURCE_EXECUTOR',
    timestamp: now / 1000,
    uuid: uuidOf(state.uuidSeed, ++state.uuids),
  };
  task.updates.push({ status: whole, told: false });
  return sendUpdates(state, task, 'untold', now, cause);
}

function sendUpdates(
  state: ExecutorState,
  task: DriverTask,
  which: 'untold' | 'all',
  now: number,
  cause?: string,
): Effects {
  const updates = which === 'all' ? task.updates : task.updates.filter(({ told }) => !told);
  if (updates.length === 0) return NOTHING;
  const { updateRetryMs, updateRetryMaxMs } = state.config.timings;
  const retryMs = Math.min(updateRetryMaxMs, updateRetryMs * 2 ** task.attempt);
  state.deadlines.set(`update:${task.info.taskId}`, now + retryMs);
  if (!isSubscribed(state)) return NOTHING;
  return updates.map((kept) => {
    kept.told = true;
    return toAgent(state, 'UPDATE', { update: { status: kept.status } }, { cause });
  });
}

export function onInput(state: ExecutorState, event: Stamp & { readonly input: unknown }): Effects {
  const { executor, own } = state.config;
  return perform(state, executor.onInput?.(own, event.input, event) ?? [], event);
}

const silenceMs = (state: ExecutorState): number =>
  state.heartbeatIntervalMs * (state.config.timings.missedHeartbeats + 1);

export function onTick(state: ExecutorState, event: Stamp): Effects {
  const effects: Effect[] = [];
  for (let key = state.deadlines.take(event.now); key !== undefined; key = state.deadlines.take(event.now))
    effects.push(...onDue(state, key, event));
  return effects;
}

function onDue(state: ExecutorState, key: string, event: Stamp): Effects {
  const { executor, own } = state.config;
  const { now } = event;
  if (key === 'subscribe') return isSubscribed(state) ? NOTHING : subscribe(state, event);
  if (key === 'wake') return perform(state, executor.onWake?.(own, event) ?? [], event);
  if (key === 'end') {
    state.need = 'end';
    return [log('warn', 'the grace is over')];
  }
  if (key === 'silence') {
    const quietMs = now - state.member.heardAtMs;
    state.deadlines.set('silence', now + Math.max(1, silenceMs(state) - quietMs));
    if (quietMs < silenceMs(state)) return NOTHING;
    state.deadlines.set('silence', now + silenceMs(state));
    wantSubscription(state);
    return [log('warn', 'the agent is silent', { quietMs })];
  }
  const task = state.tasks.get(key.slice('update:'.length));
  if (task === undefined || task.updates.length === 0) return NOTHING;
  task.attempt += 1;
  return sendUpdates(state, task, 'all', now);
}

export const sayGoodbye = (state: ExecutorState): Effects => [
  { type: 'stop', restart: false, reason: state.isShutDown ? 'shut down' : 'the executor has ended' },
];

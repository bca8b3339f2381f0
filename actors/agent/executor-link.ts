/** The sessions between an agent and its executors, and what executors say in them. Rules: EXC-2 to EXC-4, EXC-7, EXC-10. */
import { errorBody, type ErrorCode } from '../../protocol/errors.js';
import { hex, NO_SESSION, sessionIdOf } from '../../protocol/ids.js';
import type { TaskStatus } from '../../protocol/task.js';
import { isTerminal } from '../../protocol/task-state.js';
import { log, NOTHING, type Effect, type Effects } from '../effect.js';
import type { ExecutorMessage, MessageOf, Meta } from '../events.js';
import { admit } from '../link.js';
import { askerOf, counterOf, isOldQuestion } from '../member.js';
import { unreachable } from '../invariant.js';
import { executorName, persist, type AgentState, type ExecutorRow, type LaunchRow } from './agent-state.js';
import { address, inviteExecutor, toExecutor, type Named } from './executor-send.js';
import { executorWrite, sendKill, sendLaunch } from './executors.js';
import { toMaster } from './registration.js';
import { streamWrite, update } from './updates.js';

/** A heartbeat to each executor that has a session, an invitation to each that has none. */
export function heartbeatExecutors(state: AgentState, now: number): Effects {
  if (state.executors.size > 0) state.deadlines.set('executors', now + state.config.timings.heartbeatIntervalMs);
  return [...state.executors.values()].flatMap((row) =>
    row.link.session === NO_SESSION ? inviteExecutor(state, row, now) : [toExecutor(state, row, 'HEARTBEAT', {})],
  );
}

/** Executors of this agent have one user; nobody else's word counts. */
export function onExecutorMessage(state: AgentState, event: ExecutorMessage): Effects {
  const { meta, body } = event;
  if (meta.principal !== state.config.executors?.principal)
    return [log('warn', 'a call of somebody who runs no executor here', { principal: meta.principal })];
  const row = state.executorsByName.get(executorName(body));
  if (event.type === 'executor.SUBSCRIBE') {
    const { containerId = row?.containerId } = event.body.subscribe;
    // A process that outlived its run, say: it is to end, and not to push out the run of today.
    if (row === undefined || row.containerId !== containerId) return refuse(state, meta, body, 'UNKNOWN_EXECUTOR');
    return onSubscribe(state, row, event);
  }
  return row === undefined ? refuse(state, meta, body, 'UNKNOWN_EXECUTOR') : onCall(state, row, event);
}

const refuse = (state: AgentState, meta: Meta, named: Named, code: ErrorCode): Effects => [
  address(state, meta.principal, named, meta.session, 'ERROR', errorBody(code), meta.id),
];

type Subscribe = MessageOf<ExecutorMessage, 'executor.SUBSCRIBE'>;

/** Who asks is stored before it is answered: another instance has lost what the one before it was given. Rule: EXC-7. */
function onSubscribe(state: AgentState, row: ExecutorRow, event: Subscribe): Effects {
  const { meta } = event;
  if (isOldQuestion(meta.id, row.arrivalId)) return NOTHING;
  row.arrivalId = meta.id;
  const asker = askerOf(meta.id) ?? '';
  const before = row.asker;
  if (before === asker) return welcome(state, row, event, false);
  const old = row.link.session;
  row.link.session = NO_SESSION;
  row.asker = asker;
  const ended: Effects =
    old === NO_SESSION
      ? NOTHING
      : [address(state, meta.principal, row, old, 'ERROR', errorBody('STALE_SESSION'), meta.id)];
  const stored = persist(state, [executorWrite(row)], (current) => {
    if (!current.executors.has(row.containerId) || row.arrivalId !== meta.id) return NOTHING;
    return welcome(current, row, event, before !== undefined);
  });
  return [...ended, ...stored];
}

/**
 * Begins the session: its updates are taken, then each task that has not begun is launched (again, if the first LAUNCH
 * may be lost), and each kill repeated. What another instance was given and this one does not name is over. Rules: EXC-2, EXC-4, EXC-7.
 */
function welcome(state: AgentState, row: ExecutorRow, event: Subscribe, isAnother: boolean): Effects {
  const { meta, body, now } = event;
  const counter = ++state.executorSessions;
  if (isAnother || row.askerSince === 0) row.askerSince = counter;
  row.link.session = sessionIdOf(state.member.instance, counter);
  row.link.seen = 0;
  const isEnding = row.state === 'TERMINATING';
  if (!isEnding) {
    row.state = 'RUNNING';
    state.deadlines.clear(`executor:${row.containerId}`);
  }
  state.deadlines.setEarliest('executors', now + state.config.timings.heartbeatIntervalMs);
  const { info: executorInfo, frameworkInfo, containerId } = row;
  const { info: agentInfo, timings } = state.config;
  const { heartbeatIntervalMs } = timings;
  const subscribed = {
    executorInfo,
    frameworkInfo,
    agentInfo,
    containerId: { value: containerId },
    heartbeatIntervalMs,
  };
  const effects: Effect[] = [toExecutor(state, row, 'SUBSCRIBED', { subscribed }, meta.id)];
  const { unacknowledgedTasks = [], unacknowledgedUpdates = [] } = body.subscribe;
  effects.push(...takeAll(state, row, unacknowledgedUpdates.map(({ status }) => status), now)); // prettier-ignore
  if (isEnding) return [...effects, toExecutor(state, row, 'SHUTDOWN', {})];
  const named = new Set(unacknowledgedTasks.map(({ taskId }) => taskId));
  for (const [launchId, place] of row.tasks) {
    const launch = state.launches.get(launchId);
    if (launch === undefined || isTerminal(launch.state)) continue;
    if (named.has(launch.taskId)) place.isSent = true;
    else if (isAnother && place.isSent) effects.push(...loseTask(state, row, launch, now));
    else if (launch.state === 'TASK_STAGING') effects.push(...sendLaunch(state, row, launch));
    if (launch.kill !== undefined) effects.push(...sendKill(state, row, launch, killPolicyOf(launch.kill.graceMs)));
  }
  return effects;
}

const killPolicyOf = (graceMs: number) => ({ gracePeriod: { nanoseconds: graceMs * 1e6 } });

function loseTask(state: AgentState, row: ExecutorRow, launch: LaunchRow, now: number): Effects {
  row.tasks.delete(launch.launchId);
  const status = {
    state: launch.kill === undefined ? 'TASK_FAILED' : 'TASK_KILLED',
    source: 'SOURCE_AGENT',
    reason: 'REASON_EXECUTOR_TERMINATED',
    message: 'The executor was started anew and does not know of this task',
  } as const;
  return update(state, launch, status, now);
}

type Call = Exclude<ExecutorMessage, { type: 'executor.SUBSCRIBE' }>;

/** A call counts in the session alone. Of a session before the present instance's the caller is told so; any other is asked to come anew. */
function onCall(state: AgentState, row: ExecutorRow, event: Call): Effects {
  const { meta, now } = event;
  switch (admit(row.link, meta)) {
    case 'ok':
      return onAdmitted(state, row, event);
    case 'repeated':
      return NOTHING;
    case 'gap':
      row.link.session = NO_SESSION;
      return [{ type: 'count', metric: 'session_gap' }, ...inviteExecutor(state, row, now)];
    case 'stale': {
      const isOfThisLife = meta.session.startsWith(`${state.member.instance}-C`);
      if (isOfThisLife && counterOf(meta.session) < row.askerSince) return refuse(state, meta, row, 'STALE_SESSION');
      return inviteExecutor(state, row, now);
    }
  }
}

function onAdmitted(state: AgentState, row: ExecutorRow, event: Call): Effects {
  switch (event.type) {
    case 'executor.UPDATE':
      return takeAll(state, row, [event.body.update.status], event.now);
    case 'executor.MESSAGE': {
      const { agentId, member } = state;
      if (agentId === undefined || member.link.session === NO_SESSION) return NOTHING;
      const { frameworkId, executorId, message } = event.body;
      return [toMaster(state, 'EXECUTOR_MESSAGE', { agentId, frameworkId, executorId, data: message.data }, { cause: event.meta.id })]; // prettier-ignore
    }
    case 'executor.HEARTBEAT':
      return NOTHING;
    default:
      return unreachable(event);
  }
}

/** Updates in order. Of a list that is sent again, those up to the last one taken were taken before. Rule: EXC-2. */
function takeAll(state: AgentState, row: ExecutorRow, statuses: readonly TaskStatus[], now: number): Effects {
  const byLaunch = new Map<LaunchRow, TaskStatus[]>();
  const effects: Effect[] = [];
  for (const status of statuses) {
    const launch = launchOf(state, row, status);
    // Its end is acknowledged and the launch is forgotten: that was what it waits to hear.
    if (launch === undefined) effects.push(...acknowledge(state, row, status));
    else byLaunch.set(launch, [...(byLaunch.get(launch) ?? []), status]);
  }
  for (const [launch, list] of byLaunch) {
    const last = launch.executorUuid === undefined ? undefined : hex(launch.executorUuid);
    const at = list.findIndex(({ uuid }) => uuid !== undefined && hex(uuid) === last);
    for (const { uuid } of list.slice(0, at + 1)) if (uuid !== undefined) launch.taken.add(hex(uuid));
    for (const status of list) effects.push(...take(state, row, launch, status, now));
  }
  return effects;
}

function launchOf(state: AgentState, { containerId, frameworkId }: ExecutorRow, status: TaskStatus) {
  const named = status.launchId === undefined ? undefined : state.launches.get(status.launchId);
  if (named !== undefined) return named.containerId === containerId ? named : undefined;
  for (const launch of state.launches.values())
    if (launch.containerId === containerId && launch.frameworkId === frameworkId && launch.taskId === status.taskId)
      return launch;
  return undefined;
}

/** Stored, then acknowledged: from there on it is the agent's to repeat. Rules: EXC-2, AGS-1. */
function take(state: AgentState, row: ExecutorRow, launch: LaunchRow, status: TaskStatus, now: number): Effects {
  const { uuid, taskId, launchId: _, ...said } = status;
  if (uuid === undefined) return [log('warn', 'an update of an executor without a uuid', { taskId })];
  const isNew = !launch.taken.has(hex(uuid)) && status.state !== 'TASK_STAGING';
  launch.taken.add(hex(uuid));
  const place = row.tasks.get(launch.launchId);
  if (place !== undefined) place.isSent = true;
  if (isTerminal(status.state)) row.tasks.delete(launch.launchId);
  if (isNew) {
    launch.executorUuid = uuid;
    const containerStatus = { containerId: { value: row.containerId } };
    const whole = { containerStatus, ...said, uuid, source: 'SOURCE_EXECUTOR' } as const;
    const taken = update(state, launch, whole, now, [], (current) => acknowledge(current, row, status));
    if (taken.length > 0) return taken;
  }
  // It changes nothing; the answer goes behind whatever is on its way to the store.
  return persist(state, [streamWrite(state, launch)], (current) => acknowledge(current, row, status));
}

function acknowledge(state: AgentState, row: ExecutorRow, { taskId, uuid }: TaskStatus): Effects {
  if (uuid === undefined || row.link.session === NO_SESSION) return NOTHING;
  return [toExecutor(state, row, 'ACKNOWLEDGED', { acknowledged: { taskId, uuid } })];
}

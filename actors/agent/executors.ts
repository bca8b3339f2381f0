/** Executors of frameworks: started for their first task, given tasks, asked to end, and what is left when they have. Rules: EXC-1, EXC-4 to EXC-8. */
import { CHECKPOINT_VERSION, checkpointKey } from '../../protocol/checkpoint.js';
import type { KillPolicy } from '../../protocol/container.js';
import { executorContainerOf, NO_SESSION } from '../../protocol/ids.js';
import { isTerminal } from '../../protocol/task-state.js';
import type { TaskStatus } from '../../protocol/task.js';
import { log, NOTHING, type CheckpointWrite, type Effect, type Effects } from '../effect.js';
import type { MasterToAgentMessage, MessageOf } from '../events.js';
import type { CommandExecutorEvent } from '../framework/command-executor.js';
import { sandboxOf } from '../framework/container-of.js';
import { executorName, persist, type AgentState, type ExecutorRow, type LaunchRow } from './agent-state.js';
import { executorLaunch, newExecutorRow, shutdownGraceMs } from './executor-container.js';
import { inviteExecutor, toExecutor } from './executor-send.js';
import { toMaster } from './registration.js';
import { sandboxEnded } from './sandboxes.js';
import { newLaunch, update } from './updates.js';

type RunTask = MessageOf<MasterToAgentMessage, 'master.RUN_TASK'>;

const tell = (event: CommandExecutorEvent): Effect => ({ type: 'tell', actor: 'commandExecutor', event });

export function executorWrite(row: ExecutorRow): CheckpointWrite {
  const { containerId, frameworkId, info, frameworkInfo, runningAtMs, asker, ending } = row;
  const value = {
    schemaVersion: CHECKPOINT_VERSION,
    ...{ containerId, frameworkId, info, frameworkInfo },
    ...(runningAtMs !== undefined && { runningAtMs }),
    ...(asker !== undefined && { asker }),
    ...(ending !== undefined && { ending }),
  };
  return { key: checkpointKey('executor', containerId), value };
}

/**
 * A task for an executor. The run that it belongs to was named by the master, which counted the run's resources: another
 * is not started for it. 1. The executor ends. 2. Before the master hears of it, it launches a second task there. 3. An
 * executor started for that task would use what the master has given to somebody else. Rules: EXC-1, AGS-1.
 */
export function runOnExecutor(state: AgentState, { body, meta, now }: RunTask, sendKilling: boolean): Effects {
  const { frameworkId, frameworkInfo, launchId, task } = body;
  const info = body.executor ?? task.executor;
  const containerId = body.containerId ?? executorContainerOf(launchId);
  const { taskId } = task;
  const launch = { launchId, taskId, frameworkId, task, sendKilling, cause: meta.id, containerId };
  const { row: launchRow, write } = newLaunch(state, launch);
  const refuse = (status: Pick<TaskStatus, 'state' | 'reason' | 'message'>): Effects =>
    update(state, launchRow, { source: 'SOURCE_AGENT', ...status }, now, [write]);
  const isFirst = containerId === executorContainerOf(launchId);
  const running = state.executors.get(containerId);
  if (info === undefined || (!isFirst && !isLive(running))) return refuse(TOO_LATE);
  if (state.config.executors === undefined)
    return refuse({
      state: 'TASK_FAILED',
      reason: 'REASON_CONTAINER_LAUNCH_FAILED',
      message: 'This agent has no user for executors to speak as.',
    });
  if (running !== undefined)
    // Not before it is stored: the executor may come meanwhile, and is given what it has.
    return persist(state, [write], (current, at) => {
      if (!isLive(current.executors.get(containerId))) return update(current, launchRow, TOO_LATE, at);
      running.tasks.set(launchId, { isSent: false });
      return sendLaunch(current, running, launchRow);
    });
  const row = newExecutorRow(containerId, frameworkId, info, frameworkInfo);
  row.tasks.set(launchId, { isSent: false });
  state.executors.set(containerId, row);
  state.executorsByName.set(executorName(row), row);
  return persist(state, [write, executorWrite(row)], (current) => startContainer(current, row));
}

const TOO_LATE = {
  state: 'TASK_DROPPED',
  source: 'SOURCE_AGENT',
  reason: 'REASON_EXECUTOR_TERMINATED',
  message: 'The executor that it was meant for has ended.',
} as const;

const isLive = (row: ExecutorRow | undefined): boolean => row?.state === 'REGISTERING' || row?.state === 'RUNNING';

function startContainer(state: AgentState, row: ExecutorRow): Effects {
  // The next life starts it.
  if (state.stopping === 'leaving') return NOTHING;
  const { name, timings, executors: login } = state.config;
  const agent = { agentId: state.agentId ?? '', name, timings, login };
  return [tell({ type: 'agent.LAUNCH', ...executorLaunch(row, agent) })];
}

/** LAUNCH, if the executor is there and the task is still to begin; else it goes when the executor subscribes. Rule: EXC-4. */
export function sendLaunch(state: AgentState, row: ExecutorRow, launch: LaunchRow): Effects {
  const { launchId, task, cause } = launch;
  const place = row.tasks.get(launchId);
  if (place === undefined || task === undefined || row.state !== 'RUNNING' || row.link.session === NO_SESSION)
    return NOTHING;
  place.isSent = true;
  return [toExecutor(state, row, 'LAUNCH', { launch: { task }, launchId }, cause)];
}

/** Passes a kill on; a task that the executor has not seen never starts. Rule: KIL-1. */
export function killOnExecutor(
  state: AgentState,
  launch: LaunchRow,
  killPolicy: KillPolicy | undefined,
  now: number,
): Effects {
  const row = state.executors.get(launch.containerId ?? '');
  if (row === undefined || row.state === 'TERMINATING') return NOTHING; // its end is on its way, and tells
  if (row.tasks.get(launch.launchId)?.isSent === true) return sendKill(state, row, launch, killPolicy);
  row.tasks.delete(launch.launchId);
  const killed: Effects = update(
    state,
    launch,
    {
      state: 'TASK_KILLED',
      source: 'SOURCE_AGENT',
      reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
      message: 'Killed before its executor had it',
    },
    now,
  );
  // Nobody would ever use it.
  const idle = row.state === 'REGISTERING' && row.tasks.size === 0 ? shutDownExecutor(state, row, now) : NOTHING;
  return [...killed, ...idle];
}

export function sendKill(
  state: AgentState,
  row: ExecutorRow,
  { taskId, task, cause }: LaunchRow,
  killPolicy: KillPolicy | undefined,
): Effects {
  if (row.link.session === NO_SESSION) return NOTHING; // it goes when the executor subscribes
  const policy = killPolicy ?? task?.killPolicy;
  return [toExecutor(state, row, 'KILL', { kill: { taskId, ...(policy && { killPolicy: policy }) } }, cause)];
}

/** SHUTDOWN, and after the grace the kill. One that does not listen gets the same time between SIGTERM and SIGKILL. Rule: EXC-6. */
export function shutDownExecutor(
  state: AgentState,
  row: ExecutorRow,
  now: number,
  why: 'asked' | 'registrationTimeout' = 'asked',
): Effects {
  if (row.state === 'TERMINATING') return NOTHING;
  const isThere = row.state === 'RUNNING' && row.link.session !== NO_SESSION;
  const graceMs = why === 'asked' ? shutdownGraceMs(row, state.config.timings) : 0;
  row.state = 'TERMINATING';
  row.ending = { why, requestedAtMs: now, graceMs };
  return persist(state, [executorWrite(row)], (current, at) => {
    if (!current.executors.has(row.containerId)) return NOTHING;
    if (!isThere) return killContainer(row, graceMs);
    current.deadlines.set(`executor:${row.containerId}`, at + graceMs);
    return row.link.session === NO_SESSION ? NOTHING : [toExecutor(current, row, 'SHUTDOWN', {})];
  });
}

const killContainer = ({ containerId: launchId }: ExecutorRow, graceMs: number): Effects => [
  tell({ type: 'agent.KILL', launchId, killPolicy: { gracePeriod: { nanoseconds: graceMs * 1e6 } } }),
];

/** Shuts down the executors of a framework, or all. */
export const shutDownExecutors = (state: AgentState, now: number, frameworkId?: string): Effects =>
  [...state.executors.values()].flatMap((row) =>
    frameworkId === undefined || row.frameworkId === frameworkId ? shutDownExecutor(state, row, now) : NOTHING,
  );

export function onShutdownExecutor(
  state: AgentState,
  { body, now }: MessageOf<MasterToAgentMessage, 'master.SHUTDOWN_EXECUTOR'>,
): Effects {
  const row = state.executorsByName.get(executorName(body));
  return row === undefined ? NOTHING : shutDownExecutor(state, row, now);
}

/** At most once, and only to an executor that listens. Rule: EXC-10. */
export function onMessageForExecutor(
  state: AgentState,
  { body, meta }: MessageOf<MasterToAgentMessage, 'master.EXECUTOR_MESSAGE'>,
): Effects {
  const row = state.executorsByName.get(executorName(body));
  if (row?.state !== 'RUNNING' || row.link.session === NO_SESSION) return NOTHING;
  return [toExecutor(state, row, 'MESSAGE', { message: { data: body.data } }, meta.id)];
}

/** What becomes of the container, told as of any launch. */
export function onContainerStatus(
  state: AgentState,
  row: ExecutorRow,
  status: Omit<TaskStatus, 'taskId'>,
  now: number,
): Effects {
  if (isTerminal(status.state)) return onEnded(state, row, status, now);
  if (status.state !== 'TASK_RUNNING' || row.runningAtMs !== undefined) return NOTHING;
  row.runningAtMs = now;
  if (row.state === 'REGISTERING') armRegistration(state, row, now);
  return persist(state, [executorWrite(row)], () => NOTHING);
}

const armRegistration = (state: AgentState, { containerId }: ExecutorRow, now: number): void =>
  state.deadlines.set(`executor:${containerId}`, now + state.config.timings.executorRegistrationTimeoutMs);

/** After a start of the agent: executors that run are asked to come; there is no time in which they must. Rules: EXC-3, EXC-5. */
export function inviteExecutors(state: AgentState, now: number): Effects {
  if (state.executors.size > 0) state.deadlines.set('executors', now + state.config.timings.heartbeatIntervalMs);
  return [...state.executors.values()].flatMap((row) => {
    if (row.runningAtMs !== undefined && row.state === 'REGISTERING') armRegistration(state, row, now);
    return inviteExecutor(state, row, now);
  });
}

/** The time to subscribe is over, or the grace after SHUTDOWN. */
export function onExecutorDue(state: AgentState, containerId: string, now: number): Effects {
  const row = state.executors.get(containerId);
  if (row === undefined) return NOTHING;
  if (row.state === 'TERMINATING') return killContainer(row, 0);
  if (row.state !== 'REGISTERING') return NOTHING;
  // While we hear nobody, it may speak and not be heard: that is no fault of its own.
  const { heartbeatIntervalMs, missedHeartbeats } = state.config.timings;
  const isDeaf =
    state.member.link.session === NO_SESSION ||
    now - state.member.heardAtMs > heartbeatIntervalMs * Math.min(3, missedHeartbeats);
  if (isDeaf) {
    armRegistration(state, row, now);
    return NOTHING;
  }
  const { executorId } = row;
  return [
    log('warn', 'an executor has not subscribed in time', { executorId, containerId }),
    ...shutDownExecutor(state, row, now, 'registrationTimeout'),
  ];
}

/** The container is over: what its tasks came to is told, then that the executor has ended. Rule: EXC-8. */
function onEnded(state: AgentState, row: ExecutorRow, end: Omit<TaskStatus, 'taskId'>, now: number): Effects {
  const { containerId, frameworkId, executorId } = row;
  state.executors.delete(containerId);
  if (state.executorsByName.get(executorName(row)) === row) state.executorsByName.delete(executorName(row));
  state.deadlines.clear(`executor:${containerId}`);
  const effects: Effect[] = [];
  for (const launchId of row.tasks.keys()) {
    const launch = state.launches.get(launchId);
    if (launch !== undefined) effects.push(...update(state, launch, lossOf(row, launch, end), now));
  }
  row.tasks.clear();
  row.link.session = NO_SESSION;
  const status = waitStatus(end);
  const body = { frameworkId, executorId, containerId, ...(status !== undefined && { status }) };
  const gone = persist(state, [{ key: checkpointKey('executor', containerId) }], (current, at) => {
    current.exits.push(body);
    sandboxEnded(current, sandboxOf(frameworkId, executorId, containerId), at);
    return [{ type: 'forgetContainer', containerId }, ...tellExits(current)];
  });
  return [...effects, ...gone];
}

/**
 * Tells the master of executors that have ended, if there is a session.
 * 1. The agent asks to be registered, with its executors. 2. One of them ends. 3. The answer begins the session: by the
 * list that it rests on, that executor lives.
 */
export function tellExits(state: AgentState): Effects {
  const { agentId, member } = state;
  if (agentId === undefined || member.link.session === NO_SESSION) return NOTHING;
  return state.exits.splice(0).map((exit) => toMaster(state, 'EXITED_EXECUTOR', { agentId, ...exit }));
}

/** Reasons of a container's end that are its tasks' too. */
const PASSED_ON = new Set<TaskStatus['reason']>([
  'REASON_CONTAINER_LAUNCH_FAILED',
  'REASON_CONTAINER_LIMITATION_MEMORY',
  'REASON_CONTAINER_LIMITATION_DISK',
  'REASON_AGENT_RESTARTED',
]);

function lossOf(row: ExecutorRow, launch: LaunchRow, end: Omit<TaskStatus, 'taskId'>): Omit<TaskStatus, 'taskId'> {
  const source = 'SOURCE_AGENT' as const;
  const why = end.message === undefined ? '' : `: ${end.message}`;
  if (launch.kill !== undefined || row.ending?.why === 'asked')
    return { state: 'TASK_KILLED', source, reason: 'REASON_EXECUTOR_TERMINATED', message: `The executor ended${why}` };
  if (row.ending !== undefined)
    return {
      state: 'TASK_FAILED',
      source,
      reason: 'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
      message: 'The executor did not subscribe in time',
    };
  const reason = PASSED_ON.has(end.reason) ? end.reason : 'REASON_EXECUTOR_TERMINATED';
  return { state: 'TASK_FAILED', source, ...(reason && { reason }), message: `The executor ended${why}` };
}

/** Numbers of signals, the same on every machine that we run on. */
const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

/** As wait(2) has it; `undefined` where it is not known. */
function waitStatus({ exitCode, exitSignal }: Omit<TaskStatus, 'taskId'>): number | undefined {
  if (exitSignal !== undefined) return SIGNALS[exitSignal];
  return exitCode === undefined ? undefined : exitCode * 256;
}

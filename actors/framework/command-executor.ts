/** The command executor: runs command tasks for its agent, a row per task, so many starts at a time. Rules: EXE-1 to EXE-5. */
import type { CommandInfo, KillPolicy } from '../../protocol/container.js';
import { escapeToken } from '../../protocol/ids.js';
import type { Timings } from '../../protocol/limits.js';
import type { TaskInfo, TaskStatus } from '../../protocol/task.js';
import { Deadlines } from '../deadlines.js';
import { log, NOTHING, type ContainerSpec, type Effect, type Effects } from '../effect.js';
import type { ContainerEvent, Stamp } from '../events.js';
import type { ActorState } from '../perform.js';

/** What the agent tells its command executor. */
export type CommandExecutorEvent =
  | {
      readonly type: 'agent.LAUNCH';
      readonly launchId: string;
      readonly frameworkId: string;
      readonly agentId: string;
      readonly task: TaskInfo;
      /** Whether the framework wants to see KILLING. */
      readonly sendKilling: boolean;
    }
  | { readonly type: 'agent.KILL'; readonly launchId: string; readonly killPolicy: KillPolicy | undefined };

/** What it tells the agent. */
export interface ExecutorUpdate {
  readonly type: 'executor.UPDATE';
  readonly launchId: string;
  readonly status: Omit<TaskStatus, 'taskId'>;
}

export interface CommandExecutorConfig {
  readonly timings: Timings;
  /** Containers that are started at a time; the rest queue. Rule: EXE-2. */
  readonly maxStarting: number;
  /** What every task's environment begins with. */
  readonly environment: Readonly<Record<string, string>>;
}

interface CommandRow {
  readonly launchId: string;
  readonly frameworkId: string;
  readonly agentId: string;
  readonly task: TaskInfo;
  readonly sendKilling: boolean;
  state: 'QUEUED' | 'STARTING' | 'RUNNING';
  /** Why it is being killed. */
  killing: 'asked' | 'maxCompletionTime' | undefined;
  killAtMs: number;
}

export interface CommandExecutorState extends ActorState {
  readonly config: CommandExecutorConfig;
  readonly rows: Map<string, CommandRow>;
  readonly queue: string[];
  starting: number;
}

export const newCommandExecutorState = (config: CommandExecutorConfig): CommandExecutorState => ({
  config,
  deadlines: new Deadlines(),
  announcedMs: undefined,
  rows: new Map(),
  queue: [],
  starting: 0,
});

const report = (launchId: string, status: Omit<TaskStatus, 'taskId'>): Effect => {
  const event: ExecutorUpdate = { type: 'executor.UPDATE', launchId, status };
  return { type: 'tell', actor: 'agent', event };
};

export function onLaunch(
  state: CommandExecutorState,
  event: Extract<CommandExecutorEvent, { type: 'agent.LAUNCH' }> & Stamp,
): Effects {
  const { launchId, frameworkId, agentId, task, sendKilling } = event;
  state.rows.set(launchId, {
    launchId,
    frameworkId,
    agentId,
    task,
    sendKilling,
    state: 'QUEUED',
    killing: undefined,
    killAtMs: Infinity,
  });
  state.queue.push(launchId);
  return startNext(state);
}

/** Starts what waits while there is room: a machine that starts everything at once starts nothing in time. Rule: EXE-2. */
function startNext(state: CommandExecutorState): Effects {
  const effects: Effect[] = [];
  while (state.starting < state.config.maxStarting) {
    const launchId = state.queue.shift();
    if (launchId === undefined) break;
    const row = state.rows.get(launchId);
    if (row?.state !== 'QUEUED') continue;
    row.state = 'STARTING';
    state.starting += 1;
    effects.push({ type: 'launchContainer', spec: containerOf(state, row) });
  }
  return effects;
}

/** Where a launch's sandbox is, below the agent's sandboxes; Mesos' layout. */
export const sandboxOf = (frameworkId: string, executorId: string, launchId: string): string =>
  `frameworks/${escapeToken(frameworkId)}/executors/${escapeToken(executorId)}/runs/${escapeToken(launchId)}`;

function containerOf(state: CommandExecutorState, row: CommandRow): ContainerSpec {
  const { launchId, frameworkId, agentId, task } = row;
  const command = task.command ?? {};
  const environment: Record<string, string> = {
    ...state.config.environment,
    TEPUI_FRAMEWORK_ID: frameworkId,
    TEPUI_TASK_ID: task.taskId,
    TEPUI_AGENT_ID: agentId,
  };
  for (const { name, value } of command.environment?.variables ?? [])
    if (value !== undefined) environment[name] = value;
  return {
    containerId: launchId,
    sandbox: sandboxOf(frameworkId, task.taskId, launchId),
    argv: argvOf(command),
    environment,
    user: command.user,
  };
}

/** Mesos' rule: a shell command by `/bin/sh -c`, else `execve(value, arguments)`, where the first argument is the name. */
function argvOf({ shell = true, value = '', arguments: args = [] }: CommandInfo): string[] {
  return shell ? ['/bin/sh', '-c', value] : [value, ...args.slice(1)];
}

export function onContainerStarted(
  state: CommandExecutorState,
  event: Extract<ContainerEvent, { type: 'CONTAINER_STARTED' }>,
): Effects {
  const row = state.rows.get(event.containerId);
  if (row?.state !== 'STARTING') return NOTHING;
  row.state = 'RUNNING';
  state.starting -= 1;
  const { maxCompletionTime } = row.task;
  if (maxCompletionTime !== undefined)
    state.deadlines.set(`completion:${row.launchId}`, event.now + maxCompletionTime.nanoseconds / 1e6);
  const containerStatus = { containerId: { value: row.launchId }, executorPid: event.pid };
  const effects: Effect[] = [report(row.launchId, { state: 'TASK_RUNNING', containerStatus })];
  // Asked for while it was starting: the signal had nobody to go to.
  if (row.killing !== undefined)
    effects.push({ type: 'signalContainer', containerId: row.launchId, signal: 'SIGTERM' });
  return [...effects, ...startNext(state)];
}

export function onContainerEnded(
  state: CommandExecutorState,
  event: Extract<ContainerEvent, { type: 'CONTAINER_ENDED' }>,
): Effects {
  const row = state.rows.get(event.containerId);
  if (row === undefined) return NOTHING;
  if (row.state === 'STARTING') state.starting -= 1;
  state.rows.delete(row.launchId);
  state.deadlines.clear(`completion:${row.launchId}`);
  state.deadlines.clear(`kill:${row.launchId}`);
  return [report(row.launchId, endStatus(row, event)), ...startNext(state)];
}

/** How a task ended, from how its container did. Rule: EXE-3. */
function endStatus(
  row: CommandRow,
  { exitCode, exitSignal, launchError }: Extract<ContainerEvent, { type: 'CONTAINER_ENDED' }>,
): Omit<TaskStatus, 'taskId'> {
  if (launchError !== undefined)
    return { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED', message: launchError };
  const exit = {
    ...(exitCode !== undefined && { exitCode }),
    ...(exitSignal !== undefined && { exitSignal }),
    message:
      exitSignal === undefined ? `Command exited with status ${exitCode ?? '?'}` : `Command ended by ${exitSignal}`,
  };
  if (row.killing === 'asked') return { state: 'TASK_KILLED', ...exit };
  if (row.killing === 'maxCompletionTime')
    return { state: 'TASK_FAILED', reason: 'REASON_MAX_COMPLETION_TIME_REACHED', ...exit };
  if (exitCode === 0) return { state: 'TASK_FINISHED', ...exit };
  return { state: 'TASK_FAILED', reason: 'REASON_COMMAND_EXECUTOR_FAILED', ...exit };
}

/** SIGTERM to the tree, after the grace SIGKILL; a second kill can only shorten the grace. Rule: EXE-4. */
export function onKill(
  state: CommandExecutorState,
  event: Extract<CommandExecutorEvent, { type: 'agent.KILL' }> & Stamp,
): Effects {
  const row = state.rows.get(event.launchId);
  if (row === undefined) return NOTHING;
  const grace = event.killPolicy?.gracePeriod ?? row.task.killPolicy?.gracePeriod;
  const graceMs = grace === undefined ? state.config.timings.killGraceMs : grace.nanoseconds / 1e6;
  return row.state === 'QUEUED' ? cancel(state, row) : kill(state, row, 'asked', graceMs, event.now);
}

/** A task that still queues never starts. Rule: EXE-5. */
function cancel(state: CommandExecutorState, row: CommandRow): Effects {
  state.rows.delete(row.launchId);
  return [
    report(row.launchId, {
      state: 'TASK_KILLED',
      reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
      message: 'Killed before it was started',
    }),
  ];
}

function kill(
  state: CommandExecutorState,
  row: CommandRow,
  why: NonNullable<CommandRow['killing']>,
  graceMs: number,
  now: number,
): Effects {
  const killAtMs = now + graceMs;
  const isFirst = row.killing === undefined;
  row.killing ??= why;
  if (killAtMs < row.killAtMs) {
    row.killAtMs = killAtMs;
    state.deadlines.set(`kill:${row.launchId}`, killAtMs);
  }
  if (!isFirst || row.state !== 'RUNNING') return NOTHING;
  const effects: Effect[] = [{ type: 'signalContainer', containerId: row.launchId, signal: 'SIGTERM' }];
  return row.sendKilling ? [report(row.launchId, { state: 'TASK_KILLING' }), ...effects] : effects;
}

export function onTick(state: CommandExecutorState, { now }: Stamp): Effects {
  const effects: Effect[] = [];
  for (let key = state.deadlines.take(now); key !== undefined; key = state.deadlines.take(now)) {
    const at = key.indexOf(':');
    const row = state.rows.get(key.slice(at + 1));
    if (row === undefined) continue;
    if (key.startsWith('kill:')) {
      effects.push({ type: 'signalContainer', containerId: row.launchId, signal: 'SIGKILL' });
      // Repeated until the container's end is told.
      state.deadlines.set(key, now + 1_000);
    } else {
      effects.push(log('info', 'maxCompletionTime is over', { taskId: row.task.taskId }));
      const grace = row.task.killPolicy?.gracePeriod;
      const graceMs = grace === undefined ? state.config.timings.killGraceMs : grace.nanoseconds / 1e6;
      effects.push(...kill(state, row, 'maxCompletionTime', graceMs, now));
    }
  }
  return effects;
}

/** The command executor: runs command tasks for its agent, a row per task, so many starts at a time. Rules: EXE-1 to EXE-5, AGS-2 to AGS-4. */
import type { KillPolicy } from '../../protocol/container.js';
import type { Timings } from '../../protocol/limits.js';
import type { TaskInfo, TaskStatus } from '../../protocol/task.js';
import { Deadlines } from '../deadlines.js';
import { log, NOTHING, type ContainerSpec, type Effect, type Effects } from '../effect.js';
import type { ContainerEvent, Stamp } from '../events.js';
import type { ActorState } from '../perform.js';
import { containerOf } from './container-of.js';

/** What is to be run. */
interface Launch {
  readonly launchId: string;
  readonly frameworkId: string;
  readonly agentId: string;
  readonly task: TaskInfo;
  /** Whether the framework wants to see KILLING. */
  readonly sendKilling: boolean;
  /** Whom the framework runs its tasks as, if the command says nothing. */
  readonly user: string | undefined;
  readonly credentials?: ContainerSpec['credentials'];
}

/** What the agent tells its command executor. */
export type CommandExecutorEvent =
  | (Launch & { readonly type: 'agent.LAUNCH' })
  | { readonly type: 'agent.KILL'; readonly launchId: string; readonly killPolicy: KillPolicy | undefined };

/** What it tells the agent. */
export interface ExecutorUpdate {
  readonly type: 'commandExecutor.UPDATE';
  readonly launchId: string;
  readonly status: Omit<TaskStatus, 'taskId'>;
}

/** A launch of an earlier life that has not ended, with what is stored of it. */
export interface RecoveredLaunch extends Launch {
  /** When it was told that it runs. */
  readonly runningAtMs: number | undefined;
  readonly kill: { readonly requestedAtMs: number; readonly graceMs: number } | undefined;
  /** Whether KILLING was told. */
  readonly toldKilling: boolean;
}

export interface CommandExecutorConfig {
  readonly timings: Timings;
  /** Containers that are started at a time; the rest queue. Rule: EXE-2. */
  readonly maxStarting: number;
  /** What every task's environment begins with. */
  readonly environment: Readonly<Record<string, string>>;
  /** Most processes and threads of a task; not limited if it is missing. */
  readonly maxPids?: number | undefined;
  readonly recovered: readonly RecoveredLaunch[];
}

interface CommandRow extends Launch {
  /** ADOPTING: of an earlier life; what became of it is still to be told. Rule: AGS-2. */
  state: 'ADOPTING' | 'QUEUED' | 'STARTING' | 'RUNNING';
  /** When it was first told that it runs. */
  runningAtMs: number | undefined;
  /** Why it is being killed. */
  killing: 'asked' | 'maxCompletionTime' | undefined;
  killAtMs: number;
  toldKilling: boolean;
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
  rows: new Map(config.recovered.map((launch) => [launch.launchId, { ...newRow(launch), ...adopted(launch) }])),
  queue: [],
  starting: 0,
});

const newRow = ({ launchId, frameworkId, agentId, task, sendKilling, user, credentials }: Launch): CommandRow => ({
  ...{ launchId, frameworkId, agentId, task, sendKilling, user, credentials },
  state: 'QUEUED',
  runningAtMs: undefined,
  killing: undefined,
  killAtMs: Infinity,
  toldKilling: false,
});

const adopted = ({ runningAtMs, kill, toldKilling }: RecoveredLaunch) => ({
  state: 'ADOPTING' as const,
  runningAtMs,
  killing: kill && ('asked' as const),
  toldKilling,
});

/** The grace of a kill: that of the call, else of the task, else the agent's. Rule: EXE-4. */
export function graceMsOf(timings: Timings, task: TaskInfo | undefined, killPolicy: KillPolicy | undefined): number {
  const grace = killPolicy?.gracePeriod ?? task?.killPolicy?.gracePeriod;
  return grace === undefined ? timings.killGraceMs : Math.max(0, grace.nanoseconds / 1e6);
}

/** What is left of a span that began at `sinceMs`; the whole of it if the clock was set back meanwhile. */
const leftMs = (spanMs: number, sinceMs: number, now: number): number =>
  Math.min(spanMs, Math.max(0, sinceMs + spanMs - now));

/** Takes back what earlier lives had begun, before anything new; said even of nothing, as strays are ended by it. Rules: AGS-2, AGS-4. */
export function onStart(state: CommandExecutorState, { now }: Stamp): Effects {
  for (const { launchId, kill: asked } of state.config.recovered) {
    const row = state.rows.get(launchId);
    if (row === undefined || asked === undefined) continue;
    armKill(state, row, now + leftMs(asked.graceMs, asked.requestedAtMs, now));
  }
  const containers = [...state.rows.values()].map((row) => containerOf(state.config, row));
  return [{ type: 'adoptContainers', containers }];
}

const report = (launchId: string, status: Omit<TaskStatus, 'taskId'>): Effect => {
  const event: ExecutorUpdate = { type: 'commandExecutor.UPDATE', launchId, status };
  return { type: 'tell', actor: 'agent', event };
};

export function onLaunch(
  state: CommandExecutorState,
  event: Extract<CommandExecutorEvent, { type: 'agent.LAUNCH' }> & Stamp,
): Effects {
  state.rows.set(event.launchId, newRow(event));
  state.queue.push(event.launchId);
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
    effects.push({ type: 'launchContainer', spec: containerOf(state.config, row) });
  }
  return effects;
}

export function onContainerStarted(
  state: CommandExecutorState,
  event: Extract<ContainerEvent, { type: 'CONTAINER_STARTED' }>,
): Effects {
  const row = state.rows.get(event.containerId);
  if (row?.state !== 'STARTING' && row?.state !== 'ADOPTING') return NOTHING;
  if (row.state === 'STARTING') state.starting -= 1;
  row.state = 'RUNNING';
  const effects: Effect[] = [];
  // Of an adopted one it may have been told already.
  if (row.runningAtMs === undefined) {
    row.runningAtMs = event.now;
    const containerStatus = { containerId: { value: row.launchId }, executorPid: event.pid };
    effects.push(report(row.launchId, { state: 'TASK_RUNNING', containerStatus }));
  }
  const spanMs = (row.task.maxCompletionTime?.nanoseconds ?? Infinity) / 1e6;
  if (spanMs < Infinity)
    state.deadlines.set(`completion:${row.launchId}`, event.now + leftMs(spanMs, row.runningAtMs, event.now));
  // Asked for while it was starting: the signal had nobody to go to. Or in an earlier life: it may not have gone.
  if (row.killing !== undefined) effects.push(...terminate(row));
  return [...effects, ...startNext(state)];
}

export function onContainerEnded(
  state: CommandExecutorState,
  event: Extract<ContainerEvent, { type: 'CONTAINER_ENDED' }>,
): Effects {
  const row = state.rows.get(event.containerId);
  if (row === undefined) return NOTHING;
  if (event.neverStarted === true && row.state === 'ADOPTING' && row.runningAtMs === undefined)
    return requeue(state, row);
  if (row.state === 'STARTING') state.starting -= 1;
  forget(state, row);
  return [report(row.launchId, endStatus(row, event)), ...startNext(state)];
}

function forget(state: CommandExecutorState, row: CommandRow): void {
  state.rows.delete(row.launchId);
  state.deadlines.clear(`completion:${row.launchId}`);
  state.deadlines.clear(`kill:${row.launchId}`);
}

/** An earlier life had not come to start it: it waits like any other, unless it is not wanted any more. Rule: AGS-2. */
function requeue(state: CommandExecutorState, row: CommandRow): Effects {
  if (row.killing !== undefined) return cancel(state, row);
  row.state = 'QUEUED';
  state.queue.push(row.launchId);
  return startNext(state);
}

type Ended = Extract<ContainerEvent, { type: 'CONTAINER_ENDED' }>;

/** How a task ended, from how its container did; what is not known is never FINISHED. Rules: EXE-3, AGS-3. */
function endStatus(row: CommandRow, event: Ended): Omit<TaskStatus, 'taskId'> {
  const { exitCode, exitSignal, launchError, limitation } = event;
  if (launchError !== undefined)
    return { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED', message: launchError };
  const exit = {
    ...(exitCode !== undefined && { exitCode }),
    ...(exitSignal !== undefined && { exitSignal }),
    message: endMessage(event),
  };
  if (row.killing === 'asked') return { state: 'TASK_KILLED', ...exit };
  // A container that is not there although it was told that it runs is as lost as one whose wrapper died.
  if (event.lost === 'wrapper' || event.neverStarted === true)
    return { state: 'TASK_FAILED', reason: 'REASON_EXECUTOR_TERMINATED', ...exit };
  if (event.lost === 'machine') return { state: 'TASK_FAILED', reason: 'REASON_AGENT_RESTARTED', ...exit };
  if (limitation !== undefined) return { state: 'TASK_FAILED', reason: limitation.reason, ...exit };
  if (row.killing === 'maxCompletionTime')
    return { state: 'TASK_FAILED', reason: 'REASON_MAX_COMPLETION_TIME_REACHED', ...exit };
  if (exitCode === 0) return { state: 'TASK_FINISHED', ...exit };
  return { state: 'TASK_FAILED', reason: 'REASON_COMMAND_EXECUTOR_FAILED', ...exit };
}

function endMessage({ exitCode, exitSignal, lost, limitation, neverStarted }: Ended): string {
  if (lost === 'machine') return 'The machine was restarted';
  if (lost === 'wrapper' || neverStarted === true) return 'Command ended, exit status unknown';
  if (limitation !== undefined) return limitation.message;
  return exitSignal === undefined ? `Command exited with status ${exitCode ?? '?'}` : `Command ended by ${exitSignal}`;
}

/** SIGTERM to the tree, after the grace SIGKILL; a second kill can only shorten the grace. Rule: EXE-4. */
export function onKill(
  state: CommandExecutorState,
  event: Extract<CommandExecutorEvent, { type: 'agent.KILL' }> & Stamp,
): Effects {
  const row = state.rows.get(event.launchId);
  if (row === undefined) return NOTHING;
  const graceMs = graceMsOf(state.config.timings, row.task, event.killPolicy);
  return row.state === 'QUEUED' ? cancel(state, row) : kill(state, row, 'asked', graceMs, event.now);
}

/** A task that still queues never starts. Rule: EXE-5. */
function cancel(state: CommandExecutorState, row: CommandRow): Effects {
  forget(state, row);
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
  const isFirst = row.killing === undefined;
  row.killing ??= why;
  armKill(state, row, now + graceMs);
  return isFirst && row.state === 'RUNNING' ? terminate(row) : NOTHING;
}

function armKill(state: CommandExecutorState, row: CommandRow, killAtMs: number): void {
  if (killAtMs >= row.killAtMs) return;
  row.killAtMs = killAtMs;
  state.deadlines.set(`kill:${row.launchId}`, killAtMs);
}

/** SIGTERM, told to who wants to see it. */
function terminate(row: CommandRow): Effects {
  const signal: Effect = { type: 'signalContainer', containerId: row.launchId, signal: 'SIGTERM' };
  if (!row.sendKilling || row.toldKilling) return [signal];
  row.toldKilling = true;
  return [report(row.launchId, { state: 'TASK_KILLING' }), signal];
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
      const graceMs = graceMsOf(state.config.timings, row.task, undefined);
      effects.push(...kill(state, row, 'maxCompletionTime', graceMs, now));
    }
  }
  return effects;
}

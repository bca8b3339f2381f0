/** The scheduler behind `tepui run`: pure decisions over one state. Rules: RUN-1 to RUN-7. */
import type { CommandInfo } from '../protocol/container.js';
import { toQuantities, type Quantities } from '../protocol/resources.js';
import type { TaskInfo, TaskStatus } from '../protocol/task.js';
import {
  decline,
  isTerminal,
  kill,
  launch,
  Resources,
  type Call,
  type Calls,
  type Offer,
  type Scheduler,
  type Stamp,
} from '../runtime/sdk.js';
import { exitStatusOf, isLostForUs } from './run-end.js';

/** What `run` is asked for. */
export interface RunRequest {
  readonly name: string;
  /** Tells this run from others: part of every task id. */
  readonly runId: string;
  readonly count: number;
  readonly command: CommandInfo;
  /** For each task; 0 asks for none. `mem` and `disk` in MiB. */
  readonly cpus: number;
  readonly mem: number;
  readonly disk: number;
  /** How many ports. */
  readonly ports: number;
  readonly timeoutSeconds?: number | undefined;
  readonly graceSeconds?: number | undefined;
  /** Launches of one task in all, when the cluster loses it. */
  readonly maxAttempts: number;
}

export interface RunTask {
  /** From 0. */
  readonly index: number;
  /** From 1. */
  attempt: number;
  taskId: string;
  state: 'pending' | 'launched' | 'running' | 'ended';
  agentId: string | undefined;
  launchId: string | undefined;
  unreachableSinceMs: number | undefined;
  /** Exit status of `run` if this were the only task; set at the end. */
  exitStatus: number | undefined;
}

/** What people and programs are told, in order. */
export type RunEvent = { readonly atMs: number } & (
  | { readonly event: 'subscribed'; readonly frameworkId: string }
  | {
      readonly event: 'launched';
      readonly task: number;
      readonly id: string;
      readonly attempt: number;
      readonly agentId: string;
    }
  | {
      readonly event: 'running';
      readonly task: number;
      readonly id: string;
      readonly agentId: string;
      readonly launchId: string;
    }
  | { readonly event: 'unreachable'; readonly task: number; readonly id: string }
  | {
      readonly event: 'ended';
      readonly task: number;
      readonly id: string;
      readonly status: TaskStatus;
      readonly exitStatus: number;
    }
  | {
      readonly event: 'again';
      readonly task: number;
      readonly id: string;
      readonly attempt: number;
      readonly status: TaskStatus;
    }
  | { readonly event: 'stopping'; readonly why: string }
);

export interface RunState {
  readonly request: RunRequest;
  readonly tasks: readonly RunTask[];
  /** By the id of the present attempt. */
  readonly byId: Map<string, RunTask>;
  /** Indices of tasks to launch, in order. */
  readonly pending: number[];
  /** Ids of attempts that were given up: should one turn up again, it is killed. */
  readonly abandoned: Set<string>;
  /** Grows; whoever shows them remembers how far it is. */
  readonly events: RunEvent[];
  frameworkId: string | undefined;
  /** Launched and not ended. */
  live: number;
  suppressed: boolean;
  /** Why nothing is launched any more, and the exit status that follows. */
  stop: { readonly why: string; readonly exitStatus: number } | undefined;
  tornDown: boolean;
}

/** From the process around it. */
export type RunInput =
  | { readonly type: 'stop'; readonly why: string; readonly exitStatus: number }
  /** Nobody waits any more: the cluster is to end what runs. */
  | { readonly type: 'leave' };

/** Nobody else's offers are held back by a refusal of ours, so it may be long; more than was refused is offered at once. */
const REFUSE = { refuseSeconds: 3_600 };
/** A call is at most 16 MiB on the wire; tasks beyond this wait for the next offer. */
const MOST_BYTES = 8 * 1024 * 1024;
const MOST_TASKS = 5_000;
/** A KILL is an unreliable word: it is said again. */
const KILL_AGAIN_MS = 1_000;
/** An agent that is away for so long is given up. */
const UNREACHABLE_MS = 60_000;

export function newRunState(request: RunRequest): RunState {
  const tasks = Array.from({ length: request.count }, (_, index): RunTask => ({
    index,
    attempt: 1,
    taskId: taskIdOf(request, index, 1),
    state: 'pending',
    agentId: undefined,
    launchId: undefined,
    unreachableSinceMs: undefined,
    exitStatus: undefined,
  }));
  return {
    request,
    tasks,
    byId: new Map(tasks.map((task) => [task.taskId, task])),
    pending: tasks.map(({ index }) => index),
    abandoned: new Set(),
    events: [],
    frameworkId: undefined,
    live: 0,
    suppressed: false,
    stop: undefined,
    tornDown: false,
  };
}

/** `sleep-k3f9-7`, and `sleep-k3f9-7.2` for its second attempt; of a single task without the number. */
export function taskIdOf({ name, runId, count }: RunRequest, index: number, attempt: number): string {
  const short = name.replaceAll(/[^A-Za-z0-9_-]+/g, '-').slice(0, 40);
  return `${short}-${runId}${count === 1 ? '' : `-${index + 1}`}${attempt === 1 ? '' : `.${attempt}`}`;
}

export function runSchedulerOf(request: RunRequest, user: string): Scheduler<RunState, RunInput> {
  return {
    info: {
      user,
      name: `run ${request.name}`,
      // A `run` that was killed leaves nothing behind for long.
      failoverTimeout: 15,
    },
    onSubscribed(state, { frameworkId }, { now }) {
      if (state.frameworkId === undefined) state.events.push({ event: 'subscribed', atMs: now, frameworkId });
      state.frameworkId = frameworkId;
      return state.stop === undefined ? [] : stopLive(state, now);
    },
    onOffers,
    onUpdate,
    onWake: (state, { now }) => (state.stop === undefined ? giveUpUnreachable(state, now) : stopLive(state, now)),
    onInput: (state, input, { now }) => {
      if (input.type === 'leave') return tearDown(state);
      if (state.stop !== undefined) return [];
      const { why, exitStatus } = input;
      state.stop = { why, exitStatus };
      state.events.push({ event: 'stopping', atMs: now, why });
      return stopLive(state, now);
    },
  };
}

/** Fills offer after offer with as many tasks as fit; what is left of each goes back for long. Rule: RUN-1. */
export function onOffers(state: RunState, offers: readonly Offer[], { now }: Stamp): Calls {
  const calls: Call[] = [];
  const unused: Offer[] = [];
  for (const offer of offers) {
    const taskInfos = state.stop === undefined ? fill(state, offer, now) : [];
    if (taskInfos.length === 0) unused.push(offer);
    else calls.push(launch([offer], taskInfos, REFUSE));
  }
  return [...calls, ...decline(unused, REFUSE), ...settleSuppression(state)];
}

function fill(state: RunState, offer: Offer, now: number): TaskInfo[] {
  const { request, pending } = state;
  const wanted = quantitiesOf(request);
  const taskInfos: TaskInfo[] = [];
  let left = Resources.of(offer.resources);
  let most = MOST_TASKS;
  while (taskInfos.length < most) {
    const task = state.tasks[pending[taskInfos.length] ?? -1];
    const resources = task && left.take(wanted, request.ports);
    if (task === undefined || resources === undefined) break;
    left = left.subtract(resources);
    const info = taskInfoOf(request, task, offer.agentId, resources);
    if (taskInfos.length === 0)
      most = Math.min(MOST_TASKS, Math.max(1, Math.floor(MOST_BYTES / JSON.stringify(info).length)));
    taskInfos.push(info);
    task.state = 'launched';
    task.agentId = offer.agentId;
    state.live += 1;
    const { index, taskId: id, attempt } = task;
    state.events.push({ event: 'launched', atMs: now, task: index, id, attempt, agentId: offer.agentId });
  }
  pending.splice(0, taskInfos.length);
  return taskInfos;
}

/** Amounts of one task, without those that are not asked for. */
export function quantitiesOf({ cpus, mem, disk }: Pick<RunRequest, 'cpus' | 'mem' | 'disk'>): Quantities {
  return new Map([...toQuantities({ cpus, mem, disk })].filter(([, thousandths]) => thousandths > 0));
}

function taskInfoOf(request: RunRequest, task: RunTask, agentId: string, resources: Resources): TaskInfo {
  const { command, name, count, timeoutSeconds, graceSeconds } = request;
  const variables = [
    ...(command.environment?.variables ?? []),
    { name: 'TEPUI_RUN_INDEX', value: String(task.index) },
    { name: 'TEPUI_RUN_COUNT', value: String(count) },
    ...portVariables(resources),
  ];
  return {
    name,
    taskId: task.taskId,
    agentId,
    resources: resources.toArray(),
    command: { ...command, environment: { variables } },
    ...(timeoutSeconds !== undefined && { maxCompletionTime: { nanoseconds: timeoutSeconds * 1e9 } }),
    ...(graceSeconds !== undefined && { killPolicy: { gracePeriod: { nanoseconds: graceSeconds * 1e9 } } }),
  };
}

/** `PORT` and `PORT0`, `PORT1` and so on, as Marathon has them. */
function portVariables(resources: Resources): { name: string; value: string }[] {
  const ports = resources
    .ranges('ports')
    .flatMap(({ begin, end }) => Array.from({ length: end - begin + 1 }, (_, i) => begin + i));
  const numbered = ports.map((port, i) => ({ name: `PORT${i}`, value: String(port) }));
  return ports[0] === undefined ? [] : [{ name: 'PORT', value: String(ports[0]) }, ...numbered];
}

/** Offers are wanted as long as something waits. Rule: RUN-1. */
function settleSuppression(state: RunState): Calls {
  const wants = state.pending.length > 0 && state.stop === undefined;
  if (wants === !state.suppressed) return [];
  state.suppressed = !wants;
  return [wants ? { type: 'REVIVE' } : { type: 'SUPPRESS' }];
}

/** Rules: RUN-2, RUN-3. */
export function onUpdate(state: RunState, status: TaskStatus, { now }: Stamp): Calls {
  const { taskId, agentId, launchId } = status;
  const task = state.byId.get(taskId);
  if (task === undefined) return state.abandoned.has(taskId) && isRunningAgain(status) ? [kill(taskId, agentId)] : [];
  if (task.state === 'ended' || task.state === 'pending') return [];
  task.launchId = launchId ?? task.launchId;
  if (status.state === 'TASK_UNREACHABLE') return onUnreachable(state, task, now);
  task.unreachableSinceMs = undefined;
  if (isTerminal(status.state) || status.state === 'TASK_UNKNOWN') return onTaskEnd(state, task, status, now);
  if (status.state === 'TASK_RUNNING' && task.state === 'launched') {
    task.state = 'running';
    const { index, taskId: id } = task;
    const place = { agentId: task.agentId ?? '', launchId: task.launchId ?? '' };
    state.events.push({ event: 'running', atMs: now, task: index, id, ...place });
  }
  return state.stop === undefined ? [] : [killOf(state, task)];
}

const isRunningAgain = ({ state }: TaskStatus): boolean =>
  !isTerminal(state) && state !== 'TASK_UNREACHABLE' && state !== 'TASK_UNKNOWN';

function onUnreachable(state: RunState, task: RunTask, now: number): Calls {
  if (task.unreachableSinceMs !== undefined) return [];
  task.unreachableSinceMs = now;
  state.events.push({ event: 'unreachable', atMs: now, task: task.index, id: task.taskId });
  return state.stop === undefined ? [{ type: 'WAKE', atMs: now + UNREACHABLE_MS }] : stopLive(state, now);
}

/** What the cluster has lost is launched again; any other end is the task's own. Rule: RUN-3. */
function onTaskEnd(state: RunState, task: RunTask, status: TaskStatus, now: number): Calls {
  state.live -= 1;
  if (isLostForUs(status) && task.attempt < state.request.maxAttempts && state.stop === undefined)
    return launchAgain(state, task, status, now);
  task.state = 'ended';
  task.exitStatus = exitStatusOf(status);
  const { index, taskId: id, exitStatus } = task;
  state.events.push({ event: 'ended', atMs: now, task: index, id, status, exitStatus });
  return finishIfDone(state);
}

function launchAgain(state: RunState, task: RunTask, status: TaskStatus, now: number): Calls {
  state.byId.delete(task.taskId);
  state.abandoned.add(task.taskId);
  const id = task.taskId;
  task.attempt += 1;
  task.taskId = taskIdOf(state.request, task.index, task.attempt);
  task.state = 'pending';
  task.agentId = undefined;
  task.launchId = undefined;
  task.unreachableSinceMs = undefined;
  state.byId.set(task.taskId, task);
  state.pending.push(task.index);
  state.events.push({ event: 'again', atMs: now, task: task.index, id, attempt: task.attempt, status });
  return settleSuppression(state);
}

/** Tasks whose agent has been away for too long count as lost. */
function giveUpUnreachable(state: RunState, now: number): Calls {
  const calls: Call[] = [];
  let nextMs = Infinity;
  for (const task of state.tasks) {
    if (task.unreachableSinceMs === undefined) continue;
    const dueMs = task.unreachableSinceMs + UNREACHABLE_MS;
    if (dueMs > now) nextMs = Math.min(nextMs, dueMs);
    else calls.push(...onTaskEnd(state, task, { taskId: task.taskId, state: 'TASK_UNREACHABLE' }, now));
  }
  return nextMs === Infinity ? calls : [...calls, { type: 'WAKE', atMs: nextMs }];
}

/** Kills what runs, again and again until it is over; what waits never starts. Rule: RUN-6. */
function stopLive(state: RunState, now: number): Calls {
  for (const index of state.pending.splice(0)) {
    const task = state.tasks[index];
    if (task !== undefined) task.state = 'ended';
  }
  // What is on an agent that is away cannot be waited for: it is killed when the agent comes back and the framework is gone.
  const live = state.tasks.filter((task) => isLive(task) && task.unreachableSinceMs === undefined);
  if (live.length === 0) return tearDown(state);
  return [
    ...live.map((task) => killOf(state, task)),
    { type: 'WAKE', atMs: now + KILL_AGAIN_MS },
    ...settleSuppression(state),
  ];
}

function killOf({ request: { graceSeconds } }: RunState, task: RunTask): Call {
  const policy = graceSeconds === undefined ? undefined : { gracePeriod: { nanoseconds: graceSeconds * 1e9 } };
  return kill(task.taskId, task.agentId, policy);
}

const isLive = ({ state }: RunTask): boolean => state === 'launched' || state === 'running';

/** The framework goes with its last task. */
function finishIfDone(state: RunState): Calls {
  return state.live > 0 || state.pending.length > 0 ? [] : tearDown(state);
}

function tearDown(state: RunState): Calls {
  if (state.tornDown) return [];
  state.tornDown = true;
  return [{ type: 'TEARDOWN' }];
}

/** The exit status of the whole run: of the first task, in their order, that did not end well. Rule: RUN-2. */
export function runStatus({ stop, tasks }: RunState): number {
  if (stop !== undefined) return stop.exitStatus;
  return tasks.find(({ exitStatus }) => exitStatus !== 0)?.exitStatus ?? 0;
}

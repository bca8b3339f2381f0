/** Task life in the master: statuses, acknowledgements, reconciliation, ends. Rules: UPD-1 to UPD-6, REC-1. */
import { epochOf, hex } from '../../protocol/ids.js';
import { registryKey, REGISTRY_VERSION, type TaskRecord } from '../../protocol/registry.js';
import type { StatusReason, Task, TaskState, TaskStatus } from '../../protocol/task.js';
import { isLegalMove, isTerminal } from '../../protocol/task-state.js';
import { log, NOTHING, type Effect, type Effects } from '../effect.js';
import type { AgentMessage, MessageOf, SchedulerMessage } from '../events.js';
import { admitAgent } from './admission.js';
import { persist, type AgentRow, type FrameworkRow, type MasterState, type TaskRow } from './master-state.js';
import { gatherAllocation } from './offers.js';
import { removeIfDone } from './frameworks.js';
import { isOfEarlierTerm, mayStillCome, rememberEnd } from './earlier-terms.js';
import { tellStatus, toAgentOf } from './send.js';
import { settledByState, settledWithoutRow, type Settled } from './stored.js';

/** Ended tasks that are kept for people to look at. */
const MAX_COMPLETED = 1_000;

/** Sets the latest state known to the agent; a terminal one frees the resources. Illegal moves are ignored. Rules: TSK-1, UPD-4. */
export function moveTask(state: MasterState, task: TaskRow, to: TaskState, now: number): Effects {
  if (!isLegalMove(task.state, to)) return NOTHING;
  task.state = to;
  if (!isTerminal(to) || task.recovered) return NOTHING;
  task.recovered = true;
  state.allocator.recover(task.frameworkId, task.agentId, task.resources);
  gatherAllocation(state, now);
  return NOTHING;
}

/** A status that the master makes: no uuid, so neither repeated nor acknowledged. It says what is known and changes nothing. */
export function statusByMaster(
  state: MasterState,
  task: TaskRow,
  to: TaskState,
  reason: StatusReason,
  message: string,
  now: number,
): Effects {
  const { taskId, agentId, launchId, frameworkId } = task;
  const framework = state.frameworks.get(frameworkId);
  if (framework?.connected !== true) return NOTHING;
  const status: TaskStatus = {
    taskId,
    state: to,
    source: 'SOURCE_MASTER',
    reason,
    message,
    agentId,
    launchId,
    timestamp: now / 1000,
    ...unreachableSince(state.agents.get(agentId)),
  };
  return [tellStatus(state, framework, status)];
}

/** Since when its agent has not been reachable, in a status about a task of it. Rule: AGT-3. */
const unreachableSince = (agent: AgentRow | undefined): Pick<TaskStatus, 'unreachableTime'> =>
  agent?.unreachableAtMs === undefined
    ? {}
    : { unreachableTime: { nanoseconds: Math.floor(agent.unreachableAtMs) * 1e6 } };

/** An agent's update: note it, then forward it. It comes again until it is acknowledged. Rules: UPD-1, UPD-4. */
export function onStatusUpdate(state: MasterState, event: MessageOf<AgentMessage, 'agent.STATUS_UPDATE'>): Effects {
  const { meta, body, now } = event;
  const admitted = admitAgent(state, meta, body.agentId, now);
  if ('refused' in admitted) return admitted.refused;
  const { status, latestState, frameworkId } = body;
  const launchId = status.launchId;
  const task = launchId === undefined ? undefined : state.tasks.get(launchId);
  const isOfAnother =
    task !== undefined &&
    (task.agentId !== body.agentId || task.frameworkId !== frameworkId || task.taskId !== status.taskId);
  const isOdd = launchId === undefined || (isTerminal(status.state) && !isTerminal(latestState));
  if (isOfAnother || isOdd || (status.agentId ?? body.agentId) !== body.agentId)
    return [log('warn', 'an update of another launch, agent or framework', { agentId: body.agentId, launchId })];
  if (task !== undefined) {
    moveTask(state, task, latestState, now);
    task.status = status;
    const uuid = status.uuid === undefined ? undefined : hex(status.uuid);
    // A repetition may cross the acknowledgement that is on its way to the agent.
    task.acknowledged = task.acknowledged && uuid === task.statusUuid;
    task.statusUuid = uuid;
  }
  const framework = state.frameworks.get(frameworkId);
  // 1. A framework is to be removed, and the write is on its way. 2. An update is acknowledged in its name. 3. The leader
  // dies, and the write with it: the framework lives on under the next one and is never told. So wait for the write.
  if (framework?.removed === true && !framework.removalStored) return NOTHING;
  // The registry may have lost it: its scheduler, which is on its way, must hear this.
  if (framework === undefined && !state.completedFrameworks.has(frameworkId) && mayStillCome(state, frameworkId, now))
    return NOTHING;
  if (framework === undefined || framework.removed)
    return task === undefined
      ? acknowledgeToAgent(settledWithoutRow(state, launchId), state, body.agentId, { frameworkId, status })
      : endTask(state, task);
  // Its row is gone, so its end is acknowledged; the id is in use again, and the word would be taken for the new launch's.
  if (task === undefined && framework.tasks.has(status.taskId))
    return acknowledgeToAgent(settledWithoutRow(state, launchId), state, body.agentId, { frameworkId, status });
  if (!framework.connected) return NOTHING;
  return [tellStatus(state, framework, status, meta.id)];
}

/** The scheduler has what it needs. Of a terminal update, first the row goes, then the word to the agent. Rules: UPD-2, UPD-3. */
export function onAcknowledge(
  state: MasterState,
  framework: FrameworkRow,
  { meta, body }: MessageOf<SchedulerMessage, 'scheduler.ACKNOWLEDGE'>,
): Effects {
  const { taskId, agentId, uuid, launchId } = body.acknowledge;
  const { frameworkId } = framework;
  const task = launchId === undefined ? framework.tasks.get(taskId) : state.tasks.get(launchId);
  if (task !== undefined && task.frameworkId !== frameworkId) return NOTHING;
  if (task === undefined) {
    // No row: its deletion is stored, and the agent asks again only because our word to it was lost.
    if (launchId !== undefined) rememberEnd(state, launchId);
    const settled = settledWithoutRow(state, launchId);
    return acknowledgeToAgent(settled, state, agentId, { frameworkId, status: { taskId, uuid, launchId } }, meta.id);
  }
  // A new leader has not seen the update yet that is acknowledged here: the agent sends it again.
  if (task.statusUuid !== hex(uuid) || task.status === undefined) return NOTHING;
  task.acknowledged = true;
  if (isTerminal(task.status.state)) return endTask(state, task, meta.id);
  const settled = settledByState(task.status.state);
  return acknowledgeToAgent(settled, state, task.agentId, { frameworkId, status: task.status }, meta.id);
}

interface Acknowledged {
  readonly frameworkId: string;
  readonly status: {
    readonly taskId: string;
    readonly uuid?: Uint8Array | undefined;
    readonly launchId?: string | undefined;
  };
}

function acknowledgeToAgent(
  settled: Settled,
  state: MasterState,
  agentId: string,
  { frameworkId, status: { taskId, uuid, launchId } }: Acknowledged,
  cause?: string,
): Effects {
  const agent = state.agents.get(agentId);
  if (agent?.state !== 'REGISTERED' || uuid === undefined) return NOTHING;
  const body = { frameworkId, taskId, uuid, ...(launchId !== undefined && { launchId }) };
  return [toAgentOf(settled, state, agent, 'STATUS_UPDATE_ACKNOWLEDGEMENT', body, cause)];
}

/** Deletes the row of a task whose terminal update is acknowledged, and only then tells the agent. Rule: UPD-3. */
function endTask(state: MasterState, task: TaskRow, cause?: string): Effects {
  if (task.deleting || task.status === undefined || !isTerminal(task.status.state)) {
    // A framework that is gone acknowledges nothing: its tasks' earlier updates are acknowledged for it.
    if (task.deleting || task.status === undefined) return NOTHING;
    const settled = settledByState(task.status.state);
    return acknowledgeToAgent(
      settled,
      state,
      task.agentId,
      { frameworkId: task.frameworkId, status: task.status },
      cause,
    );
  }
  task.deleting = true;
  const { status } = task;
  return persist(state, [{ key: registryKey('task', task.launchId) }], (current, _now, { deleted }) => {
    forgetTask(current, task);
    const word = acknowledgeToAgent(
      deleted(task),
      current,
      task.agentId,
      { frameworkId: task.frameworkId, status },
      cause,
    );
    return [...word, ...removeIfDone(current, task.frameworkId)];
  });
}

function forgetTask(state: MasterState, task: TaskRow): void {
  if (!task.recovered) state.allocator.recover(task.frameworkId, task.agentId, task.resources);
  task.recovered = true;
  rememberEnd(state, task.launchId);
  state.tasks.delete(task.launchId);
  state.agents.get(task.agentId)?.tasks.delete(task.launchId);
  const framework = state.frameworks.get(task.frameworkId);
  if (framework?.tasks.get(task.taskId) === task) framework.tasks.delete(task.taskId);
  complete(state, viewTask(task));
}

/** Keeps an ended task for people. */
export function complete(state: MasterState, view: Task): void {
  state.completedTasks.push(view);
  state.completedCount += 1;
  if (state.completedTasks.length > MAX_COMPLETED * 1.25)
    state.completedTasks.splice(0, state.completedTasks.length - MAX_COMPLETED);
}

/** What the registry keeps of a task. */
export function recordOf(task: TaskRow): TaskRecord {
  const { launchId, taskId, name, frameworkId, agentId, labels, killPolicy, kill, executorId, containerId } = task;
  return {
    schemaVersion: REGISTRY_VERSION,
    launchId,
    taskId,
    name,
    frameworkId,
    agentId,
    resources: task.resources.toArray(),
    ...(labels && { labels }),
    ...(killPolicy && { killPolicy }),
    ...(executorId !== undefined && { executorId }),
    ...(containerId !== undefined && { containerId }),
    ...(kill && { kill: { ...(kill.killPolicy && { killPolicy: kill.killPolicy }) } }),
  };
}

/** A task as Mesos v1 shows it. */
export function viewTask(task: TaskRow): Task {
  const { taskId, name, frameworkId, agentId, launchId, labels, killPolicy, status } = task;
  return {
    taskId,
    name,
    frameworkId,
    agentId,
    launchId,
    state: task.state,
    resources: task.resources.toArray(),
    executorId: task.executorId ?? taskId,
    ...(labels && { labels }),
    ...(killPolicy && { killPolicy }),
    ...(status && { statuses: [status], statusUpdateState: status.state }),
  };
}

/** Explicit for the tasks named, else implicit for all that are known. Silence means "ask again". Rule: REC-1. */
export function onReconcile(
  state: MasterState,
  framework: FrameworkRow,
  { body, now }: MessageOf<SchedulerMessage, 'scheduler.RECONCILE'>,
): Effects {
  const asked = body.reconcile.tasks ?? [];
  if (asked.length > 0) {
    const anyAway = isAnyAway(state);
    return asked.flatMap(({ taskId, agentId }) => reconcileOne(state, framework, taskId, agentId, now, anyAway));
  }
  const effects: Effect[] = [];
  for (const task of framework.tasks.values()) effects.push(...reconcileKnown(state, task, now));
  return effects;
}

/**
 * What may be told of a task without a word of its agent: the last status forwarded, or the latest state. A terminal
 * state is the agent's alone to tell: 1. the agent has RUNNING unacknowledged and FINISHED behind it, and its list says
 * FINISHED; 2. a reconciliation that told FINISHED would be followed by the RUNNING. The agent's own word comes anyway.
 */
function stateToTell(task: TaskRow, epoch: number, isUnreachable: boolean): TaskState | undefined {
  const forwarded = task.status?.state;
  if (forwarded !== undefined && isTerminal(forwarded)) return forwarded;
  // The agent's own word is on its way, and comes before whatever its list says.
  if (forwarded === undefined && task.updateWaits && !isUnreachable) return undefined;
  if (isUnreachable) return 'TASK_UNREACHABLE';
  if (forwarded !== undefined) return forwarded;
  // STAGING of an earlier term says only that nothing was heard in this one: its end may have been told before.
  if (task.state === 'TASK_STAGING' && epochOf(task.launchId) !== epoch) return undefined;
  return isTerminal(task.state) ? undefined : task.state;
}

export function reconcileKnown(state: MasterState, task: TaskRow, now: number): Effects {
  const agent = state.agents.get(task.agentId);
  // Until its agent is back in this term, the registry alone cannot tell. Rule: LCH-3.
  if (!task.stored || isAway(agent)) return NOTHING;
  const known = stateToTell(task, state.epoch, agent?.state === 'UNREACHABLE');
  if (known === undefined) return NOTHING;
  return statusByMaster(state, task, known, 'REASON_RECONCILIATION', 'Latest state known.', now);
}

const isAway = (agent: AgentRow | undefined): boolean =>
  agent?.state === 'RECOVERED' ||
  agent?.state === 'ADMITTING' ||
  // Until the registry has it, it may still not come to be. Rule: AGT-9.
  (agent?.state === 'UNREACHABLE' && !agent.unreachableStored);

/** Whether any agent has still to come in this term: what nobody knows may be on it. Asked once a call. */
export const isAnyAway = (state: MasterState): boolean => [...state.agents.values()].some(isAway);

/** The table of Mesos: the first row that matches answers. */
export function reconcileOne(
  state: MasterState,
  framework: FrameworkRow,
  taskId: string,
  agentId: string | undefined,
  now: number,
  anyAway: boolean,
): Effects {
  const task = framework.tasks.get(taskId);
  if (task !== undefined) return reconcileKnown(state, task, now);
  const agent = agentId === undefined ? undefined : state.agents.get(agentId);
  if (agentId === undefined ? anyAway : isAway(agent)) return NOTHING;
  // Nor of an agent that the registry may have lost.
  if (agent === undefined && isOfEarlierTerm(state, agentId ?? framework.frameworkId))
    if (mayStillCome(state, framework.frameworkId, now)) return NOTHING;
  const answer: TaskState =
    agent === undefined ? 'TASK_UNKNOWN' : agent.state === 'UNREACHABLE' ? 'TASK_UNREACHABLE' : 'TASK_GONE';
  const status: TaskStatus = {
    taskId,
    state: answer,
    source: 'SOURCE_MASTER',
    reason: 'REASON_RECONCILIATION',
    message: 'The master has no such task.',
    ...(agentId !== undefined && { agentId }),
    timestamp: now / 1000,
    ...unreachableSince(agent),
  };
  return [tellStatus(state, framework, status)];
}

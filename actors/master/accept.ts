/** ACCEPT: the offers are checked, the operations walked in order, the rest goes back. Rules: ACC-1 to ACC-5. */
import { errorBody } from '../../protocol/errors.js';
import { executorContainerOf, launchIdOf } from '../../protocol/ids.js';
import { MAX_TASKS_PER_CALL } from '../../protocol/limits.js';
import type { Operation } from '../../protocol/offer.js';
import { registryKey } from '../../protocol/registry.js';
import { Resources } from '../../protocol/resources.js';
import type { StatusReason, TaskInfo, TaskState, TaskStatus } from '../../protocol/task.js';
import { NOTHING, type Effect, type Effects } from '../effect.js';
import type { MessageOf, SchedulerMessage } from '../events.js';
import {
  newTaskRow,
  persist,
  type AgentRow,
  type ExecutorRow,
  type FrameworkRow,
  type MasterState,
  type OfferRow,
  type TaskRow,
} from './master-state.js';
import { dropOffer, gatherAllocation, refusal } from './offers.js';
import { claimExecutor, dropExecutor, executorWrite } from './executors.js';
import { removeIfDone } from './frameworks.js';
import { forwardKill } from './kills.js';
import { tellStatus, toAgentOf, toScheduler } from './send.js';
import type { Stored } from './stored.js';
import { complete, recordOf, viewTask } from './tasks.js';
import { launchResources, taskError, taskResources, tasksOf } from './validation.js';

type Accept = MessageOf<SchedulerMessage, 'scheduler.ACCEPT'>;

/** Whom a call comes from, and when. */
interface Context {
  readonly state: MasterState;
  readonly framework: FrameworkRow;
  readonly cause: string;
  readonly now: number;
}

/** What the walk over the operations carries. */
interface Walk extends Context {
  readonly agent: AgentRow;
  readonly role: string;
  remaining: Resources;
  readonly launched: Set<string>;
}

export function onAccept(state: MasterState, framework: FrameworkRow, { meta, body, now }: Accept): Effects {
  const { offerIds, operations = [], filters } = body.accept;
  const count = tasksOf(operations).length;
  if (count > MAX_TASKS_PER_CALL) {
    const error = errorBody('INVALID_MESSAGE', `ACCEPT: ${count} tasks; a call may launch ${MAX_TASKS_PER_CALL}.`);
    return [toScheduler(state, framework, 'ERROR', error, meta.id)];
  }
  const named = offerIds.map((offerId) => state.offers.get(offerId));
  const wrong = offersError(state, framework, offerIds, named);
  const rows = named.filter((row) => row?.frameworkId === framework.frameworkId) as OfferRow[];
  // Between the check and the use there is no step: the offers are gone at once.
  for (const row of new Set(rows)) dropOffer(state, row);
  if (wrong !== undefined) {
    for (const row of new Set(rows)) state.allocator.recover(row.frameworkId, row.agentId, row.resources);
    gatherAllocation(state, now);
    const context = { state, framework, cause: meta.id, now };
    return operations.flatMap((operation) => drop(context, operation, wrong));
  }
  const first = rows[0] as OfferRow;
  const agent = state.agents.get(first.agentId) as AgentRow;
  const remaining = rows.reduce((sum, row) => sum.add(row.resources), Resources.empty);
  const walk: Walk = { state, framework, agent, role: first.role, remaining, launched: new Set(), cause: meta.id, now };
  const effects = operations.flatMap((operation) => apply(walk, operation));
  if (!walk.remaining.isEmpty) {
    const refused = refusal(state, first.role, filters, now);
    state.allocator.recover(framework.frameworkId, first.agentId, walk.remaining, refused);
    gatherAllocation(state, now);
  }
  return effects;
}

/** Of an ACCEPT without valid offers everything is dropped, with a word on each task and on each operation that has an id. */
function drop(context: Context, operation: Operation, wrong: string): Effects {
  const tasks = tasksOf([operation]);
  if (tasks.length === 0) return operationError(context, operation, wrong);
  return tasks.map((task) => failure(context, task, 'TASK_DROPPED', 'REASON_INVALID_OFFERS', wrong));
}

/** All must pass, else the whole call is dropped. Rule: ACC-1. */
function offersError(
  state: MasterState,
  framework: FrameworkRow,
  offerIds: readonly string[],
  rows: readonly (OfferRow | undefined)[],
): string | undefined {
  const [first] = rows;
  if (offerIds.length === 0) return 'The call names no offers.';
  if (new Set(offerIds).size !== offerIds.length) return 'An offer is named twice.';
  const gone = rows.findIndex((row) => row === undefined);
  if (gone >= 0 || first === undefined) return `Offer ${offerIds[gone]} is no longer valid.`;
  for (const row of rows) {
    if (row?.frameworkId !== framework.frameworkId) return `Offer ${row?.offerId} is of another framework.`;
    if (row.role !== first.role) return 'The offers are of more than one role.';
    if (row.agentId !== first.agentId) return 'The offers are of more than one agent.';
  }
  return state.agents.get(first.agentId)?.state === 'REGISTERED' ? undefined : 'The agent is not connected.';
}

function apply(walk: Walk, operation: Operation): Effects {
  switch (operation.type) {
    case 'LAUNCH': {
      const tasks = operation.launch.taskInfos ?? [];
      if (operation.id === undefined) return tasks.flatMap((task) => launch(walk, task));
      return tasks.map((task) => failure(walk, task, 'TASK_ERROR', 'REASON_TASK_INVALID', 'LAUNCH takes no id.'));
    }
    case 'LAUNCH_GROUP': {
      const tasks = operation.launchGroup.taskGroup.tasks ?? [];
      const wrong = 'Task groups are not supported yet.';
      return tasks.map((task) => failure(walk, task, 'TASK_ERROR', 'REASON_TASK_GROUP_INVALID', wrong));
    }
    default:
      return operationError(walk, operation, `${operation.type} is not supported yet.`);
  }
}

/** An operation that is refused is refused with a word, where the framework asked for one. */
function operationError(
  { state, framework, agent, cause }: Context & { readonly agent?: AgentRow },
  { id }: Operation,
  message: string,
): Effects {
  if (id === undefined) return NOTHING;
  const status = {
    operationId: id,
    state: 'OPERATION_ERROR' as const,
    message,
    ...(agent !== undefined && { agentId: agent.agentId }),
  };
  return [toScheduler(state, framework, 'UPDATE_OPERATION_STATUS', { updateOperationStatus: { status } }, cause)];
}

/** One task: checked alone, a row of its own, a registry decision of its own. Rules: ACC-3, ACC-4, REG-1. */
function launch(walk: Walk, info: TaskInfo): Effects {
  const { state, framework, agent, role, remaining, launched } = walk;
  const { agentId } = agent;
  const wrong = taskError(info, { framework, agentId, agent, role, remaining, launched });
  if (wrong !== undefined) return [failure(walk, info, 'TASK_ERROR', 'REASON_TASK_INVALID', wrong)];
  const resources = taskResources(info, role);
  walk.remaining = remaining.subtract(launchResources(info, walk));
  launched.add(info.taskId);
  const launchId = launchIdOf(state.masterId, ++state.counters.launch);
  const executor = claimExecutor(state, agent, framework.frameworkId, info, role, launchId);
  const task = taskRowOf(launchId, framework, agent, info, resources, executor?.row);
  state.tasks.set(task.launchId, task);
  framework.tasks.set(task.taskId, task);
  agent.tasks.set(task.launchId, task);
  const write = { key: registryKey('task', task.launchId), record: recordOf(task) };
  const writes = executor?.isNew === true ? [executorWrite(executor.row), write] : [write];
  return persist(state, writes, (current, now, { stored }) => {
    if (executor?.isNew === true) stored(executor.row);
    return onTaskStored(current, stored(task), walk.cause, now);
  });
}

function taskRowOf(
  launchId: string,
  { frameworkId }: FrameworkRow,
  { agentId }: AgentRow,
  info: TaskInfo,
  resources: Resources,
  executor: ExecutorRow | undefined,
): TaskRow {
  return newTaskRow({
    launchId,
    taskId: info.taskId,
    name: info.name,
    frameworkId,
    agentId,
    resources,
    labels: info.labels,
    killPolicy: info.killPolicy,
    executorId: executor?.executorId,
    containerId: executor?.containerId,
    info,
  });
}

/** The registry has the row: only now may the agent hear of it. Rule: REG-3. */
function onTaskStored(state: MasterState, task: Stored<TaskRow>, cause: string, now: number): Effects {
  const framework = state.frameworks.get(task.frameworkId);
  if (framework === undefined || framework.removed) return dropUnsent(state, task, now);
  const agent = state.agents.get(task.agentId);
  // An agent that is away learns of the launch when it comes back: it is in the list that it then gets. Rule: LCH-2.
  if (agent?.state !== 'REGISTERED') return NOTHING;
  return [runTask(state, framework, agent, task, cause), ...forwardKill(state, task)];
}

function runTask(
  state: MasterState,
  framework: FrameworkRow,
  agent: AgentRow,
  task: Stored<TaskRow>,
  cause: string,
): Effect {
  const { frameworkId, launchId, info } = task;
  const { containerId } = task;
  const executor = containerId === undefined ? undefined : state.executors.get(containerId);
  // With the role that they are allocated to: what the agent tells of it must be enough for a row. Rule: AGT-8.
  const allocated = { ...(info as TaskInfo), resources: task.resources.toArray() };
  const body = {
    ...{ frameworkId, frameworkInfo: framework.info, task: allocated, launchId },
    ...(executor && { executor: { ...executor.info, resources: executor.resources.toArray() } }),
    ...(containerId !== undefined && { containerId }),
  };
  // From here on the agent has it: what RUN_TASK carried is not kept here.
  task.info = undefined;
  return toAgentOf(task, state, agent, 'RUN_TASK', body, cause);
}

/** The framework was torn down while the row was on its way: nobody has heard of the task, so the row just goes. */
function dropUnsent(state: MasterState, task: TaskRow, now: number): Effects {
  task.deleting = true;
  const writes = [{ key: registryKey('task', task.launchId) }];
  // Nobody has heard of its executor either.
  const executor = state.executors.get(executorContainerOf(task.launchId));
  if (executor !== undefined) {
    dropExecutor(state, executor, now);
    writes.push({ key: registryKey('executor', executor.containerId) });
  }
  return persist(state, writes, (current) => {
    current.tasks.delete(task.launchId);
    current.agents.get(task.agentId)?.tasks.delete(task.launchId);
    current.frameworks.get(task.frameworkId)?.tasks.delete(task.taskId);
    if (!task.recovered) current.allocator.recover(task.frameworkId, task.agentId, task.resources);
    task.recovered = true;
    complete(current, viewTask({ ...task, state: 'TASK_KILLED' }));
    return removeIfDone(current, task.frameworkId);
  });
}

/** A task that will not be launched: a status of the master's own. */
function failure(
  { state, framework, cause, now }: Context,
  task: TaskInfo,
  to: TaskState,
  reason: StatusReason,
  message: string,
): Effect {
  const status: TaskStatus = {
    taskId: task.taskId,
    state: to,
    source: 'SOURCE_MASTER',
    reason,
    message,
    agentId: task.agentId,
    timestamp: now / 1000,
  };
  return tellStatus(state, framework, status, cause);
}

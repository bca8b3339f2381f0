/** Rows that the registry lost, given back from what agents run: JetStream may come back older than what happened. Rule: AGT-8. */
import type { AgentExecutor, AgentTask, ExecutorRef } from '../../protocol/agent-api.js';
import { registryKey } from '../../protocol/registry.js';
import { Resources, resourcesError } from '../../protocol/resources.js';
import { log, NOTHING, type Effects } from '../effect.js';
import { isOfEarlierTerm } from './earlier-terms.js';
import { addExecutor, endMissingExecutors, executorWrite, newExecutorRow } from './executors.js';
import { awaitReturn, newFrameworkRow, recordOf as frameworkRecord, returnGraceMs } from './frameworks.js';
import type { Inventory } from './inventory.js';
import {
  newTaskRow,
  persist,
  type AfterStored,
  type ExecutorRow,
  type FrameworkRow,
  type MasterState,
  type TaskRow,
} from './master-state.js';
import type { Witness } from './stored.js';
import { recordOf } from './tasks.js';

/** Records that are written as one decision: each stands alone, so that a long list does not need to be one. */
const RECORDS_PER_WRITE = 500;

/**
 * What an agent has and the registry lacks. What has ended needs its row, too, until its end is acknowledged: 1. the registry goes back,
 * and a task ends; 2. its scheduler asks for it, before the agent's word has come, or while RUNNING is still to be told before it;
 * 3. without a row the answer would be GONE, and then would come what it really is.
 */
export function lostLaunches(state: MasterState, { told }: Inventory): AgentTask[] {
  return [...told.values()].filter(
    ({ launchId, frameworkId, resources = [] }) =>
      !state.tasks.has(launchId) &&
      isOfEarlierTerm(state, launchId) &&
      !state.endedLaunches.has(launchId) &&
      mayHaveRows(state, frameworkId) &&
      resourcesError(resources) === undefined,
  );
}

/** Whether an executor that an agent runs has to get its row back. */
export const isLostExecutor = (
  state: MasterState,
  { containerId, frameworkId }: Pick<ExecutorRef, 'containerId' | 'frameworkId'>,
): boolean =>
  !state.executors.has(containerId) &&
  isOfEarlierTerm(state, containerId) &&
  !state.endedLaunches.has(containerId) &&
  mayHaveRows(state, frameworkId);

/** Not a framework that was removed in this term, with all its rows: what is left of it is told to end. */
const mayHaveRows = (state: MasterState, frameworkId: string): boolean =>
  !state.completedFrameworks.has(frameworkId) &&
  (state.frameworks.has(frameworkId) || isOfEarlierTerm(state, frameworkId));

/** What the registry lacks of an agent, and the executors that run there. */
interface Lost {
  readonly launches: readonly AgentTask[];
  readonly executors: readonly AgentExecutor[];
  readonly running: readonly ExecutorRef[];
}

/** Stores the rows, and goes on when the registry has them. Rule: REG-3. */
export function restoreRows(state: MasterState, agentId: string, lost: Lost, then: AfterStored): Effects {
  const tasks = lost.launches.map((launch) => lostTask(agentId, launch));
  const executors = lost.executors.map((executor) => lostExecutor(agentId, executor));
  const frameworkIds = [...new Set([...tasks, ...executors].map(({ frameworkId }) => frameworkId))].filter(
    (frameworkId) => !state.frameworks.has(frameworkId),
  );
  const writes = [
    ...frameworkIds.map((id) => ({ key: registryKey('framework', id), record: frameworkRecord(lostFramework(id)) })),
    ...executors.map(executorWrite),
    ...tasks.map((task) => ({ key: registryKey('task', task.launchId), record: recordOf(task) })),
  ];
  const effects = [...restored(agentId, tasks, executors, frameworkIds)];
  for (let at = 0; at < writes.length; at += RECORDS_PER_WRITE) {
    const isLast = at + RECORDS_PER_WRITE >= writes.length;
    const settle: AfterStored = (current, now, witness) => {
      if (!isLast) return NOTHING;
      for (const task of tasks) addRow(current, task, now, witness);
      // An older run of one that is given back may still have its row: its resources are free before those of the new one count.
      const ended = executors.length === 0 ? NOTHING : endMissingExecutors(current, agentId, lost.running, now);
      for (const executor of executors) addExecutorRow(current, executor, now, witness);
      return [...ended, ...then(current, now, witness)];
    };
    effects.push(...persist(state, writes.slice(at, at + RECORDS_PER_WRITE), settle));
  }
  return effects;
}

const restored = (
  agentId: string,
  tasks: readonly TaskRow[],
  executors: readonly ExecutorRow[],
  frameworkIds: readonly string[],
): Effects => [
  log('warn', 'the registry lacked what an agent runs; its rows are given back', {
    agentId,
    tasks: tasks.length,
    executors: executors.length,
    frameworkIds,
  }),
];

const lostTask = (agentId: string, { launchId, taskId, frameworkId, ...known }: AgentTask): TaskRow =>
  newTaskRow({
    launchId,
    taskId,
    name: known.name ?? taskId,
    frameworkId,
    agentId,
    resources: Resources.of(known.resources ?? []),
    labels: known.labels,
    killPolicy: known.killPolicy,
    executorId: known.executorId,
    containerId: known.containerId,
    info: undefined,
  });

const lostExecutor = (agentId: string, { containerId, frameworkId, info }: AgentExecutor): ExecutorRow =>
  newExecutorRow(containerId, agentId, frameworkId, info, Resources.of(info.resources ?? []));

/** Two questions of one agent may both have asked for it, and it may have ended since. */
function addRow(state: MasterState, task: TaskRow, now: number, witness: Witness): void {
  if (state.tasks.has(task.launchId) || state.endedLaunches.has(task.launchId)) return;
  witness.stored(task);
  state.tasks.set(task.launchId, task);
  state.agents.get(task.agentId)?.tasks.set(task.launchId, task);
  const framework = state.frameworks.get(task.frameworkId) ?? addLostFramework(state, task.frameworkId, now, witness);
  // Its scheduler may have launched another under this id when it was told that nobody knows of the first.
  if (!framework.tasks.has(task.taskId)) framework.tasks.set(task.taskId, task);
}

function addExecutorRow(state: MasterState, executor: ExecutorRow, now: number, witness: Witness): void {
  if (!isLostExecutor(state, executor)) return;
  witness.stored(executor);
  addExecutor(state, state.agents.get(executor.agentId), executor);
  if (!state.frameworks.has(executor.frameworkId)) addLostFramework(state, executor.frameworkId, now, witness);
}

/** Nobody knows whose it is: of the first that subscribes under its id, as of any id of an earlier term. Rule: FRW-3. */
const lostFramework = (frameworkId: string): FrameworkRow =>
  Object.assign(newFrameworkRow(frameworkId, '', { user: '', name: '?', id: frameworkId }), {
    recovered: true,
  });

/** A framework of which only tasks are left awaits its scheduler, as after any takeover: its tasks run on. */
export function addLostFramework(
  state: MasterState,
  frameworkId: string,
  now: number,
  { stored }: Witness,
): FrameworkRow {
  const row = stored(lostFramework(frameworkId));
  state.frameworks.set(frameworkId, row);
  state.allocator.addFramework(frameworkId, row.info, []);
  awaitReturn(state, row, now, returnGraceMs(state));
  return row;
}

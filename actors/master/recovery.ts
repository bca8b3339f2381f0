/** The beginning of a term: rows from the registry's copy, then a word to everybody. Rules: REG-2, LCH-3, FRW-4. */
import {
  registryRecord,
  type AgentRecord,
  type ExecutorRecord,
  type FrameworkRecord,
  type TaskRecord,
} from '../../protocol/registry.js';
import { Resources } from '../../protocol/resources.js';
import { log, type Effects } from '../effect.js';
import type { Stamp } from '../events.js';
import { newAgentRow } from './agents.js';
import { addExecutor, newExecutorRow } from './executors.js';
import { awaitReturn, newFrameworkRow, removeIfDone, returnGraceMs } from './frameworks.js';
import { inviteAgents } from './invitations.js';
import { announce } from './leadership.js';
import { addLostFramework } from './lost-rows.js';
import { newTaskRow, type MasterState } from './master-state.js';
import { WITNESS } from './stored.js';

export function beginTerm(state: MasterState, event: Stamp): Effects {
  state.registryInDoubt = state.epochRecord?.inDoubt === true;
  const tasks: TaskRecord[] = [];
  const executors: ExecutorRecord[] = [];
  for (const [key, value] of state.copy) {
    const record = registryRecord(key, value);
    if (record.kind === 'agent') recoverAgent(state, record.value);
    else if (record.kind === 'framework') recoverFramework(state, record.value, event.now);
    else if (record.kind === 'executor') executors.push(record.value);
    else if (record.kind === 'task') tasks.push(record.value);
  }
  for (const task of tasks) recoverTask(state, task, event.now);
  for (const executor of executors) recoverExecutor(state, executor, event.now);
  state.copy.clear();
  // 1. A framework is torn down and its last task ends. 2. The leader dies before it deletes the framework's row. 3. No
  // further task will end and ask for the deletion: the new leader asks for it itself.
  const done = [...state.frameworks.keys()].flatMap((frameworkId) => removeIfDone(state, frameworkId));
  state.deadlines.set('heartbeat', event.now + state.config.timings.heartbeatIntervalMs);
  const alarm = state.registryInDoubt
    ? [log('error', 'the registry went back: nothing is torn down until it is trusted')]
    : [];
  return [...announce(state, event), ...alarm, ...inviteAgents(state, event.now), ...done];
}

/** One that was unreachable still is: it is not waited for, and what runs there is told as UNREACHABLE. Rule: AGT-9. */
function recoverAgent(state: MasterState, { agentId, principal, agentInfo, unreachableAtMs }: AgentRecord): void {
  const row = WITNESS.stored(newAgentRow(agentId, principal, agentInfo));
  if (unreachableAtMs !== undefined) {
    row.state = 'UNREACHABLE';
    row.unreachableAtMs = unreachableAtMs;
    row.unreachableStored = true;
  }
  state.agents.set(agentId, row);
  const other = state.agentsByPrincipal.get(principal);
  // Of two rows of one principal the one that is not away is the later.
  const isFormer = other !== undefined && row.state === 'UNREACHABLE';
  if (other !== undefined) state.formerAgents.add(isFormer ? row : other);
  if (!isFormer) state.agentsByPrincipal.set(principal, row);
}

function recoverFramework(state: MasterState, record: FrameworkRecord, now: number): void {
  const { frameworkId, principal, frameworkInfo, removed } = record;
  const row = newFrameworkRow(frameworkId, principal, frameworkInfo);
  row.recovered = true;
  WITNESS.stored(row);
  row.removed = removed === true;
  if (row.removed) WITNESS.removed(row);
  state.frameworks.set(frameworkId, row);
  state.allocator.addFramework(frameworkId, frameworkInfo, []);
  if (row.removed) return;
  // 1. A leader dies. 2. The word of the new one is lost on its way to a scheduler that tolerates no absence. 3. Its tasks
  // would be killed before it can have noticed: so its time begins when it must have.
  awaitReturn(state, row, now, returnGraceMs(state));
}

/** An executor whose framework the registry lost is kept alive for it. Rule: AGT-8. */
function recoverExecutor(state: MasterState, record: ExecutorRecord, now: number): void {
  const { containerId, agentId, frameworkId, info, resources } = record;
  if (!state.frameworks.has(frameworkId)) addLostFramework(state, frameworkId, now, WITNESS);
  const row = WITNESS.stored(newExecutorRow(containerId, agentId, frameworkId, info, Resources.of(resources)));
  addExecutor(state, state.agents.get(agentId), row);
}

/** A task whose framework the registry lost is kept alive for it. Rule: AGT-8. */
function recoverTask(state: MasterState, record: TaskRecord, now: number): void {
  const { launchId, taskId, frameworkId, agentId } = record;
  const framework = state.frameworks.get(frameworkId) ?? addLostFramework(state, frameworkId, now, WITNESS);
  const row = newTaskRow({
    launchId,
    taskId,
    name: record.name,
    frameworkId,
    agentId,
    resources: Resources.of(record.resources),
    labels: record.labels,
    killPolicy: record.killPolicy,
    executorId: record.executorId,
    containerId: record.containerId,
    info: undefined,
  });
  WITNESS.stored(row);
  if (record.kill !== undefined) row.kill = { killPolicy: record.kill.killPolicy, cause: undefined, stored: true };
  state.tasks.set(launchId, row);
  framework.tasks.set(taskId, row);
  const agent = state.agents.get(agentId);
  agent?.tasks.set(launchId, row);
  if (agent?.state === 'UNREACHABLE') row.state = 'TASK_UNREACHABLE';
}

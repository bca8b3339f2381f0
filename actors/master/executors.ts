/** Executors in the master: stored with their first task, counted once, gone when their agent says so. Rules: EXC-6, EXC-8 to EXC-10. */
import type { ExecutorRef } from '../../protocol/agent-api.js';
import type { ExecutorInfo } from '../../protocol/executor.js';
import { executorContainerOf } from '../../protocol/ids.js';
import { registryKey, REGISTRY_VERSION, type ExecutorRecord } from '../../protocol/registry.js';
import { Resources } from '../../protocol/resources.js';
import type { TaskInfo } from '../../protocol/task.js';
import { NOTHING, type Effects, type RegistryWrite } from '../effect.js';
import type { AgentMessage, MessageOf, SchedulerMessage } from '../events.js';
import { admitAgent } from './admission.js';
import { rememberEnd } from './earlier-terms.js';
import { removeIfDone } from './frameworks.js';
import {
  executorName,
  persist,
  type AgentRow,
  type ExecutorRow,
  type FrameworkRow,
  type MasterState,
} from './master-state.js';
import { gatherAllocation } from './offers.js';
import { toAgent, toScheduler } from './send.js';

/** The info as it is stored: whose it is is filled in, as Mesos does. */
export const wholeInfo = (info: ExecutorInfo, frameworkId: string): ExecutorInfo => ({ ...info, frameworkId });

/** An executor's resources under the role of its offers. */
export const executorResources = (info: ExecutorInfo, role: string): Resources =>
  Resources.of(info.resources ?? [])
    .unallocate()
    .allocate(role);

/** The executor of a task: the one that runs already, or a new one, which its first task's launch is to start. */
export function claimExecutor(
  state: MasterState,
  agent: AgentRow,
  frameworkId: string,
  { executor }: TaskInfo,
  role: string,
  launchId: string,
): { row: ExecutorRow; isNew: boolean } | undefined {
  if (executor === undefined) return undefined;
  const info = wholeInfo(executor, frameworkId);
  const running = agent.executors.get(executorName(frameworkId, info.executorId));
  if (running !== undefined) return { row: running, isNew: false };
  const resources = executorResources(info, role);
  const row = newExecutorRow(executorContainerOf(launchId), agent.agentId, frameworkId, info, resources);
  addExecutor(state, agent, row);
  return { row, isNew: true };
}

export const newExecutorRow = (
  containerId: string,
  agentId: string,
  frameworkId: string,
  info: ExecutorInfo,
  resources: Resources,
): ExecutorRow => ({
  ...{ containerId, agentId, frameworkId, executorId: info.executorId, info, resources },
  stored: false,
});

export function addExecutor(state: MasterState, agent: AgentRow | undefined, row: ExecutorRow): void {
  state.executors.set(row.containerId, row);
  agent?.executors.set(executorName(row.frameworkId, row.executorId), row);
}

/** The executors of an agent, whose own row the registry may have lost. */
function executorsOn(state: MasterState, agentId: string): ExecutorRow[] {
  const agent = state.agents.get(agentId);
  return [...(agent?.executors ?? state.executors).values()].filter((row) => row.agentId === agentId);
}

/** Part of the decision that stores the first task. Rules: EXC-9, REG-1. */
export function executorWrite({ containerId, agentId, frameworkId, info, resources }: ExecutorRow): RegistryWrite {
  const record: ExecutorRecord = {
    schemaVersion: REGISTRY_VERSION,
    ...{ containerId, agentId, frameworkId, info },
    resources: resources.toArray(),
  };
  return { key: registryKey('executor', containerId), record };
}

/** Takes an executor's row out of every table; its resources are free. Rule: EXC-9. */
export function dropExecutor(state: MasterState, row: ExecutorRow, now: number): void {
  const { containerId, agentId, frameworkId, executorId } = row;
  if (!state.executors.delete(containerId)) return;
  rememberEnd(state, containerId);
  const named = state.agents.get(agentId)?.executors;
  if (named?.get(executorName(frameworkId, executorId)) === row) named.delete(executorName(frameworkId, executorId));
  state.allocator.recover(frameworkId, agentId, row.resources);
  gatherAllocation(state, now);
}

function endExecutor(state: MasterState, row: ExecutorRow, now: number, status?: number): Effects {
  const { containerId, agentId, frameworkId, executorId } = row;
  dropExecutor(state, row, now);
  const framework = state.frameworks.get(frameworkId);
  const failure = { agentId, executorId, ...(status !== undefined && { status }) };
  const told: Effects =
    framework?.connected === true ? [toScheduler(state, framework, 'FAILURE', { failure })] : NOTHING;
  const gone = persist(state, [{ key: registryKey('executor', containerId) }], (current) =>
    removeIfDone(current, frameworkId),
  );
  return [...told, ...gone];
}

export function onExitedExecutor(
  state: MasterState,
  { meta, body, now }: MessageOf<AgentMessage, 'agent.EXITED_EXECUTOR'>,
): Effects {
  const admitted = admitAgent(state, meta, body.agentId, now);
  if ('refused' in admitted) return admitted.refused;
  const row = state.executors.get(body.containerId);
  return row?.agentId === body.agentId ? endExecutor(state, row, now, body.status) : NOTHING;
}

/**
 * An agent that is back has these. Of the others that are stored it has never heard, or they have ended, and none of them
 * can start any more: what would start it is a launch that the agent now refuses. Rule: EXC-8.
 */
export function endMissingExecutors(
  state: MasterState,
  agentId: string,
  listed: readonly ExecutorRef[],
  now: number,
): Effects {
  const there = new Set(listed.map(({ containerId }) => containerId));
  const missing = executorsOn(state, agentId).filter((row) => row.stored && !there.has(row.containerId));
  return missing.flatMap((row) => endExecutor(state, row, now));
}

/** Asks the agent to end one executor; an unreliable word, as a KILL is. Rule: EXC-6. */
export function onShutdown(
  state: MasterState,
  { frameworkId }: FrameworkRow,
  { meta, body }: MessageOf<SchedulerMessage, 'scheduler.SHUTDOWN'>,
): Effects {
  const { agentId, executorId } = body.shutdown;
  const agent = state.agents.get(agentId);
  if (agent?.state !== 'REGISTERED') return NOTHING;
  return [toAgent(state, agent, 'SHUTDOWN_EXECUTOR', { frameworkId, executorId }, meta.id)];
}

/** From a scheduler to its executor. Rule: EXC-10. */
export function onSchedulerMessage(
  state: MasterState,
  { frameworkId }: FrameworkRow,
  { meta, body }: MessageOf<SchedulerMessage, 'scheduler.MESSAGE'>,
): Effects {
  const { agentId, executorId, data } = body.message;
  const agent = state.agents.get(agentId);
  if (agent?.state !== 'REGISTERED') return NOTHING;
  return [toAgent(state, agent, 'EXECUTOR_MESSAGE', { frameworkId, executorId, data }, meta.id)];
}

/** From an executor to its scheduler. Rule: EXC-10. */
export function onExecutorMessage(
  state: MasterState,
  { meta, body, now }: MessageOf<AgentMessage, 'agent.EXECUTOR_MESSAGE'>,
): Effects {
  const admitted = admitAgent(state, meta, body.agentId, now);
  if ('refused' in admitted) return admitted.refused;
  const { agentId, frameworkId, executorId, data } = body;
  const framework = state.frameworks.get(frameworkId);
  if (framework?.connected !== true) return NOTHING;
  return [toScheduler(state, framework, 'MESSAGE', { message: { agentId, executorId, data } }, meta.id)];
}

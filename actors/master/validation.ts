/** What makes a task unfit to launch: each check returns a sentence or nothing. Source: the checks of Mesos, in its order. Rule: ACC-3. */
import { sizeError } from '../../protocol/codec.js';
import type { ExecutorInfo } from '../../protocol/executor.js';
import type { Operation } from '../../protocol/offer.js';
import { Resources, resourcesError } from '../../protocol/resources.js';
import { isId } from '../../protocol/schema.js';
import type { TaskInfo } from '../../protocol/task.js';
import { commandError, executorError } from './executor-validation.js';
import { executorResources } from './executors.js';
import { executorName, type AgentRow, type ExecutorRow, type FrameworkRow } from './master-state.js';

/** What the checks of one task look at. */
export interface LaunchContext {
  readonly framework: FrameworkRow;
  readonly agentId: string;
  readonly agent: Pick<AgentRow, 'executors'>;
  /** Allocation role of the offers. */
  readonly role: string;
  /** What is left of them. */
  readonly remaining: Resources;
  /** Ids of tasks launched by this same call. */
  readonly launched: ReadonlySet<string>;
}

type TaskCheck = (task: TaskInfo, context: LaunchContext) => string | undefined;

const negative = (duration: { nanoseconds: number } | undefined): boolean => (duration?.nanoseconds ?? 0) < 0;

const CHECKS: readonly TaskCheck[] = [
  (task) => (isId(task.taskId) ? undefined : 'the task id is not legal'),
  (task, { framework, launched }) =>
    framework.tasks.has(task.taskId) || launched.has(task.taskId) ? `task id ${task.taskId} is in use` : undefined,
  (task, { agentId }) =>
    task.agentId === agentId ? undefined : `the task names agent ${task.agentId}, the offers are of ${agentId}`,
  (task) => (negative(task.killPolicy?.gracePeriod) ? 'killPolicy.gracePeriod is negative' : undefined),
  (task) => (negative(task.maxCompletionTime) ? 'maxCompletionTime is negative' : undefined),
  (task) => resourcesError(task.resources ?? []),
  (task) => (Resources.of(task.resources ?? []).isEmpty ? 'the task asks for no resources' : undefined),
  (task) => (task.command === undefined ? undefined : commandError(task.command)),
  (task) => sizeError(task),
  (task) => (task.container === undefined ? undefined : 'containers with an image or volumes are not supported yet'),
  (task) =>
    (task.command === undefined) === (task.executor === undefined)
      ? 'exactly one of command and executor must be set'
      : undefined,
  ({ executor }, { framework, agent }) =>
    executor === undefined
      ? undefined
      : executorError(executor, framework.frameworkId, runningExecutor(framework, agent, executor)?.info),
  // Accepted in silence they would be a promise that nobody keeps.
  (task) => (task.healthCheck === undefined && task.check === undefined ? undefined : 'checks are not supported yet'),
  (task) => (task.limits === undefined ? undefined : 'limits are not supported yet'),
  (task) => (task.unreachableAfterSeconds === undefined ? undefined : 'unreachableAfterSeconds is not supported yet'),
  (task, context) => {
    const { remaining } = context;
    const wanted = launchResources(task, context);
    return remaining.contains(wanted)
      ? undefined
      : `wants ${wanted.unallocate()}, the offers have ${remaining.unallocate()} left`;
  },
];

const runningExecutor = (
  { frameworkId }: FrameworkRow,
  { executors }: Pick<AgentRow, 'executors'>,
  { executorId }: ExecutorInfo,
): ExecutorRow | undefined => executors.get(executorName(frameworkId, executorId));

/** What a launch takes from the offers: the task's, and those of an executor that it has to start. Rule: EXC-9. */
export function launchResources(
  task: TaskInfo,
  { framework, agent, role }: Pick<LaunchContext, 'framework' | 'agent' | 'role'>,
): Resources {
  const own = taskResources(task, role);
  const { executor } = task;
  if (executor === undefined || runningExecutor(framework, agent, executor) !== undefined) return own;
  return own.add(executorResources(executor, role));
}

/** A task's resources under the role of its offers. */
export function taskResources(task: TaskInfo, role: string): Resources {
  return Resources.of(task.resources ?? [])
    .unallocate()
    .allocate(role);
}

/** The first thing wrong with a task, in words. Rule: ACC-3. */
export function taskError(task: TaskInfo, context: LaunchContext): string | undefined {
  for (const check of CHECKS) {
    const wrong = check(task, context);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** Tasks named anywhere in operations: what an ACCEPT without valid offers drops. */
export function tasksOf(operations: readonly Operation[]): TaskInfo[] {
  return operations.flatMap((operation) => {
    if (operation.type === 'LAUNCH') return operation.launch.taskInfos ?? [];
    return operation.type === 'LAUNCH_GROUP' ? (operation.launchGroup.taskGroup.tasks ?? []) : [];
  });
}

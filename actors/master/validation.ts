/** What makes a task unfit to launch: each check returns a sentence or nothing. Source: the checks of Mesos, in its order. Rule: ACC-3. */
import { sizeError } from '../../protocol/codec.js';
import type { Operation } from '../../protocol/offer.js';
import { Resources, resourcesError } from '../../protocol/resources.js';
import { isId } from '../../protocol/schema.js';
import type { TaskInfo } from '../../protocol/task.js';
import type { FrameworkRow } from './master-state.js';

/** What the checks of one task look at. */
export interface LaunchContext {
  readonly framework: FrameworkRow;
  readonly agentId: string;
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
  (task) => commandError(task),
  (task) => sizeError(task),
  (task) => (task.container === undefined ? undefined : 'containers with an image or volumes are not supported yet'),
  (task) =>
    (task.command === undefined) === (task.executor === undefined)
      ? 'exactly one of command and executor must be set'
      : undefined,
  (task) => (task.executor === undefined ? undefined : 'custom executors are not supported yet'),
  // Accepted in silence they would be a promise that nobody keeps.
  (task) => (task.healthCheck === undefined && task.check === undefined ? undefined : 'checks are not supported yet'),
  (task) => (task.limits === undefined ? undefined : 'limits are not supported yet'),
  (task) => (task.unreachableAfterSeconds === undefined ? undefined : 'unreachableAfterSeconds is not supported yet'),
  (task, { remaining, role }) => {
    const wanted = taskResources(task, role);
    return remaining.contains(wanted)
      ? undefined
      : `wants ${wanted.unallocate()}, the offers have ${remaining.unallocate()} left`;
  },
];

function commandError({ command }: TaskInfo): string | undefined {
  if (command === undefined) return undefined;
  if ((command.shell ?? true) && command.value === undefined) return 'command.value is missing';
  if ((command.uris ?? []).length > 0) return 'command.uris are not supported yet';
  for (const { name, type = 'VALUE', value } of command.environment?.variables ?? []) {
    if (type === 'SECRET') return `environment variable ${name} is a secret; secrets are not supported yet`;
    if (value === undefined) return `environment variable ${name} has no value`;
  }
  return undefined;
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

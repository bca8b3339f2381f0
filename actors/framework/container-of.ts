/** From a command task to the container that it runs in. Rules: EXE-1, EXE-6. */
import type { CommandInfo } from '../../protocol/container.js';
import { escapeToken } from '../../protocol/ids.js';
import { Resources } from '../../protocol/resources.js';
import type { TaskInfo } from '../../protocol/task.js';
import type { ContainerLimits, ContainerSpec } from '../effect.js';

/** Where a launch's sandbox is, below the agent's sandboxes; Mesos' layout. */
export const sandboxOf = (frameworkId: string, executorId: string, launchId: string): string =>
  `frameworks/${escapeToken(frameworkId)}/executors/${escapeToken(executorId)}/runs/${escapeToken(launchId)}`;

interface Launch {
  readonly launchId: string;
  readonly frameworkId: string;
  readonly agentId: string;
  readonly task: TaskInfo;
  readonly user: string | undefined;
  readonly credentials?: ContainerSpec['credentials'];
}

interface ContainerConfig {
  readonly environment: Readonly<Record<string, string>>;
  readonly maxPids?: number | undefined;
}

export function containerOf(config: ContainerConfig, launch: Launch): ContainerSpec {
  const { launchId, frameworkId, agentId, task, credentials } = launch;
  const command = task.command ?? {};
  const environment: Record<string, string> = {
    ...config.environment,
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
    // An empty name is nobody's: the agent's default takes its place.
    user: command.user || launch.user || undefined,
    ...allotmentOf(task, config.maxPids),
    ...(credentials && { credentials }),
  };
}

/** Mesos' rule: a shell command by `/bin/sh -c`, else `execve(value, arguments)`, where the first argument is the name. */
function argvOf({ shell = true, value = '', arguments: args = [] }: CommandInfo): string[] {
  return shell ? ['/bin/sh', '-c', value] : [value, ...args.slice(1)];
}

const MIB = 1024 * 1024;

/** Its share of the cpus is what it was given, and so is its memory's limit; a task may ask for other limits, none included. Rule: EXE-6. */
function allotmentOf(task: TaskInfo, pids: number | undefined): { cpus: number | undefined; limits: ContainerLimits } {
  const resources = Resources.of(task.resources);
  const given = (name: string): number | undefined => resources.scalar(name) / 1_000 || undefined;
  const finite = (value: number | undefined): number | undefined => (value === Infinity ? undefined : value);
  const memMib = finite(task.limits?.['mem']?.value ?? given('mem'));
  return {
    cpus: given('cpus'),
    limits: {
      cpus: finite(task.limits?.['cpus']?.value),
      memoryBytes: memMib === undefined ? undefined : Math.round(memMib * MIB),
      pids,
    },
  };
}

/** What makes a task's ExecutorInfo unfit: each check returns a sentence or nothing. Source: the checks of Mesos. Rule: EXC-9. */
import type { CommandInfo } from '../../protocol/container.js';
import type { ExecutorInfo } from '../../protocol/executor.js';
import { Resources, resourcesError } from '../../protocol/resources.js';

/** The first thing wrong with a command, in words. */
export function commandError(command: CommandInfo): string | undefined {
  if ((command.shell ?? true) && command.value === undefined) return 'command.value is missing';
  if ((command.uris ?? []).length > 0) return 'command.uris are not supported yet';
  for (const { name, type = 'VALUE', value } of command.environment?.variables ?? []) {
    if (type === 'SECRET') return `environment variable ${name} is a secret; secrets are not supported yet`;
    if (value === undefined) return `environment variable ${name} has no value`;
  }
  return undefined;
}

/** The first thing wrong with an executor; `running` is the one that has its id on that agent. */
export function executorError(
  info: ExecutorInfo,
  frameworkId: string,
  running: ExecutorInfo | undefined,
): string | undefined {
  if (info.type === 'DEFAULT') return 'executor.type DEFAULT runs task groups, which are not supported yet';
  if (info.command === undefined) return 'executor.command is missing';
  const wrong = commandError(info.command) ?? resourcesError(info.resources ?? []);
  if (wrong !== undefined) return `executor: ${wrong}`;
  if ((info.frameworkId ?? frameworkId) !== frameworkId) return `the executor is of framework ${info.frameworkId}`;
  if ((info.shutdownGracePeriod?.nanoseconds ?? 0) < 0) return 'executor.shutdownGracePeriod is negative';
  if (info.container !== undefined) return 'containers with an image or volumes are not supported yet';
  if (running !== undefined && !isSameExecutor({ ...info, frameworkId }, running))
    return `executor ${info.executorId} runs on this agent with another ExecutorInfo`;
  return undefined;
}

/** Resources count as what they are, however written: those of one that runs are allocated. */
const isSameExecutor = (a: ExecutorInfo, b: ExecutorInfo): boolean =>
  isSame({ ...a, resources: undefined }, { ...b, resources: undefined }) &&
  Resources.of(a.resources ?? [])
    .unallocate()
    .equals(Resources.of(b.resources ?? []).unallocate());

/** Whether two plain values are equal, whatever the order of their fields; a field that is undefined is none. */
function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (ArrayBuffer.isView(a) || ArrayBuffer.isView(b))
    return (
      a instanceof Uint8Array && b instanceof Uint8Array && a.length === b.length && a.every((byte, i) => byte === b[i])
    );
  const [one, two] = [a, b].map((each) => new Map(Object.entries(each).filter(([, value]) => value !== undefined)));
  if (one === undefined || one.size !== two?.size) return false;
  return [...one].every(([key, value]) => two.has(key) && isSame(value, two.get(key)));
}

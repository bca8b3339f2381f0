/** What an agent has on its machine: work directory, lock, records, containers; and what it does with them at its end. Rules: PRC-4, PRC-10, PRC-12. */
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { join } from 'node:path';
import type { Stop } from '../actors/effect.js';
import { parseAttributes } from '../protocol/attributes.js';
import { Resources } from '../protocol/resources.js';
import { openIsolator } from './node/cgroups.js';
import { openLmdbStore } from './node/lmdb-store.js';
import { nodeFiles } from './node/node-files.js';
import { nodeProcesses } from './node/node-processes.js';
import { DEFAULT_TASK_USER, findUser } from './node/task-user.js';
import type { Log } from './ports.js';
import type { ProcessConfig } from './process-config.js';
import { LockedError, takeLock } from './up/lock.js';

/** Processes and threads of one container, where the machine has the control group for it: a fork bomb hurts its own task alone. */
const DEFAULT_MAX_PIDS = 4_096;
/** Folders above the sandboxes may be passed through by the users of tasks, and not be read. */
const PASSAGE_MODE = 0o711;

/** @throws Error that says what is wrong and what to do */
export function openAgentPlace(config: ProcessConfig, log: Log, onFatal: (error: Error) => void) {
  const { workDir, name, taskUser = DEFAULT_TASK_USER } = config;
  if (workDir === undefined) throw new Error('an agent needs a workDir');
  requireTaskUser(taskUser);
  const sandboxFolder = join(workDir, 'sandboxes');
  const runtimeFolder = join(workDir, 'run');
  for (const folder of [workDir, sandboxFolder]) makePassage(folder);
  mkdirSync(runtimeFolder, { recursive: true, mode: 0o700 });
  const unlock = lock(workDir, join(runtimeFolder, 'lock'));
  process.on('exit', unlock);
  const store = openLmdbStore({ folder: join(workDir, 'meta'), log, onFatal });
  const isolator = openIsolator({ agent: name, runtimeFolder, log });
  const processes = nodeProcesses({ sandboxFolder, runtimeFolder, log, taskUser, isolator });
  const files = nodeFiles({ sandboxFolder, log });
  let asked: 'keep' | 'end' | undefined;
  return {
    ports: { processes, store, files },
    info: {
      hostname: hostname(),
      resources: Resources.parse(config.resources ?? 'cpus:1;mem:1024').toArray(),
      ...(config.attributes !== undefined && { attributes: parseAttributes(config.attributes) }),
    },
    start: {
      maxStarting: config.maxStarting ?? 2 * availableParallelism(),
      maxPids: config.maxPids ?? DEFAULT_MAX_PIDS,
      environment: { PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin' },
    },
    /** The process is to end, and its tasks to run on; said before the actor is told. */
    keepTasks: (): void => void (asked ??= 'keep'),
    endTasks: (): void => void (asked = 'end'),
    /** An agent that is started again finds its tasks; of one that is not, what is left has been given up, and nobody else would end it. */
    leave: (stop: Stop, done: () => void): void => {
      const close = (): void =>
        void store
          .close()
          .catch(() => undefined)
          .then(done);
      if (asked !== 'end' && (asked === 'keep' || stop.restart)) {
        processes.detach();
        close();
      } else
        processes.stopAll(0, () => {
          isolator?.close();
          close();
        });
    },
  };
}

/** A second agent on one folder would adopt, or end, the tasks of the first. */
function lock(workDir: string, path: string): () => void {
  try {
    return takeLock(path);
  } catch (error) {
    if (!(error instanceof LockedError)) throw error;
    throw new Error(
      `Another agent (process ${error.pid}) works in ${workDir}. End it first, or give this one another workDir.`,
      { cause: error },
    );
  }
}

function makePassage(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: PASSAGE_MODE });
  const mode = statSync(folder).mode & 0o777;
  if ((mode & 0o011) !== 0o011) chmodSync(folder, mode | 0o011);
}

function requireTaskUser(taskUser: string): void {
  if (process.getuid?.() !== 0) return;
  try {
    findUser(taskUser);
  } catch (error) {
    throw new Error(
      `Tasks are to run as ${taskUser}, but ${String((error as Error).message)}. Set "taskUser" in the agent's configuration.`,
      { cause: error },
    );
  }
}

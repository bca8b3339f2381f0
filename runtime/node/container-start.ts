/** Starts the main process of a container: its sandbox, its output files, its environment, and nothing else of ours. Rules: PRC-2, PRC-3. */
import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:fs';
import { chown, lstat, mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import type { ContainerSpec } from '../../actors/effect.js';
import { CONTAINER_VARIABLE, SANDBOX_VARIABLE } from './process-table.js';

/** The user that a container is started as, where that is not our own. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** An earlier task of the same sandbox may have put a link there, and we may be root. */
const OUTPUT_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
const OUTPUT_MODE = 0o600;
const SANDBOX_MODE = 0o700;
/** Folders above a sandbox may be passed through by the user of a task, and not be read. */
const PASSAGE_MODE = 0o711;

/** The absolute path of a container's sandbox. @throws RangeError for one that would be outside of `folder`. */
export function sandboxPath(folder: string, sandbox: string): string {
  const segments = sandbox.split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..' || segment.includes('\0'))) {
    throw new RangeError(`${JSON.stringify(sandbox)} is no sandbox`);
  }
  return join(folder, ...segments);
}

/** A sandbox with its output files, ready for a start. */
export interface PreparedSandbox {
  /** Absolute. */
  readonly path: string;
  readonly user: User | undefined;
  /** For stdout and stderr; to be closed by {@link closeOutputs}. */
  readonly outputs: readonly FileHandle[];
}

/**
 * Makes the sandbox and its output files. Apart from the start, since creating files takes as long as a spawn, and the thread pool can do it
 * while others are spawned. Rejects when it cannot be made; the message says why.
 */
export async function prepareSandbox(spec: ContainerSpec, path: string): Promise<PreparedSandbox> {
  if (spec.argv[0] === undefined || spec.argv[0] === '') throw new RangeError('there is no program to run');
  const user = await userOf(spec.user);
  await makeSandbox(path, user);
  const opened = await Promise.allSettled(['stdout', 'stderr'].map((name) => openOutput(join(path, name), user)));
  const outputs = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = opened.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await Promise.all(outputs.map((output) => output.close()));
    throw failed.reason;
  }
  return { path, user, outputs };
}

/**
 * Starts `spec`: its session is its own, its input is empty, its output goes to the files `stdout` and `stderr` of the sandbox, and there are
 * no other open files. Signals are as the system's defaults. A program that cannot be executed has no pid, and an `error` event follows.
 * @throws what the system refuses, such as an environment with a NUL
 */
export function startContainer(spec: ContainerSpec, sandbox: PreparedSandbox): ChildProcess {
  const [program = '', ...programArguments] = spec.argv;
  return spawn(program, programArguments, {
    cwd: sandbox.path,
    // First the variables by which we find it again: they are then within what is read first.
    env: { [CONTAINER_VARIABLE]: spec.containerId, [SANDBOX_VARIABLE]: sandbox.path, ...withoutOurs(spec.environment) },
    stdio: ['ignore', ...sandbox.outputs.map(({ fd }) => fd)],
    detached: true,
    ...sandbox.user,
  });
}

/** Once the child has them, or will not come to be. */
export function closeOutputs({ outputs }: PreparedSandbox): void {
  for (const output of outputs) output.close().catch(() => undefined);
}

async function openOutput(path: string, user: User | undefined): Promise<FileHandle> {
  const file = await open(path, OUTPUT_FLAGS, OUTPUT_MODE);
  if (user !== undefined) await file.chown(user.uid, user.gid);
  return file;
}

async function makeSandbox(path: string, user: User | undefined): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: PASSAGE_MODE });
  try {
    await mkdir(path, { mode: SANDBOX_MODE });
  } catch (error) {
    const isFolder = (error as { code?: string }).code === 'EEXIST' && (await lstat(path)).isDirectory();
    if (!isFolder) throw error;
  }
  if (user !== undefined) await chown(path, user.uid, user.gid);
}

function withoutOurs(environment: Readonly<Record<string, string>>): Record<string, string> {
  const copy = { ...environment };
  delete copy[CONTAINER_VARIABLE];
  delete copy[SANDBOX_VARIABLE];
  return copy;
}

/** `undefined`: our own. Rejects with RangeError when the user is unknown, or we may not become it. */
async function userOf(name: string | undefined): Promise<User | undefined> {
  if (name === undefined || name === userInfo().username) return undefined;
  if (process.getuid?.() !== 0)
    throw new RangeError(`only an agent run as root can start a task as ${JSON.stringify(name)}`);
  for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user === name && name !== '') return { uid: Number(uid), gid: Number(gid) };
  }
  throw new RangeError(`there is no user ${JSON.stringify(name)} on this machine`);
}

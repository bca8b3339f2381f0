/** Prepares the sandbox of a container, and forks its wrapper. Rules: PRC-2, PRC-3. */
import { spawn, type ChildProcess } from 'node:child_process';
import {
  chownSync,
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { ContainerSpec } from '../../actors/effect.js';
import { CLAIM_VARIABLE, CONTAINER_VARIABLE, SANDBOX_VARIABLE } from './process-table.js';
import { requireProgram } from './program.js';
import type { Attempt } from './run-folder.js';
import { userOf, type User } from './task-user.js';
import { execution, SHELL, wordVariables, type Tools } from './wrapper.js';

/** An earlier task of the same sandbox may have put a link or a pipe there, and we may be root. */
const OUTPUT_FLAGS =
  constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const CREDENTIALS_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
const OUTPUT_MODE = 0o600;
const SANDBOX_MODE = 0o700;
const MOST_TRIES = 10;
/** Folders above a sandbox may be passed through by the user of a task, and not be read. */
const PASSAGE_MODE = 0o711;

/** The absolute path of a container's sandbox. @throws RangeError for one that would be outside of `folder` */
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
  readonly outputs: readonly number[];
}

/**
 * Makes the sandbox and its output files. Not by the thread pool: the ten calls take 0.2 ms, and each way there and back as long as a call.
 * @throws Error when it cannot be made, or the program is not there; the message says why
 */
export function prepareSandbox(spec: ContainerSpec, path: string, taskUser: string): PreparedSandbox {
  const [program] = spec.argv;
  if (program === undefined || program === '') throw new RangeError('there is no program to run');
  const user = userOf(spec.user, taskUser);
  makeSandbox(path, user);
  requireProgram(program, spec.environment, path, user);
  if (spec.credentials !== undefined) copyCredentials(spec.credentials, path, user);
  const outputs: number[] = [];
  try {
    for (const name of ['stdout', 'stderr']) outputs.push(openOutput(join(path, name), user));
  } catch (error) {
    closeOutputs({ outputs });
    throw error;
  }
  return { path, user, outputs };
}

/** What a wrapper is started with. */
export interface WrapperStart {
  readonly script: string;
  readonly tools: Tools;
  readonly attempt: Attempt;
  /** `cgroup.procs` files that the container joins. */
  readonly joinPaths: readonly string[];
  /** Open files of ours that a child inherits (LMDB opens its data so): in their place it gets an empty one. */
  readonly stray: readonly number[];
}

/**
 * Forks the wrapper of `spec`, in a session of its own, which starts the container: in a session of that one's own, with an empty input, the
 * files `stdout` and `stderr` of the sandbox as its output, and no other open file. Signals are as the system's defaults. Where the system
 * refuses to fork there is no pid, and an `error` event follows.
 * @throws what the system refuses before, such as an environment with a NUL
 */
export function startWrapper(spec: ContainerSpec, sandbox: PreparedSandbox, start: WrapperStart): ChildProcess {
  const { script, tools, attempt, joinPaths, stray } = start;
  // First the variables by which we find it again: they are then within what is read first.
  const marks = { [CONTAINER_VARIABLE]: spec.containerId, [SANDBOX_VARIABLE]: sandbox.path };
  const words = execution(tools, sandbox.user, { ...marks, ...withoutOurs(spec.environment) }, spec.argv);
  const stdio: (number | 'ignore')[] = ['ignore', 'ignore', 'ignore', ...sandbox.outputs];
  for (const file of stray) {
    while (stdio.length <= file) stdio.push('ignore');
    if (file >= FIRST_FREE_FILE) stdio[file] = nothing();
  }
  return spawn(
    SHELL,
    ['-c', script, 'tepui-wrapper', attempt.record, attempt.claim, String(words.length), ...joinPaths],
    {
      cwd: sandbox.path,
      env: { ...marks, [CLAIM_VARIABLE]: attempt.claim, ...wordVariables(words) },
      stdio,
      detached: true,
    },
  );
}

/** Behind the files that the wrapper uses itself. */
const FIRST_FREE_FILE = 6;
let devNull: number | undefined;
const nothing = (): number => (devNull ??= openSync('/dev/null', 'r'));

/** Once the child has them, or will not come to be. */
export function closeOutputs({ outputs }: Pick<PreparedSandbox, 'outputs'>): void {
  for (const output of outputs) closeSync(output);
}

/** A copy for the container's user alone, made before anything of it runs. Rule: EXC-1. */
function copyCredentials(
  { from, as }: NonNullable<ContainerSpec['credentials']>,
  sandbox: string,
  user: User | undefined,
): void {
  const text = readFileSync(from);
  const file = openSync(join(sandbox, as), CREDENTIALS_FLAGS, OUTPUT_MODE);
  try {
    if (user !== undefined) fchownSync(file, user.uid, user.gid);
    writeFileSync(file, text);
  } finally {
    closeSync(file);
  }
}

function openOutput(path: string, user: User | undefined): number {
  const file = openSync(path, OUTPUT_FLAGS, OUTPUT_MODE);
  try {
    const status = fstatSync(file);
    // By a second name of a file of ours a task could have it given to its user.
    if (!status.isFile() || status.nlink !== 1) throw new Error(`${path} is no file of its own`);
    if (user !== undefined) fchownSync(file, user.uid, user.gid);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function makeSandbox(path: string, user: User | undefined): void {
  makeFolder(path, MOST_TRIES);
  if (user !== undefined) chownSync(path, user.uid, user.gid);
}

/** Again, if the folder above is gone: it went with the last sandbox in it, whose time was up at this moment. Rule: GBC-6. */
function makeFolder(path: string, tries: number): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: PASSAGE_MODE });
    mkdirSync(path, { mode: SANDBOX_MODE });
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ENOENT' && tries > 1) return makeFolder(path, tries - 1);
    if (code !== 'EEXIST' || !lstatSync(path).isDirectory()) throw error;
  }
}

function withoutOurs(environment: Readonly<Record<string, string>>): Record<string, string> {
  const copy = { ...environment };
  delete copy[CONTAINER_VARIABLE];
  delete copy[SANDBOX_VARIABLE];
  return copy;
}

/** Starts one nats-server, finds the one that a former life of ours left running, and stops either. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { greetedVersion, listeningUrl, portsFileSuffix } from './server-ready.js';

export interface ServerProcessOptions {
  /** The nats-server to run (`locateServerBinary`). */
  binary: string;
  /** Its configuration (`writeServerConfig`). */
  configFile: string;
  /** Gets the pid file and the ports file while it runs, and the log, which stays. Made if need be. One server at a time. */
  runFolder: string;
  /**
   * `with-us` (default): ends with this process even when nobody calls `stop` (kill -9 excepted), and Ctrl-C reaches both at once.
   * `own`: has a session of its own and outlives us, so that Ctrl-C leaves it up for those who still have to say goodbye.
   */
  life?: 'with-us' | 'own';
  /** How long it may take to accept connections; recovering large streams takes time. Default 30 s. */
  readyTimeoutMs?: number;
  /** How long a graceful stop may take before the server is killed. Default 10 s. */
  stopTimeoutMs?: number;
}

export interface ServerProcess {
  /** `nats://127.0.0.1:<port>`, without credentials. */
  url: string;
  pid: number;
  /** As the server says it in its greeting: `2.15.1`. */
  version: string;
  logFile: string;
  /** Fulfilled when the server has ended, whoever ended it, with a phrase that says how. */
  exited: Promise<string>;
  /** Ends it gracefully, then by force; resolves when it is gone and its pid and ports files with it. May be called twice. */
  stop(): Promise<void>;
}

/** The server did not come up. The message has the end of its log. */
export class ServerStartError extends Error {
  override name = 'ServerStartError';
}

const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
const GREETING_TIMEOUT_MS = 5_000;
const POLL_MS = 10;
const GONE_POLL_MS = 100;
const LOG_TAIL_LINES = 8;

/**
 * Resolves when the server accepts connections. Rejects with {@link ServerStartError} when it ends before, takes too long, or when another
 * one already runs from the same folder: two servers on one store destroy it.
 */
export async function startServer(wanted: ServerProcessOptions): Promise<ServerProcess> {
  const options = { ...wanted, runFolder: resolve(wanted.runFolder) };
  await mkdir(options.runFolder, { recursive: true });
  const other = await recordedPid(options.runFolder);
  if (other !== undefined)
    throw new ServerStartError(`A nats-server (pid ${other}) already runs from ${options.runFolder}.`);

  const { child, pid, exited, hasExited } = launch(options);
  const logFile = join(options.runFolder, LOG_FILE);
  const stop = stopOnce({ ...options, pid, signal: (signal) => child.kill(signal), exited });
  try {
    const url = await waitForUrl(options, pid, hasExited);
    const version = await greetedVersion(url, GREETING_TIMEOUT_MS);
    return { url, pid, version, logFile, exited, stop };
  } catch (error) {
    await stop();
    const reason = error instanceof Error ? error.message : String(error);
    throw new ServerStartError(`nats-server did not start: ${reason}. The end of its log:\n${await logTail(logFile)}`, {
      cause: error,
    });
  } finally {
    if (options.life === 'own') child.unref();
  }
}

/**
 * The server that runs from `runFolder`, started by an earlier process of ours with `life: 'own'`; `undefined` if there is none. Rejects when
 * there is one that does not answer: it holds the store, so no second one may be started.
 */
export async function findServer(
  options: Pick<ServerProcessOptions, 'runFolder' | 'stopTimeoutMs'>,
): Promise<ServerProcess | undefined> {
  const runFolder = resolve(options.runFolder);
  const pid = await recordedPid(runFolder);
  if (pid === undefined) return undefined;
  const url = await listeningUrl(runFolder, pid);
  if (url === undefined) throw new Error(`The nats-server ${pid} of ${runFolder} runs, but does not listen.`);
  const version = await greetedVersion(url, GREETING_TIMEOUT_MS);
  const exited = untilGone(runFolder, pid);
  const signal = (name: NodeJS.Signals): void => {
    void runsFrom(runFolder, pid).then((ours) => ours && process.kill(pid, name));
  };
  const stop = stopOnce({ ...options, runFolder, pid, signal, exited });
  return { url, pid, version, logFile: join(runFolder, LOG_FILE), exited, stop };
}

const LOG_FILE = 'nats-server.log';
const PID_FILE = 'nats-server.pid';

interface Launched {
  child: ChildProcess;
  pid: number;
  exited: Promise<string>;
  hasExited: () => string | undefined;
}

function launch(options: ServerProcessOptions): Launched {
  const { runFolder } = options;
  const args = ['-c', options.configFile, '--ports_file_dir', runFolder, '-P', join(runFolder, PID_FILE)];
  const log = openSync(join(runFolder, LOG_FILE), 'a', 0o600);
  let child: ChildProcess;
  try {
    child = spawn(options.binary, args, { stdio: ['ignore', log, log], detached: options.life === 'own' });
  } catch (error) {
    // A file in a wrong format is reported by throwing, a missing one by an event.
    throw new ServerStartError(`nats-server did not start: ${String(error)}`, { cause: error });
  } finally {
    closeSync(log);
  }
  const killWithUs = (): void => void child.kill('SIGKILL');
  if (options.life !== 'own') process.once('exit', killWithUs);
  let end: string | undefined;
  const exited = new Promise<string>((fulfil) => {
    const ended = (how: string): void => {
      end ??= how;
      process.removeListener('exit', killWithUs);
      fulfil(end);
    };
    child.once('exit', (code, signal) => ended(signal === null ? `exit code ${code}` : `signal ${signal}`));
    child.once('error', (error) => ended(error.message));
  });
  return { child, pid: child.pid ?? 0, exited, hasExited: () => end };
}

async function waitForUrl(
  options: ServerProcessOptions,
  pid: number,
  hasExited: () => string | undefined,
): Promise<string> {
  const deadline = performance.now() + (options.readyTimeoutMs ?? READY_TIMEOUT_MS);
  while (performance.now() < deadline) {
    const end = hasExited();
    if (end !== undefined) throw new Error(`it ended (${end})`);
    const url = await listeningUrl(options.runFolder, pid);
    if (url !== undefined) return url;
    await pause(POLL_MS);
  }
  throw new Error('it does not listen within the time limit');
}

/** What `stop` needs to know of a server, be it our child or not. */
interface Stoppable extends Pick<ServerProcessOptions, 'runFolder' | 'stopTimeoutMs'> {
  pid: number;
  signal: (name: NodeJS.Signals) => unknown;
  exited: Promise<string>;
}

function stopOnce(server: Stoppable): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  return () => (stopping ??= stop(server));
}

async function stop(server: Stoppable): Promise<void> {
  const force = setTimeout(() => server.signal('SIGKILL'), server.stopTimeoutMs ?? STOP_TIMEOUT_MS);
  server.signal('SIGTERM');
  await server.exited;
  clearTimeout(force);
  // No server removes its pid file, and one that was killed leaves its ports file too.
  for (const name of await readdir(server.runFolder)) {
    const its = name === PID_FILE || name.endsWith(portsFileSuffix(server.pid));
    if (its) await rm(join(server.runFolder, name), { force: true });
  }
}

/** The pid in the pid file, if that process runs and is the server that wrote it: pids are used again. */
async function recordedPid(runFolder: string): Promise<number | undefined> {
  const text = await readFile(join(runFolder, PID_FILE), 'utf8').catch(() => '');
  const pid = Number.parseInt(text, 10);
  return pid > 0 && (await runsFrom(runFolder, pid)) ? pid : undefined;
}

/** Whether `pid` is a live process that was started with the pid file of `runFolder` as an argument. Always false where there is no /proc. */
async function runsFrom(runFolder: string, pid: number): Promise<boolean> {
  try {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    // Empty for a zombie, which holds nothing any more.
    return commandLine.split('\0').includes(join(runFolder, PID_FILE));
  } catch {
    return false;
  }
}

/** Watches a server that is not our child. Alone, it does not keep this process alive. */
async function untilGone(runFolder: string, pid: number): Promise<string> {
  while (await runsFrom(runFolder, pid)) {
    await new Promise((fulfil) => setTimeout(fulfil, GONE_POLL_MS).unref());
  }
  return 'not our child: its exit code is unknown';
}

async function logTail(logFile: string): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}

function pause(ms: number): Promise<void> {
  return new Promise((fulfil) => setTimeout(fulfil, ms));
}

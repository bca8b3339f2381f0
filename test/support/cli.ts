/** The command `tepui` as its users run it: a process, in a folder of its own, with nothing of ours in its environment. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolders } from '../../runtime/nats/server-cache.js';
import { systemServerSearch } from '../../runtime/nats/server-binary.js';
import { testServerBinary } from './nats-server.js';

const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const POLL_MS = 20;
const PATIENCE_MS = 60_000;

export interface Result {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly pid: number;
  readonly ended: Promise<Result>;
  stdout(): string;
  stderr(): string;
  signal(signal: NodeJS.Signals): void;
  /** As `head` does when it has seen enough. */
  closeStdout(): void;
  /** Resolves when the output so far matches; rejects when the command ends before, or after a minute. */
  until(pattern: RegExp): Promise<void>;
}

/** Shorter than life, so that tests are quick. */
export const QUICK = ['leaderAbsentMs=300', 'probeIntervalMs=100', 'registrationBackoffMs=50', 'killGraceMs=1000'];
export const quickly = (...more: string[]): string[] => [...QUICK, ...more].flatMap((pair) => ['--set', pair]);

/** A folder in which commands are run, gone at the end with all that runs in it. */
export class CliFolder {
  readonly folder = mkdtempSync(join(tmpdir(), 'tepui-cli-'));
  /** Where the cluster is: the default of every command. */
  readonly dir = join(this.folder, '.tepui');
  /** What a command may leave things in by mistake. */
  readonly home = join(this.folder, 'home');
  readonly temporary = join(this.folder, 'tmp');
  readonly #children = new Set<ChildProcess>();

  constructor() {
    // The user of the tasks passes through it.
    chmodSync(this.folder, 0o711);
    mkdirSync(this.home);
    mkdirSync(this.temporary);
    // Tasks of a cluster of root run as nobody, and write there what a test reads.
    chmodSync(this.temporary, 0o1777);
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCli {
    const search = systemServerSearch(() => undefined);
    const cache = cacheFolders(search).find((folder) => existsSync(folder)) ?? this.home;
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: this.folder,
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: this.home,
        TMPDIR: this.temporary,
        TEPUI_CACHE_DIR: process.env['TEPUI_CACHE_DIR'] ?? cache,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    let result: Result | undefined;
    const ended = new Promise<Result>((fulfil) =>
      child.once('close', (status, signal) => {
        this.#children.delete(child);
        fulfil((result = { status, signal, stdout, stderr }));
      }),
    );
    return {
      pid: child.pid ?? 0,
      ended,
      stdout: () => stdout,
      stderr: () => stderr,
      signal: (signal) => void child.kill(signal),
      closeStdout: () => void child.stdout.destroy(),
      until: async (pattern) => {
        const deadline = performance.now() + PATIENCE_MS;
        while (!pattern.test(stdout + stderr)) {
          if (result !== undefined || performance.now() > deadline)
            throw new Error(`tepui ${args.join(' ')}: no ${pattern} in\n${stdout}${stderr}`);
          await pause(POLL_MS);
        }
      },
    };
  }

  /** Runs a command to its end. */
  run(...args: string[]): Promise<Result> {
    return this.start(args).ended;
  }

  /** Runs a command that must succeed; its standard output. */
  async out(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(...args);
    if (status !== 0) throw new Error(`tepui ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
    return stdout;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.out(...args, '--json')) as T;
  }

  /** Starts a cluster in the background. */
  async up(...args: string[]): Promise<void> {
    await testServerBinary();
    await this.out('up', '--detach', ...quickly(), ...args);
  }

  /** Pids of whatever runs with this folder in its command line or environment, ourselves and our commands not counted. */
  leftovers(): number[] {
    const own = new Set([process.pid, ...[...this.#children].map(({ pid }) => pid)]);
    return pids().filter((pid) => !own.has(pid) && isOf(pid, this.folder));
  }

  /** What lies outside the cluster's folder. */
  strayFiles(): string[] {
    const expected = new Set(['.tepui', 'home', 'tmp']);
    const beside = readdirSync(this.folder).filter((name) => !expected.has(name));
    return [...beside, ...readdirSync(this.home), ...readdirSync(this.temporary)];
  }

  /** Ends what is left and removes the folder. To be called in `test.after.always` or a teardown. */
  async remove(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    if (existsSync(this.dir)) await this.run('down');
    for (const pid of this.leftovers()) {
      try {
        killNow(pid);
      } catch {
        // Gone.
      }
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

export const pause = (ms: number): Promise<void> => new Promise((fulfil) => setTimeout(fulfil, ms));

/** Waits until the condition holds; rejects after a while. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, patienceMs = 20_000): Promise<void> {
  for (const deadline = performance.now() + patienceMs; !(await holds()); await pause(POLL_MS))
    if (performance.now() > deadline) throw new Error(`${what}: not within ${patienceMs / 1_000} s`);
}

export const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

function pids(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
}

function isOf(pid: number, folder: string): boolean {
  try {
    // A zombie has neither.
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return (
      commandLine !== '' &&
      (commandLine.includes(folder) || readFileSync(`/proc/${pid}/environ`, 'utf8').includes(folder))
    );
  } catch {
    return false;
  }
}

/** SIGKILL to this process and no other. */
export const killNow = (pid: number | null | undefined): void => signalNow(pid, 'SIGKILL');

/** To this process and no other: 0 and what is below mean whole groups. */
export function signalNow(pid: number | null | undefined, signal: NodeJS.Signals): void {
  if (pid === null || pid === undefined || pid <= 1) throw new Error(`${pid} is no process of ours`);
  process.kill(pid, signal);
}

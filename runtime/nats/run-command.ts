/** Runs one outside command to its end, with a time limit. The only way in which the search for a server touches other programs. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';

export interface CommandOptions {
  /** The command is ended after this long. */
  timeoutMs: number;
  /** Added to the environment of this process. */
  env?: Readonly<Record<string, string>>;
  /** Working directory; this process's own if absent. */
  cwd?: string;
}

/** How a command ended; `output` is the end (64 KiB) of what it wrote. */
export type CommandResult =
  | { ended: 'exit'; code: number; output: string }
  | { ended: 'signal'; signal: string; output: string }
  | { ended: 'timeout'; output: string }
  | { ended: 'not-started'; output: string };

/** Never rejects: every way to fail is a value. */
export type RunCommand = (command: string, args: readonly string[], options: CommandOptions) => Promise<CommandResult>;

type StartedCommand = ChildProcessByStdio<null, Readable, Readable>;

const OUTPUT_BYTES_MAX = 64 * 1024;
/** Between the request to end and the order to. */
const GRACE_MS = 2_000;

export const runCommand: RunCommand = (command, args, options) =>
  new Promise((resolve) => {
    const child = start(command, args, options);
    if (child instanceof Error) return resolve({ ended: 'not-started', output: child.message });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_BYTES_MAX);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);

    let timedOut = false;
    let force: NodeJS.Timeout | undefined;
    const limit = setTimeout(() => {
      timedOut = true;
      child.kill('SIGTERM');
      force = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      // A grandchild may hold the pipes open: after the time limit nobody waits for it.
      child.once('exit', () => finish({ ended: 'timeout', output }));
    }, options.timeoutMs);

    const finish = (result: CommandResult): void => {
      clearTimeout(limit);
      clearTimeout(force);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve(result);
    };
    child.once('error', (error) => finish({ ended: 'not-started', output: error.message }));
    child.once('close', (code, signal) => {
      if (timedOut) finish({ ended: 'timeout', output });
      else if (code === null) finish({ ended: 'signal', signal: signal ?? 'unknown', output });
      else finish({ ended: 'exit', code, output });
    });
  });

/** Node reports a missing program through an event and one in a wrong format by throwing: here both are values. */
function start(command: string, args: readonly string[], options: CommandOptions): StartedCommand | Error {
  try {
    return spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** How a command failed, in a few words with the last line that it wrote; `undefined` when it did not. */
export function commandProblem(result: CommandResult): string | undefined {
  if (result.ended === 'exit' && result.code === 0) return undefined;
  const last = result.output.trimEnd().split('\n').pop() ?? '';
  const tail = last === '' ? '' : `: ${last.slice(0, 300)}`;
  switch (result.ended) {
    case 'exit':
      return `exit code ${result.code}${tail}`;
    case 'signal':
      return `ended by ${result.signal}${tail}`;
    case 'timeout':
      return `no end within the time limit${tail}`;
    case 'not-started':
      return `could not be started${tail}`;
  }
}

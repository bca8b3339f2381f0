/** Keeps one process of the cluster running: starts it, and starts it again when it ends without being asked. Rule: UP-7. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { END_TASKS_SIGNAL } from '../process-config.js';
import { endProcess, recordOf, signalRecord, untilGone, type ProcessRecord } from './identity.js';

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
/** A process that lived for so long was well: what ended it is news. */
const WELL_AFTER_MS = 10_000;

/** The pause before the next start, after the last one and the life that followed it. Rule: UP-7. */
export function nextDelayMs(lastDelayMs: number | undefined, livedMs: number): number {
  if (lastDelayMs === undefined || livedMs >= WELL_AFTER_MS) return FIRST_DELAY_MS;
  return Math.min(LONGEST_DELAY_MS, lastDelayMs * 2);
}

export interface KeeperOptions {
  readonly name: string;
  readonly role: 'master' | 'agent';
  /** Program and arguments. */
  readonly argv: readonly string[];
  readonly logFile: string;
  /** It has started or ended: to be written down at once. */
  readonly onChange: () => void;
  /** One line for people, when it ended unasked. */
  readonly report: (line: string) => void;
  /** Exit status of an end that was meant, by itself or by somebody else. */
  readonly meantStatus: number;
}

export class Keeper {
  readonly name: string;
  readonly role: 'master' | 'agent';
  readonly #options: KeeperOptions;
  #record: ProcessRecord | undefined;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #delayMs: number | undefined;
  #stopping = false;
  #restarts = 0;
  #exited: Promise<void> = Promise.resolve();

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.name = options.name;
    this.role = options.role;
  }

  /** The process that runs now. */
  get record(): ProcessRecord | undefined {
    return this.#record;
  }

  get restarts(): number {
    return this.#restarts;
  }

  start(): void {
    if (this.#stopping) return;
    const { argv, logFile, onChange } = this.#options;
    const [program = '', ...rest] = argv;
    const log = openSync(logFile, 'a', 0o600);
    const startedMs = performance.now();
    let child: ChildProcess;
    try {
      // A session of its own: Ctrl-C reaches the supervisor alone, which ends the others in their order.
      child = spawn(program, rest, { stdio: ['ignore', log, log], detached: true });
    } finally {
      closeSync(log);
    }
    this.#child = child;
    this.#record = child.pid === undefined ? undefined : recordOf(child.pid);
    this.#exited = new Promise((fulfil) => {
      const ended = (how: string, status: number | null): void => {
        if (this.#child !== child) return fulfil();
        this.#child = undefined;
        this.#record = undefined;
        onChange();
        this.#onEnd(how, status, performance.now() - startedMs);
        fulfil();
      };
      child.once('exit', (code, signal) => ended(signal === null ? `exit status ${code}` : signal, code));
      child.once('error', (error) => ended(error.message, null));
    });
    onChange();
  }

  /** An orderly end, of an agent's tasks, too; and SIGKILL after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#halt();
    const signal = this.role === 'agent' ? END_TASKS_SIGNAL : 'SIGTERM';
    if (this.#record !== undefined) await endProcess(this.#record, graceMs, signal);
    await this.#exited;
  }

  /** The end at once. */
  async kill(): Promise<void> {
    this.#halt();
    if (this.#record === undefined) return;
    signalRecord(this.#record, 'SIGKILL');
    await untilGone(this.#record, 10_000);
  }

  #halt(): void {
    this.#stopping = true;
    clearTimeout(this.#timer);
  }

  #onEnd(how: string, status: number | null, livedMs: number): void {
    if (this.#stopping) return;
    const { name, report, meantStatus } = this.#options;
    if (status === meantStatus) return report(`${name} has ended as it was asked to; it is not started again`);
    this.#delayMs = nextDelayMs(this.#delayMs, livedMs);
    this.#restarts += 1;
    report(`${name} has ended (${how}); it is started again in ${this.#delayMs} ms`);
    this.#timer = setTimeout(() => this.start(), this.#delayMs);
  }
}

/** Processes by pid and start time, as a pid alone may be another's by the time that it is signalled. Rule: UP-5. */
import { readdirSync, readFileSync } from 'node:fs';
import { bootId, isAlive, processId, signalProcess } from '../node/process-table.js';

/** A process of this start of the machine. */
export interface ProcessRecord {
  readonly pid: number;
  /** From /proc, in clock ticks since the machine's start; 0 where there is no /proc. */
  readonly startTime: number;
}

export interface NamedProcess extends ProcessRecord {
  readonly name: string;
}

const POLL_MS = 10;

/** The identity of a process that runs now, such as a child of ours that has not been collected. */
export const recordOf = (pid: number): ProcessRecord => ({ pid, startTime: processId(pid)?.startTicks ?? 0 });

/** Whether it is the same process still, and not a zombie. */
export const isRunning = ({ pid, startTime }: ProcessRecord): boolean => isAlive({ pid, startTicks: startTime });

/** Signals it, unless it is gone. */
export function signalRecord({ pid, startTime }: ProcessRecord, signal: NodeJS.Signals): void {
  signalProcess({ pid, startTicks: startTime }, signal);
}

/** Resolves with whether it is gone, after `timeoutMs` at the latest. */
export async function untilGone(record: ProcessRecord, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isRunning(record)) {
    if (performance.now() > deadline) return false;
    await new Promise((fulfil) => setTimeout(fulfil, POLL_MS));
  }
  return true;
}

/** Asks it to end by `signal`, and kills it when it has not after `graceMs`. Resolves when it is gone, or ten seconds later. */
export async function endProcess(
  record: ProcessRecord,
  graceMs: number,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  signalRecord(record, signal);
  if (await untilGone(record, graceMs)) return;
  signalRecord(record, 'SIGKILL');
  await untilGone(record, 10_000);
}

/**
 * Processes that run `program` (the end of its path) with this argument first: what was started a moment before its record could be written.
 * An editor that shows the same file is none of them.
 */
export function processesRunning(program: string, argument: string): ProcessRecord[] {
  const found: ProcessRecord[] = [];
  for (const name of readdirOrNothing('/proc')) {
    const pid = Number(name);
    if (!(pid > 1) || pid === process.pid) continue;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const at = words.indexOf(argument);
      if (at > 0 && words[at - 1]?.endsWith(program) === true) found.push(recordOf(pid));
    } catch {
      // Gone meanwhile, or another user's.
    }
  }
  return found.filter(isRunning);
}

function readdirOrNothing(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

export { bootId };

/** What the agent and a wrapper write of one start of a container, and how it is read. Rules: PRC-7, PRC-9. */
import { constants as os } from 'node:os';
import type { ContainerEnd } from '../ports.js';
import type { ProcessId } from './process-table.js';

/** A record as it is now. */
export interface ExitRecord {
  readonly containerId: string;
  /** Absolute. */
  readonly sandbox: string;
  /** The container's main process, once it exists. */
  readonly started?: ProcessId | undefined;
  /** It could not join its groups, so it was not executed. */
  readonly failed?: boolean | undefined;
  /** It is of an earlier start of the machine: its pids are others'. */
  readonly carried?: boolean | undefined;
  /** How it ended; `undefined`: it has not, or nobody has written how. */
  readonly end?: ContainerEnd | undefined;
}

/** The wrapper's part, in front and preallocated: it is written in place, so that a full disk loses no end. */
export const WRITTEN_BYTES = 128;

/** A record before its container starts, or with an end that was found out otherwise. */
export function formatRecord({ containerId, sandbox, started, carried, end }: ExitRecord): string {
  const lines = [
    ...(started === undefined ? [] : [`started ${started.pid} ${started.startTicks}\n`]),
    ...(end === undefined ? [] : [`${endLine(end)}\n`]),
  ];
  return lines.join('').padEnd(WRITTEN_BYTES) + JSON.stringify({ containerId, sandbox, carried });
}

/** Reads the status of a shell's `$?`, or that of nobody. */
function endLine({ lost, exitCode, exitSignal }: ContainerEnd): string {
  if (lost !== undefined) return `lost ${lost}`;
  return `ended ${exitSignal === undefined ? (exitCode ?? 0) : 128 + os.signals[exitSignal as NodeJS.Signals]}`;
}

/** Whatever else a broken disk has put there was never written: no pid of 0, 1 or none is taken from it. */
const STARTED = /^started ([2-9]|[1-9]\d+) (\d+)$/;
const ENDED = /^ended (\d{1,3})$/;

/** `undefined` for what is no record: it was cut off before the container could start. */
export function parseRecord(bytes: Buffer): ExitRecord | undefined {
  const head = parseHead(bytes.toString('utf8', WRITTEN_BYTES));
  if (head === undefined) return undefined;
  const record: { -readonly [K in keyof ExitRecord]: ExitRecord[K] } = { ...head };
  // What is behind the last line end is not complete.
  for (const line of bytes.toString('latin1', 0, WRITTEN_BYTES).split('\n').slice(0, -1)) {
    const started = STARTED.exec(line);
    const ended = ENDED.exec(line);
    if (started !== null) record.started = { pid: Number(started[1]), startTicks: Number(started[2]) };
    else if (ended !== null) record.end = endOfStatus(Number(ended[1]));
    else if (line === 'failed group') record.failed = true;
    else if (line === 'lost machine') record.end = { lost: 'machine' };
    else if (line === 'lost wrapper') record.end = { lost: 'wrapper' };
  }
  return record;
}

const SIGNAL_NAMES = new Map(Object.entries(os.signals).map(([name, number]) => [number, name]));

/** A shell does not tell an exit with 143 from a death by SIGTERM: it is told as the signal, which is nearly always right. Rule: PRC-9. */
export function endOfStatus(status: number): ContainerEnd {
  const exitSignal = status > 128 ? SIGNAL_NAMES.get(status - 128) : undefined;
  return exitSignal === undefined ? { exitCode: status } : { exitSignal };
}

function parseHead(text: string): Pick<ExitRecord, 'containerId' | 'sandbox' | 'carried'> | undefined {
  try {
    const { containerId, sandbox, carried } = JSON.parse(text) as Record<string, unknown>;
    if (typeof containerId !== 'string' || typeof sandbox !== 'string') return undefined;
    return { containerId, sandbox, carried: carried === true };
  } catch {
    return undefined;
  }
}

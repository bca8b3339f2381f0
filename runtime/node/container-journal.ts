/**
 * What an agent has started, on disk before it is started, so that its next life finds what the last one left running. One line per event,
 * appended; not synced, since what it speaks of does not survive a power cut either. Rule: PRC-6.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import type { ContainerEnd } from '../ports.js';
import type { ProcessId } from './process-table.js';

/** A container of the journal. */
export interface JournalEntry {
  readonly containerId: string;
  /** Absolute. */
  readonly sandbox: string;
  readonly bootId: string;
  /** `undefined`: it was about to start when the agent died, so it may have started or not. */
  readonly process?: ProcessId | undefined;
  /** `undefined`: its end is not known. */
  readonly end?: ContainerEnd | undefined;
}

type Line =
  | { readonly starting: string; readonly sandbox: string; readonly boot: string }
  | { readonly started: string; readonly pid: number; readonly ticks: number }
  | { readonly ended: string; readonly end: ContainerEnd };

/** Beyond this it is written anew, without the older ends. */
const LARGEST_BYTES = 16 * 1024 * 1024;
/** Ends that are kept then, the last ones. */
const KEPT_ENDS = 10_000;

/** Reads a journal; none is an empty one. A line that was cut off by a crash, which can only be the last, counts as not written. */
export function readJournal(path: string): JournalEntry[] {
  if (!existsSync(path)) return [];
  const entries = new Map<string, JournalEntry>();
  for (const text of readFileSync(path, 'utf8').split('\n')) {
    const line = parseLine(text);
    if (line !== undefined) apply(entries, line);
  }
  return [...entries.values()];
}

/** The journal of one life of an agent. */
export class ContainerJournal {
  readonly #path: string;
  readonly #bootId: string;
  #file: number;
  #bytes: number;

  /** Opens it, or makes it, for this user alone; what is in it stays. */
  constructor(path: string, bootId: string) {
    this.#path = path;
    this.#bootId = bootId;
    this.#file = openSync(path, 'a', 0o600);
    this.#bytes = fstatSync(this.#file).size;
    // Whatever a crash has cut off must not be continued.
    if (this.#bytes > 0) this.#append('\n');
  }

  /** To be called before the container is started. @throws when it cannot be written: then it must not be. */
  starting(containerId: string, sandbox: string): void {
    this.#write({ starting: containerId, sandbox, boot: this.#bootId });
  }

  started(containerId: string, { pid, startTicks }: ProcessId): void {
    this.#write({ started: containerId, pid, ticks: startTicks });
  }

  ended(containerId: string, end: ContainerEnd): void {
    this.#write({ ended: containerId, end });
    if (this.#bytes > LARGEST_BYTES) this.#compact();
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(line: Line): void {
    this.#append(`${JSON.stringify(line)}\n`);
  }

  #append(text: string): void {
    this.#bytes += writeSync(this.#file, text);
  }

  #compact(): void {
    const entries = readJournal(this.#path);
    const ended = entries.filter(({ end }) => end !== undefined).length;
    let forgotten = Math.max(0, ended - KEPT_ENDS);
    const kept = entries.filter(({ end }) => end === undefined || forgotten-- <= 0);
    const text = kept.flatMap(linesOf).join('');
    const unfinished = `${this.#path}.tmp`;
    writeFileSync(unfinished, text, { mode: 0o600 });
    renameSync(unfinished, this.#path);
    closeSync(this.#file);
    this.#file = openSync(this.#path, 'a', 0o600);
    this.#bytes = text.length;
  }
}

function parseLine(text: string): Line | undefined {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === 'object' && line !== null ? (line as Line) : undefined;
  } catch {
    return undefined;
  }
}

function apply(entries: Map<string, JournalEntry>, line: Line): void {
  if ('starting' in line) {
    entries.set(line.starting, { containerId: line.starting, sandbox: line.sandbox, bootId: line.boot });
    return;
  }
  const id = 'started' in line ? line.started : line.ended;
  const entry = entries.get(id);
  if (entry === undefined) return;
  if ('started' in line) entries.set(id, { ...entry, process: { pid: line.pid, startTicks: line.ticks } });
  else entries.set(id, { ...entry, end: line.end });
}

function linesOf({ containerId, sandbox, bootId, process, end }: JournalEntry): string[] {
  const lines: Line[] = [{ starting: containerId, sandbox, boot: bootId }];
  if (process !== undefined) lines.push({ started: containerId, pid: process.pid, ticks: process.startTicks });
  if (end !== undefined) lines.push({ ended: containerId, end });
  return lines.map((line) => `${JSON.stringify(line)}\n`);
}

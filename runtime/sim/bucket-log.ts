/** The stream behind one KV bucket, with one message kept per key. */

/** A message of the stream. Without a value it is the marker of a deletion or of an expiry. */
export interface LogEntry {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly revision: number;
}

/** One change, and what it can be undone with. */
interface Change {
  readonly atMs: number;
  readonly key: string;
  readonly before: LogEntry | undefined;
  /** Last sequence before it. */
  readonly sequence: number;
}

/** No disaster brings back an older state than this. */
const HISTORY_MS = 60_000;

/** Entries in the order of the stream, and the sequence, which grows until a disaster brings an older stream back. */
export class BucketLog {
  /** A key that is written again moves to the end, so that the Map's own order is that of the stream. */
  #last = new Map<string, LogEntry>();
  #sequence = 0;
  #history: Change[] = [];

  get sequence(): number {
    return this.#sequence;
  }

  get(key: string): LogEntry | undefined {
    return this.#last.get(key);
  }

  /** Whether `revision` is the last of the key; 0 stands for absent or deleted. */
  accepts(key: string, revision: number): boolean {
    const last = this.#last.get(key);
    return revision === (last?.revision ?? 0) || (revision === 0 && last?.value === undefined);
  }

  append(key: string, value: Uint8Array | undefined, atMs: number): LogEntry {
    this.#note(key, atMs);
    const entry: LogEntry = { key, value, revision: ++this.#sequence };
    this.#last.delete(key);
    this.#last.set(key, entry);
    return entry;
  }

  /** Takes an entry out of the stream, unless the key was written since. */
  remove(entry: LogEntry, atMs: number): void {
    if (this.#last.get(entry.key) !== entry) return;
    this.#note(entry.key, atMs);
    this.#last.delete(entry.key);
  }

  /** The stream as it was at that time, its sequence too. Returns the keys that have other entries than before. */
  goBack(toMs: number): ReadonlySet<string> {
    const changed = new Set<string>();
    for (let change = this.#history.at(-1); change !== undefined && change.atMs > toMs; change = this.#history.at(-1)) {
      this.#history.pop();
      const { key, before, sequence } = change;
      this.#last.delete(key);
      if (before !== undefined) this.#last.set(key, before);
      this.#sequence = sequence;
      changed.add(key);
    }
    this.#last = new Map([...this.#last].sort(([, a], [, b]) => a.revision - b.revision));
    return changed;
  }

  /** What a new watch would see, in order: markers too. */
  entries(): LogEntry[] {
    return [...this.#last.values()];
  }

  #note(key: string, atMs: number): void {
    this.#history.push({ atMs, key, before: this.#last.get(key), sequence: this.#sequence });
    if (this.#history.length % 1_024 > 0) return;
    this.#history = this.#history.filter((change) => change.atMs > atMs - HISTORY_MS);
  }
}

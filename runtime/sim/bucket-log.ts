/** The stream behind one KV bucket, with one message kept per key. */

/** A message of the stream. Without a value it is the marker of a deletion or of an expiry. */
export interface LogEntry {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly revision: number;
}

/** Entries in the order of the stream, and the sequence, which only grows. */
export class BucketLog {
  /** A key that is written again moves to the end, so that the Map's own order is that of the stream. */
  readonly #last = new Map<string, LogEntry>();
  #sequence = 0;

  get(key: string): LogEntry | undefined {
    return this.#last.get(key);
  }

  /** Whether `revision` is the last of the key; 0 stands for absent or deleted. */
  accepts(key: string, revision: number): boolean {
    const last = this.#last.get(key);
    return revision === (last?.revision ?? 0) || (revision === 0 && last?.value === undefined);
  }

  append(key: string, value: Uint8Array | undefined): LogEntry {
    const entry: LogEntry = { key, value, revision: ++this.#sequence };
    this.#last.delete(key);
    this.#last.set(key, entry);
    return entry;
  }

  /** Takes an entry out of the stream, unless the key was written since. */
  remove(entry: LogEntry): void {
    if (this.#last.get(entry.key) === entry) this.#last.delete(entry.key);
  }

  /** What a new watch would see, in order: markers too. */
  entries(): LogEntry[] {
    return [...this.#last.values()];
  }
}

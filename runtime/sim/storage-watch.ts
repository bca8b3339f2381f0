/** One watch of a bucket: all that is there, the mark, then each change, in the order of the stream. Rule: SIM-8. */
import type { Entry } from '../ports.js';
import type { BucketLog, LogEntry } from './bucket-log.js';
import type { Incarnation, VirtualClock } from './virtual-clock.js';

export interface WatchOptions {
  readonly node: string;
  readonly incarnation: Incarnation;
  readonly clock: VirtualClock;
  readonly log: BucketLog;
  readonly delayMs: () => number;
  readonly onEntry: (entry: Entry) => void;
  readonly onCaughtUp: () => void;
  /** The stream is not the one that it was: the process is to end, and to read everything anew. */
  readonly onFatal: (error: Error) => void;
}

/** As a client with an ordered consumer: after an interruption it goes on behind the last entry that it has seen. */
export class StorageWatch {
  readonly #options: WatchOptions;
  /** Revision of the last entry that was seen. */
  #seen = 0;
  #caughtUp = false;
  #started = false;
  #isFatal = false;
  /** Counts interruptions: what was on its way at one of them is lost. */
  #linkNumber = 0;
  #lastDueAtMs = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  get node(): string {
    return this.#options.node;
  }

  /** Begins, or goes on after an interruption. Does nothing while it runs. */
  start(): void {
    if (this.#started || this.#isFatal) return;
    this.#started = true;
    if (this.#options.log.sequence < this.#seen) return this.#fail();
    for (const entry of this.#options.log.entries()) if (entry.revision > this.#seen) this.send(entry);
    if (this.#caughtUp) return;
    this.#later(() => {
      this.#caughtUp = true;
      this.#options.onCaughtUp();
    });
  }

  #fail(): void {
    this.#isFatal = true;
    const { clock, incarnation, onFatal, delayMs } = this.#options;
    const error = new Error(`the bucket went back from ${this.#seen}`);
    clock.schedule(clock.now() + delayMs(), () => onFatal(error), incarnation);
  }

  interrupt(): void {
    this.#started = false;
    this.#linkNumber++;
  }

  /** Sends an entry that was written; before the start it waits in the stream. */
  send({ key, value, revision }: LogEntry): void {
    if (!this.#started || this.#isFatal) return;
    this.#later(() => {
      this.#seen = revision;
      this.#options.onEntry({ key, value: value && new Uint8Array(value), revision });
    });
  }

  #later(callback: () => void): void {
    const { clock, delayMs, incarnation } = this.#options;
    this.#lastDueAtMs = Math.max(this.#lastDueAtMs, clock.now() + delayMs());
    const linkNumber = this.#linkNumber;
    clock.schedule(this.#lastDueAtMs, () => (linkNumber === this.#linkNumber ? callback() : undefined), incarnation);
  }
}

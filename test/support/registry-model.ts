/** A registry's stream by hand: writes wait until the test lands or loses them, entries until it delivers them. */
import type { Entry, KeyedWrite, Storage, Stored } from '../../runtime/ports.js';

/** A write on its way. What is lost is never stored; what has landed is answered by a call of its own, or never. */
export interface InFlight {
  readonly fenceKey: string;
  readonly fence: number;
  readonly writes: readonly KeyedWrite[];
  readonly decisions: readonly (readonly KeyedWrite[])[];
  readonly call: 'commit' | 'compareAndSet';
  /** Tells the caller. */
  readonly answer: (outcome: Stored['outcome']) => void;
  /** Applies all of it, or the writes named, if the fence still stands. */
  readonly land: (only?: readonly number[]) => 'stored' | 'refused';
}

export class RegistryModel {
  readonly sent: InFlight[] = [];
  readonly stream: Entry[] = [];
  /** Timers that wait, in order. */
  readonly timers: (() => void)[] = [];
  readonly logged: string[] = [];
  readonly counted = new Map<string, number>();
  #delivered = 0;
  onEntry: (entry: Entry) => void = () => undefined;

  /** Sequences begin behind the epoch record of the term. */
  constructor(readonly fence: number) {
    for (let revision = 1; revision < fence; revision++) this.stream.push({ key: `old.${revision}`, revision });
    this.stream.push({ key: 'epoch', revision: fence });
    this.#delivered = this.stream.length;
  }

  readonly ports = {
    storage: {
      commit: (fenceKey, fence, decisions, onStored) => {
        this.#send('commit', fenceKey, fence, decisions, onStored);
      },
      compareAndSet: (_bucket, write, revision, _ttlMs, onStored) => {
        const flight = this.#send('compareAndSet', write.key, revision, [[write]], (outcome) =>
          onStored({ outcome, revision: outcome === 'stored' ? this.lastOf(write.key) : 0 }),
        );
        return flight;
      },
      watch: () => undefined,
    } as Storage,
    clock: {
      now: () => 0,
      after: (_delayMs: number, callback: () => void) => {
        this.timers.push(callback);
        return { cancel: () => undefined };
      },
    },
    log: { write: (_level: string, message: string) => void this.logged.push(message) },
    metrics: { count: (metric: string, by: number) => void this.counted.set(metric, (this.counted.get(metric) ?? 0) + by) }, // prettier-ignore
  };

  lastOf(key: string): number {
    return this.stream.findLast((entry) => entry.key === key)?.revision ?? 0;
  }

  append(write: KeyedWrite): void {
    this.stream.push({ ...write, revision: this.stream.length + 1 });
  }

  /** The watch delivers what is in the stream, at most so many entries. */
  deliver(most = Infinity): void {
    for (let count = 0; count < most && this.#delivered < this.stream.length; count++)
      this.onEntry(this.stream[this.#delivered++] as Entry);
  }

  fireTimer(): void {
    this.timers.shift()?.();
  }

  #send(
    call: InFlight['call'],
    fenceKey: string,
    fence: number,
    decisions: InFlight['decisions'],
    answer: InFlight['answer'],
  ): void {
    const writes = [...new Map(decisions.flat().map((write) => [write.key, write])).values()];
    const land = (only?: readonly number[]): 'stored' | 'refused' => {
      if (this.lastOf(fenceKey) !== fence) return 'refused';
      writes.forEach((write, at) => (only === undefined || only.includes(at) ? this.append(write) : undefined));
      return 'stored';
    };
    this.sent.push({ call, fenceKey, fence, writes, decisions, answer, land });
  }
}

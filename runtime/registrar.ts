/** Group commit under the fence, and the barrier that settles what nobody answered. The one owner of the fence. Rules: REG-1, REG-2, REG-4, REG-7. */
import type { Persist, RegistryWrite } from '../actors/effect.js';
import { decodeValue, encodeValue } from '../protocol/codec.js';
import { MAX_BATCH_RECORDS, MAX_QUEUED_RECORDS } from '../protocol/limits.js';
import { EPOCH_KEY, type EpochRecord } from '../protocol/registry.js';
import type { Clock, Entry, KeyedWrite, Log, Metrics, Storage } from './ports.js';

/** Between two tries of a barrier: at first, and at most. */
const RETRY_MS = 50;
const RETRY_MAX_MS = 1_000;

export type RegistrarEvent =
  | { readonly type: 'REGISTRY_STORED'; readonly requestId: number }
  /** Nothing is written any more. At most once in a term. */
  | { readonly type: 'REGISTRY_LOST'; readonly reason: string };

export interface RegistrarOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tell: (event: RegistrarEvent) => void;
}

/** A decision with its bytes: what the watch delivers is compared with them. */
interface Decision {
  readonly requestId: number;
  readonly writes: readonly KeyedWrite[];
}

const encode = ({ key, record }: RegistryWrite): KeyedWrite =>
  record === undefined ? { key } : { key, value: encodeValue(record) };

/**
 * One write in flight; each decision is told once it is stored. A write whose outcome is unknown, or that was refused, is settled in
 * place:
 *
 * 1. A group is sent under fence 7, and no answer comes. It may be stored, may be yet, or may be lost.
 * 2. Our own epoch record is written anew, with its counter raised, if its sequence is still 7. From then on every write that expects 7 is
 *    refused, wherever it still is on its way.
 * 3. The watch delivers the entries of the stream in order. When it delivers that record, it has delivered everything that was stored
 *    under 7, and nothing more of that will come.
 * 4. So what it has delivered of the group happened; what it has not never will, and is sent again under the new fence.
 *
 * The answer to step 2 decides nothing: it may be lost as well. The record is sent again under the sequence seen last until the watch
 * delivers it, or another's: then another leads, and nothing more is written.
 */
export class Registrar {
  readonly #options: RegistrarOptions;
  #queue: Decision[] = [];
  #queuedRecords = 0;
  /** What waits for its answer, or for the barrier. */
  #pending: Decision[] = [];
  /** The last entry that the watch has delivered of each key in `#pending` since it was sent. */
  readonly #seen = new Map<string, Entry | undefined>();
  #state: 'outside' | 'idle' | 'writing' | 'barrier' | 'over' = 'outside';
  /** Our epoch record, as it is or is to be. */
  #record: EpochRecord | undefined;
  #fence = 0;
  #barrier = 0;
  /** Number of the last try, of all barriers: what an earlier one is answered no longer matters. */
  #tries = 0;
  #retryMs = RETRY_MS;
  #startedAtMs = 0;
  /** The record has to be written though no outcome is unknown. */
  #raising = false;

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  /** The claim of the epoch was stored: a term begins. */
  lead(record: EpochRecord, fence: number): void {
    if (this.#state !== 'outside') return;
    this.#state = 'idle';
    this.#record = record;
    this.#fence = fence;
    this.#barrier = record.barrier ?? 0;
  }

  add({ requestId, writes }: Persist): void {
    if (this.#state === 'over') return;
    this.#queue.push({ requestId, writes: writes.map(encode) });
    this.#queuedRecords += writes.length;
  }

  /** Changes our epoch record, by a barrier of its own. The watch delivers it. Rule: EPO-5. */
  raise(change: Pick<EpochRecord, 'epoch' | 'inDoubt'>): void {
    if (this.#state === 'outside' || this.#state === 'over' || this.#record === undefined) return;
    const { inDoubt: _before, ...record } = this.#record;
    this.#record = { ...record, ...change };
    this.#raising = true;
  }

  /** Each entry of the registry's watch, before the actor gets it. */
  onEntry(entry: Entry): void {
    if (this.#state === 'outside' || this.#state === 'over') return;
    if (entry.key === EPOCH_KEY) this.#onEpoch(entry);
    else if (this.#seen.has(entry.key)) this.#seen.set(entry.key, entry);
  }

  /** Sends what waits, unless a write is in flight. Called at the end of each batch of effects. */
  flush(): void {
    if (this.#state === 'idle' && this.#raising) this.#begin('raised');
    if (this.#state === 'barrier' && this.#queuedRecords > MAX_QUEUED_RECORDS)
      return this.#lose(`the registry has taken nothing for so long that ${this.#queuedRecords} records wait for it`);
    if (this.#state !== 'idle' || this.#queue.length === 0) return;
    this.#pending = this.#take();
    this.#state = 'writing';
    for (const { writes } of this.#pending) for (const { key } of writes) this.#seen.set(key, undefined);
    const decisions = this.#pending.map(({ writes }) => writes);
    this.#options.storage.commit(EPOCH_KEY, this.#fence, decisions, (outcome) => {
      if (this.#state !== 'writing') return;
      if (outcome === 'stored') return this.#settle(this.#pending, []);
      return this.#begin(outcome);
    });
  }

  #onEpoch({ value, revision }: Entry): void {
    const { masterId, barrier = 0 } = (value === undefined ? {} : decodeValue(value)) as Partial<EpochRecord>;
    // From before our claim.
    if (revision < this.#fence && masterId !== this.#record?.masterId) return;
    // The actor sees it too, and stops. Rule: REG-2.
    if (masterId !== this.#record?.masterId) return this.#end();
    this.#fence = Math.max(this.#fence, revision);
    if (this.#state !== 'barrier' || barrier !== this.#barrier) return;
    const { log, metrics, clock } = this.#options;
    const lost = this.#pending.filter((decision) => !this.#hasHappened(decision));
    const happened = this.#pending.filter((decision) => !lost.includes(decision));
    const tookMs = Math.round(clock.now() - this.#startedAtMs);
    metrics.count('registry_barrier_settled', 1);
    metrics.count('registry_writes_sent_again', lost.length);
    log.write('info', 'a barrier settled the registry', { tookMs, stored: happened.length, again: lost.length });
    this.#settle(happened, lost);
  }

  /**
   * Whether the watch has delivered a decision. Of two that write one key in a group the later counts for both: only it was sent, as
   * nobody sees in between.
   */
  #hasHappened({ writes }: Decision): boolean {
    return writes.every(({ key }) => {
      const entry = this.#seen.get(key);
      return entry !== undefined && isSame(entry.value, this.#lastOf(key));
    });
  }

  #lastOf(key: string): Uint8Array | undefined {
    let last: Uint8Array | undefined;
    for (const { writes } of this.#pending) for (const write of writes) if (write.key === key) last = write.value;
    return last;
  }

  #settle(happened: readonly Decision[], lost: readonly Decision[]): void {
    this.#state = 'idle';
    this.#pending = [];
    this.#seen.clear();
    this.#queue.unshift(...lost);
    for (const { writes } of lost) this.#queuedRecords += writes.length;
    for (const { requestId } of happened) this.#options.tell({ type: 'REGISTRY_STORED', requestId });
    this.flush();
  }

  #begin(why: string): void {
    const { log, metrics, clock } = this.#options;
    this.#state = 'barrier';
    this.#raising = false;
    this.#barrier += 1;
    this.#retryMs = RETRY_MS;
    this.#startedAtMs = clock.now();
    metrics.count('registry_barrier', 1);
    log.write('warn', 'a barrier is to settle the registry', { why, writes: this.#pending.length, barrier: this.#barrier }); // prettier-ignore
    this.#try();
  }

  #try(): void {
    const { storage, clock } = this.#options;
    const number = ++this.#tries;
    const record: EpochRecord = { ...(this.#record as EpochRecord), barrier: this.#barrier };
    this.#record = record;
    const isOver = (): boolean => this.#state !== 'barrier' || number !== this.#tries;
    const write = { key: EPOCH_KEY, value: encodeValue(record) };
    storage.compareAndSet('registry', write, this.#fence, undefined, ({ outcome }) => {
      // Stored, and the watch will say so.
      if (isOver() || outcome === 'stored') return;
      clock.after(this.#retryMs, () => {
        if (!isOver()) this.#try();
      });
      this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
    });
  }

  #lose(reason: string): void {
    this.#end();
    this.#options.metrics.count('registry_lost', 1);
    this.#options.tell({ type: 'REGISTRY_LOST', reason });
  }

  /** Nothing is written, and nobody is told anything, any more. */
  #end(): void {
    this.#state = 'over';
    this.#queue = [];
    this.#queuedRecords = 0;
    this.#pending = [];
    this.#seen.clear();
  }

  /** As many whole decisions as fit into a batch. */
  #take(): Decision[] {
    let records = 0;
    let count = 0;
    for (const { writes } of this.#queue) {
      if (count > 0 && records + writes.length > MAX_BATCH_RECORDS) break;
      records += writes.length;
      count += 1;
    }
    this.#queuedRecords -= records;
    return this.#queue.splice(0, count);
  }
}

function isSame(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

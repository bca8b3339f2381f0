/** Group commit: whatever piles up while one write is in flight goes into the next. Rule: REG-1. */
import type { Persist, RegistryWrite } from '../actors/effect.js';
import { encodeValue } from '../protocol/codec.js';
import { MAX_BATCH_RECORDS } from '../protocol/limits.js';
import { EPOCH_KEY } from '../protocol/registry.js';
import type { KeyedWrite, Storage } from './ports.js';

const encode = ({ key, record }: RegistryWrite): KeyedWrite =>
  record === undefined ? { key } : { key, value: encodeValue(record) };

type Tell = (event: { readonly type: 'REGISTRY_STORED' | 'REGISTRY_REFUSED'; readonly requestId: number }) => void;

/** One write in flight; each decision is told whether it is stored, in the order in which they were made. */
export class Registrar {
  readonly #storage: Storage;
  readonly #tell: Tell;
  #queue: Persist[] = [];
  #isInFlight = false;
  #isBroken = false;

  constructor(storage: Storage, tell: Tell) {
    this.#storage = storage;
    this.#tell = tell;
  }

  add(effect: Persist): void {
    this.#queue.push(effect);
  }

  /** Sends what waits, unless a write is in flight. Called at the end of each batch of effects. */
  flush(): void {
    if (this.#isInFlight || this.#queue.length === 0) return;
    if (this.#isBroken) {
      this.#refuse(this.#queue.splice(0));
      return;
    }
    const group = this.#take();
    const fence = group[0]?.fence ?? 0;
    this.#isInFlight = true;
    const decisions = group.map(({ writes }) => writes.map(encode));
    this.#storage.commit(EPOCH_KEY, fence, decisions, (outcome) => {
      this.#isInFlight = false;
      if (outcome === 'stored') {
        for (const { requestId } of group) this.#tell({ type: 'REGISTRY_STORED', requestId });
      } else {
        // Refused or unknown: memory is ahead of storage from here on, and nothing more may be written.
        this.#isBroken = true;
        this.#refuse(group);
      }
      this.flush();
    });
  }

  #refuse(group: readonly Persist[]): void {
    for (const { requestId } of group) this.#tell({ type: 'REGISTRY_REFUSED', requestId });
  }

  /** As many whole decisions, all under one fence, as fit into a batch. */
  #take(): Persist[] {
    let records = 0;
    let count = 0;
    const [first] = this.#queue;
    for (const { writes, fence } of this.#queue) {
      if (fence !== first?.fence || (count > 0 && records + writes.length > MAX_BATCH_RECORDS)) break;
      records += writes.length;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }
}

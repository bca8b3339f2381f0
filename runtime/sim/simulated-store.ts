/** The agent's own records on one machine's disk, in memory: outlives the agent's process, and loses its tail with the machine. Rule: SIM-9. */
import type { KeyedWrite, Store } from '../ports.js';
import type { SeededRandom } from './seeded-random.js';
import type { Incarnation, VirtualClock } from './virtual-clock.js';

/** Longest tail that a machine may lose; older commits are on the disk for good. */
export const LONGEST_TAIL_MS = 2_000;

type Records = Map<string, Uint8Array>;

interface Commit {
  readonly life: Incarnation;
  readonly writes: readonly KeyedWrite[];
  readonly onStored: () => void;
}

/** A commit that took place, with what was there before: the machine may still lose it. */
interface Undo {
  readonly atMs: number;
  readonly before: readonly (readonly [key: string, value: Uint8Array | undefined])[];
}

/** One transaction after the other. Each life of the agent's process has its {@link port}. */
export class SimulatedStore {
  readonly #records: Records = new Map();
  /** Commits on their way, in order. */
  #pending: Commit[] = [];
  #tail: Undo[] = [];
  #lastAtMs = 0;
  /** No commit succeeds: the disk has no room. */
  full = false;

  constructor(
    readonly clock: VirtualClock,
    readonly random: SeededRandom,
    /** How long a commit takes. */
    public commitMs: () => number = () => random.between(0.1, 3),
  ) {}

  /** @param onFatal a commit failed: the process is to end, as nothing that it goes on to do would be remembered */
  port(life: Incarnation, onFatal: (error: Error) => void = () => undefined): Store {
    life.onEnd(() => this.#settle(life));
    return {
      load: () => [...this.#records].map(([key, value]) => [key, new Uint8Array(value)] as const),
      commit: (writes, onStored) => {
        if (!life.alive) return;
        const commit = { life, writes: writes.map(copyOf), onStored };
        this.#pending.push(commit);
        this.#lastAtMs = Math.max(this.#lastAtMs, this.clock.now() + this.commitMs());
        this.clock.schedule(this.#lastAtMs, () => this.#due(commit, onFatal));
      },
    };
  }

  /** What is stored under a key, for checkers. */
  record(key: string): Uint8Array | undefined {
    return this.#records.get(key);
  }

  /**
   * The machine lost power: what was committed within the last `tailMs` is gone, whoever was told of it. Returns the keys that are
   * other than they were.
   */
  loseTail(tailMs: number): ReadonlySet<string> {
    const lost = new Set<string>();
    for (const { atMs, before } of this.#tail.reverse()) {
      if (atMs <= this.clock.now() - tailMs) continue;
      for (const [key, value] of before) {
        lost.add(key);
        if (value === undefined) this.#records.delete(key);
        else this.#records.set(key, value);
      }
    }
    this.#tail = [];
    return lost;
  }

  #due(commit: Commit, onFatal: (error: Error) => void): void {
    if (this.#pending[0] !== commit) return;
    this.#pending.shift();
    const { life, onStored } = commit;
    if (this.full) {
      this.clock.schedule(this.clock.now(), () => onFatal(new Error('no space left on the device')), life);
      return;
    }
    this.#apply(commit);
    this.clock.schedule(this.clock.now(), onStored, life);
  }

  /** At the death of the process some of the commits on their way have taken place, in order; the rest has not. */
  #settle(life: Incarnation): void {
    const own = this.#pending.filter((commit) => commit.life === life);
    this.#pending = this.#pending.filter((commit) => commit.life !== life);
    const landing = this.full ? 0 : this.random.integer(0, own.length);
    for (const commit of own.slice(0, landing)) this.#apply(commit);
  }

  #apply({ writes }: Commit): void {
    const before = writes.map(({ key }) => [key, this.#records.get(key)] as const).reverse();
    this.#tail.push({ atMs: this.clock.now(), before });
    const old = this.#tail.findIndex(({ atMs }) => atMs > this.clock.now() - LONGEST_TAIL_MS);
    if (old > 64) this.#tail.splice(0, old);
    for (const { key, value } of writes) {
      if (value === undefined) this.#records.delete(key);
      else this.#records.set(key, value);
    }
  }
}

const copyOf = ({ key, value }: KeyedWrite): KeyedWrite => ({ key, value: value && new Uint8Array(value) });

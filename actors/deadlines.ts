/** One heap of deadlines per actor: every time-out of every row, by key. The host wakes the actor at the earliest. */

interface Entry {
  readonly key: string;
  readonly dueAtMs: number;
  readonly order: number;
}

/** A binary heap by (dueAtMs, order of scheduling); a key has one deadline, and setting it again moves it. */
export class Deadlines {
  readonly #heap: Entry[] = [];
  readonly #live = new Map<string, Entry>();
  #order = 0;

  /** Sets or moves the deadline of `key`. */
  set(key: string, dueAtMs: number): void {
    const entry: Entry = { key, dueAtMs, order: this.#order++ };
    this.#live.set(key, entry);
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
    if (this.#heap.length > 64 && this.#heap.length > this.#live.size * 4) this.#compact();
  }

  /** Sets the deadline of `key` unless it has an earlier one. */
  setEarliest(key: string, dueAtMs: number): void {
    const known = this.#live.get(key);
    if (known === undefined || known.dueAtMs > dueAtMs) this.set(key, dueAtMs);
  }

  clear(key: string): void {
    this.#live.delete(key);
  }

  has(key: string): boolean {
    return this.#live.has(key);
  }

  /** The earliest deadline, or `undefined` when there is none. */
  next(): number | undefined {
    this.#dropDead();
    return this.#heap[0]?.dueAtMs;
  }

  /** Takes one key that is due at `now`, earliest first; `undefined` when none is. */
  take(now: number): string | undefined {
    this.#dropDead();
    const first = this.#heap[0];
    if (first === undefined || first.dueAtMs > now) return undefined;
    this.#live.delete(first.key);
    this.#pop();
    return first.key;
  }

  #dropDead(): void {
    for (let first = this.#heap[0]; first !== undefined && this.#live.get(first.key) !== first; first = this.#heap[0])
      this.#pop();
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  /** A key that is set again and again leaves dead entries behind; without this the heap would grow with them. */
  #compact(): void {
    const alive = this.#heap.filter((entry) => this.#live.get(entry.key) === entry);
    this.#heap.length = 0;
    for (const entry of alive) {
      this.#heap.push(entry);
      this.#up(this.#heap.length - 1);
    }
  }

  #before(a: number, b: number): boolean {
    const left = this.#heap[a] as Entry;
    const right = this.#heap[b] as Entry;
    return left.dueAtMs < right.dueAtMs || (left.dueAtMs === right.dueAtMs && left.order < right.order);
  }

  #swap(a: number, b: number): void {
    const held = this.#heap[a] as Entry;
    this.#heap[a] = this.#heap[b] as Entry;
    this.#heap[b] = held;
  }

  #up(start: number): void {
    for (let at = start; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(start: number): void {
    for (let at = start; ;) {
      const left = at * 2 + 1;
      let least = at;
      for (const child of [left, left + 1]) if (child < this.#heap.length && this.#before(child, least)) least = child;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }
}

/**
 * Deadlines of two kinds: those that `isWall` names run on the time of events; all others on counted time, which stands still whenever
 * {@link lose} says so. One number moves them all. Rule: DLN-1.
 */
export class CountedDeadlines extends Deadlines {
  readonly #isWall: (key: string) => boolean;
  readonly #counted = new Deadlines();
  #lostMs = 0;

  constructor(isWall: (key: string) => boolean) {
    super();
    this.#isWall = isWall;
  }

  /** So much of the time until now did not count. */
  lose(ms: number): void {
    this.#lostMs += ms;
  }

  /** A point of counted time, for ages that are measured in it. */
  counted(now: number): number {
    return now - this.#lostMs;
  }

  override set(key: string, dueAtMs: number): void {
    if (this.#isWall(key)) super.set(key, dueAtMs);
    else this.#counted.set(key, this.counted(dueAtMs));
  }

  override setEarliest(key: string, dueAtMs: number): void {
    if (this.#isWall(key)) super.setEarliest(key, dueAtMs);
    else this.#counted.setEarliest(key, this.counted(dueAtMs));
  }

  override clear(key: string): void {
    super.clear(key);
    this.#counted.clear(key);
  }

  override has(key: string): boolean {
    return super.has(key) || this.#counted.has(key);
  }

  override next(): number | undefined {
    const wall = super.next();
    const counted = this.#counted.next();
    if (counted === undefined) return wall;
    return Math.min(wall ?? Infinity, counted + this.#lostMs);
  }

  override take(now: number): string | undefined {
    const wall = super.next();
    const counted = this.#counted.next();
    const isWallFirst = wall !== undefined && (counted === undefined || wall <= counted + this.#lostMs);
    return isWallFirst ? super.take(now) : this.#counted.take(this.counted(now));
  }
}

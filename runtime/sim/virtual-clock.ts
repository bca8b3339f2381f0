/** The event loop of the simulated world: one heap of callbacks, one thread, no wall clock. Rules: SIM-1, SIM-2. */
import type { Clock, Timer } from '../ports.js';

/** Hears of an error thrown by a callback; without one it is thrown out of {@link VirtualClock.step}. */
export type OnThrow = (error: unknown, incarnation: Incarnation | undefined) => void;

/**
 * One life of a node's process. Everything that calls back into a node carries the token of its life: callbacks of a
 * life that has ended are dropped, those of a paused one wait, and the ports of an ended life do nothing.
 */
export class Incarnation {
  /** @param node name of the node @param number which life of it this is, from 1 */
  constructor(
    readonly node: string,
    readonly number: number,
  ) {}

  #alive = true;
  #paused = false;
  readonly #releases: (() => void)[] = [];
  /** Calls that the loop met while paused, in order. */
  readonly waiting: Call[] = [];

  get alive(): boolean {
    return this.#alive;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Registers what is to be released when this life ends, such as subscriptions; at once if it has ended. */
  onEnd(release: () => void): void {
    if (this.#alive) this.#releases.push(release);
    else release();
  }

  /** Ends this life, as `kill -9` does. A second time does nothing. */
  end(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.waiting.length = 0;
    for (const release of this.#releases.splice(0)) release();
  }

  /** Stops this life from being called, as SIGSTOP does; the world goes on. */
  pause(): void {
    this.#paused = true;
  }

  /** Lets it run again: `clock` calls back what has come due meanwhile, in order. */
  resume(clock: VirtualClock): void {
    if (!this.#paused) return;
    this.#paused = false;
    for (const call of this.waiting.splice(0)) clock.schedule(call.dueAtMs, () => call.run(), this);
  }
}

/** A callback that is to come. */
class Call implements Timer {
  constructor(
    readonly dueAtMs: number,
    readonly order: number,
    /** `undefined` once it was taken back or has run. */
    public callback: (() => void) | undefined,
    readonly incarnation: Incarnation | undefined,
    readonly heap: CallHeap,
  ) {}

  /** Runs the callback, unless it was taken back. */
  run(): void {
    const { callback } = this;
    this.callback = undefined;
    callback?.();
  }

  cancel(): void {
    if (this.callback === undefined) return;
    this.callback = undefined;
    this.heap.noteCancelled();
  }
}

/** A binary heap by (dueAtMs, order of scheduling). */
class CallHeap {
  #calls: Call[] = [];
  #cancelled = 0;

  get first(): Call | undefined {
    return this.#calls[0];
  }

  push(call: Call): void {
    this.#calls.push(call);
    this.#up(this.#calls.length - 1);
  }

  pop(): void {
    const last = this.#calls.pop();
    if (last === undefined || this.#calls.length === 0) return;
    this.#calls[0] = last;
    this.#down(0);
  }

  /** Hosts set their one timer anew at each step; without this the heap would fill with dead ones. */
  noteCancelled(): void {
    this.#cancelled++;
    if (this.#cancelled < 256 || this.#cancelled * 2 < this.#calls.length) return;
    this.#cancelled = 0;
    const live = this.#calls.filter((call) => call.callback !== undefined);
    this.#calls = live;
    for (let at = (live.length >> 1) - 1; at >= 0; at--) this.#down(at);
  }

  #before(a: number, b: number): boolean {
    const left = this.#calls[a] as Call;
    const right = this.#calls[b] as Call;
    return left.dueAtMs < right.dueAtMs || (left.dueAtMs === right.dueAtMs && left.order < right.order);
  }

  #swap(a: number, b: number): void {
    const held = this.#calls[a] as Call;
    this.#calls[a] = this.#calls[b] as Call;
    this.#calls[b] = held;
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
      if (left < this.#calls.length && this.#before(left, least)) least = left;
      if (left + 1 < this.#calls.length && this.#before(left + 1, least)) least = left + 1;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }
}

/** Time of the whole world, and the loop that moves it. Nodes get clocks of their own from {@link clockOf}. */
export class VirtualClock implements Clock {
  #now: number;
  #order = 0;
  #steps = 0;
  readonly #heap = new CallHeap();
  readonly #onThrow: OnThrow | undefined;

  /** @param startAtMs first instant, in milliseconds since 1970 */
  constructor(startAtMs: number, onThrow?: OnThrow) {
    this.#now = startAtMs;
    this.#onThrow = onThrow;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.schedule(this.#now + delayMs, callback);
  }

  /**
   * Calls back at `dueAtMs` of the world's time, at once (yet not synchronously) if that is past; for equal times in
   * the order of scheduling. @throws RangeError when `dueAtMs` is not a number
   */
  schedule(dueAtMs: number, callback: () => void, incarnation?: Incarnation): Timer {
    if (Number.isNaN(dueAtMs)) throw new RangeError('a callback needs a time');
    const call = new Call(Math.max(dueAtMs, this.#now), this.#order++, callback, incarnation, this.#heap);
    if (incarnation?.alive !== false) this.#heap.push(call);
    return call;
  }

  /** The clock that one life of a node sees: `skewMs` ahead of the world, never going backwards, dead with its life. */
  clockOf(incarnation: Incarnation, skewMs: () => number = () => 0): Clock {
    let latest = 0;
    return {
      now: () => (latest = Math.max(latest, this.#now + skewMs())),
      after: (delayMs, callback) => this.schedule(this.#now + delayMs, callback, incarnation),
    };
  }

  /** When the next callback is due, in the world's time; `undefined` when nothing is to come. */
  nextDueAtMs(): number | undefined {
    for (let first = this.#heap.first; first !== undefined; first = this.#heap.first) {
      const { callback, incarnation } = first;
      if (callback !== undefined && incarnation?.alive !== false) {
        if (incarnation?.paused !== true) return first.dueAtMs;
        incarnation.waiting.push(first);
      }
      this.#heap.pop();
    }
    return undefined;
  }

  /** Callbacks run so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Moves to the next callback's own time and runs it; `false` when nothing is to come. */
  step(): boolean {
    if (this.nextDueAtMs() === undefined) return false;
    const call = this.#heap.first as Call;
    this.#heap.pop();
    this.#now = call.dueAtMs;
    this.#steps++;
    if (this.#onThrow === undefined) call.run();
    else this.#guarded(call, this.#onThrow);
    return true;
  }

  /** Runs all that is due up to `untilMs`, then stands there. Returns how many callbacks ran. */
  run(untilMs: number): number {
    const before = this.#steps;
    for (let next = this.nextDueAtMs(); next !== undefined && next <= untilMs; next = this.nextDueAtMs()) this.step();
    this.#now = Math.max(this.#now, untilMs);
    return this.#steps - before;
  }

  #guarded(call: Call, onThrow: OnThrow): void {
    try {
      call.run();
    } catch (error) {
      onThrow(error, call.incarnation);
    }
  }
}

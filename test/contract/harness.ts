/** What every contract suite needs of a world, virtual or real. */
import test, { type ExecutionContext, type TestFn } from 'ava';
import type { VirtualClock } from '../../runtime/sim/virtual-clock.js';

/** Longest time that a suite waits for anything. */
const PATIENCE_MS = 15_000;
const POLL_MS = 3;

export interface Harness {
  /** Milliseconds of the world's time. */
  now(): number;
  /** Lets so many milliseconds pass, or lets time pass until the condition holds. Rejects when it does not in 15 s. */
  settle(until: number | (() => boolean)): Promise<void>;
  /** Ends what `make` began. */
  close(): Promise<void>;
}

export type Make<H extends Harness> = () => Promise<H>;

/** Registers one test of a suite, with a harness of its own. */
export const contract =
  <H extends Harness>(make: Make<H>, register: TestFn = test) =>
  (title: string, body: (t: ExecutionContext, harness: H) => Promise<void>): void =>
    register(title, async (t) => {
      const harness = await make();
      try {
        await body(t, harness);
      } finally {
        await harness.close();
      }
    });

/** Gives back what a port calls back with. */
export async function called<T>(harness: Harness, call: (onDone: (value: T) => void) => void): Promise<T> {
  const values: T[] = [];
  call((value) => values.push(value));
  await harness.settle(() => values.length > 0);
  return values[0] as T;
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (data: Uint8Array | undefined): string | undefined =>
  data === undefined ? undefined : new TextDecoder().decode(data);

/** A harness in the simulated world. */
export const virtualHarness = (clock: VirtualClock): Harness => ({
  now: () => clock.now(),
  settle: async (until) => {
    if (typeof until === 'number') {
      clock.run(clock.now() + until);
      return;
    }
    const latest = clock.now() + PATIENCE_MS;
    while (!until()) {
      if ((clock.nextDueAtMs() ?? Infinity) > latest) throw new Error(`not settled in ${PATIENCE_MS} ms`);
      clock.step();
    }
  },
  close: async () => undefined,
});

/** A harness in the real world; `close` ends what the adapter's own test began. */
export const realHarness = (close: () => Promise<void> = async () => undefined): Harness => ({
  now: () => performance.timeOrigin + performance.now(),
  settle: async (until) => {
    const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    if (typeof until === 'number') return pause(until);
    for (const latest = performance.now() + PATIENCE_MS; !until(); await pause(POLL_MS))
      if (performance.now() > latest) throw new Error(`not settled in ${PATIENCE_MS} ms`);
  },
  close,
});

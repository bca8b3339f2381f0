/** The contract of `Clock`. */
import type { TestFn } from 'ava';
import type { Clock } from '../../runtime/ports.js';
import { contract, type Harness, type Make } from './harness.js';

export interface ClockHarness extends Harness {
  readonly clock: Clock;
}

/** Registers the suite. `register` may be `test.serial`. */
export function clockSuite(make: Make<ClockHarness>, register?: TestFn): void {
  const rule = contract(make, register);

  rule('POR-1: a timer calls back once, at its delay or a little later, never synchronously', async (t, h) => {
    for (const delayMs of [0, 1, 7, 30]) {
      const calledAtMs: number[] = [];
      const startMs = h.clock.now();
      h.clock.after(delayMs, () => calledAtMs.push(h.clock.now()));
      t.is(calledAtMs.length, 0);
      await h.settle(() => calledAtMs.length > 0);
      t.true(
        (calledAtMs[0] as number) >= startMs + delayMs,
        `${delayMs} ms: came at ${(calledAtMs[0] as number) - startMs}`,
      );
      await h.settle(10);
      t.is(calledAtMs.length, 1);
    }
  });

  rule('POR-1: a delay that is past, or none, calls back soon', async (t, h) => {
    let calls = 0;
    h.clock.after(-5, () => calls++);
    t.is(calls, 0);
    await h.settle(() => calls === 1);
    t.pass();
  });

  rule('POR-1: a timer that is taken back does not call, and may be taken back again', async (t, h) => {
    let calls = 0;
    const first = h.clock.after(10, () => calls++);
    const second = h.clock.after(20, () => first.cancel());
    first.cancel();
    first.cancel();
    await h.settle(40);
    second.cancel();
    t.is(calls, 0);
  });

  rule('POR-1: timers call back in the order of their times, and may set others', async (t, h) => {
    const order: string[] = [];
    h.clock.after(60, () => order.push('c'));
    h.clock.after(10, () => {
      order.push('a');
      h.clock.after(15, () => order.push('b'));
    });
    await h.settle(() => order.length === 3);
    t.deepEqual(order, ['a', 'b', 'c']);
  });

  rule('POR-1: a delay of more than 2^31 ms does not call back early', async (t, h) => {
    let calls = 0;
    const timer = h.clock.after(2 ** 31 + 1_000, () => calls++);
    await h.settle(30);
    timer.cancel();
    t.is(calls, 0);
  });

  rule('POR-2: now is in milliseconds since 1970 and does not run backwards', async (t, h) => {
    const seen = [h.clock.now()];
    t.true((seen[0] as number) > Date.UTC(2020));
    for (let i = 0; i < 20; i++) {
      await h.settle(1);
      seen.push(h.clock.now());
    }
    t.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    const passedMs = (seen.at(-1) as number) - (seen[0] as number);
    t.true(passedMs >= 15 && passedMs < 5_000, `${passedMs} ms`);
  });
}

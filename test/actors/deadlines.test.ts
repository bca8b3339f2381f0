import test from 'ava';
import fc from 'fast-check';
import { createMachine, createActor } from 'xstate';
import { backoffMs } from '../../actors/backoff.js';
import { Deadlines } from '../../actors/deadlines.js';
import type { Effect } from '../../actors/effect.js';
import { invariant, InvariantBroken, unreachable } from '../../actors/invariant.js';
import { performer, type ActorState, type Batch } from '../../actors/perform.js';

/** Deadlines as one would write them without caring how long they take. */
class NaiveDeadlines {
  #order = 0;
  readonly #entries = new Map<string, { dueAtMs: number; order: number }>();
  set(key: string, dueAtMs: number): void {
    this.#entries.set(key, { dueAtMs, order: this.#order++ });
  }
  setEarliest(key: string, dueAtMs: number): void {
    const known = this.#entries.get(key);
    if (known === undefined || dueAtMs < known.dueAtMs) this.set(key, dueAtMs);
  }
  clear(key: string): void {
    this.#entries.delete(key);
  }
  #first() {
    return [...this.#entries].sort(([, a], [, b]) => a.dueAtMs - b.dueAtMs || a.order - b.order)[0];
  }
  next(): number | undefined {
    return this.#first()?.[1].dueAtMs;
  }
  take(now: number): string | undefined {
    const first = this.#first();
    if (first === undefined || first[1].dueAtMs > now) return undefined;
    this.#entries.delete(first[0]);
    return first[0];
  }
  has(key: string): boolean {
    return this.#entries.has(key);
  }
}

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g');
const dueAtMs = fc.nat(20);
const operation = fc.oneof(
  fc.record({ op: fc.constant('set' as const), key, dueAtMs }),
  fc.record({ op: fc.constant('setEarliest' as const), key, dueAtMs }),
  fc.record({ op: fc.constant('clear' as const), key, dueAtMs }),
  fc.record({ op: fc.constant('take' as const), key, dueAtMs }),
);

test('ACT-3: the heap of deadlines does what a sorted list would do, through any operations', (t) => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 400 }), (operations) => {
      const [real, naive] = [new Deadlines(), new NaiveDeadlines()];
      for (const step of operations) {
        if (step.op === 'take') t.is(real.take(step.dueAtMs), naive.take(step.dueAtMs));
        else {
          real[step.op](step.key, step.dueAtMs);
          naive[step.op](step.key, step.dueAtMs);
        }
        t.is(real.next(), naive.next());
        t.is(real.has(step.key), naive.has(step.key));
      }
      for (let taken = naive.take(99); taken !== undefined; taken = naive.take(99)) t.is(real.take(99), taken);
      t.is(real.take(99), undefined);
    }),
    { numRuns: 300 },
  );
});

test('ACT-3: a key that is moved a million times is still one deadline, and costs little', (t) => {
  const deadlines = new Deadlines();
  deadlines.set('other', 5_000_000);
  const began = performance.now();
  for (let i = 0; i < 1_000_000; i++) deadlines.set('key', i);
  t.true(performance.now() - began < 5_000);
  t.is(deadlines.next(), 999_999);
  t.is(deadlines.take(1e9), 'key');
  t.is(deadlines.take(1e9), 'other');
  t.is(deadlines.take(1e9), undefined);
});

test('ACT-3: what is due at one instant comes in the order in which it was set', (t) => {
  const deadlines = new Deadlines();
  for (const name of ['b', 'a', 'c']) deadlines.set(name, 7);
  t.is(deadlines.take(6), undefined);
  t.deepEqual([deadlines.take(7), deadlines.take(7), deadlines.take(7)], ['b', 'a', 'c']);
});

test('LNK-1: a delay between tries doubles to its maximum, and its upper half is random', (t) => {
  t.deepEqual([0, 1, 2, 3, 4, 50].map((attempt) => backoffMs(attempt, 100, 1_000, 0)), [50, 100, 200, 400, 500, 500]); // prettier-ignore
  t.deepEqual([0, 1, 50].map((attempt) => backoffMs(attempt, 100, 1_000, 1)), [100, 200, 1_000]); // prettier-ignore
  fc.assert(
    fc.property(
      fc.nat(5_000),
      fc.integer({ min: 1, max: 1e6 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (n, base, random) => {
        const delayMs = backoffMs(n, base, base * 64, random);
        const full = Math.min(base * 64, base * 2 ** n);
        t.true(delayMs >= full / 2 && delayMs <= full);
      },
    ),
  );
});

/** A machine whose one action does what `decide` says. */
function acting(decide: (state: ActorState) => readonly Effect[]) {
  const perform = performer<ActorState, { type: 'GO' }>();
  const state: ActorState = { deadlines: new Deadlines(), announcedMs: undefined };
  const machine = createMachine({
    types: {} as { context: { state: ActorState }; events: { type: 'GO' }; emitted: Batch },
    context: { state },
    on: { GO: { actions: perform(decide) as never } },
  });
  const actor = createActor(machine);
  const batches: (readonly Effect[])[] = [];
  actor.on('BATCH', ({ effects }) => batches.push(effects));
  actor.subscribe({ error: () => undefined });
  actor.start();
  return { state, batches, go: () => actor.send({ type: 'GO' }) };
}

const logged: Effect = { type: 'log', level: 'info', message: 'x' };

test('ACT-2 ACT-3: a decision’s effects are one batch, with the wake-up at the end when it has changed', (t) => {
  let dueAtMs: number | undefined = 50;
  let effects: Effect[] = [logged, logged];
  const { state, batches, go } = acting((own) => {
    if (dueAtMs === undefined) own.deadlines.clear('k');
    else own.deadlines.set('k', dueAtMs);
    return effects;
  });
  go();
  t.deepEqual(batches.pop(), [logged, logged, { type: 'setDeadline', dueAtMs: 50 }]);
  go();
  t.deepEqual(batches.pop(), [logged, logged], 'the host knows it already');
  effects = [];
  go();
  t.is(batches.length, 0, 'nothing to say');
  dueAtMs = undefined;
  go();
  t.deepEqual(batches.pop(), [{ type: 'setDeadline', dueAtMs: undefined }]);
  t.is(state.announcedMs, undefined);
});

test('ACT-1: a decision that throws emits nothing', (t) => {
  const { batches, go } = acting(() => invariant(false, 'broken') as never);
  go();
  t.deepEqual(batches, []);
});

test('ACT-1: a broken invariant throws, one that holds does not', (t) => {
  t.throws(() => invariant(false, 'why'), { instanceOf: InvariantBroken, message: 'why' });
  t.throws(() => invariant(undefined, 'why'), { instanceOf: InvariantBroken });
  t.notThrows(() => invariant(1, 'why'));
  t.throws(() => unreachable('x' as never), { instanceOf: InvariantBroken });
});

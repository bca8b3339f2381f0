import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import * as fc from 'fast-check';
import { SeededRandom } from '../../runtime/sim/seeded-random.js';
import { Trace } from '../../runtime/sim/trace.js';
import { Incarnation, VirtualClock } from '../../runtime/sim/virtual-clock.js';
import { START_AT_MS } from './world.js';

test('SIM-1: nothing in the simulator waits, reads a clock or rolls dice of its own', (t) => {
  const folder = new URL('../../../runtime/sim/', import.meta.url);
  const sources = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  t.true(sources.length > 5);
  const banned =
    /\b(?:Date\.|new Date|performance\.|Math\.random|set(?:Timeout|Interval|Immediate)|queueMicrotask|async |await |Promise|localeCompare)/;
  for (const name of sources) t.notRegex(readFileSync(new URL(name, folder), 'utf8'), banned, name);
});

test('SIM-2: callbacks run by time, then by order of scheduling, each at its own time', (t) => {
  fc.assert(
    fc.property(fc.array(fc.record({ delayMs: fc.nat(50), cancelled: fc.boolean() })), (timers) => {
      const clock = new VirtualClock(START_AT_MS);
      const ran: [number, number][] = [];
      const set = timers.map(({ delayMs }, i) => clock.after(delayMs, () => ran.push([clock.now() - START_AT_MS, i])));
      for (const [i, { cancelled }] of timers.entries()) if (cancelled) set[i]?.cancel();
      clock.run(START_AT_MS + 100);
      const expected = timers
        .map(({ delayMs, cancelled }, i) => ({ delayMs, cancelled, i }))
        .filter(({ cancelled }) => !cancelled)
        .sort((a, b) => a.delayMs - b.delayMs || a.i - b.i);
      t.deepEqual(
        ran,
        expected.map(({ delayMs, i }) => [delayMs, i]),
      );
      t.is(clock.now(), START_AT_MS + 100);
    }),
  );
});

test('SIM-2: a timer that sets itself anew runs as often as fits into a run', (t) => {
  const clock = new VirtualClock(START_AT_MS);
  const ranAtMs: number[] = [];
  const tick = (): void => {
    ranAtMs.push(clock.now() - START_AT_MS);
    clock.after(100, tick);
  };
  clock.after(100, tick);
  t.is(clock.run(START_AT_MS + 1_000), 10);
  t.deepEqual(
    ranAtMs,
    Array.from({ length: 10 }, (_, i) => (i + 1) * 100),
  );
});

test('SIM-2: many timers that are taken back leave the order of the others as it is', (t) => {
  const clock = new VirtualClock(START_AT_MS);
  const random = new SeededRandom(5);
  const ran: number[] = [];
  for (let i = 0; i < 5_000; i++) {
    const dueAtMs = START_AT_MS + random.integer(0, 1_000);
    const timer = clock.schedule(dueAtMs, () => ran.push(dueAtMs));
    if (i % 10 !== 0) timer.cancel();
  }
  while (clock.step());
  t.is(ran.length, 500);
  t.deepEqual(
    ran,
    [...ran].sort((a, b) => a - b),
  );
});

test('SIM-2: a life that has ended is not called, and a later life of the node is', (t) => {
  const clock = new VirtualClock(START_AT_MS);
  const [first, second] = [new Incarnation('a', 1), new Incarnation('a', 2)];
  const ran: string[] = [];
  let released = 0;
  first.onEnd(() => released++);
  clock.clockOf(first).after(10, () => ran.push('first'));
  clock.clockOf(second).after(10, () => ran.push('second'));
  first.end();
  first.end();
  clock.clockOf(first).after(10, () => ran.push('dead'));
  t.is(clock.run(START_AT_MS + 100), 1);
  t.deepEqual([ran, released], [['second'], 1]);
});

test('SIM-2: a paused life is called once it goes on: what came due at once, in order, the rest in time', (t) => {
  const clock = new VirtualClock(START_AT_MS);
  const life = new Incarnation('a', 1);
  const own = clock.clockOf(life);
  const ran: [string, number][] = [];
  const note = (name: string) => (): number => ran.push([name, clock.now() - START_AT_MS]);
  const [, taken] = [own.after(10, note('a')), own.after(15, note('taken back')), own.after(20, note('b'))];
  own.after(500, note('c'));
  const late = own.after(600, note('taken back later'));
  life.pause();
  clock.run(START_AT_MS + 100);
  t.deepEqual(ran, []);
  taken.cancel();
  life.resume(clock);
  late.cancel();
  clock.run(START_AT_MS + 1_000);
  t.deepEqual(ran, [['a', 100], ['b', 100], ['c', 500]]); // prettier-ignore
});

test('SIM-2: a node’s clock has its own skew and the world’s pace', (t) => {
  const clock = new VirtualClock(START_AT_MS);
  const own = clock.clockOf(new Incarnation('a', 1), () => -400);
  let calledAtMs = 0;
  own.after(50, () => (calledAtMs = own.now()));
  clock.run(START_AT_MS + 60);
  t.is(calledAtMs, START_AT_MS - 350);
});

test('SIM-2: what a callback throws comes out of the step, or goes to who asked for it', (t) => {
  const clock = new VirtualClock(START_AT_MS);
  clock.after(1, () => {
    throw new Error('on purpose');
  });
  t.throws(() => clock.step(), { message: 'on purpose' });
  const seen: [unknown, string | undefined][] = [];
  const guarded = new VirtualClock(START_AT_MS, (error, life) => seen.push([error, life?.node]));
  guarded.clockOf(new Incarnation('a', 1)).after(1, () => {
    throw new Error('on purpose');
  });
  t.true(guarded.step());
  t.is(seen[0]?.[1], 'a');
});

test('SIM-3: a seed gives the same draws each time, and another seed others', (t) => {
  const draws = (seed: number): number[] => {
    const random = new SeededRandom(seed);
    return Array.from({ length: 5 }, () => random.next());
  };
  t.deepEqual(draws(7), draws(7));
  t.notDeepEqual(draws(7), draws(8));
});

test('SIM-3: a fork depends on its name alone, not on what was drawn or forked before', (t) => {
  const [one, other] = [new SeededRandom(7), new SeededRandom(7)];
  other.fork('a');
  for (let i = 0; i < 10; i++) other.next();
  t.is(one.fork('b').next(), other.fork('b').next());
  t.not(one.fork('b').next(), one.fork('c').next());
});

test('SIM-4: the trace is the same for the same lines and another for any other', (t) => {
  const hashOf = (lines: readonly [number, string, string][]): string => {
    const trace = new Trace();
    for (const line of lines) trace.add(...line);
    return trace.hash();
  };
  const lines = Array.from({ length: 2_000 }, (_, i): [number, string, string] => [i / 3, `node-${i % 4}`, `did ${i}`]);
  t.is(hashOf(lines), hashOf(lines));
  t.not(hashOf(lines), hashOf([...lines.slice(1), ...lines.slice(0, 1)]));
  t.not(hashOf(lines), hashOf(lines.slice(1)));
});

test('SIM-4: the trace keeps its last lines, and may be read while it goes on', (t) => {
  const [trace, quiet] = [new Trace(3), new Trace()];
  for (let i = 0; i < 5; i++) {
    trace.add(i, 'a', `did ${i}`);
    quiet.add(i, 'a', `did ${i}`);
    trace.hash();
  }
  t.deepEqual(trace.lines(), ['2 a did 2', '3 a did 3', '4 a did 4']);
  t.deepEqual(quiet.lines(), []);
  t.is(trace.hash(), quiet.hash());
  t.is(trace.count, 5);
});

import test from 'ava';
import type { Entry, Storage, Stored } from '../../runtime/ports.js';
import { SimulatedStorage, type CallVerdict, type StorageChange } from '../../runtime/sim/simulated-storage.js';
import { Incarnation } from '../../runtime/sim/virtual-clock.js';
import { bytes, text } from './harness.js';
import { newWorld, START_AT_MS } from './world.js';

/** A store whose calls take 1 ms each way and `applyMs` in between, unless `decide` says otherwise. */
function world(decide: Partial<CallVerdict> = {}) {
  const { clock, life } = newWorld();
  const verdict = { requestMs: 1, applyMs: 0, answerMs: 1, ...decide };
  const storage = new SimulatedStorage({ clock, policy: { decideCall: () => verdict, entryDelayMs: () => 1 } });
  const answers: [string, Stored['outcome'], number][] = [];
  const set = (port: Storage, name: string, key: string, revision: number, ttlMs?: number): void =>
    port.compareAndSet('registry', { key, value: bytes(name) }, revision, ttlMs, ({ outcome }) =>
      answers.push([name, outcome, clock.now() - START_AT_MS]),
    );
  const commit = (port: Storage, name: string, fence: number, ...keys: string[]): void =>
    port.commit('epoch', fence, keys.map((key) => [{ key, value: bytes(name) }]), (outcome) =>
      answers.push([name, outcome, clock.now() - START_AT_MS]),
    ); // prettier-ignore
  const values = (): Record<string, string | undefined> =>
    Object.fromEntries([...storage.contents('registry')].map(([key, { value }]) => [key, text(value)]));
  const port = (name: string, incarnation = life(name)): Storage => storage.port(name, incarnation);
  return { clock, storage, port, set, commit, answers, values, pass: (ms: number) => clock.run(clock.now() + ms) };
}

function follow(port: Storage): { seen: string[]; caughtUp: () => number } {
  const seen: string[] = [];
  let caughtUp = 0;
  const note = ({ key, value, revision }: Entry): number => seen.push(`${revision} ${key}=${text(value) ?? ''}`);
  port.watch('registry', note, () => caughtUp++);
  return { seen, caughtUp: () => caughtUp };
}

test('SIM-7: who is cut off is told `unknown` after the time-out, whether the write lands or not', (t) => {
  for (const landsUnanswered of [false, true]) {
    const { clock, storage, port, set, answers, values } = world({ landsUnanswered });
    const one = port('one');
    storage.cut('one');
    set(one, 'x', 'task.1', 0);
    clock.run(START_AT_MS + 10_000);
    t.deepEqual(answers, [['x', 'unknown', 5_000]]);
    t.deepEqual(values(), landsUnanswered ? { 'task.1': 'x' } : {});
    storage.heal('one');
    set(one, 'y', 'task.2', 0);
    clock.run(START_AT_MS + 20_000);
    t.deepEqual(answers[1], ['y', 'stored', 10_002]);
  }
});

test('SIM-7: a cut between the writing and the answer makes it `unknown`, though it is written', (t) => {
  const { clock, storage, port, set, answers, values } = world({ answerMs: 10 });
  set(port('one'), 'x', 'task.1', 0);
  clock.run(START_AT_MS + 5);
  storage.cut('one');
  clock.run(START_AT_MS + 6_000);
  t.deepEqual([answers, values()], [[['x', 'unknown', 5_000]], { 'task.1': 'x' }]);
});

test('SIM-7: an `unknown` write may land later, and then under a fence that still holds', (t) => {
  const { clock, port, set, commit, answers, values } = world({ requestMs: 6_000 });
  const [one, other] = [port('one'), port('other')];
  set(one, 'first', 'epoch', 0);
  clock.run(START_AT_MS + 6_100);
  commit(one, 'late', 1, 'task.1', 'task.2');
  clock.run(START_AT_MS + 11_500);
  t.deepEqual(answers.map(([, outcome]) => outcome), ['unknown', 'unknown']); // prettier-ignore
  t.deepEqual(values(), { epoch: 'first' });
  clock.run(START_AT_MS + 12_200);
  t.deepEqual(values(), { epoch: 'first', 'task.1': 'late', 'task.2': 'late' });
  set(other, 'second', 'epoch', 1);
  clock.run(START_AT_MS + 12_300);
  commit(one, 'too late', 1, 'task.3');
  clock.run(START_AT_MS + 30_000);
  t.is(values()['task.3'], undefined);
});

test('SIM-7: what a dead node sent still lands, and nobody is called', (t) => {
  const { clock, storage, answers, set, values } = world();
  const life = new Incarnation('one', 1);
  const one = storage.port('one', life);
  set(one, 'x', 'task.1', 0);
  life.end();
  set(one, 'y', 'task.2', 0);
  clock.run(START_AT_MS + 10_000);
  t.deepEqual([values(), answers], [{ 'task.1': 'x' }, []]);
});

test('SIM-7: while a write is in flight, another under one of its keys is busy', (t) => {
  const { port, set, commit, answers, values, pass } = world({ applyMs: 20 });
  const [one, other] = [port('one'), port('other')];
  set(one, 'first', 'epoch', 0);
  pass(100);
  commit(one, 'batch', 1, 'task.1');
  pass(5);
  set(other, 'second', 'epoch', 1);
  set(other, 'elsewhere', 'task.9', 0);
  pass(100);
  t.deepEqual(answers.map(([name, outcome]) => [name, outcome]), [['first', 'stored'], ['second', 'busy'], ['batch', 'stored'], ['elsewhere', 'stored']]); // prettier-ignore
  t.deepEqual(values(), { epoch: 'first', 'task.1': 'batch', 'task.9': 'elsewhere' });
});

test('SIM-7: without a leader nothing is written, answered or expires; then the store goes on', (t) => {
  const { storage, port, set, answers, values, pass } = world();
  const one = port('one');
  set(one, 'short', 'task.1', 0, 1_000);
  pass(10);
  storage.halt();
  set(one, 'lost', 'task.2', 0);
  const early = follow(one);
  pass(8_000);
  t.deepEqual(answers.map(([name, outcome]) => [name, outcome]), [['short', 'stored'], ['lost', 'unknown']]); // prettier-ignore
  t.deepEqual([values(), early.seen, early.caughtUp()], [{ 'task.1': 'short' }, [], 0]);
  storage.resume();
  pass(10);
  t.deepEqual([values(), early.seen, early.caughtUp()], [{}, ['2 task.1='], 1]);
});

test('SIM-7: what a host may not ask is an error of the host', (t) => {
  const one = world().port('one');
  const write = { key: 'task.1', value: bytes('x') };
  const many = Array.from({ length: 1_001 }, (_, i) => ({ key: `task.${i}` }));
  t.throws(() => one.compareAndSet('lease', write, 0, 500, () => undefined), { instanceOf: RangeError });
  t.throws(() => one.commit('epoch', 0, [many], () => undefined), { instanceOf: RangeError });
  t.throws(() => one.commit('epoch', 0, [], () => undefined), { instanceOf: RangeError });
  one.commit('epoch', 0, [[write]], () => undefined);
  t.throws(() => one.commit('epoch', 0, [[write]], () => undefined), { message: 'two commits in flight' });
});

test('SIM-8: after a cut a watch goes on where it was, without what was written over, and catches up once', (t) => {
  const { storage, port, set, pass } = world();
  const [one, reader] = [port('one'), port('reader')];
  set(one, 'a', 'task.1', 0);
  pass(10);
  const { seen, caughtUp } = follow(reader);
  pass(10);
  storage.cut('reader');
  set(one, 'b', 'task.1', 1);
  pass(10);
  set(one, 'c', 'task.1', 2);
  set(one, 'd', 'task.2', 0);
  pass(10);
  t.deepEqual(seen, ['1 task.1=a']);
  storage.heal('reader');
  pass(10);
  set(one, 'e', 'task.3', 0);
  pass(10);
  t.deepEqual([seen, caughtUp()], [['1 task.1=a', '3 task.1=c', '4 task.2=d', '5 task.3=e'], 1]);
});

test('SIM-8: an interruption while the watch reads loses nothing and repeats nothing', (t) => {
  const { storage, port, commit, clock, pass } = world();
  const [one, reader] = [port('one'), port('reader')];
  commit(one, 'x', 0, ...Array.from({ length: 50 }, (_, i) => `task.${i}`));
  pass(10);
  let delays = 0;
  storage.policy = { ...storage.policy, entryDelayMs: () => delays++ };
  const { seen, caughtUp } = follow(reader);
  for (let i = 0; i < 10; i++) {
    clock.run(clock.now() + 7);
    storage.cut('reader');
    storage.heal('reader');
  }
  storage.policy = { ...storage.policy, entryDelayMs: () => 0 };
  pass(2_000);
  t.deepEqual(
    seen,
    Array.from({ length: 50 }, (_, i) => `${i + 1} task.${i}=x`),
  );
  t.is(caughtUp(), 1);
});

test('SIM-8: nobody shares bytes with the store', (t) => {
  const { port, commit, values, pass } = world();
  const reader = port('reader');
  reader.watch('registry', ({ value }) => value?.fill(0), () => undefined); // prettier-ignore
  commit(port('one'), 'x', 0, 'task.1');
  pass(10);
  t.deepEqual(values(), { 'task.1': 'x' });
});

test('SIM-8: the marker of a deletion stays two minutes, then is gone without a word', (t) => {
  const { port, commit, clock, pass } = world();
  const [one, reader] = [port('one'), port('reader')];
  commit(one, 'x', 0, 'task.1', 'task.2');
  pass(10);
  one.commit('epoch', 0, [[{ key: 'task.1' }]], () => undefined);
  pass(10);
  const early = follow(reader);
  clock.run(clock.now() + 121_000);
  const late = follow(reader);
  pass(10);
  t.deepEqual(early.seen, ['2 task.2=x', '3 task.1=']);
  t.deepEqual(late.seen, ['2 task.2=x']);
});

test('SIM-8: a tap sees each change as it is written, with who wrote it', (t) => {
  const { storage, port, commit, set, pass } = world();
  const changes: StorageChange[] = [];
  storage.tap((change) => changes.push(change));
  const one = port('one');
  commit(one, 'x', 0, 'task.1', 'task.2');
  pass(10);
  set(port('other'), 'short', 'task.3', 0, 1_000);
  pass(2_000);
  t.deepEqual(
    changes.map(({ by, key, value, revision, now }) => [by, key, text(value), revision, now - START_AT_MS]),
    [
      ['one', 'task.1', 'x', 1, 1],
      ['one', 'task.2', 'x', 2, 1],
      ['other', 'task.3', 'short', 3, 11],
      [undefined, 'task.3', undefined, 4, 1_011],
    ],
  );
});

test('SIM-8: a bucket that comes back older ends who has seen more, loses what was on its way, and counts on from there', (t) => {
  const { storage, port, commit, answers, values, clock, pass } = world();
  const fatal: string[] = [];
  const one = port('one');
  const behind = port('behind');
  commit(one, 'old', 0, 'task.1');
  pass(10);
  const early = follow(behind);
  pass(10);
  storage.cut('behind');
  pass(1_000);
  commit(one, 'new', 0, 'task.1', 'task.2');
  pass(10);
  const life = new Incarnation('ahead', 1);
  storage.port('ahead', life, (error) => fatal.push(error.message)).watch('registry', () => undefined, () => undefined); // prettier-ignore
  pass(10);
  const back: string[] = [];
  storage.tapGoingBack((bucket, keys) => back.push(bucket, ...keys));
  commit(one, 'lost', 0, 'task.3');
  storage.goBack('registry', 500);
  t.deepEqual(values(), { 'task.1': 'old' });
  storage.heal('behind');
  clock.run(clock.now() + 6_000);
  t.deepEqual([fatal.length, back], [1, ['registry', 'task.2', 'task.1']]);
  t.deepEqual(answers.at(-1)?.slice(0, 2), ['lost', 'unknown']);
  commit(one, 'again', 0, 'task.4');
  pass(10);
  t.deepEqual(early.seen, ['1 task.1=old', '2 task.4=again']);
});

test('SIM-7: a call may be refused for nothing, or done without an answer', (t) => {
  for (const [decide, outcome, held] of [
    [{ refuse: true }, 'refused', {}],
    [{ loseAnswer: true }, 'unknown', { 'task.1': 'x' }],
  ] as const) {
    const { port, commit, answers, values, pass } = world(decide);
    commit(port('one'), 'x', 0, 'task.1');
    pass(6_000);
    t.is(answers[0]?.[1], outcome);
    t.deepEqual(values(), held);
  }
});

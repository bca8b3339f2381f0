/** The contract of `Storage`. */
import type { ExecutionContext, TestFn } from 'ava';
import { escapeToken } from '../../protocol/ids.js';
import type { Entry, KeyedWrite, Storage, Stored } from '../../runtime/ports.js';
import { bytes, called, contract, text, type Harness, type Make } from './harness.js';

export interface StorageHarness extends Harness {
  /** A connection to the same two buckets, which are empty at first. */
  open(name: string): Promise<Storage>;
}

type Bucket = 'registry' | 'lease';
type Rule = (title: string, body: (t: ExecutionContext, h: StorageHarness) => Promise<void>) => void;

/** Time enough for what is not to come. */
const QUIET_MS = 100;

/** Registers the suite. */
export function storageSuite(make: Make<StorageHarness>, register?: TestFn): void {
  const rule = contract(make, register);
  comparesAndSets(rule);
  expires(rule);
  watches(rule);
  commits(rule);
  fences(rule);
  sizes(rule);
}

const put = (key: string, value: string): KeyedWrite => ({ key, value: bytes(value) });

/** A compare-and-set of the registry, or of another bucket. */
const set = (h: Harness, storage: Storage, write: KeyedWrite, revision: number, bucket: Bucket = 'registry', ttlMs?: number): Promise<Stored> =>
  called(h, (onStored) => storage.compareAndSet(bucket, write, revision, ttlMs, onStored)); // prettier-ignore

const commit = (h: Harness, storage: Storage, fence: number, decisions: readonly (readonly KeyedWrite[])[]): Promise<Stored['outcome']> =>
  called(h, (onStored) => storage.commit('epoch', fence, decisions, onStored)); // prettier-ignore

/** What a watch has seen: each entry, and the place of the mark. */
interface Seen {
  readonly entries: Entry[];
  /** How many entries had come when the mark came; once for each mark. */
  readonly caughtUpAfter: number[];
}

function follow(storage: Storage, bucket: Bucket = 'registry'): Seen {
  const seen: Seen = { entries: [], caughtUpAfter: [] };
  storage.watch(
    bucket,
    (entry) => seen.entries.push(entry),
    () => seen.caughtUpAfter.push(seen.entries.length),
  );
  return seen;
}

/** The bucket as its watch tells it: the last value of each key that has one. */
function held({ entries }: Seen): Record<string, string> {
  const values = new Map<string, string>();
  for (const { key, value } of entries)
    if (value === undefined) values.delete(key);
    else values.set(key, text(value) as string);
  return Object.fromEntries(values);
}

/** What a new watch finds. */
async function contents(h: StorageHarness, bucket: Bucket = 'registry'): Promise<Record<string, string>> {
  const seen = follow(await h.open('reader'), bucket);
  await h.settle(() => seen.caughtUpAfter.length > 0);
  return held(seen);
}

function comparesAndSets(rule: Rule): void {
  rule(
    'POR-11: a key is created under 0, updated under its last revision, and refused under any other',
    async (t, h) => {
      const one = await h.open('one');
      const created = await set(h, one, put('agent.a', 'first'), 0);
      t.is(created.outcome, 'stored');
      t.true(created.revision > 0);
      t.deepEqual(await set(h, one, put('agent.a', 'again'), 0), { outcome: 'refused', revision: 0 });
      const updated = await set(h, one, put('agent.a', 'second'), created.revision);
      t.is(updated.outcome, 'stored');
      t.true(updated.revision > created.revision);
      t.is((await set(h, one, put('agent.a', 'stale'), created.revision)).outcome, 'refused');
      t.is((await set(h, one, put('agent.new', 'no'), updated.revision)).outcome, 'refused');
      t.deepEqual(await contents(h), { 'agent.a': 'second' });
    },
  );

  rule('POR-11: of two who write under the same revision one at most is stored', async (t, h) => {
    const [one, other] = [await h.open('one'), await h.open('other')];
    let revision = 0;
    for (let round = 0; round < 20; round++) {
      const answers = new Map<string, Stored>();
      one.compareAndSet('lease', put('leader', 'one'), revision, undefined, (stored) => answers.set('one', stored));
      other.compareAndSet('lease', put('leader', 'other'), revision, undefined, (stored) =>
        answers.set('other', stored),
      );
      await h.settle(() => answers.size === 2);
      const stored = [...answers.values()].filter(({ outcome }) => outcome === 'stored');
      t.is(stored.length, 1);
      revision = stored[0]?.revision as number;
      for (const answer of answers.values())
        if (answer.outcome !== 'stored') t.true(['refused', 'busy'].includes(answer.outcome), answer.outcome);
    }
  });

  rule('POR-12: a deletion is a write without value, after which 0 or its own revision is the last', async (t, h) => {
    const one = await h.open('one');
    const seen = follow(one, 'lease');
    const { revision } = await set(h, one, put('leader', 'x'), 0, 'lease');
    t.is((await set(h, one, { key: 'leader' }, revision + 7, 'lease')).outcome, 'refused');
    const deleted = await set(h, one, { key: 'leader' }, revision, 'lease');
    t.is(deleted.outcome, 'stored');
    t.true(deleted.revision > revision);
    t.is((await set(h, one, put('leader', 'old'), revision, 'lease')).outcome, 'refused');
    const anew = await set(h, one, put('leader', 'y'), 0, 'lease');
    t.is(anew.outcome, 'stored');
    const again = await set(h, one, { key: 'leader' }, anew.revision, 'lease');
    t.is((await set(h, one, put('leader', 'z'), again.revision, 'lease')).outcome, 'stored');
    await h.settle(() => seen.entries.length === 5);
    t.deepEqual(
      seen.entries.map(({ value }) => text(value)),
      ['x', undefined, 'y', undefined, 'z'],
    );
  });

  rule('POR-12: an empty value is a value, and a value keeps all its bytes', async (t, h) => {
    const one = await h.open('one');
    const seen = follow(one);
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    await set(h, one, { key: 'task.empty', value: new Uint8Array(0) }, 0);
    const written = all.slice();
    one.compareAndSet('registry', { key: 'task.all', value: written }, 0, undefined, () => undefined);
    written.fill(0);
    await h.settle(() => seen.entries.length === 2);
    t.is(seen.entries[0]?.value?.length, 0);
    t.deepEqual([...(seen.entries[1]?.value ?? [])], [...all]);
  });

  rule('POR-9: the store never calls back synchronously', async (t, h) => {
    const one = await h.open('one');
    const { revision } = await set(h, one, put('epoch', '1'), 0);
    let calls = 0;
    const count = (): number => calls++;
    one.watch('registry', count, count);
    one.compareAndSet('lease', put('leader', 'x'), 0, undefined, count);
    one.commit('epoch', revision, [[put('task.1', 'x')]], count);
    t.is(calls, 0);
    await h.settle(() => calls >= 5);
    t.pass();
  });
}

function expires(rule: Rule): void {
  rule(
    'POR-13: a key with a time to live expires, which its watch sees, and 0 is its last revision then',
    async (t, h) => {
      const one = await h.open('one');
      const seen = follow(one, 'lease');
      const startMs = h.now();
      const { outcome, revision } = await set(h, one, put('leader', 'x'), 0, 'lease', 2_000);
      t.is(outcome, 'stored');
      await h.settle(() => seen.entries.length === 2);
      const passedMs = h.now() - startMs;
      t.true(passedMs >= 1_900 && passedMs < 4_000, `${passedMs} ms`);
      t.deepEqual(
        seen.entries.map(({ key, value }) => [key, text(value)]),
        [['leader', 'x'], ['leader', undefined]], // prettier-ignore
      );
      t.true((seen.entries[1]?.revision as number) > revision);
      t.is((await set(h, one, put('leader', 'old'), revision, 'lease', 2_000)).outcome, 'refused');
      t.is((await set(h, one, put('leader', 'y'), 0, 'lease', 2_000)).outcome, 'stored');
    },
  );

  rule('POR-13: each write gives the key its time anew', async (t, h) => {
    const one = await h.open('one');
    const seen = follow(one, 'lease');
    let { revision } = await set(h, one, put('leader', '0'), 0, 'lease', 1_000);
    for (let i = 1; i <= 4; i++) {
      await h.settle(500);
      const renewed = await set(h, one, put('leader', String(i)), revision, 'lease', 1_000);
      t.is(renewed.outcome, 'stored');
      ({ revision } = renewed);
    }
    const kept = await set(h, one, put('leader', 'kept'), revision, 'lease');
    t.is(kept.outcome, 'stored');
    await h.settle(1_500);
    t.true(seen.entries.every(({ value }) => value !== undefined));
    t.is(text(seen.entries.at(-1)?.value), 'kept');
  });
}

function watches(rule: Rule): void {
  rule('POR-14: a watch of an empty bucket has caught up once, without an entry', async (t, h) => {
    const seen = follow(await h.open('one'));
    await h.settle(() => seen.caughtUpAfter.length > 0);
    await h.settle(QUIET_MS);
    t.deepEqual(seen, { entries: [], caughtUpAfter: [0] });
  });

  rule(
    'POR-14: a watch gives all that is there, the mark once, then each change, in the order of the stream',
    async (t, h) => {
      const [one, other] = [await h.open('one'), await h.open('other')];
      const revisions: number[] = [];
      for (const key of ['task.c', 'task.a', 'task.b'])
        revisions.push((await set(h, one, put(key, `${key} 1`), 0)).revision);
      const moved = await set(h, one, put('task.c', 'task.c 2'), revisions[0] as number);
      const seen = follow(other);
      await h.settle(() => seen.caughtUpAfter.length > 0);
      t.deepEqual(seen.caughtUpAfter, [3]);
      t.deepEqual(
        seen.entries.map(({ key, revision }) => [key, revision]),
        [['task.a', revisions[1]], ['task.b', revisions[2]], ['task.c', moved.revision]], // prettier-ignore
      );
      const later: number[] = [];
      for (let i = 0; i < 10; i++) later.push((await set(h, i % 2 ? one : other, put(`task.${i}`, 'x'), 0)).revision);
      later.push((await set(h, one, { key: 'task.b' }, revisions[2] as number)).revision);
      await h.settle(() => seen.entries.length === 14);
      t.deepEqual(
        seen.entries.slice(3).map(({ revision }) => revision),
        later,
      );
      t.is(seen.entries.at(-1)?.value, undefined);
      t.is(seen.caughtUpAfter.length, 1);
    },
  );

  rule('POR-14: a deleted key is gone for a later watch, and two watches see the same', async (t, h) => {
    const one = await h.open('one');
    const early = follow(one);
    for (const key of ['task.a', 'task.b']) await set(h, one, put(key, 'x'), 0);
    await h.settle(() => early.entries.length === 2);
    await set(h, one, { key: 'task.a' }, early.entries[0]?.revision as number);
    t.deepEqual(await contents(h), { 'task.b': 'x' });
    await h.settle(() => early.entries.length === 3);
    t.deepEqual(held(early), { 'task.b': 'x' });
  });

  rule('POR-14: the buckets know nothing of each other', async (t, h) => {
    const one = await h.open('one');
    const [lease, registry] = [follow(one, 'lease'), follow(one, 'registry')];
    await set(h, one, put('same', 'in the lease'), 0, 'lease');
    await set(h, one, put('same', 'in the registry'), 0, 'registry');
    await h.settle(() => lease.entries.length === 1 && registry.entries.length === 1);
    await h.settle(QUIET_MS);
    t.deepEqual([held(lease), held(registry)], [{ same: 'in the lease' }, { same: 'in the registry' }]);
  });
}

function commits(rule: Rule): void {
  rule('POR-15: a commit writes all decisions, in their order', async (t, h) => {
    const [one, other] = [await h.open('one'), await h.open('other')];
    const { revision: fence } = await set(h, one, put('epoch', '1'), 0);
    const seen = follow(other);
    const decisions = [[put('task.2', 'b'), put('agent.1', 'a')], [put('task.1', 'c')], [put('task.3', 'd')]];
    t.is(await commit(h, one, fence, decisions), 'stored');
    await h.settle(() => seen.entries.length === 5);
    t.deepEqual(
      seen.entries.map(({ key }) => key),
      ['epoch', 'task.2', 'agent.1', 'task.1', 'task.3'],
    );
    const revisions = seen.entries.map(({ revision }) => revision);
    t.deepEqual(
      revisions,
      [...new Set(revisions)].sort((a, b) => a - b),
    );
  });

  rule('POR-15: a commit of one decision, one after another, leaves the fence as it is', async (t, h) => {
    const one = await h.open('one');
    const { revision: fence } = await set(h, one, put('epoch', '1'), 0);
    for (let i = 0; i < 10; i++) t.is(await commit(h, one, fence, [[put('task.1', String(i))]]), 'stored');
    t.deepEqual(await contents(h), { epoch: '1', 'task.1': '9' });
  });

  rule('POR-15: a commit deletes, and a key that it writes twice ends as the last says', async (t, h) => {
    const one = await h.open('one');
    const { revision: fence } = await set(h, one, put('epoch', '1'), 0);
    await commit(h, one, fence, [[put('task.1', 'a'), put('task.2', 'b')]]);
    const decisions = [
      [{ key: 'task.1' }],
      [put('task.3', 'c')],
      [{ key: 'task.3' }],
      [put('task.2', 'd')],
      [{ key: 'task.never' }],
    ];
    t.is(await commit(h, one, fence, decisions), 'stored');
    t.deepEqual(await contents(h), { epoch: '1', 'task.2': 'd' });
  });
}

function fences(rule: Rule): void {
  rule('POR-16: a commit under another fence stores nothing', async (t, h) => {
    const [old, leader] = [await h.open('old'), await h.open('leader')];
    const { revision: oldFence } = await set(h, old, put('epoch', '1'), 0);
    t.is(await commit(h, old, oldFence, [[put('task.1', 'old')]]), 'stored');
    const { revision: fence } = await set(h, leader, put('epoch', '2'), oldFence);
    const decisions = [
      [put('task.1', 'leaked'), put('task.2', 'leaked')],
      [{ key: 'task.1' }],
      [put('task.3', 'leaked')],
    ];
    t.is(await commit(h, old, oldFence, decisions), 'refused');
    t.is(await commit(h, old, oldFence, [[put('task.4', 'leaked')]]), 'refused');
    t.is(await commit(h, leader, fence, [[put('task.5', 'new')]]), 'stored');
    t.deepEqual(await contents(h), { 'task.1': 'old', epoch: '2', 'task.5': 'new' });
  });

  rule('POR-16: once the new fence is stored, nothing of the old one is', async (t, h) => {
    const [old, leader, reader] = [await h.open('old'), await h.open('leader'), await h.open('reader')];
    let { revision: fence } = await set(h, old, put('epoch', '0'), 0);
    const seen = follow(reader);
    let writing = true;
    let count = 0;
    const write = (): void => {
      if (writing) old.commit('epoch', fence, [[put(`task.${count++}`, 'x')], [put(`task.${count++}`, 'x')]], write);
    };
    const oldFence = fence;
    write();
    await h.settle(() => count > 6);
    for (let outcome = ''; outcome !== 'stored';) {
      const stored = await set(h, leader, put('epoch', '1'), oldFence);
      ({ outcome } = stored);
      if (outcome === 'stored') fence = stored.revision;
      t.true(['stored', 'busy', 'refused'].includes(outcome), outcome);
    }
    writing = false;
    await h.settle(300);
    const last = await called<Stored['outcome']>(h, (done) =>
      leader.commit('epoch', fence, [[put('mark', 'x')]], done),
    );
    t.is(last, 'stored');
    await h.settle(() => seen.entries.at(-1)?.key === 'mark');
    const after = seen.entries.filter(({ revision }) => revision > fence).map(({ key }) => key);
    t.is(after.at(-1), 'mark');
    t.true(seen.entries.some(({ key, revision }) => key === 'epoch' && revision === fence));
  });
}

function sizes(rule: Rule): void {
  rule('POR-17: a commit of 1,000 records of 400 bytes is stored, and a watch reads them all', async (t, h) => {
    const one = await h.open('one');
    const { revision: fence } = await set(h, one, put('epoch', '1'), 0);
    const value = 'x'.repeat(400);
    const decisions = Array.from({ length: 100 }, (_, i) =>
      Array.from({ length: 10 }, (_, j) => put(`task.${i}-${j}`, value)),
    );
    t.is(await commit(h, one, fence, decisions), 'stored');
    const all = await contents(h);
    t.is(Object.keys(all).length, 1_001);
    t.is(all['task.99-9'], value);
    t.is(
      await commit(
        h,
        one,
        fence,
        decisions.map((writes) => writes.map(({ key }) => ({ key }))),
      ),
      'stored',
    );
    t.deepEqual(await contents(h), { epoch: '1' });
  });

  rule('POR-17: keys of 300 characters, and of 255 escaped bytes, are as good as short ones', async (t, h) => {
    const one = await h.open('one');
    const { revision: fence } = await set(h, one, put('epoch', '1'), 0);
    const keys = [
      `task.${'k'.repeat(295)}`,
      `task.${escapeToken('ü'.repeat(127))}`,
      `framework.${escapeToken('a.b *>/=')}`,
    ];
    t.is(await commit(h, one, fence, [keys.map((key) => put(key, key))]), 'stored');
    for (const key of keys) {
      const single = await set(h, one, put(`${key}-2`, key), 0);
      t.is(single.outcome, 'stored');
    }
    const all = await contents(h);
    for (const key of keys) t.deepEqual([all[key], all[`${key}-2`]], [key, key]);
  });
}

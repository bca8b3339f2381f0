/** The contract of `Store`. */
import type { ExecutionContext, TestFn } from 'ava';
import type { KeyedWrite, Store } from '../../runtime/ports.js';
import { bytes, called, contract, text, type Harness, type Make } from './harness.js';

export interface StoreHarness extends Harness {
  readonly store: Store;
  /** The port of a later life of the same agent, whose process died at once. */
  reopen(): Promise<Store>;
}

type Rule = (title: string, body: (t: ExecutionContext, h: StoreHarness) => Promise<void>) => void;

const commit = (h: StoreHarness, store: Store, writes: readonly KeyedWrite[]): Promise<void> =>
  called<void>(h, (onStored) => store.commit(writes, () => onStored(undefined)));

const all = (store: Store): Record<string, string | undefined> =>
  Object.fromEntries(store.load().map(([key, value]) => [key, text(value)]));

/** Registers the suite. */
export function storeSuite(make: Make<StoreHarness>, register?: TestFn): void {
  const rule: Rule = contract(make, register);

  rule('POR-23: records are loaded as they were stored last, by a later life too', async (t, h) => {
    t.deepEqual(h.store.load(), []);
    const large = Uint8Array.from({ length: 70_000 }, (_, i) => i % 256);
    await commit(h, h.store, [
      { key: 'agent', value: bytes('first') },
      { key: 'launch.f=2E1.t', value: large },
      { key: 'empty', value: new Uint8Array(0) },
    ]);
    await commit(h, h.store, [{ key: 'agent', value: bytes('last') }]);
    const later = new Map((await h.reopen()).load());
    t.deepEqual([...later.keys()].sort(), ['agent', 'empty', 'launch.f=2E1.t']);
    t.is(text(later.get('agent')), 'last');
    t.deepEqual(new Uint8Array(later.get('launch.f=2E1.t') as Uint8Array), large);
    t.is(later.get('empty')?.length, 0);
  });

  rule(
    'POR-23: a write without value removes; of a key written twice in a commit the last write counts',
    async (t, h) => {
      await commit(h, h.store, [
        { key: 'a', value: bytes('1') },
        { key: 'b', value: bytes('1') },
      ]);
      await commit(h, h.store, [{ key: 'a' }, { key: 'missing' }, { key: 'b' }, { key: 'b', value: bytes('2') }]);
      t.deepEqual(all(await h.reopen()), { b: '2' });
    },
  );

  rule(
    'POR-23: commits are answered in order, never synchronously, and hold the bytes as they were then',
    async (t, h) => {
      const stored: number[] = [];
      for (let i = 0; i < 20; i++) {
        const value = bytes(`value ${i} ${'x'.repeat(20_000 - i * 1_000)}`);
        h.store.commit([{ key: 'agent', value }], () => stored.push(i));
        value.fill(0);
      }
      h.store.commit([], () => stored.push(20));
      t.deepEqual(stored, []);
      await h.settle(() => stored.length === 21);
      t.deepEqual(stored, [...Array(21).keys()]);
      t.is(all(await h.reopen())['agent']?.slice(0, 9), 'value 19 ');
    },
  );

  rule('POR-23: a key may be as long as an escaped id of 255 bytes behind its kind', async (t, h) => {
    const key = `launch.${'=FF'.repeat(255)}.${'=FF'.repeat(255)}`;
    await commit(h, h.store, [{ key, value: bytes('x') }]);
    t.deepEqual(all(await h.reopen()), { [key]: 'x' });
  });

  rule('POR-23: what was answered is there after a death, and of each commit all or nothing', async (t, h) => {
    let answered = 0;
    for (let i = 1; i <= 50; i++) {
      const value = bytes(String(i));
      h.store.commit([{ key: 'one', value }, { key: 'two', value }], () => (answered = i)); // prettier-ignore
    }
    await h.settle(() => answered > 0);
    const { one, two } = all(await h.reopen());
    t.is(one, two);
    t.true(Number(one) >= answered);
  });
}

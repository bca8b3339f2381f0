import test from 'ava';
import {
  bucketDigests,
  bucketOf,
  bucketsFor,
  DIGEST_BYTES,
  differingBuckets,
  digestOf,
  readStateByte,
  sameBytes,
  SetDigest,
  stateByte,
  valueDigest,
} from '../../protocol/digest.js';
import { hex } from '../../protocol/ids.js';
import { TASK_STATES } from '../../protocol/task-state.js';

const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `mjuohsm9-L${i + 1}`);

test('LNK-6: the digest of a set does not depend on the order, and differs by a single member', (t) => {
  const all = ids(1_000);
  t.true(sameBytes(digestOf(all), digestOf([...all].reverse())));
  t.is(digestOf([]).length, DIGEST_BYTES);
  const seen = new Set([hex(digestOf(all))]);
  for (const left of all) seen.add(hex(digestOf(all.filter((id) => id !== left))));
  t.is(seen.size, 1_001);
});

test('LNK-6: no two of a million neighbouring launchIds have one hash, and each of its two words spreads as chance would', (t) => {
  const count = 1_000_000;
  const whole = new Set<bigint>();
  const words = [new Set<number>(), new Set<number>()] as const;
  const ones = new Array<number>(64).fill(0);
  for (let i = 0; i < count; i++) {
    const view = new DataView(new SetDigest().add(`mjuohsm9-L${i}`).bytes.buffer);
    whole.add(view.getBigUint64(0));
    for (const [at, word] of words.entries()) {
      const value = view.getUint32(at * 4);
      word.add(value);
      for (let bit = 0; bit < 32; bit++) if ((value >>> bit) & 1) (ones[at * 32 + bit] as number)++;
    }
  }
  t.is(whole.size, count);
  // By chance a million draws of 2^32 meet 116 times; a hundred more would be no chance.
  for (const word of words) t.true(count - word.size < 250, `${count - word.size} meet`);
  for (const [bit, share] of ones.entries()) t.true(Math.abs(share / count - 0.5) < 0.01, `bit ${bit}: ${share}`);
});

test('LNK-6: a difference is found in its part alone', (t) => {
  const all = ids(5_000);
  const of = bucketsFor(all.length);
  t.is(of, 128);
  t.is(bucketsFor(0), 16);
  t.is(bucketsFor(1e6), 256);
  const left = all.filter((id) => id !== 'mjuohsm9-L77');
  t.deepEqual(differingBuckets(bucketDigests(all, of), bucketDigests(left, of)), [bucketOf('mjuohsm9-L77', of)]);
  t.deepEqual(differingBuckets(bucketDigests(all, of), bucketDigests(all, of)), []);
});

test('LNK-6: the digest of a value does not depend on the order of its members, and on nothing that is not there', (t) => {
  const value = { hostname: 'h', resources: [{ name: 'cpus', scalar: { value: 4 } }] };
  const turned = { resources: [{ scalar: { value: 4 }, name: 'cpus' }], hostname: 'h', domain: undefined };
  t.true(sameBytes(valueDigest(value), valueDigest(turned)));
  for (const other of [{ ...value, hostname: 'i' }, { ...value, port: 1 }, { hostname: 'h' }, [value], null])
    t.false(sameBytes(valueDigest(value), valueDigest(other)));
});

test('LNK-6: a byte says the latest state and whether an update waits', (t) => {
  for (const state of TASK_STATES)
    for (const updateWaits of [false, true])
      t.deepEqual(readStateByte(stateByte(state, updateWaits)), { state, updateWaits });
  t.is(readStateByte(TASK_STATES.length), undefined);
});

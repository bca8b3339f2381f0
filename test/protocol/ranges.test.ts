import test from 'ava';
import fc from 'fast-check';
import * as ranges from '../../protocol/ranges.js';
import { range } from './resource-arbitraries.js';

type List = readonly ranges.Range[];
const anyRanges = fc.array(range, { maxLength: 6 }).map((list) => ranges.normalizeRanges(list));

/** The model: a plain set of numbers. */
const model = (list: List): Set<number> => new Set(ranges.numbersOf(list));
const sorted = (numbers: Iterable<number>): number[] => [...numbers].sort((a, b) => a - b);

function isNormal(list: List): boolean {
  return list.every(({ begin, end }, i) => begin <= end && (i === 0 || begin > list[i - 1]!.end + 1));
}

test('RES-2: ranges in any order are sorted and merged, adjacent ones too', (t) => {
  const list = [
    { begin: 7, end: 9 },
    { begin: 1, end: 3 },
    { begin: 4, end: 5 },
    { begin: 8, end: 12 },
    { begin: 20, end: 19 },
  ];
  t.deepEqual(ranges.normalizeRanges(list), [
    { begin: 1, end: 5 },
    { begin: 7, end: 12 },
  ]);
  fc.assert(
    fc.property(fc.array(range), (raw) => {
      const normal = ranges.normalizeRanges(raw);
      t.true(isNormal(normal));
      t.deepEqual(ranges.numbersOf(normal), sorted(new Set(ranges.numbersOf(raw))));
    }),
  );
});

test('RES-2: union, difference and intersection agree with sets of numbers', (t) => {
  fc.assert(
    fc.property(anyRanges, anyRanges, (a, b) => {
      const [left, right] = [model(a), model(b)];
      const union = ranges.addRanges(a, b);
      const rest = ranges.subtractRanges(a, b);
      const common = ranges.intersectRanges(a, b);
      for (const list of [union, rest, common]) t.true(isNormal(list));
      t.deepEqual(ranges.numbersOf(union), sorted(new Set([...left, ...right])));
      t.deepEqual(ranges.numbersOf(rest), sorted([...left].filter((n) => !right.has(n))));
      t.deepEqual(ranges.numbersOf(common), sorted([...left].filter((n) => right.has(n))));
    }),
  );
});

test('RES-2: containment, equality, size and the first numbers agree with sets of numbers', (t) => {
  fc.assert(
    fc.property(anyRanges, anyRanges, fc.nat(10), (a, b, count) => {
      const [left, right] = [model(a), model(b)];
      t.is(
        ranges.containsRanges(a, b),
        [...right].every((n) => left.has(n)),
      );
      t.true(ranges.containsRanges(ranges.addRanges(a, b), b));
      t.is(ranges.equalRanges(a, b), JSON.stringify(a) === JSON.stringify(b));
      t.is(ranges.sizeOfRanges(a), left.size);
      const first = ranges.firstOfRanges(a, count);
      t.true(isNormal(first));
      t.deepEqual(ranges.numbersOf(first), sorted(left).slice(0, count));
    }),
  );
});

test('RES-2: large numbers are exact and cost nothing', (t) => {
  const max = Number.MAX_SAFE_INTEGER;
  const all = [{ begin: 0, end: max }];
  const rest = ranges.subtractRanges(all, [{ begin: max - 1, end: max - 1 }]);
  t.deepEqual(rest, [
    { begin: 0, end: max - 2 },
    { begin: max, end: max },
  ]);
  t.deepEqual(ranges.addRanges(rest, [{ begin: max - 1, end: max - 1 }]), all);
});

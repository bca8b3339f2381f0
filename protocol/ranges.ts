/**
 * Sets of whole numbers as inclusive intervals. Every function but `normalizeRanges` expects its arguments normalized, that is
 * ascending, neither overlapping nor adjacent, and gives a normalized result. Nothing is changed in place. Rules: RES-1, RES-2.
 */
import type { Range } from './resource.js';

export type { Range };

/** Ascending, with overlapping and adjacent intervals merged; intervals whose begin is above their end are dropped. */
export function normalizeRanges(ranges: readonly Range[]): readonly Range[] {
  if (isNormalized(ranges)) return ranges;
  const sorted = ranges.filter(({ begin, end }) => begin <= end).sort((a, b) => a.begin - b.begin);
  const merged: Range[] = [];
  for (const range of sorted) push(merged, range.begin, range.end);
  return merged;
}

function isNormalized(ranges: readonly Range[]): boolean {
  let next = -1;
  for (const { begin, end } of ranges) {
    if (begin < next || begin > end) return false;
    next = end + 2;
  }
  return true;
}

/** Appends an interval that does not begin before the last one, merging the two when they touch. */
function push(merged: Range[], begin: number, end: number): void {
  const last = merged[merged.length - 1];
  if (last === undefined || begin > last.end + 1) merged.push({ begin, end });
  else if (end > last.end) merged[merged.length - 1] = { begin: last.begin, end };
}

/** All numbers that are in `left` or in `right`. */
export function addRanges(left: readonly Range[], right: readonly Range[]): readonly Range[] {
  if (left.length === 0) return right;
  if (right.length === 0) return left;
  const merged: Range[] = [];
  let l = 0;
  let r = 0;
  while (l < left.length || r < right.length) {
    const a = left[l];
    const b = right[r];
    const first = b === undefined || (a !== undefined && a.begin <= b.begin) ? a! : b;
    if (first === a) l++;
    else r++;
    push(merged, first.begin, first.end);
  }
  return merged;
}

/** All numbers of `left` that are not in `right`. */
export function subtractRanges(left: readonly Range[], right: readonly Range[]): readonly Range[] {
  const rest: Range[] = [];
  let r = 0;
  for (const { begin, end } of left) {
    let from = begin;
    while (r < right.length && right[r]!.end < from) r++;
    // `r` stays on an interval that may reach into the next one of `left`; the scan inside of this one has its own index.
    for (let i = r; i < right.length && right[i]!.begin <= end && from <= end; i++) {
      const hole = right[i]!;
      if (hole.begin > from) rest.push({ begin: from, end: hole.begin - 1 });
      from = hole.end + 1;
    }
    if (from <= end) rest.push({ begin: from, end });
  }
  return rest;
}

/** All numbers that are in both. */
export function intersectRanges(left: readonly Range[], right: readonly Range[]): readonly Range[] {
  const common: Range[] = [];
  let l = 0;
  let r = 0;
  while (l < left.length && r < right.length) {
    const a = left[l]!;
    const b = right[r]!;
    const begin = Math.max(a.begin, b.begin);
    const end = Math.min(a.end, b.end);
    if (begin <= end) common.push({ begin, end });
    if (a.end < b.end) l++;
    else r++;
  }
  return common;
}

/** Whether every number of `right` is in `left`. */
export function containsRanges(left: readonly Range[], right: readonly Range[]): boolean {
  let l = 0;
  for (const { begin, end } of right) {
    while (l < left.length && left[l]!.end < begin) l++;
    const outer = left[l];
    if (outer === undefined || outer.begin > begin || outer.end < end) return false;
  }
  return true;
}

/** Whether both hold the same numbers. */
export function equalRanges(left: readonly Range[], right: readonly Range[]): boolean {
  if (left === right) return true;
  return left.length === right.length && left.every((a, i) => a.begin === right[i]!.begin && a.end === right[i]!.end);
}

/** How many numbers there are. */
export function sizeOfRanges(ranges: readonly Range[]): number {
  let size = 0;
  for (const { begin, end } of ranges) size += end - begin + 1;
  return size;
}

/** The `count` lowest numbers as intervals; fewer when there are not so many. */
export function firstOfRanges(ranges: readonly Range[], count: number): readonly Range[] {
  const taken: Range[] = [];
  let missing = count;
  for (const { begin, end } of ranges) {
    if (missing <= 0) break;
    const last = Math.min(end, begin + missing - 1);
    taken.push({ begin, end: last });
    missing -= last - begin + 1;
  }
  return taken;
}

/** The numbers one by one, ascending. For a handful of ports, not for a whole agent's. */
export function numbersOf(ranges: readonly Range[]): number[] {
  const numbers: number[] = [];
  for (const { begin, end } of ranges) for (let n = begin; n <= end; n++) numbers.push(n);
  return numbers;
}

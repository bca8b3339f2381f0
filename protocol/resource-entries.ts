/** Sorted, merged lists of resources: what the value `Resources` is made of. Nothing is changed in place. Rules: RES-4 to RES-8. */
import type { ResourceIdentity } from './resource-identity.js';
import { addValues, containsValue, equalValues, subtractValues, type Value } from './resource-value.js';
import { compareText } from './value-text.js';

/** One kind of resource with its value; `copies` is above 1 only for exact kinds, which are counted instead of added up. */
export interface Entry {
  readonly id: ResourceIdentity;
  readonly value: Value;
  readonly copies: number;
}

/** Entries ascending by key, each key once. */
export type Entries = readonly Entry[];

function compare(a: Entry, b: Entry): number {
  return a.id === b.id ? 0 : compareText(a.id.key, b.id.key);
}

function isSorted(entries: Entries): boolean {
  for (let i = 1; i < entries.length; i++) if (compare(entries[i - 1]!, entries[i]!) >= 0) return false;
  return true;
}

function sum(a: Entry, b: Entry): Entry {
  if (a.id.exact) return { id: a.id, value: a.value, copies: a.copies + b.copies };
  return { id: a.id, value: addValues(a.value, b.value, a.id.type), copies: 1 };
}

function difference(a: Entry, b: Entry): Entry | undefined {
  if (a.id.exact) {
    const copies = a.copies - b.copies;
    return copies > 0 ? { id: a.id, value: a.value, copies } : undefined;
  }
  const value = subtractValues(a.value, b.value, a.id.type);
  return value === undefined ? undefined : { id: a.id, value, copies: 1 };
}

function covers(a: Entry, b: Entry): boolean {
  return a.id.exact ? a.copies >= b.copies : containsValue(a.value, b.value, a.id.type);
}

/** Any list of entries as a sorted one. */
export function mergeEntries(entries: Entry[]): Entries {
  if (isSorted(entries)) return entries;
  const merged: Entry[] = [];
  for (const entry of entries.sort(compare)) {
    const last = merged[merged.length - 1];
    if (last !== undefined && compare(last, entry) === 0) merged[merged.length - 1] = sum(last, entry);
    else merged.push(entry);
  }
  return merged;
}

export function addEntries(left: Entries, right: Entries): Entries {
  const result: Entry[] = [];
  let l = 0;
  let r = 0;
  while (l < left.length && r < right.length) {
    const a = left[l]!;
    const b = right[r]!;
    const order = compare(a, b);
    if (order === 0) result.push(sum(a, b));
    else result.push(order < 0 ? a : b);
    if (order <= 0) l++;
    if (order >= 0) r++;
  }
  for (; l < left.length; l++) result.push(left[l]!);
  for (; r < right.length; r++) result.push(right[r]!);
  return result;
}

/** What of `right` is not in `left` is ignored; nothing becomes negative. */
export function subtractEntries(left: Entries, right: Entries): Entries {
  const result: Entry[] = [];
  let r = 0;
  for (const entry of left) {
    let order = 1;
    while (r < right.length && (order = compare(entry, right[r]!)) > 0) r++;
    const rest = order === 0 ? difference(entry, right[r]!) : entry;
    if (rest !== undefined) result.push(rest);
  }
  return result;
}

export function containsEntries(left: Entries, right: Entries): boolean {
  let l = 0;
  for (const entry of right) {
    let order = 1;
    while (l < left.length && (order = compare(entry, left[l]!)) > 0) l++;
    if (order !== 0 || !covers(left[l]!, entry)) return false;
  }
  return true;
}

export function equalEntries(left: Entries, right: Entries): boolean {
  if (left.length !== right.length) return false;
  return left.every((a, i) => {
    const b = right[i]!;
    return compare(a, b) === 0 && a.copies === b.copies && equalValues(a.value, b.value, a.id.type);
  });
}

/** The entries under other identities; what becomes the same kind is added up. */
export function mapIdentities(
  entries: Entries,
  map: (id: ResourceIdentity, value: Value) => ResourceIdentity,
): Entries {
  return mergeEntries(entries.map(({ id, value, copies }) => ({ id: map(id, value), value, copies })));
}

/** Thousandths of a scalar that an entry stands for: a shared one counts once, however many use it. */
export function thousandthsOf({ id, value, copies }: Entry): number {
  if (id.type !== 'SCALAR') return 0;
  return id.shared ? (value as number) : (value as number) * copies;
}

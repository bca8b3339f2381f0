/** Choosing some resources out of many. Each function gives entries that the given ones contain. Rules: RES-11, RES-12, RES-13. */
import { stackOf, withAllocation, withReservations, type ResourceIdentity } from './resource-identity.js';
import { mergeEntries, subtractEntries, thousandthsOf, type Entries, type Entry } from './resource-entries.js';
import { intersectValues, subtractValues, type Value } from './resource-value.js';
import { firstOfRanges, sizeOfRanges } from './ranges.js';
import type { Range } from './resource.js';

/** The kind of thing an entry is when nobody has reserved it or got it allocated. */
function bareKey(id: ResourceIdentity, value: Value): string {
  return withReservations(withAllocation(id, undefined, value), [], value).key;
}

/**
 * Concrete resources worth `targets`, whoever they are reserved for or allocated to: for each target first those reserved for its own
 * role, then unreserved ones, then any. `undefined` when they do not suffice.
 */
export function findEntries(entries: Entries, targets: Entries): Entries | undefined {
  let available = entries;
  const found: Entry[] = [];
  for (const target of targets) {
    const key = bareKey(target.id, target.value);
    const role = target.id.reservationRole;
    const phases = [
      (id: ResourceIdentity) => id.reservationRole === role,
      (id: ResourceIdentity) => id.reservationRole === '*',
      () => true,
    ];
    for (let copy = 0; copy < target.copies; copy++) {
      let missing: Value | undefined = target.value;
      for (const isEligible of phases) {
        for (const { id, value } of available) {
          if (missing === undefined) break;
          if (!isEligible(id) || bareKey(id, value) !== key) continue;
          const part: Value | undefined = id.exact ? value : intersectValues(value, missing, id.type);
          if (part === undefined) continue;
          const taken = { id, value: part, copies: 1 };
          missing = id.exact ? undefined : subtractValues(missing, part, id.type);
          available = subtractEntries(available, [taken]);
          found.push(taken);
        }
      }
      if (missing !== undefined) return undefined;
    }
  }
  return mergeEntries(found);
}

/** Reserved ones first, the most refined before the others, so that what everybody may use is left over. */
function byPreference(a: Entry, b: Entry): number {
  return stackOf(b.id).length - stackOf(a.id).length;
}

/**
 * Resources for a task: `scalars` in thousandths by name, and the `ports` lowest ports. Only what can be split is used, and no disk with
 * a source. A name is served by non-revocable ones alone or, when these do not suffice, by revocable ones alone, as a task may not mix them.
 * `undefined` when there is not enough.
 */
export function takeEntries(
  entries: Entries,
  scalars: ReadonlyMap<string, number>,
  ports: number,
): Entries | undefined {
  const usable = entries.filter(({ id }) => !id.exact && id.wire.disk === undefined).sort(byPreference);
  const taken: Entry[] = [];
  const serve = (name: string, type: ResourceIdentity['type'], amount: number): boolean => {
    if (amount <= 0) return true;
    const fitting = usable.filter(({ id }) => id.name === name && id.type === type);
    for (const revocable of [false, true]) {
      const parts = cut(
        fitting.filter(({ id }) => id.revocable === revocable),
        amount,
      );
      if (parts === undefined) continue;
      taken.push(...parts);
      return true;
    }
    return false;
  };
  for (const [name, thousandths] of scalars) if (!serve(name, 'SCALAR', thousandths)) return undefined;
  if (!serve('ports', 'RANGES', ports)) return undefined;
  return mergeEntries(taken);
}

/** Parts of `entries`, in order, that make up `amount`: thousandths, or numbers of ranges. */
function cut(entries: Entries, amount: number): Entry[] | undefined {
  const parts: Entry[] = [];
  let missing = amount;
  for (const { id, value } of entries) {
    if (missing <= 0) break;
    if (id.type === 'SCALAR') {
      const part = Math.min(value as number, missing);
      parts.push({ id, value: part, copies: 1 });
      missing -= part;
    } else {
      const part = firstOfRanges(value as readonly Range[], missing);
      parts.push({ id, value: part, copies: 1 });
      missing -= sizeOfRanges(part);
    }
  }
  return missing > 0 ? undefined : parts;
}

/** Scalars cut down to `limits`, in thousandths by name. Names without a limit and other types stay; exact ones stay whole or go. */
export function shrinkEntries(entries: Entries, limits: ReadonlyMap<string, number>): Entries {
  const left = new Map(limits);
  const kept: Entry[] = [];
  for (const entry of entries) {
    const limit = entry.id.type === 'SCALAR' ? left.get(entry.id.name) : undefined;
    if (limit === undefined) {
      kept.push(entry);
      continue;
    }
    const part = shrinkEntry(entry, limit);
    if (part === undefined) continue;
    kept.push(part);
    left.set(entry.id.name, limit - thousandthsOf(part));
  }
  return kept;
}

function shrinkEntry(entry: Entry, limit: number): Entry | undefined {
  const { id, value } = entry;
  if (thousandthsOf(entry) <= limit) return entry;
  if (!id.exact) return limit > 0 ? { id, value: limit, copies: 1 } : undefined;
  // A shared one that does not fit once does not fit at all; of others, as many as fit.
  const copies = id.shared ? 0 : Math.floor(limit / (value as number));
  return copies > 0 ? { id, value, copies } : undefined;
}

/** The arithmetic of resources as one immutable value. Source: the resource algebra of Mesos. Rules: RES-1 to RES-19. */
import { isDescendantRole } from './framework.js';
import { addRanges } from './ranges.js';
import type { Range, ReservationInfo, Resource } from './resource.js';
import {
  addEntries,
  containsEntries,
  equalEntries,
  mapIdentities,
  mergeEntries,
  subtractEntries,
  thousandthsOf,
  type Entries,
  type Entry,
} from './resource-entries.js';
import {
  identityOf,
  stackOf,
  toStackForm,
  toWire,
  withAllocation,
  withReservations,
  type ResourceIdentity,
} from './resource-identity.js';
import { findEntries, shrinkEntries, takeEntries } from './resource-pick.js';
import { formatEntry, parseResources } from './resource-text.js';
import { toThousandths, valueOf } from './resource-value.js';

export { MAX_SCALAR, overlapError, resourcesError } from './resource-check.js';
export { toStackForm, type ResourceIdentity } from './resource-identity.js';
export { fromThousandths, toThousandths } from './resource-value.js';
export { ParseError } from './value-text.js';

/** Thousandths by resource name. */
export type Quantities = ReadonlyMap<string, number>;

/** Amounts by name, such as `{ cpus: 0.1, mem: 32 }`, in thousandths. */
export function toQuantities(amounts: Readonly<Record<string, number>>): Quantities {
  return new Map(Object.entries(amounts).map(([name, amount]) => [name, toThousandths(amount)]));
}

/** Whether `left` has at least as much of everything as `right`. */
export function containsQuantities(left: Quantities, right: Quantities): boolean {
  for (const [name, thousandths] of right) if ((left.get(name) ?? 0) < thousandths) return false;
  return true;
}

/**
 * An immutable collection of resources: merged, in one order, scalars in whole thousandths.
 *
 * Nested parts of messages given to `of` (labels, disks) are shared, not copied: messages are never changed in place.
 */
export class Resources {
  static readonly empty: Resources = new Resources([]);

  readonly #entries: Entries;

  private constructor(entries: Entries) {
    this.#entries = entries;
  }

  static #from(entries: Entries): Resources {
    return entries.length === 0 ? Resources.empty : new Resources(entries);
  }

  /**
   * Merges `list`. Rounds scalars to thousandths, reads the older spelling of reservations, and leaves out what is empty.
   * Negative and malformed ones are left out too; `resourcesError` names them.
   */
  static of(list: readonly Resource[] | undefined): Resources {
    if (list === undefined) return Resources.empty;
    const entries: Entry[] = [];
    for (const resource of list) {
      const value = valueOf(resource);
      if (value !== undefined) entries.push({ id: identityOf(toStackForm(resource), value), value, copies: 1 });
    }
    return Resources.#from(mergeEntries(entries));
  }

  /**
   * Reads `cpus:4;mem(ads):512;ports:[31000-32000];zones:{a,b}`. A role in parentheses is a static reservation; what has none gets
   * `defaultRole`.
   *
   * @throws ParseError that quotes the entry and says what is wrong with it.
   */
  static parse(text: string, defaultRole = '*'): Resources {
    return Resources.of(parseResources(text, defaultRole));
  }

  /** All of them together. */
  static sum(all: Iterable<Resources>): Resources {
    let total: Resources = Resources.empty;
    for (const one of all) total = total.add(one);
    return total;
  }

  /** The wire form, ordered by name, plain ones first, whatever order they came in. Every copy of a counted one is listed. */
  toArray(): Resource[] {
    const list: Resource[] = [];
    for (const { id, value, copies } of this.#entries) for (let i = 0; i < copies; i++) list.push(toWire(id, value));
    return list;
  }

  /** `cpus:0.1; mem:32; ports:[31000-31002]`, with marks for what is more than plain. `parse` reads it unless it has marks other than a static role. */
  toString(): string {
    return this.#entries.map(formatEntry).join('; ');
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** The sum of scalars and the union of ranges and sets: numbers that both have are not counted twice. Exact kinds are counted. */
  add(other: Resources): Resources {
    if (other.isEmpty) return this;
    if (this.isEmpty) return other;
    return new Resources(addEntries(this.#entries, other.#entries));
  }

  /** What is left; what `other` has beyond this one is ignored, and nothing becomes negative. */
  subtract(other: Resources): Resources {
    if (this.isEmpty || other.isEmpty) return this;
    return Resources.#from(subtractEntries(this.#entries, other.#entries));
  }

  contains(other: Resources): boolean {
    return containsEntries(this.#entries, other.#entries);
  }

  equals(other: Resources): boolean {
    return this === other || equalEntries(this.#entries, other.#entries);
  }

  /** Thousandths of the scalar `name`, whatever its roles and marks; a shared one counts once. */
  scalar(name: string): number {
    let sum = 0;
    for (const entry of this.#entries) if (entry.id.name === name) sum += thousandthsOf(entry);
    return sum;
  }

  /** All numbers of the ranges `name`, whatever their roles. */
  ranges(name: string): readonly Range[] {
    let all: readonly Range[] = [];
    for (const { id, value } of this.#entries)
      if (id.name === name && id.type === 'RANGES') all = addRanges(all, value as readonly Range[]);
    return all;
  }

  /** Thousandths of each scalar by name, without regard to anything else. A map of the caller's own. */
  quantities(): Map<string, number> {
    const sums = new Map<string, number>();
    for (const entry of this.#entries) {
      const { name, type } = entry.id;
      if (type === 'SCALAR') sums.set(name, (sums.get(name) ?? 0) + thousandthsOf(entry));
    }
    return sums;
  }

  /** The same, allocated to `role`. */
  allocate(role: string): Resources {
    return new Resources(mapIdentities(this.#entries, (id, value) => withAllocation(id, role, value)));
  }

  /** The same, allocated to nobody. */
  unallocate(): Resources {
    if (!this.#entries.some(({ id }) => id.allocationRole !== undefined)) return this;
    return new Resources(mapIdentities(this.#entries, (id, value) => withAllocation(id, undefined, value)));
  }

  /** The one role that all are allocated to; `undefined` when they are not allocated, or not to one role. */
  get allocationRole(): string | undefined {
    const role = this.#entries[0]?.id.allocationRole;
    return this.#entries.every(({ id }) => id.allocationRole === role) ? role : undefined;
  }

  /** Those whose identity satisfies `keep`. */
  filter(keep: (id: ResourceIdentity) => boolean): Resources {
    const kept = this.#entries.filter(({ id }) => keep(id));
    return kept.length === this.#entries.length ? this : Resources.#from(kept);
  }

  /** Those reserved for exactly `role`, or for any role. */
  reserved(role?: string): Resources {
    return this.filter((id) => id.reservationRole !== '*' && (role === undefined || id.reservationRole === role));
  }

  unreserved(): Resources {
    return this.filter((id) => id.reservationRole === '*');
  }

  /** Those that may be offered to `role`: unreserved ones, and ones reserved for it or for a role above it. */
  allocatableTo(role: string): Resources {
    return this.filter(({ reservationRole: own }) => own === '*' || own === role || isDescendantRole(role, own));
  }

  revocable(): Resources {
    return this.filter((id) => id.revocable);
  }

  nonRevocable(): Resources {
    return this.filter((id) => !id.revocable);
  }

  shared(): Resources {
    return this.filter((id) => id.shared);
  }

  nonShared(): Resources {
    return this.filter((id) => !id.shared);
  }

  persistentVolumes(): Resources {
    return this.filter((id) => id.wire.disk?.persistence !== undefined);
  }

  scalars(): Resources {
    return this.filter((id) => id.type === 'SCALAR');
  }

  /** The same without any reservation. */
  toUnreserved(): Resources {
    return new Resources(mapIdentities(this.#entries, (id, value) => withReservations(id, [], value)));
  }

  /** The same with `reservation` on top of every stack. */
  pushReservation(reservation: ReservationInfo): Resources {
    return new Resources(
      mapIdentities(this.#entries, (id, value) => withReservations(id, [...stackOf(id), reservation], value)),
    );
  }

  /** The same without the top of every stack. */
  popReservation(): Resources {
    return new Resources(
      mapIdentities(this.#entries, (id, value) => withReservations(id, stackOf(id).slice(0, -1), value)),
    );
  }

  /**
   * `consumed` replaced by `converted`; `undefined` when this does not contain `consumed`, or when the quantities of the two differ.
   * Making disks (`mayResize`) is the one conversion that may change them.
   */
  apply(consumed: Resources, converted: Resources, mayResize = false): Resources | undefined {
    if (!this.contains(consumed)) return undefined;
    const [before, after] = [consumed.quantities(), converted.quantities()];
    const isEqual = containsQuantities(before, after) && containsQuantities(after, before);
    return isEqual || mayResize ? this.subtract(consumed).add(converted) : undefined;
  }

  /**
   * Concrete resources worth `targets`, whoever they are reserved for or allocated to: for each target first those reserved for its own
   * role, then unreserved ones, then any. `undefined` when they do not suffice.
   */
  find(targets: Resources): Resources | undefined {
    const found = findEntries(this.#entries, targets.#entries);
    return found && Resources.#from(found);
  }

  /**
   * Resources of this one for a task: `scalars` in thousandths by name, and the `ports` lowest ports. Reserved ones are used first. Volumes,
   * shared ones and disks with a source are not used. Revocable ones are used for a name only when the others do not suffice, and then alone.
   * `undefined` when there is not enough.
   */
  take(scalars: Quantities, ports = 0): Resources | undefined {
    const taken = takeEntries(this.#entries, scalars, ports);
    return taken && Resources.#from(taken);
  }

  /** Scalars cut down to `limits`, in thousandths by name. Names without a limit and other types stay; what cannot be split stays whole or goes. */
  shrink(limits: Quantities): Resources {
    return Resources.#from(shrinkEntries(this.#entries, limits));
  }
}

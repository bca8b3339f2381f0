/** What is wrong with resources that came from outside. Source: the validation of Mesos. Rules: RES-14, RES-15. */
import { isDescendantRole, roleError } from './framework.js';
import type { DiskInfo, Resource } from './resource.js';
import { isId } from './schema.js';
import { overlapOf } from './value-text.js';

/** Largest amount of one resource: sums over thousands of agents are still exact in thousandths. */
export const MAX_SCALAR = 1_000_000_000;

/**
 * The first thing that is wrong with `resources`, naming the resource; `undefined` when all are sound.
 *
 * Refused are negative or inexact scalars, fractions of gpus, ranges that begin above their end or overlap, repeated items of a set, missing
 * names, values that do not go with the type, reservations that are no stack, disks that make no sense, and a persistence id used twice.
 */
export function resourcesError(resources: readonly Resource[]): string | undefined {
  const volumes = new Set<string>();
  const sums = new Map<string, number>();
  for (let i = 0; i < resources.length; i++) {
    const resource = resources[i]!;
    const error = nameError(resource) ?? valueError(resource) ?? reservationError(resource) ?? markError(resource);
    if (error !== undefined) return `resource ${i} (${resource.name}): ${error}`;
    const sum = (sums.get(resource.name) ?? 0) + (resource.scalar?.value ?? 0);
    if (sum > MAX_SCALAR) return `resource ${i} (${resource.name}): all of the name are more than ${MAX_SCALAR}`;
    sums.set(resource.name, sum);
    const id = resource.disk?.persistence?.id;
    // Copies of a shared volume are one volume.
    if (id === undefined || resource.shared !== undefined) continue;
    const key = `${roleOf(resource)}\0${id}`;
    if (volumes.has(key)) return `resource ${i} (${resource.name}): persistence id '${id}' is not unique`;
    volumes.add(key);
  }
  return undefined;
}

/** Role of the top of the reservation stack, in either spelling; `*` when not reserved. */
function roleOf({ reservations, role }: Resource): string {
  return reservations?.[reservations.length - 1]?.role ?? role ?? '*';
}

function nameError({ name }: Resource): string | undefined {
  if (name === '') return 'has no name';
  // eslint-disable-next-line no-control-regex -- control characters are exactly what a name may not have
  return /[\u0000-\u001f\u007f]/.test(name) ? 'a name may not contain control characters' : undefined;
}

function valueError(resource: Resource): string | undefined {
  const { type, scalar, ranges, set } = resource;
  if (type === 'TEXT') return 'a resource may not be TEXT';
  const values = { SCALAR: scalar, RANGES: ranges, SET: set };
  if (values[type] === undefined) return `is ${type} but has no such value`;
  for (const other of ['SCALAR', 'RANGES', 'SET'] as const)
    if (other !== type && values[other] !== undefined) return `is ${type} but has a value of type ${other}`;
  if (resource.name === 'gpus' && type !== 'SCALAR') return 'must be SCALAR';
  if (scalar !== undefined) return scalarError(resource.name, scalar.value);
  if (ranges !== undefined) return rangesError(ranges.range ?? []);
  const items = set?.item ?? [];
  const seen = new Set<string>();
  for (const item of items) if (seen.size === seen.add(item).size) return `has the item '${item}' more than once`;
  return undefined;
}

function scalarError(name: string, value: number): string | undefined {
  if (!Number.isFinite(value)) return `${value} is not a finite number`;
  if (value < 0) return `${value} is negative`;
  if (value > MAX_SCALAR) return `${value} is larger than ${MAX_SCALAR}`;
  if (name === 'gpus' && !Number.isInteger(value)) return `${value} is not a whole number`;
  return undefined;
}

function rangesError(ranges: readonly { begin: number; end: number }[]): string | undefined {
  for (const { begin, end } of ranges) {
    if (!Number.isSafeInteger(begin) || !Number.isSafeInteger(end) || begin < 0)
      return `range ${begin}-${end} is not of whole numbers up to ${Number.MAX_SAFE_INTEGER}`;
    if (begin > end) return `range ${begin}-${end} begins above its end`;
  }
  const overlap = overlapOf(ranges);
  return overlap === undefined ? undefined : `has ${overlap} in more than one range`;
}

function reservationError({ role, reservation, reservations, allocationInfo }: Resource): string | undefined {
  if (allocationInfo?.role !== undefined) {
    const error = roleError(allocationInfo.role);
    if (error !== undefined) return error;
  }
  if (role !== undefined) {
    const error = roleError(role);
    if (error !== undefined) return error;
  }
  if (reservation !== undefined && (role === undefined || role === '*'))
    return "has a reservation but no role other than '*'";
  const stack = reservations ?? [];
  if (stack.length > 0 && (reservation !== undefined || (role !== undefined && role !== '*')))
    return 'has both a reservation stack and the older role or reservation';
  for (let i = 0; i < stack.length; i++) {
    const below = stack[i - 1]?.role;
    const { type, role } = stack[i]!;
    if (type !== 'STATIC' && type !== 'DYNAMIC') return 'a reservation must be STATIC or DYNAMIC';
    if (type === 'STATIC' && i > 0) return 'only the first reservation of a stack may be STATIC';
    if (role === undefined) return 'a reservation must have a role';
    const error = roleError(role);
    if (error !== undefined) return error;
    if (role === '*') return "a reservation may not be for '*'";
    if (below !== undefined && !isDescendantRole(role, below))
      return `the reservation for '${role}' must be for a role below '${below}'`;
  }
  return undefined;
}

function markError(resource: Resource): string | undefined {
  const { disk, revocable, shared, reservations, reservation, name } = resource;
  const isDynamic = reservation !== undefined || reservations?.some(({ type }) => type === 'DYNAMIC');
  if (revocable !== undefined && isDynamic) return 'a revocable resource may not be reserved dynamically';
  if (shared !== undefined && disk?.persistence === undefined) return 'only persistent volumes may be shared';
  if (disk === undefined) return undefined;
  if (name !== 'disk') return "only 'disk' may have disk information";
  if (revocable !== undefined && disk.persistence !== undefined) return 'a persistent volume may not be revocable';
  return diskError(disk, roleOf(resource));
}

function diskError({ persistence, volume, source }: DiskInfo, role: string): string | undefined {
  if (persistence === undefined) {
    if (volume !== undefined) return 'a volume on a disk must be persistent';
    return source === undefined ? 'has empty disk information' : undefined;
  }
  if (!isId(persistence.id)) return `persistence id '${persistence.id}' is not an id`;
  if (role === '*') return 'a persistent volume must be on reserved disk';
  if (volume === undefined) return 'a persistent volume must have a volume';
  if (volume.hostPath !== undefined) return 'a persistent volume may not have a host path';
  if (source?.type === 'RAW' || source?.type === 'BLOCK') return `a disk of type ${source.type} cannot hold a volume`;
  return undefined;
}

/**
 * Names a number of a range or an item of a set that `resources` have more than once under one name, whatever their roles; `undefined`
 * when there is none. For lists that are about different things, such as a task's resources and those of its executor.
 */
export function overlapError(resources: readonly Resource[]): string | undefined {
  const ranges = new Map<string, { begin: number; end: number }[]>();
  const items = new Map<string, Set<string>>();
  for (const { name, ranges: value, set } of resources) {
    if (value?.range !== undefined) {
      const all = ranges.get(name);
      if (all === undefined) ranges.set(name, value.range.slice());
      else all.push(...value.range);
    }
    if (set?.item === undefined) continue;
    const seen = items.get(name) ?? new Set();
    items.set(name, seen);
    for (const item of set.item)
      if (seen.size === seen.add(item).size) return `${name} '${item}' is there more than once`;
  }
  for (const [name, all] of ranges) {
    const overlap = overlapOf(all);
    if (overlap !== undefined) return `${name} ${overlap} is there more than once`;
  }
  return undefined;
}

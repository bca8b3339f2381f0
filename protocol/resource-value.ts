/** Values of resources and their arithmetic, without regard to what they are values of. Source: the resource algebra of Mesos. Rules: RES-1, RES-2, RES-3. */
import { addRanges, containsRanges, equalRanges, intersectRanges, normalizeRanges, subtractRanges } from './ranges.js';
import type { Range, Resource } from './resource.js';
import { compareText } from './value-text.js';

/** Types a resource can have; TEXT is for attributes. */
export type ResourceType = 'SCALAR' | 'RANGES' | 'SET';

/**
 * A value: whole thousandths of a scalar, normalized ranges, or sorted items; which one it is, is known from the type beside it.
 * Thousandths, because sums of 0.1 in doubles leave ghosts such as 1e-17 cpus.
 */
export type Value = number | readonly Range[] | readonly string[];

/** Thousandths of an amount, rounded to the nearest. */
export function toThousandths(amount: number): number {
  return Math.round(amount * 1000);
}

/** The amount of so many thousandths: the double that prints with at most three decimals. */
export function fromThousandths(thousandths: number): number {
  return thousandths / 1000;
}

/** The value of `resource`; `undefined` when it is empty, negative or missing. */
export function valueOf(resource: Resource): Value | undefined {
  switch (resource.type) {
    case 'SCALAR': {
      const thousandths = toThousandths(resource.scalar?.value ?? 0);
      return thousandths > 0 ? thousandths : undefined;
    }
    case 'RANGES': {
      const ranges = normalizeRanges(resource.ranges?.range ?? []);
      return ranges.length > 0 ? ranges : undefined;
    }
    case 'SET': {
      const items = [...new Set(resource.set?.item ?? [])].sort(compareText);
      return items.length > 0 ? items : undefined;
    }
    case 'TEXT':
      return undefined;
  }
}

/** The union or sum of two values of one type. */
export function addValues(left: Value, right: Value, type: ResourceType): Value {
  if (type === 'SCALAR') return (left as number) + (right as number);
  if (type === 'RANGES') return addRanges(left as readonly Range[], right as readonly Range[]);
  return [...new Set([...(left as readonly string[]), ...(right as readonly string[])])].sort(compareText);
}

/** What is left of `left`; `undefined` when nothing is. */
export function subtractValues(left: Value, right: Value, type: ResourceType): Value | undefined {
  if (type === 'SCALAR') {
    const rest = (left as number) - (right as number);
    return rest > 0 ? rest : undefined;
  }
  if (type === 'RANGES') {
    const rest = subtractRanges(left as readonly Range[], right as readonly Range[]);
    return rest.length > 0 ? rest : undefined;
  }
  const gone = new Set(right as readonly string[]);
  const rest = (left as readonly string[]).filter((item) => !gone.has(item));
  return rest.length > 0 ? rest : undefined;
}

/** Whether `right` is not more than `left`. */
export function containsValue(left: Value, right: Value, type: ResourceType): boolean {
  if (type === 'SCALAR') return (left as number) >= (right as number);
  if (type === 'RANGES') return containsRanges(left as readonly Range[], right as readonly Range[]);
  const all = new Set(left as readonly string[]);
  return (right as readonly string[]).every((item) => all.has(item));
}

/** Whether both are the same amount. */
export function equalValues(left: Value, right: Value, type: ResourceType): boolean {
  if (type === 'SCALAR') return left === right;
  if (type === 'RANGES') return equalRanges(left as readonly Range[], right as readonly Range[]);
  const items = right as readonly string[];
  return left === right || (items.length === (left as readonly string[]).length && containsValue(left, items, type));
}

/** The lesser of two scalars, or what is in both; `undefined` when that is nothing. */
export function intersectValues(left: Value, right: Value, type: ResourceType): Value | undefined {
  if (type === 'SCALAR') return Math.min(left as number, right as number);
  if (type === 'RANGES') {
    const common = intersectRanges(left as readonly Range[], right as readonly Range[]);
    return common.length > 0 ? common : undefined;
  }
  const all = new Set(right as readonly string[]);
  const common = (left as readonly string[]).filter((item) => all.has(item));
  return common.length > 0 ? common : undefined;
}

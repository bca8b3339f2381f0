/** Random resources for property tests: few names and roles, so that things meet. */
import fc from 'fast-check';
import type { Range, Resource } from '../../protocol/resource.js';
import { Resources } from '../../protocol/resources.js';

const base = (name: string, type: Resource['type']) => ({ name, type });

/** Any scalar of up to three decimals. */
const scalar = fc
  .record({ name: fc.constantFrom('cpus', 'mem', 'disk'), thousandths: fc.integer({ min: 0, max: 5000 }) })
  .map(({ name, thousandths }): Resource => ({ ...base(name, 'SCALAR'), scalar: { value: thousandths / 1000 } }));

export const range = fc.tuple(fc.nat(30), fc.nat(6)).map(([begin, length]): Range => ({ begin, end: begin + length }));

const ports = fc
  .array(range, { maxLength: 3 })
  .map((ranges): Resource => ({ ...base('ports', 'RANGES'), ranges: { range: ranges } }));

const zones = fc
  .uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'))
  .map((items): Resource => ({ ...base('zones', 'SET'), set: { item: items } }));

/** Neither reserved nor marked. */
export const plainResource = fc.oneof(scalar, scalar, ports, zones);

const stack = fc.constantFrom<NonNullable<Resource['reservations']>>(
  [],
  [],
  [{ type: 'STATIC', role: 'ads' }],
  [{ type: 'DYNAMIC', role: 'ads', principal: 'p' }],
  [
    { type: 'STATIC', role: 'ads' },
    { type: 'DYNAMIC', role: 'ads/web' },
  ],
  [{ type: 'DYNAMIC', role: 'ads', labels: { labels: [{ key: 'k', value: 'v' }, { key: 'l' }] } }],
);

const marked = fc
  .record({
    resource: plainResource,
    reservations: stack,
    isRevocable: fc.boolean(),
    role: fc.option(fc.constantFrom('ads', 'x')),
  })
  .map(({ resource, reservations, isRevocable, role }): Resource => {
    const result: Resource = { ...resource };
    if (reservations.length > 0) result.reservations = reservations;
    if (isRevocable) result.revocable = {};
    if (role !== null) result.allocationInfo = { role };
    return result;
  });

/** A persistent volume, which is counted and not added up. */
export function volume(id: string, size: number, isShared = false): Resource {
  const resource: Resource = {
    ...base('disk', 'SCALAR'),
    scalar: { value: size },
    reservations: [{ type: 'DYNAMIC', role: 'ads' }],
    disk: { persistence: { id }, volume: { mode: 'RW', containerPath: 'data' } },
  };
  if (isShared) resource.shared = {};
  return resource;
}

const exact = fc.oneof(
  fc
    .tuple(fc.constantFrom('v1', 'v2'), fc.constantFrom(1, 2), fc.boolean())
    .map(([id, size, isShared]) => volume(id, size, isShared)),
  fc.constant<Resource>({
    ...base('disk', 'SCALAR'),
    scalar: { value: 3 },
    disk: { source: { type: 'MOUNT', mount: { root: '/m' } } },
  }),
  fc.constant<Resource>({
    ...base('disk', 'SCALAR'),
    scalar: { value: 2 },
    disk: { source: { type: 'PATH', path: { root: '/p' } } },
  }),
);

/** A list of anything. */
export const anyList = fc.array(fc.oneof(marked, marked, exact), { maxLength: 6 });
export const anyResources = anyList.map((list) => Resources.of(list));
export const plainResources = fc.array(plainResource, { maxLength: 6 }).map((list) => Resources.of(list));

const addable = fc.oneof(
  marked.filter(({ type }) => type === 'SCALAR'),
  exact,
);
/** Scalars and counted things only: what adds up instead of being united. */
export const countableResources = fc.array(addable, { maxLength: 6 }).map((list) => Resources.of(list));

/** What makes two resources the same kind of thing, so that their values may be added. Source: the resource algebra of Mesos. Rule: RES-4. */
import type { DiskInfo, Range, ReservationInfo, Resource } from './resource.js';
import { fromThousandths, type ResourceType, type Value } from './resource-value.js';
import { compareText } from './value-text.js';

/** Everything about a resource but its amount. */
export interface ResourceIdentity {
  /** Equal for equal identities; sorts by name first, plain ones before reserved ones. */
  readonly key: string;
  readonly name: string;
  readonly type: ResourceType;
  /** Role it is allocated to; `undefined` when it is not allocated. */
  readonly allocationRole: string | undefined;
  /** Role on top of the reservation stack; `*` when it is not reserved. */
  readonly reservationRole: string;
  /** Cannot be split or added up: the value is part of the identity, and equal ones are counted. */
  readonly exact: boolean;
  readonly shared: boolean;
  readonly revocable: boolean;
  /** Only a name, a type and perhaps an allocation role. */
  readonly plain: boolean;
  /** The resource without its value, as it goes on the wire. */
  readonly wire: Readonly<Resource>;
}

/** Plain identities are few (names times roles) and met all the time, so that most comparisons are of one object with itself. */
const plainIdentities = new Map<string, ResourceIdentity>();
/** Names come from outside; past this the table starts anew, which costs a little time and changes nothing. */
const MAX_PLAIN_IDENTITIES = 16_384;

/**
 * The identity of `resource`, which must have its reservations in stack form (`toStackForm`) and a type other than TEXT.
 *
 * Left out on purpose is `disk.volume`: it says how a task uses the disk (path, read-only), not which disk it is.
 */
export function identityOf(resource: Resource, value: Value): ResourceIdentity {
  const role = resource.allocationInfo?.role || undefined;
  return isPlain(resource) ? plainIdentity(resource.name, typeOf(resource), role) : richIdentity(resource, value, role);
}

/** The same identity under another allocation role, or under none. */
export function withAllocation(id: ResourceIdentity, role: string | undefined, value: Value): ResourceIdentity {
  if (id.allocationRole === role) return id;
  return id.plain ? plainIdentity(id.name, id.type, role) : richIdentity(id.wire, value, role);
}

/** The same identity with another reservation stack. */
export function withReservations(id: ResourceIdentity, stack: ReservationInfo[], value: Value): ResourceIdentity {
  return identityOf({ ...id.wire, reservations: stack }, value);
}

/** A resource of this identity and value, as it goes on the wire. A new object; what is nested in `wire` is shared with it. */
export function toWire(id: ResourceIdentity, value: Value): Resource {
  const resource: Resource = id.plain ? { name: id.name, type: id.type } : { ...id.wire };
  if (id.type === 'SCALAR') resource.scalar = { value: fromThousandths(value as number) };
  else if (id.type === 'RANGES')
    resource.ranges = { range: (value as readonly Range[]).map(({ begin, end }) => ({ begin, end })) };
  else resource.set = { item: (value as readonly string[]).slice() };
  if (id.allocationRole !== undefined) resource.allocationInfo = { role: id.allocationRole };
  return resource;
}

/** The reservation stack, outermost role first. */
export function stackOf(id: ResourceIdentity): readonly ReservationInfo[] {
  return id.wire.reservations ?? [];
}

function isPlain(resource: Readonly<Resource>): boolean {
  return (
    resource.disk === undefined &&
    resource.revocable === undefined &&
    resource.shared === undefined &&
    resource.providerId === undefined &&
    (resource.reservations === undefined || resource.reservations.length === 0)
  );
}

function typeOf(resource: Readonly<Resource>): ResourceType {
  return resource.type === 'TEXT' ? 'SCALAR' : resource.type;
}

function plainKey(name: string, type: string, role: string | undefined): string {
  return role === undefined ? `${name}\0${type}` : `${name}\0${type}\0${role}`;
}

function plainIdentity(name: string, type: ResourceType, role: string | undefined): ResourceIdentity {
  const key = plainKey(name, type, role);
  const known = plainIdentities.get(key);
  if (known !== undefined) return known;
  const identity: ResourceIdentity = {
    key,
    name,
    type,
    allocationRole: role,
    reservationRole: '*',
    exact: false,
    shared: false,
    revocable: false,
    plain: true,
    wire: role === undefined ? { name, type } : { name, type, allocationInfo: { role } },
  };
  if (plainIdentities.size >= MAX_PLAIN_IDENTITIES) plainIdentities.clear();
  plainIdentities.set(key, identity);
  return identity;
}

function richIdentity(resource: Readonly<Resource>, value: Value, role: string | undefined): ResourceIdentity {
  const { name, providerId, disk, revocable, shared } = resource;
  const type = typeOf(resource);
  const stack = resource.reservations ?? [];
  const exact = shared !== undefined || isExactDisk(disk);
  const wire: Resource = { name, type };
  if (providerId !== undefined) wire.providerId = providerId;
  if (role !== undefined) wire.allocationInfo = { role };
  if (stack.length > 0) wire.reservations = stack.map(ordered);
  if (disk !== undefined) wire.disk = disk;
  if (revocable !== undefined) wire.revocable = {};
  if (shared !== undefined) wire.shared = {};
  const rest = [
    stack.map(({ type, role, principal, labels }) => [type, role, principal, labelPairs(labels)]),
    providerId,
    disk && diskKey(disk),
    revocable !== undefined,
    shared !== undefined,
    exact ? value : undefined,
  ];
  return {
    // The empty middle part keeps unallocated ones apart from ones whose role looks like the rest.
    key: `${name}\0${type}\0${role ?? ''}\0${JSON.stringify(rest)}`,
    name,
    type,
    allocationRole: role,
    reservationRole: stack[stack.length - 1]?.role ?? '*',
    exact,
    shared: shared !== undefined,
    revocable: revocable !== undefined,
    plain: false,
    wire,
  };
}

/** A copy with its fields in one order, so that equal resources are equal bytes on the wire. */
function ordered({ type, role, principal, labels }: ReservationInfo): ReservationInfo {
  return {
    ...(type !== undefined && { type }),
    ...(role !== undefined && { role }),
    ...(principal !== undefined && { principal }),
    ...(labels !== undefined && { labels }),
  };
}

/** Whether a disk is a thing of its own: a persistent volume, a whole file system or device, or a provisioned raw disk. */
function isExactDisk(disk: DiskInfo | undefined): boolean {
  if (disk === undefined) return false;
  if (disk.persistence !== undefined) return true;
  const source = disk.source;
  if (source === undefined || source.type === 'PATH') return false;
  return source.type === 'RAW' ? source.id !== undefined : true;
}

function diskKey({ persistence, source }: DiskInfo): unknown {
  return [
    persistence && [persistence.id, persistence.principal],
    source && [
      source.type,
      source.path && [source.path.root],
      source.mount && [source.mount.root],
      source.vendor,
      source.id,
      labelPairs(source.metadata),
      source.profile,
    ],
  ];
}

/** Labels as sorted pairs, as their order does not matter. */
function labelPairs(labels: ReservationInfo['labels']): unknown {
  const pairs = labels?.labels?.map(({ key, value }) => JSON.stringify([key, value]));
  return pairs === undefined || pairs.length === 0 ? undefined : pairs.sort(compareText);
}

/**
 * `resource` with its reservations as a stack: the older spelling, `role` with or without `reservation`, is a stack of one.
 * A role alone is a static reservation, one with `reservation` a dynamic one.
 */
export function toStackForm(resource: Resource): Resource {
  if (resource.role === undefined && resource.reservation === undefined) return resource;
  const { role, reservation, ...rest } = resource;
  if (rest.reservations !== undefined && rest.reservations.length > 0) return rest;
  if (role === undefined || role === '*') return rest;
  const info: ReservationInfo =
    reservation === undefined ? { type: 'STATIC', role } : { ...reservation, type: 'DYNAMIC', role };
  return { ...rest, reservations: [info] };
}

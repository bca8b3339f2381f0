/** Frameworks and the names of roles. Source: Mesos v1 `mesos.proto` and its rules for role names. */
import { Labels, MapOf } from './common.js';
import { Scalar } from './resource.js';
import { Id, NonNegative, Text, Type, type Static } from './schema.js';

/** Mesos `FrameworkInfo.Capability.Type`. */
export const FrameworkCapabilityType = Type.Enum([
  'UNKNOWN',
  'REVOCABLE_RESOURCES',
  'TASK_KILLING_STATE',
  'GPU_RESOURCES',
  'SHARED_RESOURCES',
  'PARTITION_AWARE',
  'MULTI_ROLE',
  'RESERVATION_REFINEMENT',
  'REGION_AWARE',
]);
export type FrameworkCapabilityType = Static<typeof FrameworkCapabilityType>;

/** What a framework can cope with. Mesos leaves `type` optional; a capability without a type says nothing, so it is required here. */
export const FrameworkCapability = Type.Object({ type: FrameworkCapabilityType });
export type FrameworkCapability = Static<typeof FrameworkCapability>;

/** Amounts by resource name. */
export const ResourceQuantities = Type.Object({ quantities: Type.Optional(MapOf(Scalar, 256)) });
export type ResourceQuantities = Static<typeof ResourceQuantities>;

/**
 * The smallest offers that are worth sending for a role: an offer must reach one of `minAllocatableResources.quantities`.
 * A present but empty list switches the minimum off; an absent one means that of the cluster.
 */
export const OfferFilters = Type.Object({
  minAllocatableResources: Type.Optional(
    Type.Object({ quantities: Type.Optional(Type.Array(ResourceQuantities, { maxItems: 64 })) }),
  ),
});
export type OfferFilters = Static<typeof OfferFilters>;

/**
 * Mesos `FrameworkInfo`. `id` is set to fail over, else the master assigns one. `failoverTimeout` is in seconds (absent: 0).
 * `role` is the old form for one role (absent: `*`), `roles` goes with the capability MULTI_ROLE. `offerFilters` is by role.
 */
export const FrameworkInfo = Type.Object({
  user: Text(255),
  name: Text(1024),
  id: Type.Optional(Id),
  failoverTimeout: Type.Optional(NonNegative),
  checkpoint: Type.Optional(Type.Boolean()),
  role: Type.Optional(Text(255)),
  roles: Type.Optional(Type.Array(Text(255), { maxItems: 1024 })),
  hostname: Type.Optional(Text(255)),
  principal: Type.Optional(Text(255)),
  webuiUrl: Type.Optional(Text()),
  capabilities: Type.Optional(Type.Array(FrameworkCapability, { maxItems: 64 })),
  labels: Type.Optional(Labels),
  offerFilters: Type.Optional(MapOf(OfferFilters, 1024)),
});
export type FrameworkInfo = Static<typeof FrameworkInfo>;

/** Longest role name, in characters; Mesos has no bound, we need one because the registry's keys do. */
export const MAX_ROLE = 255;

/**
 * Why `name` is not a role, or `undefined` when it is one. `*` is the default role. Rule: PRO-ROLE.
 *
 * A role is a path: components joined by `/`, none of them empty, `.`, `..` or `*`, none starting with `-`,
 * and no white space or control character anywhere (Mesos refuses backspace only; the others would break keys and tables).
 */
export function roleError(name: string): string | undefined {
  if (name === '*') return undefined;
  if (name === '') return 'a role may not be empty';
  if (name.length > MAX_ROLE) return `a role may not be longer than ${MAX_ROLE} characters`;
  if (name.startsWith('/')) return `role '${name}' may not start with '/'`;
  if (name.endsWith('/')) return `role '${name}' may not end with '/'`;
  // eslint-disable-next-line no-control-regex -- control characters are exactly what a role may not have
  if (/[\s\u0000-\u001f\u007f]/.test(name))
    return `role ${JSON.stringify(name)} may not contain white space or control characters`;
  for (const part of name.split('/')) {
    if (part === '') return `role '${name}' may not contain '//'`;
    if (part === '.' || part === '..' || part === '*') return `role '${name}' may not contain the component '${part}'`;
    if (part.startsWith('-')) return `component '${part}' of role '${name}' may not start with '-'`;
  }
  return undefined;
}

/** Whether `role` is a strict descendant of `ancestor` in the tree of roles; `*` is related to none. */
export function isDescendantRole(role: string, ancestor: string): boolean {
  return (
    ancestor !== '*' && role.length > ancestor.length && role.startsWith(ancestor) && role[ancestor.length] === '/'
  );
}

/** The roles a framework is subscribed to: `roles` with MULTI_ROLE, else its one `role`, which is `*` when absent. */
export function frameworkRoles(info: FrameworkInfo): readonly string[] {
  if (hasCapability(info, 'MULTI_ROLE')) return info.roles ?? [];
  return [info.role ?? '*'];
}

/** Whether `info` states the capability `type`. */
export function hasCapability(info: FrameworkInfo, type: FrameworkCapabilityType): boolean {
  return info.capabilities?.some((capability) => capability.type === type) ?? false;
}

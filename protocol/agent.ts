/** Machines, agents and masters. Source: Mesos v1 `mesos.proto`. */
import { Address, Int32, Uint32 } from './common.js';
import { Attribute, ResourceList } from './resource.js';
import { DurationInfo, Id, Text, TimeInfo, Type, type Static } from './schema.js';

/** A machine: by host name, by address, or by both. */
export const MachineID = Type.Object({ hostname: Type.Optional(Text(255)), ip: Type.Optional(Text(64)) });
export type MachineID = Static<typeof MachineID>;

/** A time in which a machine may be away; without `duration` it has no end. */
export const Unavailability = Type.Object({ start: TimeInfo, duration: Type.Optional(DurationInfo) });
export type Unavailability = Static<typeof Unavailability>;

/** Mesos `MachineInfo.Mode`. */
export const MachineMode = Type.Enum(['UP', 'DRAINING', 'DOWN']);
export type MachineMode = Static<typeof MachineMode>;

/** A machine with its place in a maintenance schedule. */
export const MachineInfo = Type.Object({
  id: MachineID,
  mode: Type.Optional(MachineMode),
  unavailability: Type.Optional(Unavailability),
});
export type MachineInfo = Static<typeof MachineInfo>;

/** Region and zone: what fails together. */
export const DomainInfo = Type.Object({
  faultDomain: Type.Optional(
    Type.Object({ region: Type.Object({ name: Text(255) }), zone: Type.Object({ name: Text(255) }) }),
  ),
});
export type DomainInfo = Static<typeof DomainInfo>;

/** Mesos `AgentInfo`. `id` is absent until the first registration; `port` absent means 5051. */
export const AgentInfo = Type.Object({
  hostname: Text(255),
  port: Type.Optional(Int32),
  resources: Type.Optional(ResourceList),
  attributes: Type.Optional(Type.Array(Attribute, { maxItems: 1024 })),
  id: Type.Optional(Id),
  domain: Type.Optional(DomainInfo),
});
export type AgentInfo = Static<typeof AgentInfo>;

/** Mesos `AgentInfo.Capability.Type`. */
export const AgentCapabilityType = Type.Enum([
  'UNKNOWN',
  'MULTI_ROLE',
  'HIERARCHICAL_ROLE',
  'RESERVATION_REFINEMENT',
  'RESOURCE_PROVIDER',
  'RESIZE_VOLUME',
  'AGENT_OPERATION_FEEDBACK',
  'AGENT_DRAINING',
  'TASK_RESOURCE_LIMITS',
]);
export type AgentCapabilityType = Static<typeof AgentCapabilityType>;

/** What an agent can do. */
export const AgentCapability = Type.Object({ type: AgentCapabilityType });
export type AgentCapability = Static<typeof AgentCapability>;

/** Mesos `MasterInfo.Capability.Type`. */
export const MasterCapabilityType = Type.Enum(['UNKNOWN', 'AGENT_UPDATE', 'AGENT_DRAINING', 'QUOTA_V2']);
export type MasterCapabilityType = Static<typeof MasterCapabilityType>;

/** Who leads. Of the fields of Mesos only `id` is required: a master has no port of its own here, it is reached over NATS. */
export const MasterInfo = Type.Object({
  id: Id,
  ip: Type.Optional(Uint32),
  port: Type.Optional(Uint32),
  pid: Type.Optional(Text(255)),
  hostname: Type.Optional(Text(255)),
  version: Type.Optional(Text(255)),
  address: Type.Optional(Address),
  domain: Type.Optional(DomainInfo),
  capabilities: Type.Optional(Type.Array(Type.Object({ type: MasterCapabilityType }), { maxItems: 64 })),
});
export type MasterInfo = Static<typeof MasterInfo>;

/** Mesos `DrainConfig`: a cap on the grace period of every kill, and whether the agent is gone afterwards (absent means false). */
export const DrainConfig = Type.Object({
  maxGracePeriod: Type.Optional(DurationInfo),
  markGone: Type.Optional(Type.Boolean()),
});
export type DrainConfig = Static<typeof DrainConfig>;

/** Mesos `DrainState`. */
export const DrainState = Type.Enum(['UNKNOWN', 'DRAINING', 'DRAINED']);
export type DrainState = Static<typeof DrainState>;

/** Mesos `DrainInfo`. */
export const DrainInfo = Type.Object({ state: DrainState, config: DrainConfig });
export type DrainInfo = Static<typeof DrainInfo>;

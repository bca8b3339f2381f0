/** Offers, what is done with them, and what a framework may state about them. Source: Mesos v1 `mesos.proto` and `scheduler.proto`. */
import { MapOf, URL, Uuid } from './common.js';
import { DomainInfo, Unavailability } from './agent.js';
import { ExecutorInfo } from './executor.js';
import { AllocationInfo, Attribute, DiskSourceType, Resource, ResourceList, Scalar } from './resource.js';
import { Id, Text, Type, type Static } from './schema.js';
import { TaskGroupInfo, TaskInfo } from './task.js';

/** Resources of one agent, offered to one framework under one role, until accepted, declined, rescinded or expired. */
export const Offer = Type.Object({
  id: Id,
  frameworkId: Id,
  agentId: Id,
  hostname: Text(255),
  url: Type.Optional(URL),
  domain: Type.Optional(DomainInfo),
  resources: Type.Optional(ResourceList),
  attributes: Type.Optional(Type.Array(Attribute, { maxItems: 1024 })),
  executorIds: Type.Optional(Type.Array(Id, { maxItems: 10_000 })),
  unavailability: Type.Optional(Unavailability),
  allocationInfo: Type.Optional(AllocationInfo),
});
export type Offer = Static<typeof Offer>;

/** A request to free a machine for its maintenance; without `resources` it means the whole agent. */
export const InverseOffer = Type.Object({
  id: Id,
  url: Type.Optional(URL),
  frameworkId: Id,
  agentId: Type.Optional(Id),
  unavailability: Unavailability,
  resources: Type.Optional(ResourceList),
});
export type InverseOffer = Static<typeof InverseOffer>;

/** How long what is given back is not offered again: seconds, absent 5, 0 no filter, negative the default, at most a year. */
export const Filters = Type.Object({ refuseSeconds: Type.Optional(Type.Number()) });
export type Filters = Static<typeof Filters>;

/** Mesos `Offer.Operation.Type`, without UNKNOWN. */
export const OperationType = Type.Enum([
  'LAUNCH',
  'LAUNCH_GROUP',
  'RESERVE',
  'UNRESERVE',
  'CREATE',
  'DESTROY',
  'GROW_VOLUME',
  'SHRINK_VOLUME',
  'CREATE_DISK',
  'DESTROY_DISK',
]);
export type OperationType = Static<typeof OperationType>;

const operationBodies = {
  launch: Type.Object({ taskInfos: Type.Optional(Type.Array(TaskInfo, { maxItems: 10_000 })) }),
  launchGroup: Type.Object({ executor: ExecutorInfo, taskGroup: TaskGroupInfo }),
  reserve: Type.Object({ source: Type.Optional(ResourceList), resources: Type.Optional(ResourceList) }),
  unreserve: Type.Object({ resources: Type.Optional(ResourceList) }),
  create: Type.Object({ volumes: Type.Optional(ResourceList) }),
  destroy: Type.Object({ volumes: Type.Optional(ResourceList) }),
  growVolume: Type.Object({ volume: Resource, addition: Resource }),
  shrinkVolume: Type.Object({ volume: Resource, subtract: Scalar }),
  createDisk: Type.Object({ source: Resource, targetType: DiskSourceType, targetProfile: Type.Optional(Text(255)) }),
  destroyDisk: Type.Object({ source: Resource }),
};
type OperationBodies = { [K in keyof typeof operationBodies]: Static<(typeof operationBodies)[K]> };

/** The field of an operation that holds its body, by type. */
export const OPERATION_BODY = {
  LAUNCH: 'launch',
  LAUNCH_GROUP: 'launchGroup',
  RESERVE: 'reserve',
  UNRESERVE: 'unreserve',
  CREATE: 'create',
  DESTROY: 'destroy',
  GROW_VOLUME: 'growVolume',
  SHRINK_VOLUME: 'shrinkVolume',
  CREATE_DISK: 'createDisk',
  DESTROY_DISK: 'destroyDisk',
} as const satisfies Record<OperationType, keyof OperationBodies>;

/** One operation of type `T`: its type, the body that goes with it, and an id when feedback is wanted. */
export type OperationOf<T extends OperationType> = { type: T; id?: string } & Pick<
  OperationBodies,
  (typeof OPERATION_BODY)[T]
>;

/** Mesos `Offer.Operation`, discriminated by `type`. */
export type Operation = { [T in OperationType]: OperationOf<T> }[OperationType];

/**
 * Mesos `Offer.Operation`. One object with optional bodies and a rule, not a union of schemas: a union says of a bad body only
 * that no member fits, and names the first one.
 */
export const Operation = Type.Refine(
  Type.Unsafe<Operation>(
    Type.Object({
      type: OperationType,
      id: Type.Optional(Id),
      launch: Type.Optional(operationBodies.launch),
      launchGroup: Type.Optional(operationBodies.launchGroup),
      reserve: Type.Optional(operationBodies.reserve),
      unreserve: Type.Optional(operationBodies.unreserve),
      create: Type.Optional(operationBodies.create),
      destroy: Type.Optional(operationBodies.destroy),
      growVolume: Type.Optional(operationBodies.growVolume),
      shrinkVolume: Type.Optional(operationBodies.shrinkVolume),
      createDisk: Type.Optional(operationBodies.createDisk),
      destroyDisk: Type.Optional(operationBodies.destroyDisk),
    }),
  ),
  (value) => (value as Partial<Record<string, unknown>>)[OPERATION_BODY[value.type]] !== undefined,
  (value) => `of type ${value.type} must have the field ${OPERATION_BODY[value.type]}`,
);

/** Mesos `OperationState`. */
export const OperationState = Type.Enum([
  'OPERATION_UNSUPPORTED',
  'OPERATION_PENDING',
  'OPERATION_FINISHED',
  'OPERATION_FAILED',
  'OPERATION_ERROR',
  'OPERATION_DROPPED',
  'OPERATION_UNREACHABLE',
  'OPERATION_GONE_BY_OPERATOR',
  'OPERATION_RECOVERING',
  'OPERATION_UNKNOWN',
]);
export type OperationState = Static<typeof OperationState>;

/** Mesos `OperationStatus`. `operationId` is absent for an operator's; a present `uuid` asks for an acknowledgement. */
export const OperationStatus = Type.Object({
  operationId: Type.Optional(Id),
  state: OperationState,
  message: Type.Optional(Text(65_536)),
  convertedResources: Type.Optional(ResourceList),
  uuid: Type.Optional(Uuid),
  agentId: Type.Optional(Id),
  resourceProviderId: Type.Optional(Id),
});
export type OperationStatus = Static<typeof OperationStatus>;

/** Mesos `Operation`: an accepted operation with what became of it. (The name `Operation` is taken by `Offer.Operation`.) */
export const OperationRecord = Type.Object({
  frameworkId: Type.Optional(Id),
  agentId: Type.Optional(Id),
  info: Operation,
  latestStatus: OperationStatus,
  statuses: Type.Optional(Type.Array(OperationStatus, { maxItems: 256 })),
  uuid: Uuid,
});
export type OperationRecord = Static<typeof OperationRecord>;

/** Mesos `Request`: what a framework would like to have; Mesos' own allocator ignores it. */
export const Request = Type.Object({ agentId: Type.Optional(Id), resources: Type.Optional(ResourceList) });
export type Request = Static<typeof Request>;

/** Mesos `AttributeConstraint.Selector.PseudoattributeType`. */
export const PseudoattributeType = Type.Enum(['UNKNOWN', 'HOSTNAME', 'REGION', 'ZONE']);
export type PseudoattributeType = Static<typeof PseudoattributeType>;

/** How many of `keys` are set in `value`. */
function countSet(value: object, keys: readonly string[]): number {
  return keys.filter((key) => (value as Record<string, unknown>)[key] !== undefined).length;
}

/** What is looked at: a pseudo-attribute, or the first attribute of the agent with that name. Exactly one is set. */
export const AttributeSelector = Type.Refine(
  Type.Object({
    pseudoattributeType: Type.Optional(PseudoattributeType),
    attributeName: Type.Optional(Text(255)),
  }),
  (value) => countSet(value, ['pseudoattributeType', 'attributeName']) === 1,
  () => 'must have exactly one of pseudoattributeType and attributeName',
);
export type AttributeSelector = Static<typeof AttributeSelector>;

const PREDICATES = ['exists', 'notExists', 'textEquals', 'textNotEquals', 'textMatches', 'textNotMatches'];
const WithValue = Type.Object({ value: Text() });
const WithRegex = Type.Object({ regex: Text() });

/** What must hold for the selected attribute. Exactly one member is set; `regex` must match the whole text. */
export const AttributePredicate = Type.Refine(
  Type.Object({
    exists: Type.Optional(Type.Object({})),
    notExists: Type.Optional(Type.Object({})),
    textEquals: Type.Optional(WithValue),
    textNotEquals: Type.Optional(WithValue),
    textMatches: Type.Optional(WithRegex),
    textNotMatches: Type.Optional(WithRegex),
  }),
  (value) => countSet(value, PREDICATES) === 1,
  () => `must have exactly one of ${PREDICATES.join(', ')}`,
);
export type AttributePredicate = Static<typeof AttributePredicate>;

/** Mesos `AttributeConstraint`. */
export const AttributeConstraint = Type.Object({ selector: AttributeSelector, predicate: AttributePredicate });
export type AttributeConstraint = Static<typeof AttributeConstraint>;

/** Constraints on the offers for one role: some group must hold; a group holds when all of its constraints do. */
export const RoleConstraints = Type.Object({
  groups: Type.Array(
    Type.Object({ attributeConstraints: Type.Array(AttributeConstraint, { minItems: 1, maxItems: 256 }) }),
    { minItems: 1, maxItems: 256 },
  ),
});
export type RoleConstraints = Static<typeof RoleConstraints>;

/** Mesos `OfferConstraints`: by role; the whole map is replaced each time it is sent. */
export const OfferConstraints = Type.Object({ roleConstraints: Type.Optional(MapOf(RoleConstraints, 1024)) });
export type OfferConstraints = Static<typeof OfferConstraints>;

/** Resources, attributes and volumes as they are on the wire. Source: Mesos v1 `mesos.proto`. The arithmetic is in `resources.ts`. */
import { Image, Labels, MapOf, named, Parameters, Path, Secret } from './common.js';
import { Natural, Text, Type, type Static } from './schema.js';

/** Mesos `Value.Type`. TEXT is for attributes only. */
export const ValueType = Type.Enum(['SCALAR', 'RANGES', 'SET', 'TEXT']);
export type ValueType = Static<typeof ValueType>;

/** An amount; only three decimals are kept. Units: `cpus` in cores, `mem` and `disk` in MB, `gpus` whole. */
export const Scalar = Type.Object({ value: Type.Number() });
export type Scalar = Static<typeof Scalar>;

/** An interval of whole numbers, both ends belong to it. Mesos has `uint64`; here both must be exact in a double. */
export const Range = Type.Object({ begin: Natural, end: Natural });
export type Range = Static<typeof Range>;

/** Intervals; those of one value may not overlap. */
export const Ranges = Type.Object({ range: Type.Optional(Type.Array(Range, { maxItems: 65_536 })) });
export type Ranges = Static<typeof Ranges>;

/** Mesos `Value.Set`: distinct items. */
export const SetValue = Type.Object({ item: Type.Optional(Type.Array(Text(1024), { maxItems: 65_536 })) });
export type SetValue = Static<typeof SetValue>;

/** Mesos `Value.Text`. */
export const TextValue = Type.Object({ value: Text() });
export type TextValue = Static<typeof TextValue>;

/** A fact about an agent: scalar, ranges or text. */
export const Attribute = Type.Object({
  name: Text(255),
  type: ValueType,
  scalar: Type.Optional(Scalar),
  ranges: Type.Optional(Ranges),
  set: Type.Optional(SetValue),
  text: Type.Optional(TextValue),
});
export type Attribute = Static<typeof Attribute>;

/** Mesos `Volume.Mode`. */
export const VolumeMode = Type.Enum(['RW', 'RO']);
export type VolumeMode = Static<typeof VolumeMode>;

/** Mesos `MountPropagation.Mode`. */
export const MountPropagation = Type.Object({
  mode: Type.Optional(Type.Enum(['UNKNOWN', 'HOST_TO_CONTAINER', 'BIDIRECTIONAL'])),
});
export type MountPropagation = Static<typeof MountPropagation>;

const VolumeCapability = Type.Object({
  block: Type.Optional(Type.Object({})),
  mount: Type.Optional(
    Type.Object({
      fsType: Type.Optional(Text(255)),
      mountFlags: Type.Optional(Type.Array(Text(255), { maxItems: 64 })),
    }),
  ),
  accessMode: Type.Object({
    mode: Type.Enum([
      'UNKNOWN',
      'SINGLE_NODE_WRITER',
      'SINGLE_NODE_READER_ONLY',
      'MULTI_NODE_READER_ONLY',
      'MULTI_NODE_SINGLE_WRITER',
      'MULTI_NODE_MULTI_WRITER',
    ]),
  }),
});

/** A volume that a CSI plugin serves, already provisioned. */
export const CSIVolume = Type.Object({
  pluginName: Text(255),
  staticProvisioning: Type.Optional(
    Type.Object({
      volumeId: Text(1024),
      volumeCapability: VolumeCapability,
      nodeStageSecrets: Type.Optional(MapOf(Secret, 64)),
      nodePublishSecrets: Type.Optional(MapOf(Secret, 64)),
      volumeContext: Type.Optional(MapOf(Text(), 256)),
    }),
  ),
});
export type CSIVolume = Static<typeof CSIVolume>;

/** Mesos `Volume.Source`: what `type` names is set. */
export const VolumeSource = Type.Object({
  type: Type.Optional(Type.Enum(['UNKNOWN', 'DOCKER_VOLUME', 'HOST_PATH', 'SANDBOX_PATH', 'SECRET', 'CSI_VOLUME'])),
  dockerVolume: Type.Optional(
    Type.Object({
      driver: Type.Optional(Text(255)),
      name: Text(1024),
      driverOptions: Type.Optional(Parameters),
    }),
  ),
  hostPath: Type.Optional(Type.Object({ path: Path, mountPropagation: Type.Optional(MountPropagation) })),
  sandboxPath: Type.Optional(
    Type.Object({ type: Type.Optional(Type.Enum(['UNKNOWN', 'SELF', 'PARENT'])), path: Path }),
  ),
  secret: Type.Optional(Secret),
  csiVolume: Type.Optional(CSIVolume),
});
export type VolumeSource = Static<typeof VolumeSource>;

/** Something mounted into a container. A relative `containerPath` is under the sandbox. */
export const Volume = named(
  'Volume',
  Type.Object({
    mode: VolumeMode,
    containerPath: Path,
    hostPath: Type.Optional(Path),
    image: Type.Optional(Image),
    source: Type.Optional(VolumeSource),
  }),
);
export type Volume = Static<typeof Volume>;

/** Mesos `Resource.ReservationInfo.Type`. */
export const ReservationType = Type.Enum(['UNKNOWN', 'STATIC', 'DYNAMIC']);
export type ReservationType = Static<typeof ReservationType>;

/**
 * One reservation. In the stack `Resource.reservations` both `type` and `role` must be set (`resourcesError` says so);
 * they are optional here because the old single form, `Resource.reservation`, has neither.
 */
export const ReservationInfo = Type.Object({
  type: Type.Optional(ReservationType),
  role: Type.Optional(Text(255)),
  principal: Type.Optional(Text(255)),
  labels: Type.Optional(Labels),
});
export type ReservationInfo = Static<typeof ReservationInfo>;

/** Mesos `Resource.DiskInfo.Source.Type`. */
export const DiskSourceType = Type.Enum(['UNKNOWN', 'PATH', 'MOUNT', 'BLOCK', 'RAW']);
export type DiskSourceType = Static<typeof DiskSourceType>;

/** What a disk resource is carved from; absent for the agent's root disk. */
export const DiskSource = Type.Object({
  type: DiskSourceType,
  path: Type.Optional(Type.Object({ root: Type.Optional(Path) })),
  mount: Type.Optional(Type.Object({ root: Type.Optional(Path) })),
  vendor: Type.Optional(Text(255)),
  id: Type.Optional(Text(1024)),
  metadata: Type.Optional(Labels),
  profile: Type.Optional(Text(255)),
});
export type DiskSource = Static<typeof DiskSource>;

/** Mesos `Resource.DiskInfo`. With `persistence` the resource is a persistent volume, its id unique per role and agent. */
export const DiskInfo = Type.Object({
  persistence: Type.Optional(Type.Object({ id: Text(255), principal: Type.Optional(Text(255)) })),
  volume: Type.Optional(Volume),
  source: Type.Optional(DiskSource),
});
export type DiskInfo = Static<typeof DiskInfo>;

/** Mesos `Resource.AllocationInfo`: the role that a resource is offered or used under. */
export const AllocationInfo = Type.Object({ role: Type.Optional(Text(255)) });
export type AllocationInfo = Static<typeof AllocationInfo>;

/**
 * An amount of something on an agent: exactly one of `scalar`, `ranges` and `set`, as `type` says.
 * `reservations` is the stack, outermost role first; `role` and `reservation` are the older spelling of it and are understood at the door only.
 * The presence of `revocable` and `shared` is their value.
 */
export const Resource = named(
  'Resource',
  Type.Object({
    providerId: Type.Optional(Text(255)),
    name: Text(255),
    type: ValueType,
    scalar: Type.Optional(Scalar),
    ranges: Type.Optional(Ranges),
    set: Type.Optional(SetValue),
    role: Type.Optional(Text(255)),
    allocationInfo: Type.Optional(AllocationInfo),
    reservation: Type.Optional(ReservationInfo),
    reservations: Type.Optional(Type.Array(ReservationInfo, { maxItems: 32 })),
    disk: Type.Optional(DiskInfo),
    revocable: Type.Optional(Type.Object({})),
    shared: Type.Optional(Type.Object({})),
  }),
);
export type Resource = Static<typeof Resource>;

/** A list of resources as messages carry it. */
export const ResourceList = Type.Array(Resource, { maxItems: 8192 });
export type ResourceList = Static<typeof ResourceList>;

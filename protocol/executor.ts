/** Executors. Source: Mesos v1 `mesos.proto`. */
import { BoundedBytes, Labels, named } from './common.js';
import { CommandInfo, ContainerInfo, DiscoveryInfo } from './container.js';
import { ResourceList } from './resource.js';
import { DurationInfo, Id, Text, Type, type Static } from './schema.js';

/** Longest `ExecutorInfo.data` and `TaskInfo.data`, in bytes. */
export const MAX_DATA_BYTES = 65_536;

/** Mesos `ExecutorInfo.Type`: DEFAULT hosts task groups, CUSTOM has a command of its own. */
export const ExecutorType = Type.Enum(['UNKNOWN', 'DEFAULT', 'CUSTOM']);
export type ExecutorType = Static<typeof ExecutorType>;

/** Mesos `ExecutorInfo`. The master fills in `frameworkId`; without `shutdownGracePeriod` that of the agent holds. */
export const ExecutorInfo = named(
  'ExecutorInfo',
  Type.Object({
    type: Type.Optional(ExecutorType),
    executorId: Id,
    frameworkId: Type.Optional(Id),
    command: Type.Optional(CommandInfo),
    container: Type.Optional(ContainerInfo),
    resources: Type.Optional(ResourceList),
    name: Type.Optional(Text(1024)),
    source: Type.Optional(Text(1024)),
    data: Type.Optional(BoundedBytes(MAX_DATA_BYTES)),
    discovery: Type.Optional(DiscoveryInfo),
    shutdownGracePeriod: Type.Optional(DurationInfo),
    labels: Type.Optional(Labels),
  }),
);
export type ExecutorInfo = Static<typeof ExecutorInfo>;

/** Tasks and what is reported about them. Source: Mesos v1 `mesos.proto`; what we add is marked. The moves between states are in `task-state.ts`. */
import { BoundedBytes, Labels, MapOf, named, Uuid } from './common.js';
import {
  CheckInfo,
  CheckStatusInfo,
  CommandInfo,
  ContainerInfo,
  ContainerStatus,
  DiscoveryInfo,
  HealthCheck,
  KillPolicy,
} from './container.js';
import { ExecutorInfo, MAX_DATA_BYTES } from './executor.js';
import { ResourceList } from './resource.js';
import { DurationInfo, Id, NonNegative, Text, TimeInfo, Type, type Static } from './schema.js';

/** Mesos `TaskState`, all 14. */
export const TaskState = Type.Enum([
  'TASK_STAGING',
  'TASK_STARTING',
  'TASK_RUNNING',
  'TASK_KILLING',
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_UNREACHABLE',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
  'TASK_UNKNOWN',
]);
export type TaskState = Static<typeof TaskState>;

/** Mesos `TaskStatus.Source`: who made a status. */
export const StatusSource = Type.Enum(['SOURCE_MASTER', 'SOURCE_AGENT', 'SOURCE_EXECUTOR']);
export type StatusSource = Static<typeof StatusSource>;

/** Mesos `TaskStatus.Reason`. */
export const StatusReason = Type.Enum([
  'REASON_COMMAND_EXECUTOR_FAILED',
  'REASON_CONTAINER_LAUNCH_FAILED',
  'REASON_CONTAINER_LIMITATION',
  'REASON_CONTAINER_LIMITATION_DISK',
  'REASON_CONTAINER_LIMITATION_MEMORY',
  'REASON_CONTAINER_PREEMPTED',
  'REASON_CONTAINER_UPDATE_FAILED',
  'REASON_MAX_COMPLETION_TIME_REACHED',
  'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
  'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
  'REASON_EXECUTOR_TERMINATED',
  'REASON_EXECUTOR_UNREGISTERED',
  'REASON_FRAMEWORK_REMOVED',
  'REASON_GC_ERROR',
  'REASON_INVALID_FRAMEWORKID',
  'REASON_INVALID_OFFERS',
  'REASON_IO_SWITCHBOARD_EXITED',
  'REASON_MASTER_DISCONNECTED',
  'REASON_RECONCILIATION',
  'REASON_RESOURCES_UNKNOWN',
  'REASON_AGENT_DISCONNECTED',
  'REASON_AGENT_DRAINING',
  'REASON_AGENT_REMOVED',
  'REASON_AGENT_REMOVED_BY_OPERATOR',
  'REASON_AGENT_REREGISTERED',
  'REASON_AGENT_RESTARTED',
  'REASON_AGENT_UNKNOWN',
  'REASON_TASK_KILLED_DURING_LAUNCH',
  'REASON_TASK_CHECK_STATUS_UPDATED',
  'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED',
  'REASON_TASK_GROUP_INVALID',
  'REASON_TASK_GROUP_UNAUTHORIZED',
  'REASON_TASK_INVALID',
  'REASON_TASK_UNAUTHORIZED',
  'REASON_TASK_UNKNOWN',
]);
export type StatusReason = Static<typeof StatusReason>;

/** An upper bound of a resource; `Infinity` is legal (Mesos allows it for `mem`), NaN and negative amounts are not. */
export const LimitScalar = Type.Object({
  value: Type.Refine(
    Type.Unsafe<number>({ title: 'number or Infinity', minimum: 0 }),
    (value) => typeof value === 'number' && value >= 0,
    () => 'must be a number that is not negative',
  ),
});
export type LimitScalar = Static<typeof LimitScalar>;

/** Upper bounds by resource name (`cpus` and `mem`). */
export const Limits = MapOf(LimitScalar, 64);
export type Limits = Static<typeof Limits>;

/**
 * Mesos `TaskInfo`: exactly one of `command` and `executor` is set (the master checks it, so that a bad task gets TASK_ERROR and the others of its call run).
 *
 * Ours: `unreachableAfterSeconds`, a task's own, shorter time until it counts as unreachable.
 */
export const TaskInfo = named(
  'TaskInfo',
  Type.Object({
    name: Text(1024),
    taskId: Id,
    agentId: Id,
    resources: Type.Optional(ResourceList),
    executor: Type.Optional(ExecutorInfo),
    command: Type.Optional(CommandInfo),
    container: Type.Optional(ContainerInfo),
    healthCheck: Type.Optional(HealthCheck),
    check: Type.Optional(CheckInfo),
    killPolicy: Type.Optional(KillPolicy),
    data: Type.Optional(BoundedBytes(MAX_DATA_BYTES)),
    labels: Type.Optional(Labels),
    discovery: Type.Optional(DiscoveryInfo),
    maxCompletionTime: Type.Optional(DurationInfo),
    limits: Type.Optional(Limits),
    unreachableAfterSeconds: Type.Optional(NonNegative),
  }),
);
export type TaskInfo = Static<typeof TaskInfo>;

/** Mesos `TaskGroupInfo`: tasks that are launched all or none, under one executor. */
export const TaskGroupInfo = Type.Object({ tasks: Type.Optional(Type.Array(TaskInfo, { maxItems: 10_000 })) });
export type TaskGroupInfo = Static<typeof TaskGroupInfo>;

/** Mesos `TaskResourceLimitation`: which resources a task went beyond. */
export const TaskResourceLimitation = Type.Object({ resources: Type.Optional(ResourceList) });
export type TaskResourceLimitation = Static<typeof TaskResourceLimitation>;

/**
 * Mesos `TaskStatus`. `timestamp` is in seconds since 1970; a present `uuid` asks for an acknowledgement.
 *
 * Ours: `launchId`, minted by the master for each launch, so that two launches of one task id are told apart;
 * `exitCode` (0 to 255) of a command that ended by itself, `exitSignal` (such as `SIGKILL`) of one that a signal ended.
 */
export const TaskStatus = named(
  'TaskStatus',
  Type.Object({
    taskId: Id,
    state: TaskState,
    message: Type.Optional(Text(65_536)),
    source: Type.Optional(StatusSource),
    reason: Type.Optional(StatusReason),
    data: Type.Optional(BoundedBytes(MAX_DATA_BYTES)),
    agentId: Type.Optional(Id),
    executorId: Type.Optional(Id),
    timestamp: Type.Optional(Type.Number()),
    uuid: Type.Optional(Uuid),
    healthy: Type.Optional(Type.Boolean()),
    checkStatus: Type.Optional(CheckStatusInfo),
    labels: Type.Optional(Labels),
    containerStatus: Type.Optional(ContainerStatus),
    unreachableTime: Type.Optional(TimeInfo),
    limitation: Type.Optional(TaskResourceLimitation),
    launchId: Type.Optional(Id),
    exitCode: Type.Optional(Type.Integer()),
    exitSignal: Type.Optional(Text(32)),
  }),
);
export type TaskStatus = Static<typeof TaskStatus>;

/**
 * Mesos `Task`: a launched task as the master tells others about it. `statusUpdateState` and `statusUpdateUuid` are those of the latest forwarded update,
 * `state` is the newest that the agent knows of.
 *
 * Ours: `launchId`, see `TaskStatus`.
 */
export const Task = Type.Object({
  name: Text(1024),
  taskId: Id,
  frameworkId: Id,
  executorId: Type.Optional(Id),
  agentId: Id,
  state: TaskState,
  resources: Type.Optional(ResourceList),
  statuses: Type.Optional(Type.Array(TaskStatus, { maxItems: 256 })),
  statusUpdateState: Type.Optional(TaskState),
  statusUpdateUuid: Type.Optional(Uuid),
  labels: Type.Optional(Labels),
  discovery: Type.Optional(DiscoveryInfo),
  container: Type.Optional(ContainerInfo),
  healthCheck: Type.Optional(HealthCheck),
  killPolicy: Type.Optional(KillPolicy),
  user: Type.Optional(Text(255)),
  limits: Type.Optional(Limits),
  launchId: Type.Optional(Id),
});
export type Task = Static<typeof Task>;

/** Executor API: calls of an executor to its agent and events back, as in Mesos v1 `executor.proto`. */
import { AgentInfo } from './agent.js';
import { ContainerID, KillPolicy } from './container.js';
import { ErrorBody } from './errors.js';
import { ExecutorInfo } from './executor.js';
import { FrameworkInfo } from './framework.js';
import { Bytes, Id, Type, type Static } from './schema.js';
import { TaskGroupInfo, TaskInfo, TaskStatus } from './task.js';

const from = { executorId: Id, frameworkId: Id };
const update = Type.Object({ status: TaskStatus });

export const executorCalls = {
  SUBSCRIBE: Type.Object({
    ...from,
    subscribe: Type.Object({
      unacknowledgedTasks: Type.Optional(Type.Array(TaskInfo, { maxItems: 10_000 })),
      unacknowledgedUpdates: Type.Optional(Type.Array(update, { maxItems: 10_000 })),
    }),
  }),
  UPDATE: Type.Object({ ...from, update }),
  MESSAGE: Type.Object({ ...from, message: Type.Object({ data: Bytes }) }),
  HEARTBEAT: Type.Object(from),
} as const;

export const executorEvents = {
  SUBSCRIBED: Type.Object({
    subscribed: Type.Object({
      executorInfo: ExecutorInfo,
      frameworkInfo: FrameworkInfo,
      agentInfo: AgentInfo,
      containerId: Type.Optional(ContainerID),
    }),
  }),
  LAUNCH: Type.Object({ launch: Type.Object({ task: TaskInfo }), launchId: Type.Optional(Id) }),
  LAUNCH_GROUP: Type.Object({ launchGroup: Type.Object({ taskGroup: TaskGroupInfo }) }),
  KILL: Type.Object({ kill: Type.Object({ taskId: Id, killPolicy: Type.Optional(KillPolicy) }) }),
  ACKNOWLEDGED: Type.Object({ acknowledged: Type.Object({ taskId: Id, uuid: Bytes }) }),
  MESSAGE: Type.Object({ message: Type.Object({ data: Bytes }) }),
  SHUTDOWN: Type.Object({}),
  ERROR: ErrorBody,
  HEARTBEAT: Type.Object({}),
} as const;

export type ExecutorCallBody<T extends keyof typeof executorCalls> = Static<(typeof executorCalls)[T]>;
export type ExecutorEventBody<T extends keyof typeof executorEvents> = Static<(typeof executorEvents)[T]>;

/** Executor API: calls of an executor to its agent and events back, as in Mesos v1 `executor.proto`. */
import { AgentInfo } from './agent.js';
import { ContainerID, KillPolicy } from './container.js';
import { ErrorBody } from './errors.js';
import { ExecutorInfo } from './executor.js';
import { FrameworkInfo } from './framework.js';
import { Bytes, Id, Natural, Type, type Static } from './schema.js';
import { TaskGroupInfo, TaskInfo, TaskStatus } from './task.js';

const from = { executorId: Id, frameworkId: Id };
const update = Type.Object({ status: TaskStatus });

export const executorCalls = {
  /** Opens or takes over the event stream: what is not acknowledged comes along. */
  SUBSCRIBE: Type.Object({
    ...from,
    subscribe: Type.Object({
      /** Ours: the container that it runs in, which tells a run of an executor from the one before. */
      containerId: Type.Optional(Id),
      unacknowledgedTasks: Type.Optional(Type.Array(TaskInfo, { maxItems: 10_000 })),
      unacknowledgedUpdates: Type.Optional(Type.Array(update, { maxItems: 10_000 })),
    }),
  }),
  /** A task's status, with a uuid; repeated until ACKNOWLEDGED. */
  UPDATE: Type.Object({ ...from, update }),
  MESSAGE: Type.Object({ ...from, message: Type.Object({ data: Bytes }) }),
  /** The answer to HEARTBEAT; its sequence shows the agent what was lost. Rule: EXC-3. */
  HEARTBEAT: Type.Object(from),
} as const;

export const executorEvents = {
  SUBSCRIBED: Type.Object({
    subscribed: Type.Object({
      executorInfo: ExecutorInfo,
      frameworkInfo: FrameworkInfo,
      agentInfo: AgentInfo,
      containerId: Type.Optional(ContainerID),
      /** Ours: how often HEARTBEAT comes. */
      heartbeatIntervalMs: Type.Optional(Natural),
    }),
  }),
  /** Starts a task, once for each launchId: it comes again when the first may be lost. Rule: EXC-4. */
  LAUNCH: Type.Object({ launch: Type.Object({ task: TaskInfo }), launchId: Type.Optional(Id) }),
  LAUNCH_GROUP: Type.Object({ launchGroup: Type.Object({ taskGroup: TaskGroupInfo }) }),
  KILL: Type.Object({ kill: Type.Object({ taskId: Id, killPolicy: Type.Optional(KillPolicy) }) }),
  /** The agent has stored the update with this uuid; it need not be sent again. */
  ACKNOWLEDGED: Type.Object({ acknowledged: Type.Object({ taskId: Id, uuid: Bytes }) }),
  MESSAGE: Type.Object({ message: Type.Object({ data: Bytes }) }),
  /** End all tasks, report it, and end: after the grace the container is killed. Rule: EXC-6. */
  SHUTDOWN: Type.Object({}),
  ERROR: ErrorBody,
  HEARTBEAT: Type.Object({}),
  /** "Subscribe again": the agent was restarted, or lost its place in the session. Under session `0`. Rule: EXC-3. */
  INVITE: Type.Object({}),
} as const;

export type ExecutorCallBody<T extends keyof typeof executorCalls> = Static<(typeof executorCalls)[T]>;
export type ExecutorEventBody<T extends keyof typeof executorEvents> = Static<(typeof executorEvents)[T]>;

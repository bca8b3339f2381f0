/** What a master and an agent say to each other; Mesos keeps these internal, the names are its own. */
import { AgentInfo } from './agent.js';
import { KillPolicy } from './container.js';
import { ExecutorInfo } from './executor.js';
import { FrameworkInfo } from './framework.js';
import { Bytes, Id, Natural, Text, Type, type Static } from './schema.js';
import { TaskInfo, TaskState, TaskStatus } from './task.js';

/** One launch as an agent knows it. */
export const AgentTask = Type.Object({
  frameworkId: Id,
  taskId: Id,
  launchId: Id,
  /** Latest state known to the agent, acknowledged or not. */
  state: TaskState,
});
export type AgentTask = Static<typeof AgentTask>;

/** Names a launch. */
export const LaunchRef = Type.Object({ frameworkId: Id, taskId: Id, launchId: Id });
export type LaunchRef = Static<typeof LaunchRef>;

const MAX_TASKS = 200_000;

export const agentMessages = {
  /** A new agent asks to be admitted. */
  REGISTER: Type.Object({ agentInfo: AgentInfo, version: Text(64) }),
  /** A known agent comes (back) to a leader, with what it runs: every launch whose end is not yet acknowledged. */
  REREGISTER: Type.Object({
    agentId: Id,
    agentInfo: AgentInfo,
    version: Text(64),
    tasks: Type.Array(AgentTask, { maxItems: MAX_TASKS }),
  }),
  /** A status update, repeated until acknowledged. */
  STATUS_UPDATE: Type.Object({
    agentId: Id,
    frameworkId: Id,
    status: TaskStatus,
    /** The newest state known to the agent; resources are free when it is terminal, though updates may be queued. */
    latestState: TaskState,
  }),
  /** The answer to PING; its sequence shows the master what was lost. Rule: LNK-1. */
  PONG: Type.Object({ agentId: Id }),
  /** An agent that stops in order and will not be back soon; its tasks have ended. */
  UNREGISTER: Type.Object({ agentId: Id }),
  /** Something came under a lower epoch than the agent has seen: its own is told. Under session `0`. Rule: EPO-4. */
  STALE_EPOCH: Type.Object({ agentId: Type.Optional(Id), epoch: Natural }),
} as const;

export const masterToAgentMessages = {
  REGISTERED: Type.Object({ agentId: Id, heartbeatIntervalMs: Natural }),
  REREGISTERED: Type.Object({
    agentId: Id,
    heartbeatIntervalMs: Natural,
    /** Every launch that the registry has for this agent; the agent answers for those that it does not run. Rule: LCH-2. */
    launches: Type.Array(LaunchRef, { maxItems: MAX_TASKS }),
  }),
  /** "Register again": the leader lost its place in the session, or is new. Under session `0`. Rule: LNK-1. */
  INVITE: Type.Object({ masterId: Id }),
  RUN_TASK: Type.Object({
    frameworkId: Id,
    frameworkInfo: FrameworkInfo,
    task: TaskInfo,
    executor: Type.Optional(ExecutorInfo),
    launchId: Id,
  }),
  KILL_TASK: Type.Object({
    frameworkId: Id,
    taskId: Id,
    launchId: Type.Optional(Id),
    killPolicy: Type.Optional(KillPolicy),
  }),
  /** `launchId` is missing where a v1 client acknowledges a launch without a row; the uuid says enough. */
  STATUS_UPDATE_ACKNOWLEDGEMENT: Type.Object({
    frameworkId: Id,
    taskId: Id,
    launchId: Type.Optional(Id),
    uuid: Bytes,
  }),
  /** The framework is gone: kill what it runs. */
  SHUTDOWN_FRAMEWORK: Type.Object({ frameworkId: Id }),
  PING: Type.Object({}),
  /** The agent is not wanted: kill everything and stop. */
  SHUTDOWN: Type.Object({ message: Text() }),
} as const;

export type AgentMessageBody<T extends keyof typeof agentMessages> = Static<(typeof agentMessages)[T]>;
export type MasterToAgentBody<T extends keyof typeof masterToAgentMessages> = Static<(typeof masterToAgentMessages)[T]>;

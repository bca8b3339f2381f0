/** What a master and an agent say to each other; Mesos keeps these internal, the names are its own. */
import { AgentInfo } from './agent.js';
import { BoundedBytes } from './common.js';
import { KillPolicy, Labels } from './container.js';
import { DIGEST_BYTES, MAX_BUCKETS } from './digest.js';
import { ExecutorInfo } from './executor.js';
import { FrameworkInfo } from './framework.js';
import { ResourceList } from './resource.js';
import { Bytes, Id, Natural, Text, Type, type Static } from './schema.js';
import { TaskInfo, TaskState, TaskStatus } from './task.js';

/** One launch as an agent knows it, with what a row of it is made of: the registry may have lost it. Rule: AGT-8. */
export const AgentTask = Type.Object({
  frameworkId: Id,
  taskId: Id,
  launchId: Id,
  name: Type.Optional(Text(1024)),
  resources: Type.Optional(ResourceList),
  labels: Type.Optional(Labels),
  killPolicy: Type.Optional(KillPolicy),
  executorId: Type.Optional(Id),
  containerId: Type.Optional(Id),
});
export type AgentTask = Static<typeof AgentTask>;

const Digest = BoundedBytes(DIGEST_BYTES);

/** Names a launch. */
export const LaunchRef = Type.Object({ frameworkId: Id, taskId: Id, launchId: Id });
export type LaunchRef = Static<typeof LaunchRef>;

/** Names one run of an executor: its container is that run. */
export const ExecutorRef = Type.Object({ frameworkId: Id, executorId: Id, containerId: Id });
export type ExecutorRef = Static<typeof ExecutorRef>;

/** One run of an executor, with what a row of it is made of; its resources are allocated. Rule: AGT-8. */
export const AgentExecutor = Type.Object({ containerId: Id, frameworkId: Id, info: ExecutorInfo });
export type AgentExecutor = Static<typeof AgentExecutor>;

const MAX_TASKS = 200_000;
const MAX_EXECUTORS = 10_000;

export const agentMessages = {
  /** A new agent asks to be admitted. */
  REGISTER: Type.Object({ agentInfo: AgentInfo, version: Text(64) }),
  /**
   * A known agent comes (back) to a leader, with a digest of what it runs: every launch whose end is not yet acknowledged.
   * Where the master has another, it says DIFFERS, and the agent comes again with what differs. Rule: LNK-6.
   */
  REREGISTER: Type.Object({
    agentId: Id,
    version: Text(64),
    /** Of its launchIds, and of its AgentInfo. */
    digest: Type.Object({ launches: Digest, info: Digest }),
    /** A byte for each launch, by launchId: the place of its latest state in the list of states; 128 more while an update waits. */
    states: BoundedBytes(MAX_TASKS),
    /** Every executor that has not ended. Rule: EXC-8. */
    executors: Type.Optional(Type.Array(ExecutorRef, { maxItems: MAX_EXECUTORS })),
    differing: Type.Optional(
      Type.Object({
        agentInfo: Type.Optional(AgentInfo),
        /** Of so many parts, these: all launches in them. */
        of: Type.Integer({ minimum: 1, maximum: MAX_BUCKETS }),
        buckets: Type.Array(Type.Integer({ minimum: 0, maximum: MAX_BUCKETS - 1 }), { maxItems: MAX_BUCKETS }),
        launches: Type.Array(AgentTask, { maxItems: MAX_TASKS }),
        /** All of them, where they were asked for. */
        executors: Type.Optional(Type.Array(AgentExecutor, { maxItems: MAX_EXECUTORS })),
      }),
    ),
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
  /** An executor has ended; its tasks' ends were told before. `status` is that of wait(2). Rule: EXC-8. */
  EXITED_EXECUTOR: Type.Object({
    agentId: Id,
    frameworkId: Id,
    executorId: Id,
    containerId: Id,
    status: Type.Optional(Type.Integer()),
  }),
  /** From an executor to its scheduler, at most once. Rule: EXC-10. */
  EXECUTOR_MESSAGE: Type.Object({ agentId: Id, frameworkId: Id, executorId: Id, data: Bytes }),
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
    /** What the registry has for this agent and the agent has not named: it answers for each. Rule: LCH-2. */
    launches: Type.Array(LaunchRef, { maxItems: MAX_TASKS }),
  }),
  /** "We know something else": the digest of each part of what the registry has. Under session `0`. Rule: LNK-6. */
  DIFFERS: Type.Object({
    wantsInfo: Type.Boolean(),
    wantsExecutors: Type.Boolean(),
    buckets: BoundedBytes(MAX_BUCKETS * DIGEST_BYTES),
  }),
  /** "Register again": the leader lost its place in the session, or is new. Under session `0`. Rule: LNK-1. */
  INVITE: Type.Object({ masterId: Id }),
  RUN_TASK: Type.Object({
    frameworkId: Id,
    frameworkInfo: FrameworkInfo,
    task: TaskInfo,
    executor: Type.Optional(ExecutorInfo),
    /** The run of the executor that the task belongs to; the launch that it is named after starts it. Rule: EXC-1. */
    containerId: Type.Optional(Id),
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
  /** Ends one executor and its tasks. Rule: EXC-6. */
  SHUTDOWN_EXECUTOR: Type.Object({ frameworkId: Id, executorId: Id }),
  /** From a scheduler to its executor, at most once. Rule: EXC-10. */
  EXECUTOR_MESSAGE: Type.Object({ frameworkId: Id, executorId: Id, data: Bytes }),
  PING: Type.Object({}),
  /** The agent is not wanted: kill everything and stop. */
  SHUTDOWN: Type.Object({ message: Text() }),
} as const;

export type AgentMessageBody<T extends keyof typeof agentMessages> = Static<(typeof agentMessages)[T]>;
export type MasterToAgentBody<T extends keyof typeof masterToAgentMessages> = Static<(typeof masterToAgentMessages)[T]>;

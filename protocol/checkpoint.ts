/** The durable records of an agent's own store: what it must know again after the death of its process. */
import { Uuid } from './common.js';
import { ExecutorInfo } from './executor.js';
import { FrameworkInfo } from './framework.js';
import { escapeToken } from './ids.js';
import { Id, Natural, NonNegative, Text, Type, check, type Static } from './schema.js';
import { TaskInfo, TaskState, TaskStatus } from './task.js';

/** Version of the records' shape; a reader refuses a newer one. */
export const CHECKPOINT_VERSION = 1;

const record = { schemaVersion: Type.Literal(CHECKPOINT_VERSION) };

/** All kinds of records. The key of a record is its kind and its escaped id; of `agent` there is one. */
export const CHECKPOINTS = {
  /** Who the agent is, and the highest epoch that it has seen. Rule: EPO-4. */
  agent: Type.Object({ ...record, epoch: Natural, agentId: Type.Optional(Id) }),
  /** A launch, by launchId: written once, before its executor hears of it. */
  launch: Type.Object({
    ...record,
    launchId: Id,
    taskId: Id,
    frameworkId: Id,
    /** Missing of a launch that is refused. */
    task: Type.Optional(TaskInfo),
    /** The run of the executor that it belongs to; missing of a command. */
    containerId: Type.Optional(Id),
    /** Whether the framework wants to see KILLING. */
    sendKilling: Type.Boolean(),
    /** Id of the message that led to it. */
    cause: Type.Optional(Text(255)),
    /** Whom the framework runs its tasks as. */
    user: Type.Optional(Text(255)),
  }),
  /** What changes of a launch, by launchId; without one nothing has happened yet. */
  stream: Type.Object({
    ...record,
    launchId: Id,
    /** Latest state, acknowledged or not. */
    state: TaskState,
    /** Updates that are not acknowledged, in order. */
    updates: Type.Array(TaskStatus, { maxItems: 10_000 }),
    /** When it was first told that it runs. */
    runningAtMs: Type.Optional(NonNegative),
    /** The last update that its executor sent, so that its repetition is none. */
    executorUuid: Type.Optional(Uuid),
    /** The kill with the earliest end that was asked for. */
    kill: Type.Optional(Type.Object({ requestedAtMs: NonNegative, graceMs: NonNegative })),
  }),
  /** An executor that has not ended, by containerId: stored with the first launch that it is for. Rule: EXC-1. */
  executor: Type.Object({
    ...record,
    containerId: Id,
    info: ExecutorInfo,
    frameworkId: Id,
    frameworkInfo: FrameworkInfo,
    /** When its container was first told to run. */
    runningAtMs: Type.Optional(NonNegative),
    /** The instance that subscribed last. Rule: EXC-7. */
    asker: Type.Optional(Text(255)),
    /** It is to end: why, since when, and what its container gets between SIGTERM and SIGKILL. */
    ending: Type.Optional(
      Type.Object({
        why: Type.Enum(['asked', 'registrationTimeout']),
        requestedAtMs: NonNegative,
        graceMs: NonNegative,
      }),
    ),
  }),
  /** A launch that is over and acknowledged, by launchId. Rule: AGS-6. */
  ended: Type.Object({ ...record, launchId: Id, state: TaskState, endedAtMs: NonNegative }),
  /** Launches of an epoch up to this counter are refused, unless there is a record of them. Rule: AGS-6. */
  lowWater: Type.Object({ ...record, epoch: Natural, counter: Natural }),
} as const;

type Table = typeof CHECKPOINTS;
export type CheckpointKind = keyof Table;
/** The record of one kind. */
export type CheckpointOf<K extends CheckpointKind> = Static<Table[K]>;
/** A record with its kind. */
export type CheckpointRecord = {
  [K in CheckpointKind]: { readonly kind: K; readonly value: CheckpointOf<K> };
}[CheckpointKind];

/** The key of the record of the agent itself. */
export const AGENT_KEY = 'agent';

/** The key of a record: its kind and its escaped id. */
export const checkpointKey = (kind: Exclude<CheckpointKind, 'agent'>, id: string): string =>
  `${kind}.${escapeToken(id)}`;

const CHECKS = {
  agent: check(CHECKPOINTS.agent),
  launch: check(CHECKPOINTS.launch),
  stream: check(CHECKPOINTS.stream),
  executor: check(CHECKPOINTS.executor),
  ended: check(CHECKPOINTS.ended),
  lowWater: check(CHECKPOINTS.lowWater),
} as const satisfies Record<CheckpointKind, unknown>;

const versionOf = (value: unknown): unknown => (value as { schemaVersion?: unknown } | null)?.schemaVersion;

/** Reads a record from its key and decoded value. @throws RangeError for a key, version or value that this agent does not know. */
export function checkpointRecord(key: string, value: unknown): CheckpointRecord {
  const kind = key.split('.')[0] as CheckpointKind;
  if (!Object.hasOwn(CHECKS, kind)) throw new RangeError(`checkpoint key ${key} is of no known kind`);
  const version = versionOf(value);
  if (typeof version === 'number' && version > CHECKPOINT_VERSION)
    throw new RangeError(
      `checkpoint record ${key} is of version ${version}; this agent reads up to ${CHECKPOINT_VERSION}`,
    );
  const wrong = CHECKS[kind](value);
  if (wrong !== undefined) throw new RangeError(`checkpoint record ${key}: ${wrong}`);
  return { kind, value } as CheckpointRecord;
}

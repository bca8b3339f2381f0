/** The durable records of the registry bucket: one key per record. */
import { AgentInfo } from './agent.js';
import { KillPolicy, Labels } from './container.js';
import { ExecutorInfo } from './executor.js';
import { FrameworkInfo } from './framework.js';
import { escapeToken } from './ids.js';
import { Resource } from './resource.js';
import { Id, Natural, Text, Type, check, type Static } from './schema.js';

/** Version of the records' shape; a reader refuses a newer one. */
export const REGISTRY_VERSION = 1;

const record = { schemaVersion: Type.Literal(REGISTRY_VERSION) };

/** Who leads: its `epoch` is the number in every message, its stream sequence the fence of every write. Rule: EPO-1. */
export const EpochRecord = Type.Object({
  ...record,
  epoch: Natural,
  masterId: Id,
  name: Text(255),
  /** Raised by each barrier of the term: the watch tells by it which one it has delivered. Rule: REG-7. */
  barrier: Type.Optional(Natural),
  /** The registry was seen to have gone back; kept by each leader until an operator trusts it again. Rule: EPO-5. */
  inDoubt: Type.Optional(Type.Boolean()),
});
export type EpochRecord = Static<typeof EpochRecord>;

export const AgentRecord = Type.Object({
  ...record,
  agentId: Id,
  principal: Text(255),
  agentInfo: AgentInfo,
  /** Since when it has not been reachable, in milliseconds since 1970; not there while it is. Rule: AGT-9. */
  unreachableAtMs: Type.Optional(Type.Number()),
});
export type AgentRecord = Static<typeof AgentRecord>;

export const FrameworkRecord = Type.Object({
  ...record,
  frameworkId: Id,
  principal: Text(255),
  frameworkInfo: FrameworkInfo,
  /** Set once the framework is torn down; the row stays until its tasks have ended. */
  removed: Type.Optional(Type.Boolean()),
});
export type FrameworkRecord = Static<typeof FrameworkRecord>;

export const TaskRecord = Type.Object({
  ...record,
  launchId: Id,
  taskId: Id,
  name: Text(),
  frameworkId: Id,
  agentId: Id,
  resources: Type.Array(Resource, { maxItems: 10_000 }),
  labels: Type.Optional(Labels),
  killPolicy: Type.Optional(KillPolicy),
  /** Set once a kill is asked for: whoever leads repeats it until the end is true. Rule: KIL-1. */
  kill: Type.Optional(Type.Object({ killPolicy: Type.Optional(KillPolicy) })),
  /** The executor that runs it, and which run of it; missing of a command. */
  executorId: Type.Optional(Id),
  containerId: Type.Optional(Id),
});
export type TaskRecord = Static<typeof TaskRecord>;

/** An executor that may run: one run of it, named by its container. Rule: EXC-9. */
export const ExecutorRecord = Type.Object({
  ...record,
  containerId: Id,
  agentId: Id,
  frameworkId: Id,
  info: ExecutorInfo,
  resources: Type.Array(Resource, { maxItems: 10_000 }),
});
export type ExecutorRecord = Static<typeof ExecutorRecord>;

/** A record of the registry with its kind. */
export type RegistryRecord =
  | { readonly kind: 'epoch'; readonly value: EpochRecord }
  | { readonly kind: 'agent'; readonly value: AgentRecord }
  | { readonly kind: 'framework'; readonly value: FrameworkRecord }
  | { readonly kind: 'executor'; readonly value: ExecutorRecord }
  | { readonly kind: 'task'; readonly value: TaskRecord };

export type RegistryKind = RegistryRecord['kind'];

/** The key of the epoch record, which is the fence. */
export const EPOCH_KEY = 'epoch';
/** The key of the lease, in a bucket of its own. */
export const LEASE_KEY = 'leader';

/** The key of a record: its kind and its escaped id. */
export const registryKey = (kind: Exclude<RegistryKind, 'epoch'>, id: string): string => `${kind}.${escapeToken(id)}`;

const CHECKS = {
  epoch: check(EpochRecord),
  agent: check(AgentRecord),
  framework: check(FrameworkRecord),
  executor: check(ExecutorRecord),
  task: check(TaskRecord),
} as const;

/** Whether a record is of a version that this one does not know: then this one must not lead. Rule: REG-8. */
export function isNewerRecord(value: unknown): boolean {
  const version = (value as { schemaVersion?: unknown } | null | undefined)?.schemaVersion;
  return typeof version === 'number' && version > REGISTRY_VERSION;
}

/** Reads a record from its key and decoded value. @throws RangeError for a key or value that this version does not know. */
export function registryRecord(key: string, value: unknown): RegistryRecord {
  const kind = key.split('.')[0] as RegistryKind;
  if (!Object.hasOwn(CHECKS, kind)) throw new RangeError(`registry key ${key} is of no known kind`);
  const wrong = CHECKS[kind](value);
  if (wrong !== undefined) throw new RangeError(`registry record ${key}: ${wrong}`);
  return { kind, value } as RegistryRecord;
}

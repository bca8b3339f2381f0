/** Everything that an actor may ask of the world: a closed union, executed by one switch in the host. */
import type { MessageBody, MessageType } from '../protocol/messages.js';
import type { Static, TSchema } from '../protocol/schema.js';
import type { ANSWERS } from '../protocol/messages.js';
import type { AgentRecord, EpochRecord, ExecutorRecord, FrameworkRecord, TaskRecord } from '../protocol/registry.js';
import type { Address, SubjectName, SubjectParameters } from '../protocol/subjects.js';

/** Sends a message. The host numbers it in its session as it goes out, and gives it an id unless it has one. */
export interface Publish {
  readonly type: 'publish';
  readonly to: Address;
  readonly message: string;
  readonly body: unknown;
  readonly session: string;
  readonly epoch: number;
  /** Set where the sender must know the id, to recognise the answer by its cause. */
  readonly id?: string | undefined;
  readonly cause?: string | undefined;
}

/** Answers a request on the inbox that came with it. */
export interface Reply {
  readonly type: 'reply';
  readonly to: string;
  readonly message: string;
  readonly body: unknown;
  readonly epoch: number;
  readonly cause: string;
}

/** Begins to receive messages of these rows, or probes. Ends with the actor. */
export interface Listen {
  readonly type: 'listen';
  readonly row: SubjectName | 'probe';
}

/** A value for a key of the registry; without one, its deletion. */
export interface RegistryWrite {
  readonly key: string;
  readonly record?: AgentRecord | ExecutorRecord | FrameworkRecord | TaskRecord;
}

/** Stores the records of one decision together, under the fence of the term. Answered by REGISTRY_STORED, or not at all. Rule: REG-1. */
export interface Persist {
  readonly type: 'persist';
  readonly requestId: number;
  readonly writes: readonly RegistryWrite[];
}

/** Registry and lease as watched: REGISTRY_ENTRY, REGISTRY_CAUGHT_UP, LEASE_ENTRY. */
export interface Follow {
  readonly type: 'follow';
  readonly bucket: 'registry' | 'lease';
}

/** Asks whether there is a leader. Answered by PROBED. */
export interface Probe {
  readonly type: 'probe';
  readonly requestId: number;
  readonly timeoutMs: number;
}

/** Compare-and-set of the lease; `revision` 0 means that there is none. Answered by LEASE_ANSWERED. */
export interface TakeLease {
  readonly type: 'takeLease';
  readonly requestId: number;
  readonly revision: number;
  readonly ttlMs: number;
}

/** Deletes the lease at our own revision. No answer. */
export interface ReleaseLease {
  readonly type: 'releaseLease';
  readonly revision: number;
}

/** Compare-and-set of the epoch record. Answered by EPOCH_ANSWERED. */
export interface WriteEpoch {
  readonly type: 'writeEpoch';
  readonly requestId: number;
  readonly record: EpochRecord;
  readonly revision: number;
}

/** Changes our own epoch record, as a barrier does. No answer but the watch's. Rule: EPO-5. */
export interface RaiseEpoch {
  readonly type: 'raiseEpoch';
  readonly epoch: number;
  readonly inDoubt: boolean;
}

/** Wakes the actor with TICK; each one replaces the one before. `undefined`: no wake-up. */
export interface SetDeadline {
  readonly type: 'setDeadline';
  readonly dueAtMs: number | undefined;
}

/** Gives an event to the other actor of this process. */
export interface Tell {
  readonly type: 'tell';
  readonly actor: 'agent' | 'commandExecutor';
  readonly event: { readonly type: string };
}

/** What a container may use at most; what is not set is not limited. */
export interface ContainerLimits {
  readonly cpus?: number | undefined;
  readonly memoryBytes?: number | undefined;
  /** Processes and threads. */
  readonly pids?: number | undefined;
}

/** What a container is made of. */
export interface ContainerSpec {
  readonly containerId: string;
  /** Sandbox, relative to the agent's sandboxes: escaped tokens joined by `/`. */
  readonly sandbox: string;
  /** Program and arguments, as for `execve`. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly user?: string | undefined;
  /** Its share of the machine's cpus when they are wanted by others too. */
  readonly cpus?: number | undefined;
  readonly limits?: ContainerLimits | undefined;
  /** A file of the agent's of which the sandbox gets a copy, for its user alone. Rule: EXC-1. */
  readonly credentials?: { readonly from: string; readonly as: string } | undefined;
}

/** Starts a container. Answered by CONTAINER_STARTED or CONTAINER_ENDED with a message. */
export interface LaunchContainer {
  readonly type: 'launchContainer';
  readonly spec: ContainerSpec;
}

/**
 * Sent once, before any launch: takes back the containers that earlier lives of the agent were to start, and ends whatever
 * else they left running. Each is answered by CONTAINER_STARTED if it runs (or ran), and by CONTAINER_ENDED when it is over.
 */
export interface AdoptContainers {
  readonly type: 'adoptContainers';
  readonly containers: readonly ContainerSpec[];
}

/** Sends a signal to a container's whole process tree. Answered by CONTAINER_ENDED, if it ends. */
export interface SignalContainer {
  readonly type: 'signalContainer';
  readonly containerId: string;
  readonly signal: 'SIGTERM' | 'SIGKILL';
}

/** The end of a container is stored (CHECKPOINTED): what is kept for telling of it again may go. */
export interface ForgetContainer {
  readonly type: 'forgetContainer';
  readonly containerId: string;
}

/** A record of the agent's own store; without a value, its removal. */
export interface CheckpointWrite {
  readonly key: string;
  readonly value?: unknown;
}

/** Stores records of the agent together. Answered by CHECKPOINTED when they are stored, in the order of asking. */
export interface Checkpoint {
  readonly type: 'checkpoint';
  readonly requestId: number;
  readonly writes: readonly CheckpointWrite[];
}

/** Answers a request for a file or a listing from the sandboxes. */
export interface ReplyFile {
  readonly type: 'replyFile';
  readonly to: string;
  readonly cause: string;
  readonly epoch: number;
  readonly request:
    | { readonly type: 'READ_FILE'; readonly path: string; readonly offset: number; readonly length: number }
    | { readonly type: 'LIST_FILES'; readonly path: string };
}

/** Asks how full the disk of the sandboxes is. Answered by DISK_READ. */
export interface ReadDisk {
  readonly type: 'readDisk';
}

/** Asks for the folders of the sandboxes that match `pattern`, in which `*` stands for any one name. Answered by SANDBOXES_LISTED. */
export interface ListSandboxes {
  readonly type: 'listSandboxes';
  readonly pattern: string;
}

/** Removes a sandbox, and the folders above it that are empty then. Answered by SANDBOX_REMOVED. */
export interface RemoveSandbox {
  readonly type: 'removeSandbox';
  readonly path: string;
}

export interface Log {
  readonly type: 'log';
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>> | undefined;
}

/** Adds to a counter. */
export interface Count {
  readonly type: 'count';
  readonly metric: string;
  readonly by?: number;
}

/** Ends the process; a supervisor may start it anew. */
export interface Stop {
  readonly type: 'stop';
  readonly reason: string;
  /** Whether it is meant (0), or asks to be started anew (a master that no longer leads). */
  readonly restart: boolean;
}

export type Effect =
  | Publish
  | Reply
  | Listen
  | Persist
  | Follow
  | Probe
  | TakeLease
  | ReleaseLease
  | WriteEpoch
  | RaiseEpoch
  | SetDeadline
  | Tell
  | LaunchContainer
  | AdoptContainers
  | SignalContainer
  | ForgetContainer
  | Checkpoint
  | ReplyFile
  | ReadDisk
  | ListSandboxes
  | RemoveSandbox
  | Log
  | Count
  | Stop;

export type Effects = readonly Effect[];

export const NOTHING: Effects = [];

/** A message for the row and type named; the body is checked by the compiler against the table. */
export function publish<N extends SubjectName, T extends MessageType<N>>(
  to: { row: N; parameters: SubjectParameters<N> },
  message: T,
  body: MessageBody<N, T>,
  head: { session: string; epoch: number; id?: string | undefined; cause?: string | undefined },
): Publish {
  return { type: 'publish', to: to as Address, message, body, ...head };
}

type Answers = typeof ANSWERS;

/** An answer to a request of the table named. */
export function reply<R extends keyof Answers, T extends keyof Answers[R] & string>(
  _row: R,
  request: { readonly reply?: string | undefined; readonly id: string },
  message: T,
  body: Answers[R][T] extends TSchema ? Static<Answers[R][T]> : never,
  epoch: number,
): Effects {
  if (request.reply === undefined) return NOTHING;
  return [{ type: 'reply', to: request.reply, message, body, epoch, cause: request.id }];
}

export const log = (level: Log['level'], message: string, fields?: Log['fields']): Log => ({
  type: 'log',
  level,
  message,
  ...(fields && { fields }),
});

/** The ports: all that hosts ask of the world. Callback-style, no promise anywhere, so that the simulator can stand behind each. Rule: SIM-1. */
import type { ContainerSpec } from '../actors/effect.js';
import type { ContainerLimitation } from '../actors/events.js';

/** A timer that can be taken back. */
export interface Timer {
  cancel(): void;
}

/** Time. `now` never runs backwards within a process. */
export interface Clock {
  /** Milliseconds since 1970, with a fraction. */
  now(): number;
  /** Calls back once, `delayMs` or a little later. Never calls back synchronously. */
  after(delayMs: number, callback: () => void): Timer;
}

/** Chance: from 0 to below 1. */
export interface Random {
  next(): number;
}

/** A message as it arrives. `subject` is the one that the message itself carries. Rule: SEC-4. */
export interface Delivery {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply?: string | undefined;
}

/** What a request came to. `noResponders`: nobody listens there; `timeout`: an unknown outcome. */
export type Answer =
  { readonly outcome: 'answered'; readonly data: Uint8Array } | { readonly outcome: 'noResponders' | 'timeout' };

/** Core NATS: at most once, in order from one connection. Callbacks are never synchronous within the call. */
export interface Transport {
  /** Never throws for a lost connection: what is published meanwhile may be lost. */
  publish(subject: string, data: Uint8Array, reply?: string): void;
  /** Calls back for each message on the pattern, until the returned function is called. */
  subscribe(pattern: string, onDelivery: (delivery: Delivery) => void): () => void;
  /** One answer, or none. */
  request(subject: string, data: Uint8Array, timeoutMs: number, onAnswer: (answer: Answer) => void): void;
  /** Calls back each time that the connection is back after it was away. */
  onReconnected(callback: () => void): void;
}

/** An entry of a watched bucket; no `value` means that the key is deleted or has expired. */
export interface Entry {
  readonly key: string;
  readonly value?: Uint8Array | undefined;
  /** Sequence in the bucket's stream. */
  readonly revision: number;
}

/** A compare-and-set. `busy`: refused without a number, another's batch is in flight; `unknown`: no answer in time. */
export interface Stored {
  readonly outcome: 'stored' | 'refused' | 'busy' | 'unknown';
  /** Revision of the stored entry; 0 otherwise. */
  readonly revision: number;
}

export interface KeyedWrite {
  readonly key: string;
  /** Without one, the key is deleted (purged, with a marker that expires). */
  readonly value?: Uint8Array | undefined;
}

/** JetStream KV: the lease and the registry of one cluster. */
export interface Storage {
  /** All entries of the bucket, then `onCaughtUp` once, then each change, in the order of the stream. */
  watch(bucket: 'registry' | 'lease', onEntry: (entry: Entry) => void, onCaughtUp: () => void): void;
  /** Writes one key if its last revision is `revision` (0: there is none). `ttlMs`: it expires by itself. */
  compareAndSet(
    bucket: 'registry' | 'lease',
    write: KeyedWrite,
    revision: number,
    ttlMs: number | undefined,
    onStored: (stored: Stored) => void,
  ): void;
  /**
   * Writes the registry records of several decisions if the last revision of `fenceKey` is `fence`, each decision as a
   * whole. At most 1,000 records in all, and one call in flight at a time. Rule: REG-1.
   */
  commit(
    fenceKey: string,
    fence: number,
    decisions: readonly (readonly KeyedWrite[])[],
    onStored: (outcome: Stored['outcome']) => void,
  ): void;
}

/** How a container ended. */
export interface ContainerEnd {
  readonly exitCode?: number | undefined;
  readonly exitSignal?: string | undefined;
  readonly launchError?: string | undefined;
  /** Of an adopted one: it has not started and never will by itself, so it may be launched. */
  readonly neverStarted?: boolean | undefined;
  /** How it ended is not known: its wrapper died without a record, or the machine was restarted. */
  readonly lost?: 'wrapper' | 'machine' | undefined;
  readonly limitation?: ContainerLimitation | undefined;
}

/** Processes of one agent. Containers outlive the agent's process. */
export interface Processes {
  /**
   * Called once, before any launch: takes back what earlier lives of this agent were to start, and ends what else they left
   * running. Of each, `onStarted` at most once, then `onEnded` exactly once; never synchronously.
   */
  adopt(
    containers: readonly ContainerSpec[],
    onStarted: (containerId: string, pid: number) => void,
    onEnded: (containerId: string, end: ContainerEnd) => void,
  ): void;
  /** Starts a container. `onStarted` at most once, then `onEnded` exactly once; both later, never synchronously. */
  launch(spec: ContainerSpec, onStarted: (pid: number) => void, onEnded: (end: ContainerEnd) => void): void;
  /** Signals the whole process tree. An unknown or ended container is no error. */
  signal(containerId: string, signal: 'SIGTERM' | 'SIGKILL'): void;
  /** The end that was told is stored: nothing needs to be known of the container any more. Until then a later life is told of it again. */
  forget(containerId: string): void;
}

export interface FileStatus {
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
}

/** The agent's own durable records. */
export interface Store {
  /** All records, as the last life left them. Used before the actor starts. */
  load(): readonly (readonly [key: string, value: Uint8Array])[];
  /** Stores the writes together, whole or not at all; called back when a death of the process can no longer undo it, in order, never synchronously. */
  commit(writes: readonly KeyedWrite[], onStored: () => void): void;
}

/** Sandboxes. Paths are relative and may not leave their root. */
export interface Files {
  /** Reads part of a file of the sandboxes; `undefined` when there is none. */
  read(
    path: string,
    offset: number,
    length: number,
    onRead: (part: { readonly size: number; readonly data: Uint8Array } | undefined) => void,
  ): void;
  /** Lists a folder of the sandboxes; `undefined` when there is none. */
  list(path: string, onListed: (files: readonly FileStatus[] | undefined) => void): void;
  /**
   * Folders whose path matches `pattern`, in which `*` stands for any one name, sorted; links are none. `mtimeMs` is when the folder or
   * something directly in it last changed.
   */
  folders(pattern: string, onFound: (folders: readonly FileStatus[]) => void): void;
  /** Removes a folder with all that is in it, then those above it that are empty; follows no link. Tells whether it is gone. */
  remove(path: string, onRemoved: (isGone: boolean) => void): void;
  /** The used part, from 0 to 1, of the disk's bytes or of its entries, whichever is scarcer; `undefined` when it cannot be known. */
  usage(onRead: (usedShare: number | undefined) => void): void;
}

export interface Log {
  write(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface Metrics {
  count(metric: string, by: number): void;
}

/** What every actor's host needs. */
export interface Ports {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What a master's host needs besides; probes go over the storage connection. Rule: LNK-5. */
export interface MasterPorts extends Ports {
  readonly storage: Storage;
  readonly probes: Transport;
}

/** What an agent's host needs besides. */
export interface AgentPorts extends Ports {
  readonly processes: Processes;
  readonly store: Store;
  readonly files: Files;
}

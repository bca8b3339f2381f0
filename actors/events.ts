/** The events that a host gives to an actor: messages off the wire, and what the world answers. */
import type { MESSAGES } from '../protocol/messages.js';
import type { LeadingBody } from '../protocol/master-api.js';
import type { Static, TSchema } from '../protocol/schema.js';

/** Time and chance come in through the door: with every event. */
export interface Stamp {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** From 0 to below 1, new for every event. */
  readonly random: number;
}

/** What a message says besides its body. */
export interface Meta {
  /** The sender's principal, as its subject or, where the subject names no sender, its envelope says. */
  readonly principal: string;
  /** The tokens of the subject, unescaped. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly session: string;
  readonly sequence: number;
  /** How many places in the session it took, as it came in so many parts; the last is `sequence`. Absent: one. Rule: LNK-5. */
  readonly parts?: number | undefined;
  readonly epoch: number;
  readonly id: string;
  readonly cause?: string | undefined;
  /** Inbox that wants an answer. */
  readonly reply?: string | undefined;
}

/** A message that has been decoded, checked and numbered: `<sender's role>.<TYPE>`. */
export type Message<Role extends string, Table extends Record<string, TSchema>> = {
  [T in keyof Table & string]: Stamp & {
    readonly type: `${Role}.${T}`;
    readonly meta: Meta;
    readonly body: Static<Table[T]>;
  };
}[keyof Table & string];

/** One message of a union, by its event type. */
export type MessageOf<M extends { type: string }, T extends M['type']> = Extract<M, { type: T }>;

export type SchedulerMessage = Message<'scheduler', (typeof MESSAGES)['masterScheduler']>;
export type AgentMessage = Message<'agent', (typeof MESSAGES)['masterAgent']>;
export type OperatorMessage = Message<'operator', (typeof MESSAGES)['masterOperator']>;
export type AgentOperatorMessage = Message<'operator', (typeof MESSAGES)['agentOperator']>;
export type MasterToAgentMessage = Message<'master', (typeof MESSAGES)['agentMaster']>;
export type MasterToSchedulerMessage = Message<'master', (typeof MESSAGES)['scheduler']>;
export type ExecutorMessage = Message<'executor', (typeof MESSAGES)['agentExecutor']>;
export type AgentToExecutorMessage = Message<'agent', (typeof MESSAGES)['executor']>;
export type PeerMessage = Message<'peer', (typeof MESSAGES)['masterMaster']>;
export type LeaderMessage = Message<'leader', (typeof MESSAGES)['leader']>;
export type ProbeMessage = Stamp & { readonly type: 'probe.PROBE'; readonly meta: Meta };

/** A call that does not fit its schema: its caller is told, instead of waiting for an answer. Rule: PRO-1. */
export type InvalidMessage = Stamp & {
  readonly type: 'scheduler.INVALID' | 'operator.INVALID';
  readonly meta: Meta;
  readonly body: { readonly call: string; readonly wrong: string; readonly frameworkId: string | undefined };
};

/** Sent by hosts alone. */
export type StartEvent = Stamp & { readonly type: 'START' };
export type TickEvent = Stamp & { readonly type: 'TICK' };
/** An orderly end is wanted. Agents: of the tasks too, or they run on without it. Rules: AGT-4, AGS-7. */
export type StopEvent = Stamp & { readonly type: 'STOP'; readonly endTasks?: boolean | undefined };
/** The connection was away: anything published meanwhile may be lost. Rule: LNK-1. */
export type ReconnectedEvent = Stamp & { readonly type: 'RECONNECTED' };

export type StorageEvent = Stamp &
  (
    | { readonly type: 'REGISTRY_STORED'; readonly requestId: number }
    /** Nothing will be stored any more in this term. */
    | { readonly type: 'REGISTRY_LOST'; readonly reason: string }
    | {
        readonly type: 'REGISTRY_ENTRY';
        readonly key: string;
        /** Decoded, not yet checked; `undefined` for a deletion. */
        readonly value: unknown;
        readonly revision: number;
      }
    | { readonly type: 'REGISTRY_CAUGHT_UP' }
    | { readonly type: 'LEASE_ENTRY'; readonly revision: number; readonly held: boolean }
    | {
        readonly type: 'LEASE_ANSWERED' | 'EPOCH_ANSWERED';
        readonly requestId: number;
        /** `busy`: refused without a number, as a batch of another is in flight; `unknown`: no answer in time. */
        readonly outcome: 'stored' | 'refused' | 'busy' | 'unknown';
        readonly revision: number;
      }
    | {
        readonly type: 'PROBED';
        readonly requestId: number;
        readonly outcome: 'answered' | 'noResponders' | 'silence';
        readonly answer?: LeadingBody;
      }
  );

/** Which limit a container passed, and in words by how much. */
export interface ContainerLimitation {
  readonly reason: 'REASON_CONTAINER_LIMITATION_MEMORY' | 'REASON_CONTAINER_LIMITATION_DISK';
  readonly message: string;
}

export type ContainerEvent = Stamp &
  (
    | { readonly type: 'CONTAINER_STARTED'; readonly containerId: string; readonly pid: number }
    | {
        readonly type: 'CONTAINER_ENDED';
        readonly containerId: string;
        readonly exitCode?: number | undefined;
        readonly exitSignal?: string | undefined;
        /** Set when it could not be started. */
        readonly launchError?: string | undefined;
        /** It was adopted, and it is certain that it has not started and never will by itself: it may be launched. */
        readonly neverStarted?: boolean | undefined;
        /** How it ended is not known: its wrapper died without a record, or the machine was restarted. */
        readonly lost?: 'wrapper' | 'machine' | undefined;
        /** It was ended for what it used. */
        readonly limitation?: ContainerLimitation | undefined;
      }
  );

export type SandboxEvent = Stamp &
  (
    | {
        readonly type: 'DISK_READ';
        /** From 0 to 1, of bytes or of entries, whichever is scarcer; `undefined` when it cannot be known. */
        readonly usedShare: number | undefined;
      }
    | {
        readonly type: 'SANDBOXES_LISTED';
        readonly sandboxes: readonly { readonly path: string; readonly mtimeMs: number }[];
      }
    | { readonly type: 'SANDBOX_REMOVED'; readonly path: string; readonly isGone: boolean }
  );

export type CheckpointEvent = Stamp & { readonly type: 'CHECKPOINTED'; readonly requestId: number };

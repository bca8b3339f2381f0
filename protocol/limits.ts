/** Every limit and default that two rooms share, with its unit last. Docs: `docs/defaults.md`. */

/** Nothing larger than this is one message on the bus; it goes in numbered parts. Rule: LNK-5. */
export const MAX_MESSAGE_BYTES = 256 * 1024;
/** Largest encoded record of the registry, and what goes into one: a server refuses messages above 1 MiB. Rule: REG-6. */
export const MAX_RECORD_BYTES = 256 * 1024;
/** Most parts of one message: 16 MiB in all. */
export const MAX_PARTS = 64;
/** Deepest nesting of a decoded body. */
export const MAX_DEPTH = 32;
/** Most values in one decoded body. */
export const MAX_VALUES = 2_000_000;
/** Most records in one registry decision, as JetStream takes no larger atomic batch. Rule: REG-1. */
export const MAX_BATCH_RECORDS = 1_000;
/** Most records that may wait while a barrier is under way; beyond it the leader gives up. Rule: REG-7. */
export const MAX_QUEUED_RECORDS = 50_000;
/** An epoch further ahead of now than this is nobody's: it is dropped with an alarm. Rule: EPO-6. */
export const MAX_EPOCH_AHEAD_MS = 24 * 3_600_000;

/** Most tasks that one call of a scheduler may name. */
export const MAX_TASKS_PER_CALL = 10_000;
/** Most rows in one page of an operator's list, and about how many bytes: the row that passes it is the last. Rule: OPR-4. */
export const MAX_PAGE_ROWS = 5_000;
export const MAX_PAGE_BYTES = 2 * 1024 * 1024;

/** Timings of the kernel, in milliseconds; each can be set per process (`--set name=value`). */
export interface Timings {
  /** Life of a leader's lease without a renewal. */
  readonly leaseTtlMs: number;
  readonly leaseRenewalMs: number;
  /** How often a standby asks whether there is a leader. */
  readonly probeIntervalMs: number;
  /** An answer later than this is silence. */
  readonly probeTimeoutMs: number;
  /** "No responders" for this long deposes. Rule: TKO-1. */
  readonly leaderAbsentMs: number;
  /** Silence deposes only when the lease has not moved for this long. Rule: TKO-1. */
  readonly leaderSilentMs: number;
  readonly heartbeatIntervalMs: number;
  /** Heartbeats in a row that may go unanswered. */
  readonly missedHeartbeats: number;
  /** At most one agent is marked as unreachable in this time. Rule: AGT-7. */
  readonly unreachableIntervalMs: number;
  /** An invitation that is not answered by then makes room for the next. Rule: LNK-6. */
  readonly invitationAnswerMs: number;
  /** An agent that knows a leader waits this long for its invitation before it knocks. Rule: LNK-1. */
  readonly invitationWaitMs: number;
  readonly registrationBackoffMs: number;
  readonly registrationBackoffMaxMs: number;
  /** Freed resources gather for this long before they are offered. Rule: ALC-3. */
  readonly offerGatherMs: number;
  readonly offerDampMs: number;
  readonly offerDampMaxMs: number;
  /** After this an offer goes back when another could use it. Rule: OFR-4. */
  readonly offerLeaseMs: number;
  /** After this an offer goes back in any case. */
  readonly offerMaxMs: number;
  readonly declineFilterMs: number;
  readonly updateRetryMs: number;
  readonly updateRetryMaxMs: number;
  /** What a KILL that names no grace gives between SIGTERM and SIGKILL. */
  readonly killGraceMs: number;
  /** How long an agent remembers the end of a launch that is acknowledged. Rule: AGS-6. */
  readonly endedMemoryMs: number;
  /** An executor whose container has started subscribes within this, or is killed. Rule: EXC-5. */
  readonly executorRegistrationTimeoutMs: number;
  /** What an ExecutorInfo that names no grace gives between SHUTDOWN and the kill. Rule: EXC-6. */
  readonly executorShutdownGraceMs: number;
  readonly failoverTimeoutMs: number;
  /** For so long the sandbox of an ended launch stays on an empty disk; on a fuller one less. Rule: GBC-1. */
  readonly sandboxKeepMs: number;
  /** How often an agent looks how full its disk is. */
  readonly diskWatchMs: number;
}

export const DEFAULT_TIMINGS: Timings = {
  leaseTtlMs: 4_000,
  leaseRenewalMs: 1_000,
  probeIntervalMs: 200,
  probeTimeoutMs: 400,
  leaderAbsentMs: 500,
  leaderSilentMs: 2_500,
  heartbeatIntervalMs: 2_000,
  missedHeartbeats: 10,
  unreachableIntervalMs: 1_000,
  invitationAnswerMs: 2_000,
  invitationWaitMs: 5_000,
  registrationBackoffMs: 250,
  registrationBackoffMaxMs: 15_000,
  offerGatherMs: 20,
  offerDampMs: 50,
  offerDampMaxMs: 1_000,
  offerLeaseMs: 30_000,
  offerMaxMs: 300_000,
  declineFilterMs: 5_000,
  updateRetryMs: 10_000,
  updateRetryMaxMs: 600_000,
  killGraceMs: 3_000,
  endedMemoryMs: 24 * 3_600_000,
  executorRegistrationTimeoutMs: 60_000,
  executorShutdownGraceMs: 5_000,
  failoverTimeoutMs: 7 * 24 * 3_600_000,
  sandboxKeepMs: 7 * 24 * 3_600_000,
  diskWatchMs: 60_000,
};

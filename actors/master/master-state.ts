/** What a master knows: rows in Maps, and the only mutable thing of its actor. */
import type { AgentInfo } from '../../protocol/agent.js';
import type { KillPolicy, Labels } from '../../protocol/container.js';
import type { ExecutorInfo } from '../../protocol/executor.js';
import type { FrameworkInfo } from '../../protocol/framework.js';
import type { Timings } from '../../protocol/limits.js';
import type { Offer } from '../../protocol/offer.js';
import type { Resources } from '../../protocol/resources.js';
import { registryKey, REGISTRY_VERSION, type AgentRecord, type EpochRecord } from '../../protocol/registry.js';
import type { Task, TaskInfo, TaskState, TaskStatus } from '../../protocol/task.js';
import { CountedDeadlines } from '../deadlines.js';
import type { Effects, RegistryWrite } from '../effect.js';
import type { Link } from '../link.js';
import type { ActorState } from '../perform.js';
import type { Allocator } from './allocator/allocator.js';
import { isWallKey } from './hearing.js';
import { newInvitations, type Invitations } from './invitations.js';
import type { Removed, Witness } from './stored.js';

export interface MasterConfig {
  /** Name of this master, which is its principal too. */
  readonly name: string;
  readonly hostname: string;
  readonly version: string;
  readonly timings: Timings;
  readonly allocator: () => Allocator;
}

/** A peer that the master keeps a session with. */
export interface Peer {
  /** Receives on this link; its session is what we send under. */
  readonly link: Link;
  /** Heartbeats in a row without an answer. */
  missedHeartbeats: number;
  /** When it was last asked to come again; asked at most once a second. */
  invitedAtMs: number;
  /** Id of the message that the last session began with: its second copy begins none, nor does an older one of its sender. */
  arrivalId: string;
}

export interface AgentRow extends Peer {
  readonly agentId: string;
  readonly principal: string;
  info: AgentInfo;
  version: string;
  /** RECOVERED: from the registry, not yet back in this term. Only REGISTERED gets offers. Rule: LCH-3. */
  state: 'ADMITTING' | 'RECOVERED' | 'REGISTERED' | 'UNREACHABLE';
  total: Resources;
  /** Whether the registry has it. Rule: REG-3. */
  readonly stored: boolean;
  readonly tasks: Map<string, TaskRow>;
  /** By name: the last run of each that may run. */
  readonly executors: Map<string, ExecutorRow>;
  readonly offers: Map<string, OfferRow>;
  registeredAtMs: number | undefined;
  reregisteredAtMs: number | undefined;
  unreachableAtMs: number | undefined;
  /** Whether the registry has that: only then is anybody told. Rule: AGT-9. */
  unreachableStored: boolean;
}

export interface FrameworkRow extends Peer {
  readonly frameworkId: string;
  /** `''` while nobody knows whose it is: the registry lost its row. Rule: AGT-8. */
  principal: string;
  info: FrameworkInfo;
  /** Whether its scheduler is there and answers. */
  connected: boolean;
  /** From the registry, not yet subscribed in this term. */
  recovered: boolean;
  /** Torn down; the row stays until its tasks have ended. */
  removed: boolean;
  /** Whether the registry has the removal: only then may agents hear of it. Rule: REG-3. */
  readonly removalStored: boolean;
  /** What waits for that. */
  readonly removalAnswers: ((removed: Removed) => Effects)[];
  /** The instance of the scheduler that subscribed last, as far as its questions name it. */
  asker: string | undefined;
  /** Counter of the first session of that instance in this term: sessions before it were another instance's. */
  askerSince: number;
  /** Whether the registry has it. Rule: REG-3. */
  readonly stored: boolean;
  suppressed: boolean;
  /** By task id: live launches only. */
  readonly tasks: Map<string, TaskRow>;
  readonly offers: Map<string, OfferRow>;
  registeredAtMs: number | undefined;
  reregisteredAtMs: number | undefined;
}

/** One run of an executor, from the ACCEPT of its first task to the word that it has ended. */
export interface ExecutorRow {
  readonly containerId: string;
  readonly agentId: string;
  readonly frameworkId: string;
  readonly executorId: string;
  readonly info: ExecutorInfo;
  readonly resources: Resources;
  /** Whether the registry has it. Rule: REG-3. */
  readonly stored: boolean;
}

/** An executor's name on its agent; no id has a line break. */
export const executorName = (frameworkId: string, executorId: string): string => `${frameworkId}\n${executorId}`;

export interface TaskRow {
  readonly launchId: string;
  readonly taskId: string;
  readonly name: string;
  readonly frameworkId: string;
  readonly agentId: string;
  readonly resources: Resources;
  readonly labels: Labels | undefined;
  readonly killPolicy: KillPolicy | undefined;
  /** The executor that runs it, and which run of it; `undefined` of a command. */
  readonly executorId: string | undefined;
  readonly containerId: string | undefined;
  /** What RUN_TASK carries; only in the term of the launch. */
  info: TaskInfo | undefined;
  /** Whether the registry has it. Rule: REG-3. */
  readonly stored: boolean;
  /** Latest state known to the agent. */
  state: TaskState;
  /** The last status forwarded, and its uuid in hexadecimal: what an acknowledgement must name. */
  status: TaskStatus | undefined;
  statusUuid: string | undefined;
  /** Whether its agent has an update of it that was not acknowledged when it came back. */
  updateWaits: boolean;
  /** Whether the scheduler has acknowledged that status. */
  acknowledged: boolean;
  /** Whether its resources went back already: they do when the latest state is terminal. */
  recovered: boolean;
  /** A kill that was asked for. Rule: KIL-1. */
  kill: KillRow | undefined;
  /** Its deletion is on its way to the registry. */
  deleting: boolean;
}

export interface KillRow {
  readonly killPolicy: KillPolicy | undefined;
  readonly cause: string | undefined;
  /** Whether the registry has it: only then is it passed on. */
  stored: boolean;
}

/** A task of which nothing has been heard yet. */
export const newTaskRow = (
  known: Pick<
    TaskRow,
    | 'launchId'
    | 'taskId'
    | 'name'
    | 'frameworkId'
    | 'agentId'
    | 'resources'
    | 'labels'
    | 'killPolicy'
    | 'executorId'
    | 'containerId'
    | 'info'
  >,
): TaskRow => ({
  ...known,
  stored: false,
  state: 'TASK_STAGING',
  status: undefined,
  statusUuid: undefined,
  updateWaits: false,
  acknowledged: false,
  recovered: false,
  kill: undefined,
  deleting: false,
});

export interface OfferRow {
  readonly offer: Offer;
  readonly offerId: string;
  readonly frameworkId: string;
  readonly agentId: string;
  readonly role: string;
  readonly resources: Resources;
  /** In counted time. Rule: DLN-1. */
  readonly madeAtMs: number;
}

/** What a write waits to do once it is stored. Runs against the state as it is then; `witness` makes rows of it stored ones. */
export type AfterStored = (state: MasterState, now: number, witness: Witness) => Effects;

/** The lease as last seen. */
export interface LeaseView {
  revision: number;
  held: boolean;
  changedAtMs: number;
  /** Since when the watch has shown that nobody holds it. */
  freeSinceMs: number | undefined;
}

/** What was asked of the world, and when. */
export interface Asked {
  readonly kind: 'probe' | 'lease' | 'epoch';
  readonly atMs: number;
}

export interface MasterState extends ActorState {
  readonly config: MasterConfig;
  readonly deadlines: CountedDeadlines;

  // Leadership.
  /** Highest epoch seen. While leading: ours. */
  epoch: number;
  /** `''` outside a term. */
  masterId: string;
  electedAtMs: number;
  /** The epoch record as last seen in the watch, and its revision. */
  epochRecord: EpochRecord | undefined;
  epochRevision: number;
  /** Revision at which our claim was stored. The fence of our writes begins there; where it goes is the registrar's. */
  claimedRevision: number;
  readonly lease: LeaseView;
  /** Revision of the lease that we hold; 0 when we do not. */
  leaseRevision: number;
  /** Whether the registry's watch has delivered all that was there. */
  caughtUp: boolean;
  /** When the first of the present row of "no responders" was heard. */
  absentSinceMs: number | undefined;
  absentCount: number;
  silentSinceMs: number | undefined;
  contendAtMs: number;
  claimUntilMs: number;
  /** Revision of the epoch record that our claim was made upon. */
  claimRevision: number;
  /** Numbers that this claim leaves out above the stored one. */
  claimGap: number;
  loopbackAtMs: number;
  /** When the last renewal of the lease that was confirmed was asked for. */
  renewedAtMs: number;
  /** Until when time has been counted; `undefined` outside a term. Rule: DLN-1. */
  countedAtMs: number | undefined;
  isDeaf: boolean;
  abdicationAskedAtMs: number;
  /** Why this master must not lead on; set once, and the chart leaves `leading`. */
  deposed: string | undefined;
  /** It makes way by itself: the lease is ours to give back. */
  abdicated: boolean;
  /** Keys whose records a newer version wrote. Rule: REG-8. */
  readonly newer: Set<string>;

  // A registry that went back. Rule: EPO-5.
  registryInDoubt: boolean;
  /** The higher epochs that agents have told, by principal. */
  readonly toldEpochs: Map<string, number>;
  futureEpochSeen: boolean;
  readonly trustAnswers: (() => Effects)[];

  // Requests to the world: a late answer carries an old number and is ignored.
  requests: number;
  readonly expected: Map<number, Asked>;
  readonly writes: Map<number, AfterStored>;

  /** The registry as watched, raw; a standby's warm copy. Emptied when the term begins. */
  readonly copy: Map<string, unknown>;

  // Rows of a term.
  readonly allocator: Allocator;
  readonly agents: Map<string, AgentRow>;
  readonly agentsByPrincipal: Map<string, AgentRow>;
  /** Rows of principals that came under another id since. */
  readonly formerAgents: Set<AgentRow>;
  readonly frameworks: Map<string, FrameworkRow>;
  readonly tasks: Map<string, TaskRow>;
  /** By container. */
  readonly executors: Map<string, ExecutorRow>;
  readonly offers: Map<string, OfferRow>;
  readonly invitations: Invitations;
  /** Whether so many agents are silent that none is marked as unreachable. Rule: AGT-7. */
  isSilenceWide: boolean;
  /** When the next one may be. */
  markAgainAtMs: number;
  /** Launches of earlier terms whose end was acknowledged in this one. Rule: AGT-8. */
  readonly endedLaunches: Set<string>;
  readonly completedTasks: Task[];
  /** How many tasks have ended in this term, those that are forgotten too. */
  completedCount: number;
  readonly completedFrameworks: Map<string, FrameworkRow>;
  readonly counters: { agent: number; framework: number; offer: number; launch: number; session: number };
}

export function newMasterState(config: MasterConfig): MasterState {
  return {
    config,
    deadlines: new CountedDeadlines(isWallKey),
    announcedMs: undefined,
    epoch: 0,
    masterId: '',
    electedAtMs: 0,
    epochRecord: undefined,
    epochRevision: 0,
    claimedRevision: 0,
    lease: { revision: 0, held: false, changedAtMs: 0, freeSinceMs: undefined },
    leaseRevision: 0,
    caughtUp: false,
    absentSinceMs: undefined,
    absentCount: 0,
    silentSinceMs: undefined,
    contendAtMs: 0,
    claimUntilMs: 0,
    claimRevision: 0,
    claimGap: 0,
    loopbackAtMs: 0,
    renewedAtMs: 0,
    countedAtMs: undefined,
    isDeaf: false,
    abdicationAskedAtMs: -Infinity,
    deposed: undefined,
    abdicated: false,
    newer: new Set(),
    registryInDoubt: false,
    toldEpochs: new Map(),
    futureEpochSeen: false,
    trustAnswers: [],
    requests: 0,
    expected: new Map(),
    writes: new Map(),
    copy: new Map(),
    allocator: config.allocator(),
    agents: new Map(),
    agentsByPrincipal: new Map(),
    formerAgents: new Set(),
    frameworks: new Map(),
    tasks: new Map(),
    executors: new Map(),
    offers: new Map(),
    invitations: newInvitations(),
    isSilenceWide: false,
    markAgainAtMs: 0,
    endedLaunches: new Set(),
    completedTasks: [],
    completedCount: 0,
    completedFrameworks: new Map(),
    counters: { agent: 0, framework: 0, offer: 0, launch: 0, session: 0 },
  };
}

/**
 * Stores the records of one decision and runs `then` once they are stored; messages that rest on the records are built
 * there, from the rows as they are by then. (A message built now and held back could name a session that has ended
 * meanwhile.) Rule: REG-3.
 */
export function persist(state: MasterState, writes: readonly RegistryWrite[], then: AfterStored): Effects {
  const requestId = ++state.requests;
  state.writes.set(requestId, then);
  return [{ type: 'persist', requestId, writes }];
}

/** The record of an agent, as one that is there, or as one that has been unreachable for so long. Rules: AGT-1, AGT-9. */
export function agentWrite({ agentId, principal, info }: AgentRow, unreachableAtMs?: number): RegistryWrite {
  const known = { schemaVersion: REGISTRY_VERSION, agentId, principal, agentInfo: info } as const;
  const record: AgentRecord = unreachableAtMs === undefined ? known : { ...known, unreachableAtMs };
  return { key: registryKey('agent', agentId), record };
}

export { type RegistryWrite };

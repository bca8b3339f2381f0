/** What an agent knows: its launches and their unacknowledged updates, and what of it is stored. Rule: AGS-1. */
import type { AgentInfo } from '../../protocol/agent.js';
import type { AgentMessageBody } from '../../protocol/agent-api.js';
import type { CheckpointRecord } from '../../protocol/checkpoint.js';
import type { ExecutorInfo } from '../../protocol/executor.js';
import type { FrameworkInfo } from '../../protocol/framework.js';
import type { Timings } from '../../protocol/limits.js';
import type { TaskInfo, TaskState, TaskStatus } from '../../protocol/task.js';
import { Deadlines } from '../deadlines.js';
import type { CheckpointWrite, Effects } from '../effect.js';
import type { LeaderMessage, MasterToAgentMessage } from '../events.js';
import type { Link } from '../link.js';
import { newMember, type Member } from '../member.js';
import type { ActorState } from '../perform.js';
import { recover } from './recovery.js';
import { newSandboxes, type Sandboxes } from './sandboxes.js';

export interface AgentConfig {
  /** The agent's principal. */
  readonly name: string;
  readonly version: string;
  readonly info: AgentInfo;
  readonly timings: Timings;
  /** Who executors of their own are; without it their tasks fail. */
  readonly executors?: ExecutorLogin | undefined;
  /** What earlier lives of the agent stored. */
  readonly records: readonly CheckpointRecord[];
}

/** How an agent's executors come to the bus: all of them as one user. */
export interface ExecutorLogin {
  readonly principal: string;
  readonly cluster: string;
  /** Path of the file with `{url, user, password}`; a copy of it is put into each sandbox. */
  readonly credentials: string;
}

/** One run of an executor, from the launch that starts it to the end of its container. */
export interface ExecutorRow {
  readonly containerId: string;
  readonly frameworkId: string;
  readonly executorId: string;
  readonly info: ExecutorInfo;
  readonly frameworkInfo: FrameworkInfo;
  /** REGISTERING: it has not subscribed yet, ever. */
  state: 'REGISTERING' | 'RUNNING' | 'TERMINATING';
  runningAtMs: number | undefined;
  /** Receives on this link; its session is what we send under. */
  readonly link: Link;
  /** Id of the question that the last session began with. */
  arrivalId: string;
  /** The instance that subscribed last, as far as its questions name it, and the counter of its first session in this life. */
  asker: string | undefined;
  askerSince: number;
  invitedAtMs: number;
  /** Launches that have not ended; whether LAUNCH may have reached it. */
  readonly tasks: Map<string, { isSent: boolean }>;
  ending:
    | { readonly why: 'asked' | 'registrationTimeout'; readonly requestedAtMs: number; readonly graceMs: number }
    | undefined;
}

/** A kill that was asked for. */
export interface KillRequest {
  readonly requestedAtMs: number;
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number;
}

/** One launch, from RUN_TASK to the acknowledgement of its end. */
export interface LaunchRow {
  readonly launchId: string;
  readonly taskId: string;
  readonly frameworkId: string;
  /** What it runs; `undefined` of a launch that is refused. */
  readonly task: TaskInfo | undefined;
  /** The run of the executor that runs it; `undefined` of a command. */
  readonly containerId: string | undefined;
  /** Updates of its executor that were taken in this life, and the last one ever. Rule: EXC-2. */
  readonly taken: Set<string>;
  executorUuid: Uint8Array | undefined;
  /** Latest state, stored or not. */
  state: TaskState;
  /** Latest state that is stored: what a master may hear. */
  storedState: TaskState;
  /** Updates in order; the first is outstanding, the rest wait for its acknowledgement. Rule: UPD-5. */
  readonly updates: TaskStatus[];
  /** How many of them, from the first, are stored; only those may be sent. Rule: AGS-1. */
  stored: number;
  /** Acknowledgements on their way to the store; the next update is sent when they are there. */
  settling: number;
  /** Tries of the first update in this session. */
  attempt: number;
  /** Message that led to what it does now: its RUN_TASK, or the last KILL_TASK. */
  cause: string | undefined;
  /** When it was first told that it runs. */
  runningAtMs: number | undefined;
  kill: KillRequest | undefined;
}

/** What a write waits to do once it is stored. Runs against the state as it is then. */
export type AfterStored = (state: AgentState, now: number) => Effects;

/** A message that the door may hold back. Rule: EPO-4. */
export type DoorMessage = MasterToAgentMessage | LeaderMessage;

export interface AgentState extends ActorState {
  readonly config: AgentConfig;
  readonly member: Member;
  agentId: string | undefined;
  /** Epoch of the leader that we last followed: another word of the same is no news. */
  leaderEpoch: number;
  /** Half of every update's uuid: another in each life. */
  uuidSeed: number;
  uuids: number;
  heartbeatIntervalMs: number;
  readonly launches: Map<string, LaunchRow>;
  /** Executors that have not ended, by container, and the last run of each by its framework and id. */
  readonly executors: Map<string, ExecutorRow>;
  readonly executorsByName: Map<string, ExecutorRow>;
  executorSessions: number;
  /** Executors that ended while there was no session to tell it in. */
  readonly exits: Omit<AgentMessageBody<'EXITED_EXECUTOR'>, 'agentId'>[];
  /** Launches that are over, with their true last state and when that was acknowledged, oldest first. Rules: LCH-1, AGS-6. */
  readonly ended: Map<string, { readonly state: TaskState; readonly endedAtMs: number }>;
  /** By epoch: up to this counter every launch that is not known otherwise is refused. Rule: AGS-6. */
  readonly lowWater: Map<number, number>;
  /** Launches whose last acknowledgement is still to be stored. */
  readonly unsaved: Set<string>;
  readonly sandboxes: Sandboxes;
  /** Set by a decision, read by the chart: what the link needs. */
  need: 'nothing' | 'registration' | 'invitation' | 'end';
  /** Messages behind one that says something which must be stored first. Rule: EPO-4. */
  held: DoorMessage[];
  /** Whether what the door waits for is on its way to the store. */
  isDoorShut: boolean;
  /** When a lower epoch was last answered. */
  staleToldAtMs: number;
  checkpoints: number;
  readonly pending: Map<number, AfterStored>;
  /** `ending`: its tasks are killed; `leaving`: they run on without it. */
  stopping: 'no' | 'ending' | 'leaving';
}

/** An executor's name among all of the agent; no id has a line break. */
export const executorName = ({ frameworkId, executorId }: { frameworkId: string; executorId: string }): string =>
  `${frameworkId}\n${executorId}`;

export function newAgentState(config: AgentConfig): AgentState {
  const { epoch, agentId, launches, executors, ended, lowWater } = recover(config.records);
  return {
    config,
    deadlines: new Deadlines(),
    announcedMs: undefined,
    member: newMember(epoch),
    agentId,
    leaderEpoch: epoch,
    uuidSeed: 0,
    uuids: 0,
    heartbeatIntervalMs: config.timings.heartbeatIntervalMs,
    launches,
    executors,
    executorsByName: new Map([...executors.values()].map((row) => [executorName(row), row])),
    executorSessions: 0,
    exits: [],
    ended,
    lowWater,
    unsaved: new Set(),
    sandboxes: newSandboxes(),
    need: 'nothing',
    held: [],
    isDoorShut: false,
    staleToldAtMs: -Infinity,
    checkpoints: 0,
    pending: new Map(),
    stopping: 'no',
  };
}

/**
 * Stores the records of one decision together and runs `then` once they are stored. Stores are answered in the order of
 * asking, so what is said of a launch keeps its order if all of it goes through here. Rule: AGS-1.
 */
export function persist(state: AgentState, writes: readonly CheckpointWrite[], then: AfterStored): Effects {
  const requestId = ++state.checkpoints;
  state.pending.set(requestId, then);
  return [{ type: 'checkpoint', requestId, writes }];
}

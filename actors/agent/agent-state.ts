/** What an agent knows: its launches and their unacknowledged updates. */
import type { AgentInfo } from '../../protocol/agent.js';
import type { Timings } from '../../protocol/limits.js';
import type { TaskInfo, TaskState, TaskStatus } from '../../protocol/task.js';
import { Deadlines } from '../deadlines.js';
import type { AgentCheckpoint } from '../effect.js';
import { newMember, type Member } from '../member.js';
import type { ActorState } from '../perform.js';

export interface AgentConfig {
  /** The agent's principal. */
  readonly name: string;
  readonly version: string;
  readonly info: AgentInfo;
  readonly timings: Timings;
  readonly checkpoint: AgentCheckpoint | undefined;
  /** Launches that an earlier instance had started and that ended with it. */
  readonly lost: readonly string[];
}

/** One launch, from RUN_TASK to the acknowledgement of its end. */
export interface LaunchRow {
  readonly launchId: string;
  readonly taskId: string;
  readonly frameworkId: string;
  /** What it runs; `undefined` of a launch that is refused. */
  readonly task: TaskInfo | undefined;
  /** Latest state, sent or not. */
  state: TaskState;
  /** Updates in order; the first is outstanding, the rest wait for its acknowledgement. Rule: UPD-5. */
  readonly updates: TaskStatus[];
  /** Tries of the first update in this session. */
  attempt: number;
  /** Message that led to what it does now: its RUN_TASK, or the last KILL_TASK. */
  cause: string | undefined;
}

export interface AgentState extends ActorState {
  readonly config: AgentConfig;
  readonly member: Member;
  agentId: string | undefined;
  /** Half of every update's uuid: another in each instance. */
  uuidSeed: number;
  uuids: number;
  heartbeatIntervalMs: number;
  readonly launches: Map<string, LaunchRow>;
  /** Launches that are over or refused, with their true last state: none of them starts again. Rule: LCH-1. */
  readonly ended: Map<string, TaskState>;
  /** Set by a decision, read by the chart: what the link needs. */
  need: 'nothing' | 'registration' | 'invitation' | 'end';
  checkpoints: number;
  stopping: boolean;
}

export function newAgentState(config: AgentConfig): AgentState {
  return {
    config,
    deadlines: new Deadlines(),
    announcedMs: undefined,
    member: newMember(config.checkpoint?.epoch ?? 0),
    agentId: config.checkpoint?.agentId,
    uuidSeed: 0,
    uuids: 0,
    heartbeatIntervalMs: config.timings.heartbeatIntervalMs,
    launches: new Map(),
    ended: new Map(config.lost.map((launchId) => [launchId, 'TASK_GONE'])),
    need: 'nothing',
    checkpoints: 0,
    stopping: false,
  };
}

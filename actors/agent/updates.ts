/** Status updates: one ordered, acknowledged, repeated stream per launch. Rules: UPD-1 to UPD-6, LCH-1, LCH-2. */
import type { LaunchRef } from '../../protocol/agent-api.js';
import { hex, uuidOf } from '../../protocol/ids.js';
import type { TaskInfo, TaskState, TaskStatus } from '../../protocol/task.js';
import { isLegalMove, isTerminal } from '../../protocol/task-state.js';
import { NO_SESSION } from '../../protocol/ids.js';
import { NOTHING, publish, type Effects } from '../effect.js';
import type { MasterToAgentMessage, MessageOf } from '../events.js';
import type { AgentState, LaunchRow } from './agent-state.js';

/** Launches that are over are remembered up to this many, the oldest forgotten first. */
const MAX_ENDED = 200_000;

export function newLaunch(
  state: AgentState,
  { launchId, taskId, frameworkId }: LaunchRef,
  { task, cause }: { task?: TaskInfo; cause?: string } = {},
): LaunchRow {
  const row: LaunchRow = { launchId, taskId, frameworkId, task, state: 'TASK_STAGING', updates: [], attempt: 0, cause };
  state.launches.set(launchId, row);
  return row;
}

/** Appends an update to its launch's stream; nothing follows a terminal state. Rules: UPD-5, TSK-1. */
export function update(state: AgentState, row: LaunchRow, status: Omit<TaskStatus, 'taskId'>, now: number): Effects {
  if (!isLegalMove(row.state, status.state)) return NOTHING;
  row.state = status.state;
  row.updates.push({
    ...status,
    taskId: row.taskId,
    launchId: row.launchId,
    ...(state.agentId !== undefined && { agentId: state.agentId }),
    executorId: row.taskId,
    timestamp: now / 1000,
    uuid: uuidOf(state.uuidSeed, ++state.uuids),
  });
  if (isTerminal(status.state)) rememberEnd(state, row.launchId, status.state);
  return row.updates.length === 1 ? send(state, row, now) : NOTHING;
}

function rememberEnd(state: AgentState, launchId: string, end: TaskState): void {
  state.ended.set(launchId, end);
  const oldest = state.ended.keys().next().value;
  if (state.ended.size > MAX_ENDED && oldest !== undefined) state.ended.delete(oldest);
}

/** Sends the first update of a stream, if there is a session, and arms its repetition. */
function send(state: AgentState, row: LaunchRow, now: number): Effects {
  const [status] = row.updates;
  const { link, epoch } = state.member;
  if (status === undefined || link.session === NO_SESSION || state.agentId === undefined) return NOTHING;
  const { updateRetryMs, updateRetryMaxMs } = state.config.timings;
  state.deadlines.set(`update:${row.launchId}`, now + Math.min(updateRetryMaxMs, updateRetryMs * 2 ** row.attempt));
  row.attempt += 1;
  const body = { agentId: state.agentId, frameworkId: row.frameworkId, status, latestState: row.state };
  const to = { row: 'masterAgent' as const, parameters: { principal: state.config.name } };
  return [publish(to, 'STATUS_UPDATE', body, { session: link.session, epoch, cause: row.cause })];
}

export function onUpdateDue(state: AgentState, launchId: string, now: number): Effects {
  const row = state.launches.get(launchId);
  return row === undefined ? NOTHING : send(state, row, now);
}

/** In a new session everything outstanding goes at once. Rule: UPD-6. */
export function sendOutstanding(state: AgentState, now: number): Effects {
  return [...state.launches.values()].flatMap((row) => {
    row.attempt = 0;
    return send(state, row, now);
  });
}

/** The scheduler has it: the next one goes, or the launch is over. Rules: UPD-1, UPD-3. */
export function onAcknowledged(
  state: AgentState,
  { body, now }: MessageOf<MasterToAgentMessage, 'master.STATUS_UPDATE_ACKNOWLEDGEMENT'>,
): Effects {
  const row = body.launchId === undefined ? findByTask(state, body) : state.launches.get(body.launchId);
  const head = row?.updates[0];
  if (row === undefined || row.frameworkId !== body.frameworkId) return NOTHING;
  if (head?.uuid === undefined || hex(head.uuid) !== hex(body.uuid)) return NOTHING;
  row.updates.shift();
  row.attempt = 0;
  state.deadlines.clear(`update:${row.launchId}`);
  if (!isTerminal(head.state)) return send(state, row, now);
  state.launches.delete(row.launchId);
  return NOTHING;
}

function findByTask(state: AgentState, { frameworkId, taskId }: { frameworkId: string; taskId: string }) {
  for (const row of state.launches.values()) if (row.frameworkId === frameworkId && row.taskId === taskId) return row;
  return undefined;
}

/** Answers for launches that the registry has and we do not run: only the agent may say so. Rule: LCH-2. */
export function answerLaunches(state: AgentState, launches: readonly LaunchRef[], now: number): Effects {
  return launches.flatMap((launch) => (state.launches.has(launch.launchId) ? NOTHING : disown(state, launch, now)));
}

/** From now on this launch is refused; then it is said that it did not start, or how it ended. Rule: LCH-2. */
export function disown(state: AgentState, launch: LaunchRef, now: number): Effects {
  const end = state.ended.get(launch.launchId);
  const row = newLaunch(state, launch);
  return update(
    state,
    row,
    {
      state: end ?? 'TASK_DROPPED',
      source: 'SOURCE_AGENT',
      reason: 'REASON_AGENT_RESTARTED',
      message: messageOf(end),
    },
    now,
  );
}

function messageOf(end: TaskState | undefined): string {
  if (end === undefined || end === 'TASK_DROPPED') return 'The launch was never started.';
  return end === 'TASK_GONE'
    ? 'The agent was restarted, and what it ran ended with it.'
    : 'The launch is over; this is its last state known.';
}

/** Status updates: one ordered, stored, acknowledged, repeated stream per launch. Rules: UPD-1 to UPD-6, LCH-1, LCH-2, AGS-1. */
import type { LaunchRef } from '../../protocol/agent-api.js';
import { CHECKPOINT_VERSION, checkpointKey } from '../../protocol/checkpoint.js';
import { hex, uuidOf, NO_SESSION } from '../../protocol/ids.js';
import type { TaskInfo, TaskState, TaskStatus } from '../../protocol/task.js';
import { isLegalMove, isTerminal } from '../../protocol/task-state.js';
import { NOTHING, publish, type CheckpointWrite, type Effects } from '../effect.js';
import type { MasterToAgentMessage, MessageOf } from '../events.js';
import { sandboxOf } from '../framework/container-of.js';
import { persist, type AfterStored, type AgentState, type LaunchRow } from './agent-state.js';
import { isRefused, rememberEnd } from './ended.js';
import { sandboxEnded } from './sandboxes.js';

/** Acknowledgements that nothing waits for are stored together after so long. Rule: AGS-5. */
const SAVE_GATHER_MS = 50;

/** What is stored of a launch once. */
interface Launch extends LaunchRef {
  readonly task?: TaskInfo | undefined;
  readonly sendKilling: boolean;
  readonly cause?: string | undefined;
  readonly user?: string | undefined;
  readonly containerId?: string | undefined;
}

/** A row, and the record that is to be stored before anybody acts on it. */
export function newLaunch(state: AgentState, launch: Launch): { row: LaunchRow; write: CheckpointWrite } {
  const { launchId, taskId, frameworkId, task, sendKilling, cause, user, containerId } = launch;
  const row: LaunchRow = {
    launchId,
    taskId,
    frameworkId,
    task,
    containerId,
    taken: new Set(),
    executorUuid: undefined,
    state: 'TASK_STAGING',
    storedState: 'TASK_STAGING',
    updates: [],
    stored: 0,
    settling: 0,
    attempt: 0,
    cause,
    runningAtMs: undefined,
    kill: undefined,
  };
  state.launches.set(launchId, row);
  const value = {
    schemaVersion: CHECKPOINT_VERSION,
    ...{ launchId, taskId, frameworkId, sendKilling },
    ...(task !== undefined && { task }),
    ...(cause !== undefined && { cause }),
    ...(user !== undefined && { user }),
    ...(containerId !== undefined && { containerId }),
  };
  return { row, write: { key: checkpointKey('launch', launchId), value } };
}

/** All that changes of a launch, as it is now. */
export function streamWrite(state: AgentState, row: LaunchRow): CheckpointWrite {
  state.unsaved.delete(row.launchId);
  const { launchId, runningAtMs, kill, executorUuid } = row;
  const value = {
    schemaVersion: CHECKPOINT_VERSION,
    launchId,
    state: row.state,
    updates: [...row.updates],
    ...(runningAtMs !== undefined && { runningAtMs }),
    ...(executorUuid !== undefined && { executorUuid }),
    ...(kill !== undefined && { kill }),
  };
  return { key: checkpointKey('stream', launchId), value };
}

/** Appends an update to its launch's stream; nothing follows a terminal state. Rules: UPD-5, TSK-1. */
function append(state: AgentState, row: LaunchRow, status: Omit<TaskStatus, 'taskId'>, now: number): boolean {
  if (!isLegalMove(row.state, status.state)) return false;
  row.state = status.state;
  if (status.state === 'TASK_RUNNING') row.runningAtMs ??= now;
  row.updates.push({
    ...status,
    taskId: row.taskId,
    launchId: row.launchId,
    ...(state.agentId !== undefined && { agentId: state.agentId }),
    executorId: row.task?.executor?.executorId ?? row.taskId,
    timestamp: status.timestamp ?? now / 1000,
    // An executor's own uuid is the one that it waits for.
    uuid: status.uuid ?? uuidOf(state.uuidSeed, ++state.uuids),
  });
  return true;
}

/** The store has one more update: it goes, if none is before it. Of an end, nobody else needs to keep what it was. */
function onUpdateStored(state: AgentState, row: LaunchRow, stored: TaskState, now: number): Effects {
  row.stored += 1;
  row.storedState = stored;
  const effects = row.stored === 1 ? send(state, row, now) : NOTHING;
  if (row.task === undefined || row.containerId !== undefined || !isTerminal(stored)) return effects;
  return [...effects, { type: 'forgetContainer', containerId: row.launchId }];
}

/** An update is stored, with other records of the same decision, then sent. Rule: AGS-1. */
export function update(
  state: AgentState,
  row: LaunchRow,
  status: Omit<TaskStatus, 'taskId'>,
  now: number,
  also: readonly CheckpointWrite[] = [],
  then: AfterStored = () => NOTHING,
): Effects {
  if (!append(state, row, status, now)) return NOTHING;
  const writes = [...also, streamWrite(state, row)];
  return persist(state, writes, (current, at) => [
    ...onUpdateStored(current, row, status.state, at),
    ...then(current, at),
  ]);
}

/** Sends the first update of a stream, if it is stored and there is a session, and arms its repetition. */
function send(state: AgentState, row: LaunchRow, now: number): Effects {
  const [status] = row.updates;
  const { link, epoch } = state.member;
  if (status === undefined || row.stored === 0 || row.settling > 0) return NOTHING;
  if (link.session === NO_SESSION || state.agentId === undefined) return NOTHING;
  const { updateRetryMs, updateRetryMaxMs } = state.config.timings;
  state.deadlines.set(`update:${row.launchId}`, now + Math.min(updateRetryMaxMs, updateRetryMs * 2 ** row.attempt));
  row.attempt += 1;
  const body = { agentId: state.agentId, frameworkId: row.frameworkId, status, latestState: row.storedState };
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

/** The scheduler has it: the next one goes, or the launch is over. Rules: UPD-1, UPD-3, AGS-5. */
export function onAcknowledged(
  state: AgentState,
  { body, now }: MessageOf<MasterToAgentMessage, 'master.STATUS_UPDATE_ACKNOWLEDGEMENT'>,
): Effects {
  const row = body.launchId === undefined ? findByTask(state, body) : state.launches.get(body.launchId);
  const head = row?.updates[0];
  if (row === undefined || row.stored === 0 || row.frameworkId !== body.frameworkId) return NOTHING;
  if (head?.uuid === undefined || hex(head.uuid) !== hex(body.uuid)) return NOTHING;
  row.updates.shift();
  row.stored -= 1;
  row.attempt = 0;
  state.deadlines.clear(`update:${row.launchId}`);
  if (isTerminal(head.state)) return endLaunch(state, row, head.state, now);
  if (row.updates.length > 0) return settle(state, row);
  // Nothing waits for it, so it can share a write with others.
  state.unsaved.add(row.launchId);
  state.deadlines.setEarliest('save', now + SAVE_GATHER_MS);
  return NOTHING;
}

/**
 * The next update goes when the store has the acknowledgement of the one before.
 * 1. RUNNING is acknowledged, FINISHED is sent. 2. The agent dies, and the acknowledgement with it. 3. Its next life would
 * send RUNNING behind FINISHED.
 */
function settle(state: AgentState, row: LaunchRow): Effects {
  row.settling += 1;
  return persist(state, [streamWrite(state, row)], (current, at) => {
    row.settling -= 1;
    return send(current, row, at);
  });
}

/** Launch and end in one write: at no moment is there neither. */
function endLaunch(state: AgentState, row: LaunchRow, end: TaskState, now: number): Effects {
  const { launchId } = row;
  state.launches.delete(launchId);
  state.unsaved.delete(launchId);
  const gone = (['launch', 'stream'] as const).map((kind) => ({ key: checkpointKey(kind, launchId) }));
  return persist(state, [...gone, rememberEnd(state, launchId, end, now)], (current, at) => {
    if (row.task !== undefined && row.containerId === undefined)
      sandboxEnded(current, sandboxOf(row.frameworkId, row.taskId, launchId), at);
    return NOTHING;
  });
}

/** Stores the acknowledgements that have gathered. */
export function save(state: AgentState): Effects {
  state.deadlines.clear('save');
  const rows = [...state.unsaved].flatMap((launchId) => state.launches.get(launchId) ?? []);
  if (rows.length === 0) return NOTHING;
  return persist(
    state,
    rows.map((row) => streamWrite(state, row)),
    () => NOTHING,
  );
}

function findByTask(state: AgentState, { frameworkId, taskId }: { frameworkId: string; taskId: string }) {
  for (const row of state.launches.values()) if (row.frameworkId === frameworkId && row.taskId === taskId) return row;
  return undefined;
}

/** Answers for launches that the registry has and we do not run: only the agent may say so. Rule: LCH-2. */
export function answerLaunches(state: AgentState, launches: readonly LaunchRef[], now: number): Effects {
  const missing = new Map(launches.map((launch) => [launch.launchId, launch]));
  for (const launchId of missing.keys()) if (state.launches.has(launchId)) missing.delete(launchId);
  return disown(state, [...missing.values()], now);
}

/** From now on these launches are refused; when that is stored it is said that they did not start, or how they ended. Rule: LCH-2. */
export function disown(state: AgentState, launches: readonly LaunchRef[], now: number): Effects {
  if (launches.length === 0) return NOTHING;
  const refused = launches.map((launch) => {
    const known = state.ended.get(launch.launchId)?.state;
    const isForgotten = known === undefined && isRefused(state, launch.launchId);
    // It may have run: that it was never started is said only of what is known not to have been. Rule: LCH-4.
    const end = isForgotten ? 'TASK_GONE' : (known ?? 'TASK_DROPPED');
    const message = messageOf(end, isForgotten);
    const { row, write } = newLaunch(state, { ...launch, sendKilling: false });
    append(state, row, { state: end, source: 'SOURCE_AGENT', reason: 'REASON_AGENT_RESTARTED', message }, now);
    return { row, writes: [write, streamWrite(state, row)] };
  });
  return persist(
    state,
    refused.flatMap(({ writes }) => writes),
    (current, at) => refused.flatMap(({ row }) => onUpdateStored(current, row, row.state, at)),
  );
}

function messageOf(end: TaskState, isForgotten: boolean): string {
  if (isForgotten) return 'The launch is too old to be remembered, and is refused.';
  return end === 'TASK_DROPPED' ? 'The launch was never started.' : 'The launch is over; this is its last state known.';
}

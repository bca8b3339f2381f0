/** What an agent is told to run, kill and end, and what its executor says. Rules: LCH-1, KIL-1, AGT-4, AGS-1, AGS-7. */
import type { KillPolicy } from '../../protocol/container.js';
import { errorBody } from '../../protocol/errors.js';
import { isTerminal } from '../../protocol/task-state.js';
import { log, NOTHING, reply, type Effect, type Effects } from '../effect.js';
import type {
  AgentOperatorMessage,
  CheckpointEvent,
  InvalidMessage,
  MasterToAgentMessage,
  MessageOf,
  Stamp,
} from '../events.js';
import { graceMsOf, type CommandExecutorEvent, type ExecutorUpdate } from '../framework/command-executor.js';
import { admitMessage } from '../member.js';
import { invariant, unreachable } from '../invariant.js';
import { persist, type AgentState, type LaunchRow } from './agent-state.js';
import { isRefused, onForgetDue } from './ended.js';
import { shutdownGraceMs } from './executor-container.js';
import { heartbeatExecutors } from './executor-link.js';
import {
  killOnExecutor,
  onContainerStatus,
  onExecutorDue,
  onMessageForExecutor,
  onShutdownExecutor,
  runOnExecutor,
  shutDownExecutors,
} from './executors.js';
import { onSilenceDue, toMaster } from './registration.js';
import { onDiskDue } from './sandboxes.js';
import { disown, newLaunch, onAcknowledged, onUpdateDue, save, streamWrite, update } from './updates.js';

const tell = (event: CommandExecutorEvent): Effect => ({ type: 'tell', actor: 'commandExecutor', event });

/** What was asked of the store is stored. Rule: AGS-1. */
export function onCheckpointed(state: AgentState, { requestId, now }: CheckpointEvent): Effects {
  const then = state.pending.get(requestId);
  invariant(then !== undefined, `stored what nobody asked for: ${requestId}`);
  state.pending.delete(requestId);
  return then(state, now);
}

/** Messages of the session; a gap means that something is lost, and the agent registers anew. Rule: LNK-1. */
export function onMasterMessage(state: AgentState, event: MasterToAgentMessage): Effects {
  const admission = admitMessage(state.member, event.meta, event.now);
  if (admission === 'gap') {
    state.need = 'registration';
    return [log('info', 'a message of the master is lost'), { type: 'count', metric: 'session_gap' }];
  }
  return admission === 'ok' ? onAdmitted(state, event) : NOTHING;
}

function onAdmitted(state: AgentState, event: MasterToAgentMessage): Effects {
  switch (event.type) {
    case 'master.RUN_TASK':
      return onRunTask(state, event);
    case 'master.KILL_TASK':
      return onKillTask(state, event);
    case 'master.STATUS_UPDATE_ACKNOWLEDGEMENT':
      return onAcknowledged(state, event);
    case 'master.SHUTDOWN_FRAMEWORK':
      return killAll(state, event.now, event.body.frameworkId);
    case 'master.SHUTDOWN_EXECUTOR':
      return onShutdownExecutor(state, event);
    case 'master.EXECUTOR_MESSAGE':
      return onMessageForExecutor(state, event);
    case 'master.PING':
      return [toMaster(state, 'PONG', { agentId: state.agentId ?? '' }, { cause: event.meta.id })];
    case 'master.SHUTDOWN':
      state.need = 'end';
      return [log('warn', 'the master does not want this agent', { message: event.body.message })];
    case 'master.INVITE':
    case 'master.DIFFERS':
    case 'master.REGISTERED':
    case 'master.REREGISTERED':
      return NOTHING; // these come before a session and do not belong to one; the chart takes them
    default:
      return unreachable(event);
  }
}

/** A launchId that has been seen is refused, whatever became of it; another is stored, then started. Rules: LCH-1, AGS-1. */
function onRunTask(state: AgentState, event: MessageOf<MasterToAgentMessage, 'master.RUN_TASK'>): Effects {
  const { body, meta, now } = event;
  const { frameworkId, launchId, task, frameworkInfo } = body;
  if (state.launches.has(launchId) || isRefused(state, launchId)) return NOTHING;
  // What is started now nobody would kill.
  if (state.stopping !== 'no') return disown(state, [{ frameworkId, taskId: task.taskId, launchId }], now);
  const capabilities = frameworkInfo.capabilities ?? [];
  const sendKilling = capabilities.some((capability) => capability.type === 'TASK_KILLING_STATE');
  if (task.executor !== undefined) return runOnExecutor(state, event, sendKilling);
  const { user } = frameworkInfo;
  const { taskId } = task;
  const { write } = newLaunch(state, { launchId, taskId, frameworkId, task, sendKilling, user, cause: meta.id });
  return persist(state, [write], (current) => {
    // The next life starts it.
    if (current.stopping === 'leaving') return NOTHING;
    const agentId = current.agentId ?? '';
    return [tell({ type: 'agent.LAUNCH', launchId, frameworkId, agentId, task, sendKilling, user })];
  });
}

function onKillTask(
  state: AgentState,
  { body, meta, now }: MessageOf<MasterToAgentMessage, 'master.KILL_TASK'>,
): Effects {
  const { frameworkId, taskId, killPolicy } = body;
  const launchId =
    body.launchId ??
    [...state.launches.values()].find((row) => row.frameworkId === frameworkId && row.taskId === taskId)?.launchId;
  if (launchId === undefined) return NOTHING;
  const row = state.launches.get(launchId);
  if (row === undefined) return disown(state, [{ frameworkId, taskId, launchId }], now);
  if (isTerminal(row.state)) return NOTHING;
  row.cause = meta.id;
  return kill(state, [row], killPolicy, now);
}

/** Kills what a framework runs, or everything; executors end their tasks themselves. */
export function killAll(state: AgentState, now: number, frameworkId?: string): Effects {
  const rows = [...state.launches.values()].filter(
    (row) =>
      row.containerId === undefined &&
      !isTerminal(row.state) &&
      (frameworkId === undefined || row.frameworkId === frameworkId),
  );
  return [...kill(state, rows, undefined, now), ...shutDownExecutors(state, now, frameworkId)];
}

/** The wish is stored, then the executor hears of it. One that asks for nothing sooner is carried out already. Rules: KIL-1, AGS-4. */
function kill(state: AgentState, rows: readonly LaunchRow[], killPolicy: KillPolicy | undefined, now: number): Effects {
  const sooner = rows.filter((row) => {
    const graceMs = graceMsOf(state.config.timings, row.task, killPolicy);
    const { requestedAtMs, graceMs: before } = row.kill ?? { requestedAtMs: Infinity, graceMs: 0 };
    if (now + graceMs >= requestedAtMs + before) return false;
    row.kill = { requestedAtMs: now, graceMs };
    return true;
  });
  if (sooner.length === 0) return NOTHING;
  return persist(
    state,
    sooner.map((row) => streamWrite(state, row)),
    (current, at) =>
      sooner.flatMap((row) =>
        row.containerId === undefined
          ? [tell({ type: 'agent.KILL', launchId: row.launchId, killPolicy })]
          : killOnExecutor(current, row, killPolicy, at),
      ),
  );
}

/** The command executor reports: of a command, or of the container of an executor. */
export function onExecutorUpdate(state: AgentState, { launchId, status, now }: ExecutorUpdate & Stamp): Effects {
  const executor = state.executors.get(launchId);
  if (executor !== undefined) return onContainerStatus(state, executor, status, now);
  const row = state.launches.get(launchId);
  return row === undefined ? NOTHING : update(state, row, { source: 'SOURCE_EXECUTOR', ...status }, now);
}

/** Reads of sandboxes. Rule: AGT-5. */
export function onOperatorCall(state: AgentState, event: AgentOperatorMessage): Effects {
  const { reply: to, id: cause } = event.meta;
  if (to === undefined) return NOTHING;
  const { epoch } = state.member;
  if (event.type === 'operator.LIST_FILES')
    return [{ type: 'replyFile', to, cause, epoch, request: { type: 'LIST_FILES', path: event.body.listFiles.path } }];
  const { path, offset, length = MAX_READ_BYTES } = event.body.readFile;
  const request = { type: 'READ_FILE', path, offset, length: Math.min(length, MAX_READ_BYTES) } as const;
  return [{ type: 'replyFile', to, cause, epoch, request }];
}

/** Tells the caller what is wrong. Rule: PRO-1. */
export function onInvalidCall(state: AgentState, { meta, body }: InvalidMessage): Effects {
  const error = errorBody('INVALID_MESSAGE', `${body.call}: ${body.wrong}.`);
  return reply('agentOperator', meta, 'ERROR', error, state.member.epoch);
}

/** Most bytes of a file in one answer. */
const MAX_READ_BYTES = 192 * 1024;

/** Runs every deadline that is due. */
export function onTick(state: AgentState, { now }: Stamp): Effects {
  const effects: Effect[] = [];
  for (let key = state.deadlines.take(now); key !== undefined; key = state.deadlines.take(now))
    for (const effect of onDue(state, key, now)) effects.push(effect);
  return effects;
}

function onDue(state: AgentState, key: string, now: number): Effects {
  const at = key.indexOf(':');
  switch (at < 0 ? key : key.slice(0, at)) {
    case 'register':
    case 'invitation':
      if (state.need !== 'end') state.need = 'registration';
      return NOTHING;
    case 'silence':
      return onSilenceDue(state, now);
    case 'update':
      return onUpdateDue(state, key.slice(at + 1), now);
    case 'save':
      return save(state);
    case 'disk':
      return onDiskDue(state, now);
    case 'forget':
      return onForgetDue(state, now);
    case 'executor':
      return onExecutorDue(state, key.slice(at + 1), now);
    case 'executors':
      return heartbeatExecutors(state, now);
    case 'end':
      state.need = 'end';
      return NOTHING;
    default:
      return [log('error', 'a deadline of no known kind', { key })];
  }
}

/** The end of the agent and of its tasks: nothing new, everything running is killed. Rule: AGT-4. */
export function onStop(state: AgentState, { now }: Stamp): Effects {
  state.stopping = 'ending';
  // It may be what brought us here; from here on it says that the time is up.
  state.need = 'nothing';
  const { timings } = state.config;
  const graces = [...state.executors.values()].map((row) => shutdownGraceMs(row, timings));
  state.deadlines.set('end', now + Math.max(2 * timings.killGraceMs, ...graces) + 2_000);
  return killAll(state, now);
}

/** The end of the agent alone: its tasks run on, and the next life finds them. Rule: AGS-7. */
export function onLeave(state: AgentState): Effects {
  state.stopping = 'leaving';
  return save(state);
}

/** Whether all that was said is stored. */
export const isSettled = (state: AgentState): boolean => state.pending.size === 0;

export const isIdle = (state: AgentState): boolean =>
  state.need === 'end' ||
  (isSettled(state) &&
    state.executors.size === 0 &&
    [...state.launches.values()].every((row) => isTerminal(row.state)));

export function sayGoodbye(state: AgentState): Effects {
  const bye: Effects =
    state.agentId === undefined ? NOTHING : [toMaster(state, 'UNREGISTER', { agentId: state.agentId })];
  return [...bye, { type: 'stop', restart: false, reason: 'asked to stop' }];
}

export const leave = (): Effects => [{ type: 'stop', restart: false, reason: 'asked to stop; its tasks run on' }];

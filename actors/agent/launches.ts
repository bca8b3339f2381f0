/** What an agent is told to run, kill and end, and what its executor says. Rules: LCH-1, KIL-1, AGT-4. */
import { errorBody } from '../../protocol/errors.js';
import { isTerminal } from '../../protocol/task-state.js';
import { log, NOTHING, reply, type Effect, type Effects } from '../effect.js';
import type { AgentOperatorMessage, InvalidMessage, MasterToAgentMessage, MessageOf, Stamp } from '../events.js';
import { admitMessage } from '../member.js';
import { unreachable } from '../invariant.js';
import type { CommandExecutorEvent, ExecutorUpdate } from '../framework/command-executor.js';
import type { AgentState } from './agent-state.js';
import { onSilenceDue, passGate, toMaster } from './registration.js';
import { disown, newLaunch, onAcknowledged, onUpdateDue, update } from './updates.js';

const tell = (event: CommandExecutorEvent): Effect => ({ type: 'tell', actor: 'commandExecutor', event });

/** Messages of the session; a gap means that something is lost, and the agent registers anew. Rule: LNK-1. */
export function onMasterMessage(state: AgentState, event: MasterToAgentMessage): Effects {
  const { pass, effects } = passGate(state, event.meta);
  if (!pass) return effects;
  const admission = admitMessage(state.member, event.meta, event.now);
  if (admission === 'gap') {
    state.need = 'registration';
    return [...effects, log('info', 'a message of the master is lost'), { type: 'count', metric: 'session_gap' }];
  }
  return admission === 'ok' ? [...effects, ...onAdmitted(state, event)] : effects;
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
      return killAll(state, event.body.frameworkId);
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

/** A launchId that has been seen is refused, whatever became of it. Rule: LCH-1. */
function onRunTask(
  state: AgentState,
  { body, meta, now }: MessageOf<MasterToAgentMessage, 'master.RUN_TASK'>,
): Effects {
  const { frameworkId, launchId, task, frameworkInfo } = body;
  if (state.launches.has(launchId) || state.ended.has(launchId)) return NOTHING;
  // What is started now nobody would kill.
  if (state.stopping) return disown(state, { frameworkId, taskId: task.taskId, launchId }, now);
  newLaunch(state, { launchId, taskId: task.taskId, frameworkId }, { task, cause: meta.id });
  const capabilities = frameworkInfo.capabilities ?? [];
  const sendKilling = capabilities.some((capability) => capability.type === 'TASK_KILLING_STATE');
  const agentId = state.agentId ?? '';
  return [tell({ type: 'agent.LAUNCH', launchId, frameworkId, agentId, task, sendKilling })];
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
  if (row === undefined) return disown(state, { frameworkId, taskId, launchId }, now);
  if (isTerminal(row.state)) return NOTHING;
  row.cause = meta.id;
  return [tell({ type: 'agent.KILL', launchId, killPolicy })];
}

/** Kills what a framework runs, or everything. */
export function killAll(state: AgentState, frameworkId?: string): Effects {
  const effects: Effect[] = [];
  for (const row of state.launches.values()) {
    if (isTerminal(row.state) || (frameworkId !== undefined && row.frameworkId !== frameworkId)) continue;
    effects.push(tell({ type: 'agent.KILL', launchId: row.launchId, killPolicy: undefined }));
  }
  return effects;
}

/** The command executor reports. */
export function onExecutorUpdate(state: AgentState, { launchId, status, now }: ExecutorUpdate & Stamp): Effects {
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
    case 'end':
      state.need = 'end';
      return NOTHING;
    default:
      return [log('error', 'a deadline of no known kind', { key })];
  }
}

/** An orderly end: nothing new, everything running is killed. Until launches outlive the agent they must not be left behind. */
export function onStop(state: AgentState, { now }: Stamp): Effects {
  state.stopping = true;
  // It may be what brought us here; from here on it says that the time is up.
  state.need = 'nothing';
  state.deadlines.set('end', now + 2 * state.config.timings.killGraceMs + 2_000);
  return killAll(state);
}

export const isIdle = (state: AgentState): boolean =>
  state.need === 'end' || [...state.launches.values()].every((row) => isTerminal(row.state));

export function sayGoodbye(state: AgentState): Effects {
  const bye: Effects =
    state.agentId === undefined ? NOTHING : [toMaster(state, 'UNREGISTER', { agentId: state.agentId })];
  return [...bye, { type: 'stop', restart: false, reason: 'asked to stop' }];
}

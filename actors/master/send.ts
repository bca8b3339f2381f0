/** How a leading master addresses its peers: session and epoch in every message. */
import type { MessageBody, MessageType } from '../../protocol/messages.js';
import { NO_SESSION, sessionIdOf } from '../../protocol/ids.js';
import type { TaskState, TaskStatus } from '../../protocol/task.js';
import { NOTHING, publish, type Effects, type Publish } from '../effect.js';
import type { AgentRow, FrameworkRow, MasterState, Peer, TaskRow } from './master-state.js';
import type { Removed, Settled, Stored } from './stored.js';

/** A new session for a peer: what it sent and saw under the old one no longer counts. Rule: LNK-1. */
export function beginSession(state: MasterState, peer: Peer): void {
  peer.link.session = sessionIdOf(state.masterId, ++state.counters.session);
  peer.link.seen = 0;
  peer.missedHeartbeats = 0;
}

/** What these messages rest on, and cannot be sent without. Rule: REG-3. */
interface Basis {
  readonly REGISTERED: Stored<AgentRow>;
  readonly REREGISTERED: Stored<AgentRow>;
  readonly RUN_TASK: Stored<TaskRow>;
  readonly SHUTDOWN_FRAMEWORK: Removed;
  readonly STATUS_UPDATE_ACKNOWLEDGEMENT: Settled;
}

/** A message that rests on nothing stored. */
export const toAgent = <T extends Exclude<MessageType<'agentMaster'>, keyof Basis>>(
  state: MasterState,
  agent: AgentRow,
  message: T,
  body: MessageBody<'agentMaster', T>,
  cause?: string,
): Publish => sendToAgent(state, agent, message, body, cause);

/** A message that rests on a row that the registry has, or no longer has. */
export const toAgentOf = <T extends keyof Basis>(
  _basis: Basis[T],
  state: MasterState,
  agent: AgentRow,
  message: T,
  body: MessageBody<'agentMaster', T>,
  cause?: string,
): Publish => sendToAgent(state, agent, message, body, cause);

function sendToAgent<T extends MessageType<'agentMaster'>>(
  state: MasterState,
  agent: AgentRow,
  message: T,
  body: MessageBody<'agentMaster', T>,
  cause?: string,
): Publish {
  return publish(
    {
      row: 'agentMaster',
      parameters: { principal: agent.principal, agentId: agent.agentId, sessionId: agent.link.session },
    },
    message,
    body,
    { session: agent.link.session, epoch: state.epoch, cause },
  );
}

/** The word that a session begins with. It rests on the framework's row. Rule: REG-3. */
export const subscribed = (
  state: MasterState,
  framework: Stored<FrameworkRow>,
  body: MessageBody<'scheduler', 'SUBSCRIBED'>,
  cause: string,
): Publish => sendToScheduler(state, framework, 'SUBSCRIBED', body, cause);

type Recipient = Pick<FrameworkRow, 'principal' | 'frameworkId'> & { link: { session: string } };

/** States that a scheduler hears of only if it is PARTITION_AWARE; to the others each is the one word that they know. Rule: REC-2. */
const AWARE_ONLY: ReadonlySet<TaskState> = new Set([
  'TASK_DROPPED',
  'TASK_UNREACHABLE',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
  'TASK_UNKNOWN',
]);

/** Tells a scheduler a status, in words that it understands. Rule: REC-2. */
export function tellStatus(state: MasterState, framework: FrameworkRow, told: TaskStatus, cause?: string): Publish {
  const isAware = framework.info.capabilities?.some(({ type }) => type === 'PARTITION_AWARE') === true;
  const status: TaskStatus = AWARE_ONLY.has(told.state) && !isAware ? { ...told, state: 'TASK_LOST' } : told;
  return sendToScheduler(state, framework, 'UPDATE', { update: { status } }, cause);
}

export const toScheduler = <T extends Exclude<MessageType<'scheduler'>, 'SUBSCRIBED' | 'UPDATE'>>(
  state: MasterState,
  framework: Recipient,
  message: T,
  body: MessageBody<'scheduler', T>,
  cause?: string,
): Publish => sendToScheduler(state, framework, message, body, cause);

function sendToScheduler<T extends MessageType<'scheduler'>>(
  state: MasterState,
  framework: Recipient,
  message: T,
  body: MessageBody<'scheduler', T>,
  cause?: string,
): Publish {
  const { principal, frameworkId, link } = framework;
  return publish({ row: 'scheduler', parameters: { principal, frameworkId, sessionId: link.session } }, message, body, {
    session: link.session,
    epoch: state.epoch,
    cause,
  });
}

/** A scheduler is asked at most so often to come again, however many stale messages it sends. */
const INVITE_INTERVAL_MS = 1_000;

/** Asks an agent to register again. Rule: LNK-1. */
export function inviteAgent(state: MasterState, agent: AgentRow, now: number): Effects {
  if (now - agent.invitedAtMs < INVITE_INTERVAL_MS) return NOTHING;
  agent.invitedAtMs = now;
  const { principal, agentId } = agent;
  return [
    publish(
      { row: 'agentMaster', parameters: { principal, agentId, sessionId: NO_SESSION } },
      'INVITE',
      { masterId: state.masterId },
      { session: NO_SESSION, epoch: state.epoch },
    ),
  ];
}

/** Asks a scheduler to subscribe again. Rule: LNK-1. */
export function inviteScheduler(
  state: MasterState,
  framework: FrameworkRow,
  now: number,
  principal = framework.principal,
): Effects {
  if (now - framework.invitedAtMs < INVITE_INTERVAL_MS) return NOTHING;
  framework.invitedAtMs = now;
  return [toScheduler(state, { ...framework, principal, link: { session: NO_SESSION } }, 'INVITE', {})];
}

/** How an agent addresses its executors. Rules: EXC-3, EXC-7. */
import type { MessageBody, MessageType } from '../../protocol/messages.js';
import { NO_SESSION } from '../../protocol/ids.js';
import { NOTHING, publish, type Effect, type Effects } from '../effect.js';
import type { AgentState, ExecutorRow } from './agent-state.js';

type Event<T extends MessageType<'executor'>> = MessageBody<'executor', T>;
export interface Named {
  readonly frameworkId: string;
  readonly executorId: string;
}

/** To whoever speaks for an executor, in any session. */
export function address<T extends MessageType<'executor'>>(
  state: AgentState,
  principal: string,
  { frameworkId, executorId }: Named,
  sessionId: string,
  message: T,
  body: Event<T>,
  cause?: string,
): Effect {
  const parameters = { agentPrincipal: state.config.name, principal, frameworkId, executorId, sessionId };
  const { epoch } = state.member;
  return publish({ row: 'executor', parameters }, message, body, { session: sessionId, epoch, cause });
}

/** To the executor, in its session. */
export const toExecutor = <T extends MessageType<'executor'>>(
  state: AgentState,
  row: ExecutorRow,
  message: T,
  body: Event<T>,
  cause?: string,
): Effect => address(state, state.config.executors?.principal ?? '-', row, row.link.session, message, body, cause);

/** An executor is at most so often asked to come again. */
const INVITE_INTERVAL_MS = 500;

/** Asks an executor without a session to subscribe. Rule: EXC-3. */
export function inviteExecutor(state: AgentState, row: ExecutorRow, now: number): Effects {
  const login = state.config.executors;
  if (login === undefined || row.link.session !== NO_SESSION || now - row.invitedAtMs < INVITE_INTERVAL_MS)
    return NOTHING;
  row.invitedAtMs = now;
  return [address(state, login.principal, row, NO_SESSION, 'INVITE', {})];
}

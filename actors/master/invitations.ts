/** A new leader invites the agents that it knows, so many at a time: their answers must not drown it. Rule: LNK-6. */
import { NOTHING, type Effect, type Effects } from '../effect.js';
import type { MasterState } from './master-state.js';
import { inviteAgent } from './send.js';

/** Most invitations that wait for an answer. */
export const MAX_INVITATIONS = 256;

export interface Invitations {
  /** Agents still to be invited, in order. */
  readonly waiting: Set<string>;
  /** Those that are invited, by when their place is given to the next. */
  readonly outstanding: Map<string, number>;
}

export const newInvitations = (): Invitations => ({ waiting: new Set(), outstanding: new Map() });

/** Invites every agent that has not come in this term, as room is made. */
export function inviteAgents(state: MasterState, now: number): Effects {
  const { waiting, outstanding } = state.invitations;
  dropLate(state, now);
  for (const agent of state.agents.values())
    if (agent.state === 'RECOVERED' && !outstanding.has(agent.agentId)) waiting.add(agent.agentId);
  return sendInvitations(state, now);
}

/** The agent has come, or is given up. */
export function endInvitation(state: MasterState, agentId: string, now: number): Effects {
  state.invitations.waiting.delete(agentId);
  return state.invitations.outstanding.delete(agentId) ? sendInvitations(state, now) : NOTHING;
}

/** Fills the places that are free. */
export function sendInvitations(state: MasterState, now: number): Effects {
  const { waiting, outstanding } = state.invitations;
  dropLate(state, now);
  const effects: Effect[] = [];
  for (const agentId of waiting) {
    if (outstanding.size >= MAX_INVITATIONS) break;
    waiting.delete(agentId);
    const agent = state.agents.get(agentId);
    if (agent?.state !== 'RECOVERED') continue;
    outstanding.set(agentId, now + state.config.timings.invitationAnswerMs);
    effects.push(...inviteAgent(state, agent, now));
  }
  const [firstDueAtMs] = outstanding.values();
  if (waiting.size > 0 && firstDueAtMs !== undefined) state.deadlines.set('invitations', firstDueAtMs);
  return effects;
}

function dropLate({ invitations: { outstanding } }: MasterState, now: number): void {
  for (const [agentId, dueAtMs] of outstanding) {
    if (dueAtMs > now) break;
    outstanding.delete(agentId);
  }
}

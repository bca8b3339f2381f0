/** The one door for what masters say: lower epochs are dropped, and what a higher one says waits until the epoch is stored. Rules: EPO-2, EPO-4. */
import { AGENT_KEY, CHECKPOINT_VERSION } from '../../protocol/checkpoint.js';
import { NO_SESSION } from '../../protocol/ids.js';
import { log, NOTHING, publish, type CheckpointWrite, type Effect, type Effects } from '../effect.js';
import type { Stamp } from '../events.js';
import { beginsSession } from '../member.js';
import { persist, type AgentState, type DoorMessage } from './agent-state.js';

/** A leader's clock may be ahead by so much; a higher number would lock out every leader after it. */
const MAX_AHEAD_MS = 24 * 3_600_000;
const STALE_ANSWER_INTERVAL_MS = 1_000;

/** The agent id that a message gives us and that is not stored yet. */
function newAgentId(state: AgentState, event: DoorMessage): string | undefined {
  if (event.type !== 'master.REGISTERED' && event.type !== 'master.REREGISTERED') return undefined;
  const { agentId } = event.body;
  return agentId !== state.agentId && beginsSession(state.member, event.meta) ? agentId : undefined;
}

/** Whether a message may be acted on: what it rests on is stored, and nothing that came before it still waits. */
export const isPassed = (state: AgentState, event: DoorMessage): boolean =>
  !state.isDoorShut && event.meta.epoch === state.member.epoch && newAgentId(state, event) === undefined;

/**
 * A message that did not pass.
 * 1. A new leader speaks. 2. Its epoch goes to the store; what it says, and all that is said after that, is held.
 * 3. CHECKPOINTED: what was held comes again, in order, before anything newer.
 */
export function atTheDoor(state: AgentState, event: DoorMessage & Stamp): Effects {
  const { epoch } = event.meta;
  if (epoch > event.now + MAX_AHEAD_MS)
    return [
      log('warn', 'epoch ahead', { epoch, principal: event.meta.principal }),
      { type: 'count', metric: 'epoch_ahead' },
    ];
  if (epoch < state.member.epoch) return dropStale(state, event.now);
  const agentId = newAgentId(state, event) ?? state.agentId;
  if (!state.isDoorShut && epoch === state.member.epoch && agentId === state.agentId) return NOTHING; // not for this state
  state.held.push(event);
  if (state.isDoorShut) return NOTHING;
  state.isDoorShut = true;
  return persist(state, [agentWrite(epoch, agentId)], (current) => {
    current.isDoorShut = false;
    current.member.epoch = epoch;
    current.agentId = agentId;
    return NOTHING;
  });
}

function agentWrite(epoch: number, agentId: string | undefined): CheckpointWrite {
  const value = { schemaVersion: CHECKPOINT_VERSION, epoch, ...(agentId !== undefined && { agentId }) };
  return { key: AGENT_KEY, value };
}

/** Whoever speaks under a lower epoch is told ours, at most so often. */
function dropStale(state: AgentState, now: number): Effects {
  const dropped: Effect = { type: 'count', metric: 'stale_epoch' };
  if (now - state.staleToldAtMs < STALE_ANSWER_INTERVAL_MS) return [dropped];
  state.staleToldAtMs = now;
  const { agentId, member, config } = state;
  const to = { row: 'masterAgent' as const, parameters: { principal: config.name } };
  const body = { epoch: member.epoch, ...(agentId !== undefined && { agentId }) };
  return [dropped, publish(to, 'STALE_EPOCH', body, { session: NO_SESSION, epoch: member.epoch })];
}

/** What may come in again now that the door is open. */
export function takeHeld(state: AgentState): readonly DoorMessage[] {
  if (state.isDoorShut || state.held.length === 0) return [];
  const { held } = state;
  state.held = [];
  return held;
}

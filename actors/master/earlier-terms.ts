/** What earlier terms minted: it may have been lost, be on its way, or be over. Rule: AGT-8. */
import { epochOf } from '../../protocol/ids.js';
import { returnGraceMs } from './frameworks.js';
import type { MasterState } from './master-state.js';

/** Launches whose end was acknowledged in this term that are remembered, the oldest forgotten first. */
const MAX_ENDED = 200_000;

/** Whether what an earlier term minted may have been lost by the registry: what this one minted is known until it ends. */
export const isOfEarlierTerm = (state: MasterState, id: string): boolean => (epochOf(id) ?? Infinity) < state.epoch;

/**
 * Whether an agent or a framework that nobody knows may be one that the registry lost, and is still on its way to us.
 * By then whoever is alive has noticed the new leader.
 */
export const mayStillCome = (state: MasterState, id: string, now: number): boolean =>
  isOfEarlierTerm(state, id) && now < state.electedAtMs + returnGraceMs(state);

/**
 * Remembers that a launch is over. Its agent forgets it with the acknowledgement, but an older word of the agent, that it
 * runs, may still be under way, and must not bring it back. Of this term's own launches the missing row says as much.
 */
export function rememberEnd(state: MasterState, launchId: string): void {
  if (!isOfEarlierTerm(state, launchId)) return;
  state.endedLaunches.add(launchId);
  const oldest = state.endedLaunches.values().next().value;
  if (state.endedLaunches.size > MAX_ENDED && oldest !== undefined) state.endedLaunches.delete(oldest);
}

/** Which time counts: that in which this leader held its lease, heard itself and ticked on time. Rule: DLN-1. */
import type { MasterState, Peer } from './master-state.js';

/** A loop-back older than this counts as silence. Rule: LNK-4. */
export const LOOPBACK_MAX_AGE_MS = 2_000;
export const LOOPBACK_INTERVAL_MS = 500;
/** A leader is awake twice a second at least; a step that comes later than this was held up. */
const LATE_MS = 2 * LOOPBACK_INTERVAL_MS;

/** Deadlines that are the leadership's own, and work that only waits for a moment: they run on, whatever is lost. */
const WALL_KEYS: ReadonlySet<string> = new Set([
  'probe',
  'claim',
  'renew',
  'loopback',
  'raise',
  'heartbeat',
  'allocate',
]);

export const isWallKey = (key: string): boolean => WALL_KEYS.has(key);

/** When the oldest thing was that must be young: what this leader hears of itself, or of its lease. `undefined`: both are. */
function deafSince(state: MasterState, now: number): number | undefined {
  const { loopbackAtMs, renewedAtMs, config } = state;
  const loopback = now - loopbackAtMs > LOOPBACK_MAX_AGE_MS ? loopbackAtMs : Infinity;
  const lease = now - renewedAtMs > config.timings.leaseTtlMs ? renewedAtMs : Infinity;
  const since = Math.min(loopback, lease);
  return since === Infinity ? undefined : since;
}

/** Whether silence of others says anything. Rule: DLN-1. */
export const isHearing = (state: MasterState, now: number): boolean => deafSince(state, now) === undefined;

/**
 * Called with every event of a term, before its decision. 1. The machine sleeps for a night with 5 s left of a framework's failover
 * timeout. 2. It wakes, and the timer fires before any message of the scheduler is read. 3. The night must not count, or the framework is
 * torn down and its tasks are killed.
 */
export function countTime(state: MasterState, now: number): void {
  if (state.countedAtMs === undefined) return;
  const elapsedMs = now - state.countedAtMs;
  state.countedAtMs = now;
  const since = deafSince(state, now);
  const lostMs = elapsedMs > LATE_MS || state.isDeaf ? elapsedMs : 0;
  // It shows only after a while that nothing is heard: what has been counted since then is taken back.
  const takenBackMs = since !== undefined && !state.isDeaf ? now - since : 0;
  state.isDeaf = since !== undefined;
  const ms = Math.max(lostMs, takenBackMs);
  if (ms > 0) state.deadlines.lose(ms);
}

/** Counts a heartbeat without an answer, if the leader would have heard one. Whether there are too many. Rule: DLN-1. */
export function missesTooMany(state: MasterState, peer: Peer, now: number): boolean {
  if (isHearing(state, now)) peer.missedHeartbeats += 1;
  return peer.missedHeartbeats > state.config.timings.missedHeartbeats;
}

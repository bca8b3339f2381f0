/** Launches that are over: remembered for a day, then below a mark under which all are refused. Rules: LCH-1, AGS-6. */
import { CHECKPOINT_VERSION, checkpointKey } from '../../protocol/checkpoint.js';
import { launchPlaceOf } from '../../protocol/ids.js';
import type { TaskState } from '../../protocol/task.js';
import { NOTHING, type CheckpointWrite, type Effects } from '../effect.js';
import { persist, type AgentState } from './agent-state.js';

/** Launches that are over are remembered up to this many; the oldest fall below the mark before their time. */
const MAX_ENDED = 200_000;
/** Ends that fall due within this time are forgotten together. */
const FORGET_INTERVAL_MS = 1_000;

/** Notes the end of a launch, and gives the record of it. */
export function rememberEnd(state: AgentState, launchId: string, end: TaskState, endedAtMs: number): CheckpointWrite {
  state.ended.delete(launchId);
  state.ended.set(launchId, { state: end, endedAtMs });
  wakeToForget(state, endedAtMs);
  const value = { schemaVersion: CHECKPOINT_VERSION, launchId, state: end, endedAtMs };
  return { key: checkpointKey('ended', launchId), value };
}

/** Whether a launch was seen before, or is so old that it could have been. */
export function isRefused(state: AgentState, launchId: string): boolean {
  if (state.ended.has(launchId)) return true;
  const place = launchPlaceOf(launchId);
  return place !== undefined && place.counter <= (state.lowWater.get(place.epoch) ?? 0);
}

/** Sets the time at which the oldest end that can be forgotten is to be. */
export function wakeToForget(state: AgentState, now: number): void {
  for (const [launchId, { endedAtMs }] of state.ended) {
    if (launchPlaceOf(launchId) === undefined) continue;
    const dueAtMs = state.ended.size > MAX_ENDED ? now : endedAtMs + state.config.timings.endedMemoryMs;
    state.deadlines.setEarliest('forget', Math.max(now, dueAtMs) + FORGET_INTERVAL_MS);
    return;
  }
}

/**
 * Ends that are old enough go, and in the same write the mark of their epoch rises above them. One that no master minted
 * has no place under a mark: it is remembered for good.
 */
export function onForgetDue(state: AgentState, now: number): Effects {
  const writes: CheckpointWrite[] = [];
  const risen = new Set<number>();
  for (const [launchId, { endedAtMs }] of state.ended) {
    const isOld = endedAtMs + state.config.timings.endedMemoryMs <= now;
    if (!isOld && state.ended.size <= MAX_ENDED) break;
    const place = launchPlaceOf(launchId);
    if (place === undefined) continue;
    state.ended.delete(launchId);
    writes.push({ key: checkpointKey('ended', launchId) });
    if (place.counter <= (state.lowWater.get(place.epoch) ?? 0)) continue;
    state.lowWater.set(place.epoch, place.counter);
    risen.add(place.epoch);
  }
  for (const epoch of risen) {
    const value = { schemaVersion: CHECKPOINT_VERSION, epoch, counter: state.lowWater.get(epoch) ?? 0 };
    writes.push({ key: checkpointKey('lowWater', String(epoch)), value });
  }
  wakeToForget(state, now);
  return writes.length === 0 ? NOTHING : persist(state, writes, () => NOTHING);
}

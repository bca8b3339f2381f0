/** Sandboxes of launches that are over: kept for a while, the shorter the fuller the disk is. Rules: GBC-1 to GBC-5. */
import { unescapeToken } from '../../protocol/ids.js';
import { log, NOTHING, type Effect, type Effects } from '../effect.js';
import type { SandboxEvent } from '../events.js';
import type { AgentState } from './agent-state.js';

/** A disk is to keep this part of itself free: from there on no sandbox of an ended launch stays. */
const HEADROOM_SHARE = 0.1;
/** So many are asked for at a time, so that there is room for other work between them. */
const MOST_REMOVING = 8;
/** One that could not be removed is left alone for so long. */
const RETRY_MS = 3_600_000;

/** As `sandboxOf` makes them. */
export const SANDBOX_PATTERN = 'frameworks/*/executors/*/runs/*';

export interface Sandboxes {
  /** When the launch of each was over, by path. */
  readonly ended: Map<string, number>;
  /** Those that are too old by the last look at the disk, the oldest last. */
  due: string[];
  readonly removing: Set<string>;
  /** Those that could not be removed, with when to try again. */
  readonly failed: Map<string, number>;
}

export const newSandboxes = (): Sandboxes => ({ ended: new Map(), due: [], removing: new Set(), failed: new Map() });

type SandboxEventOf<T extends SandboxEvent['type']> = Extract<SandboxEvent, { type: T }>;

/** Looks for what earlier lives have left, and begins to watch the disk. */
export function watchDisk(state: AgentState, now: number): Effects {
  state.deadlines.set('disk', now + state.config.timings.diskWatchMs);
  return [{ type: 'listSandboxes', pattern: SANDBOX_PATTERN }];
}

/** A launch is over, and its end is acknowledged: from now on its sandbox may be removed. Rule: GBC-2. */
export function sandboxEnded(state: AgentState, path: string, now: number): void {
  state.sandboxes.ended.set(path, now);
}

/** Of each the name of the run is the launchId, or the container of an executor. */
function isLive(state: AgentState, path: string): boolean {
  const launchId = unescapeToken(path.slice(path.lastIndexOf('/') + 1));
  return launchId !== undefined && (state.launches.has(launchId) || state.executors.has(launchId));
}

/** What is on disk and no launch's: of ones that ended in earlier lives, or that no record knows any more. Rule: GBC-4. */
export function onSandboxesListed(state: AgentState, { sandboxes, now }: SandboxEventOf<'SANDBOXES_LISTED'>): Effects {
  for (const { path, mtimeMs } of sandboxes) {
    if (isLive(state, path) || state.sandboxes.ended.has(path)) continue;
    const launchId = unescapeToken(path.slice(path.lastIndexOf('/') + 1)) ?? '';
    // A clock that was set back makes none immortal.
    state.sandboxes.ended.set(path, Math.min(now, Math.max(mtimeMs, state.ended.get(launchId)?.endedAtMs ?? 0)));
  }
  return NOTHING;
}

export function onDiskDue(state: AgentState, now: number): Effects {
  state.deadlines.set('disk', now + state.config.timings.diskWatchMs);
  return [{ type: 'readDisk' }];
}

/** The age that is allowed shrinks as the disk fills, as in Mesos; of a disk that cannot be measured only the age counts. Rule: GBC-1. */
export function onDiskRead(state: AgentState, { usedShare, now }: SandboxEventOf<'DISK_READ'>): Effects {
  const { sandboxKeepMs } = state.config.timings;
  const maxAgeMs = sandboxKeepMs * (usedShare === undefined ? 1 : Math.max(0, 1 - HEADROOM_SHARE - usedShare));
  const { ended, removing, failed } = state.sandboxes;
  const old = [...ended].filter(
    ([path, endedAtMs]) => now - endedAtMs > maxAgeMs && !removing.has(path) && (failed.get(path) ?? 0) <= now,
  );
  state.sandboxes.due = old.sort(([, a], [, b]) => b - a).map(([path]) => path);
  return removeNext(state);
}

/** The oldest first, a few at a time. */
function removeNext(state: AgentState): Effects {
  const { due, removing } = state.sandboxes;
  const effects: Effect[] = [];
  while (removing.size < MOST_REMOVING) {
    const path = due.pop();
    if (path === undefined) break;
    if (isLive(state, path)) continue;
    removing.add(path);
    effects.push({ type: 'removeSandbox', path });
  }
  return effects;
}

/** One is gone, or is not to be had; the next one. Rule: GBC-5. */
export function onSandboxRemoved(state: AgentState, { path, isGone, now }: SandboxEventOf<'SANDBOX_REMOVED'>): Effects {
  const { ended, removing, failed } = state.sandboxes;
  removing.delete(path);
  if (!isGone) {
    failed.set(path, now + RETRY_MS);
    return [log('warn', 'a sandbox could not be removed', { path }), ...removeNext(state)];
  }
  ended.delete(path);
  failed.delete(path);
  return [{ type: 'count', metric: 'sandbox_removed' }, ...removeNext(state)];
}

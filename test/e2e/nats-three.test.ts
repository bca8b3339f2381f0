/** `up --nats-servers 3`: three replicated servers, each of them lost in turn. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { StatusJson } from '../../cli/json-schemas.js';
import { readState } from '../../runtime/up/state.js';
import { CliFolder, killNow, lines, until } from '../support/cli.js';

type Server = StatusJson['nats']['servers'][number];

const THREE = ['--nats-servers', '3', '--masters', '2', '--agents', '1'];
/** An election, and then some. */
const ELECTION_MS = 40_000;

const serversOf = async (folder: CliFolder): Promise<Server[]> =>
  (await folder.json<StatusJson>('status')).nats.servers;

/** All three run, under new pids where `before` names them, and both buckets are led. */
const untilWhole = (folder: CliFolder, gone: readonly number[]): Promise<void> =>
  until(
    'three servers that lead both buckets',
    async () => {
      const { status, stdout } = await folder.run('status', '--json');
      if (status !== 0) return false;
      const { servers } = (JSON.parse(stdout) as StatusJson).nats;
      const led = servers.flatMap(({ leads }) => leads);
      return servers.length === 3 && led.length === 2 && servers.every(({ pid }) => !gone.includes(pid));
    },
    ELECTION_MS,
  );

test.serial('UP-10 UP-12 three servers replicate, are shown, and leave nothing', async (t) => {
  const folder = new CliFolder();
  t.teardown(() => folder.remove());
  await folder.up(...THREE);
  const servers = await serversOf(folder);
  t.deepEqual(
    servers.map(({ name }) => name),
    ['n1', 'n2', 'n3'],
  );
  t.deepEqual(servers.flatMap(({ leads }) => leads).sort(), ['lease', 'registry']);
  t.regex(await folder.out('status'), /n1 +NATS +\d+ +running[^]*leads [^]*nats:\/\/127\.0\.0\.1:\d+, nats:/);
  const { url } = JSON.parse(readFileSync(join(folder.dir, 'credentials', 'a1.json'), 'utf8')) as { url: string };
  t.is(url, servers.map((server) => server.url).join(','));
  for (const { name } of servers) {
    const config = join(folder.dir, 'nats', name, 'nats.conf');
    t.is(statSync(config).mode & 0o777, 0o600);
    t.regex(readFileSync(config, 'utf8'), /sync_interval: "always"/);
  }
  t.is(await folder.out('run', '--', 'echo', 'replicated'), 'replicated\n');
  const other = await folder.run('down');
  t.is(other.status, 0, other.stderr);
  t.deepEqual(folder.leftovers(), []);
  t.deepEqual(folder.strayFiles(), []);
  const one = await folder.run('up', '--nats-servers', '1');
  t.is(one.status, 1);
  t.regex(one.stderr, /kept by 3 NATS servers[^]*rm -r/);
  // A supervisor that was killed leaves three servers: the next up ends them, and remembers how many there are.
  await folder.up('--masters', '1', '--agents', '1');
  killNow(readState(join(folder.dir, 'cluster.json'))?.supervisor.pid);
  const { status, stderr } = await folder.run('down');
  t.is(status, 0);
  t.is(stderr.match(/nats-server \(pid/g)?.length, 3);
  t.deepEqual(folder.leftovers(), []);
});

test.serial('UP-10 UP-7 each server is killed in turn, once with its store removed, while tasks run', async (t) => {
  const folder = new CliFolder();
  t.teardown(() => folder.remove());
  await folder.up(...THREE);
  // A task across all of it: its end must be its own, and its start the only one.
  const marks = join(folder.folder, 'tmp', 'starts');
  const go = join(folder.folder, 'tmp', 'go');
  const long = folder.start(['run', `echo start >>${marks}; while [ ! -e ${go} ]; do sleep 0.2; done; exit 7`]);
  await until('the long task', () => existsSync(marks));
  const names = (await serversOf(folder)).map(({ name }) => name);
  for (const name of names) {
    const before = await serversOf(folder);
    const victim = before.find((server) => server.name === name);
    killNow(victim?.pid);
    // It is started again after 100 ms at the earliest.
    if (name === 'n2') rmSync(join(folder.dir, 'nats', name, 'store'), { recursive: true, force: true });
    const { stdout, stderr, status } = await folder.run('run', '-n', '4', '--', 'echo', name);
    t.is(status, 0, stderr);
    t.is(lines(stdout).length, 4);
    await untilWhole(folder, [victim?.pid ?? 0]);
  }
  t.deepEqual(
    (await serversOf(folder)).map(({ name }) => name),
    names,
  );
  writeFileSync(go, '');
  const ended = await long.ended;
  t.is(ended.status, 7, ended.stderr);
  t.deepEqual(lines(readFileSync(marks, 'utf8')), ['start']);
  t.is((await folder.run('down')).status, 0);
  t.deepEqual(folder.leftovers(), []);
});

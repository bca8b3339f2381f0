import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { check } from '../../protocol/schema.js';
import { DownJson, StatusJson } from '../../cli/json-schemas.js';
import { isRunning } from '../../runtime/up/identity.js';
import { readState } from '../../runtime/up/state.js';
import { CliFolder, killNow, pause, quickly, until } from '../support/cli.js';
import { startTestServer } from '../support/nats-server.js';

const statusProblem = check(StatusJson);
const SMALL = ['--masters', '1', '--agents', '1'];

function folderOf(t: ExecutionContext): CliFolder {
  const folder = new CliFolder();
  t.teardown(() => folder.remove());
  return folder;
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

test.serial('UP-1 UP-2 CLI-4 up, status and down leave nothing but files in the folder', async (t) => {
  const folder = folderOf(t);
  await folder.up('--masters', '2', '--agents', '2');
  const status = await folder.json<StatusJson>('status');
  t.is(statusProblem(status), undefined);
  t.deepEqual(
    status.masters.map(({ name }) => name),
    ['m1', 'm2'],
  );
  t.is(status.masters.filter(({ leading }) => leading).length, 1);
  t.deepEqual(
    status.agents.map(({ name, resources }) => [name, typeof resources['cpus']]),
    [
      ['a1', 'number'],
      ['a2', 'number'],
    ],
  );
  t.true([...status.masters, ...status.agents].every(({ pid }) => pid !== null && isAlive(pid)));
  t.regex(await folder.out('status'), /m1 +master +\d+ .*\n[^]*nats-server 2\.\d+\.\d+ at nats:\/\/127\.0\.0\.1:\d+/);
  t.is(check(DownJson)(await folder.json('down')), undefined);
  t.deepEqual(folder.leftovers(), []);
  t.deepEqual(folder.strayFiles(), []);
  t.false(existsSync(join(folder.dir, 'cluster.json')));
  const again = await folder.run('down');
  t.is(again.status, 1);
  t.regex(again.stderr, /No cluster in \.tepui\.\nStart one: tepui up/);
});

test.serial('UP-3 a second up says who is there, and changes nothing', async (t) => {
  const folder = folderOf(t);
  await folder.up(...SMALL);
  const before = readState(join(folder.dir, 'cluster.json'));
  for (const more of [[], ['--detach']]) {
    const { status, stderr } = await folder.run('up', ...SMALL, ...more);
    t.is(status, 1);
    t.regex(stderr, new RegExp(`already \\(pid ${before?.supervisor.pid}, NATS at ${before?.nats.url}\\)`));
    t.regex(stderr, /tepui down/);
  }
  t.deepEqual(readState(join(folder.dir, 'cluster.json')), before);
  t.is((await folder.json<StatusJson>('status')).agents[0]?.pid, before?.agents[0]?.pid);
});

test.serial('UP-6 credentials are for their owner alone, and a tap may not speak', async (t) => {
  const folder = folderOf(t);
  await folder.up(...SMALL);
  for (const name of ['m1', 'a1', 'operator', 'run', 'tap', 'admin'])
    t.is(statSync(join(folder.dir, 'credentials', `${name}.json`)).mode & 0o777, 0o600);
  t.is(statSync(join(folder.dir, 'nats', 'n1', 'nats.conf')).mode & 0o777, 0o600);
  const asTap = await folder.run('ps', '--credentials', join(folder.dir, 'credentials', 'tap.json'));
  t.is(asTap.status, 1);
  t.regex(asTap.stderr, /did not answer/);
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  test.serial(`UP-2 ${signal} ends agents and their tasks, masters and NATS`, async (t) => {
    const folder = folderOf(t);
    const up = folder.start(['up', ...quickly(), ...SMALL]);
    await up.until(/Try next/);
    const run = folder.start(['run', '--', 'sleep', '300']);
    await until(
      'a task',
      async () => (await folder.json<{ tasks: { state: string }[] }>('ps')).tasks[0]?.state === 'TASK_RUNNING',
    );
    up.signal(signal);
    t.is((await up.ended).status, 0);
    run.signal('SIGKILL');
    await run.ended;
    t.deepEqual(folder.leftovers(), []);
    t.deepEqual(folder.strayFiles(), []);
  });

test.serial('UP-2 a second Ctrl-C ends it all at once, tasks that do not listen included', async (t) => {
  const folder = folderOf(t);
  const up = folder.start(['up', ...quickly('killGraceMs=60000'), ...SMALL]);
  await up.until(/Try next/);
  const run = folder.start(['run', 'trap "" TERM; echo deaf; setsid sleep 300; sleep 300']);
  await run.until(/deaf/);
  up.signal('SIGINT');
  await pause(700);
  const secondMs = performance.now();
  up.signal('SIGINT');
  await up.ended;
  t.true(performance.now() - secondMs < 10_000);
  run.signal('SIGKILL');
  await run.ended;
  t.deepEqual(folder.leftovers(), []);
});

for (const more of [[], ['--detach']])
  test.serial(`UP-2 Ctrl-C during the start ends what has been started ${more.join('')}`, async (t) => {
    const folder = folderOf(t);
    const up = folder.start(['up', ...quickly(), ...more]);
    await up.until(/nats-server .* listens/);
    up.signal('SIGINT');
    t.is((await up.ended).status, 1);
    t.deepEqual(folder.leftovers(), []);
    t.is((await folder.run('status')).status, 1);
  });

test.serial('UP-5 down ends what a supervisor that was killed left, tasks included', async (t) => {
  const folder = folderOf(t);
  await folder.up(...SMALL);
  const run = folder.start(['run', 'setsid sleep 300 & sleep 300']);
  await until(
    'a task',
    async () => (await folder.json<{ tasks: { state: string }[] }>('ps')).tasks[0]?.state === 'TASK_RUNNING',
  );
  killNow(readState(join(folder.dir, 'cluster.json'))?.supervisor.pid);
  const { status, stderr } = await folder.run('down');
  t.is(status, 0);
  t.regex(stderr, /a1 \(pid \d+\), m1 \(pid \d+\), nats-server \(pid \d+\)/);
  run.signal('SIGKILL');
  await run.ended;
  t.deepEqual(folder.leftovers(), []);
});

test.serial('UP-5 the next up ends what a supervisor that was killed left, and starts anew', async (t) => {
  const folder = folderOf(t);
  await folder.up(...SMALL);
  const before = readState(join(folder.dir, 'cluster.json'));
  killNow(before?.supervisor.pid);
  // Even without its own record.
  rmSync(join(folder.dir, 'cluster.json'));
  await folder.up(...SMALL);
  // By identity: whoever adopts orphans here may take its time to collect what has ended.
  for (const record of [...(before?.masters ?? []), ...(before?.agents ?? [])]) t.false(isRunning(record), record.name);
  t.is(await folder.out('run', '--', 'echo', 'again'), 'again\n');
});

test.serial(
  'UP-7 a master, an agent and NATS that are killed are started again, and the cluster goes on',
  async (t) => {
    const folder = folderOf(t);
    await folder.up('--masters', '2', '--agents', '1');
    const pids = (status: StatusJson): (number | null)[] => [...status.masters, ...status.agents].map(({ pid }) => pid);
    const before = await folder.json<StatusJson>('status');
    for (const pid of pids(before)) killNow(pid);
    await until('new processes', async () => {
      const now = await folder.json<StatusJson>('status');
      return (
        pids(now).length === 3 &&
        now.agents[0]?.id !== null &&
        pids(now).every((pid) => pid !== null && !pids(before).includes(pid))
      );
    });
    t.is(await folder.out('run', '--', 'echo', 'on'), 'on\n');
    killNow(readState(join(folder.dir, 'cluster.json'))?.nats.servers[0]?.pid);
    await until('NATS at its old address', async () => (await folder.run('status')).status === 0);
    t.is((await folder.json<StatusJson>('status')).nats.url, before.nats.url);
    t.is(await folder.out('run', '--', 'echo', 'still'), 'still\n');
    t.regex(
      readFileSync(join(folder.dir, 'log', 'up.log'), 'utf8'),
      /a1 has ended \(SIGKILL\); it is started again in 100 ms/,
    );
  },
);

test.serial('UP-1 a server that runs already is used, and neither started nor ended', async (t) => {
  const folder = folderOf(t);
  const server = await startTestServer([
    { user: 'me', password: 'pw', permissions: { publish: ['>'], subscribe: ['>'] } },
  ]);
  t.teardown(() => server.remove());
  const url = server.url.replace('nats://', 'nats://me:pw@');
  await folder.up(...SMALL, '--nats', url, '--cluster', 'pool');
  const status = await folder.json<StatusJson>('status');
  t.is(status.nats.url, server.url);
  t.is(await folder.out('run', '--', 'echo', 'there'), 'there\n');
  const elsewhere = await folder.json<StatusJson>('status', '--nats', url, '--cluster', 'pool');
  t.like(elsewhere, { dir: null, agents: [{ name: 'a1', pid: null }] });
  t.is((await folder.run('down')).status, 0);
  t.deepEqual(
    folder.leftovers().filter((pid) => pid !== server.pid),
    [],
  );
  t.true(isAlive(server.pid));
});

test.serial(
  'UP-9 the first job is run when the cluster is ready, and by a second up on the cluster that runs',
  async (t) => {
    const folder = folderOf(t);
    const up = folder.start(['up', '--first-job', ...quickly(), '--masters', '1', '--agents', '2']);
    await up.until(/The result is in [^]*Try next/);
    t.regex(up.stdout(), /words, 5000 of them distinct, counted by 9 map tasks on 2 agents and one reduce task/);
    const again = folder.start(['up', '--first-job']);
    await again.until(/0 of 9 splits counted/);
    await again.until(/The result is in/);
    t.is((await again.ended).status, 0);
    t.regex(again.stderr(), /A cluster runs in \.tepui already \(pid \d+, NATS at .*\): the job goes there/);
    up.signal('SIGINT');
    t.is((await up.ended).status, 0);
    t.deepEqual(folder.leftovers(), []);
  },
);

test.serial('UP-2 UP-9 Ctrl-C during the first job ends it with the cluster', async (t) => {
  const folder = folderOf(t);
  const up = folder.start(['up', '--first-job', ...quickly(), ...SMALL]);
  await up.until(/splits counted/);
  up.signal('SIGINT');
  t.is((await up.ended).status, 0);
  t.deepEqual(folder.leftovers(), []);
});

test.serial('UP-1 UP-8 UP-11 what cannot be started says why, and leaves nothing', async (t) => {
  const folder = folderOf(t);
  const nowhere = await folder.run('up', ...SMALL, '--nats', 'nats://127.0.0.1:1');
  t.is(nowhere.status, 1);
  t.regex(nowhere.stderr, /127\.0\.0\.1:1/);
  t.notRegex(nowhere.stderr, /\n {4}at /);
  const resources = await folder.run('up', '--detach', ...SMALL, '--resources', 'cpus:many');
  t.is(resources.status, 1);
  t.regex(resources.stderr, /'many' in 'cpus:many' is not a number/);
  t.is((await folder.run('up', '--set', 'nosuch=1')).status, 2);
  t.is((await folder.run('up', '--masters', '0')).status, 2);
  const even = await folder.run('up', '--nats-servers', '2');
  t.is(even.status, 2);
  t.regex(even.stderr, /1, or 3/);
  const both = await folder.run('up', '--nats-servers', '3', '--nats', 'nats://127.0.0.1:1');
  t.is(both.status, 2);
  t.regex(both.stderr, /Leave one of the two out/);
  const copies = await folder.run('up', '--replicas', '3');
  t.is(copies.status, 2);
  t.regex(copies.stderr, /--nats-servers 3/);
  t.deepEqual(folder.leftovers(), []);
});

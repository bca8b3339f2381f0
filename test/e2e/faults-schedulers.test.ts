/** Schedulers that die and come back in time, too late, or twice, with a tap on all of it. */
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Timings } from '../../protocol/limits.js';
import { encodeMessage } from '../../protocol/codec.js';
import { buildSubject } from '../../protocol/subjects.js';
import { silentLog } from '../../runtime/log.js';
import { readCredentials } from '../../runtime/nats/connection.js';
import { clusterLayout, credentialsFile } from '../../runtime/up/layout.js';
import { connectWorld } from '../../runtime/world.js';
import { lines, signalNow, until } from '../support/cli.js';
import { startFaultCluster, type FaultCluster } from '../support/fault-cluster.js';
import { PROGRAM, type LastingConfig, type Told } from '../support/lasting-scheduler.js';
import { KILLERS } from '../support/tap.js';
import { leaders, living, processesOf } from '../support/task-processes.js';
import { isSettled, updatesOf } from '../support/updates.js';

const ONE = ['--masters', '1', '--agents', '1'];
/** A scheduler is silent after three seconds: long enough for one that lives on a busy machine. */
const SILENCE = ['--set', 'heartbeatIntervalMs=300'];
const HEARTBEAT: Partial<Timings> = { heartbeatIntervalMs: 300, registrationBackoffMs: 50 };
let started = 0;

function startScheduler(t: ExecutionContext, { folder }: FaultCluster, config: Omit<LastingConfig, 'credentials'>) {
  const file = join(folder.temporary, `scheduler-${++started}.json`);
  const credentials = credentialsFile(clusterLayout(folder.dir), 'run');
  writeFileSync(file, JSON.stringify({ ...config, timings: HEARTBEAT, credentials } satisfies LastingConfig));
  const child = spawn(process.execPath, [PROGRAM, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const ended = new Promise<void>((fulfil) => child.once('close', () => fulfil()));
  const told = (): Told[] => lines(stdout).map((line) => JSON.parse(line) as Told);
  return {
    told,
    /** Of a task, in their order. */
    states: (taskId: string) => told().flatMap((each) => (each.taskId === taskId ? [each.state] : [])),
    frameworkId: async (): Promise<string> => {
      await until('a subscription', () => told().some(({ event }) => event === 'subscribed'));
      return told().find(({ event }) => event === 'subscribed')?.frameworkId ?? '';
    },
    pid: child.pid,
    ended,
    die: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

const waitFor = (file: string, end: string): string => `while [ ! -e ${file} ]; do sleep 0.05; done; ${end}`;

test.serial(
  'FLT-12 FRW-2 a scheduler killed with -9 is back in time: it gets what it missed, and its tasks run on',
  async (t) => {
    const cluster = await startFaultCluster(t, ...ONE, ...SILENCE);
    const { folder, tap } = cluster;
    const at = (name: string): string => join(folder.temporary, name);
    const tasks = {
      one: waitFor(at('go'), 'exit 0'),
      two: waitFor(at('go'), 'exit 7'),
      three: waitFor(at('last'), 'exit 9'),
    };
    const first = startScheduler(t, cluster, { failoverTimeoutSeconds: 600, tasks });
    const frameworkId = await first.frameworkId();
    await until('all running', () => Object.keys(tasks).every((id) => first.states(id).includes('TASK_RUNNING')));
    await until('their acknowledgements', () => isSettled(tap));
    const before = leaders(processesOf(folder, 'three'));
    await first.die();
    await until('its silence', async () => {
      const { frameworks } = await folder.json<{ frameworks: { id: string; state: string }[] }>('frameworks');
      return frameworks.some(({ id, state }) => id === frameworkId && state !== 'active');
    });
    writeFileSync(at('go'), '');
    await until(
      'ends that nobody takes',
      () => updatesOf(tap).filter(({ acknowledged }) => acknowledged === 0).length === 2,
    );
    const second = startScheduler(t, cluster, { failoverTimeoutSeconds: 600, tasks, frameworkId });
    t.is(await second.frameworkId(), frameworkId);
    await until('what it missed', () => second.states('one').length > 0 && second.states('two').length > 0);
    t.deepEqual([second.states('one'), second.states('two')], [['TASK_FINISHED'], ['TASK_FAILED']]);
    t.is(second.told().find(({ taskId }) => taskId === 'two')?.exitCode, 7);
    t.is(before.length, 2);
    t.is(living(before).length, 2);
    writeFileSync(at('last'), '');
    await until('the last end', () => second.states('three').includes('TASK_FAILED'));
    await until('the last acknowledgement', () => updatesOf(tap).every(({ passedOn }) => passedOn > 0));
    t.deepEqual(
      updatesOf(tap).filter(({ acknowledged, isRepeated }) => acknowledged !== 1 || isRepeated),
      [],
    );
    t.is(updatesOf(tap).length, 6);
    t.deepEqual(tap.of(...KILLERS), []);
  },
);

test.serial(
  'FLT-12 FRW-4 FRW-5 a scheduler that is not back in time: all of its tasks are killed, and its id is void',
  async (t) => {
    const cluster = await startFaultCluster(t, ...ONE, ...SILENCE, '--set', 'killGraceMs=300');
    const { folder, tap } = cluster;
    const ready = join(folder.temporary, 'ready');
    const deaf = `trap "" TERM; (setsid sh -c 'trap "" TERM; : >${ready}; while :; do sleep 1; done') & while :; do sleep 1; done`;
    const tasks = { deaf, meek: 'exec sleep 300' };
    const settings = { failoverTimeoutSeconds: 1, tasks };
    const first = startScheduler(t, cluster, settings);
    const frameworkId = await first.frameworkId();
    const bystander = folder.start(['run', '--name', 'bystander', waitFor(join(folder.temporary, 'go'), 'exit 7')]);
    await until('all running', () => Object.keys(tasks).every((id) => first.states(id).includes('TASK_RUNNING')));
    await until('the grandchild', () => existsSync(ready));
    const all = [...processesOf(folder, 'deaf'), ...processesOf(folder, 'meek')];
    t.true(all.length >= 5);
    t.deepEqual(tap.of(...KILLERS), []);
    await first.die();
    await until('nothing of its tasks', () => living(all).length === 0);
    t.is(tap.of('SHUTDOWN_FRAMEWORK').length > 0, true);
    t.true(
      tap.of('SHUTDOWN_FRAMEWORK').every(({ body }) => (body as { frameworkId: string }).frameworkId === frameworkId),
    );
    await until('their ends', () => updatesOf(tap).filter(({ state }) => state === 'TASK_KILLED').length === 2);
    const late = startScheduler(t, cluster, { ...settings, frameworkId });
    await late.ended;
    t.deepEqual(late.told(), [{ event: 'error', code: 'FRAMEWORK_REMOVED' }]);
    writeFileSync(join(folder.temporary, 'go'), '');
    t.is((await bystander.ended).status, 7);
  },
);

test.serial(
  'FLT-12 LNK-2 two schedulers under one id: the older hears STALE_SESSION, and nothing that it says has an effect',
  async (t) => {
    const cluster = await startFaultCluster(t, ...ONE);
    const { folder, tap } = cluster;
    const go = join(folder.temporary, 'go');
    const tasks = { kept: waitFor(go, 'exit 7') };
    const older = startScheduler(t, cluster, { failoverTimeoutSeconds: 600, tasks });
    const frameworkId = await older.frameworkId();
    await until('RUNNING', () => older.states('kept').includes('TASK_RUNNING'));
    await until('its acknowledgement', () => isSettled(tap));
    const said = tap
      .of('ACCEPT', 'ACKNOWLEDGE')
      .filter(({ body }) => (body as { frameworkId: string }).frameworkId === frameworkId);
    const { session = '', epoch } = said.at(-1) ?? {};
    // It is to have more to say before it can hear that it is the older one.
    signalNow(older.pid, 'SIGSTOP');
    const newer = startScheduler(t, cluster, { failoverTimeoutSeconds: 600, tasks, frameworkId });
    t.is(await newer.frameworkId(), frameworkId);
    const errors = () => tap.of('ERROR').filter((error) => error.session === session);
    await until('STALE_SESSION', () => errors().length === 1);
    const heard = errors().length;
    const world = await connectWorld({
      credentials: await readCredentials(credentialsFile(clusterLayout(folder.dir), 'run')),
      cluster: 'tepui',
      role: 'scheduler',
      principal: 'run',
      log: silentLog,
      onFatal: (error) => t.fail(error.message),
    });
    const calls = { KILL: { kill: { taskId: 'kept' } }, TEARDOWN: {}, SUPPRESS: {}, REVIVE: {} };
    try {
      let sequence = Math.max(...said.map((message) => message.sequence ?? 0));
      for (const [type, body] of Object.entries(calls)) {
        const head = { type, sender: 'run', session: session ?? '', epoch: epoch ?? 0, id: `old-${type}` };
        const to = { row: 'masterScheduler' as const, parameters: { principal: 'run' } };
        for (const bytes of encodeMessage({ ...head, body: { frameworkId, ...body } }, () => ++sequence))
          world.ports.transport.publish(buildSubject('tepui', to, type as 'KILL'), bytes);
      }
      await until('an answer to each', () => errors().length === heard + Object.keys(calls).length);
    } finally {
      await world.close();
    }
    t.deepEqual(
      new Set(errors().map(({ body }) => (body as { error: { code: string } }).error.code)),
      new Set(['STALE_SESSION']),
    );
    signalNow(older.pid, 'SIGUSR2');
    signalNow(older.pid, 'SIGCONT');
    await older.ended;
    t.deepEqual(older.told().at(-1), { event: 'error', code: 'STALE_SESSION' });
    t.deepEqual(tap.of('KILL_TASK', 'SHUTDOWN_FRAMEWORK', 'SHUTDOWN'), []);
    writeFileSync(go, '');
    await until('the end', () => newer.states('kept').includes('TASK_FAILED'));
    t.is(newer.told().at(-1)?.exitCode, 7);
  },
);

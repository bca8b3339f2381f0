/** Agents that die, stop, are upgraded or doubled, and wrappers that die, under tasks that run; with a tap on all of it. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { END_TASKS_SIGNAL, EXIT } from '../../runtime/process-config.js';
import { clusterLayout, processFile, workFolder } from '../../runtime/up/layout.js';
import { killNow, lines, signalNow, until } from '../support/cli.js';
import { SCALED, startFaultCluster, type FaultCluster } from '../support/fault-cluster.js';
import { KILLERS } from '../support/tap.js';
import { killAll, leaders, living, processesOf } from '../support/task-processes.js';
import { endUnharmed } from '../support/fault-check.js';
import { endsOf, startLedger } from '../support/task-ledger.js';
import { isSettled, toldOf, updatesOf } from '../support/updates.js';

const ONE = ['--masters', '1', '--agents', '1'];
const MAIN = fileURLToPath(new URL('../../runtime/main.js', import.meta.url));

/** What a task may end with, by number. */
const ENDS = ['exit 0', 'exit 7', 'kill -TERM $$', 'kill -KILL $$', 'exit 143', 'exit 1'];
const STATUSES = [0, 7, 128 + 15, 128 + 9, 128 + 15, 1];

/** A task for each of {@link ENDS}, which waits until its number or `all` may end. */
function startTasks({ folder }: FaultCluster, name: string) {
  const at = (what: string): string => join(folder.temporary, `${name}.${what}`);
  const cases = ENDS.map((end, i) => `${i}) ${end};;`).join(' ');
  const wait = `while [ ! -e ${at('go')}.$TEPUI_RUN_INDEX ] && [ ! -e ${at('go')}.all ]; do sleep 0.05; done`;
  const script = `trap 'echo asked >>${at('asked')}' TERM; echo $$ >>${at('pid')}.$TEPUI_RUN_INDEX; ${wait}; trap - TERM; case $TEPUI_RUN_INDEX in ${cases} esac`;
  const run = folder.start(['run', '--json', '--name', name, '-n', String(ENDS.length), '--cpus', '0.01', script]);
  const pids = (): string[] =>
    ENDS.flatMap((_, i) => (existsSync(`${at('pid')}.${i}`) ? lines(readFileSync(`${at('pid')}.${i}`, 'utf8')) : []));
  return {
    run,
    /** That they wrote down at their start; one more for each that was started twice. */
    pids,
    running: () => until('all tasks', () => pids().length === ENDS.length),
    go: (which: number | 'all') => writeFileSync(`${at('go')}.${which}`, ''),
    asked: () => existsSync(at('asked')),
  };
}

test.serial(
  'FLT-9 LCH-1 an agent killed in the middle of many launches: all end right, each was started once',
  async (t) => {
    const { folder, tap, pidOf, untilBack } = await startFaultCluster(t, '--masters', '1', '--agents', '2');
    const count = 120;
    const ledger = startLedger(folder, 'many', count, { waiting: false });
    for (const [name, share] of [
      ['a1', 20],
      ['a2', 50],
      ['a1', 80],
    ] as const) {
      await until('tasks', () => ledger.started() >= share, 60_000);
      const pid = pidOf(name);
      killNow(pid);
      await untilBack(name, pid);
    }
    await endUnharmed(t, ledger, count, tap);
  },
);

for (const [how, kills] of [
  ['once', 1],
  ['three times in a row', 3],
] as const)
  test.serial(
    `FLT-9 UPD-1 AGS-5 an agent killed with -9 ${how}: the same processes go on, and each end is told once, as it was`,
    async (t) => {
      const cluster = await startFaultCluster(t, ...ONE);
      const { folder, tap, pidOf, untilBack } = cluster;
      const tasks = startTasks(cluster, 'killed');
      await tasks.running();
      await until('their updates', () => isSettled(tap));
      const before = processesOf(folder, 'killed-');
      for (let i = 0; i < kills; i++) {
        const pid = pidOf('a1');
        killNow(pid);
        // One of them ends while nobody looks.
        tasks.go(i);
        await untilBack('a1', pid);
      }
      const left = processesOf(folder, 'killed-').map(({ pid }) => pid);
      const ended = tasks.pids().slice(0, kills).map(Number);
      const wrappersOf = before.filter(({ isWrapper }) => isWrapper).length;
      t.is(wrappersOf, ENDS.length);
      for (const pid of tasks.pids().slice(kills).map(Number)) t.true(left.includes(pid), `${pid} is gone`);
      for (const pid of ended) t.false(left.includes(pid));
      tasks.go('all');
      const result = await tasks.run.ended;
      const ends = endsOf(result);
      t.deepEqual(
        ENDS.map((_, i) => ends.get(i)),
        STATUSES,
        result.stdout + result.stderr,
      );
      t.is(tasks.pids().length, ENDS.length, 'started twice');
      t.false(tasks.asked());
      await until('the last acknowledgement', () => updatesOf(tap).every(({ passedOn }) => passedOn > 0));
      const updates = updatesOf(tap);
      t.is(updates.length, 2 * ENDS.length);
      t.deepEqual(
        updates.filter(({ acknowledged, passedOn, isRepeated }) => acknowledged !== 1 || passedOn !== 1 || isRepeated),
        [],
      );
      t.deepEqual(tap.of(...KILLERS, 'UNREGISTER'), []);
    },
  );

test.serial(
  'FLT-9 AGS-7 PRC-4 an agent is upgraded: SIGTERM leaves its tasks to the next one, which tells their ends',
  async (t) => {
    const cluster = await startFaultCluster(t, ...ONE);
    const { folder, tap, pidOf } = cluster;
    const tasks = startTasks(cluster, 'upgraded');
    await tasks.running();
    await until('their updates', () => isSettled(tap));
    const pid = pidOf('a1');
    signalNow(pid, 'SIGTERM');
    await until('its end', () => pidOf('a1') === undefined);
    const still = processesOf(folder, 'upgraded-').map((each) => each.pid);
    for (const each of tasks.pids()) t.true(still.includes(Number(each)));
    tasks.go(1);
    // It ended as it was asked, so nobody starts it again: here comes its next version.
    const next = spawn(process.execPath, [MAIN, processFile(clusterLayout(folder.dir), 'a1')], { stdio: 'ignore' });
    const ended = new Promise((fulfil) => next.once('exit', fulfil));
    try {
      await until('the end of one', () => toldOf(tap, 'upgraded-').includes('TASK_FAILED'));
      tasks.go('all');
      const ends = endsOf(await tasks.run.ended);
      t.deepEqual(
        ENDS.map((_, i) => ends.get(i)),
        STATUSES,
      );
      t.is(tasks.pids().length, ENDS.length);
      t.false(tasks.asked());
      t.deepEqual(tap.of(...KILLERS, 'UNREGISTER'), []);
    } finally {
      next.kill(END_TASKS_SIGNAL);
      await ended;
    }
  },
);

test.serial(
  'FLT-10 AGT-3 an agent stopped for longer than it may be silent: UNREACHABLE, RUNNING, and the end as it was',
  async (t) => {
    const cluster = await startFaultCluster(t, '--masters', '1', '--agents', '2', ...SCALED);
    const { folder, tap, pidOf } = cluster;
    const go = join(folder.temporary, 'go');
    const run = folder.start(['run', '--json', '--name', 'away', `while [ ! -e ${go} ]; do sleep 0.05; done; exit 7`]);
    await until('RUNNING', () => toldOf(tap, 'away-').includes('TASK_RUNNING'));
    const [task] = (await folder.json<{ tasks: { agent: string }[] }>('ps')).tasks;
    const before = leaders(processesOf(folder, 'away-'));
    const pid = pidOf(task?.agent ?? '');
    signalNow(pid, 'SIGSTOP');
    try {
      await until('UNREACHABLE', () => toldOf(tap, 'away-').includes('TASK_UNREACHABLE'));
    } finally {
      signalNow(pid, 'SIGCONT');
    }
    await until('RUNNING again', () => toldOf(tap, 'away-').at(-1) === 'TASK_RUNNING');
    t.is(before.length, 2);
    t.is(living(before).length, 2);
    writeFileSync(go, '');
    const { status, stdout } = await run.ended;
    t.is(status, 7, stdout);
    t.deepEqual(new Set(toldOf(tap, 'away-')), new Set(['TASK_RUNNING', 'TASK_UNREACHABLE', 'TASK_FAILED']));
    t.regex(stdout, /"event":"unreachable"/);
    t.deepEqual(tap.of(...KILLERS), []);
  },
);

const DEAF = `trap "" TERM; (setsid sh -c 'trap "" TERM; echo ready; while :; do sleep 1; done') & while :; do sleep 1; done`;

test.serial(
  'FLT-11 AGS-3 PRC-9 a wrapper killed with -9: the task has FAILED, exit status unknown, and nothing of it is left',
  async (t) => {
    const { folder, tap } = await startFaultCluster(t, ...ONE);
    const run = folder.start(['run', '--json', '--name', 'lost', DEAF]);
    await run.until(/ready/);
    const all = processesOf(folder, 'lost-');
    t.true(all.length >= 3);
    killAll(all.filter(({ isWrapper }) => isWrapper));
    const { status, stdout } = await run.ended;
    t.is(status, 125);
    t.regex(stdout, /"event":"ended".*"state":"TASK_FAILED".*exit status unknown/);
    t.deepEqual(living(all), []);
    t.deepEqual(toldOf(tap, 'lost-'), ['TASK_RUNNING', 'TASK_FAILED']);
  },
);

test.serial(
  'FLT-11 AGS-3 PRC-9 the machine was started anew under a task: it has FAILED and says so, and does not start again',
  async (t) => {
    const { folder, tap, state, pidOf, untilBack } = await startFaultCluster(t, ...ONE);
    const starts = join(folder.temporary, 'starts');
    const run = folder.start(['run', '--json', '--name', 'boot', `echo start >>${starts}; exec sleep 300`]);
    await until('RUNNING', () => toldOf(tap, 'boot-').includes('TASK_RUNNING'));
    await until('its acknowledgement', () => isSettled(tap));
    const { supervisor } = state();
    const pid = pidOf('a1');
    // What a start of the machine leaves: no process, and the records of another boot id.
    signalNow(supervisor.pid, 'SIGSTOP');
    try {
      killNow(pid);
      killAll(processesOf(folder, 'boot-'));
      await until('nothing', () => living(processesOf(folder, 'boot-')).length === 0);
      const records = join(workFolder(clusterLayout(folder.dir), 'a1'), 'run');
      const [bootId = ''] = readdirSync(records).filter((name) => /^[0-9a-f-]{36}$/.test(name));
      renameSync(join(records, bootId), join(records, '00000000-0000-4000-8000-000000000000'));
    } finally {
      signalNow(supervisor.pid, 'SIGCONT');
    }
    await untilBack('a1', pid);
    const { status, stdout } = await run.ended;
    t.is(status, 125);
    t.regex(stdout, /"event":"ended".*"state":"TASK_FAILED".*"reason":"REASON_AGENT_RESTARTED".*machine was restarted/);
    t.deepEqual(lines(readFileSync(starts, 'utf8')), ['start']);
    t.is(await folder.out('run', '--', 'echo', 'on'), 'on\n');
  },
);

test.serial(
  'FLT-11 PRC-12 a second agent on a work directory does not start, and says who has it; the first goes on',
  async (t) => {
    const { folder, tap, pidOf } = await startFaultCluster(t, ...ONE);
    const go = join(folder.temporary, 'go');
    const run = folder.start(['run', '--name', 'first', `while [ ! -e ${go} ]; do sleep 0.05; done; exit 7`]);
    await until('RUNNING', () => toldOf(tap, 'first-').includes('TASK_RUNNING'));
    const pid = pidOf('a1');
    const second = spawn(process.execPath, [MAIN, processFile(clusterLayout(folder.dir), 'a1')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    second.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const status = await new Promise((fulfil) => second.once('close', fulfil));
    t.is(status, EXIT.unreachable);
    t.true(said.includes(`Another agent (process ${pid}) works in `) && said.includes('End it first'), said);
    t.is(pidOf('a1'), pid);
    writeFileSync(go, '');
    t.is((await run.ended).status, 7);
    t.deepEqual(tap.of(...KILLERS), []);
  },
);

/** The isolator against the kernel of this machine, where it has control groups that we may use. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { kernelFiles } from '../../runtime/node/cgroup-files.js';
import { openIsolator } from '../../runtime/node/cgroups.js';
import type { Isolator } from '../../runtime/node/isolator.js';
import { memoryLog } from '../contract/real-nats.js';

const MIB = 2 ** 20;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(holds: () => boolean): Promise<void> {
  for (const latest = performance.now() + 20_000; !holds(); await pause(5))
    if (performance.now() > latest) throw new Error('not in 20 s');
}

interface Real {
  readonly isolator: Isolator;
  reopen(): Isolator;
}

/** Runs a test with an isolator, or says why not. All that was made goes with it, when it fails too. */
function realTest(title: string, body: (t: ExecutionContext, real: Real) => Promise<unknown>): void {
  test(title, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tepui-cgroups-'));
    const parent = `/tepui-test-${folder.slice(-6)}`;
    const open = (): Isolator | undefined =>
      openIsolator({ agent: 'a1', runtimeFolder: folder, parent, log: memoryLog() });
    const isolator = open();
    try {
      if (isolator === undefined) {
        t.log('skipped: this machine has no control groups that this user may use');
        return t.pass();
      }
      await body(t, { isolator, reopen: () => open() as Isolator });
    } finally {
      rmSync(folder, { recursive: true });
      if (isolator !== undefined) await removeAll(isolator);
    }
  });
}

async function removeAll(isolator: Isolator): Promise<void> {
  const tops = isolator.prepare({ containerId: 'last' }).map((path) => path.slice(0, path.indexOf('/tepui/')));
  for (const id of isolator.strays([])) {
    await killed(isolator, id);
    isolator.cleanup(id);
  }
  await until(() => isolator.strays([]).length === 0);
  isolator.close();
  for (const top of tops) kernelFiles.remove(top);
}

/** Runs a program in the groups; it joins them before it becomes the program, as a wrapper does. */
function run(procs: readonly string[], argv: readonly string[]): ChildProcess {
  const joins = procs.map((path) => `echo 0 > '${path}' || exit 99`).join('; ');
  return spawn('/bin/sh', ['-c', `${joins}; exec "$@"`, 'sh', ...argv], { stdio: 'ignore', detached: true });
}

const isRunning = (pid: number): boolean => {
  try {
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

const ended = (child: ChildProcess): Promise<readonly [number | null, string | null]> =>
  new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal])));

const killed = (isolator: Isolator, containerId: string): Promise<readonly number[]> =>
  new Promise((resolve) => isolator.kill(containerId, resolve));

realTest("CGR-4: limits are the kernel's own, and a process starts within them", async (t, { isolator }) => {
  const limits = { cpus: 0.5, memoryBytes: 64 * MIB, pids: 3 };
  const procs = isolator.prepare({ containerId: 'limited', cpus: 0.25, limits });
  const [status] = await ended(run(procs, ['/bin/true']));
  t.is(status, 0);
  const value = (file: string): string | undefined =>
    procs.map((path) => kernelFiles.read(join(dirname(path), file))?.trim()).find((content) => content !== undefined);
  const expected: [file: string, content: string][] = [
    ['memory.limit_in_bytes', `${64 * MIB}`],
    ['memory.max', `${64 * MIB}`],
    ['cpu.cfs_quota_us', '50000'],
    ['cpu.shares', '256'],
    ['cpu.max', '50000 100000'],
    ['cpu.weight', '25'],
    ['pids.max', '3'],
  ];
  for (const [file, content] of expected) t.is(value(file) ?? content, content, file);
});

realTest('CGR-4: no more processes than allowed', async (t, machine) => {
  const procs = machine.isolator.prepare({ containerId: 'few', limits: { pids: 2 } });
  if (!procs.some((path) => existsSync(join(dirname(path), 'pids.max')))) {
    t.log('skipped: no pids controller');
    return t.pass();
  }
  const child = run(procs, ['/bin/sh', '-c', 'sleep 60 & sleep 60 & sleep 60 & wait']);
  const [status] = await ended(child);
  t.not(status, 0);
  t.true(machine.isolator.processes('few').length <= 2);
});

realTest(
  'CGR-6: nothing gets away: double forks, sessions of their own, cleared environments, stopped ones, fork storms',
  async (t, { isolator }) => {
    const procs = isolator.prepare({ containerId: 'tree', limits: { pids: 200 } });
    const hide = '(setsid env -i /bin/sh -c "(sleep 300 & sleep 300 & kill -STOP \\$\\$) & exit" &)';
    const storm = 'storm() { while :; do (sleep 0.01 &) ; done; }; storm & storm &';
    const child = run(procs, ['/bin/sh', '-c', `trap '' TERM INT; ${hide}; ${storm} sleep 300`]);
    const exit = ended(child);
    await until(() => isolator.processes('tree').length > 8);
    const seen = isolator.processes('tree');
    t.deepEqual(await killed(isolator, 'tree'), []);
    t.deepEqual(await exit, [null, 'SIGKILL']);
    t.deepEqual(isolator.processes('tree'), []);
    t.deepEqual(seen.filter(isRunning), []);
    isolator.cleanup('tree');
    await until(() => isolator.strays([]).length === 0);
    const late = run(procs, ['/bin/true']);
    t.deepEqual(await ended(late), [99, null], 'what starts after that cannot join, and does not run');
  },
);

realTest('CGR-6: a container that a later life finds is killed by its groups alone', async (t, machine) => {
  const child = run(machine.isolator.prepare({ containerId: 'left' }), ['/bin/sleep', '300']);
  await until(() => machine.isolator.processes('left').includes(child.pid ?? 0));
  const later = machine.reopen();
  t.deepEqual(later.strays([]), ['left']);
  t.deepEqual(await killed(later, 'left'), []);
  later.cleanup('left');
  await until(() => later.strays([]).length === 0);
  t.false(isRunning(child.pid ?? 0));
});

realTest('CGR-7: a process that takes too much memory is killed, and it is said so', async (t, { isolator }) => {
  const procs = isolator.prepare({ containerId: 'greedy', limits: { memoryBytes: 24 * MIB } });
  const files = ['memory.limit_in_bytes', 'memory.max'];
  if (!procs.some((path) => files.some((file) => existsSync(join(dirname(path), file))))) {
    t.log('skipped: no memory controller');
    return t.pass();
  }
  // A shell that doubles a text.
  const child = run(procs, ['/bin/sh', '-c', 'x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done']);
  t.deepEqual(await ended(child), [null, 'SIGKILL']);
  const limitation = isolator.limitation('greedy');
  t.is(limitation?.reason, 'REASON_CONTAINER_LIMITATION_MEMORY');
  t.regex(limitation?.message ?? '', /^Memory limit of 24 MiB exceeded(; highest use 2[34]\.\d MiB)?$/);
  const modest = isolator.prepare({ containerId: 'modest', limits: { memoryBytes: 24 * MIB } });
  t.deepEqual(await ended(run(modest, ['/bin/true'])), [0, null]);
  t.is(isolator.limitation('modest'), undefined);
});

realTest('CGR-9: what was left frozen goes on in the next life', async (t, machine) => {
  const procs = machine.isolator.prepare({ containerId: 'frozen' });
  const child = run(procs, ['/bin/sh', '-c', 'trap "exit 7" TERM; while :; do sleep 0.01; done']);
  const exit = ended(child);
  await until(() => machine.isolator.processes('frozen').length > 1);
  const files = procs.flatMap((path) => [
    { path: join(dirname(path), 'freezer.state'), frozen: 'FROZEN' },
    { path: join(dirname(path), 'cgroup.freeze'), frozen: '1' },
  ]);
  const [file] = files.filter(({ path }) => existsSync(path));
  if (file === undefined) {
    t.log('skipped: nothing here can freeze');
    return t.pass();
  }
  writeFileSync(file.path, file.frozen);
  process.kill(child.pid as number, 'SIGTERM');
  t.is(child.exitCode, null);
  machine.reopen();
  t.deepEqual(await exit, [7, null]);
});

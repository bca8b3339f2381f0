import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openIsolator } from '../../runtime/node/cgroups.js';
import type { Isolator } from '../../runtime/node/isolator.js';
import { memoryLog, type MemoryLog } from '../contract/real-nats.js';
import { FakeKernel, type FakeMachine } from '../support/fake-kernel.js';

const ALL_V1 = [['cpu', 'cpuacct'], ['memory'], ['pids'], ['freezer'], ['devices']];
const V1: FakeMachine = { v1: ALL_V1 };
const V2: FakeMachine = { v2: ['cpuset', 'cpu', 'memory', 'pids'] };
const HYBRID: FakeMachine = { v1: [['memory'], ['freezer']], v2: ['cpu', 'pids'] };
const MACHINES = { 'version 1': V1, 'version 2': V2, both: HYBRID };
const MIB = 2 ** 20;

interface Opened {
  readonly kernel: FakeKernel;
  readonly log: MemoryLog;
  readonly isolator: Isolator;
  reopen(): Isolator;
}

function open(t: ExecutionContext, machine: FakeMachine, more: { agent?: string; parent?: string } = {}): Opened {
  const kernel = new FakeKernel(machine);
  const runtimeFolder = mkdtempSync(join(tmpdir(), 'tepui-cgroups-'));
  t.teardown(() => rmSync(runtimeFolder, { recursive: true }));
  const log = memoryLog();
  const reopen = (): Isolator => {
    const isolator = openIsolator({ agent: 'a1', runtimeFolder, log, files: kernel, patienceMs: 300, ...more });
    if (isolator === undefined) throw new Error('no isolator');
    return isolator;
  };
  return { kernel, log, isolator: reopen(), reopen };
}

const groupsOf = (procs: readonly string[]): string[] => procs.map((path) => path.replace(/\/cgroup\.procs$/, ''));

const killed = (isolator: Isolator, containerId: string): Promise<readonly number[]> =>
  new Promise((resolve) => isolator.kill(containerId, resolve));

const eachMachine = (title: string, body: (t: ExecutionContext, opened: Opened) => void | Promise<void>): void => {
  for (const [name, machine] of Object.entries(MACHINES))
    test(`${title} (${name})`, async (t) => body(t, open(t, machine)));
};

test('CGR-1: each controller is used where the machine has it, in version 1, 2 or both', (t) => {
  const tops = (machine: FakeMachine): string[] => {
    const { isolator, log } = open(t, machine);
    t.deepEqual(log.lines, []);
    return isolator.prepare({ containerId: 'c' }).map((path) => path.split('/tepui/')[0] as string);
  };
  const at = (...names: string[]): string[] => names.map((name) => `/sys/fs/cgroup/${name}`);
  t.deepEqual(tops(V1), at('cpu,cpuacct', 'memory', 'pids', 'freezer'));
  t.deepEqual(tops(V2), at('uni fied'));
  t.deepEqual(tops(HYBRID), at('memory', 'freezer', 'uni fied'));
});

test('CGR-1: without control groups there is no isolator, and one warning', (t) => {
  const runtimeFolder = mkdtempSync(join(tmpdir(), 'tepui-cgroups-'));
  t.teardown(() => rmSync(runtimeFolder, { recursive: true }));
  for (const machine of [{}, { v1: [['devices']] }, { v1: ALL_V1, refused: { '/sys/fs/cgroup': 'EROFS' } }]) {
    const log = memoryLog();
    const files = new FakeKernel(machine);
    t.is(openIsolator({ agent: 'a1', runtimeFolder, log, files }), undefined);
    t.deepEqual(
      log.lines.map(({ level, fields }) => [level, fields?.['missing']]),
      [['warn', ['memory', 'cpu', 'pids']]],
    );
    t.deepEqual(files.groups, []);
  }
});

test('CGR-2: a controller that cannot be used is left out, said once with the reason, and the rest is used', (t) => {
  const { isolator, log, kernel } = open(t, { ...V1, refused: { '/sys/fs/cgroup/memory': 'EACCES' } });
  t.is(log.lines.length, 1);
  t.deepEqual(log.lines[0]?.fields?.['missing'], ['memory']);
  t.regex(String(log.lines[0]?.fields?.['because']), /EACCES.*memory/);
  const procs = isolator.prepare({ containerId: 'c', limits: { memoryBytes: 64 * MIB, pids: 9 } });
  t.is(procs.length, 3);
  t.deepEqual(kernel.writes.filter(([path]) => path.includes('/c/')).map(([, text]) => text), ['9']); // prettier-ignore
});

test('CGR-2: groups that no process can be put into are not used, and not left there', (t) => {
  const { isolator, kernel, log } = open(t, { ...V1, closed: ['/sys/fs/cgroup/pids'] });
  t.deepEqual(log.lines[0]?.fields?.['missing'], ['pids']);
  t.regex(String(log.lines[0]?.fields?.['because']), /Permission denied/);
  t.is(isolator.prepare({ containerId: 'c' }).length, 3);
  t.deepEqual(
    kernel.groups.filter((path) => path.includes('/pids/')),
    [],
  );
});

test('CGR-2: a controller that version 2 does not hand down is left out; trees still die by their group', async (t) => {
  // The group that a container or a session was given: processes are in it, so nothing can be handed down.
  const { isolator, kernel, log } = open(t, { v2: ['cpu', 'memory', 'pids'], own: '', handedDown: ['pids'], refused: { '/sys/fs/cgroup/uni fied/cgroup.subtree_control': 'EBUSY' } }); // prettier-ignore
  t.deepEqual(log.lines[0]?.fields?.['missing'], ['memory', 'cpu']);
  const procs = isolator.prepare({ containerId: 'c', cpus: 1, limits: { memoryBytes: 1, pids: 7 } });
  t.is(kernel.read(`${groupsOf(procs)[0]}/pids.max`), '7');
  kernel.start(procs);
  t.deepEqual(await killed(isolator, 'c'), []);
  t.deepEqual(kernel.pids, []);
});

test('CGR-3: groups are below the top, or beside the agent where the top is closed, or where they are told to be', (t) => {
  const folderOf = (machine: FakeMachine, more = {}): string => {
    const [path = ''] = open(t, machine, more).isolator.prepare({ containerId: 'c' });
    return path.slice('/sys/fs/cgroup/uni fied'.length);
  };
  t.regex(folderOf(V2), /^\/tepui\/a1-[^/]+\/c\/cgroup\.procs$/);
  const own = '/user/session/agent';
  t.regex(
    folderOf({ ...V2, own, refused: { '/sys/fs/cgroup/uni fied/tepui': 'EACCES' } }),
    /^\/user\/session\/tepui\/a1/,
  );
  t.regex(folderOf(V2, { parent: '/machine/ours' }), /^\/machine\/ours\/tepui\/a1/);
});

test('CGR-3: agents of one name have groups of their own, and the same after a restart', (t) => {
  const one = open(t, V1);
  const other = openIsolator({ agent: 'a1', runtimeFolder: tmpdir(), log: one.log, files: one.kernel });
  one.isolator.prepare({ containerId: 'c' });
  t.deepEqual(other?.strays([]), []);
  t.deepEqual(one.reopen().strays([]), ['c']);
});

test('CGR-3: an agent that ends leaves the folder of all to those that are there or just come', (t) => {
  const one = open(t, V1);
  const other = openIsolator({ agent: 'a2', runtimeFolder: tmpdir(), log: one.log, files: one.kernel });
  one.isolator.close();
  t.notThrows(() => other?.prepare({ containerId: 'c' }));
  other?.cleanup('c');
  const make = one.kernel.make.bind(one.kernel);
  one.kernel.make = (path) => {
    const isNew = make(path);
    // Before the second folder is made.
    if (path.endsWith('/pids/tepui')) {
      one.kernel.make = make;
      one.kernel.remove(path);
    }
    return isNew;
  };
  other?.close();
  t.is(one.reopen().prepare({ containerId: 'c' }).length, 4);
  t.deepEqual(one.log.lines, []);
});

eachMachine('CGR-3: any id names a group of its own', (t, { isolator, reopen, kernel }) => {
  const ids = ['=trial', '=.x', 'ü'.repeat(127), `${'ü'.repeat(126)}o`, 'a.b', 'a b', '-', 'x'.repeat(255), '..x'];
  const names = new Set(ids.map((containerId) => isolator.prepare({ containerId })[0]?.split('/').at(-2)));
  t.is(names.size, ids.length);
  for (const name of names) t.regex(name ?? '', /^[A-Za-z0-9_=.-]{1,255}$/);
  const later = reopen();
  t.deepEqual(later.strays(ids), []);
  const found = later.strays([]);
  t.is(found.length, ids.length);
  t.true(found.includes('a b'));
  for (const id of found) later.cleanup(id);
  t.deepEqual(later.strays([]), []);
  later.close();
  t.deepEqual(kernel.groups, []);
});

const written = ({ kernel }: Opened): Record<string, string> =>
  Object.fromEntries(
    kernel.writes.filter(([path]) => path.includes('/c/')).map(([path, text]) => [path.split('/').at(-1), text]),
  );

test('CGR-4: version 1: shares and quota of cpus, memory with swap, pids', (t) => {
  const opened = open(t, V1);
  opened.isolator.prepare({ containerId: 'c', cpus: 0.5, limits: { cpus: 1.5, memoryBytes: 64 * MIB, pids: 100 } });
  t.deepEqual(written(opened), {
    'cpu.shares': '512',
    'cpu.cfs_period_us': '100000',
    'cpu.cfs_quota_us': '150000',
    'memory.limit_in_bytes': `${64 * MIB}`,
    'memory.memsw.limit_in_bytes': `${64 * MIB}`,
    'pids.max': '100',
  });
  // The sum may not be below memory alone.
  const order = opened.kernel.writes.map(([path]) => path).filter((path) => path.includes('in_bytes'));
  t.regex(order[0] ?? '', /memory\.limit/);
});

test('CGR-4: version 2: weight and quota of cpus, memory without swap and killed as a whole, pids', (t) => {
  const opened = open(t, V2);
  opened.isolator.prepare({ containerId: 'c', cpus: 0.5, limits: { cpus: 1.5, memoryBytes: 64 * MIB, pids: 100 } });
  t.deepEqual(written(opened), {
    'cpu.weight': '50',
    'cpu.max': '150000 100000',
    'memory.max': `${64 * MIB}`,
    'memory.swap.max': '0',
    'memory.oom.group': '1',
    'pids.max': '100',
  });
});

test('CGR-4: what is not limited is not written, and numbers stay within what kernels take', (t) => {
  for (const machine of [V1, V2]) {
    const unlimited = open(t, machine);
    unlimited.isolator.prepare({ containerId: 'c' });
    t.deepEqual(written(unlimited), {});
  }
  const cpu = (machine: FakeMachine, cpus: number): (string | undefined)[] => {
    const opened = open(t, machine);
    opened.isolator.prepare({ containerId: 'c', cpus, limits: { cpus } });
    const values = written(opened);
    return machine === V1
      ? [values['cpu.shares'], values['cpu.cfs_quota_us']]
      : [values['cpu.weight'], values['cpu.max']];
  };
  t.deepEqual(cpu(V1, 0.001), ['2', '1000']);
  t.deepEqual(cpu(V2, 0.001), ['1', '1000 100000']);
  t.deepEqual(cpu(V1, 1_000), ['262144', '100000000']);
  t.deepEqual(cpu(V2, 1_000), ['10000', '100000000 100000']);
});

test('CGR-4: a kernel without swap accounting or killing as a whole limits what it can', (t) => {
  const without = ['memory.memsw.limit_in_bytes', 'memory.swap.max', 'memory.oom.group'];
  for (const machine of [V1, V2]) {
    const opened = open(t, { ...machine, without });
    t.notThrows(() => opened.isolator.prepare({ containerId: 'c', limits: { memoryBytes: MIB } }));
    t.deepEqual(Object.values(written(opened)), [`${MIB}`]);
  }
});

eachMachine('CGR-5: groups that cannot be made are told with the reason, and none of them stays', (t, opened) => {
  const { kernel, isolator } = opened;
  const refuse = kernel.write.bind(kernel);
  kernel.write = (path, text) => {
    if (path.endsWith('pids.max')) throw Object.assign(new Error('EINVAL: no such number'), { code: 'EINVAL' });
    refuse(path, text);
  };
  const error = t.throws(() => isolator.prepare({ containerId: 'c', limits: { pids: 1, memoryBytes: MIB } }));
  t.regex(error?.message ?? '', /control groups of c cannot be made: EINVAL/);
  t.deepEqual(isolator.strays([]), []);
});

eachMachine(
  'CGR-5: empty groups of an earlier life are replaced, occupied ones are refused and left alone',
  (t, opened) => {
    const { kernel, isolator } = opened;
    const spec = { containerId: 'c', limits: { memoryBytes: MIB } };
    const [group = ''] = groupsOf(isolator.prepare(spec)).filter((path) => /memory|uni/.test(path));
    const counts = group.includes('uni') ? 'memory.events' : 'memory.oom_control';
    kernel.set(`${group}/${counts}`, 'oom_kill 5\n');
    kernel.make(`${group}/nested`);
    const procs = isolator.prepare(spec);
    t.not(kernel.read(`${group}/${counts}`), 'oom_kill 5\n');
    const process = kernel.start(procs);
    t.throws(() => isolator.prepare(spec), { message: /EBUSY/ });
    t.deepEqual(isolator.processes('c'), [process.pid]);
  },
);

eachMachine(
  'CGR-6: everything in a container dies, in groups of its own making too',
  async (t, { kernel, isolator }) => {
    const procs = isolator.prepare({ containerId: 'c' });
    const other = kernel.start(isolator.prepare({ containerId: 'other' }), { forks: false });
    kernel.start(procs);
    for (const group of groupsOf(procs)) {
      kernel.make(`${group}/nested`);
      if (kernel.read(`${group}/nested/freezer.state`) !== undefined)
        kernel.write(`${group}/nested/freezer.state`, 'FROZEN');
    }
    kernel.start(groupsOf(procs).map((group) => `${group}/nested`));
    t.is(isolator.processes('c').length, 2);
    t.deepEqual(await killed(isolator, 'c'), []);
    t.deepEqual(kernel.pids, [other.pid]);
  },
);

for (const [name, machine] of Object.entries({
  ...MACHINES,
  'version 1 without a freezer': { v1: [['memory'], ['pids']] },
  'version 1 without pids': { v1: [['memory'], ['freezer']] },
  'version 2 before cgroup.kill': { ...V2, without: ['cgroup.kill'] },
}))
  test(`CGR-6: what forks all the time dies too (${name})`, async (t) => {
    const { kernel, isolator } = open(t, machine);
    kernel.start(isolator.prepare({ containerId: 'c' }), { forks: true });
    t.true(isolator.processes('c').length > 1);
    t.deepEqual(await killed(isolator, 'c'), []);
    t.deepEqual(kernel.pids, []);
  });

eachMachine(
  'CGR-6: neither process 0, nor 1, nor the agent itself is ever signalled',
  async (t, { kernel, isolator }) => {
    const procs = isolator.prepare({ containerId: 'c' });
    const pids = [0, 1, process.pid];
    for (const pid of pids) kernel.start(procs, { pid, hangs: true });
    const real = kernel.start(procs, { hangs: true });
    t.deepEqual(isolator.processes('c'), [real.pid]);
    await killed(isolator, 'c');
    t.true(kernel.signals.length > 0);
    for (const [pid] of kernel.signals) t.is(pid, real.pid);
  },
);

eachMachine('CGR-6: what does not die is told in the end, and said aloud', async (t, { kernel, isolator, log }) => {
  const process = kernel.start(isolator.prepare({ containerId: 'c' }), { hangs: true });
  t.deepEqual(await killed(isolator, 'c'), [process.pid]);
  t.deepEqual(log.lines.map(({ level, fields }) => [level, fields?.['pids']]), [['error', [process.pid]]]); // prettier-ignore
});

eachMachine(
  'CGR-6: an end is told once to each who waits, never synchronously, of unknown containers too',
  async (t, opened) => {
    const { kernel, isolator } = opened;
    kernel.start(isolator.prepare({ containerId: 'c' }));
    const told: string[] = [];
    isolator.kill('c', () => {
      told.push('first');
      throw new Error('a mistake of the caller');
    });
    isolator.kill('c', () => told.push('second'));
    isolator.kill('unknown', () => told.push('unknown'));
    t.deepEqual(told, []);
    await killed(isolator, 'c');
    await killed(isolator, 'unknown');
    t.deepEqual(told.sort(), ['first', 'second', 'unknown']);
  },
);

test('CGR-7: a kill for the memory limit is told with the limit and the highest use (version 1)', (t) => {
  const { kernel, isolator } = open(t, V1);
  const procs = isolator.prepare({ containerId: 'c', limits: { memoryBytes: 64 * MIB } });
  const group = groupsOf(procs).find((path) => path.includes('/memory/')) ?? '';
  t.is(isolator.limitation('c'), undefined);
  kernel.set(`${group}/memory.max_usage_in_bytes`, `${64 * MIB}\n`);
  kernel.set(`${group}/memory.failcnt`, '7\n');
  t.is(isolator.limitation('c'), undefined, 'it reached its limit, and gave something back');
  kernel.set(`${group}/memory.oom_control`, 'oom_kill_disable 0\nunder_oom 0\noom_kill 1\n');
  const limitation = {
    reason: 'REASON_CONTAINER_LIMITATION_MEMORY',
    message: 'Memory limit of 64 MiB exceeded; highest use 64.0 MiB',
  };
  t.deepEqual(isolator.limitation('c') as unknown, limitation);
  kernel.set(`${group}/memory.failcnt`, '0\n');
  t.deepEqual(isolator.limitation('c') as unknown, limitation, 'a kernel that does not count failures');
  kernel.set(`${group}/memory.max_usage_in_bytes`, `${60 * MIB}\n`);
  t.is(isolator.limitation('c'), undefined, 'the machine was out of memory, not the container');
  kernel.set(`${group}/memory.max_usage_in_bytes`, `${64 * MIB}\n`);
  kernel.set(`${group}/memory.memsw.failcnt`, '2\n');
  kernel.set(`${group}/memory.oom_control`, 'oom_kill_disable 0\nunder_oom 0\noom_kill 0\n');
  kernel.make(`${group}/nested`);
  kernel.set(`${group}/nested/memory.oom_control`, 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n');
  t.deepEqual(isolator.limitation('c') as unknown, limitation, 'the victim was in a group of its own making');
});

test('CGR-7: a kill for the memory limit is told with the limit and the highest use (version 2)', (t) => {
  const { kernel, isolator } = open(t, V2);
  const [group = ''] = groupsOf(isolator.prepare({ containerId: 'c', limits: { memoryBytes: 1.5 * MIB } }));
  const events = (oom: number, kills: number): void =>
    kernel.set(`${group}/memory.events`, `low 0\nhigh 0\nmax 9\noom ${oom}\noom_kill ${kills}\noom_group_kill 0\n`);
  t.is(isolator.limitation('c'), undefined);
  events(0, 1);
  t.is(isolator.limitation('c'), undefined, 'the machine was out of memory, not the container');
  events(1, 1);
  kernel.set(`${group}/memory.peak`, `${1.5 * MIB}\n`);
  t.is(isolator.limitation('c')?.message, 'Memory limit of 1.5 MiB exceeded; highest use 1.5 MiB');
});

test('CGR-7: old kernels, containers without a limit, and unknown ones', (t) => {
  const old = open(t, { ...V2, without: ['memory.peak'] });
  const [group = ''] = groupsOf(old.isolator.prepare({ containerId: 'c', limits: { memoryBytes: MIB } }));
  old.kernel.set(`${group}/memory.events`, 'oom 1\noom_kill 1\n');
  t.is(old.isolator.limitation('c')?.message, 'Memory limit of 1 MiB exceeded');
  const older = open(t, V1);
  const [path = ''] = groupsOf(older.isolator.prepare({ containerId: 'c', limits: { memoryBytes: MIB } })).filter((name) => name.includes('memory')); // prettier-ignore
  older.kernel.set(`${path}/memory.oom_control`, 'oom_kill_disable 0\nunder_oom 0\n');
  t.is(older.isolator.limitation('c'), undefined);
  older.kernel.set(`${path}/memory.failcnt`, '1');
  t.regex(older.isolator.limitation('c')?.message ?? '', /^Memory limit of 1 MiB exceeded/);
  for (const machine of [V1, V2]) {
    const { isolator, kernel } = open(t, machine);
    for (const path of groupsOf(isolator.prepare({ containerId: 'c' }))) {
      kernel.set(`${path}/memory.events`, 'oom 1\noom_kill 1\n');
      kernel.set(`${path}/memory.oom_control`, 'oom_kill 1\n');
      kernel.set(`${path}/memory.failcnt`, '1');
    }
    t.is(isolator.limitation('c'), undefined);
    t.is(isolator.limitation('unknown'), undefined);
  }
});

eachMachine(
  'CGR-8: cleaning up removes all groups, those of its own making too, and is safe at any time',
  (t, opened) => {
    const { kernel, isolator, log } = opened;
    isolator.cleanup('unknown');
    for (const group of groupsOf(isolator.prepare({ containerId: 'c' }))) {
      kernel.make(`${group}/nested`);
      kernel.make(`${group}/nested/deeper`);
    }
    isolator.cleanup('c');
    isolator.cleanup('c');
    t.deepEqual(isolator.strays([]), []);
    t.deepEqual(log.lines, []);
  },
);

eachMachine(
  'CGR-8: cleaning up waits for what has still to die, and gives up aloud',
  async (t, { kernel, isolator, log }) => {
    const process = kernel.start(isolator.prepare({ containerId: 'dying' }));
    kernel.start(isolator.prepare({ containerId: 'stays' }));
    isolator.cleanup('dying');
    isolator.cleanup('stays');
    t.deepEqual(isolator.strays([]), ['dying', 'stays']);
    kernel.end(process);
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
    while (isolator.strays([]).includes('dying')) await pause();
    t.deepEqual(log.lines, []);
    while (log.lines.length === 0) await pause();
    t.is(log.lines[0]?.fields?.['container'], 'stays');
  },
);

eachMachine(
  'CGR-8: groups that are made anew are not removed by an earlier cleaning up',
  async (t, { kernel, isolator }) => {
    const process = kernel.start(isolator.prepare({ containerId: 'c' }));
    isolator.cleanup('c');
    kernel.end(process);
    const procs = isolator.prepare({ containerId: 'c' });
    await new Promise((resolve) => setTimeout(resolve, 30));
    t.deepEqual(isolator.strays([]), ['c']);
    t.not(kernel.read(procs[0] ?? ''), undefined);
  },
);

eachMachine(
  'CGR-9: what an earlier life left is known, and what it left frozen goes on',
  (t, { kernel, isolator, reopen }) => {
    const procs = isolator.prepare({ containerId: 'left' });
    isolator.prepare({ containerId: 'known' });
    const frozen = new Map<string, string>();
    for (const group of groupsOf(procs))
      for (const [file, value] of [
        ['freezer.state', 'FROZEN'],
        ['cgroup.freeze', '1'],
      ] as const)
        if (kernel.read(`${group}/${file}`) !== undefined) {
          kernel.write(`${group}/${file}`, value);
          frozen.set(`${group}/${file}`, value);
        }
    const later = reopen();
    t.true(frozen.size > 0);
    for (const [path, value] of frozen) t.not(kernel.read(path), value);
    t.deepEqual(later.strays(['known', 'never seen']), ['left']);
  },
);

import test from 'ava';
import type { ContainerEnd, Processes } from '../../runtime/ports.js';
import { readScript } from '../../runtime/sim/script.js';
import { SimulatedFiles } from '../../runtime/sim/simulated-files.js';
import { calmNetwork, SimulatedNetwork } from '../../runtime/sim/simulated-network.js';
import { SimulatedProcesses } from '../../runtime/sim/simulated-processes.js';
import { calmStorage, SimulatedStorage } from '../../runtime/sim/simulated-storage.js';
import { LONGEST_TAIL_MS, SimulatedStore } from '../../runtime/sim/simulated-store.js';
import { Trace } from '../../runtime/sim/trace.js';
import { Incarnation } from '../../runtime/sim/virtual-clock.js';
import { bytes, text } from './harness.js';
import { newWorld, START_AT_MS } from './world.js';

function machine(seed = 1) {
  const { clock, random } = newWorld(seed);
  const files = new SimulatedFiles(clock, random.fork('files'));
  const processes = new SimulatedProcesses(clock, random.fork('processes'), files);
  const store = new SimulatedStore(clock, random.fork('store'));
  return { clock, files, processes, store, pass: (ms: number) => clock.run(clock.now() + ms) };
}

function launch(port: Processes, containerId: string, environment: Record<string, string>): ContainerEnd[] {
  const ends: ContainerEnd[] = [];
  const spec = { containerId, sandbox: `runs/${containerId}`, argv: ['/bin/simulated'], environment };
  port.launch(spec, () => undefined, (end) => ends.push(end)); // prettier-ignore
  return ends;
}

const records = (store: SimulatedStore): Record<string, string | undefined> =>
  Object.fromEntries([...store.port(new Incarnation('agent', 99)).load()].map(([key, value]) => [key, text(value)]));

test('SIM-9: sandboxes outlive the agent’s process', async (t) => {
  const { clock, files } = machine();
  files.append('runs/1/stdout', 'text');
  const read: unknown[] = [];
  files.port(new Incarnation('agent', 2)).read('runs/1/stdout', 0, 10, (part) => read.push(text(part?.data)));
  clock.run(START_AT_MS + 10);
  t.deepEqual(read, ['text']);
});

test('SIM-9: commits that are on their way when the process dies have taken place or not, in order, each as a whole', (t) => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    const { clock, store } = machine(seed);
    const life = new Incarnation('agent', 1);
    const port = store.port(life);
    port.commit([{ key: 'a', value: bytes('0') }, { key: 'b', value: bytes('0') }], () => undefined); // prettier-ignore
    clock.run(START_AT_MS + 10);
    for (const value of ['1', '2'])
      port.commit([{ key: 'a', value: bytes(value) }, { key: 'b', value: bytes(value) }], () => t.fail()); // prettier-ignore
    life.end();
    clock.run(START_AT_MS + 30);
    const { a, b } = records(store);
    t.is(a, b);
    outcomes.add(a as string);
  }
  t.deepEqual([...outcomes].sort(), ['0', '1', '2']);
});

test('SIM-9: with its power a machine loses the tail of its store, whoever was told of it, and nothing older', (t) => {
  const { clock, store } = machine();
  const port = store.port(new Incarnation('agent', 1));
  const stored: string[] = [];
  const commit = (key: string, value?: string): void =>
    port.commit([{ key, ...(value !== undefined && { value: bytes(value) }) }], () => stored.push(key));
  commit('old', 'kept');
  commit('gone', 'kept');
  clock.run(START_AT_MS + LONGEST_TAIL_MS);
  commit('old', 'lost');
  commit('new', 'lost');
  commit('gone');
  clock.run(clock.now() + 100);
  t.is(stored.length, 5);
  t.deepEqual([...store.loseTail(500)].sort(), ['gone', 'new', 'old']);
  t.deepEqual(records(store), { old: 'kept', gone: 'kept' });
  t.deepEqual([...store.loseTail(LONGEST_TAIL_MS)], []);
});

test('SIM-9: on a full disk no commit takes place, and the process is to end', (t) => {
  const { clock, store } = machine();
  const fatal: string[] = [];
  const port = store.port(new Incarnation('agent', 1), (error) => fatal.push(error.message));
  store.full = true;
  port.commit([{ key: 'a', value: bytes('1') }], () => t.fail());
  clock.run(START_AT_MS + 100);
  t.deepEqual([fatal.length, records(store)], [1, {}]);
});

test('SIM-10: a process does what its environment says, or else its argv', (t) => {
  const script = (argv: string[], environment: Record<string, string> = {}) =>
    readScript({ containerId: 'c', sandbox: 's', argv, environment });
  const said = script(['/bin/sh', '-c', 'SIM_RUN_MS=5 SIM_EXIT_CODE=3'], { SIM_RUN_MS: '7', SIM_NEVER_ENDS: '0' });
  t.like(said, { runMs: 7, exitCode: 3, neverEnds: false, ignoreTerm: false, failLaunch: undefined });
  t.like(script(['x']), { runMs: 100, exitCode: 0, stdout: '' });
  t.throws(() => script(['SIM_RUN_MS=soon']), { instanceOf: RangeError });
});

interface Told {
  readonly containerId: string;
  readonly pid?: number;
  readonly end?: ContainerEnd;
}

function adopt(port: Processes, ids: readonly string[]): Told[] {
  const told: Told[] = [];
  const specs = ids.map((id) => ({ containerId: id, sandbox: id, argv: [], environment: {} }));
  port.adopt(specs, (containerId, pid) => told.push({ containerId, pid }), (containerId, end) => told.push({ containerId, end })); // prettier-ignore
  return told;
}

test('SIM-10: containers outlive the agent’s process: a new life is told which run and how the others ended', (t) => {
  const { processes, pass } = machine();
  const first = new Incarnation('agent', 1);
  const port = processes.port(first);
  const ends = [launch(port, 'runs', { SIM_RUN_MS: '60000' }), launch(port, 'ends', { SIM_RUN_MS: '500', SIM_EXIT_CODE: '4' })]; // prettier-ignore
  launch(port, 'unwanted', { SIM_NEVER_ENDS: '1' });
  pass(100);
  first.end();
  pass(1_000);
  const told = adopt(processes.port(new Incarnation('agent', 2)), ['runs', 'ends', 'unknown']);
  t.deepEqual(told, []);
  pass(100);
  t.deepEqual(told.map(({ containerId, pid, end }) => [containerId, pid === undefined ? end : 'runs']), [
    ['runs', 'runs'],
    ['ends', 'runs'],
    ['ends', { exitCode: 4 }],
    ['unknown', { neverStarted: true }],
  ]); // prettier-ignore
  t.deepEqual([processes.live(), processes.strays, ends], [['runs'], ['unwanted'], [[], []]]);
});

test('SIM-10: what no launcher had claimed when the agent died never starts, and may be launched anew', (t) => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const { processes, pass } = machine(seed);
    const first = new Incarnation('agent', 1);
    launch(processes.port(first), 'c', { SIM_NEVER_ENDS: '1' });
    pass(seed % 3);
    first.end();
    const port = processes.port(new Incarnation('agent', 2));
    const told = adopt(port, ['c']);
    pass(1_000);
    t.is(told.length, 1);
    if (told[0]?.end?.neverStarted === true) launch(port, 'c', { SIM_NEVER_ENDS: '1' });
    pass(1_000);
    outcomes.add(told[0]?.end?.neverStarted === true ? 'anew' : 'adopted');
    t.deepEqual(processes.starts, ['c']);
  }
  t.deepEqual([...outcomes].sort(), ['adopted', 'anew']);
});

test('SIM-10: a wrapper that dies without a record takes its tree along, and nobody knows how it ended', (t) => {
  const { processes, pass } = machine();
  const first = new Incarnation('agent', 1);
  const ends = launch(processes.port(first), 'c', { SIM_NEVER_ENDS: '1' });
  t.false(processes.loseWrapper('c'));
  pass(50);
  t.true(processes.loseWrapper('c'));
  pass(50);
  t.deepEqual([ends, processes.live()], [[{ lost: 'wrapper' }], []]);
  first.end();
  const told = adopt(processes.port(new Incarnation('agent', 2)), ['c']);
  pass(50);
  t.deepEqual(told.at(-1), { containerId: 'c', end: { lost: 'wrapper' } });
});

for (const keepsRecords of [true, false])
  test(`SIM-10: after a restart of the machine every container is over, with records ${keepsRecords ? 'kept' : 'lost'}`, (t) => {
    const { processes, pass } = machine();
    const first = new Incarnation('agent', 1);
    const port = processes.port(first);
    launch(port, 'ended', { SIM_RUN_MS: '1' });
    launch(port, 'runs', { SIM_NEVER_ENDS: '1' });
    pass(100);
    first.end();
    processes.restart(keepsRecords);
    const lost = { lost: 'machine' } as const;
    for (const number of [2, 3]) {
      const life = new Incarnation('agent', number);
      const told = adopt(processes.port(life), ['ended', 'runs', 'unknown']);
      pass(100);
      const ends = Object.fromEntries(
        told.filter(({ end }) => end !== undefined).map((each) => [each.containerId, each.end]),
      );
      t.deepEqual(ends, { ended: keepsRecords ? { exitCode: 0 } : lost, runs: lost, unknown: lost });
      life.end();
    }
    t.is(processes.isRecordLost('ended'), !keepsRecords);
  });

test('SIM-10: on a full disk nothing starts, and what runs still leaves its record', (t) => {
  const { processes, pass } = machine();
  const port = processes.port(new Incarnation('agent', 1));
  const runs = launch(port, 'runs', { SIM_RUN_MS: '200' });
  pass(50);
  processes.full = true;
  const refused = launch(port, 'refused', {});
  pass(500);
  t.deepEqual(runs, [{ exitCode: 0 }]);
  t.truthy(refused[0]?.launchError);
  t.deepEqual(processes.starts, ['runs']);
});

test('SIM-10: a container goes on while its agent is paused, which hears of it later', (t) => {
  const { clock, processes, pass } = machine();
  const life = new Incarnation('agent', 1);
  const ends = launch(processes.port(life), 'c', { SIM_RUN_MS: '100' });
  life.pause();
  pass(1_000);
  t.deepEqual([processes.live(), ends], [[], []]);
  life.resume(clock);
  pass(1);
  t.deepEqual(ends, [{ exitCode: 0 }]);
});

test('SIM-10: SIGTERM may be caught, and may take its time', (t) => {
  const { processes, pass } = machine();
  const port = processes.port(new Incarnation('agent', 1));
  const ends = launch(port, 'c', { SIM_NEVER_ENDS: '1', SIM_TERM_EXIT_CODE: '5', SIM_TERM_MS: '1000' });
  pass(50);
  port.signal('c', 'SIGTERM');
  pass(900);
  t.deepEqual(ends, []);
  pass(200);
  t.deepEqual(ends, [{ exitCode: 5 }]);
});

test('SIM-11: every start, every signal and the most that start at a time are recorded', (t) => {
  const { processes, pass } = machine();
  const port = processes.port(new Incarnation('agent', 1));
  for (const id of ['a', 'b', 'c']) launch(port, id, {});
  launch(port, 'fails', { SIM_FAIL_LAUNCH: 'no' });
  t.is(processes.starting, 4);
  pass(50);
  launch(port, 'd', {});
  port.signal('d', 'SIGKILL');
  pass(1_000);
  t.deepEqual([...processes.starts].sort().slice(0, 3), ['a', 'b', 'c']);
  t.is(processes.startingMax, 4);
  t.is(processes.starting, 0);
  t.deepEqual(processes.signals, [{ now: START_AT_MS + 50, containerId: 'd', signal: 'SIGKILL' }]);
});

/** A busy little world: two nodes that talk, write and run containers. Returns its trace. */
function busyWorld(seed: number): Trace {
  const { clock, random, life } = newWorld(seed);
  const trace = new Trace();
  const network = new SimulatedNetwork(clock, calmNetwork(random.fork('network')));
  const storage = new SimulatedStorage({ clock, policy: calmStorage(random.fork('storage')) });
  const files = new SimulatedFiles(clock, random.fork('files'));
  const processes = new SimulatedProcesses(clock, random.fork('processes'), files);
  network.tapDeliveries(({ now, to, from, subject, data }) => trace.add(now, to, `${from} ${subject} ${text(data)}`));
  storage.tap(({ now, key, revision }) => trace.add(now, 'storage', `${key} ${revision}`));
  for (const name of ['a', 'b']) {
    const incarnation = life(name);
    const transport = network.connect({ name, incarnation, inboxPrefix: `inbox.${name}` });
    const port = storage.port(name, incarnation);
    const containers = processes.port(incarnation);
    transport.subscribe('x.>', ({ data }) => trace.add(clock.now(), name, `heard ${text(data)}`));
    for (let i = 0; i < 50; i++)
      clock.clockOf(incarnation).after(i * 3, () => {
        transport.publish(`x.${name}`, bytes(String(i)));
        port.compareAndSet('lease', { key: 'leader', value: bytes(name) }, i, undefined, ({ outcome }) =>
          trace.add(clock.now(), name, outcome),
        );
        launchTraced(containers, `${name}-${i}`);
      });
  }
  const launchTraced = (port: Processes, containerId: string): void =>
    port.launch(
      { containerId, sandbox: containerId, argv: ['x'], environment: {} },
      (pid) => trace.add(clock.now(), containerId, `pid ${pid}`),
      (end) => trace.add(clock.now(), containerId, `exit ${end.exitCode}`),
    );
  clock.run(START_AT_MS + 10_000);
  return trace;
}

test('SIM-12: the same seed gives the same trace, another seed another', (t) => {
  const [first, second, other] = [busyWorld(1), busyWorld(1), busyWorld(2)];
  t.true(first.count > 700);
  t.is(first.hash(), second.hash());
  t.not(first.hash(), other.hash());
});

import test from 'ava';
import type { ContainerEnd, Processes } from '../../runtime/ports.js';
import { readScript } from '../../runtime/sim/script.js';
import { SimulatedFiles } from '../../runtime/sim/simulated-files.js';
import { calmNetwork, SimulatedNetwork } from '../../runtime/sim/simulated-network.js';
import { SimulatedProcesses } from '../../runtime/sim/simulated-processes.js';
import { calmStorage, SimulatedStorage } from '../../runtime/sim/simulated-storage.js';
import { Trace } from '../../runtime/sim/trace.js';
import { Incarnation } from '../../runtime/sim/virtual-clock.js';
import { bytes, text } from './harness.js';
import { newWorld, START_AT_MS } from './world.js';

function machine(seed = 1) {
  const { clock, random } = newWorld(seed);
  const files = new SimulatedFiles(clock, random.fork('files'));
  const processes = new SimulatedProcesses(clock, random.fork('processes'), files);
  return { clock, files, processes, pass: (ms: number) => clock.run(clock.now() + ms) };
}

function launch(port: Processes, containerId: string, environment: Record<string, string>): ContainerEnd[] {
  const ends: ContainerEnd[] = [];
  const spec = { containerId, sandbox: `runs/${containerId}`, argv: ['/bin/simulated'], environment };
  port.launch(spec, () => undefined, (end) => ends.push(end)); // prettier-ignore
  return ends;
}

test('SIM-9: records and sandboxes outlive the agent’s process', (t) => {
  const { clock, files } = machine();
  const first = new Incarnation('agent', 1);
  files.port(first).store('agent', bytes('stored'), () => undefined);
  files.append('runs/1/stdout', 'text');
  clock.run(START_AT_MS + 10);
  first.end();
  t.is(text(files.port(new Incarnation('agent', 2)).load('agent')), 'stored');
});

test('SIM-9: a store that is on its way when the process dies has taken place or not, whole either way', (t) => {
  const outcomes = new Set<string | undefined>();
  for (let seed = 0; seed < 20; seed++) {
    const { clock, files } = machine(seed);
    const life = new Incarnation('agent', 1);
    const port = files.port(life);
    port.store('agent', bytes('old'), () => undefined);
    clock.run(START_AT_MS + 10);
    port.store('agent', bytes('new'), () => t.fail());
    life.end();
    clock.run(START_AT_MS + 20);
    outcomes.add(text(files.record('agent')));
  }
  t.deepEqual([...outcomes].sort(), ['new', 'old']);
});

test('SIM-10: a process does what its environment says, or else its argv', (t) => {
  const script = (argv: string[], environment: Record<string, string> = {}) =>
    readScript({ containerId: 'c', sandbox: 's', argv, environment });
  const said = script(['/bin/sh', '-c', 'SIM_RUN_MS=5 SIM_EXIT_CODE=3'], { SIM_RUN_MS: '7', SIM_NEVER_ENDS: '0' });
  t.like(said, { runMs: 7, exitCode: 3, neverEnds: false, ignoreTerm: false, failLaunch: undefined });
  t.like(script(['x']), { runMs: 100, exitCode: 0, stdout: '' });
  t.throws(() => script(['SIM_RUN_MS=soon']), { instanceOf: RangeError });
});

test('SIM-10: the death of the agent’s process kills its containers, of which only their ids are told', (t) => {
  const { clock, processes, pass } = machine();
  const first = new Incarnation('agent', 1);
  const port = processes.port(first);
  const ends = [launch(port, 'runs', { SIM_NEVER_ENDS: '1' }), launch(port, 'ended', { SIM_RUN_MS: '1' })];
  pass(50);
  ends.push(launch(port, 'starts', {}));
  first.end();
  t.deepEqual(processes.crash(), ['runs', 'starts']);
  pass(10_000);
  t.deepEqual(ends, [[], [{ exitCode: 0 }], []]);
  t.deepEqual([processes.live(), processes.starting, [...processes.starts].sort()], [[], 0, ['ended', 'runs']]);
  t.deepEqual(processes.ends.get('runs'), { exitSignal: 'SIGKILL' });
  const second = launch(processes.port(new Incarnation('agent', 2)), 'again', { SIM_EXIT_CODE: '4' });
  clock.run(clock.now() + 1_000);
  t.deepEqual(second, [{ exitCode: 4 }]);
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

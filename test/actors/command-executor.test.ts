import test from 'ava';
import { sandboxOf } from '../../actors/framework/container-of.js';
import type { ExecutorUpdate } from '../../actors/framework/command-executor.js';
import type { Effect } from '../../actors/effect.js';
import type { CommandInfo } from '../../protocol/container.js';
import { Resources } from '../../protocol/resources.js';
import type { TaskInfo } from '../../protocol/task.js';
import { ofType, words } from '../support/actor-kit.js';
import { ExecutorKit } from '../support/agent-kit.js';

const reports = (effects: readonly Effect[]) => ofType(effects, 'tell').map(({ event }) => event as ExecutorUpdate);
const states = (effects: readonly Effect[]) => reports(effects).map(({ status }) => status.state);
const specs = (effects: readonly Effect[]) => ofType(effects, 'launchContainer').map(({ spec }) => spec);
const signals = (effects: readonly Effect[]) => ofType(effects, 'signalContainer').map(({ signal }) => signal);

test('EXE-1: a command runs in a sandbox of its own with the environment that it is given', (t) => {
  const kit = new ExecutorKit();
  const variables = [{ name: 'A', value: '1' }, { name: 'PATH', value: '/mine' }, { name: 'TEPUI_TASK_ID', value: 'x' }, { name: 'EMPTY', value: '' }]; // prettier-ignore
  const [spec] = specs(kit.launch('L1', { taskId: 'a.b', command: { value: 'env', user: 'nobody', environment: { variables } } })); // prettier-ignore
  t.deepEqual(spec, {
    containerId: 'L1',
    sandbox: 'frameworks/5-0001/executors/a=2Eb/runs/L1',
    argv: ['/bin/sh', '-c', 'env'],
    environment: { PATH: '/mine', TEPUI_FRAMEWORK_ID: '5-0001', TEPUI_TASK_ID: 'x', TEPUI_AGENT_ID: '5-S1', A: '1', EMPTY: '' }, // prettier-ignore
    user: 'nobody',
    cpus: 1,
    limits: { cpus: undefined, memoryBytes: 128 * 1024 * 1024, pids: undefined },
  });
  const [plain] = specs(kit.launch('L2'));
  t.deepEqual(plain?.environment, { PATH: '/bin', TEPUI_FRAMEWORK_ID: '5-0001', TEPUI_TASK_ID: 't-L2', TEPUI_AGENT_ID: '5-S1' }); // prettier-ignore
  t.not(plain?.sandbox, spec?.sandbox);
});

test('EXE-1: no id leads out of the sandboxes', (t) => {
  for (const nasty of ['../x', '..', 'a/b', '.', '~', ''.padEnd(3, '.')])
    t.regex(
      sandboxOf(nasty, nasty, 'L1'),
      /^frameworks\/[A-Za-z0-9_=-]+\/executors\/[A-Za-z0-9_=-]+\/runs\/L1$/,
      nasty,
    );
});

test('EXE-1: the rule of Mesos for arguments', (t) => {
  const table: [CommandInfo, string[]][] = [
    [{ value: 'a | b' }, ['/bin/sh', '-c', 'a | b']],
    [{ shell: true, value: 'x', arguments: ['ignored'] }, ['/bin/sh', '-c', 'x']],
    [{ shell: false, value: '/bin/echo', arguments: ['echo', 'a b', '$x'] }, ['/bin/echo', 'a b', '$x']],
    [{ shell: false, value: '/bin/true' }, ['/bin/true']],
    [{ shell: false, value: '/bin/true', arguments: ['name'] }, ['/bin/true']],
  ];
  for (const [command, argv] of table)
    t.deepEqual(specs(new ExecutorKit().launch('L1', { command }))[0]?.argv, argv, JSON.stringify(command));
});

test('EXE-2: so many containers are started at a time; the others queue, in order', (t) => {
  const kit = new ExecutorKit({ maxStarting: 2 });
  const begun: string[] = [];
  const note = (effects: readonly Effect[]): void => void begun.push(...specs(effects).map((spec) => spec.containerId));
  for (let i = 1; i <= 6; i++) note(kit.launch(`L${i}`));
  t.deepEqual(begun, ['L1', 'L2']);
  note(kit.started('L2'));
  t.deepEqual(begun, ['L1', 'L2', 'L3']);
  note(kit.ended('L1', { launchError: 'no such program' }));
  t.deepEqual(begun, ['L1', 'L2', 'L3', 'L4'], 'one that fails to start makes room too');
  note(kit.ended('L2', { exitCode: 0 }));
  t.deepEqual(begun.length, 4, 'one that runs took no room');
  note(kit.started('L3'));
  note(kit.started('L4'));
  t.deepEqual(begun, ['L1', 'L2', 'L3', 'L4', 'L5', 'L6']);
  note(kit.started('L3'));
  note(kit.launch('L7'));
  t.is(begun.length, 6, 'a start that is told twice makes no room');
});

test('EXE-2: who waits in the queue fails for nothing, however long it takes', (t) => {
  const kit = new ExecutorKit({ maxStarting: 1 });
  kit.launch('L1');
  kit.launch('L2', { maxCompletionTime: { nanoseconds: 1e9 } });
  t.deepEqual(words(kit.pass(3_600_000)), []);
  t.deepEqual(specs(kit.started('L1')).map(({ containerId }) => containerId), ['L2']); // prettier-ignore
});

test('EXE-3: a start is told as RUNNING, with its process', (t) => {
  const kit = new ExecutorKit();
  kit.launch('L1');
  t.deepEqual(reports(kit.started('L1')), [
    {
      type: 'commandExecutor.UPDATE',
      launchId: 'L1',
      status: { state: 'TASK_RUNNING', containerStatus: { containerId: { value: 'L1' }, executorPid: 77 } },
    },
  ]);
});

test('EXE-3: a task’s end says its exit code or signal', (t) => {
  const failed = { state: 'TASK_FAILED', reason: 'REASON_COMMAND_EXECUTOR_FAILED' } as const;
  const table: [Parameters<ExecutorKit['ended']>[1], object][] = [
    [{ exitCode: 0 }, { state: 'TASK_FINISHED', exitCode: 0, message: 'Command exited with status 0' }],
    [{ exitCode: 3 }, { ...failed, exitCode: 3, message: 'Command exited with status 3' }],
    [{ exitSignal: 'SIGSEGV' }, { ...failed, exitSignal: 'SIGSEGV', message: 'Command ended by SIGSEGV' }],
    [{}, { ...failed, message: 'Command exited with status ?' }],
    [{ launchError: 'no such program' }, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED', message: 'no such program' }], // prettier-ignore
  ];
  for (const [end, status] of table) {
    const kit = new ExecutorKit();
    kit.launch('L1');
    if (end.launchError === undefined) kit.started('L1');
    t.deepEqual(reports(kit.ended('L1', end))[0]?.status, status as never);
    t.deepEqual(words(kit.ended('L1', end)), [], 'once');
  }
});

test('EXE-3: a task that was asked to end is KILLED whatever its code', (t) => {
  for (const end of [{ exitCode: 0 }, { exitCode: 1 }, { exitSignal: 'SIGKILL' }]) {
    const kit = new ExecutorKit();
    kit.launch('L1');
    kit.started('L1');
    kit.kill('L1');
    t.like(reports(kit.ended('L1', end))[0]?.status, { state: 'TASK_KILLED', ...end });
  }
});

test('EXE-4 KIL-1: a kill is SIGTERM, after the grace SIGKILL, repeated until the end is told', (t) => {
  const kit = new ExecutorKit();
  kit.launch('L1');
  kit.started('L1');
  t.deepEqual(signals(kit.kill('L1')), ['SIGTERM']);
  t.deepEqual(signals(kit.pass(2_999)), []);
  t.deepEqual(signals(kit.pass(1)), ['SIGKILL']);
  t.deepEqual(signals(kit.pass(3_000)), ['SIGKILL', 'SIGKILL', 'SIGKILL']);
  kit.ended('L1', { exitSignal: 'SIGKILL' });
  t.deepEqual(words(kit.pass(10_000)), []);
  t.is(kit.dueAtMs, undefined);
});

test('EXE-4: the grace is that of the call, else of the task, else 3 s', (t) => {
  const policy = { killPolicy: { gracePeriod: { nanoseconds: 7e9 } } };
  const cases: [Partial<TaskInfo>, number | undefined, number][] = [
    [{}, undefined, 3_000],
    [policy, undefined, 7_000],
    [policy, 1_000, 1_000],
    [policy, 9_000, 9_000],
    [{}, 0, 0],
  ];
  for (const [info, graceMs, expected] of cases) {
    const kit = new ExecutorKit();
    kit.launch('L1', info);
    kit.started('L1');
    kit.kill('L1', graceMs);
    if (expected > 0) t.deepEqual(signals(kit.pass(expected - 1)), [], `${expected}`);
    t.deepEqual(signals(kit.pass(expected > 0 ? 1 : 0)), ['SIGKILL'], `${expected}`);
  }
});

test('EXE-4: a second kill only shortens the grace', (t) => {
  const kit = new ExecutorKit();
  kit.launch('L1');
  kit.started('L1');
  kit.kill('L1', 10_000);
  kit.pass(1_000);
  t.deepEqual(words(kit.kill('L1', 60_000)), []);
  t.deepEqual(words(kit.kill('L1', 2_000)), [], 'no second SIGTERM');
  t.deepEqual(signals(kit.pass(1_999)), []);
  t.deepEqual(signals(kit.pass(1)), ['SIGKILL']);
  kit.ended('L1', { exitSignal: 'SIGKILL' });

  kit.launch('L2');
  kit.started('L2');
  kit.kill('L2', 1_000);
  kit.kill('L2', 60_000);
  t.deepEqual(signals(kit.pass(1_000)), ['SIGKILL']);
});

test('EXE-4: KILLING is told to who wants to see it, once', (t) => {
  const kit = new ExecutorKit();
  kit.launch('L1', {}, true);
  kit.started('L1');
  t.deepEqual(states(kit.kill('L1')), ['TASK_KILLING']);
  t.deepEqual(states(kit.kill('L1')), []);
  kit.launch('L2', {}, false);
  kit.started('L2');
  t.deepEqual(states(kit.kill('L2')), []);
});

test('EXE-4: a kill that meets a starting task is carried out when it has started', (t) => {
  const kit = new ExecutorKit();
  kit.launch('L1');
  t.deepEqual(words(kit.kill('L1')), []);
  const effects = kit.started('L1');
  t.deepEqual(states(effects), ['TASK_RUNNING']);
  t.deepEqual(signals(effects), ['SIGTERM']);
  t.deepEqual(signals(kit.pass(3_000)), ['SIGKILL']);
  t.like(reports(kit.ended('L1', { exitSignal: 'SIGKILL' }))[0]?.status, { state: 'TASK_KILLED' });
});

test('EXE-5: a task that is killed while it queues never starts', (t) => {
  const kit = new ExecutorKit({ maxStarting: 1 });
  for (const launch of ['L1', 'L2', 'L3']) kit.launch(launch);
  const effects = kit.kill('L2');
  t.deepEqual(signals(effects), []);
  t.like(reports(effects)[0]?.status, { state: 'TASK_KILLED', reason: 'REASON_TASK_KILLED_DURING_LAUNCH' });
  t.deepEqual(specs(kit.started('L1')).map(({ containerId }) => containerId), ['L3']); // prettier-ignore
  t.deepEqual(words(kit.kill('L2')), []);
});

test('EXE-4: maxCompletionTime counts from the start and ends as FAILED, with its reason', (t) => {
  const kit = new ExecutorKit({ maxStarting: 1 });
  kit.launch('L0');
  kit.launch('L1', { maxCompletionTime: { nanoseconds: 5e9 }, killPolicy: { gracePeriod: { nanoseconds: 1e9 } } }, true); // prettier-ignore
  kit.pass(60_000);
  kit.started('L0');
  kit.pass(60_000);
  kit.started('L1');
  t.deepEqual(words(kit.pass(4_999)), []);
  t.deepEqual(words(kit.pass(1)), ['tell commandExecutor.UPDATE', 'signalContainer SIGTERM']);
  t.deepEqual(signals(kit.pass(1_000)), ['SIGKILL']);
  t.like(reports(kit.ended('L1', { exitSignal: 'SIGKILL' }))[0]?.status, { state: 'TASK_FAILED', reason: 'REASON_MAX_COMPLETION_TIME_REACHED', exitSignal: 'SIGKILL' }); // prettier-ignore
});

test('EXE-4: a task that ends in time is not bothered later', (t) => {
  const kit = new ExecutorKit();
  kit.launch('L1', { maxCompletionTime: { nanoseconds: 5e9 } });
  kit.started('L1');
  kit.ended('L1', { exitCode: 0 });
  t.deepEqual(words(kit.pass(60_000)), []);
});

test('EXE-4: a kill or a word of an unknown launch does nothing', (t) => {
  const kit = new ExecutorKit();
  t.deepEqual(words(kit.kill('L9')), []);
  t.deepEqual(words(kit.started('L9')), []);
  t.deepEqual(words(kit.ended('L9', { exitCode: 0 })), []);
});

test('EXE-1: a command runs as its own user, else as the framework’s, else as the agent sees fit', (t) => {
  const userOf = (command: string | undefined, framework: string): string | undefined =>
    specs(
      new ExecutorKit().launch('L1', { command: { value: 'x', ...(command !== undefined && { user: command }) } }, false, framework), // prettier-ignore
    )[0]?.user;
  t.is(userOf('nobody', 'u'), 'nobody');
  t.is(userOf(undefined, 'u'), 'u');
  t.is(userOf('', 'u'), 'u');
  t.is(userOf(undefined, ''), undefined);
});

test('EXE-6: the share of the cpus and the limit of the memory are what the task was given, or the limits that it asked for', (t) => {
  const MIB = 1024 * 1024;
  const task = (resources: string, limits?: TaskInfo['limits']): Partial<TaskInfo> => ({
    resources: Resources.parse(resources).toArray(),
    ...(limits && { limits }),
  });
  const none = { cpus: undefined, memoryBytes: undefined, pids: undefined };
  const table: [string, Partial<TaskInfo>, number | undefined, object][] = [
    ['given', task('cpus:0.5;mem:32'), 0.5, { ...none, memoryBytes: 32 * MIB }],
    ['of several roles', task('cpus:0.5;cpus(a):1;mem:32;mem(a):0.5'), 1.5, { ...none, memoryBytes: 32.5 * MIB }],
    ['nothing given', task('disk:5'), undefined, none],
    ['other limits', task('cpus:1;mem:32', { cpus: { value: 2 }, mem: { value: 64 } }), 1, { ...none, cpus: 2, memoryBytes: 64 * MIB }], // prettier-ignore
    ['no limit', task('cpus:1;mem:32', { cpus: { value: Infinity }, mem: { value: Infinity } }), 1, none],
  ];
  for (const [name, given, cpus, limits] of table) {
    const [spec] = specs(new ExecutorKit().launch('L1', given));
    t.is(spec?.cpus, cpus, name);
    t.deepEqual(spec?.limits, limits as never, name);
  }
  t.is(specs(new ExecutorKit({ maxPids: 99 }).launch('L1'))[0]?.limits?.pids, 99);
});

test('EXE-3: what was ended for what it used is FAILED with the limit that it passed', (t) => {
  const kit = new ExecutorKit();
  const limitation = { reason: 'REASON_CONTAINER_LIMITATION_MEMORY', message: 'over 32 MiB' } as const;
  kit.launch('L1');
  kit.started('L1');
  t.deepEqual(reports(kit.ended('L1', { exitSignal: 'SIGKILL', limitation }))[0]?.status, {
    state: 'TASK_FAILED',
    ...limitation,
    exitSignal: 'SIGKILL',
  });
  kit.launch('L2');
  kit.started('L2');
  kit.kill('L2');
  t.like(reports(kit.ended('L2', { limitation }))[0]?.status, { state: 'TASK_KILLED' });
});

import test from 'ava';
import type { Offer } from '../../protocol/offer.js';
import { Resources } from '../../protocol/resources.js';
import type { TaskInfo, TaskStatus } from '../../protocol/task.js';
import type { Call, Calls, Stamp } from '../../runtime/sdk.js';
import {
  newRunState,
  onOffers,
  onUpdate,
  runSchedulerOf,
  runStatus,
  taskIdOf,
  type RunRequest,
  type RunState,
} from '../../cli/run-scheduler.js';

const NOW = 1_000_000;
const at = (now = NOW): Stamp => ({ now, random: 0.5 });

const request = (given: Partial<RunRequest> = {}): RunRequest => ({
  name: 'job',
  runId: 'x1',
  count: 1,
  command: { shell: false, value: 'true', arguments: ['true'] },
  cpus: 0.1,
  mem: 32,
  disk: 0,
  ports: 0,
  maxAttempts: 4,
  ...given,
});

const offer = (resources: string, id = 'o1', agentId = 'S1'): Offer => ({
  id,
  frameworkId: 'f1',
  agentId,
  hostname: 'h',
  resources: Resources.parse(resources).allocate('*').toArray(),
  allocationInfo: { role: '*' },
});

const status = (taskId: string, state: TaskStatus['state'], given: Partial<TaskStatus> = {}): TaskStatus => ({
  taskId,
  state,
  agentId: 'S1',
  launchId: `L-${taskId}`,
  ...given,
});

const types = (calls: Calls): string[] => calls.map(({ type }) => type);
const accepts = (calls: Calls) =>
  calls.filter((call): call is Extract<Call, { type: 'ACCEPT' }> => call.type === 'ACCEPT');
const launched = (calls: Calls): TaskInfo[] =>
  accepts(calls).flatMap(({ accept }) =>
    (accept.operations ?? []).flatMap((operation) =>
      operation.type === 'LAUNCH' ? (operation.launch.taskInfos ?? []) : [],
    ),
  );
const kills = (calls: Calls): string[] => calls.flatMap((call) => (call.type === 'KILL' ? [call.kill.taskId] : []));

function started(given: Partial<RunRequest> = {}): RunState {
  const state = newRunState(request(given));
  state.frameworkId = 'f1';
  onOffers(state, [offer('cpus:100;mem:100000;ports:[1-100]')], at());
  return state;
}

const stop = (state: RunState): Calls =>
  runSchedulerOf(state.request, 'u').onInput?.(state, { type: 'stop', why: 'SIGINT', exitStatus: 130 }, at()) ?? [];
const wake = (state: RunState, now: number): Calls => runSchedulerOf(state.request, 'u').onWake?.(state, at(now)) ?? [];

test('RUN-1 an offer is filled with as many tasks as fit, and the rest of the offers goes back for long', (t) => {
  const state = newRunState(request({ count: 10 }));
  const calls = onOffers(
    state,
    [offer('cpus:0.35;mem:1000', 'o1', 'S1'), offer('cpus:0.05;mem:1000', 'o2', 'S2')],
    at(),
  );
  t.deepEqual(types(calls), ['ACCEPT', 'DECLINE']);
  t.is(launched(calls).length, 3);
  t.true(launched(calls).every(({ agentId }) => agentId === 'S1'));
  t.true((accepts(calls)[0]?.accept.filters?.refuseSeconds ?? 0) >= 600);
  t.is(state.pending.length, 7);
});

test('RUN-1 two thousand tasks without cpus fit into one ACCEPT', (t) => {
  const state = newRunState(request({ count: 2_000, cpus: 0, mem: 1 }));
  const calls = onOffers(state, [offer('cpus:1;mem:2000')], at());
  t.is(accepts(calls).length, 1);
  t.is(launched(calls).length, 2_000);
  t.is(new Set(launched(calls).map(({ taskId }) => taskId)).size, 2_000);
  t.is(
    Resources.sum(launched(calls).map(({ resources }) => Resources.of(resources)))
      .unallocate()
      .toString(),
    'mem:2000',
  );
});

test('RUN-1 an ACCEPT stays below what the wire takes', (t) => {
  const long = 'x'.repeat(100_000);
  const state = newRunState(request({ count: 1_000, cpus: 0, mem: 1, command: { shell: true, value: long } }));
  const calls = onOffers(state, [offer('mem:2000')], at());
  t.true(launched(calls).length > 10);
  t.true(JSON.stringify(calls).length < 10 * 1024 * 1024);
});

test('RUN-1 offers are suppressed when nothing waits, and revived for a new launch', (t) => {
  const state = newRunState(request({ count: 1 }));
  const calls = onOffers(state, [offer('cpus:1;mem:1000')], at());
  t.deepEqual(types(calls), ['ACCEPT', 'SUPPRESS']);
  t.deepEqual(types(onUpdate(state, status('job-x1', 'TASK_DROPPED'), at())), ['REVIVE']);
  t.deepEqual(types(onOffers(state, [offer('cpus:1;mem:1000')], at())), ['ACCEPT', 'SUPPRESS']);
});

test('RUN-1 a task gets the ports that it asks for, and learns their numbers', (t) => {
  const state = newRunState(request({ ports: 2, count: 2 }));
  const [first, second] = launched(onOffers(state, [offer('cpus:1;mem:1000;ports:[31000-31003]')], at()));
  const variables = (task: TaskInfo | undefined): Record<string, string | undefined> =>
    Object.fromEntries((task?.command?.environment?.variables ?? []).map(({ name, value }) => [name, value]));
  t.deepEqual(Resources.of(first?.resources).ranges('ports'), [{ begin: 31_000, end: 31_001 }]);
  t.deepEqual(variables(second), {
    TEPUI_RUN_INDEX: '1',
    TEPUI_RUN_COUNT: '2',
    PORT: '31002',
    PORT0: '31002',
    PORT1: '31003',
  });
});

test('RUN-2 the status of a run is that of the first task, in their order, that did not end well', (t) => {
  const state = started({ count: 4 });
  const end = (n: number, state_: TaskStatus['state'], given: Partial<TaskStatus>): Calls =>
    onUpdate(state, status(taskIdOf(state.request, n, 1), state_, given), at());
  end(3, 'TASK_FAILED', { exitCode: 9 });
  end(0, 'TASK_FINISHED', { exitCode: 0 });
  end(2, 'TASK_FAILED', { exitSignal: 'SIGSEGV' });
  t.deepEqual(types(end(1, 'TASK_FAILED', { exitCode: 7 })), ['TEARDOWN']);
  t.is(runStatus(state), 7);
});

test('RUN-2 a second word about a task that has ended changes nothing', (t) => {
  const state = started();
  t.deepEqual(types(onUpdate(state, status('job-x1', 'TASK_FINISHED', { exitCode: 0 }), at())), ['TEARDOWN']);
  t.deepEqual(onUpdate(state, status('job-x1', 'TASK_FAILED', { exitCode: 1 }), at()), []);
  t.is(runStatus(state), 0);
});

test('RUN-3 a task that the cluster lost is launched again under a new id, three times at most', (t) => {
  const state = started();
  const ids: string[] = [];
  for (const lost of ['TASK_DROPPED', 'TASK_LOST', 'TASK_GONE'] as const) {
    onUpdate(state, status(state.tasks[0]?.taskId ?? '', lost), at());
    ids.push(...launched(onOffers(state, [offer('cpus:1;mem:1000')], at())).map(({ taskId }) => taskId));
  }
  t.deepEqual(ids, ['job-x1.2', 'job-x1.3', 'job-x1.4']);
  t.deepEqual(types(onUpdate(state, status('job-x1.4', 'TASK_GONE'), at())), ['TEARDOWN']);
  t.is(runStatus(state), 126);
  t.deepEqual(state.events.filter(({ event }) => event === 'again').length, 3);
});

test('RUN-3 an attempt that was given up and turns up again is killed', (t) => {
  const state = started();
  onUpdate(state, status('job-x1', 'TASK_UNKNOWN'), at());
  t.deepEqual(kills(onUpdate(state, status('job-x1', 'TASK_RUNNING'), at())), ['job-x1']);
  t.deepEqual(onUpdate(state, status('job-x1', 'TASK_KILLED'), at()), []);
});

test('RUN-3 a task whose agent is away for a minute is launched again; one that is back in time goes on', (t) => {
  const state = started({ count: 2 });
  for (const id of ['job-x1-1', 'job-x1-2']) {
    onUpdate(state, status(id, 'TASK_RUNNING'), at());
    t.deepEqual(types(onUpdate(state, status(id, 'TASK_UNREACHABLE'), at())), ['WAKE']);
  }
  onUpdate(state, status('job-x1-1', 'TASK_RUNNING'), at(NOW + 30_000));
  t.deepEqual(types(wake(state, NOW + 59_000)), ['WAKE']);
  t.deepEqual(types(wake(state, NOW + 60_000)), ['REVIVE']);
  t.deepEqual(state.pending, [1]);
  t.is(state.tasks[0]?.attempt, 1);
});

test('RUN-3 a task that ended by itself is never launched again', (t) => {
  for (const own of ['TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR'] as const) {
    const state = started();
    t.deepEqual(types(onUpdate(state, status('job-x1', own, { exitCode: 1 }), at())), ['TEARDOWN']);
  }
});

test('RUN-6 a stop kills what runs until it is over, launches nothing more, and then removes the framework', (t) => {
  const state = newRunState(request({ count: 3 }));
  onOffers(state, [offer('cpus:0.2;mem:1000')], at());
  const calls = stop(state);
  t.deepEqual(kills(calls), ['job-x1-1', 'job-x1-2']);
  t.true(types(calls).includes('WAKE'));
  t.deepEqual(types(onOffers(state, [offer('cpus:9;mem:1000')], at())), ['DECLINE']);
  t.deepEqual(kills(wake(state, NOW + 1_000)), ['job-x1-1', 'job-x1-2']);
  t.deepEqual(onUpdate(state, status('job-x1-1', 'TASK_KILLED'), at()), []);
  t.deepEqual(types(onUpdate(state, status('job-x1-2', 'TASK_KILLED'), at())), ['TEARDOWN']);
  t.is(runStatus(state), 130);
});

test('RUN-6 a task that is lost during a stop is not launched again', (t) => {
  const state = started();
  stop(state);
  t.deepEqual(types(onUpdate(state, status('job-x1', 'TASK_LOST'), at())), ['TEARDOWN']);
});

test('RUN-6 a stop does not wait for an agent that is away', (t) => {
  const state = started();
  onUpdate(state, status('job-x1', 'TASK_UNREACHABLE'), at());
  t.deepEqual(types(stop(state)), ['TEARDOWN']);
});

test('RUN-6 who leaves at once asks the cluster to end what runs', (t) => {
  const state = started();
  stop(state);
  t.deepEqual(types(runSchedulerOf(state.request, 'u').onInput?.(state, { type: 'leave' }, at()) ?? []), ['TEARDOWN']);
});

test('RUN-6 a run that dies leaves nothing for long', (t) => {
  const { failoverTimeout } = runSchedulerOf(request(), 'u').info;
  t.true((failoverTimeout ?? Infinity) <= 30);
});

test('RUN-7 a time limit and a grace go with the task', (t) => {
  const state = newRunState(request({ timeoutSeconds: 1.5, graceSeconds: 2 }));
  const [task] = launched(onOffers(state, [offer('cpus:1;mem:1000')], at()));
  t.deepEqual(task?.maxCompletionTime, { nanoseconds: 1.5e9 });
  t.deepEqual(task?.killPolicy, { gracePeriod: { nanoseconds: 2e9 } });
});

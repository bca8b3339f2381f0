import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { ExecutorInfo } from '../../protocol/executor.js';
import type { SchedulerEventBody } from '../../protocol/scheduler-api.js';
import {
  launch,
  Resources,
  runScheduler,
  type Call,
  type Scheduler,
  type TaskInfo,
  type TaskStatus,
} from '../../runtime/sdk.js';
import { eventually, startTestCluster, type TestCluster } from '../support/cluster.js';

const PROGRAM = fileURLToPath(new URL('../support/lasting-executor.js', import.meta.url));
const TIMEOUT_MS = 20_000;
/** Enough for the repetition of what was lost with a killed agent. */
const timings = { heartbeatIntervalMs: 500, updateRetryMs: 1_000 };

type Failure = SchedulerEventBody<'FAILURE'>['failure'];

/** A scheduler that does what the test says, and what it heard. */
async function framework(t: ExecutionContext, cluster: TestCluster, principal: string) {
  const statuses: TaskStatus[] = [];
  const failures: Failure[] = [];
  const messages: string[] = [];
  const wanted: string[] = [];
  let agentId = '';
  const executor: ExecutorInfo = {
    executorId: 'e1',
    command: { shell: false, value: process.execPath, arguments: ['node', PROGRAM] },
    resources: Resources.parse('cpus:0.1;mem:64').toArray(),
  };
  const task = (taskId: string): TaskInfo => ({
    ...{ name: taskId, taskId, agentId, executor },
    resources: Resources.parse('cpus:0.1;mem:16').toArray(),
  });
  const scheduler: Scheduler<object, Call> = {
    info: { user: '', name: principal },
    onOffers: (_own, offers) => {
      const [offer] = offers;
      if (offer === undefined) return [];
      ({ agentId } = offer);
      return [launch(offers, wanted.splice(0).map(task), { refuseSeconds: 0 })];
    },
    onUpdate: (_own, status) => {
      statuses.push(status);
      return [];
    },
    onFailure: (_own, failure) => {
      failures.push(failure);
      return [];
    },
    onMessage: (_own, { data }) => {
      messages.push(new TextDecoder().decode(data));
      return [];
    },
    onInput: (_own, call) => [call],
  };
  const running = await runScheduler({ credentials: cluster.credentials(principal), principal, scheduler, state: {} });
  t.teardown(async () => {
    running.input({ type: 'TEARDOWN' });
    await running.ended;
  });
  return {
    running,
    failures,
    messages,
    statuses,
    launch: (...taskIds: string[]): void => {
      wanted.push(...taskIds);
      running.input({ type: 'REVIVE' });
    },
    say: (text: string): void =>
      running.input({ type: 'MESSAGE', message: { agentId, executorId: 'e1', data: new TextEncoder().encode(text) } }),
    shutDown: (): void => running.input({ type: 'SHUTDOWN', shutdown: { agentId, executorId: 'e1' } }),
    kill: (taskId: string): void => running.input({ type: 'KILL', kill: { taskId } }),
    until: (taskId: string, state: TaskStatus['state']): Promise<TaskStatus> =>
      eventually(`${taskId} ${state}`, TIMEOUT_MS, () =>
        statuses.find((status) => status.taskId === taskId && status.state === state),
      ),
    failure: (): Promise<Failure> => eventually('a failure', TIMEOUT_MS, () => failures[0]),
  };
}

const pidOf = ({ message = '' }: TaskStatus): number => Number(/\d+/.exec(message)?.[0]);

let cluster: TestCluster;
test.before(async () => {
  cluster = await startTestCluster({ masters: 1, agents: 1, timings, schedulers: ['f1', 'f2', 'f3'] });
});
test.after.always(() => cluster?.stop());

test.serial(
  'EXC-1 EXC-6 EXC-10: one process runs several tasks, lives on without one, hears its scheduler, and ends when it is told to',
  async (t) => {
    const f = await framework(t, cluster, 'f1');
    f.launch('t1', 't2', 't3');
    const pids: number[] = [];
    for (const taskId of ['t1', 't2', 't3']) {
      const status = await f.until(taskId, 'TASK_RUNNING');
      t.like(status, { executorId: 'e1', source: 'SOURCE_EXECUTOR' });
      pids.push(pidOf(status));
    }
    t.is(new Set(pids).size, 1);
    f.say('t1');
    await f.until('t1', 'TASK_FINISHED');
    t.deepEqual(f.messages, ['t1']);
    f.kill('t2');
    await f.until('t2', 'TASK_KILLED');
    f.say('t3');
    await f.until('t3', 'TASK_FINISHED');
    f.launch('t4');
    t.true(pids.includes(pidOf(await f.until('t4', 'TASK_RUNNING'))));
    t.deepEqual(f.failures, []);
    f.shutDown();
    await f.until('t4', 'TASK_KILLED');
    t.like(await f.failure(), { executorId: 'e1', status: 0 });
  },
);

test.serial('EXC-8: an executor that is killed is a loss that is told, with its tasks', async (t) => {
  const f = await framework(t, cluster, 'f2');
  f.launch('t1', 't2');
  const pid = pidOf(await f.until('t1', 'TASK_RUNNING'));
  await f.until('t2', 'TASK_RUNNING');
  process.kill(pid, 'SIGKILL');
  t.like(await f.failure(), { executorId: 'e1', status: 9 });
  for (const taskId of ['t1', 't2']) t.is((await f.until(taskId, 'TASK_FAILED')).reason, 'REASON_EXECUTOR_TERMINATED');
  f.launch('t3');
  t.not(pidOf(await f.until('t3', 'TASK_RUNNING')), pid);
});

test.serial('EXC-3: an agent that is killed and started again finds its executor, whose tasks go on', async (t) => {
  const f = await framework(t, cluster, 'f3');
  f.launch('t1', 't2');
  const pid = pidOf(await f.until('t1', 'TASK_RUNNING'));
  await f.until('t2', 'TASK_RUNNING');
  await cluster.kill('a1', 'SIGKILL');
  cluster.start('a1');
  // A message is lost while there is nobody to take it: the scheduler says it again.
  await eventually('t1 TASK_FINISHED', TIMEOUT_MS, () => {
    f.say('t1');
    return f.statuses.find(({ taskId, state }) => taskId === 't1' && state === 'TASK_FINISHED');
  });
  t.is(pidOf(await f.until('t1', 'TASK_FINISHED')), pid);
  f.launch('t3');
  t.is(pidOf(await f.until('t3', 'TASK_RUNNING')), pid);
  t.deepEqual(f.failures, []);
  t.deepEqual(f.statuses.filter(({ taskId, state }) => taskId === 't2' && state !== 'TASK_RUNNING'), []); // prettier-ignore
});

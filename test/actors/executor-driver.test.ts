import test from 'ava';
import type { Effect } from '../../actors/effect.js';
import type { Meta } from '../../actors/events.js';
import { customExecutorMachine } from '../../actors/framework/custom-executor.machine.js';
import { update, type Executor, type ExecutorCall } from '../../actors/framework/executor.js';
import type { ExecutorCallBody, ExecutorEventBody, executorEvents } from '../../protocol/executor-api.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import type { TaskStatus } from '../../protocol/task.js';
import { ActorKit, bodies, meta, published, words } from '../support/actor-kit.js';
import { taskInfo } from '../support/master-kit.js';

const FRAMEWORK = '5-0001';

class DriverKit extends ActorKit<typeof customExecutorMachine> {
  session = '0';
  sequence = 0;
  #sessions = 0;
  /** What the executor was called with, in order. */
  readonly heard: string[];
  /** What it returns next, by function. */
  readonly plan: Partial<Record<keyof Executor<unknown>, readonly ExecutorCall[]>>;

  constructor(without: readonly (keyof Executor<unknown>)[] = []) {
    const heard: string[] = [];
    const plan: DriverKit['plan'] = {};
    const on =
      (name: keyof Executor<unknown>) =>
      (_own: unknown, value: unknown): readonly ExecutorCall[] => {
        heard.push(`${name} ${JSON.stringify(value)}`);
        const calls = plan[name] ?? [];
        plan[name] = [];
        return calls;
      };
    const whole: Executor<unknown, unknown> = {
      onSubscribed: (own, { again }) => on('onSubscribed')(own, again),
      onLaunch: (own, task) => on('onLaunch')(own, task.taskId),
      onKill: on('onKill'),
      onMessage: (own, data) => on('onMessage')(own, [...data]),
      onShutdown: on('onShutdown'),
      onWake: (own) => on('onWake')(own, undefined),
      onInput: on('onInput'),
      onError: (own, error) => void on('onError')(own, error.code),
    };
    const executor = Object.fromEntries(
      Object.entries(whole).filter(([name]) => !without.includes(name as keyof Executor<unknown>)),
    ) as unknown as Executor<unknown, unknown>;
    super(customExecutorMachine, {
      principal: 'a1-executor',
      agentPrincipal: 'a1',
      frameworkId: FRAMEWORK,
      executorId: 'e1',
      containerId: 'L1',
      executor,
      own: {},
      timings: DEFAULT_TIMINGS,
      shutdownGraceMs: 5_000,
    });
    this.heard = heard;
    this.plan = plan;
  }

  /** The agent answers a question (the last one) with a new session. */
  subscribed(given: Partial<Meta> = {}): Effect[] {
    const cause = published(this.all, 'SUBSCRIBE').at(-1)?.id;
    this.session = given.session ?? `x-C${++this.#sessions}`;
    this.sequence = 0;
    const body = {
      subscribed: {
        executorInfo: { executorId: 'e1' },
        frameworkInfo: { user: 'u', name: 'f' },
        agentInfo: { hostname: 'h' },
        heartbeatIntervalMs: 1_000,
      },
    };
    return this.hear('SUBSCRIBED', body, { cause, ...given });
  }

  hear<T extends keyof typeof executorEvents>(
    type: T,
    body: ExecutorEventBody<T>,
    given: Partial<Meta> = {},
  ): Effect[] {
    const sequence = given.sequence ?? ++this.sequence;
    const head = meta({
      session: this.session,
      parameters: { frameworkId: FRAMEWORK, executorId: 'e1' },
      id: `m-${sequence}`,
      ...given,
      sequence,
    });
    return this.send({ type: `agent.${type}`, meta: head, body } as never);
  }

  launch(taskId: string, launchId = `L-${taskId}`): Effect[] {
    return this.hear('LAUNCH', { launch: { task: taskInfo('5-S1', { taskId }) }, launchId });
  }

  invite(): Effect[] {
    return this.hear('INVITE', {}, { session: '0', sequence: 0 });
  }

  acknowledge({ taskId, uuid }: TaskStatus): Effect[] {
    return this.hear('ACKNOWLEDGED', { acknowledged: { taskId, uuid: uuid as Uint8Array } });
  }

  /** Time with an agent that is there; gives the effects. */
  idle(seconds: number): Effect[] {
    return Array.from({ length: seconds }, () => [...this.hear('HEARTBEAT', {}), ...this.pass(1_000)]).flat();
  }

  input(...calls: ExecutorCall[]): Effect[] {
    this.plan.onInput = calls;
    return this.send({ type: 'INPUT', input: 1 } as never);
  }
}

function subscribedDriver(without: readonly (keyof Executor<unknown>)[] = []): DriverKit {
  const kit = new DriverKit(without);
  kit.send({ type: 'START' });
  kit.subscribed();
  return kit;
}

/** The statuses among effects. */
const told = (effects: readonly Effect[]): TaskStatus[] =>
  bodies<ExecutorCallBody<'UPDATE'>>(effects, 'UPDATE').map(({ update: { status } }) => status);
const states = (effects: readonly Effect[]): string[] => told(effects).map(({ state }) => state);
const asked = (effects: readonly Effect[]) => bodies<ExecutorCallBody<'SUBSCRIBE'>>(effects, 'SUBSCRIBE');

test('EXC-3: it subscribes under its own name and container, again with pauses of at most 5 s, and never gives up', (t) => {
  const kit = new DriverKit();
  const [question] = published(kit.send({ type: 'START' }));
  t.deepEqual(question?.to, { row: 'agentExecutor', parameters: { agentPrincipal: 'a1', principal: 'a1-executor' } });
  t.is(question?.session, '0');
  t.deepEqual(question?.body, {
    frameworkId: FRAMEWORK,
    executorId: 'e1',
    subscribe: { containerId: 'L1', unacknowledgedTasks: [], unacknowledgedUpdates: [] },
  });
  kit.pass(3_600_000);
  const questions = published(kit.all, 'SUBSCRIBE');
  t.true(questions.length > 700, `${questions.length}`);
  t.is(kit.value, 'subscribing');
  kit.subscribed();
  t.is(kit.value, 'subscribed');
  t.deepEqual(kit.heard, ['onSubscribed false']);
});

test('EXC-4: a launch is taken once, in this session and in the next', (t) => {
  const kit = subscribedDriver();
  kit.launch('t1');
  kit.launch('t1');
  kit.invite();
  kit.subscribed();
  kit.launch('t1');
  t.deepEqual(kit.heard, ['onSubscribed false', 'onLaunch "t1"', 'onSubscribed true']);
  kit.input(update('t1', 'TASK_FINISHED'));
  kit.acknowledge(told(kit.all)[0] as TaskStatus);
  kit.launch('t1');
  kit.launch('t1', 'another launch');
  t.deepEqual(
    kit.heard.filter((line) => line.startsWith('onLaunch')),
    ['onLaunch "t1"', 'onLaunch "t1"'],
  );
});

test('EXC-2: an update says who, when and by which uuid, and is repeated until it is acknowledged', (t) => {
  const kit = subscribedDriver();
  kit.plan.onLaunch = [update('t1', 'TASK_RUNNING', { message: 'here' })];
  const [status] = told(kit.launch('t1'));
  t.like(status, {
    taskId: 't1',
    state: 'TASK_RUNNING',
    message: 'here',
    launchId: 'L-t1',
    executorId: 'e1',
    source: 'SOURCE_EXECUTOR',
    timestamp: kit.now / 1000,
  });
  t.is(status?.uuid?.length, 16);
  t.deepEqual(told(kit.idle(9)), []);
  t.deepEqual(told(kit.idle(1)), [status]);
  kit.acknowledge({ ...(status as TaskStatus), uuid: Uint8Array.of(1) });
  t.deepEqual(told(kit.idle(20)), [status]);
  kit.acknowledge(status as TaskStatus);
  t.deepEqual(told(kit.idle(1_000)), []);
});

test('EXC-2: nothing follows a terminal state, and nothing is said of a task that was not launched here', (t) => {
  const kit = subscribedDriver();
  kit.launch('t1');
  const effects = kit.input(update('t1', 'TASK_FINISHED'), update('t1', 'TASK_RUNNING'), update('t2', 'TASK_RUNNING'));
  t.deepEqual(states(effects), ['TASK_FINISHED']);
});

test('EXC-3: an agent that is back is told what is unacknowledged: tasks of which it took no update, and updates in order', (t) => {
  const kit = subscribedDriver();
  for (const taskId of ['t1', 't2', 't3']) kit.launch(taskId);
  const sent = told(
    kit.input(update('t1', 'TASK_RUNNING'), update('t2', 'TASK_RUNNING'), update('t2', 'TASK_FINISHED')),
  );
  kit.acknowledge(sent[0] as TaskStatus);
  const [subscribe] = asked(kit.invite());
  t.deepEqual(
    subscribe?.subscribe.unacknowledgedTasks?.map(({ taskId }) => taskId),
    ['t2', 't3'],
  );
  t.deepEqual(
    subscribe?.subscribe.unacknowledgedUpdates?.map(({ status }) => status),
    sent.slice(1),
  );
  t.is(kit.value, 'subscribing');
});

test('EXC-2 EXC-3: what is reported while there is no session goes when it begins, and nothing twice', (t) => {
  const kit = subscribedDriver();
  kit.launch('t1');
  kit.input(update('t1', 'TASK_RUNNING'));
  kit.invite();
  t.deepEqual(states(kit.input(update('t1', 'TASK_FINISHED'))), []);
  t.deepEqual(states(kit.subscribed()), ['TASK_FINISHED']);
});

test('EXC-2 EXC-3: with two questions out, either answer brings what the first did not have', (t) => {
  const kit = subscribedDriver();
  kit.launch('t1');
  kit.invite();
  const { id } = published(kit.all, 'SUBSCRIBE').at(-1) ?? {};
  kit.input(update('t1', 'TASK_RUNNING'));
  t.is(asked(kit.pass(1_000)).length > 0, true);
  t.deepEqual(states(kit.subscribed({ cause: id })), ['TASK_RUNNING']);
});

test('EXC-3: a message that is lost means subscribing anew', (t) => {
  const kit = subscribedDriver();
  const effects = kit.hear('HEARTBEAT', {}, { sequence: 3 });
  t.deepEqual(words(effects), ['publish SUBSCRIBE']);
});

test('EXC-3: a heartbeat is answered; an agent that is silent is asked again and again, and the executor lives on', (t) => {
  const kit = subscribedDriver();
  kit.launch('t1');
  t.deepEqual(words(kit.hear('HEARTBEAT', {})), ['publish HEARTBEAT']);
  t.deepEqual(words(kit.pass(10_999)), []);
  t.deepEqual(words(kit.pass(1)), ['publish SUBSCRIBE']);
  kit.pass(24 * 3_600_000);
  t.is(kit.value, 'subscribing');
  kit.subscribed();
  t.deepEqual(states(kit.input(update('t1', 'TASK_FINISHED'))), ['TASK_FINISHED']);
});

test('EXC-3: a reconnected client subscribes anew', (t) => {
  const kit = subscribedDriver();
  t.deepEqual(words(kit.send({ type: 'RECONNECTED' })), ['publish SUBSCRIBE']);
});

test('EXC-7: only the answer to its own question begins a session, and an older answer begins none', (t) => {
  const kit = new DriverKit();
  kit.send({ type: 'START' });
  kit.subscribed({ cause: 'somebody-q1' });
  t.is(kit.value, 'subscribing');
  kit.subscribed({ session: 'x-C8' });
  kit.subscribed({ session: 'x-C7' });
  t.is(kit.actor.getSnapshot().context.state.member.link.session, 'x-C8');
});

test('EXC-7: the word that another instance has its place ends it; the same word of another session does not', (t) => {
  const kit = subscribedDriver();
  const error = { error: { code: 'STALE_SESSION' as const, message: '' } };
  t.deepEqual(words(kit.hear('ERROR', error, { session: 'x-C0' })), []);
  t.deepEqual(words(kit.hear('ERROR', error)), ['stop']);
  t.is(kit.value, 'stopped');
  t.deepEqual(kit.heard.at(-1), 'onError "STALE_SESSION"');
});

test('EXC-7: what is for another executor of the same agent is not heard', (t) => {
  const kit = subscribedDriver();
  kit.hear('LAUNCH', { launch: { task: taskInfo('5-S1') }, launchId: 'L9' }, { parameters: { frameworkId: FRAMEWORK, executorId: 'e2' } }); // prettier-ignore
  t.deepEqual(kit.heard, ['onSubscribed false']);
});

test('EXC-6: told to shut down it ends as soon as its tasks have and the agent knows', (t) => {
  const kit = subscribedDriver();
  kit.launch('t1');
  kit.plan.onShutdown = [update('t1', 'TASK_KILLED')];
  const effects = kit.hear('SHUTDOWN', {});
  t.deepEqual(states(effects), ['TASK_KILLED']);
  t.is(kit.value, 'subscribed');
  t.deepEqual(words(kit.acknowledge(told(effects)[0] as TaskStatus)), ['stop']);
  t.is(kit.value, 'stopped');
});

test('EXC-6: when the grace is over it ends in any case; what comes to be launched meanwhile is not', (t) => {
  const kit = subscribedDriver();
  kit.launch('t1');
  kit.hear('SHUTDOWN', {});
  t.deepEqual(states(kit.launch('t2')), ['TASK_KILLED']);
  t.false(kit.heard.includes('onLaunch "t2"'));
  kit.pass(4_499);
  t.is(kit.value, 'subscribed');
  kit.pass(1);
  t.is(kit.value, 'stopped');
});

test('EXC-6: an executor without a word on it ends at once; so does one without tasks', (t) => {
  const without = subscribedDriver(['onShutdown']);
  without.launch('t1');
  t.deepEqual(words(without.hear('SHUTDOWN', {})), ['stop']);
  const idle = subscribedDriver();
  t.deepEqual(words(idle.send({ type: 'STOP' })), ['stop']);
  t.deepEqual(idle.heard.at(-1), 'onShutdown 5000');
});

test('EXC-2 EXC-6: END waits for what is unacknowledged', (t) => {
  const kit = subscribedDriver();
  kit.launch('t1');
  const [last] = told(kit.input(update('t1', 'TASK_FINISHED'), { type: 'END' }));
  t.is(kit.value, 'subscribed');
  kit.invite();
  kit.pass(60_000);
  t.is(kit.value, 'subscribing');
  kit.subscribed();
  kit.acknowledge(last as TaskStatus);
  t.is(kit.value, 'stopped');
});

test('EXC-3: kills, messages and wake-ups reach it, and its messages go out while there is a session', (t) => {
  const kit = subscribedDriver();
  kit.hear('KILL', { kill: { taskId: 't1' } });
  kit.hear('MESSAGE', { message: { data: Uint8Array.of(1, 2) } });
  const data = Uint8Array.of(3);
  const effects = kit.input({ type: 'MESSAGE', data }, { type: 'WAKE', atMs: kit.now + 50 });
  t.deepEqual(bodies<ExecutorCallBody<'MESSAGE'>>(effects, 'MESSAGE'), [
    { frameworkId: FRAMEWORK, executorId: 'e1', message: { data } },
  ]);
  kit.pass(50);
  t.deepEqual(kit.heard, ['onSubscribed false', 'onKill "t1"', 'onMessage [1,2]', 'onInput 1', 'onWake undefined']);
  kit.invite();
  t.deepEqual(words(kit.input({ type: 'MESSAGE', data })), []);
});

import test from 'ava';
import type { Effect, Tell } from '../../actors/effect.js';
import { executorsToAdopt } from '../../actors/agent/recovery.js';
import type { CommandExecutorEvent } from '../../actors/framework/command-executor.js';
import type { ExecutorCallBody, ExecutorEventBody } from '../../protocol/executor-api.js';
import { readExecutorEnvironment } from '../../protocol/executor-environment.js';
import type { ExecutorInfo } from '../../protocol/executor.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import type { TaskInfo, TaskStatus } from '../../protocol/task.js';
import { bucketDigests } from '../../protocol/digest.js';
import type { AgentMessageBody } from '../../protocol/agent-api.js';
import { sandboxOf } from '../../actors/framework/container-of.js';
import { AGENT_ID, registeredAgent, reborn, updates, type AgentKit } from '../support/agent-kit.js';
import { bodies, meta, ofType, published, words } from '../support/actor-kit.js';
import { taskInfo } from '../support/master-kit.js';

const FRAMEWORK = '5-0001';
const executors = { principal: 'a1-executor', cluster: 'tepui', credentials: '/agent/executor.json' };
const executor: ExecutorInfo = { executorId: 'e1', frameworkId: FRAMEWORK, command: { value: 'exec ./e' } };

/** Has an agent told to run a task on an executor; the first launch starts it. */
function run(kit: AgentKit, launchId: string, containerId = 'L1-E', info = executor): Effect[] {
  const task: TaskInfo = { ...taskInfo(AGENT_ID, { taskId: `t-${launchId}` }), executor: info };
  delete (task as { command?: unknown }).command;
  const frameworkInfo = { user: 'u', name: 'f' };
  return kit.hear('RUN_TASK', { frameworkId: FRAMEWORK, frameworkInfo, task, executor: info, launchId, containerId });
}

/** An executor's process, as the agent sees it: a session and its place in it. */
class ExecutorPeer {
  session = '0';
  sequence = 0;
  #questions = 0;
  #uuids = 0;

  constructor(
    public kit: AgentKit,
    readonly instance = 'x',
    readonly containerId = 'L1-E',
  ) {}

  subscribe(
    given: Partial<ExecutorCallBody<'SUBSCRIBE'>['subscribe']> = {},
    id = `${this.instance}-q${++this.#questions}`,
  ): Effect[] {
    const body = { frameworkId: FRAMEWORK, executorId: 'e1', subscribe: { containerId: this.containerId, ...given } };
    const head = meta({ principal: 'a1-executor', id });
    const effects = this.kit.send({ type: 'executor.SUBSCRIBE', meta: head, body } as never);
    const [answer] = published(effects, 'SUBSCRIBED');
    if (answer !== undefined) this.session = answer.session;
    if (answer !== undefined) this.sequence = 0;
    return effects;
  }

  say(type: string, body: object, given: object = {}): Effect[] {
    const head = meta({ principal: 'a1-executor', session: this.session, sequence: ++this.sequence, ...given });
    return this.kit.send({ type: `executor.${type}`, meta: head, body: { frameworkId: FRAMEWORK, executorId: 'e1', ...body } } as never); // prettier-ignore
  }

  status(launchId: string, state: TaskStatus['state'], uuid = Uint8Array.of(++this.#uuids)): TaskStatus {
    return { taskId: `t-${launchId}`, launchId, state, uuid, timestamp: 7 };
  }

  update(status: TaskStatus): Effect[] {
    return this.say('UPDATE', { update: { status } });
  }
}

/** An agent with an executor whose container runs, and its first task. */
function withExecutor(kit = registeredAgent({ executors })): AgentKit {
  run(kit, 'L1');
  kit.report('L1-E', 'TASK_RUNNING');
  return kit;
}

function subscribed(kit = withExecutor()): { kit: AgentKit; peer: ExecutorPeer } {
  const peer = new ExecutorPeer(kit);
  peer.subscribe();
  return { kit, peer };
}

const told = (effects: readonly Effect[]): CommandExecutorEvent[] =>
  ofType(effects, 'tell').map(({ event }: Tell) => event as CommandExecutorEvent);
const states = (effects: readonly Effect[]): string[] =>
  updates(effects).map(({ taskId, state, reason }) => [taskId, state, reason].filter(Boolean).join(' '));
const launchedIds = (effects: readonly Effect[]) =>
  bodies<ExecutorEventBody<'LAUNCH'>>(effects, 'LAUNCH').map(({ launchId }) => launchId);
const next = (kit: AgentKit): AgentKit => {
  const life = reborn(kit, { executors });
  life.answer([]);
  return life;
};

test('EXC-1: the first task starts the executor, once it is stored; the next ones wait for it and start none', (t) => {
  const kit = registeredAgent({ executors });
  kit.storesAtOnce = false;
  t.deepEqual(words(run(kit, 'L1')), ['checkpoint']);
  const [start] = told(kit.storedAll());
  t.deepEqual(kit.store.keys.filter((key) => key.startsWith('executor')), ['executor.L1-E']); // prettier-ignore
  if (start?.type !== 'agent.LAUNCH') return t.fail();
  t.is(start.launchId, 'L1-E');
  t.is(start.user, 'u');
  t.deepEqual(start.credentials, { from: '/agent/executor.json', as: 'credentials.json' });
  t.is(start.task.command?.value, 'exec ./e');
  const variables = start.task.command?.environment?.variables ?? [];
  t.deepEqual(readExecutorEnvironment(Object.fromEntries(variables.map(({ name, value }) => [name, value]))), {
    frameworkId: FRAMEWORK,
    executorId: 'e1',
    agentId: AGENT_ID,
    agentPrincipal: 'a1',
    principal: 'a1-executor',
    cluster: 'tepui',
    containerId: 'L1-E',
    shutdownGraceMs: '5000',
    credentials: 'credentials.json',
  });
  run(kit, 'L2');
  t.deepEqual(words(kit.storedAll()), []);
});

test('EXC-1: an agent without a user for executors fails their tasks', (t) => {
  t.deepEqual(states(run(registeredAgent(), 'L1')), ['t-L1 TASK_FAILED REASON_CONTAINER_LAUNCH_FAILED']);
});

test('EXC-1: a task for a run of an executor that has ended is dropped, and starts none', (t) => {
  const kit = registeredAgent({ executors });
  const effects = run(kit, 'L2', 'L1-E');
  t.deepEqual(states(effects), ['t-L2 TASK_DROPPED REASON_EXECUTOR_TERMINATED']);
  t.deepEqual(told(effects), []);
});

test('EXC-4: when it has subscribed it gets its tasks; LAUNCH comes again in the next session while nothing was heard of a task', (t) => {
  const kit = withExecutor();
  run(kit, 'L2');
  const peer = new ExecutorPeer(kit);
  const effects = peer.subscribe();
  t.deepEqual(words(effects), ['publish SUBSCRIBED', 'publish LAUNCH', 'publish LAUNCH']);
  t.deepEqual(launchedIds(run(kit, 'L3')), ['L3']);
  peer.update(peer.status('L2', 'TASK_RUNNING'));
  t.deepEqual(launchedIds(peer.subscribe()), ['L1', 'L3']);
  const named = peer.subscribe({ unacknowledgedTasks: [taskInfo(AGENT_ID, { taskId: 't-L3' })] });
  t.deepEqual(launchedIds(named), ['L1']);
});

test('EXC-4 AGS-1: a task goes to its executor when it is stored, also to one that subscribes meanwhile', (t) => {
  const kit = withExecutor();
  kit.storesAtOnce = false;
  run(kit, 'L2');
  const peer = new ExecutorPeer(kit);
  peer.subscribe();
  const effects = kit.storedAll();
  t.deepEqual(launchedIds(effects), ['L1', 'L2']);
});

test('EXC-2: an update is stored, then acknowledged to the executor and sent under its own uuid', (t) => {
  const { kit, peer } = subscribed();
  kit.storesAtOnce = false;
  const status = peer.status('L1', 'TASK_RUNNING');
  t.deepEqual(words(peer.update(status)), ['checkpoint']);
  const effects = kit.storedAll();
  t.deepEqual(words(effects), ['publish STATUS_UPDATE', 'publish ACKNOWLEDGED']);
  t.like(updates(effects)[0], {
    taskId: 't-L1',
    executorId: 'e1',
    source: 'SOURCE_EXECUTOR',
    agentId: AGENT_ID,
    timestamp: 7,
    containerStatus: { containerId: { value: 'L1-E' } },
  });
  t.deepEqual(updates(effects)[0]?.uuid, status.uuid);
});

test('EXC-2: a repeated update is taken once and acknowledged again, in this life and in the next, acknowledged by the scheduler or not', (t) => {
  const { kit, peer } = subscribed();
  const one = peer.status('L1', 'TASK_RUNNING');
  const two = peer.status('L1', 'TASK_RUNNING');
  kit.acknowledge(updates(peer.update(one))[0] as TaskStatus);
  t.deepEqual(words(peer.update(one)), ['publish ACKNOWLEDGED']);
  kit.acknowledge(updates(peer.update(two))[0] as TaskStatus);
  kit.pass(100);
  peer.kit = next(kit);
  const three = peer.status('L1', 'TASK_FINISHED');
  const again = peer.subscribe({ unacknowledgedUpdates: [one, two, three].map((status) => ({ status })) });
  t.deepEqual(states(again), ['t-L1 TASK_FINISHED']);
  t.is(published(again, 'ACKNOWLEDGED').length, 3);
});

test('EXC-2: after its end a task’s updates are acknowledged and change nothing', (t) => {
  const { kit, peer } = subscribed();
  const [end] = updates(peer.update(peer.status('L1', 'TASK_FINISHED')));
  const late = peer.update(peer.status('L1', 'TASK_RUNNING'));
  t.deepEqual(words(late), ['publish ACKNOWLEDGED']);
  kit.acknowledge(end as TaskStatus);
  t.deepEqual(words(peer.update(peer.status('L1', 'TASK_RUNNING'))), ['publish ACKNOWLEDGED']);
});

test('EXC-3: a restarted agent adopts its executors, asks them to come, and their tasks go on', (t) => {
  const { kit, peer } = subscribed();
  run(kit, 'L2');
  peer.update(peer.status('L1', 'TASK_RUNNING'));
  const [adopted] = executorsToAdopt(kit.store.records, { name: 'a1', timings: DEFAULT_TIMINGS, executors });
  t.like(adopted, { launchId: 'L1-E', agentId: AGENT_ID, runningAtMs: kit.now, kill: undefined });
  const life = reborn(kit, { executors });
  const invited = published(life.all, 'INVITE');
  t.deepEqual(
    invited.map(({ to, session }) => [to, session]),
    [
      [{ row: 'executor', parameters: { agentPrincipal: 'a1', principal: 'a1-executor', frameworkId: FRAMEWORK, executorId: 'e1', sessionId: '0' } }, '0'], // prettier-ignore
    ],
  );
  t.deepEqual(bodies<{ executors: object[] }>(life.all, 'REREGISTER')[0]?.executors, [
    { frameworkId: FRAMEWORK, executorId: 'e1', containerId: 'L1-E' },
  ]);
  life.answer([]);
  // It takes all the time that it needs.
  life.hear('PING', {});
  for (let i = 0; i < 300; i++) {
    life.pass(1_000);
    life.hear('PING', {});
  }
  t.deepEqual(told(life.all), []);
  peer.kit = life;
  const effects = peer.subscribe();
  t.deepEqual(launchedIds(effects), ['L2']);
  t.deepEqual(states(peer.update(peer.status('L2', 'TASK_RUNNING'))), ['t-L2 TASK_RUNNING']);
  t.deepEqual(states(peer.update(peer.status('L1', 'TASK_FINISHED'))), []);
  life.acknowledge(life.state.launches.get('L1')?.updates[0] as TaskStatus);
  t.is(life.state.launches.get('L1')?.state, 'TASK_FINISHED');
});

test('EXC-3: a lost call ends the session and brings an invitation, as does a call of an earlier life', (t) => {
  const { kit, peer } = subscribed();
  kit.pass(1_000);
  t.deepEqual(words(peer.say('HEARTBEAT', {}, { sequence: 5 })), ['publish INVITE']);
  peer.subscribe();
  const life = next(kit);
  life.pass(1_000);
  peer.kit = life;
  t.deepEqual(words(peer.say('HEARTBEAT', {})), ['publish INVITE']);
});

test('EXC-3: heartbeats go to executors with a session, invitations to those without', (t) => {
  const { kit, peer } = subscribed();
  t.deepEqual(words(kit.pass(2_000)), ['publish HEARTBEAT']);
  t.deepEqual(words(peer.say('HEARTBEAT', {})), []);
  peer.say('HEARTBEAT', {}, { sequence: 9 });
  t.true(words(kit.pass(2_000)).includes('publish INVITE'));
});

test('EXC-5: the time to subscribe begins when the container runs; then it is killed, and its tasks are FAILED', (t) => {
  const kit = registeredAgent({ executors });
  run(kit, 'L1');
  const idle = (seconds: number): Effect[] =>
    Array.from({ length: seconds }, () => [...kit.hear('PING', {}), ...kit.pass(1_000)]).flat();
  t.deepEqual(told(idle(600)), []);
  kit.report('L1-E', 'TASK_RUNNING');
  t.deepEqual(told(idle(59)), []);
  t.deepEqual(told(idle(1)), [{ type: 'agent.KILL', launchId: 'L1-E', killPolicy: { gracePeriod: { nanoseconds: 0 } } }]); // prettier-ignore
  const effects = kit.report('L1-E', 'TASK_KILLED', { exitSignal: 'SIGKILL' });
  t.deepEqual(states(effects), ['t-L1 TASK_FAILED REASON_EXECUTOR_REGISTRATION_TIMEOUT']);
  t.deepEqual(bodies(effects, 'EXITED_EXECUTOR'), [
    { agentId: AGENT_ID, frameworkId: FRAMEWORK, executorId: 'e1', containerId: 'L1-E', status: 9 },
  ]);
});

test('EXC-5: while the agent hears nobody no time to subscribe passes', (t) => {
  const kit = withExecutor();
  t.deepEqual(told(kit.pass(3_600_000)), []);
  t.is(kit.state.executors.get('L1-E')?.state, 'REGISTERING');
});

test('EXC-6: SHUTDOWN, and when the grace of its info is over the kill; what it runs is KILLED', (t) => {
  const info = { ...executor, shutdownGracePeriod: { nanoseconds: 2e9 } };
  const kit = registeredAgent({ executors });
  run(kit, 'L1', 'L1-E', info);
  kit.report('L1-E', 'TASK_RUNNING');
  const { peer } = subscribed(kit);
  t.deepEqual(words(kit.hear('SHUTDOWN_EXECUTOR', { frameworkId: FRAMEWORK, executorId: 'e1' })), ['publish SHUTDOWN']);
  t.deepEqual(states(run(kit, 'L2')), ['t-L2 TASK_DROPPED REASON_EXECUTOR_TERMINATED']);
  t.deepEqual(told(kit.pass(1_999)), []);
  t.is(told(kit.pass(1))[0]?.type, 'agent.KILL');
  peer.say('HEARTBEAT', {});
  t.deepEqual(states(kit.report('L1-E', 'TASK_KILLED', { exitSignal: 'SIGKILL' })), [
    't-L1 TASK_KILLED REASON_EXECUTOR_TERMINATED',
  ]);
});

test('EXC-6: an executor that does not listen is killed, with the same grace; a restarted agent goes on with it', (t) => {
  const kit = withExecutor();
  const [kill] = told(kit.hear('SHUTDOWN_FRAMEWORK', { frameworkId: FRAMEWORK }));
  t.deepEqual(kill, { type: 'agent.KILL', launchId: 'L1-E', killPolicy: { gracePeriod: { nanoseconds: 5e9 } } });
  const [adopted] = executorsToAdopt(kit.store.records, { name: 'a1', timings: DEFAULT_TIMINGS, executors });
  t.deepEqual(adopted?.kill && { ...adopted.kill }, { why: 'asked', requestedAtMs: kit.now, graceMs: 5_000 } as never);
});

test('EXC-6 AGT-4: an agent that is to end its tasks shuts its executors down, and waits for them', (t) => {
  const { kit } = subscribed();
  t.deepEqual(words(kit.send({ type: 'STOP', endTasks: true } as never)), ['publish SHUTDOWN']);
  t.is(kit.value, 'terminating');
  kit.report('L1-E', 'TASK_FINISHED', { exitCode: 0 });
  t.is(kit.value, 'stopped');
});

test('EXC-7: a second instance replaces the first, whose calls are refused; what it does not know of is FAILED', (t) => {
  const { kit, peer } = subscribed();
  run(kit, 'L2');
  run(kit, 'L3');
  peer.update(peer.status('L2', 'TASK_RUNNING'));
  const other = new ExecutorPeer(kit, 'y');
  const effects = other.subscribe({ unacknowledgedTasks: [taskInfo(AGENT_ID, { taskId: 't-L3' })] });
  t.deepEqual(published(effects, 'ERROR').map(({ session }) => session), [peer.session]); // prettier-ignore
  t.deepEqual(states(effects), ['t-L1 TASK_FAILED REASON_EXECUTOR_TERMINATED']);
  t.is(kit.state.launches.get('L2')?.state, 'TASK_FAILED');
  t.is(kit.state.launches.get('L3')?.state, 'TASK_STAGING');
  const [error] = published(peer.update(peer.status('L3', 'TASK_RUNNING')), 'ERROR');
  t.deepEqual(
    [error?.session, (error?.body as { error: { code: string } }).error.code],
    [peer.session, 'STALE_SESSION'],
  );
  t.is(kit.state.launches.get('L3')?.state, 'TASK_STAGING');
  t.deepEqual(states(other.update(other.status('L3', 'TASK_RUNNING'))), ['t-L3 TASK_RUNNING']);
});

test('EXC-7: a restarted agent still tells another instance from the one that it knew', (t) => {
  const { kit } = subscribed();
  const other = new ExecutorPeer(next(kit), 'y');
  t.deepEqual(states(other.subscribe()), ['t-L1 TASK_FAILED REASON_EXECUTOR_TERMINATED']);
});

test('EXC-7: who is not the executor of this run is refused, and another’s principal is not heard', (t) => {
  const kit = withExecutor();
  const [error] = published(new ExecutorPeer(kit, 'z', 'L0-E').subscribe(), 'ERROR');
  t.deepEqual([error?.session, error?.cause], ['0', 'z-q1']);
  const head = meta({ principal: 'a2-executor', id: 'z-q1' });
  const body = { frameworkId: FRAMEWORK, executorId: 'e1', subscribe: {} };
  t.deepEqual(words(kit.send({ type: 'executor.SUBSCRIBE', meta: head, body } as never)), []);
});

test('EXC-7: a copy of an answered question begins no session', (t) => {
  const { peer } = subscribed();
  t.deepEqual(words(peer.subscribe({}, 'x-q1')), []);
});

test('EXC-8: when it ends, what is left is FAILED, or KILLED where that was asked for, and then the master hears of it', (t) => {
  const { kit, peer } = subscribed();
  run(kit, 'L2');
  run(kit, 'L3');
  peer.update(peer.status('L3', 'TASK_FINISHED'));
  t.deepEqual(words(kit.kill('L2')), ['publish KILL']);
  const effects = kit.report('L1-E', 'TASK_FAILED', { exitCode: 3, message: 'Command exited with status 3' });
  t.deepEqual(states(effects), [
    't-L1 TASK_FAILED REASON_EXECUTOR_TERMINATED',
    't-L2 TASK_KILLED REASON_EXECUTOR_TERMINATED',
  ]);
  // Until all of it is stored the container's end is kept, to be told again.
  t.deepEqual(words(effects).slice(-2), ['forgetContainer', 'publish EXITED_EXECUTOR']);
  t.is(bodies<{ status: number }>(effects, 'EXITED_EXECUTOR')[0]?.status, 3 * 256);
  t.deepEqual(kit.store.keys.filter((key) => key.startsWith('executor')), []); // prettier-ignore
});

test('EXC-8: a container that does not start says so of each task', (t) => {
  const kit = registeredAgent({ executors });
  run(kit, 'L1');
  const effects = kit.report('L1-E', 'TASK_FAILED', { reason: 'REASON_CONTAINER_LAUNCH_FAILED', message: 'no such file' }); // prettier-ignore
  t.deepEqual(states(effects), ['t-L1 TASK_FAILED REASON_CONTAINER_LAUNCH_FAILED']);
});

test('LNK-6 AGT-8: an agent names its executors, and tells all of them where it is asked', (t) => {
  const kit = withExecutor();
  kit.send({ type: 'RECONNECTED' });
  const { id: cause = '', body } = kit.question;
  const named = [{ frameworkId: FRAMEWORK, executorId: 'e1', containerId: 'L1-E' }];
  t.deepEqual((body as AgentMessageBody<'REREGISTER'>).executors, named);
  const [told] = bodies<AgentMessageBody<'REREGISTER'>>(
    kit.hear('DIFFERS', { wantsInfo: false, wantsExecutors: true, buckets: bucketDigests([], 1) }, { session: '0', sequence: 0, cause }), // prettier-ignore
    'REREGISTER',
  );
  t.deepEqual(told?.executors, named);
  t.deepEqual(told?.differing?.executors, [{ containerId: 'L1-E', frameworkId: FRAMEWORK, info: executor }]);
  t.like(told?.differing?.launches[0], { launchId: 'L1', executorId: 'e1', containerId: 'L1-E' });
});

test('GBC-2 GBC-4: the sandbox of an executor lives with it, and from its end on may be removed', (t) => {
  const kit = withExecutor();
  const path = sandboxOf(FRAMEWORK, 'e1', 'L1-E');
  kit.send({ type: 'SANDBOXES_LISTED', sandboxes: [{ path, mtimeMs: 0 }] } as never);
  t.false(kit.state.sandboxes.ended.has(path));
  const effects = kit.report('L1-E', 'TASK_FINISHED', { exitCode: 0 });
  t.deepEqual([...kit.state.sandboxes.ended.keys()], [path]);
  t.deepEqual(ofType(effects, 'forgetContainer').map(({ containerId }) => containerId), ['L1-E']); // prettier-ignore
});

test('EXC-8: an end while there is no session is told in the next one, as the list that it rests on had the executor', (t) => {
  const { kit } = subscribed();
  kit.send({ type: 'RECONNECTED' });
  t.deepEqual(words(kit.report('L1-E', 'TASK_FAILED', { exitCode: 1 })), ['forgetContainer']);
  t.true(words(kit.answer([])).includes('publish EXITED_EXECUTOR'));
  t.deepEqual(published(kit.pass(1_000), 'EXITED_EXECUTOR'), []);
});

test('EXC-8: a task whose executor ends while it is stored is told too', (t) => {
  const { kit } = subscribed();
  kit.storesAtOnce = false;
  run(kit, 'L2');
  kit.report('L1-E', 'TASK_FAILED', { exitCode: 1 });
  t.deepEqual(states(kit.storedAll()).sort(), [
    't-L1 TASK_FAILED REASON_EXECUTOR_TERMINATED',
    't-L2 TASK_DROPPED REASON_EXECUTOR_TERMINATED',
  ]);
});

test('KIL-1 EXC-4: a kill goes to the executor, again in each new session; of a task that it has not seen it is the end', (t) => {
  const { kit, peer } = subscribed();
  t.deepEqual(bodies<ExecutorEventBody<'KILL'>>(kit.kill('L1', 1_000), 'KILL'), [
    { kill: { taskId: 't-L1', killPolicy: { gracePeriod: { nanoseconds: 1e9 } } } },
  ]);
  t.deepEqual(words(peer.subscribe()), ['publish SUBSCRIBED', 'publish LAUNCH', 'publish KILL']);
  const early = withExecutor();
  const effects = early.kill('L1');
  t.deepEqual(states(effects), ['t-L1 TASK_KILLED REASON_TASK_KILLED_DURING_LAUNCH']);
  // Nobody else needs it.
  t.is(told(effects)[0]?.type, 'agent.KILL');
});

test('EXC-10: messages pass both ways while there are sessions', (t) => {
  const { kit, peer } = subscribed();
  const data = Uint8Array.of(1);
  const named = { frameworkId: FRAMEWORK, executorId: 'e1' };
  t.deepEqual(bodies(kit.hear('EXECUTOR_MESSAGE', { ...named, data }), 'MESSAGE'), [{ message: { data } }]);
  t.deepEqual(bodies(peer.say('MESSAGE', { message: { data } }), 'EXECUTOR_MESSAGE'), [
    { agentId: AGENT_ID, ...named, data },
  ]);
  t.deepEqual(words(kit.hear('EXECUTOR_MESSAGE', { frameworkId: FRAMEWORK, executorId: 'e2', data })), []);
});

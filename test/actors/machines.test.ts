/** The charts: every state reached, and of each step the state after it with the effects, as tables to read. */
import test, { type ExecutionContext } from 'ava';
import type { AnyStateMachine } from 'xstate';
import { getShortestPaths } from 'xstate/graph';
import { agentMachine } from '../../actors/agent/agent.machine.js';
import type { Effect } from '../../actors/effect.js';
import { customExecutorMachine } from '../../actors/framework/custom-executor.machine.js';
import { executorMachine } from '../../actors/framework/executor.machine.js';
import { schedulerMachine } from '../../actors/framework/scheduler.machine.js';
import { masterMachine } from '../../actors/master/master.machine.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import { AGENT_ID, AgentKit } from '../support/agent-kit.js';
import { ActorKit, meta, NOW, published, words } from '../support/actor-kit.js';
import { newMaster, taskInfo } from '../support/master-kit.js';

const MACHINES: Record<string, AnyStateMachine> = {
  masterMachine,
  agentMachine,
  schedulerMachine,
  executorMachine,
  customExecutorMachine,
};

/** A step: what happens, the state after it, and the effects in words. */
type Step = [what: string, act: () => readonly Effect[], state: string, effects: string[]];

const walked = new Map<AnyStateMachine, Set<string>>();

/** Walks and compares; notes the states that were seen. */
function walk<L extends AnyStateMachine>(
  t: ExecutionContext,
  logic: L,
  kit: ActorKit<L>,
  steps: readonly Step[],
): void {
  const seen = walked.get(logic) ?? new Set<string>();
  walked.set(logic, seen.add(String(kit.value)));
  for (const [what, act, state, effects] of steps) {
    const done = act();
    t.deepEqual([String(kit.value), words(done)], [state, effects], what);
    seen.add(state);
  }
}

const another = { schemaVersion: 1, epoch: NOW + 99_999, masterId: 'zz', name: 'm2' };
const elected = (epoch: number) => ({
  type: 'leader.ELECTED',
  meta: meta({ principal: 'm', epoch }),
  body: { masterId: 'x', name: 'm', epoch },
});

test.serial('ACT-4: the master’s way to leadership and from it', (t) => {
  const kit = newMaster();
  const send =
    (type: string, rest: object = {}) =>
    () =>
      kit.send({ type, ...rest });
  walk(t, masterMachine, kit, [
    ['it starts', send('START'), 'standby', ['follow lease', 'follow registry']],
    ['a record', send('REGISTRY_ENTRY', { key: 'agent.x', value: { schemaVersion: 1, agentId: 'x', principal: 'a', agentInfo: { hostname: 'h' } }, revision: 1 }), 'standby', []], // prettier-ignore
    ['another leads', send('REGISTRY_ENTRY', { key: 'epoch', value: { ...another, epoch: 3 }, revision: 2 }), 'standby', []], // prettier-ignore
    ['that is all', send('REGISTRY_CAUGHT_UP'), 'standby', []],
    ['the lease', send('LEASE_ENTRY', { held: true, revision: 5 }), 'standby', []],
    ['it expires', send('LEASE_ENTRY', { held: false, revision: 6 }), 'standby', []],
    ['it asks', () => kit.pass(0), 'standby', ['probe']],
    ['silence', send('PROBED', { requestId: 1, outcome: 'silence' }), 'standby', []],
    [
      'nobody answers',
      () => kit.probeUntilAbsent().filter(({ type }) => type !== 'probe'),
      'contending',
      ['takeLease'],
    ],
    ['refused', () => kit.answerLease('refused'), 'standby', []],
    ['again', () => kit.probeUntilAbsent().filter(({ type }) => type !== 'probe'), 'contending', ['takeLease']],
    ['taken', () => kit.answerLease('stored', 10), 'claiming', ['writeEpoch']],
    ['busy', () => kit.answerEpoch('busy'), 'claiming', []],
    ['again', () => kit.pass(50), 'claiming', ['writeEpoch']],
    ['refused', () => kit.answerEpoch('refused'), 'standby', ['releaseLease']],
    ['again', () => kit.probeUntilAbsent().filter(({ type }) => type !== 'probe'), 'contending', ['takeLease']],
    ['taken', () => kit.answerLease('stored', 12), 'claiming', ['writeEpoch']],
    ['stored', () => kit.answerEpoch('stored', 20), 'recovering', []],
    ['delivered', () => kit.deliverEpoch(20), 'leading', ['listen probe', 'listen masterScheduler', 'listen masterAgent', 'listen masterOperator', 'listen masterMaster', 'publish ELECTED', 'publish INVITE']], // prettier-ignore
    ['it hears itself', () => kit.pass(500), 'leading', ['publish LOOPBACK', 'publish LOOPBACK']],
    ['it renews', () => kit.pass(500), 'leading', ['takeLease', 'publish LOOPBACK']],
    ['renewed', () => kit.answerLease('stored', 13), 'leading', []],
    ['probed', send('probe.PROBE', { meta: meta({ reply: 'inbox' }), body: {} }), 'leading', ['reply LEADING']],
    [
      'overtaken',
      send('REGISTRY_ENTRY', { key: 'epoch', value: another, revision: 21 }),
      'deposed',
      ['stop and restart'],
    ],
  ]);
  const stopped = newMaster();
  walk(t, masterMachine, stopped, [
    ['it leads', () => stopped.become('leading').slice(0, 1), 'leading', ['listen probe']],
    ['it is asked to stop', () => stopped.send({ type: 'STOP' }), 'stopped', ['releaseLease', 'stop']],
  ]);
  const late = newMaster();
  walk(t, masterMachine, late, [
    ['its claim is stored', () => late.become('recovering'), 'recovering', []],
    ['overtaken', () => late.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value: another, revision: 21 } as never), 'deposed', ['stop and restart']], // prettier-ignore
  ]);
});

test.serial('ACT-4: the agent’s way to a session and to its end', (t) => {
  const kit = new AgentKit();
  walk(t, agentMachine, kit, [
    ['it starts', () => kit.send({ type: 'START' }), 'registering', ['listSandboxes', 'publish REGISTER']],
    ['no answer', () => kit.pass(375), 'registering', ['publish REGISTER']],
    ['registered', () => kit.answer(), 'running', []],
    ['a ping', () => kit.hear('PING', {}), 'running', ['publish PONG']],
    ['a launch', () => kit.run('L1', 't1'), 'running', ['tell agent.LAUNCH']],
    ['it runs', () => kit.report('L1', 'TASK_RUNNING'), 'running', ['publish STATUS_UPDATE']],
    ['a new leader', () => kit.send(elected(9)), 'awaitingInvitation', []],
    ['no invitation', () => kit.pass(5_625), 'registering', ['publish REREGISTER']],
    ['registered', () => ((kit.epoch = 9), kit.answer([])), 'running', ['publish STATUS_UPDATE']],
    ['reconnected', () => kit.send({ type: 'RECONNECTED' }), 'registering', ['publish REREGISTER']],
    ['a newer leader', () => kit.send(elected(12)), 'awaitingInvitation', []],
    ['invited', () => kit.hear('INVITE', { masterId: 'x' }, { session: '0', sequence: 0, epoch: 12 }), 'registering', ['publish REREGISTER']], // prettier-ignore
    ['registered', () => ((kit.epoch = 12), kit.answer([])), 'running', ['publish STATUS_UPDATE']],
    ['a kill', () => kit.hear('KILL_TASK', { frameworkId: '5-0001', taskId: 't1', launchId: 'L1' }), 'running', ['tell agent.KILL']], // prettier-ignore
    ['it stops', () => kit.send({ type: 'STOP', endTasks: true } as never), 'terminating', []],
    [
      'it has ended',
      () => kit.report('L1', 'TASK_KILLED'),
      'stopped',
      ['forgetContainer', 'publish UNREGISTER', 'stop'],
    ],
  ]);
  t.true(kit.isDone);
  const slow = new AgentKit();
  slow.storesAtOnce = false;
  walk(t, agentMachine, slow, [
    ['it starts', () => slow.send({ type: 'START' }), 'registering', ['listSandboxes', 'publish REGISTER']],
    ['an answer', () => slow.answer(), 'registering', ['checkpoint']],
    ['its id is stored', () => slow.stored(), 'running', []],
    ['a launch', () => slow.run('L1', 't1'), 'running', ['checkpoint']],
    ['it is to leave', () => slow.send({ type: 'STOP' }), 'leaving', []],
    ['the launch is stored', () => slow.stored(), 'left', ['stop']],
  ]);
  t.true(slow.isDone);
});

test.serial('ACT-4: the scheduler’s way to a session and to its end', (t) => {
  const scheduler = {
    info: { user: 'u', name: 'f' },
    onOffers: () => [],
    onUpdate: () => [],
    onInput: () => [{ type: 'TEARDOWN' as const }],
  };
  const newKit = () =>
    new ActorKit(schedulerMachine, { principal: 'f1', scheduler, own: {}, timings: DEFAULT_TIMINGS, frameworkId: undefined }); // prettier-ignore
  const kit = newKit();
  const subscribed = (session: string) => () => {
    const cause = published(kit.all, 'SUBSCRIBE').at(-1)?.id;
    const body = { subscribed: { frameworkId: '5-0001', heartbeatIntervalSeconds: 2 } };
    return kit.send({
      type: 'master.SUBSCRIBED',
      meta: meta({ session, sequence: 1, epoch: 5, cause }),
      body,
    } as never);
  };
  const removed = () =>
    kit.send({
      type: 'master.ERROR',
      meta: meta({ session: '5-C3', sequence: 2, epoch: 5 }),
      body: { error: { code: 'FRAMEWORK_REMOVED', message: '' } },
    } as never);
  walk(t, schedulerMachine, kit, [
    ['it starts', () => kit.send({ type: 'START' }), 'subscribing', ['publish SUBSCRIBE']],
    ['no answer', () => kit.pass(375), 'subscribing', ['publish SUBSCRIBE']],
    ['subscribed', subscribed('5-C1'), 'subscribed', []],
    ['reconnected', () => kit.send({ type: 'RECONNECTED' }), 'subscribing', ['publish SUBSCRIBE']],
    ['subscribed', subscribed('5-C2'), 'subscribed', []],
    ['it wants to go', () => kit.send({ type: 'INPUT', input: 1 } as never), 'tearingDown', ['publish TEARDOWN']],
    ['no answer', () => kit.pass(500), 'tearingDown', ['publish SUBSCRIBE']],
    ['subscribed', subscribed('5-C3'), 'tearingDown', []],
    ['again', () => kit.pass(500), 'tearingDown', ['publish TEARDOWN']],
    ['removed', removed, 'stopped', ['stop']],
  ]);
  const early = newKit();
  walk(t, schedulerMachine, early, [['it is asked to stop', () => early.send({ type: 'STOP' }), 'stopped', ['stop']]]);
});

test.serial('ACT-4: the command executor’s life', (t) => {
  const kit = new ActorKit(executorMachine, {
    timings: DEFAULT_TIMINGS,
    maxStarting: 1,
    environment: {},
    recovered: [],
  });
  const send =
    (type: string, rest: object = {}) =>
    () =>
      kit.send({ type, ...rest });
  const launch = {
    launchId: 'L1',
    frameworkId: 'f',
    agentId: AGENT_ID,
    task: taskInfo(AGENT_ID),
    sendKilling: true,
    user: 'u',
  };
  walk(t, executorMachine, kit, [
    ['it starts', send('START'), 'subscribed', ['adoptContainers']],
    ['a launch', send('agent.LAUNCH', launch), 'subscribed', ['launchContainer']],
    [
      'it runs',
      send('CONTAINER_STARTED', { containerId: 'L1', pid: 7 }),
      'subscribed',
      ['tell commandExecutor.UPDATE'],
    ],
    ['a kill', send('agent.KILL', { launchId: 'L1' }), 'subscribed', ['tell commandExecutor.UPDATE', 'signalContainer SIGTERM']], // prettier-ignore
    ['its grace is over', () => kit.pass(3_000), 'subscribed', ['signalContainer SIGKILL']],
    ['it ends', send('CONTAINER_ENDED', { containerId: 'L1', exitSignal: 'SIGKILL' }), 'subscribed', ['tell commandExecutor.UPDATE']], // prettier-ignore
  ]);
});

test.serial('ACT-4: a custom executor’s way to a session and to its end', (t) => {
  const executor = { onLaunch: () => [], onKill: () => [] };
  const who = { principal: 'x', agentPrincipal: 'a1', frameworkId: 'f', executorId: 'e', containerId: 'L1' };
  const kit = new ActorKit(customExecutorMachine, {
    ...who,
    executor,
    own: {},
    timings: DEFAULT_TIMINGS,
    shutdownGraceMs: 5_000,
  });
  const parameters = { frameworkId: 'f', executorId: 'e' };
  const hear = (type: string, head: object, body: object) => () =>
    kit.send({ type: `agent.${type}`, meta: meta({ parameters, ...head }), body } as never);
  const subscribed = (session: string) => () =>
    hear(
      'SUBSCRIBED',
      { session, sequence: 1, cause: published(kit.all, 'SUBSCRIBE').at(-1)?.id },
      { subscribed: { executorInfo: {}, frameworkInfo: {}, agentInfo: {} } },
    )();
  const launch = { launch: { task: taskInfo(AGENT_ID) }, launchId: 'L1' };
  walk(t, customExecutorMachine, kit, [
    ['it starts', () => kit.send({ type: 'START' }), 'subscribing', ['publish SUBSCRIBE']],
    ['no answer', () => kit.pass(375), 'subscribing', ['publish SUBSCRIBE']],
    ['subscribed', subscribed('1-C1'), 'subscribed', []],
    ['a launch', hear('LAUNCH', { session: '1-C1', sequence: 2 }, launch), 'subscribed', []],
    ['the agent is back', hear('INVITE', {}, {}), 'subscribing', ['publish SUBSCRIBE']],
    ['subscribed', subscribed('2-C1'), 'subscribed', []],
    ['it is to end', hear('SHUTDOWN', { session: '2-C1', sequence: 2 }, {}), 'stopped', ['stop']],
  ]);
});

test.serial('ACT-4: every state of every machine is on one of these ways', (t) => {
  for (const [name, machine] of Object.entries(MACHINES))
    t.deepEqual([...(walked.get(machine) ?? [])].sort(), Object.keys(machine.states).sort(), name); // prettier-ignore
});

test.serial('ACT-4: a machine that waits for its start does nothing before', (t) => {
  for (const kit of [newMaster(), new AgentKit()]) {
    t.is(kit.value, 'starting');
    t.deepEqual(words(kit.send({ type: 'TICK' })), []);
    t.is(kit.value, 'starting');
  }
});

test.serial('ACT-4: no chart leads into a state that it does not have, and a final state is never left', (t) => {
  for (const [name, machine] of Object.entries(MACHINES)) {
    const finals = Object.entries(machine.states).filter(([, { type }]) => type === 'final');
    for (const [state, node] of finals) t.deepEqual([...node.transitions.keys()], [], `${name} ${state}`);
    for (const node of Object.values(machine.states))
      for (const transitions of [...node.transitions.values(), node.always ?? []])
        for (const { target } of transitions) for (const to of target ?? []) t.true(Object.keys(machine.states).includes(to.key)); // prettier-ignore
  }
});

test.serial('ACT-4: by events alone, without regard to what it knows, the executor reaches all its states', (t) => {
  const paths = getShortestPaths(executorMachine, {
    input: { timings: DEFAULT_TIMINGS, maxStarting: 1, environment: {}, recovered: [] },
    events: [{ type: 'START', now: NOW, random: 0 }, { type: 'TICK', now: NOW, random: 0 }], // prettier-ignore
    serializeState: ({ value }) => JSON.stringify(value),
    limit: 100,
  });
  t.deepEqual(new Set(paths.map(({ state }) => state.value)), new Set(Object.keys(executorMachine.states)));
});

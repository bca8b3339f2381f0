/** Agents that cannot be reached, as schedulers hear of them and as leaders remember them. */
import test from 'ava';
import type { AgentRecord } from '../../protocol/registry.js';
import { bodies, meta, published, words } from '../support/actor-kit.js';
import {
  AgentPeer,
  leadingMaster,
  SchedulerPeer,
  statuses,
  statusWords,
  taskInfo,
  type Launched,
} from '../support/master-kit.js';

test('REC-2: a scheduler that is not PARTITION_AWARE hears LOST for what it does not know, by whatever way', (t) => {
  for (const [capabilities, word] of [
    [[], undefined],
    [[{ type: 'TASK_KILLING_STATE' as const }], undefined],
    [[{ type: 'PARTITION_AWARE' as const }], 'as it is'],
  ] as const) {
    const told = (state: string) => (word === undefined ? 'TASK_LOST' : state);
    const kit = leadingMaster();
    const agent = kit.agent('a1');
    const framework = kit.framework('f1', { capabilities: [...capabilities] });
    const [runs, dropped] = kit.launch(framework, 'runs', 'dropped') as [Launched, Launched];
    const { effects, status } = agent.update(dropped, 'TASK_DROPPED');
    t.deepEqual(statusWords(effects), [`dropped ${told('TASK_DROPPED')}`]);
    t.deepEqual(statuses(framework.subscribe()).map(({ state }) => state), [told('TASK_DROPPED')], 'repeated'); // prettier-ignore
    framework.acknowledge(status);
    t.deepEqual(bodies(kit.stored(), 'STATUS_UPDATE_ACKNOWLEDGEMENT').length, 1, 'it is known by its uuid');
    t.deepEqual(statusWords(framework.accept(['never'], [taskInfo(agent.id)])), [`t1 ${told('TASK_DROPPED')} REASON_INVALID_OFFERS`]); // prettier-ignore
    t.deepEqual(statusWords(agent.update(runs, 'TASK_RUNNING').effects), ['runs TASK_RUNNING']);
    t.deepEqual(framework.reconcile({ taskId: 'none', agentId: agent.id }).map(({ state }) => state), [told('TASK_GONE')]); // prettier-ignore
    t.deepEqual(
      framework.reconcile({ taskId: 'none' }).map(({ state }) => state),
      [told('TASK_UNKNOWN')],
    );
    t.deepEqual(statusWords([...agent.say('UNREGISTER', {}), ...kit.stored()]), [
      `runs ${told('TASK_UNREACHABLE')} REASON_AGENT_REMOVED`,
    ]);
    t.is(runs.row.state, 'TASK_UNREACHABLE', 'the master knows it as it is');
    t.deepEqual(
      framework.reconcile().map(({ state }) => state),
      [told('TASK_UNREACHABLE')],
    );
    t.deepEqual(statusWords(agent.reregister([runs])), ['runs TASK_RUNNING REASON_AGENT_REREGISTERED']);
  }
});

/** A task runs on an agent that has just fallen silent; the write about it waits. */
function silent() {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const [runs] = kit.launch(framework, 'runs') as [Launched];
  framework.acknowledge(agent.update(runs, 'TASK_RUNNING').status);
  const effects = [];
  for (let i = 0; i < 11; i++) {
    effects.push(...kit.pass(2_000));
    framework.call('HEARTBEAT', {});
  }
  return { kit, agent, framework, runs, effects, record: () => kit.registry.get(`agent.${agent.id}`) };
}

test('AGT-9 REG-3: that an agent is unreachable is stored before anybody hears of it', (t) => {
  const { kit, agent, framework, runs, effects, record } = silent();
  t.is(agent.row.state, 'UNREACHABLE');
  t.is(kit.unanswered.length, 1);
  t.deepEqual([statusWords(effects), bodies(effects, 'FAILURE')], [[], []]);
  t.deepEqual(framework.reconcile({ taskId: 'runs' }), [], 'it may still not come to be');
  t.deepEqual(framework.reconcile({ taskId: 'none', agentId: agent.id }), []);
  t.is(runs.row.state, 'TASK_RUNNING');
  t.like(record(), { unreachableAtMs: undefined });
  const told = kit.stored();
  t.like(record(), { unreachableAtMs: agent.row.unreachableAtMs });
  t.deepEqual(words(told), ['publish UPDATE', 'publish FAILURE']);
  t.is(runs.row.state, 'TASK_UNREACHABLE');
});

test('AGT-9: that it is back is stored before it is answered', (t) => {
  const { kit, agent, runs, record } = silent();
  kit.stored();
  const effects = agent.reregister([runs]);
  t.is(words(effects)[0], `persist agent.${agent.id}`);
  t.like(record(), { agentId: agent.id, unreachableAtMs: undefined });
  t.deepEqual(statusWords(effects), ['runs TASK_RUNNING REASON_AGENT_REREGISTERED']);
});

test('AGT-9: one that is back before its absence is stored was never away, for schedulers and for the registry', (t) => {
  const { kit, agent, runs, record } = silent();
  const effects = agent.reregister([runs]);
  t.is(published(effects, 'REREGISTERED').length, 1);
  t.deepEqual([statusWords(effects), bodies(effects, 'FAILURE')], [[], []]);
  t.is(runs.row.state, 'TASK_RUNNING');
  t.is(agent.row.state, 'REGISTERED');
  t.deepEqual(kit.unanswered, []);
  t.like(record(), { unreachableAtMs: undefined });
});

test('AGT-9: an absence that is stored behind the return is taken back', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  agent.info = { ...agent.info, hostname: 'renamed' };
  const asked = meta({ principal: 'a1', id: `${agent.instance}-q9`, epoch: kit.state.epoch });
  kit.send({ type: 'agent.REREGISTER', meta: asked, body: { ...agent.digest([]), differing: agent.all([]) } } as never);
  kit.pass(22_000);
  t.is(agent.row.state, 'UNREACHABLE');
  t.is(kit.unanswered.length, 2, 'what it says of itself, and behind it that it is away');
  t.deepEqual(published(kit.storeOne(), 'REREGISTERED').length, 1);
  t.is(agent.row.state, 'REGISTERED');
  kit.storeOne();
  t.not((kit.registry.get(`agent.${agent.id}`) as AgentRecord).unreachableAtMs, undefined);
  t.deepEqual(published(kit.stored()), []);
  t.like(kit.registry.get(`agent.${agent.id}`), { agentInfo: agent.info, unreachableAtMs: undefined });
});

test('AGT-9 AGT-3: the next leader knows it as unreachable since when it was, and says when it is back', (t) => {
  const { kit: first, agent, framework, runs } = silent();
  first.stored();
  const since = agent.row.unreachableAtMs ?? 0;
  const kit = leadingMaster({ name: 'm2', records: Object.fromEntries(first.registry) });
  const scheduler = new SchedulerPeer(kit, 'f1');
  scheduler.id = framework.id;
  scheduler.subscribe();
  t.like(scheduler.reconcile({ taskId: 'runs' })[0], {
    state: 'TASK_UNREACHABLE',
    unreachableTime: { nanoseconds: since * 1e6 },
  });
  t.like(scheduler.reconcile({ taskId: 'none', agentId: agent.id })[0], { state: 'TASK_UNREACHABLE' });
  for (let i = 0; i < 30; i++) {
    t.deepEqual(published(kit.pass(2_000), 'INVITE'), [], 'nobody waits for it');
    scheduler.call('HEARTBEAT', {});
  }
  t.false(kit.state.isSilenceWide);
  const peer = new AgentPeer(kit, 'a1', 'cpus:4;mem:4096;ports:[31000-31009]');
  peer.id = agent.id;
  const effects = peer.reregister([runs]);
  t.is(peer.row.state, 'REGISTERED');
  t.is(peer.row.unreachableAtMs, undefined);
  t.deepEqual(statusWords(effects), ['runs TASK_RUNNING REASON_AGENT_REREGISTERED']);
});

test('AGT-9 AGT-3: of a task that has ended, as its agent said beside an earlier update, UNREACHABLE is told all the same', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const [ended] = kit.launch(framework, 'ended') as [Launched];
  agent.update(ended, 'TASK_RUNNING', { latestState: 'TASK_FINISHED' });
  t.is(ended.row.state, 'TASK_FINISHED');
  t.deepEqual(statusWords([...agent.say('UNREGISTER', {}), ...kit.stored()]), [
    'ended TASK_UNREACHABLE REASON_AGENT_REMOVED',
  ]);
  t.is(ended.row.state, 'TASK_FINISHED', 'its resources are free');
  t.deepEqual(
    framework.reconcile({ taskId: 'ended' }).map(({ state }) => state),
    ['TASK_UNREACHABLE'],
  );
});

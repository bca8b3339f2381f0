import test from 'ava';
import { Resources } from '../../protocol/resources.js';
import { bodies, meta, ofType, published, words } from '../support/actor-kit.js';
import {
  AgentPeer,
  leadingMaster,
  requireConservation,
  statuses,
  statusWords,
  taskInfo,
  type MasterKit,
} from '../support/master-kit.js';

const newAgent = (kit: MasterKit, principal = 'a1') => new AgentPeer(kit, principal, 'cpus:4;mem:4096');

test('AGT-1 REG-3: a new agent is in the registry before it is answered', (t) => {
  const kit = leadingMaster();
  const body = { agentInfo: { hostname: 'h', resources: Resources.parse('cpus:1;mem:64').toArray() }, version: '1' };
  const asked = kit.send({ type: 'agent.REGISTER', meta: meta({ principal: 'a1', id: 'i-q1' }), body } as never);
  t.deepEqual(words(asked), [`persist agent.${kit.state.masterId}-S1`]);
  t.is(kit.state.agentsByPrincipal.get('a1')?.state, 'ADMITTING');
  const [answer, ...others] = published(kit.stored());
  t.is(others.length, 0);
  t.is(answer?.message, 'REGISTERED');
  t.is(answer?.cause, 'i-q1');
  t.deepEqual(answer?.body, { agentId: `${kit.state.masterId}-S1`, heartbeatIntervalMs: 2_000 });
  const { session = '' } = answer ?? {};
  t.deepEqual(answer?.to.parameters, { principal: 'a1', agentId: `${kit.state.masterId}-S1`, sessionId: session });
  t.deepEqual(kit.registry.get(`agent.${kit.state.masterId}-S1`), {
    schemaVersion: 1,
    agentId: `${kit.state.masterId}-S1`,
    principal: 'a1',
    agentInfo: body.agentInfo,
  });
});

test('AGT-1: a principal keeps its agent id, however often it asks', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const { id, session } = agent;
  t.deepEqual(published(agent.register()).map(({ message }) => message), ['REGISTERED']); // prettier-ignore
  t.is(agent.id, id);
  t.not(agent.session, session);
  t.is(kit.agent('a2').id, `${kit.state.masterId}-S2`);
  t.is(kit.state.agents.size, 2);
});

test('AGT-1: while it is being admitted, an agent that asks again waits', (t) => {
  const kit = leadingMaster();
  const ask = (id: string) =>
    kit.send({
      type: 'agent.REGISTER',
      meta: meta({ principal: 'a1', id }),
      body: { agentInfo: { hostname: 'h' }, version: '1' },
    } as never);
  ask('i-q1');
  t.deepEqual(words(ask('i-q2')), []);
  t.is(published(kit.stored(), 'REGISTERED').length, 1);
});

test('LNK-1: the second copy of a question, or an older one that comes late, begins no second session', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const { session } = agent;
  t.deepEqual(words(agent.register({ id: `${agent.instance}-q1` })), []);
  t.deepEqual(words(agent.reregister([], { id: `${agent.instance}-q9` })).slice(0, 1), ['publish REREGISTERED']);
  const second = agent.session;
  t.deepEqual(words(agent.reregister([], { id: `${agent.instance}-q9` })), []);
  t.deepEqual(words(agent.reregister([], { id: `${agent.instance}-q8` })), []);
  t.deepEqual(words(agent.register({ id: `${agent.instance}-q2` })), []);
  t.not(second, session);
  t.is(agent.row.link.session, second);
  t.deepEqual(words(agent.reregister([], { id: 'other-q1' })).slice(0, 1), ['publish REREGISTERED']);
});

test('AGT-1: an agent that is unknown and says that it is known is admitted under that id', (t) => {
  const kit = leadingMaster();
  const agent = newAgent(kit);
  agent.id = 'old-S7';
  t.deepEqual(words(agent.reregister()), ['persist agent.old-S7', 'publish REREGISTERED']);
  t.is(agent.row.state, 'REGISTERED');
});

test('AGT-1 EPO-3: an id that this term would have minted and did not is nobody’s', (t) => {
  const kit = leadingMaster();
  const agent = newAgent(kit, 'cuckoo');
  agent.id = `${kit.state.masterId}-S1`;
  t.deepEqual(words(agent.reregister()), []);
  t.is(kit.state.agents.size, 0);
  t.is(kit.agent('a1').id, `${kit.state.masterId}-S1`);
});

test('AGT-1: an agent id belongs to the principal that got it', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const thief = newAgent(kit, 'a2');
  thief.id = agent.id;
  t.deepEqual(words(thief.reregister()), []);
  t.is(agent.row.principal, 'a1');
  const { session, sequence } = agent;
  t.deepEqual(words(thief.say('PONG', {}, { session, sequence: sequence + 1 })), []);
  t.is(agent.row.link.seen, sequence);
});

test('AGT-1: an agent whose resources make no sense is not admitted', (t) => {
  const kit = leadingMaster();
  const agent = newAgent(kit);
  agent.info = { hostname: 'h', resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: -1 } }] };
  t.deepEqual(words(agent.register()), []);
  agent.id = 'old-S1';
  t.deepEqual(words(agent.reregister()), []);
  t.is(kit.state.agents.size, 0);
});

test('AGT-1: what an agent says anew of itself is stored before it is answered', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  agent.info = { ...agent.info, resources: Resources.parse('cpus:8;mem:64').toArray() };
  t.deepEqual(words(agent.reregister()).slice(0, 2), [`persist agent.${agent.id}`, 'publish REREGISTERED']);
  t.is(agent.row.total.toString(), 'cpus:8; mem:64');
  requireConservation(kit.state);
});

test('AGT-2 LCH-2: an agent that comes back hears every launch that the registry has for it and it has not named, and no other', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework();
  const [one] = kit.launch(framework, 't1');
  framework.accept([kit.offersOf(framework)[0]?.id ?? ''], [taskInfo(agent.id, { taskId: 't2' })]);
  t.is(kit.unanswered.length, 1, 'the second launch is on its way to the registry');
  const asked = meta({ principal: 'a1', id: `${agent.instance}-q77`, epoch: kit.state.epoch });
  const body = { ...agent.digest([]), differing: agent.all([]) };
  const effects = kit.send({ type: 'agent.REREGISTER', meta: asked, body } as never);
  const [answer] = bodies<{ launches: unknown[] }>(effects, 'REREGISTERED');
  t.deepEqual(answer?.launches, [{ frameworkId: framework.id, taskId: 't1', launchId: one?.launchId }]);
  requireConservation(kit.state);
});

test('AGT-2 UPD-3: a launch whose end is acknowledged is not asked for again while its row is on its way out', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework();
  const [one, two] = kit.launch(framework, 't1', 't2');
  if (one === undefined || two === undefined) return t.fail();
  framework.acknowledge(agent.update(one, 'TASK_FINISHED').status);
  const asked = meta({ principal: 'a1', id: `${agent.instance}-q77`, epoch: kit.state.epoch });
  const body = { ...agent.digest([]), differing: agent.all([]) };
  const effects = kit.send({ type: 'agent.REREGISTER', meta: asked, body } as never);
  const [answer] = bodies<{ launches: { launchId: string }[] }>(effects, 'REREGISTERED');
  t.deepEqual(
    answer?.launches.map(({ launchId }) => launchId),
    [two.launchId],
  );
});

test('AGT-2: what an agent runs is taken from it; its resources are free again when a task has ended', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1', 'cpus:4;mem:4096');
  const framework = kit.framework();
  const [one, two] = kit.launch(framework, 't1', 't2');
  if (one === undefined || two === undefined) return t.fail();
  agent.reregister([
    { row: one.row, state: 'TASK_RUNNING' },
    { row: two.row, state: 'TASK_FINISHED' },
  ]);
  t.is(one.row.state, 'TASK_RUNNING');
  t.is(two.row.state, 'TASK_FINISHED');
  requireConservation(kit.state);
  t.is(Resources.of(kit.offersOf(framework)[0]?.resources).scalar('cpus'), 3_000);
});

test('LCH-3: of an agent that is known from the registry nothing is offered until it is back', (t) => {
  const schemaVersion = 1;
  const kit = leadingMaster({
    records: {
      'agent.x-S1': { schemaVersion, agentId: 'x-S1', principal: 'a1', agentInfo: { hostname: 'h', resources: Resources.parse('cpus:2;mem:512').toArray() } }, // prettier-ignore
    },
  });
  const framework = kit.framework();
  t.deepEqual(kit.offersOf(framework), []);
  const agent = newAgent(kit);
  agent.id = 'x-S1';
  agent.reregister();
  t.is(kit.offersOf(framework).length, 1);
});

test('LNK-1: a new leader invites the agents that it knows, and again until they come', (t) => {
  const records = Object.fromEntries(
    ['x-S1', 'x-S2'].map((agentId) => [
      `agent.${agentId}`,
      { schemaVersion: 1, agentId, principal: agentId, agentInfo: { hostname: 'h' } },
    ]),
  );
  const kit = leadingMaster({ records });
  const invited = published(kit.all, 'INVITE');
  t.deepEqual(invited.map(({ to, session }) => [(to.parameters as { agentId: string }).agentId, session]), [['x-S1', '0'], ['x-S2', '0']]); // prettier-ignore
  const agent = newAgent(kit, 'x-S1');
  agent.id = 'x-S1';
  agent.reregister();
  t.deepEqual(published(kit.pass(4_000), 'INVITE').map(({ to }) => (to.parameters as { agentId: string }).agentId), ['x-S2', 'x-S2']); // prettier-ignore
});

test('LNK-1: a gap, or an unknown session, asks the agent to come again, once a second at most', (t) => {
  for (const given of [{ sequence: 5 }, { session: 'old-C1', sequence: 1 }, { session: '0', sequence: 0 }]) {
    const kit = leadingMaster();
    const agent = kit.agent('a1');
    const say = () => agent.say('PONG', {}, { session: agent.session, ...given });
    const [invite, ...more] = published(say());
    t.is(more.length, 0);
    t.is(invite?.message, 'INVITE');
    t.is(invite?.session, '0');
    t.deepEqual(published(say()), []);
    kit.pass(1_000);
    t.is(published(say(), 'INVITE').length, 1);
    t.is(agent.row.missedHeartbeats, 0, 'no heartbeat is due yet');
  }
});

test('LNK-1: a repeated message does nothing', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  agent.say('PONG', {});
  kit.pass(2_000);
  const missed = agent.row.missedHeartbeats;
  t.deepEqual(words(agent.say('PONG', {}, { session: agent.session, sequence: 1 })), []);
  t.is(agent.row.missedHeartbeats, missed);
});

test('LNK-1: agents are pinged, and an answer counts', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  for (let i = 0; i < 30; i++) {
    const pings = published(kit.pass(2_000), 'PING');
    t.is(pings.length, 1);
    t.is(pings[0]?.session, agent.session);
    agent.say('PONG', {});
  }
  t.is(agent.row.state, 'REGISTERED');
});

/** An agent with an offer out and two tasks, of which one runs and one has ended without an acknowledgement. */
function busy() {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const [runs, ended] = kit.launch(framework, 'runs', 'ended');
  if (runs === undefined || ended === undefined) throw new Error('not launched');
  framework.acknowledge(agent.update(runs, 'TASK_RUNNING').status);
  agent.update(ended, 'TASK_FINISHED');
  kit.offersOf(framework);
  return { kit, agent, framework, runs, ended };
}

/** Lets ten heartbeats go unanswered by the agents, but not by the framework. */
function silence({ kit, framework }: Pick<ReturnType<typeof busy>, 'kit' | 'framework'>) {
  const effects = [];
  for (let i = 0; i < 11; i++) {
    effects.push(...kit.pass(2_000));
    framework.call('HEARTBEAT', {});
  }
  return [...effects, ...kit.stored()];
}

test('AGT-3 OFR-3: an agent that misses ten heartbeats is unreachable; its offers are withdrawn, its tasks UNREACHABLE, nothing is killed', (t) => {
  const world = busy();
  const { kit, agent, framework, runs, ended } = world;
  const [offer] = [...framework.row.offers.keys()];
  for (let i = 0; i < 10; i++) {
    kit.pass(2_000);
    framework.call('HEARTBEAT', {});
  }
  t.is(agent.row.state, 'REGISTERED', 'ten pings are out');
  const effects = [...kit.pass(2_000), ...kit.stored()];
  const since = { nanoseconds: (agent.row.unreachableAtMs ?? 0) * 1e6 };
  t.is(agent.row.state, 'UNREACHABLE');
  t.true(kit.now - (agent.row.unreachableAtMs ?? 0) < 2_000);
  t.deepEqual(bodies(effects, 'RESCIND'), [{ rescind: { offerId: offer } }]);
  t.deepEqual(statusWords(effects), ['runs TASK_UNREACHABLE REASON_AGENT_REMOVED']);
  t.deepEqual(bodies(effects, 'FAILURE'), [{ failure: { agentId: agent.id } }]);
  t.deepEqual(ofType(kit.all, 'persist').filter(({ writes }) => writes.some(({ record }) => record === undefined)), []); // prettier-ignore
  for (const message of ['KILL_TASK', 'SHUTDOWN', 'SHUTDOWN_FRAMEWORK']) t.is(published(kit.all, message).length, 0);
  t.is(runs.row.state, 'TASK_UNREACHABLE');
  t.is(ended.row.state, 'TASK_FINISHED');
  t.deepEqual(kit.offersOf(framework), []);
  t.deepEqual(statuses(effects).map(({ unreachableTime }) => unreachableTime), [since]); // prettier-ignore
  kit.pass(1_000);
  for (const asked of [{ taskId: 'runs' }, { taskId: 'never-heard-of', agentId: agent.id }])
    t.like(framework.reconcile(asked)[0], { state: 'TASK_UNREACHABLE', unreachableTime: since });
  t.is(runs.row.state, 'TASK_UNREACHABLE', 'asking changes nothing');
  t.deepEqual(kit.state.allocator.allocate(kit.now), [], 'nothing of it is even considered');
});

test('AGT-3: an unreachable agent that is back has its tasks as they really are', (t) => {
  const world = busy();
  silence(world);
  const { kit, agent, framework, runs, ended } = world;
  const effects = agent.reregister([{ row: runs.row }, { row: ended.row, state: 'TASK_FINISHED' }]);
  t.is(agent.row.state, 'REGISTERED');
  t.deepEqual(statusWords(effects), ['runs TASK_RUNNING REASON_AGENT_REREGISTERED']);
  t.is(statuses(effects)[0]?.unreachableTime, undefined);
  t.is(runs.row.state, 'TASK_RUNNING');
  requireConservation(kit.state);
  t.is(kit.offersOf(framework).length, 1);
});

test('AGT-3: a task that an agent does not bring back is not said to be back', (t) => {
  const world = busy();
  silence(world);
  const effects = world.agent.reregister([]);
  t.deepEqual(statusWords(effects), []);
  const [answer] = bodies<{ launches: { taskId: string }[] }>(effects, 'REREGISTERED');
  t.deepEqual(answer?.launches.map(({ taskId }) => taskId), ['runs', 'ended']); // prettier-ignore
});

test('AGT-3 LNK-1: an agent that was given up and speaks on is asked to come again at once', (t) => {
  const world = busy();
  silence(world);
  const { kit, agent, runs } = world;
  const [invite, ...others] = published(agent.say('PONG', {}));
  t.deepEqual([invite?.message, others.length], ['INVITE', 0]);
  kit.pass(1_000);
  t.deepEqual(words(agent.update(runs, 'TASK_FINISHED').effects), ['publish INVITE']);
  t.is(runs.row.state, 'TASK_UNREACHABLE', 'what it says counts when it has registered');
});

test('AGT-3: nothing is sent to an unreachable agent', (t) => {
  const world = busy();
  silence(world);
  const { kit, framework } = world;
  const before = published(kit.all).length;
  framework.call('KILL', { kill: { taskId: 'runs' } });
  kit.pass(10_000);
  t.deepEqual(published(kit.all).slice(before).filter(({ to }) => to.row === 'agentMaster'), []); // prettier-ignore
});

test('AGT-4: an agent that says goodbye gets no offers, and its offers are withdrawn', (t) => {
  const { kit, agent, framework } = busy();
  const effects = agent.say('UNREGISTER', {});
  t.is(agent.row.state, 'UNREACHABLE');
  t.is(bodies(effects, 'RESCIND').length, 1);
  t.deepEqual(kit.offersOf(framework), []);
});

test('OFR-3 ALC-1: when an agent comes back its old offers are withdrawn, and the same resources are offered once', (t) => {
  const { kit, agent, framework, runs, ended } = busy();
  const [before] = [...framework.row.offers.keys()];
  const effects = agent.reregister([{ row: runs.row }, { row: ended.row, state: 'TASK_FINISHED' }]);
  t.deepEqual(bodies(effects, 'RESCIND'), [{ rescind: { offerId: before } }]);
  requireConservation(kit.state);
  const offers = kit.offersOf(framework);
  t.is(offers.length, 1);
  t.not(offers[0]?.id, before);
  requireConservation(kit.state);
});

test('OFR-3 AGT-3: a principal that comes as another agent leaves no offers and no running tasks of the first behind', (t) => {
  const { kit, agent, framework, runs } = busy();
  const first = agent.row;
  const other = newAgent(kit, agent.principal);
  other.id = 'old-S9';
  const effects = other.reregister();
  t.is(bodies(effects, 'RESCIND').length, 1);
  t.deepEqual(statusWords(effects), ['runs TASK_UNREACHABLE REASON_AGENT_REMOVED']);
  t.is(first.state, 'UNREACHABLE');
  t.is(runs.row.state, 'TASK_UNREACHABLE');
  t.deepEqual(kit.offersOf(framework).map(({ agentId }) => agentId), ['old-S9']); // prettier-ignore
  requireConservation(kit.state);
});

test('ALC-1: an agent that comes back with less than its tasks use offers nothing until enough has ended', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1', 'cpus:4;mem:4096');
  const framework = kit.framework();
  const [one, two] = kit.launch(framework, 't1', 't2');
  if (one === undefined || two === undefined) return t.fail();
  agent.info = { ...agent.info, resources: Resources.parse('cpus:1.5;mem:100').toArray() };
  agent.reregister([one, two]);
  t.deepEqual(kit.offersOf(framework).map(({ resources }) => Resources.of(resources).scalar('cpus')), []); // prettier-ignore
  const cpus = () => kit.offersOf(framework).map(({ resources }) => Resources.of(resources).scalar('cpus'));
  agent.update(one, 'TASK_FINISHED');
  t.deepEqual(cpus(), [500]);
  agent.update(two, 'TASK_FINISHED');
  t.is(
    cpus().reduce((sum, value) => sum + value, 0),
    1_500,
  );
});

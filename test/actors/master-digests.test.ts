/** Registering again by digest, what a lost registry gets back, and invitations in windows. */
import test from 'ava';
import type { TaskRow } from '../../actors/master/master-state.js';
import type { Effect } from '../../actors/effect.js';
import type { AgentMessageBody, MasterToAgentBody } from '../../protocol/agent-api.js';
import { encodeMessage } from '../../protocol/codec.js';
import { bucketDigests, bucketOf } from '../../protocol/digest.js';
import type { TaskState } from '../../protocol/task.js';
import { bodies, meta, published, words } from '../support/actor-kit.js';
import {
  AgentPeer,
  errors,
  leadingMaster,
  requireConservation,
  SchedulerPeer,
  statusWords,
  type Launched,
  type MasterKit,
} from '../support/master-kit.js';

const RESOURCES = 'cpus:8;mem:8192';
type Told = readonly { row: TaskRow; state?: TaskState; updateWaits?: boolean }[];

/** A pool with tasks t1 … under a first leader, and what is left of it. */
function pool(tasks = 3) {
  const kit = leadingMaster();
  const agent = kit.agent('a1', RESOURCES);
  const framework = kit.framework('f1');
  const launched = kit.launch(
    framework,
    ...Array.from({ length: tasks }, (_, i) => ({
      taskId: `t${i + 1}`,
      name: `name ${i + 1}`,
      labels: { labels: [{ key: 'k', value: `${i}` }] },
    })),
  );
  return { kit, agent, framework, launched };
}

/** The next leader, whose registry has lost the keys that begin with one of `lost`. */
function nextLeader({ kit, agent, framework }: ReturnType<typeof pool>, lost: readonly string[] = []) {
  const left = [...kit.registry].filter(([key]) => key !== 'epoch' && !lost.some((start) => key.startsWith(start)));
  const next = leadingMaster({ records: Object.fromEntries(left) });
  next.state.epoch += 1;
  next.state.masterId = next.state.epoch.toString(36);
  const back = new AgentPeer(next, 'a1', RESOURCES);
  back.id = agent.id;
  const scheduler = new SchedulerPeer(next, 'f1');
  scheduler.id = framework.id;
  return { kit: next, agent: back, scheduler };
}

let questions = 0;
/** The agent's question, as it is sent. */
function ask(kit: MasterKit, agent: AgentPeer, body: AgentMessageBody<'REREGISTER'>, given = {}): Effect[] {
  const { epoch } = kit.state;
  const asked = meta({ principal: agent.principal, id: `${agent.instance}-q${(questions += 1)}`, epoch, ...given });
  return kit.send({ type: 'agent.REREGISTER', meta: asked, body } as never);
}

const rows = (launched: readonly Launched[]): Told => launched.map(({ row }) => ({ row }));

test('LNK-6: an agent with five tasks whose digest is right says less than 300 bytes, and nothing else is exchanged', (t) => {
  const world = pool(5);
  const { kit, agent } = nextLeader(world);
  const body = agent.digest(rows(world.launched));
  const head = { type: 'REREGISTER', sender: 'agent-0001', session: '0', epoch: kit.state.epoch, id: 'agent-0001-1a2b3c4d-q12' }; // prettier-ignore
  const [bytes, ...more] = encodeMessage({ ...head, body }, () => 0);
  t.is(more.length, 0);
  t.true((bytes?.length ?? 999) < 300, `${bytes?.length} bytes`);
  const effects = ask(kit, agent, body);
  t.deepEqual(words(effects), ['publish REREGISTERED']);
  t.deepEqual(bodies<MasterToAgentBody<'REREGISTERED'>>(effects, 'REREGISTERED')[0]?.launches, []);
  t.is(kit.unanswered.length, 0, 'nor is anything written');
  t.deepEqual([...kit.state.tasks.values()].map(({ state }) => state), Array(5).fill('TASK_RUNNING')); // prettier-ignore
  requireConservation(kit.state);
});

test('LNK-6 LCH-3: until its digest is accepted nothing is offered on an agent', (t) => {
  const world = pool(3);
  const { kit, agent, scheduler } = nextLeader(world);
  scheduler.subscribe();
  const effects = ask(kit, agent, agent.digest(rows(world.launched.slice(1))));
  t.deepEqual(words(effects), ['publish DIFFERS']);
  t.is(agent.row.state, 'RECOVERED');
  t.deepEqual(kit.offersOf(scheduler), []);
  t.deepEqual(scheduler.reconcile({ taskId: 't1' }), []);
  agent.reregister(rows(world.launched.slice(1)));
  t.is(kit.offersOf(scheduler).length, 1);
});

test('LNK-6 LCH-2: where the digests differ only the parts that differ are exchanged, and only what is missing is asked for', (t) => {
  const world = pool(8);
  const { kit, agent } = nextLeader(world);
  const runs = rows(world.launched.slice(1));
  const [differs] = published(ask(kit, agent, agent.digest(runs)), 'DIFFERS');
  const body = differs?.body as MasterToAgentBody<'DIFFERS'>;
  t.is(differs?.session, '0');
  t.false(body.wantsInfo);
  const all = world.launched.map(({ launchId }) => launchId);
  t.deepEqual(body.buckets, bucketDigests(all, 16));
  const bucket = bucketOf(all[0] ?? '', 16);
  const inBucket = runs.filter(({ row }) => bucketOf(row.launchId, 16) === bucket);
  t.true(inBucket.length < runs.length);
  const { launches } = agent.all(inBucket);
  const effects = ask(kit, agent, { ...agent.digest(runs), differing: { of: 16, buckets: [bucket], launches } });
  const [answer] = bodies<MasterToAgentBody<'REREGISTERED'>>(effects, 'REREGISTERED');
  t.deepEqual(answer?.launches.map(({ launchId }) => launchId), all.slice(0, 1)); // prettier-ignore
  t.is(agent.row.state, 'REGISTERED');
});

test('LNK-6: parts that do not add up to the digest are asked for again', (t) => {
  const world = pool(4);
  const { kit, agent } = nextLeader(world);
  const runs = rows(world.launched);
  const { launches } = agent.all(runs.slice(1));
  const wrong: AgentMessageBody<'REREGISTER'>[] = [
    { ...agent.digest(runs), differing: { of: 1, buckets: [0], launches } },
    { ...agent.digest(runs), states: Uint8Array.from([1, 1, 1]) },
    { ...agent.digest(runs), states: Uint8Array.from([1, 1, 1, 99]) },
    { ...agent.digest(runs), digest: { launches: new Uint8Array(8), info: new Uint8Array(8) } },
  ];
  for (const body of wrong) t.deepEqual(words(ask(kit, agent, body)), ['publish DIFFERS']);
  t.is(agent.row.state, 'RECOVERED');
});

test('LNK-6 AGT-1: an agent whose own info differs is asked for it, and it is stored before the answer', (t) => {
  const world = pool(1);
  const { kit, agent } = nextLeader(world);
  agent.info = { ...agent.info, hostname: 'renamed' };
  const [differs] = bodies<MasterToAgentBody<'DIFFERS'>>(ask(kit, agent, agent.digest(rows(world.launched))), 'DIFFERS'); // prettier-ignore
  t.true(differs?.wantsInfo);
  const differing = { agentInfo: agent.info, of: 16, buckets: [], launches: [] };
  t.deepEqual(words(ask(kit, agent, { ...agent.digest(rows(world.launched)), differing })), [`persist agent.${agent.id}`]); // prettier-ignore
  t.deepEqual(words(kit.stored()), ['publish REREGISTERED']);
});

test('LNK-6 UPD-4: the states beside a digest are taken, and what an update waits to tell is not told before it', (t) => {
  const world = pool(2);
  const { kit, agent, scheduler } = nextLeader(world);
  scheduler.subscribe();
  const [one, two] = world.launched as [Launched, Launched];
  ask(kit, agent, agent.digest([{ row: one.row, updateWaits: true }, { row: two.row, state: 'TASK_FINISHED', updateWaits: true }])); // prettier-ignore
  t.deepEqual(scheduler.reconcile({ taskId: 't1' }), []);
  t.deepEqual([...kit.state.tasks.values()].map(({ state }) => state), ['TASK_RUNNING', 'TASK_FINISHED']); // prettier-ignore
  requireConservation(kit.state);
});

test('AGT-8: a launch that an agent runs and the registry lacks gets its row back, stored before the agent is answered', (t) => {
  const world = pool(3);
  const [one] = world.launched as [Launched];
  const { kit, agent, scheduler } = nextLeader(world, [`task.${one.launchId}`]);
  scheduler.subscribe();
  const runs = rows(world.launched);
  const before = world.kit.registry.get(`task.${one.launchId}`);
  t.deepEqual(words(ask(kit, agent, agent.digest(runs))), ['publish DIFFERS']);
  const differing = agent.all(runs);
  for (const launch of differing.launches) Object.assign(launch, { labels: { labels: [{ key: 'k', value: '0' }] } });
  t.deepEqual(words(ask(kit, agent, { ...agent.digest(runs), differing })), [`persist task.${one.launchId}`]);
  t.is(agent.row.state, 'RECOVERED', 'not before it is stored');
  const effects = kit.stored();
  t.deepEqual(published(effects).map(({ message }) => message), ['REREGISTERED']); // prettier-ignore
  t.deepEqual(kit.registry.get(`task.${one.launchId}`), before);
  t.deepEqual(scheduler.reconcile({ taskId: 't1' }).map(({ state }) => state), ['TASK_RUNNING']); // prettier-ignore
  requireConservation(kit.state);
});

test('AGT-8: a registry that lost everything gets agent, framework and tasks back, and no healthy task dies of it', (t) => {
  const world = pool(3);
  const { kit, agent, scheduler } = nextLeader(world, ['agent.', 'framework.', 'task.']);
  const all = agent.reregister(rows(world.launched));
  for (const [key] of world.kit.registry) if (key !== 'epoch') t.true(kit.registry.has(key), key);
  for (const message of ['KILL_TASK', 'SHUTDOWN_FRAMEWORK', 'SHUTDOWN']) t.is(published(all, message).length, 0);
  t.is(agent.row.tasks.size, 3);
  requireConservation(kit.state);
  const status = agent.update(world.launched[0] as Launched, 'TASK_RUNNING').status;
  scheduler.subscribe();
  t.like(kit.registry.get(`framework.${scheduler.id}`) as object, { principal: 'f1' });
  t.is(scheduler.acknowledge(status).length, 1);
  t.deepEqual(scheduler.reconcile().map(({ state }) => state), Array(3).fill('TASK_RUNNING')); // prettier-ignore
});

test('AGT-10: a principal that names one unknown id after the other has one row, under the last', (t) => {
  const world = pool(0);
  const { kit, agent } = nextLeader(world);
  agent.reregister();
  for (const id of ['x', 'y', '0', agent.id, 'x']) {
    const again = new AgentPeer(kit, 'a1', RESOURCES);
    again.id = id;
    again.reregister();
    kit.stored();
    t.deepEqual([...kit.state.agents.keys()], [id]);
    t.deepEqual([...kit.registry.keys()].filter((key) => key.startsWith('agent.')), [`agent.${id}`]); // prettier-ignore
    t.is(kit.state.formerAgents.size, 0);
    requireConservation(kit.state);
  }
});

test('AGT-10: a former row with tasks stays until they are over, and so does an id of this term', (t) => {
  const world = pool(1);
  const { kit, agent } = nextLeader(world);
  agent.reregister(rows(world.launched));
  const fresh = kit.agent('a2', RESOURCES);
  for (const principal of ['a1', 'a2']) {
    const again = new AgentPeer(kit, principal, RESOURCES);
    again.id = `x${principal}`;
    again.reregister();
    kit.stored();
  }
  t.deepEqual([...kit.state.agents.keys()], [agent.id, fresh.id, 'xa1', 'xa2']);
  agent.reregister(rows(world.launched));
  kit.stored();
  t.deepEqual([...kit.state.agents.keys()], [agent.id, fresh.id, 'xa2'], 'it is its own again');
});

test('AGT-8: the agent’s row alone is lost: its tasks are its again', (t) => {
  const world = pool(3);
  const { kit, agent } = nextLeader(world, ['agent.']);
  agent.reregister(rows(world.launched));
  t.is(agent.row.tasks.size, 3);
  requireConservation(kit.state);
});

test('AGT-8 FRW-4: a framework that was lost has its failover timeout, and may be torn down', (t) => {
  const world = pool(1);
  const { kit, agent } = nextLeader(world, ['framework.']);
  agent.reregister(rows(world.launched));
  t.true(kit.state.deadlines.has(`failover:${world.framework.id}`));
  t.is(published(kit.pass(60_000), 'SHUTDOWN_FRAMEWORK').length, 0);
});

test('AGT-8: a launch whose end was acknowledged in this term is not brought back by an older word of its agent', (t) => {
  const world = pool(2);
  const { kit, agent, scheduler } = nextLeader(world);
  scheduler.subscribe();
  const runs = rows(world.launched);
  const [one] = world.launched as [Launched];
  agent.reregister(runs);
  scheduler.acknowledge(agent.update(one, 'TASK_FINISHED').status);
  kit.stored();
  t.false(kit.has('task', one.launchId));
  const late = new AgentPeer(kit, 'a1', RESOURCES);
  late.id = agent.id;
  late.reregister(runs);
  t.false(kit.has('task', one.launchId));
  t.false(kit.state.tasks.has(one.launchId));
});

test('AGT-8 REC-1: what has ended gets its row back until its end is acknowledged, so that nobody is told that it is gone', (t) => {
  const world = pool(2);
  const { kit, agent, scheduler } = nextLeader(world, ['task.']);
  scheduler.subscribe();
  const [one] = world.launched as [Launched];
  agent.reregister([{ row: one.row, state: 'TASK_FINISHED', updateWaits: true }]);
  t.true(kit.has('task', one.launchId));
  requireConservation(kit.state);
  t.deepEqual(scheduler.reconcile({ taskId: 't1', agentId: agent.id }), [], 'its agent tells');
  scheduler.acknowledge(agent.update(one, 'TASK_RUNNING', { latestState: 'TASK_FINISHED' }).status);
  t.deepEqual(words(scheduler.acknowledge(agent.update(one, 'TASK_FINISHED').status)), [
    `persist -task.${one.launchId}`,
  ]);
  t.deepEqual(words(kit.stored()).slice(0, 1), ['publish STATUS_UPDATE_ACKNOWLEDGEMENT']);
  t.false(kit.has('task', one.launchId));
});

test('AGT-8: nor is one without a row whose end was passed on, nor one of this term', (t) => {
  const world = pool(2);
  const { kit, agent, scheduler } = nextLeader(world, ['task.']);
  scheduler.subscribe();
  const [one] = world.launched as [Launched];
  agent.reregister([]);
  const { effects, status } = agent.update(one, 'TASK_FINISHED');
  t.deepEqual(statusWords(effects), ['t1 TASK_FINISHED']);
  t.deepEqual(words(scheduler.acknowledge(status)), ['publish STATUS_UPDATE_ACKNOWLEDGEMENT']);
  const late = new AgentPeer(kit, 'a1', RESOURCES);
  late.id = agent.id;
  late.reregister([{ row: one.row }]);
  const ours = { ...one.row, launchId: `${kit.state.masterId}-L7` };
  late.reregister([{ row: ours }]);
  t.is(kit.state.tasks.size, 0);
});

test('AGT-8: what differs must have been said in this term', (t) => {
  const world = pool(2);
  const { kit, agent } = nextLeader(world, ['task.']);
  const body = { ...agent.digest(rows(world.launched)), differing: agent.all(rows(world.launched)) };
  t.deepEqual(words(ask(kit, agent, body, { epoch: kit.state.epoch - 1 })), ['publish DIFFERS']);
  t.is(kit.unanswered.length, 0);
});

test('AGT-8 FRW-5: what is left of a framework that was removed in this term is told to end, and gets no row', (t) => {
  const world = pool(1);
  const { kit, agent, scheduler } = nextLeader(world, ['task.']);
  scheduler.subscribe();
  scheduler.call('TEARDOWN', {});
  kit.stored();
  t.deepEqual(errors(kit.all), ['FRAMEWORK_REMOVED']);
  const effects = agent.reregister(rows(world.launched));
  t.deepEqual(bodies(effects, 'SHUTDOWN_FRAMEWORK'), [{ frameworkId: world.framework.id }]);
  t.false(kit.has('task', world.launched[0]?.launchId ?? ''));
});

test('AGT-8: rows are given back in decisions that a batch can hold', (t) => {
  const world = pool(1);
  const { kit, agent } = nextLeader(world, ['task.']);
  const [one] = world.launched as [Launched];
  const many = Array.from({ length: 1_200 }, (_, i) => ({ row: { ...one.row, launchId: `${one.launchId}${i}`, taskId: `x${i}` } })); // prettier-ignore
  const effects = ask(kit, agent, { ...agent.digest(many), differing: agent.all(many) });
  t.deepEqual(
    effects.flatMap((effect) => (effect.type === 'persist' ? [effect.writes.length] : [])),
    [500, 500, 200],
  );
  kit.stored();
  t.is(agent.row.tasks.size, 1_200);
});

test('LNK-6: a new leader invites 256 agents at a time, and the next as they come or time passes', (t) => {
  const ids = Array.from({ length: 2_000 }, (_, i) => `x-S${i}`);
  const record = (agentId: string) => ({ schemaVersion: 1, agentId, principal: agentId, agentInfo: { hostname: 'h' } });
  const kit = leadingMaster({ records: Object.fromEntries(ids.map((id) => [`agent.${id}`, record(id)])) });
  const invited = (effects: readonly Effect[]) =>
    published(effects, 'INVITE').map(({ to }) => (to.parameters as { agentId: string }).agentId);
  t.deepEqual(invited(kit.all), ids.slice(0, 256));
  const come = (agentId: string): Effect[] => {
    const agent = new AgentPeer(kit, agentId, RESOURCES);
    agent.id = agentId;
    agent.info = { hostname: 'h' };
    return ask(kit, agent, agent.digest([]));
  };
  t.deepEqual(invited(come('x-S5')), ['x-S256']);
  t.deepEqual(invited(come('x-S1999')), [], 'one that knocks takes no place');
  t.deepEqual(invited(kit.pass(1_999)), []);
  const next = invited(kit.pass(1));
  t.is(next.length, 256, 'places that are not answered in time go to the next');
  for (const id of next) t.false(ids.slice(0, 256).includes(id), id);
  const seen = new Set([...ids.slice(0, 257), ...next]);
  for (let seconds = 0; seconds < 16; seconds += 2) {
    const more = invited(kit.pass(2_000));
    t.true(more.length <= 256, `${more.length} at once`);
    for (const id of more) seen.add(id);
  }
  t.is(seen.size, 1_999, 'each is asked, but for the one that came by itself');
});

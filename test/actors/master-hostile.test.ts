/** Well-formed messages of peers that lie, repeat or ask for too much: nobody else suffers, and no leader falls. */
import test from 'ava';
import { published, words } from '../support/actor-kit.js';
import {
  AgentPeer,
  errors,
  leadingMaster,
  requireConservation,
  SchedulerPeer,
  statuses,
  statusWords,
  taskInfo,
  type Launched,
} from '../support/master-kit.js';

function running() {
  const kit = leadingMaster();
  const agent = kit.agent('a1', 'cpus:4;mem:4096');
  const framework = kit.framework('f1');
  const [one] = kit.launch(framework, 't1') as [Launched];
  return { kit, agent, framework, one };
}

const bigLabels = { labels: Array.from({ length: 5 }, (_, i) => ({ key: `k${i}`, value: 'v'.repeat(60_000) })) };

test('REG-6: a framework, an agent and a task that no record can hold are refused at the door', (t) => {
  const { kit, framework, agent } = running();
  const big = new SchedulerPeer(kit, 'big', { labels: bigLabels });
  t.regex(errors(big.subscribe()).join(), /INVALID_FRAMEWORK/);
  t.deepEqual(kit.unanswered, []);
  const fat = new AgentPeer(kit, 'fat', 'cpus:1;mem:64');
  fat.info = {
    ...fat.info,
    attributes: bigLabels.labels.map(({ key, value }) => ({ name: key, type: 'TEXT', text: { value } })),
  };
  t.is(published(fat.register(), 'REGISTERED').length, 0);
  const [offer] = kit.offersOf(framework);
  const effects = framework.accept([offer?.id ?? ''], [taskInfo(agent.id, { taskId: 'fat', labels: bigLabels })]);
  t.deepEqual(statusWords(effects), ['fat TASK_ERROR REASON_TASK_INVALID']);
});

test('RES-14 ALC-1: an agent whose resources no sum can hold is refused', (t) => {
  const kit = leadingMaster();
  const huge = new AgentPeer(kit, 'huge', 'cpus:1000000000;mem:64');
  t.is(published(huge.register(), 'REGISTERED').length, 1);
  const greedy = new AgentPeer(kit, 'greedy', 'cpus:1000000000;mem:64');
  const more = { name: 'cpus', type: 'SCALAR', scalar: { value: 1 }, role: 'ads' } as const;
  greedy.info = { ...greedy.info, resources: [...(greedy.info.resources ?? []), more] };
  t.is(published(greedy.register(), 'REGISTERED').length, 0);
});

test('AGT-2: ids that no master minted are not admitted', (t) => {
  const kit = leadingMaster();
  for (const id of ['__proto__', 'constructor', 'zzzzzzzzzz-S1']) {
    const peer = new AgentPeer(kit, `p${id.length}`, 'cpus:1;mem:64');
    peer.id = id;
    t.is(published(peer.reregister(), 'REREGISTERED').length, 0, id);
  }
});

test('UPD-1 UPD-4: an agent’s end that it calls running leaves nothing held, and is not passed on', (t) => {
  const { kit, agent, framework, one } = running();
  const { effects } = agent.update(one, 'TASK_FINISHED', { latestState: 'TASK_RUNNING' });
  t.deepEqual(statuses(effects), []);
  requireConservation(kit.state);
  t.true(framework.row.tasks.has('t1'));
});

test('UPD-1: nobody speaks for another’s launch, with or without its id', (t) => {
  const { kit, one, framework } = running();
  const evil = kit.agent('evil', 'cpus:1;mem:64');
  const uuid = new Uint8Array(16);
  const forged = { taskId: 't1', state: 'TASK_FAILED', uuid } as const;
  for (const launchId of [undefined, one.launchId, 'made-up']) {
    const status = { ...forged, ...(launchId !== undefined && { launchId }) };
    const effects = evil.say('STATUS_UPDATE', { frameworkId: framework.id, status, latestState: 'TASK_FAILED' });
    t.deepEqual(statuses(effects), [], String(launchId));
  }
  const { row } = one;
  t.is(row.state, 'TASK_STAGING');
});

test('UPD-1: a framework acknowledges its own launches alone', (t) => {
  const { kit, agent, one } = running();
  const { status } = agent.update(one, 'TASK_FINISHED');
  const other = kit.framework('f2');
  t.deepEqual(words(other.acknowledge(status)), []);
  t.deepEqual(kit.unanswered, []);
  t.true(kit.state.tasks.has(one.launchId));
});

test('AGT-6 AGT-3: an agent that died with the last leader is unreachable in time, and its tasks are told so', (t) => {
  const { kit: first, agent, framework, one } = running();
  agent.update(one, 'TASK_RUNNING');
  const kit = leadingMaster({ name: 'm2', records: Object.fromEntries(first.registry) });
  const back = new SchedulerPeer(kit, 'f1');
  back.id = framework.id;
  back.subscribe();
  const { heartbeatIntervalMs, missedHeartbeats } = kit.state.config.timings;
  for (let beat = 0; beat < missedHeartbeats; beat++) {
    kit.pass(heartbeatIntervalMs);
    back.call('HEARTBEAT', {});
  }
  t.is(kit.state.agents.get(agent.id)?.state, 'RECOVERED');
  const effects = [...kit.pass(heartbeatIntervalMs), ...kit.stored()];
  t.is(kit.state.agents.get(agent.id)?.state, 'UNREACHABLE');
  t.deepEqual(statusWords(effects), ['t1 TASK_UNREACHABLE REASON_AGENT_REMOVED']);
});

test('FRW-4: after a takeover a framework that tolerates no absence is not removed before it can have noticed', (t) => {
  const first = leadingMaster();
  const framework = first.framework('f1', { failoverTimeout: 0 });
  const kit = leadingMaster({ name: 'm2', records: Object.fromEntries(first.registry) });
  const { heartbeatIntervalMs, missedHeartbeats } = kit.state.config.timings;
  const effects = kit.pass(heartbeatIntervalMs * (missedHeartbeats + 1));
  t.false(kit.state.frameworks.get(framework.id)?.removed);
  t.true(published(effects, 'INVITE').length > 0, 'it is invited meanwhile');
  kit.pass(heartbeatIntervalMs * 2);
  t.true(kit.state.frameworks.get(framework.id)?.removed);
});

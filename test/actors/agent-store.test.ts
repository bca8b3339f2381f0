/** The agent and its store: nothing is done before it is stored, and the order of what is said of a launch is kept. */
import test from 'ava';
import type { AgentMessageBody } from '../../protocol/agent-api.js';
import { digestOf, stateByte } from '../../protocol/digest.js';
import type { Effect } from '../../actors/effect.js';
import type { AgentConfig } from '../../actors/agent/agent-state.js';
import { launchesToAdopt } from '../../actors/agent/recovery.js';
import { checkpointKey, checkpointRecord, type CheckpointRecord } from '../../protocol/checkpoint.js';
import { hex } from '../../protocol/ids.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import type { TaskStatus } from '../../protocol/task.js';
import { meta, ofType, published, words } from '../support/actor-kit.js';
import { admitted, AGENT_ID, AgentKit, reborn, registeredAgent, updates } from '../support/agent-kit.js';

const DAY_MS = 24 * 3_600_000;
const told = (effects: readonly Effect[]): string[] =>
  ofType(effects, 'tell').map(({ event }) => `${event.type} ${(event as { launchId?: string }).launchId ?? ''}`);
const elected = (epoch: number) => ({
  type: 'leader.ELECTED',
  meta: meta({ principal: 'm', epoch }),
  body: { masterId: 'x', name: 'm', epoch },
});
const launch = (launchId: string) => ({ frameworkId: '5-0001', taskId: `t-${launchId}`, launchId });
const first = (effects: readonly Effect[]): TaskStatus => updates(effects)[0] as TaskStatus;

/** A registered agent whose store answers when the test says so. */
function slowAgent(config: Partial<AgentConfig> = {}): AgentKit {
  const kit = registeredAgent(config);
  kit.storesAtOnce = false;
  return kit;
}

/** Runs a launch to its end and has it acknowledged. */
function finish(kit: AgentKit, launchId: string): void {
  kit.run(launchId);
  kit.acknowledge(first(kit.report(launchId, 'TASK_FINISHED')));
}

test('AGS-1: a launch is stored before its executor hears of it, and as it was sent', (t) => {
  const kit = slowAgent();
  t.deepEqual(words(kit.run('5-L1')), ['checkpoint']);
  t.deepEqual(told(kit.stored()), ['agent.LAUNCH 5-L1']);
  t.like(kit.store.read('launch.5-L1'), { ...launch('5-L1'), sendKilling: false, cause: 'm-2', user: 'u', task: { taskId: 't-5-L1', name: 'sleep' } }); // prettier-ignore
  t.is(kit.state.launches.get('5-L1')?.task?.name, 'sleep');
});

test('AGS-1: an update is stored before it is sent, whatever happens meanwhile', (t) => {
  const ways: [string, (kit: AgentKit) => Effect[]][] = [
    ['nothing', () => []],
    ['time', (kit) => kit.pass(15_000)],
    ['a new session', (kit) => [...kit.send({ type: 'RECONNECTED' }), ...kit.answer([launch('5-L1')])]],
    ['a stranger’s acknowledgement', (kit) => kit.acknowledge({ taskId: 't-5-L1', launchId: '5-L1', state: 'TASK_RUNNING', uuid: kit.state.launches.get('5-L1')?.updates[0]?.uuid as Uint8Array })], // prettier-ignore
  ];
  for (const [name, way] of ways) {
    const kit = slowAgent();
    kit.run('5-L1');
    kit.stored();
    t.deepEqual(words(kit.report('5-L1', 'TASK_RUNNING')), ['checkpoint'], name);
    t.deepEqual(updates(way(kit)), [], name);
    t.deepEqual(updates(kit.storedAll()).map(({ state }) => state), ['TASK_RUNNING'], name); // prettier-ignore
    t.like(kit.store.read('stream.5-L1'), { state: 'TASK_RUNNING', runningAtMs: kit.state.launches.get('5-L1')?.runningAtMs ?? 0 }); // prettier-ignore
  }
});

test('AGS-1: what a master hears of a launch is what is stored of it', (t) => {
  const kit = slowAgent();
  kit.run('5-L1');
  kit.stored();
  kit.report('5-L1', 'TASK_RUNNING');
  kit.stored();
  kit.report('5-L1', 'TASK_FINISHED');
  const [again] = published(kit.send({ type: 'RECONNECTED' }), 'REREGISTER');
  t.deepEqual([...(again?.body as AgentMessageBody<'REREGISTER'>).states], [stateByte('TASK_RUNNING', true)]);
  const [update] = published(kit.answer([]), 'STATUS_UPDATE');
  t.like(update?.body as object, { latestState: 'TASK_RUNNING', status: { state: 'TASK_RUNNING' } });
});

test('AGS-1 KIL-1: a kill behind its launch is stored and told behind it, however the store answers', (t) => {
  const orders: [string, (kit: AgentKit) => Effect[]][] = [
    ['run, stored, kill, stored', (kit) => [...kit.run('5-L1'), ...kit.stored(), ...kit.kill('5-L1'), ...kit.stored()]],
    ['run, kill, stored, stored', (kit) => [...kit.run('5-L1'), ...kit.kill('5-L1'), ...kit.stored(), ...kit.stored()]],
    ['run, kill, kill, stored, stored', (kit) => [...kit.run('5-L1'), ...kit.kill('5-L1'), ...kit.kill('5-L1'), ...kit.storedAll()]], // prettier-ignore
  ];
  for (const [name, order] of orders) {
    const kit = slowAgent();
    t.deepEqual(told(order(kit)), ['agent.LAUNCH 5-L1', 'agent.KILL 5-L1'], name);
    t.like(kit.store.read('stream.5-L1'), { kill: { requestedAtMs: kit.now, graceMs: 3_000 } }, name);
    t.is(kit.asked.length, 0, name);
  }
});

test('AGS-1 AGS-4: a kill is stored before it is told, and only one that ends sooner takes its place', (t) => {
  const kit = slowAgent();
  kit.run('5-L1');
  kit.stored();
  t.deepEqual(words(kit.kill('5-L1', 10_000)), ['checkpoint']);
  t.deepEqual(told(kit.stored()), ['agent.KILL 5-L1']);
  kit.pass(1_000);
  t.deepEqual(words(kit.kill('5-L1', 9_000)), []);
  t.deepEqual(words(kit.kill('5-L1', 2_000)), ['checkpoint']);
  t.deepEqual(told(kit.stored()), ['agent.KILL 5-L1']);
  t.like(kit.store.read('stream.5-L1'), { kill: { requestedAtMs: kit.now, graceMs: 2_000 } });
  const [adopted] = launchesToAdopt(kit.store.records);
  t.like(adopted, { launchId: '5-L1', user: 'u', kill: { requestedAtMs: kit.now, graceMs: 2_000 } });
});

test('AGS-1 UPD-5: an update behind an acknowledgement goes when both are stored, in every order', (t) => {
  // The acknowledgement of RUNNING (a), the report of FINISHED (f), an answer of the store (s).
  for (const order of ['fsas', 'fass', 'afs', 'afss', 'fas s']) {
    const kit = slowAgent();
    kit.run('5-L1');
    kit.stored();
    kit.report('5-L1', 'TASK_RUNNING');
    const running = first(kit.stored());
    const seen: string[] = [];
    const gone: boolean[] = [];
    for (const step of order.replace(' ', '')) {
      let effects: Effect[] = [];
      if (step === 'a') effects = kit.acknowledge(running);
      else if (step === 'f') effects = kit.report('5-L1', 'TASK_FINISHED');
      else if (kit.asked.length > 0) effects = kit.stored();
      const stored = kit.store.read<{ updates: TaskStatus[] }>('stream.5-L1')?.updates.map(({ state }) => state) ?? [];
      for (const { state } of updates(effects)) {
        seen.push(state);
        gone.push(!stored.includes('TASK_RUNNING') && stored.includes('TASK_FINISHED'));
      }
    }
    t.deepEqual([seen, gone], [['TASK_FINISHED'], [true]], order);
  }
});

test('AGS-1: what is kept of a container’s end may go when the end is stored, and not before', (t) => {
  const kit = slowAgent();
  kit.run('5-L1');
  kit.stored();
  kit.report('5-L1', 'TASK_RUNNING');
  t.deepEqual(ofType(kit.stored(), 'forgetContainer'), []);
  t.deepEqual(words(kit.report('5-L1', 'TASK_FINISHED')), ['checkpoint']);
  t.deepEqual(ofType(kit.stored(), 'forgetContainer'), [{ type: 'forgetContainer', containerId: '5-L1' }]);
  kit.kill('5-L9');
  t.deepEqual(words(kit.stored()), ['publish STATUS_UPDATE'], 'a launch that is refused has none');
});

test('AGS-1 LCH-2: a refusal is stored before it is told, and all of one answer in one write', (t) => {
  const kit = new AgentKit({ records: admitted() });
  kit.send({ type: 'START' });
  kit.storesAtOnce = false;
  const effects = kit.answer([launch('5-L1'), launch('5-L2'), launch('5-L2')]);
  t.deepEqual(words(effects), ['checkpoint']);
  t.deepEqual(told(kit.run('5-L1')), [], 'it is refused at once');
  t.deepEqual(updates(kit.stored()).map(({ launchId, state }) => `${launchId} ${state}`), ['5-L1 TASK_DROPPED', '5-L2 TASK_DROPPED']); // prettier-ignore
  const next = reborn(kit);
  t.deepEqual(launchesToAdopt(kit.store.records), []);
  next.answer([]);
  t.deepEqual(told(next.run('5-L1')), [], 'in the next life too');
});

test('AGS-1 LCH-2: a kill of an unknown launch, then the launch itself: it does not start in any order', (t) => {
  for (const isStoredBetween of [true, false]) {
    const kit = slowAgent();
    const effects = kit.kill('5-L1');
    if (isStoredBetween) effects.push(...kit.stored());
    effects.push(...kit.run('5-L1'), ...kit.storedAll());
    t.deepEqual(told(effects), []);
    t.deepEqual(updates(effects).map(({ state }) => state), ['TASK_DROPPED']); // prettier-ignore
  }
});

test('AGS-1 FRW-5: the kills of a whole framework are one write', (t) => {
  const kit = slowAgent();
  for (const launchId of ['5-L1', '5-L2', '5-L3']) kit.run(launchId);
  kit.storedAll();
  t.deepEqual(words(kit.hear('SHUTDOWN_FRAMEWORK', { frameworkId: '5-0001' })), ['checkpoint']);
  t.deepEqual(told(kit.stored()), ['agent.KILL 5-L1', 'agent.KILL 5-L2', 'agent.KILL 5-L3']);
});

test('AGS-5: a task costs four commits, five if it runs on after its RUNNING is acknowledged, and that one is shared', (t) => {
  const kit = registeredAgent();
  const before = kit.commits;
  kit.run('5-L1');
  kit.acknowledge(first(kit.report('5-L1', 'TASK_RUNNING')));
  kit.acknowledge(first(kit.report('5-L1', 'TASK_FINISHED')));
  kit.pass(1_000);
  t.is(kit.commits - before, 4);
  const many = Array.from({ length: 100 }, (_, i) => `5-L${i + 2}`);
  for (const launchId of many) {
    kit.run(launchId);
    kit.acknowledge(first(kit.report(launchId, 'TASK_RUNNING')));
  }
  kit.pass(1_000);
  t.is(kit.commits - before, 4 + 2 * many.length + 1, 'the acknowledgements share one');
  for (const launchId of many) kit.acknowledge(first(kit.report(launchId, 'TASK_FINISHED')));
  t.is(kit.commits - before, 4 + 4 * many.length + 1);
  t.is(kit.store.keys.filter((key) => !key.startsWith('ended.')).join(), 'agent');
});

test('AGS-5: updates that were not acknowledged are sent again by the next life as they were, those that were never', (t) => {
  const kit = registeredAgent();
  for (const launchId of ['5-L1', '5-L2', '5-L3', '5-L4']) kit.run(launchId);
  const one = first(kit.report('5-L1', 'TASK_RUNNING'));
  kit.report('5-L1', 'TASK_FINISHED');
  kit.acknowledge(first(kit.report('5-L2', 'TASK_RUNNING')));
  kit.acknowledge(first(kit.report('5-L3', 'TASK_FAILED')));
  kit.pass(50);
  const next = reborn(kit);
  const [question] = published(next.all, 'REREGISTER');
  const asked = question?.body as AgentMessageBody<'REREGISTER'>;
  t.deepEqual(asked.digest.launches, digestOf(['5-L1', '5-L2', '5-L4']));
  const states = [stateByte('TASK_FINISHED', true), stateByte('TASK_RUNNING', false), stateByte('TASK_STAGING', false)];
  t.deepEqual([...asked.states], states);
  const sent = updates(next.answer([launch('5-L1'), launch('5-L2'), launch('5-L4')]));
  t.deepEqual(sent, [one]);
  const [second] = updates(next.acknowledge(one));
  t.is(second?.state, 'TASK_FINISHED');
  t.deepEqual(launchesToAdopt(next.store.records).map(({ launchId }) => launchId), ['5-L2', '5-L4']); // prettier-ignore
});

test('AGS-5: an update of this life has another uuid than any of an earlier one', (t) => {
  let kit = registeredAgent();
  kit.run('5-L1');
  const seen = new Set<string>();
  for (let life = 0; life < 5; life++) {
    const status = first(kit.report('5-L1', 'TASK_RUNNING'));
    seen.add(hex(status.uuid as Uint8Array));
    kit.acknowledge(status);
    kit.pass(50);
    kit = reborn(kit);
    kit.answer([launch('5-L1')]);
  }
  t.is(seen.size, 5);
});

test('LCH-1 AGS-6: what is over is remembered by the next life with its true end', (t) => {
  const kit = registeredAgent();
  finish(kit, '5-L1');
  t.deepEqual(kit.store.keys, ['agent', 'ended.5-L1']);
  const next = reborn(kit);
  next.answer([]);
  t.deepEqual(told(next.run('5-L1')), []);
  t.like(first(next.kill('5-L1')), { state: 'TASK_FINISHED', launchId: '5-L1' });
});

test('AGS-6: after a day an end is below the mark of its epoch, and everything up to there is refused for good', (t) => {
  const kit = registeredAgent();
  kit.run('5-L1');
  kit.acknowledge(first(kit.report('5-L1', 'TASK_RUNNING')));
  finish(kit, '5-L3');
  finish(kit, '7-L9');
  let heard = 0;
  const ping = (ms: number): void => {
    for (const untilMs = kit.now + ms; kit.now < untilMs; heard++) {
      kit.pass(Math.min(20_000, untilMs - kit.now));
      kit.hear('PING', {});
    }
  };
  ping(DAY_MS - 1_000);
  t.like(kit.store.read('ended.5-L3'), { state: 'TASK_FINISHED' });
  ping(5_000);
  t.true(heard > 0);
  t.deepEqual(kit.store.keys, ['agent', 'launch.5-L1', 'lowWater.5', 'lowWater.7', 'stream.5-L1']);
  t.like(kit.store.read('lowWater.5'), { epoch: 5, counter: 3 });
  for (const agent of [kit, reborn(kit)]) {
    if (agent !== kit) agent.answer([launch('5-L1')]);
    t.is(agent.state.launches.get('5-L1')?.state, 'TASK_RUNNING', 'one that lives below the mark lives on');
    t.deepEqual([told(agent.run('5-L3')), told(agent.run('5-L2')), told(agent.run('7-L1'))], [[], [], []]);
    t.is(told(agent.run('5-L4')).length, 1);
    t.like(first(agent.kill('5-L2')), { state: 'TASK_GONE' }, 'it says so when it is asked');
  }
});

test('AGS-6: a launch that lived below the mark and ends is remembered like any other', (t) => {
  const kit = registeredAgent({ timings: { ...DEFAULT_TIMINGS, endedMemoryMs: 10_000 } });
  kit.run('5-L1');
  finish(kit, '5-L2');
  kit.pass(15_000);
  t.like(kit.store.read('lowWater.5'), { counter: 2 });
  kit.acknowledge(first(kit.report('5-L1', 'TASK_FAILED')));
  t.like(first(kit.kill('5-L1')), { state: 'TASK_FAILED' });
  kit.acknowledge(kit.state.launches.get('5-L1')?.updates[0] as TaskStatus);
  kit.pass(15_000);
  t.deepEqual(kit.store.keys, ['agent', 'lowWater.5']);
  t.like(kit.store.read('lowWater.5'), { counter: 2 }, 'the mark never falls');
});

test('AGS-6: mark and ends change in one write', (t) => {
  const kit = registeredAgent({ timings: { ...DEFAULT_TIMINGS, endedMemoryMs: 10_000 } });
  finish(kit, '5-L1');
  finish(kit, '5-L2');
  kit.storesAtOnce = false;
  const writes = ofType(kit.pass(15_000), 'checkpoint').map((each) => each.writes.map(({ key }) => key));
  t.deepEqual(writes, [['ended.5-L1', 'ended.5-L2', 'lowWater.5']]);
});

test('EPO-4: what a higher epoch says waits until the epoch is stored, with all that is said after it', (t) => {
  const kit = slowAgent();
  kit.run('5-L1');
  kit.stored();
  t.deepEqual(words(kit.send(elected(9))), ['checkpoint']);
  t.deepEqual([kit.value, kit.state.member.epoch], ['running', 5]);
  const invite = kit.hear('INVITE', { masterId: 'x' }, { session: '0', sequence: 0, epoch: 9 });
  t.deepEqual(words(invite), []);
  t.deepEqual(words(kit.hear('PING', {})), [], 'of the old session, behind it');
  t.deepEqual(words(kit.stored()).slice(-2), ['publish REREGISTER', 'publish STALE_EPOCH']);
  t.deepEqual([kit.value, kit.state.member.epoch], ['registering', 9]);
  t.like(kit.store.read('agent'), { epoch: 9, agentId: AGENT_ID });
});

test('EPO-4: a second, higher epoch waits in its turn, and the one between is dropped as lower', (t) => {
  const kit = slowAgent();
  kit.send(elected(9));
  kit.send(elected(12));
  kit.send(elected(10));
  t.deepEqual(words(kit.stored()), ['checkpoint']);
  t.is(kit.state.member.epoch, 9);
  kit.stored();
  t.is(kit.state.member.epoch, 12);
  t.is(kit.value, 'awaitingInvitation');
  t.is(kit.asked.length, 0);
});

test('EPO-4: an answer under a higher epoch begins the session when the epoch is stored, and what came behind it counts', (t) => {
  const kit = new AgentKit({ records: admitted() });
  kit.send({ type: 'START' });
  kit.storesAtOnce = false;
  kit.epoch = 9;
  t.deepEqual(words(kit.answer([])), ['checkpoint']);
  t.deepEqual(words(kit.run('9-L1')), []);
  t.deepEqual(words(kit.kill('9-L1')), []);
  t.is(kit.value, 'registering');
  t.deepEqual(words(kit.stored()), ['checkpoint', 'checkpoint']);
  t.is(kit.value, 'running');
  t.deepEqual(told(kit.storedAll()), ['agent.LAUNCH 9-L1', 'agent.KILL 9-L1']);
});

test('EPO-4: a number more than a day ahead of now is dropped with an alarm, and locks nobody out', (t) => {
  const kit = registeredAgent();
  const absurd = kit.now + DAY_MS + 1;
  const effects = kit.send(elected(absurd));
  t.deepEqual(ofType(effects, 'log').map(({ level, message }) => `${level} ${message}`), ['warn epoch ahead']); // prettier-ignore
  t.deepEqual(ofType(effects, 'count').map(({ metric }) => metric), ['epoch_ahead']); // prettier-ignore
  t.is(kit.value, 'running');
  t.deepEqual(words(kit.hear('PING', {}, { epoch: absurd })), []);
  kit.sequence -= 1;
  t.deepEqual(words(kit.hear('PING', {})), ['publish PONG']);
  kit.send(elected(kit.now + DAY_MS));
  t.is(kit.value, 'awaitingInvitation');
});

test('EPO-4: who speaks under a lower epoch is told ours, once a second at most', (t) => {
  const kit = registeredAgent();
  kit.send(elected(9));
  const old = () => kit.hear('PING', {}, { epoch: 5, sequence: 7 });
  const [stale] = published(old(), 'STALE_EPOCH');
  t.like(stale, { session: '0', epoch: 9, body: { agentId: AGENT_ID, epoch: 9 } });
  t.deepEqual(words(old()), []);
  kit.pass(999);
  t.deepEqual(words(old()), []);
  kit.pass(1);
  t.deepEqual(words(old()), ['publish STALE_EPOCH']);
  t.is(ofType(old(), 'count')[0]?.metric, 'stale_epoch');
});

test('AGS-7: an agent that stops alone stores what is on its way, kills nothing and does not say goodbye', (t) => {
  const kit = slowAgent();
  for (const launchId of ['5-L1', '5-L2']) kit.run(launchId);
  kit.storedAll();
  kit.report('5-L1', 'TASK_RUNNING');
  kit.acknowledge(first(kit.stored()));
  kit.run('5-L3');
  const effects = kit.send({ type: 'STOP', endTasks: false } as never);
  t.deepEqual(words(effects), ['checkpoint'], 'the acknowledgement that was to be gathered');
  t.is(kit.value, 'leaving');
  t.deepEqual(words(kit.run('5-L4')), [], 'it hears nothing more');
  t.deepEqual(words(kit.report('5-L2', 'TASK_RUNNING')), []);
  const last = kit.storedAll();
  t.deepEqual(words(last), ['stop'], 'what is not started yet the next life starts');
  t.is(kit.value, 'left');
  t.deepEqual(published(kit.all, 'UNREGISTER'), []);
  t.deepEqual(launchesToAdopt(kit.store.records).map(({ launchId }) => launchId), ['5-L1', '5-L2', '5-L3']); // prettier-ignore
  t.deepEqual(kit.store.read<{ updates: unknown[] }>('stream.5-L1')?.updates, []);
});

test('AGS-7: with nothing on its way it stops at once, in every state', (t) => {
  const ways: [string, (kit: AgentKit) => void][] = [
    ['starting', () => undefined],
    ['registering', (kit) => kit.send({ type: 'START' })],
    ['running', (kit) => (kit.send({ type: 'START' }), kit.answer())],
  ];
  for (const [name, way] of ways) {
    const kit = new AgentKit();
    way(kit);
    t.deepEqual(words(kit.send({ type: 'STOP' })), ['stop'], name);
    t.is(kit.value, 'left', name);
  }
});

test('AGT-4 AGS-1: an agent that ends its tasks stores their kills and their ends before it goes', (t) => {
  const kit = slowAgent();
  kit.run('5-L1');
  kit.stored();
  t.deepEqual(words(kit.send({ type: 'STOP', endTasks: true } as never)), ['checkpoint']);
  t.deepEqual(told(kit.stored()), ['agent.KILL 5-L1']);
  t.deepEqual(words(kit.report('5-L1', 'TASK_KILLED')), ['checkpoint']);
  t.is(kit.value, 'terminating');
  t.deepEqual(words(kit.stored()), ['publish STATUS_UPDATE', 'forgetContainer', 'publish UNREGISTER', 'stop']);
});

test('AGS-9: a record is read back from its key, and one that this version does not know is refused', (t) => {
  const kit = registeredAgent();
  kit.run('5-L1');
  kit.kill('5-L1');
  finish(kit, '5-L2');
  const kinds = kit.store.records.map(({ kind }) => kind).sort();
  t.deepEqual(kinds, ['agent', 'ended', 'launch', 'stream']);
  const [agent] = admitted();
  const { value } = agent as CheckpointRecord;
  t.deepEqual(checkpointRecord('agent', value), { kind: 'agent', value } as never);
  const wrong: [string, unknown, RegExp][] = [
    ['novel.x', value, /checkpoint key novel\.x is of no known kind/],
    ['constructor', value, /no known kind/],
    ['agent', { ...value, schemaVersion: 2 }, /checkpoint record agent is of version 2; this agent reads up to 1/],
    ['agent', { ...value, schemaVersion: 0 }, /checkpoint record agent: /],
    ['launch.x', value, /checkpoint record launch\.x: /],
    ['agent', undefined, /checkpoint record agent: /],
  ];
  for (const [key, given, message] of wrong)
    t.throws(() => checkpointRecord(key, given), { instanceOf: RangeError, message }, key);
  t.is(checkpointKey('launch', 'a.b'), 'launch.a=2Eb');
});

test('AGS-9: a store that has updates of a launch and not the launch ends the agent', (t) => {
  const value = { schemaVersion: 1 as const, launchId: '5-L1', state: 'TASK_RUNNING' as const, updates: [] };
  t.throws(() => launchesToAdopt([{ kind: 'stream', value }]), { message: /updates without the launch 5-L1/ });
});

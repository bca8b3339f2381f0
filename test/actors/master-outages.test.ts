import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { CountedDeadlines } from '../../actors/deadlines.js';
import type { Effect } from '../../actors/effect.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import { meta, NOW, ofType, published, words } from '../support/actor-kit.js';
import { leadingMaster, newMaster, type MasterKit } from '../support/master-kit.js';

const HOUR_MS = 3_600_000;

/** A leader with an agent that runs a task, a framework that holds offers, and one that is away with a second left. */
function busyMaster() {
  const kit = leadingMaster();
  const agent = kit.agent();
  const away = kit.framework('away', { failoverTimeout: 60 });
  for (let beats = 0; beats < 12; beats++) answerPings(kit.pass(2_000), agent);
  const framework = kit.framework();
  const [task] = kit.launch(framework, 't1');
  if (task === undefined) throw new Error('nothing was launched');
  agent.update(task, 'TASK_RUNNING');
  kit.offersOf(framework);
  return { kit, agent, framework, away, task };
}

function answerPings(effects: readonly Effect[], ...agents: ReturnType<MasterKit['agent']>[]): void {
  const pinged = published(effects, 'PING').length;
  if (pinged > 0) for (const agent of agents) agent.say('PONG', {});
}

const DESTRUCTIVE = ['KILL_TASK', 'SHUTDOWN_FRAMEWORK', 'RESCIND', 'FAILURE', 'UPDATE'];

function requireUntouched(
  t: ExecutionContext,
  { kit, agent, framework, away, task }: ReturnType<typeof busyMaster>,
  from: number,
): void {
  // prettier-ignore
  const since = kit.all.slice(from);
  for (const message of DESTRUCTIVE) t.is(published(since, message).length, 0, message);
  t.deepEqual(ofType(since, 'persist'), []);
  t.is(kit.value, 'leading');
  t.is(agent.row.state, 'REGISTERED');
  t.true(framework.row.connected);
  t.true(framework.row.offers.size > 0);
  t.false(away.row.removed);
  t.is(task.row.state, 'TASK_RUNNING');
}

test('DLN-1: a leader that hears nothing of itself, for longer than every time-out, expires nothing', (t) => {
  const world = busyMaster();
  const { kit } = world;
  t.false(world.away.row.connected);
  const from = kit.all.length;
  kit.hears = false;
  kit.pass(2 * HOUR_MS);
  requireUntouched(t, world, from);
});

test('DLN-1 TKO-5: JetStream away for longer than every time-out expires nothing, and the leader leads on', (t) => {
  const world = busyMaster();
  const { kit, framework } = world;
  const from = kit.all.length;
  kit.renews = false;
  kit.pass(2 * HOUR_MS);
  requireUntouched(t, world, from);
  t.true(published(kit.all.slice(from), 'HEARTBEAT').length > 1_000, 'heartbeats go on');
  const [offer] = framework.row.offers.values();
  const accepted = framework.accept([offer?.offerId ?? ''], []);
  t.deepEqual(published(accepted, 'ERROR'), [], 'its offers stand');
});

test('DLN-1: a leader that is stopped, or whose machine sleeps, for longer than every time-out expires nothing', (t) => {
  const world = busyMaster();
  const { kit, agent } = world;
  const from = kit.all.length;
  for (let nights = 0; nights < 20; nights++) {
    kit.now += 9 * HOUR_MS;
    // The first thing that it sees may be a timer, a message of its own, or one of somebody else.
    if (nights % 3 === 1) kit.send({ type: 'peer.LOOPBACK', meta: meta({ principal: 'm1' }), body: {} } as never);
    if (nights % 3 === 2) agent.say('PONG', {});
    answerPings(kit.pass(2_500), agent);
    world.framework.call('HEARTBEAT', {});
  }
  requireUntouched(t, world, from);
});

test('DLN-1: after an outage each time-out goes on where it was', (t) => {
  const { kit, away, agent, framework } = busyMaster();
  kit.hears = false;
  kit.pass(HOUR_MS);
  kit.hears = true;
  const left = 60_000;
  let passed = 0;
  while (!away.row.removed && passed < 2 * left) {
    answerPings(kit.pass(1_000), agent);
    framework.call('HEARTBEAT', {});
    passed += 1_000;
  }
  t.true(away.row.removed);
  t.true(passed > left - 30_000 && passed <= left + 5_000, `${passed} ms after the outage`);
  t.true(framework.row.connected);
});

test('DLN-1 AGT-3: silence of an agent counts only while the leader hears; then it counts', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent();
  for (let turns = 0; turns < 3; turns++) {
    kit.hears = false;
    kit.pass(HOUR_MS);
    kit.hears = true;
    kit.pass(1_000);
  }
  t.is(agent.row.state, 'REGISTERED');
  kit.pass(25_000);
  t.is(agent.row.state, 'UNREACHABLE');
});

test('DLN-1: deadlines of counted time keep their order and distance, whatever is lost; those of the wall do not move', (t) => {
  const action = fc.oneof(
    fc.record({ do: fc.constant('set' as const), key: fc.integer({ min: 0, max: 9 }), ms: fc.integer({ min: 0, max: 500 }) }), // prettier-ignore
    fc.record({ do: fc.constant('earliest' as const), key: fc.integer({ min: 0, max: 9 }), ms: fc.integer({ min: 0, max: 500 }) }), // prettier-ignore
    fc.record({ do: fc.constant('clear' as const), key: fc.integer({ min: 0, max: 9 }), ms: fc.constant(0) }),
    fc.record({ do: fc.constant('lose' as const), key: fc.constant(0), ms: fc.integer({ min: 0, max: 300 }) }),
    fc.record({ do: fc.constant('pass' as const), key: fc.constant(0), ms: fc.integer({ min: 0, max: 300 }) }),
  );
  const isWall = (key: string): boolean => Number(key) % 2 === 0;
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const deadlines = new CountedDeadlines(isWall);
      const model = new Map<string, number>();
      let now = 0;
      for (const { do: what, key: number, ms } of actions) {
        const key = String(number);
        if (what === 'set') {
          deadlines.set(key, now + ms);
          model.set(key, now + ms);
        } else if (what === 'earliest') {
          deadlines.setEarliest(key, now + ms);
          model.set(key, Math.min(model.get(key) ?? Infinity, now + ms));
        } else if (what === 'clear') {
          deadlines.clear(key);
          model.delete(key);
        } else if (what === 'lose') {
          now += ms;
          deadlines.lose(ms);
          for (const [other, dueAtMs] of model) if (!isWall(other)) model.set(other, dueAtMs + ms);
        } else {
          now += ms;
          const taken: string[] = [];
          for (let due = deadlines.take(now); due !== undefined; due = deadlines.take(now)) taken.push(due);
          const due = [...model].filter(([, dueAtMs]) => dueAtMs <= now);
          t.deepEqual([...taken].sort(), due.map(([other]) => other).sort()); // prettier-ignore
          const times = taken.map((other) => model.get(other) as number);
          t.deepEqual(times, [...times].sort((a, b) => a - b), 'earliest first'); // prettier-ignore
          for (const other of taken) model.delete(other);
        }
        t.is(deadlines.next(), model.size === 0 ? undefined : Math.min(...model.values()));
        for (let other = 0; other < 10; other++) t.is(deadlines.has(String(other)), model.has(String(other)));
      }
    }),
  );
});

const answered = (kit: MasterKit, renewedAgeMs: number, epoch = 7): Effect[] => {
  const [probe] = ofType(kit.pass(DEFAULT_TIMINGS.probeIntervalMs), 'probe');
  const answer = { masterId: 'x', name: 'm2', epoch, loopbackAgeMs: 0, renewedAgeMs };
  return kit.send({ type: 'PROBED', requestId: probe?.requestId, outcome: 'answered', answer } as never);
};

test('TKO-4: a standby asks a leader that cannot renew to make way, once it has seen the lease free for longer than two renewals', (t) => {
  const kit = newMaster({ name: 'm2' });
  kit.become('standby');
  kit.send({ type: 'LEASE_ENTRY', held: true, revision: 5 } as never);
  for (let probes = 0; probes < 30; probes++) t.deepEqual(published(answered(kit, 60_000)), [], 'it does not reach the lease itself'); // prettier-ignore
  kit.send({ type: 'LEASE_ENTRY', held: false, revision: 6 } as never);
  const freeAtMs = kit.now;
  let asked: Effect[] = [];
  while (asked.length === 0 && kit.now - freeAtMs < 10_000) asked = published(answered(kit, 6_000));
  t.true(kit.now - freeAtMs >= 2_500 && kit.now - freeAtMs <= 2_800, `${kit.now - freeAtMs}`);
  t.like(asked[0], { message: 'ABDICATE', body: { epoch: 7 }, epoch: 0, to: { row: 'masterMaster', parameters: { principal: 'm2' } } }); // prettier-ignore
  const more = Array.from({ length: 20 }, () => published(answered(kit, 6_000)).length);
  t.is(more.reduce((sum, count) => sum + count, 0), 4, 'once a second'); // prettier-ignore
  kit.pass(1_000);
  t.deepEqual(published(answered(kit, 5_000)), [], 'a lease that is only late is not asked for');
  kit.send({ type: 'LEASE_ENTRY', held: true, revision: 7 } as never);
  kit.pass(1_000);
  t.deepEqual(published(answered(kit, 6_000)), [], 'it was taken');
  t.is(kit.value, 'standby');
});

test('TKO-4: a leader makes way only when its own renewals fail, for one of its own term, and gives the lease back', (t) => {
  const ask = (kit: MasterKit, principal = 'm2', epoch = kit.state.epoch) =>
    kit.send({ type: 'peer.ABDICATE', meta: meta({ principal }), body: { epoch } } as never);
  const well = leadingMaster();
  well.pass(60_000);
  t.deepEqual(words(ask(well)), []);
  t.is(well.value, 'leading');
  const cut = leadingMaster();
  cut.renews = false;
  cut.pass(5_000);
  t.deepEqual(words(ask(cut)), [], 'TTL and margin are not over');
  cut.pass(10);
  t.deepEqual(words(ask(cut, 'm1')), [], 'its own word');
  t.deepEqual(words(ask(cut, 'm2', cut.state.epoch - 1)), [], 'an earlier term');
  t.is(cut.value, 'leading');
  t.deepEqual(words(ask(cut)), ['releaseLease', 'stop and restart']);
  t.is(cut.value, 'deposed');
});

test('TKO-4: a renewal counts from when it was asked for: an answer that waited shows no life now', (t) => {
  const kit = leadingMaster();
  kit.renews = false;
  const [renewal] = ofType(kit.pass(1_000), 'takeLease');
  kit.now += 60_000;
  kit.send({ type: 'LEASE_ANSWERED', requestId: renewal?.requestId, outcome: 'stored', revision: 11 } as never);
  kit.send({ type: 'peer.ABDICATE', meta: meta({ principal: 'm2' }), body: { epoch: kit.state.epoch } } as never);
  t.is(kit.value, 'deposed');
});

test('TKO-5 REG-7: what is stored late is stored: a decision waits for the registry, and nothing is undone meanwhile', (t) => {
  const { kit, framework, agent } = busyMaster();
  kit.renews = false;
  const [offer] = framework.row.offers.values();
  const launch = { taskId: 't2', name: 't', agentId: agent.id,  command: { value: 'true' } }; // prettier-ignore
  const resources = [{ name: 'cpus', type: 'SCALAR' as const, scalar: { value: 0.5 } }];
  framework.accept([offer?.offerId ?? ''], [{ ...launch, resources }]);
  const from = kit.all.length;
  kit.pass(9_000);
  t.deepEqual(published(kit.all.slice(from), 'RUN_TASK'), []);
  t.is(kit.value, 'leading');
  kit.renews = true;
  t.is(published(kit.stored(), 'RUN_TASK').length, 1);
});

test('REG-4: a leader whose writes outgrow their bound gives the lease back and is recovered from the registry', (t) => {
  const kit = leadingMaster();
  const effects = kit.send({ type: 'REGISTRY_LOST', reason: 'too many' } as never);
  t.deepEqual(words(effects), ['releaseLease', 'stop and restart']);
  t.is(ofType(effects, 'stop')[0]?.reason, 'too many');
  t.is(kit.value, 'deposed');
});

test('REG-2 REG-7: the own epoch record of a barrier, under a new revision, deposes nobody', (t) => {
  const kit = leadingMaster();
  const [claim] = ofType(kit.all, 'writeEpoch');
  for (let barrier = 1; barrier < 4; barrier++)
    kit.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value: { ...claim?.record, barrier }, revision: 30 + barrier } as never); // prettier-ignore
  t.is(kit.value, 'leading');
});

const stale = (kit: MasterKit, principal: string, epoch: number): Effect[] =>
  kit.send({ type: 'agent.STALE_EPOCH', meta: meta({ principal }), body: { epoch } } as never);

/** The watch delivers our epoch record as the effect asks for it. */
function deliverRaised(kit: MasterKit, effects: readonly Effect[]): Effect[] {
  const [raised] = ofType(effects, 'raiseEpoch');
  const [claim] = ofType(kit.all, 'writeEpoch').slice(-1);
  const { epoch = 0, inDoubt = false } = raised ?? {};
  const value = { ...claim?.record, epoch, barrier: 1, inDoubt };
  return kit.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value, revision: 40 } as never);
}

test('EPO-5: a leader that is told of a higher epoch raises its record above it, then makes way for a term above that', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const told = kit.state.epoch + 5_000;
  t.deepEqual(words(stale(kit, 'a1', kit.state.epoch)), [], 'said of an earlier message');
  t.deepEqual(ofType(kit.pass(2_000), 'raiseEpoch'), []);
  stale(kit, 'a1', told - 3);
  stale(kit, 'a1', told);
  const raised = kit.pass(1_000);
  t.deepEqual(ofType(raised, 'raiseEpoch'), [{ type: 'raiseEpoch', epoch: told, inDoubt: true }]);
  t.true(ofType(raised, 'log').some(({ level, message }) => level === 'error' && message === 'registry went back'));
  t.is(kit.value, 'leading', 'until the watch says that it is stored');
  t.deepEqual(words(deliverRaised(kit, raised)), ['releaseLease', 'stop and restart']);

  const next = newMaster({ name: 'm2' });
  next.send({ type: 'START' });
  const value = { schemaVersion: 1, epoch: told, masterId: 'x', name: 'm1', barrier: 1, inDoubt: true };
  next.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value, revision: 40 } as never);
  next.send({ type: 'REGISTRY_CAUGHT_UP' });
  next.probeUntilAbsent();
  const [claim] = ofType(next.answerLease('stored', 10), 'writeEpoch');
  t.true((claim?.record.epoch ?? 0) > told);
  t.true(claim?.record.inDoubt, 'the next leader doubts as well');
});

test('EPO-5: the registry is in doubt when a tenth of the agents say so, one at least', (t) => {
  for (const [agents, told, inDoubt] of [
    [1, 1, true],
    [9, 1, true],
    [10, 1, true],
    [11, 1, false],
    [20, 1, false],
    [20, 2, true],
  ] as const) {
    // prettier-ignore
    const kit = leadingMaster();
    for (let agent = 0; agent < agents; agent++) kit.agent(`a${agent}`);
    for (let agent = 0; agent < told; agent++) stale(kit, `a${agent}`, kit.state.epoch + 9);
    t.is(ofType(kit.pass(1_000), 'raiseEpoch')[0]?.inDoubt, inDoubt, `${told} of ${agents}`);
  }
});

test('EPO-6: an epoch of more than a day ahead is dropped with an alarm, told by an agent or found in the record', (t) => {
  const kit = leadingMaster();
  const alarms = (effects: readonly Effect[]) => ofType(effects, 'log').filter(({ level }) => level === 'error').length; // prettier-ignore
  t.is(alarms(stale(kit, 'a1', kit.now + 24 * HOUR_MS + 1)), 1);
  t.is(alarms(stale(kit, 'a1', kit.now + 25 * HOUR_MS)), 0, 'once');
  t.deepEqual(ofType(kit.pass(2_000), 'raiseEpoch'), []);
  const standby = newMaster();
  standby.send({ type: 'START' });
  const value = { schemaVersion: 1, epoch: NOW + 48 * HOUR_MS, masterId: 'x', name: 'm2' };
  standby.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value, revision: 33 } as never);
  standby.send({ type: 'REGISTRY_CAUGHT_UP' });
  standby.probeUntilAbsent();
  const effects = standby.answerLease('stored', 10);
  const [claim] = ofType(effects, 'writeEpoch');
  t.is(alarms(effects), 1);
  t.is(claim?.record.epoch, Math.floor(standby.now) + 1);
  t.is(claim?.revision, 33);
});

const agentRecord = { schemaVersion: 1, agentId: 'o-S1', principal: 'a1', agentInfo: { hostname: 'h' } };
const taskOf = (frameworkId: string, launchId: string) => ({ schemaVersion: 1, launchId, taskId: launchId, name: 't', frameworkId, agentId: 'o-S1', resources: [] }); // prettier-ignore
const frameworkOf = (frameworkId: string, given: object = {}) => ({ schemaVersion: 1, frameworkId, principal: frameworkId, frameworkInfo: { user: 'u', name: 'f', failoverTimeout: 1 }, ...given }); // prettier-ignore

/** A leader of a registry with a framework that is away and one that is removed, each with a task on the agent a1. */
function doubtfulMaster(inDoubt: boolean): MasterKit {
  const kit = newMaster();
  const epoch = { schemaVersion: 1, epoch: 5, masterId: 'x', name: 'm2', ...(inDoubt && { inDoubt }) };
  kit.become('leading', {
    epoch,
    'agent.o-S1': agentRecord,
    'framework.f1': frameworkOf('f1'),
    'framework.f2': frameworkOf('f2', { removed: true }),
    'task.L1': taskOf('f1', 'L1'),
    'task.L2': taskOf('f2', 'L2'),
  });
  return kit;
}

test('EPO-5: while the registry is in doubt nothing is torn down or shut down on its word alone, until an operator trusts it', (t) => {
  for (const inDoubt of [false, true]) {
    const kit = doubtfulMaster(inDoubt);
    const agent = kit.agent('a1');
    t.is(published(kit.all, 'SHUTDOWN_FRAMEWORK').length, inDoubt ? 0 : 1);
    for (let seconds = 0; seconds < 60; seconds++) answerPings(kit.pass(1_000), agent);
    kit.stored();
    t.is(kit.state.frameworks.get('f1')?.removed, !inDoubt, 'its failover timeout is over');
    t.is(published(kit.all, 'SHUTDOWN_FRAMEWORK').length, inDoubt ? 0 : 2);
    if (!inDoubt) continue;
    const call = { type: 'operator.TRUST_REGISTRY', meta: meta({ principal: 'ops', reply: 'inbox' }), body: {} };
    const asked = kit.send(call as never);
    t.deepEqual(ofType(asked, 'raiseEpoch'), [{ type: 'raiseEpoch', epoch: kit.state.epoch, inDoubt: false }]);
    t.deepEqual(ofType(asked, 'reply'), [], 'not before it is stored');
    const trusted = deliverRaised(kit, asked);
    t.is(kit.value, 'leading');
    t.deepEqual(ofType(trusted, 'reply').map(({ message }) => message), ['TRUST_REGISTRY']); // prettier-ignore
    t.deepEqual(published(trusted, 'SHUTDOWN_FRAMEWORK').map(({ body }) => body), [{ frameworkId: 'f2' }]); // prettier-ignore
    for (let seconds = 0; seconds < 60; seconds++) answerPings(kit.pass(1_000), agent);
    t.true(kit.state.frameworks.get('f1')?.removed);
    t.is(ofType(kit.send(call as never), 'reply').length, 1, 'there is nothing to trust any more');
  }
});

test('REG-8: a record of a newer version keeps a standby from leading, with a word, until it is gone', (t) => {
  for (const key of ['task.x', 'epoch', 'quota.x']) {
    const kit = newMaster();
    kit.send({ type: 'START' });
    const told = kit.send({ type: 'REGISTRY_ENTRY', key, value: { schemaVersion: 2 }, revision: 3 } as never);
    t.regex(ofType(told, 'log')[0]?.message ?? '', /newer version/);
    const again = kit.send({
      type: 'REGISTRY_ENTRY',
      key: 'task.y',
      value: { schemaVersion: 2 },
      revision: 4,
    } as never);
    t.deepEqual(ofType(again, 'log'), [], 'once');
    kit.send({ type: 'REGISTRY_CAUGHT_UP' });
    t.throws(() => kit.probeUntilAbsent(), { message: /does not contend/ });
    kit.send({ type: 'REGISTRY_ENTRY', key: 'task.y', value: undefined, revision: 5 } as never);
    kit.send({ type: 'REGISTRY_ENTRY', key, value: undefined, revision: 6 } as never);
    kit.probeUntilAbsent();
    t.is(kit.value, 'contending');
  }
});

test('REG-8: one of a newer version that writes during the claim is not led over', (t) => {
  const kit = newMaster();
  kit.become('recovering');
  kit.send({ type: 'REGISTRY_ENTRY', key: 'task.x', value: { schemaVersion: 2 }, revision: 19 } as never);
  t.is(kit.value, 'deposed');
  const leading = leadingMaster();
  leading.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value: { schemaVersion: 2 }, revision: 50 } as never);
  t.is(leading.value, 'deposed');
});

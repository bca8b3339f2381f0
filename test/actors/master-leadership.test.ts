import test from 'ava';
import { isLeaderAbsent } from '../../actors/master/leadership.js';
import type { Effect } from '../../actors/effect.js';
import { masterIdOf } from '../../protocol/ids.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import { meta, NOW, ofType, published, words } from '../support/actor-kit.js';
import { leadingMaster, newMaster, type MasterKit } from '../support/master-kit.js';

type Outcome = 'answered' | 'noResponders' | 'silence' | 'deaf';

/** Answers the probe that the master sends within the next probe interval. */
function probed(kit: MasterKit, outcome: Outcome): Effect[] {
  const [probe] = ofType(kit.pass(DEFAULT_TIMINGS.probeIntervalMs), 'probe');
  if (probe === undefined) throw new Error('no probe was sent');
  const { requestId } = probe;
  const answer = {
    masterId: 'x',
    name: 'm2',
    epoch: 1,
    loopbackAgeMs: outcome === 'deaf' ? 2_001 : 2_000,
    renewedAgeMs: 0,
  };
  const event = outcome === 'answered' || outcome === 'deaf' ? { outcome: 'answered', answer } : { outcome };
  return kit.send({ type: 'PROBED', requestId, ...event } as never);
}

const lease = (kit: MasterKit, held: boolean, revision: number) =>
  kit.send({ type: 'LEASE_ENTRY', held, revision } as never);

function standby(): MasterKit {
  const kit = newMaster();
  kit.become('standby');
  return kit;
}

test('TKO-1: three probes without a responder over half a second depose, and not a moment earlier', (t) => {
  const kit = standby();
  const values: unknown[] = [];
  for (let i = 0; i < 4; i++) {
    probed(kit, 'noResponders');
    values.push(kit.value);
  }
  t.deepEqual(values, ['standby', 'standby', 'standby', 'contending'], 'the third is only 400 ms after the first');
});

test('TKO-1: three probes must agree, however long they take', (t) => {
  const kit = standby();
  probed(kit, 'noResponders');
  kit.pass(2_000);
  t.is(kit.value, 'standby');
  const [probe] = ofType(kit.all, 'probe').slice(-1);
  kit.send({ type: 'PROBED', requestId: probe?.requestId, outcome: 'noResponders' } as never);
  t.is(kit.value, 'standby', 'two are not three');
});

test('TKO-1: an answer, or a renewal seen meanwhile, begins the count anew', (t) => {
  for (const interrupt of ['answer', 'silence', 'renewal'] as const) {
    const kit = standby();
    for (let i = 0; i < 2; i++) probed(kit, 'noResponders');
    if (interrupt === 'renewal') lease(kit, true, 9);
    else probed(kit, interrupt === 'answer' ? 'answered' : 'silence');
    for (let i = 0; i < 2; i++) probed(kit, 'noResponders');
    t.is(kit.value, 'standby', interrupt);
  }
});

test('TKO-1: an expired lease alone deposes nobody, as long as the leader answers', (t) => {
  const kit = standby();
  lease(kit, true, 5);
  lease(kit, false, 6);
  for (let i = 0; i < 100; i++) probed(kit, 'answered');
  t.is(kit.value, 'standby');
});

test('TKO-1: silence deposes only when the lease has not moved for 2.5 s either', (t) => {
  const kit = standby();
  for (let i = 0; i < 20; i++) {
    if (i % 5 === 0) lease(kit, true, 10 + i);
    probed(kit, 'silence');
  }
  t.is(kit.value, 'standby', 'four seconds of silence, with renewals');
  const since = kit.now - NOW;
  while (kit.value === 'standby' && kit.now - NOW < 20_000) probed(kit, 'silence');
  t.is(kit.value, 'contending');
  t.true(kit.now - NOW >= 3_000 + 2_500 && kit.now - NOW <= 3_000 + 2_900, `${kit.now - NOW} after ${since}`);
});

test('TKO-1 LNK-4: a leader that has not heard itself for more than 2 s counts as silent', (t) => {
  const deaf = standby();
  for (let i = 0; i < 20 && deaf.value === 'standby'; i++) probed(deaf, 'deaf');
  t.is(deaf.value, 'contending');
  const well = standby();
  for (let i = 0; i < 20; i++) probed(well, 'answered');
  t.is(well.value, 'standby');
});

test('TKO-1: the truth table of witnesses', (t) => {
  interface Case {
    absent?: [ageMs: number, count: number];
    silentMs?: number;
    leaseMs: number;
    held?: boolean;
    caughtUp?: boolean;
    pauseMs?: number;
  }
  const table: [string, Case, boolean][] = [
    ['no witness', { leaseMs: 1e6 }, false],
    ['absent', { absent: [500, 3], leaseMs: 1e6 }, true],
    ['absent too briefly', { absent: [499, 9], leaseMs: 1e6 }, false],
    ['absent twice only', { absent: [9_999, 2], leaseMs: 1e6 }, false],
    ['absent, renewed since', { absent: [500, 3], leaseMs: 499 }, false],
    ['absent, renewed before', { absent: [500, 3], leaseMs: 501 }, true],
    ['absent, renewed at that instant', { absent: [500, 3], leaseMs: 500 }, false],
    ['absent, the lease given back since', { absent: [500, 3], leaseMs: 499, held: false }, true],
    ['silent', { silentMs: 2_500, leaseMs: 2_500 }, true],
    ['silent too briefly', { silentMs: 2_499, leaseMs: 1e6 }, false],
    ['silent, lease moved', { silentMs: 9_999, leaseMs: 2_499 }, false],
    ['before the watch has caught up', { absent: [9_999, 9], leaseMs: 1e6, caughtUp: false }, false],
    ['in the pause after a loss', { absent: [9_999, 9], silentMs: 9_999, leaseMs: 1e6, pauseMs: 1 }, false],
  ];
  for (const [name, { absent, silentMs, leaseMs, held = true, caughtUp = true, pauseMs = 0 }, expected] of table) {
    const { state } = newMaster();
    state.caughtUp = caughtUp;
    state.contendAtMs = NOW + pauseMs;
    state.lease.held = held;
    state.lease.changedAtMs = NOW - leaseMs;
    state.absentSinceMs = absent && NOW - absent[0];
    state.absentCount = absent?.[1] ?? 0;
    state.silentSinceMs = silentMs === undefined ? undefined : NOW - silentMs;
    t.is(isLeaderAbsent(state, NOW), expected, name);
  }
});

test('TKO-1: a late or repeated answer to a probe is no witness', (t) => {
  const kit = standby();
  kit.pass(1_000);
  const [probe] = ofType(kit.all, 'probe');
  for (let i = 0; i < 5; i++) {
    kit.pass(300);
    kit.send({ type: 'PROBED', requestId: probe?.requestId, outcome: 'noResponders' } as never);
  }
  t.is(kit.state.absentCount, 1);
  t.is(kit.value, 'standby');
});

test('TKO-2: the lease is taken at the revision seen, and who loses it pauses for a time of its own', (t) => {
  const kit = newMaster();
  kit.become('standby');
  lease(kit, true, 41);
  lease(kit, false, 42);
  const effects = kit.probeUntilAbsent();
  t.deepEqual(ofType(effects, 'takeLease').map(({ revision, ttlMs }) => ({ revision, ttlMs })), [{ revision: 42, ttlMs: 4_000 }]); // prettier-ignore
  kit.random = 0.25;
  t.deepEqual(words(kit.answerLease('refused')), []);
  t.is(kit.value, 'standby');
  t.is(ofType(kit.pass(199), 'probe').length, 0);
  t.is(ofType(kit.pass(1), 'probe').length, 1);
  t.is(kit.state.absentCount, 0, 'the witnesses of before are forgotten');
});

test('TKO-2: a marker that expired without a word does not lock anybody out', (t) => {
  const kit = newMaster();
  kit.become('standby');
  lease(kit, false, 42);
  kit.probeUntilAbsent();
  kit.answerLease('refused');
  t.is(ofType(kit.probeUntilAbsent(), 'takeLease')[0]?.revision, 0);
});

test('TKO-2: the epoch record is written as read, after the lease', (t) => {
  const record = { schemaVersion: 1, epoch: 5, masterId: '5', name: 'm2' };
  const kit = newMaster();
  kit.send({ type: 'START' });
  kit.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value: record, revision: 33 } as never);
  kit.send({ type: 'REGISTRY_CAUGHT_UP' });
  t.is(ofType(kit.probeUntilAbsent(), 'writeEpoch').length, 0);
  const [claim] = ofType(kit.answerLease('stored', 10), 'writeEpoch');
  t.is(claim?.revision, 33);
  t.is(kit.value, 'claiming');
});

test('EPO-1: under a clock that is behind, two claims above one stored number are not the same', (t) => {
  const claims = [0.1, 0.2, 0.9].map((random) => {
    const kit = newMaster();
    kit.random = random;
    kit.send({ type: 'START' });
    const value = { schemaVersion: 1, epoch: NOW + 60_000, masterId: 'x', name: 'm2' };
    kit.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value, revision: 33 } as never);
    kit.send({ type: 'REGISTRY_CAUGHT_UP' });
    kit.probeUntilAbsent();
    const [claim] = ofType(kit.answerLease('stored', 10), 'writeEpoch');
    return (claim?.record.epoch ?? 0) - (NOW + 60_000);
  });
  t.deepEqual(claims, [101, 201, 901]);
});

test('EPO-1 EPO-3: an epoch is above the stored one, above any seen and above the time, and names the master', (t) => {
  const cases: [stored: number, expected: number][] = [
    [5, NOW + 801],
    [NOW + 5_000, NOW + 5_001],
  ];
  for (const [stored, least] of cases) {
    const kit = newMaster();
    kit.send({ type: 'START' });
    const value = { schemaVersion: 1, epoch: stored, masterId: 'x', name: 'm2' };
    kit.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value, revision: 33 } as never);
    kit.send({ type: 'REGISTRY_CAUGHT_UP' });
    kit.probeUntilAbsent();
    const [claim] = ofType(kit.answerLease('stored', 10), 'writeEpoch');
    const { epoch, masterId, name } = claim?.record ?? { epoch: 0, masterId: '', name: '' };
    t.true(epoch > stored && epoch > kit.now && epoch <= Math.max(stored + 1_000, least) + 1);
    t.is(masterId, masterIdOf(epoch));
    t.is(name, 'm1');
    kit.answerEpoch('refused');
    kit.probeUntilAbsent();
    const [second] = ofType(kit.answerLease('stored', 12), 'writeEpoch');
    t.true((second?.record.epoch ?? 0) > epoch, 'a number that was written once is not written again');
  }
});

test('TKO-2: a refusal without a sequence is tried again for two seconds, with a new number each', (t) => {
  const kit = newMaster();
  kit.become('claiming');
  const began = kit.now;
  const epochs = ofType(kit.all, 'writeEpoch').map(({ record }) => record.epoch);
  while (kit.value === 'claiming' && kit.now - began < 10_000) {
    kit.answerEpoch('busy');
    epochs.push(...ofType(kit.pass(50), 'writeEpoch').map(({ record }) => record.epoch));
  }
  t.is(kit.value, 'standby');
  t.true(kit.now - began >= 2_000 && kit.now - began <= 2_100, `${kit.now - began}`);
  t.is(new Set(epochs).size, epochs.length);
  t.true(epochs.length >= 40);
  t.deepEqual(ofType(kit.all, 'releaseLease').map(({ revision }) => revision), [10]); // prettier-ignore
});

test('TKO-2: a claim that succeeds after being busy leads on', (t) => {
  const kit = newMaster();
  kit.become('claiming');
  kit.answerEpoch('busy');
  kit.pass(50);
  kit.answerEpoch('stored', 77);
  t.is(kit.value, 'recovering');
  kit.deliverEpoch(77);
  t.is(kit.value, 'leading');
  t.is(kit.state.claimedRevision, 77);
});

test('TKO-2: who loses the claim gives the lease back and is no master', (t) => {
  for (const outcome of ['refused', 'unknown'] as const) {
    const kit = newMaster();
    kit.become('claiming');
    t.deepEqual(words(kit.answerEpoch(outcome)), ['releaseLease']);
    t.is(kit.value, 'standby');
    t.is(kit.state.masterId, '');
    t.deepEqual(words(kit.send({ type: 'STOP' })), ['stop'], 'there is nothing to give back twice');
  }
});

test('TKO-2: a late answer, to a question that no longer stands, changes nothing', (t) => {
  const kit = newMaster();
  kit.become('contending');
  for (const type of ['LEASE_ANSWERED', 'EPOCH_ANSWERED'])
    kit.send({ type, requestId: 9_999, outcome: 'stored', revision: 1 } as never);
  t.is(kit.value, 'contending');
  kit.answerLease('stored', 10);
  kit.send({ type: 'EPOCH_ANSWERED', requestId: 9_999, outcome: 'stored', revision: 1 } as never);
  t.is(kit.value, 'claiming');
});

test('TKO-3: a new leader acts only when its watch has delivered its own epoch record', (t) => {
  const kit = newMaster();
  kit.become('claiming');
  t.deepEqual(words(kit.answerEpoch('stored', 20)), []);
  t.is(kit.value, 'recovering');
  kit.send({ type: 'REGISTRY_ENTRY', key: 'framework.f', value: {}, revision: 18 } as never);
  kit.send({ type: 'REGISTRY_ENTRY', key: 'framework.f', value: undefined, revision: 19 } as never);
  t.deepEqual(published(kit.all), []);
  t.deepEqual(ofType(kit.all, 'listen'), []);
  const effects = kit.deliverEpoch(20);
  t.is(kit.value, 'leading');
  t.deepEqual(published(effects).map(({ message }) => message), ['ELECTED']); // prettier-ignore
});

test('TKO-3: the watch may be quicker than the answer', (t) => {
  const kit = newMaster();
  kit.become('claiming');
  kit.deliverEpoch(20);
  t.is(kit.value, 'claiming');
  kit.answerEpoch('stored', 20);
  t.is(kit.value, 'leading');
});

const another = { schemaVersion: 1, epoch: NOW + 99_999, masterId: 'zz', name: 'm2' };

test('TKO-3 REG-2: whoever sees the epoch record of another stops at once, before its term or in it', (t) => {
  const early = newMaster();
  early.become('recovering');
  const effects = early.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value: another, revision: 21 } as never);
  t.is(early.value, 'deposed');
  t.deepEqual(words(effects), ['stop and restart']);
  t.deepEqual(published(early.all), []);

  const leading = leadingMaster();
  const last = leading.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value: another, revision: 21 } as never);
  t.is(leading.value, 'deposed');
  t.true(leading.isDone);
  t.deepEqual(words(last), ['stop and restart']);
});

test('REG-2: nothing else deposes: no lease of another, no lost renewal, no own record, no other key', (t) => {
  const kit = leadingMaster();
  kit.renews = false;
  lease(kit, true, 99);
  lease(kit, false, 100);
  kit.send({ type: 'REGISTRY_ENTRY', key: 'task.x', value: { any: 1 }, revision: 30 } as never);
  for (const outcome of ['refused', 'busy', 'unknown'] as const) {
    kit.pass(1_000);
    kit.answerLease(outcome);
    t.is(kit.value, 'leading', outcome);
  }
  kit.deliverEpoch(31);
  t.is(kit.value, 'leading');
});

test('TKO-1: a leader renews its lease each second at its own revision, and takes it anew when it was lost', (t) => {
  const kit = leadingMaster();
  kit.renews = false;
  const renewals = (ms: number) => ofType(kit.pass(ms), 'takeLease').map(({ revision }) => revision);
  t.deepEqual(renewals(1_000), [10]);
  kit.answerLease('stored', 50);
  t.deepEqual(renewals(1_000), [50]);
  kit.answerLease('refused');
  lease(kit, false, 60);
  t.deepEqual(renewals(1_000), [60]);
  kit.answerLease('stored', 61);
  t.deepEqual(renewals(1_000), [61]);
  t.deepEqual(renewals(3_000), [61, 61, 61], 'no answer is no reason to stop');
});

test('TKO-1: an orderly end frees the lease, so that another leads at once', (t) => {
  const kit = leadingMaster();
  t.deepEqual(words(kit.send({ type: 'STOP' })), ['releaseLease', 'stop']);
  t.is(kit.value, 'stopped');
  const idle = newMaster();
  idle.become('standby');
  t.deepEqual(words(idle.send({ type: 'STOP' })), ['stop']);
});

test('LNK-4: a leader says how long ago it heard itself, and only itself', (t) => {
  const kit = leadingMaster();
  kit.hears = false;
  kit.send({ type: 'peer.LOOPBACK', meta: meta({ principal: 'm1' }), body: {} } as never);
  const ask = () => {
    const event = { type: 'probe.PROBE', meta: meta({ principal: 'm2', id: 'p1', reply: 'inbox' }), body: {} };
    const [reply] = ofType(kit.send(event), 'reply');
    t.is(reply?.message, 'LEADING');
    t.deepEqual([reply?.to, reply?.cause], ['inbox', 'p1']);
    return reply?.body as { masterId: string; name: string; epoch: number; loopbackAgeMs: number };
  };
  const answer = {
    masterId: kit.state.masterId,
    name: 'm1',
    epoch: kit.state.epoch,
    loopbackAgeMs: 0,
    renewedAgeMs: 0,
  };
  t.deepEqual(ask(), answer);
  kit.pass(700);
  t.is(ask().loopbackAgeMs, 700);
  kit.send({ type: 'peer.LOOPBACK', meta: meta({ principal: 'm2' }), body: {} } as never);
  t.is(ask().loopbackAgeMs, 700, 'another master’s loop-back shows nothing');
  kit.send({ type: 'peer.LOOPBACK', meta: meta({ principal: 'm1' }), body: {} } as never);
  t.is(ask().loopbackAgeMs, 0);
  const heard = published(kit.all, 'LOOPBACK').length;
  kit.pass(2_000);
  t.is(published(kit.all, 'LOOPBACK').length - heard, 4, 'twice a second');
});

test('LNK-4: before it leads, a master answers no probe and hears no call', (t) => {
  for (const target of ['standby', 'contending', 'claiming', 'recovering'] as const) {
    const kit = newMaster();
    kit.become(target);
    const probe = { type: 'probe.PROBE', meta: meta({ reply: 'inbox' }), body: {} };
    t.deepEqual(words(kit.send(probe)), [], target);
    t.deepEqual(ofType(kit.all, 'listen'), [], target);
    const call = { type: 'agent.REGISTER', meta: meta({ principal: 'a1' }), body: { agentInfo: {}, version: '1' } };
    t.deepEqual(words(kit.send(call)), [], target);
  }
});

test('EPO-2: every message of a leader carries the epoch of its term', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent();
  const framework = kit.framework();
  const [task] = kit.launch(framework, 't1');
  if (task !== undefined) framework.acknowledge(agent.update(task, 'TASK_RUNNING').status);
  kit.pass(5_000);
  const messages = [...published(kit.all), ...ofType(kit.all, 'reply')];
  t.true(messages.length > 10);
  for (const { epoch, message } of messages) t.is(epoch, kit.state.epoch, message);
});

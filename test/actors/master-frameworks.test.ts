import test from 'ava';
import type { FrameworkInfo } from '../../protocol/framework.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import { bodies, meta, ofType, published, words } from '../support/actor-kit.js';
import {
  errors,
  leadingMaster,
  requireConservation,
  SchedulerPeer,
  statusWords,
  taskInfo,
  type MasterKit,
} from '../support/master-kit.js';

const ask = (kit: MasterKit, principal: string, info: Partial<FrameworkInfo> = {}, id = 'x-q1', frameworkId?: string) =>
  kit.send({
    type: 'scheduler.SUBSCRIBE',
    meta: meta({ principal, id }),
    body: {
      subscribe: { frameworkInfo: { user: 'u', name: 'n', ...info } },
      ...(frameworkId !== undefined && { frameworkId }),
    },
  } as never);

test('FRW-1 REG-3: a framework is stored before it is subscribed', (t) => {
  const kit = leadingMaster();
  const id = `${kit.state.masterId}-0001`;
  t.deepEqual(words(ask(kit, 'f1')), [`persist framework.${id}`]);
  const [answer, ...others] = published(kit.stored());
  t.is(others.length, 0);
  t.is(answer?.message, 'SUBSCRIBED');
  t.is(answer?.cause, 'x-q1');
  const { session = '' } = answer ?? {};
  t.deepEqual(answer?.to.parameters, { principal: 'f1', frameworkId: id, sessionId: session });
  t.deepEqual(answer?.body, {
    subscribed: {
      frameworkId: id,
      heartbeatIntervalSeconds: 2,
      masterInfo: { id: kit.state.masterId, hostname: 'host', version: '1' },
    },
  });
  t.deepEqual(kit.registry.get(`framework.${id}`), {
    schemaVersion: 1,
    frameworkId: id,
    principal: 'f1',
    frameworkInfo: { user: 'u', name: 'n', id },
  });
});

test('FRW-1: a FrameworkInfo that is not acceptable is answered with ERROR, with the reason, and nothing is stored', (t) => {
  const wrong: [Partial<FrameworkInfo>, RegExp][] = [
    [{ principal: 'f2' }, /principal f2 is not f1/],
    [{ role: 'a', roles: ['a'] }, /exclude each other/],
    [{ roles: ['a', 'a'] }, /named twice/],
    [{ role: '' }, /role : a role may not be empty/],
    [{ roles: ['ok', 'a//b'] }, /a\/\/b/],
    [{ failoverTimeout: -1 }, /failoverTimeout/],
    [{ failoverTimeout: Infinity }, /failoverTimeout/],
    [{ failoverTimeout: NaN }, /failoverTimeout/],
  ];
  for (const [info, reason] of wrong) {
    const kit = leadingMaster();
    const effects = ask(kit, 'f1', info);
    t.deepEqual(words(effects), ['publish ERROR']);
    const [error] = bodies<{ error: { code: string; message: string } }>(effects, 'ERROR');
    t.is(error?.error.code, 'INVALID_FRAMEWORK');
    t.regex(error?.error.message ?? '', reason);
    const [{ session, cause, to } = { session: '', cause: '', to: { parameters: {} } }] = published(effects);
    t.deepEqual([session, cause], ['0', 'x-q1']);
    t.deepEqual(to.parameters, { principal: 'f1', frameworkId: 'new', sessionId: '0' });
    t.is(kit.state.frameworks.size, 0);
  }
  t.deepEqual(words(ask(leadingMaster(), 'f1', { principal: 'f1', roles: ['a', 'a/b'], failoverTimeout: 0 })).length, 1); // prettier-ignore
});

test('FRW-2: a framework that comes back keeps its tasks; its old offers are void and it is offered anew', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const first = kit.framework('f1');
  kit.launch(first, 't1');
  const [offer] = kit.offersOf(first);
  const second = first.again();
  const effects = second.subscribe();
  t.is(second.id, first.id);
  t.deepEqual(bodies(effects, 'RESCIND'), [], 'they are void without a word');
  t.true(second.row.tasks.has('t1'));
  requireConservation(kit.state);
  const [anew] = kit.offersOf(second);
  t.not(anew?.id, offer?.id);
  second.accept([offer?.id ?? ''], [taskInfo(offer?.agentId ?? '', { taskId: 't2' })]);
  t.false(second.row.tasks.has('t2'));
});

test('FRW-2: what waits for an acknowledgement is sent at once, and what is acknowledged is not', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const first = kit.framework('f1');
  const [one, two, three] = kit.launch(first, 't1', 't2', 't3');
  if (one === undefined || two === undefined || three === undefined) return t.fail();
  const { status } = agent.update(one, 'TASK_RUNNING');
  first.acknowledge(agent.update(two, 'TASK_RUNNING').status);
  const second = first.again();
  const effects = second.subscribe();
  t.deepEqual(statusWords(effects), ['t1 TASK_RUNNING']);
  t.is(published(effects, 'UPDATE')[0]?.session, second.session);
  t.deepEqual(published(effects).map(({ message }) => message).slice(-2), ['SUBSCRIBED', 'UPDATE']); // prettier-ignore
  second.acknowledge(status);
  t.deepEqual(statusWords(second.again().subscribe()), []);
});

test('FRW-2: an update that comes while nobody listens is kept for the framework’s return', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const first = kit.framework('f1');
  const [one] = kit.launch(first, 't1');
  for (let i = 0; i < 11; i++) {
    kit.pass(2_000);
    agent.say('PONG', {});
  }
  t.false(first.row.connected);
  t.deepEqual(words(agent.update(one as never, 'TASK_FINISHED').effects), []);
  t.deepEqual(statusWords(first.again().subscribe()), ['t1 TASK_FINISHED']);
});

test('FRW-3: an id belongs to the principal that subscribed it first', (t) => {
  const kit = leadingMaster();
  const framework = kit.framework('f1');
  const effects = ask(kit, 'f2', {}, 'y-q1', framework.id);
  t.deepEqual(errors(effects), ['WRONG_PRINCIPAL']);
  t.deepEqual(published(effects)[0]?.to.parameters, { principal: 'f2', frameworkId: framework.id, sessionId: '0' });
  t.is(framework.row.principal, 'f1');
  const { id, session, sequence } = framework;
  const call = { type: 'scheduler.TEARDOWN', body: { frameworkId: id } };
  const stolen = kit.send({ ...call, meta: meta({ principal: 'f2', session, sequence: sequence + 1 }) } as never);
  t.deepEqual(errors(stolen), ['WRONG_PRINCIPAL']);
  t.false(framework.row.removed);
});

test('FRW-3: the id of a removed framework is never used again', (t) => {
  const kit = leadingMaster();
  const framework = kit.framework('f1');
  framework.call('TEARDOWN', {});
  kit.stored();
  t.false(kit.state.frameworks.has(framework.id));
  const again = framework.again().subscribe();
  t.deepEqual(errors(again), ['FRAMEWORK_REMOVED']);
  for (let i = 0; i < 60; i++) {
    const other = kit.framework('f1');
    t.not(other.id, framework.id);
    other.call('TEARDOWN', {});
    kit.stored();
  }
  const late = framework.again().subscribe();
  t.is(published(late, 'SUBSCRIBED').length, 0, 'not even when many were removed since');
  t.is(errors(late).length, 1);
  t.deepEqual(errors(framework.call('HEARTBEAT', {})).length, 1);
});

test('FRW-3 EPO-3: nobody gets an id that is still to be minted', (t) => {
  const kit = leadingMaster();
  const next = `${kit.state.masterId}-0001`;
  t.deepEqual(errors(ask(kit, 'cuckoo', {}, 'y-q1', next)), ['UNKNOWN_FRAMEWORK']);
  t.is(kit.framework('f1').id, next);
});

test('FRW-1: an id of an earlier term that the registry lost is accepted', (t) => {
  const kit = leadingMaster();
  t.deepEqual(words(ask(kit, 'f1', {}, 'y-q1', '1-0007')), ['persist framework.1-0007']);
  t.is(published(kit.stored(), 'SUBSCRIBED').length, 1);
});

test('FRW-1 LNK-1: a new scheduler that asks twice before it is answered gets one framework', (t) => {
  const kit = leadingMaster();
  ask(kit, 'f1', {}, 'x-q1');
  ask(kit, 'f1', {}, 'x-q2');
  const effects = kit.stored();
  t.is(kit.state.frameworks.size, 1);
  t.deepEqual(errors(effects), []);
  ask(kit, 'f1', {}, 'y-q1');
  kit.stored();
  t.is(kit.state.frameworks.size, 2, 'another instance is another framework');
});

test('LNK-1: repeated and older questions begin no session', (t) => {
  const kit = leadingMaster();
  ask(kit, 'f1', {}, 'x-q5');
  kit.stored();
  const id = `${kit.state.masterId}-0001`;
  const session = kit.state.frameworks.get(id)?.link.session;
  for (const question of ['x-q5', 'x-q4']) t.deepEqual(words(ask(kit, 'f1', {}, question, id)), []);
  t.is(kit.state.frameworks.get(id)?.link.session, session);
});

test('LNK-2: of two instances under one id the older one is told, and what it calls has no effect', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const older = kit.framework('f1');
  kit.offersOf(older);
  const younger = older.again();
  const effects = younger.subscribe();
  const [told] = published(effects, 'ERROR');
  t.deepEqual(errors(effects), ['STALE_SESSION']);
  t.is(told?.session, older.session);
  t.is((told?.to.parameters as { sessionId: string }).sessionId, older.session);
  const [offer] = kit.offersOf(younger);
  const refused = older.accept([offer?.id ?? ''], [taskInfo(offer?.agentId ?? '')]);
  t.deepEqual(words(refused), ['publish ERROR']);
  t.deepEqual(errors(refused), ['STALE_SESSION']);
  t.is(published(refused)[0]?.session, older.session);
  t.deepEqual(errors(older.call('TEARDOWN', {})), ['STALE_SESSION']);
  t.false(younger.row.removed);
  t.is(younger.row.offers.size, 1);
  t.deepEqual(errors(younger.call('HEARTBEAT', {})), []);
});

test('LNK-2: an instance that asked twice is not told that it has replaced itself', (t) => {
  const kit = leadingMaster();
  const framework = kit.framework('f1');
  const before = framework.session;
  const effects = framework.subscribe();
  t.not(framework.session, before);
  t.deepEqual(errors(effects), []);
  const late = framework.call('HEARTBEAT', {}, { session: before, sequence: 1 });
  t.deepEqual(errors(late), []);
  t.deepEqual(words(late), ['publish INVITE']);
});

test('LNK-1: a gap or an unknown session asks the scheduler to come again, once a second, and does nothing else', (t) => {
  for (const given of [{ sequence: 9 }, { session: 'old-C1', sequence: 1 }, { session: '0', sequence: 0 }]) {
    const kit = leadingMaster();
    const framework = kit.framework('f1');
    const say = () => framework.call('SUPPRESS', {}, { session: framework.session, ...given });
    t.deepEqual(words(say()), ['publish INVITE']);
    t.is(published(kit.all, 'INVITE').at(-1)?.session, '0');
    t.deepEqual(words(say()), []);
    kit.pass(1_000);
    t.deepEqual(words(say()), ['publish INVITE']);
    t.false(framework.row.suppressed);
  }
});

test('LNK-1: a repeated call does nothing, however often it comes', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const framework = kit.framework('f1');
  const offers = kit.offersOf(framework);
  framework.decline(offers);
  const decline = { decline: { offerIds: offers.map(({ id }) => id) } };
  t.deepEqual(words(framework.call('DECLINE', decline, { session: framework.session, sequence: 1 })), []);
  requireConservation(kit.state);
});

test('LNK-1: a call of a framework that is not known is answered on the session that it names', (t) => {
  const kit = leadingMaster();
  const stranger = new SchedulerPeer(kit, 'f1');
  stranger.id = '1-0009';
  const effects = stranger.call('HEARTBEAT', {}, { session: '1-C3', sequence: 4 });
  t.deepEqual(errors(effects), ['UNKNOWN_FRAMEWORK']);
  t.is(published(effects)[0]?.session, '1-C3');
});

test('LNK-3: schedulers get heartbeats, and anything that they say shows that they are there', (t) => {
  for (const word of ['HEARTBEAT', 'SUPPRESS'] as const) {
    const kit = leadingMaster();
    const framework = kit.framework('f1');
    for (let i = 0; i < 15; i++) {
      const [heartbeat] = published(kit.pass(2_000), 'HEARTBEAT');
      t.is(heartbeat?.session, framework.session);
      framework.call(word, {});
    }
    t.true(framework.row.connected, word);
  }
});

test('LNK-3 FRW-4: a silent framework is disconnected after ten heartbeats, loses its offers at once and its tasks not before its failover timeout', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1', { failoverTimeout: 60 });
  kit.launch(framework, 't1');
  t.is(kit.offersOf(framework).length, 1);
  const beat = () => {
    const effects = kit.pass(2_000);
    agent.say('PONG', {});
    return effects;
  };
  while (framework.row.missedHeartbeats < 10) beat();
  t.true(framework.row.connected);
  const began = kit.now;
  const effects = beat();
  t.false(framework.row.connected);
  t.is(published(effects, 'HEARTBEAT').length, 0);
  t.is(framework.row.offers.size, 0);
  requireConservation(kit.state);
  while (kit.now - began < 58_000) beat();
  t.false(framework.row.removed);
  t.true(framework.row.tasks.has('t1'));
  t.deepEqual(published(kit.all, 'SHUTDOWN_FRAMEWORK'), []);
  t.is(framework.row.offers.size, 0, 'it is offered nothing meanwhile');
  for (let i = 0; i < 4; i++) beat();
  t.true(framework.row.removed);
  t.is(published(kit.stored(), 'SHUTDOWN_FRAMEWORK').length, 1);
});

test('FRW-4: a framework that comes back in time lives on, and without a timeout of its own has the default, a week', (t) => {
  t.is(DEFAULT_TIMINGS.failoverTimeoutMs, 7 * 24 * 3_600_000);
  const kit = leadingMaster({ timings: { failoverTimeoutMs: 60_000 } });
  const framework = kit.framework('f1');
  kit.pass(30_000);
  t.false(framework.row.connected);
  const second = framework.again();
  t.deepEqual(errors(second.subscribe()), []);
  for (let i = 0; i < 60; i++) {
    kit.pass(2_000);
    second.call('HEARTBEAT', {});
  }
  t.true(second.row.connected);
  kit.pass(22_000 + 58_000);
  t.false(second.row.removed);
  kit.pass(2_000);
  t.true(second.row.removed);
});

test('FRW-4: a timeout of nothing removes a framework as soon as it is silent', (t) => {
  const kit = leadingMaster();
  const framework = kit.framework('f1', { failoverTimeout: 0 });
  kit.pass(22_000);
  t.true(framework.row.removed);
});

test('FRW-5 REG-3: TEARDOWN is stored, then told to those who run its tasks; the row goes with its last task', (t) => {
  const kit = leadingMaster();
  const [one, idle] = [kit.agent('a1'), kit.agent('a2')];
  const framework = kit.framework('f1');
  const offer = kit.offersOf(framework).find(({ agentId }) => agentId === one.id);
  framework.accept([offer?.id ?? ''], [taskInfo(one.id, { taskId: 't1' }), taskInfo(one.id, { taskId: 't2' })]);
  kit.stored();
  const rows = [...framework.row.tasks.values()].map((row) => ({ row }));
  t.deepEqual(words(framework.call('TEARDOWN', {})), [`persist framework.${framework.id}`]);
  t.is(framework.row.offers.size, 0, 'its offers are gone at once');
  requireConservation(kit.state);
  const effects = kit.stored();
  t.deepEqual(errors(effects), ['FRAMEWORK_REMOVED']);
  const told = published(effects, 'SHUTDOWN_FRAMEWORK');
  t.deepEqual(told.map(({ to, body }) => [(to.parameters as { agentId: string }).agentId, body]), [[one.id, { frameworkId: framework.id }]]); // prettier-ignore
  t.is(idle.row.tasks.size, 0);
  t.true(kit.has('framework', framework.id));
  const [first, second] = rows as [(typeof rows)[0], (typeof rows)[0]];
  t.deepEqual(words(one.update(first, 'TASK_KILLED').effects), [`persist -task.${first.row.launchId}`]);
  t.deepEqual(words(kit.stored()), ['publish STATUS_UPDATE_ACKNOWLEDGEMENT']);
  t.true(kit.has('framework', framework.id));
  one.update(second, 'TASK_KILLED');
  t.deepEqual(words(kit.stored()), ['publish STATUS_UPDATE_ACKNOWLEDGEMENT', `persist -framework.${framework.id}`]);
  t.false(kit.has('framework', framework.id));
  t.false(kit.state.frameworks.has(framework.id));
  t.true(kit.state.completedFrameworks.has(framework.id));
});

test('FRW-5: an update of a removed framework’s task is acknowledged for it, to no scheduler', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const [one] = kit.launch(framework, 't1');
  framework.call('TEARDOWN', {});
  kit.stored();
  const effects = agent.update(one as never, 'TASK_RUNNING').effects;
  t.deepEqual(words(effects), ['publish STATUS_UPDATE_ACKNOWLEDGEMENT']);
});

test('FRW-5: until the removal is stored nothing says that it has happened, to whomever asks', (t) => {
  const kit = leadingMaster();
  const framework = kit.framework('f1');
  framework.call('TEARDOWN', {});
  t.deepEqual(words(framework.call('TEARDOWN', {})), [], 'the first one is answered when it is stored');
  const asked = framework.again();
  const event = ask(kit, 'f1', {}, 'z-q1', framework.id);
  t.deepEqual(words(event), []);
  t.is(asked.session, '0');
  t.deepEqual(errors(kit.stored()), ['FRAMEWORK_REMOVED']);
  t.deepEqual(errors(ask(kit, 'f1', {}, 'z-q2', framework.id)), ['FRAMEWORK_REMOVED']);
});

test('FRW-5: a launch that is on its way to the registry when its framework goes is never sent', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const [offer] = kit.offersOf(framework);
  framework.accept([offer?.id ?? ''], [taskInfo(agent.id)]);
  framework.call('TEARDOWN', {});
  const effects = kit.stored();
  t.deepEqual(published(effects, 'RUN_TASK'), []);
  t.is(kit.state.tasks.size, 0);
  t.is(kit.state.frameworks.size, 0);
  t.deepEqual([...kit.registry.keys()].filter((key) => !key.startsWith('agent')), []); // prettier-ignore
  requireConservation(kit.state);
});

test('FRW-5: an agent that comes back is told which frameworks are gone', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const [one] = kit.launch(framework, 't1');
  kit.pass(30_000);
  t.is(agent.row.state, 'UNREACHABLE');
  const back = framework.again();
  back.subscribe();
  back.call('TEARDOWN', {});
  t.deepEqual(published(kit.stored(), 'SHUTDOWN_FRAMEWORK'), []);
  const effects = agent.reregister([one as never]);
  t.is(published(effects, 'SHUTDOWN_FRAMEWORK').length, 1);
});

test('FRW-2 REG-3: a changed FrameworkInfo is stored before the framework is subscribed again', (t) => {
  const kit = leadingMaster();
  const framework = kit.framework('f1');
  const again = framework.again();
  t.deepEqual(words(again.subscribe()).slice(0, 1), ['publish ERROR'], 'nothing has changed: nothing is stored');
  const other = framework.again();
  other.info = { ...other.info, name: 'another' };
  t.deepEqual(words(other.subscribe()), [`persist framework.${framework.id}`, 'publish ERROR', 'publish SUBSCRIBED']);
});

test('PRO-1: a call that does not fit its schema is answered, takes its place in the session, and the framework lives on', (t) => {
  const kit = leadingMaster();
  const framework = kit.framework('f1');
  const invalid = (call: string, sequence: number, frameworkId: string | undefined) =>
    kit.send({
      type: 'scheduler.INVALID',
      meta: meta({ principal: 'f1', session: framework.session, sequence, id: 'bad' }),
      body: { call, wrong: '/accept is wrong', frameworkId },
    } as never);
  const effects = invalid('ACCEPT', 1, framework.id);
  t.deepEqual(errors(effects), ['INVALID_MESSAGE']);
  t.is(published(effects)[0]?.cause, 'bad');
  t.regex(
    bodies<{ error: { message: string } }>(effects, 'ERROR')[0]?.error.message ?? '',
    /ACCEPT: \/accept is wrong/,
  );
  framework.sequence = 1;
  t.deepEqual(words(framework.call('HEARTBEAT', {})), []);
  t.true(framework.row.connected);
  for (const [call, id] of [
    ['SUBSCRIBE', framework.id],
    ['ACCEPT', undefined],
  ] as const)
    // prettier-ignore
    t.is(published(invalid(call, 0, id))[0]?.session, '0');
});

test('ACC-5 PRO-1: a call that is not served yet is answered, and the framework lives on', (t) => {
  const kit = leadingMaster();
  const framework = kit.framework('f1');
  const calls = [
    ['UPDATE_FRAMEWORK', { updateFramework: { frameworkInfo: { user: 'u', name: 'n' } } }],
    ['ACCEPT_INVERSE_OFFERS', { acceptInverseOffers: { inverseOfferIds: [] } }],
    ['DECLINE_INVERSE_OFFERS', { declineInverseOffers: { inverseOfferIds: [] } }],
    ['ACKNOWLEDGE_OPERATION_STATUS', { acknowledgeOperationStatus: { uuid: new Uint8Array(), operationId: 'o' } }],
    ['RECONCILE_OPERATIONS', { reconcileOperations: {} }],
  ] as const;
  for (const [type, body] of calls) {
    const effects = framework.call(type, body as never);
    t.deepEqual(errors(effects), ['UNSUPPORTED'], type);
    t.regex(bodies<{ error: { message: string } }>(effects, 'ERROR')[0]?.error.message ?? '', new RegExp(type));
  }
  t.deepEqual(ofType(kit.all, 'stop'), []);
  t.deepEqual(words(framework.call('REQUEST', { request: { requests: [] } })), []);
});

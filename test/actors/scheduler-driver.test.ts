import test from 'ava';
import type { Effect } from '../../actors/effect.js';
import type { Meta } from '../../actors/events.js';
import { schedulerMachine } from '../../actors/framework/scheduler.machine.js';
import { decline, kill, launch, type Call, type Scheduler } from '../../actors/framework/scheduler.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import type { Offer } from '../../protocol/offer.js';
import type { SchedulerCallBody, SchedulerEventBody } from '../../protocol/scheduler-api.js';
import type { TaskStatus } from '../../protocol/task.js';
import { ActorKit, bodies, meta, ofType, published, words } from '../support/actor-kit.js';
import { taskInfo } from '../support/master-kit.js';

const ID = '5-0001';

class DriverKit extends ActorKit<typeof schedulerMachine> {
  session = '0';
  sequence = 0;
  epoch = 5;
  #sessions = 0;
  /** What the scheduler was called with, in order. */
  readonly heard: string[];
  /** What it returns next, by function. */
  readonly plan: Partial<Record<keyof Scheduler<unknown>, readonly Call[]>>;

  constructor({
    frameworkId,
    info = {},
    suppressedRoles,
  }: { frameworkId?: string; info?: object; suppressedRoles?: string[] } = {}) {
    // prettier-ignore
    const heard: string[] = [];
    const plan: DriverKit['plan'] = {};
    const on =
      (name: keyof Scheduler<unknown>) =>
      (_own: unknown, value: unknown): readonly Call[] => {
        heard.push(`${name} ${JSON.stringify(value)}`);
        const calls = plan[name] ?? [];
        plan[name] = [];
        return calls;
      };
    const scheduler: Scheduler<unknown, unknown> = {
      info: { user: 'u', name: 'f', ...info },
      ...(suppressedRoles && { suppressedRoles }),
      onSubscribed: on('onSubscribed'),
      onOffers: on('onOffers'),
      onRescind: on('onRescind'),
      onUpdate: on('onUpdate'),
      onMessage: on('onMessage'),
      onFailure: on('onFailure'),
      onWake: (own) => on('onWake')(own, undefined),
      onInput: on('onInput'),
      onError: (own, error) => void on('onError')(own, error.code),
    };
    super(schedulerMachine, { principal: 'f1', scheduler, own: {}, timings: DEFAULT_TIMINGS, frameworkId });
    this.heard = heard;
    this.plan = plan;
  }

  get state() {
    return this.actor.getSnapshot().context.state;
  }

  /** The master answers the last SUBSCRIBE with a new session. */
  subscribed(given: Partial<Meta> = {}, frameworkId = ID): Effect[] {
    this.session = given.session ?? `${this.epoch.toString(36)}-C${++this.#sessions}`;
    this.sequence = 1;
    const cause = published(this.all, 'SUBSCRIBE').at(-1)?.id;
    const body = { subscribed: { frameworkId, heartbeatIntervalSeconds: 2 } };
    const head = meta({ session: this.session, sequence: 1, epoch: this.epoch, cause, id: 'answer', ...given });
    return this.send({ type: 'master.SUBSCRIBED', meta: head, body } as never);
  }

  /** An event of the master in its session. */
  hear<T extends Exclude<Parameters<typeof eventType>[0], 'SUBSCRIBED'>>(
    type: T,
    body: SchedulerEventBody<T>,
    given: Partial<Meta> = {},
  ): Effect[] {
    const sequence = given.sequence ?? ++this.sequence;
    const parameters = { principal: 'f1', frameworkId: ID, sessionId: this.session };
    const head = meta({
      session: this.session,
      epoch: this.epoch,
      parameters,
      id: `m-${sequence}`,
      ...given,
      sequence,
    });
    return this.send({ type: `master.${type}`, meta: head, body } as never);
  }

  update(status: Partial<TaskStatus> & Pick<TaskStatus, 'taskId' | 'state'>, given: Partial<Meta> = {}): Effect[] {
    return this.hear('UPDATE', { update: { status } }, given);
  }

  error(code: string, given: Partial<Meta> = {}): Effect[] {
    return this.hear('ERROR', { error: { code: code as 'UNSUPPORTED', message: 'why' } }, given);
  }
}

const eventType = (type: keyof typeof import('../../protocol/scheduler-api.js').schedulerEvents) => type;

function subscribedDriver(options: ConstructorParameters<typeof DriverKit>[0] = {}): DriverKit {
  const kit = new DriverKit(options);
  kit.send({ type: 'START' });
  kit.subscribed();
  return kit;
}

const offer = (id: string): Offer => ({ id, frameworkId: ID, agentId: '5-S1', hostname: 'h' });
const elected = (epoch: number) => ({
  type: 'leader.ELECTED',
  meta: meta({ principal: 'm', epoch }),
  body: { masterId: 'x', name: 'm', epoch },
});

/** Has the driver launch tasks on an offer. */
function launched(kit: DriverKit, ...taskIds: string[]): Effect[] {
  kit.plan.onOffers = [launch([offer('o1')], taskIds.map((taskId) => taskInfo('5-S1', { taskId })))]; // prettier-ignore
  return kit.hear('OFFERS', { offers: { offers: [offer('o1')] } });
}

const AWARE = [{ type: 'PARTITION_AWARE' as const }];

test('REC-2: it is aware of partitions for every scheduler, and says all else that the scheduler can', (t) => {
  const killing = { type: 'TASK_KILLING_STATE' as const };
  for (const capabilities of [[killing], [killing, ...AWARE]]) {
    const [question] = published(new DriverKit({ info: { capabilities } }).send({ type: 'START' }));
    t.like(question?.body, { subscribe: { frameworkInfo: { capabilities: [killing, ...AWARE] } } });
  }
});

test('FRW-1 LNK-1: it subscribes, and again with growing pauses until it is answered', (t) => {
  const kit = new DriverKit({ info: { roles: ['a', 'b'] } });
  const [question] = published(kit.send({ type: 'START' }));
  t.is(question?.message, 'SUBSCRIBE');
  const info = { user: 'u', name: 'f', roles: ['a', 'b'], capabilities: AWARE };
  t.deepEqual(question?.body, { subscribe: { frameworkInfo: info } });
  t.deepEqual([question?.session, question?.to], ['0', { row: 'masterScheduler', parameters: { principal: 'f1' } }]);
  kit.pass(60_000);
  const ids = published(kit.all, 'SUBSCRIBE').map(({ id }) => id);
  t.true(ids.length >= 7 && ids.length <= 12, `${ids.length}`);
  t.is(new Set(ids).size, ids.length);
  kit.subscribed();
  t.is(kit.value, 'subscribed');
  t.deepEqual(kit.heard, [`onSubscribed ${JSON.stringify({ frameworkId: ID, again: false })}`]);
  t.deepEqual(published(kit.pass(10_000), 'SUBSCRIBE'), []);
});

test('FRW-2: a framework that comes back says its id, and its suppression', (t) => {
  const kit = new DriverKit({ frameworkId: ID, suppressedRoles: ['*'] });
  const [question] = published(kit.send({ type: 'START' }));
  t.deepEqual(question?.body, {
    frameworkId: ID,
    subscribe: { frameworkInfo: { user: 'u', name: 'f', id: ID, capabilities: AWARE }, suppressedRoles: ['*'] },
  });
  kit.subscribed();
  t.deepEqual(kit.heard, [`onSubscribed ${JSON.stringify({ frameworkId: ID, again: true })}`]);
});

test('LNK-1: only the answer to its own question begins a session', (t) => {
  const kit = new DriverKit();
  kit.send({ type: 'START' });
  for (const given of [{ cause: 'x-q1' }, { cause: undefined }, { session: '0' }]) {
    kit.subscribed(given);
    t.is(kit.value, 'subscribing');
  }
  t.deepEqual(kit.heard, []);
});

test('OFR-1: offers come to the scheduler, and its calls go out with their cause and session', (t) => {
  const kit = subscribedDriver();
  const effects = launched(kit, 't1');
  const [accept] = published(effects);
  t.is(accept?.message, 'ACCEPT');
  t.like(accept?.body as object, { frameworkId: ID, accept: { offerIds: ['o1'] } });
  t.deepEqual([accept?.session, accept?.epoch, accept?.cause], [kit.session, 5, 'm-2']);
  kit.plan.onRescind = [kill('t1')];
  t.deepEqual(bodies(kit.hear('RESCIND', { rescind: { offerId: 'o1' } }), 'KILL'), [{ frameworkId: ID, kill: { taskId: 't1' } }]); // prettier-ignore
  kit.plan.onFailure = decline([offer('o2')], { refuseSeconds: 1 });
  t.deepEqual(words(kit.hear('FAILURE', { failure: { agentId: '5-S1' } })), ['publish DECLINE']);
  kit.plan.onMessage = [{ type: 'REVIVE' }];
  t.deepEqual(words(kit.hear('MESSAGE', { message: { agentId: 'a', executorId: 'e', data: new Uint8Array() } })), ['publish REVIVE']); // prettier-ignore
  t.deepEqual(decline([]), []);
});

test('UPD-2 FRW-6: the scheduler takes an update before it is acknowledged', (t) => {
  const kit = subscribedDriver();
  kit.plan.onUpdate = [kill('t2')];
  const uuid = new Uint8Array(16).fill(7);
  const status = { taskId: 't1', state: 'TASK_RUNNING', agentId: '5-S1', launchId: 'L1', uuid } as const;
  const effects = kit.update(status);
  t.deepEqual(words(effects), ['publish KILL', 'publish ACKNOWLEDGE']);
  t.deepEqual(bodies(effects, 'ACKNOWLEDGE'), [{ frameworkId: ID, acknowledge: { agentId: '5-S1', taskId: 't1', uuid, launchId: 'L1' } }]); // prettier-ignore
  t.deepEqual(words(kit.update({ ...status, state: 'TASK_KILLING' })), ['publish ACKNOWLEDGE']);
  t.deepEqual(words(kit.update({ taskId: 't1', state: 'TASK_UNREACHABLE' })), [], 'without a uuid nobody waits for it');
});

test('UPD-2 ACT-1: an update that the scheduler throws on is not acknowledged', (t) => {
  const kit = subscribedDriver();
  Object.defineProperty(kit.plan, 'onUpdate', {
    get: () => {
      throw new Error('own fault');
    },
  });
  const before = kit.all.length;
  t.throws(() => kit.update({ taskId: 't1', state: 'TASK_RUNNING', agentId: 'a', uuid: new Uint8Array(16) }), { message: 'own fault' }); // prettier-ignore
  t.is(kit.all.length, before);
});

test('FRW-6 REC-1: after each new subscription it asks what became of its tasks, until it knows', (t) => {
  const kit = subscribedDriver();
  launched(kit, 't1', 't2', 't3');
  kit.update({ taskId: 't3', state: 'TASK_FINISHED' });
  kit.send({ type: 'RECONNECTED' });
  t.is(kit.value, 'subscribing');
  const asked = (effects: readonly Effect[]) =>
    bodies<SchedulerCallBody<'RECONCILE'>>(effects, 'RECONCILE').map(({ reconcile }) => (reconcile.tasks ?? []).map(({ taskId, agentId }) => `${taskId} ${agentId}`)); // prettier-ignore
  t.deepEqual(asked(kit.subscribed()), [['t1 5-S1', 't2 5-S1']]);
  const times: number[] = [];
  const began = kit.now;
  while (kit.now - began < 20_000) {
    if (asked(kit.pass(10)).length > 0) times.push(kit.now - began);
    kit.state.member.heardAtMs = kit.now;
  }
  t.true(times.length >= 4 && times.length <= 7, times.join());
  kit.update({ taskId: 't1', state: 'TASK_RUNNING' });
  t.deepEqual(asked(kit.pass(30_000)).slice(0, 1), [['t2 5-S1']]);
  kit.send({ type: 'RECONNECTED' });
  kit.subscribed();
  kit.update({ taskId: 't1', state: 'TASK_RUNNING' });
  kit.update({ taskId: 't2', state: 'TASK_LOST' });
  kit.state.member.heardAtMs = kit.now;
  t.deepEqual(asked(kit.pass(20_000)), [], 'nothing is in doubt any more');
  kit.send({ type: 'RECONNECTED' });
  t.deepEqual(asked(kit.subscribed()), [['t1 5-S1']], 'what has ended is not asked for');
});

test('FRW-6: what is launched while there is no session is asked for in the next one', (t) => {
  const kit = subscribedDriver();
  kit.send({ type: 'RECONNECTED' });
  kit.plan.onInput = [launch([offer('o1')], [taskInfo('5-S1', { taskId: 't9' })]), kill('t8')];
  t.deepEqual(words(kit.send({ type: 'INPUT', input: 1 } as never)), [], 'nothing would arrive');
  t.deepEqual(bodies<SchedulerCallBody<'RECONCILE'>>(kit.subscribed(), 'RECONCILE')[0]?.reconcile.tasks, [{ taskId: 't9', agentId: '5-S1' }]); // prettier-ignore
});

test('LNK-1: a gap means subscribing anew, and nothing behind it reaches the scheduler', (t) => {
  const kit = subscribedDriver();
  kit.sequence += 1;
  t.deepEqual(words(kit.update({ taskId: 't1', state: 'TASK_RUNNING' })), ['publish SUBSCRIBE']);
  t.is(kit.value, 'subscribing');
  kit.update({ taskId: 't1', state: 'TASK_RUNNING' });
  t.is(kit.heard.length, 1);
  kit.subscribed();
  kit.update({ taskId: 't1', state: 'TASK_RUNNING' });
  t.is(kit.heard.length, 3);
});

test('LNK-1: repeated events and those of another session reach nobody', (t) => {
  const kit = subscribedDriver();
  kit.hear('OFFERS', { offers: { offers: [] } });
  const { length } = kit.heard;
  kit.hear('OFFERS', { offers: { offers: [] } }, { sequence: kit.sequence });
  kit.hear('OFFERS', { offers: { offers: [] } }, { session: '5-C99', sequence: 1 });
  t.is(kit.heard.length, length);
  t.is(kit.value, 'subscribed');
});

test('LNK-3: heartbeats are answered; without them it comes anew', (t) => {
  const kit = subscribedDriver();
  for (let i = 0; i < 20; i++) {
    kit.pass(20_000);
    const [answer] = published(kit.hear('HEARTBEAT', {}));
    t.like(answer, { message: 'HEARTBEAT', body: { frameworkId: ID }, cause: `m-${kit.sequence}` });
  }
  t.deepEqual(published(kit.pass(21_999)), []);
  t.deepEqual(words(kit.pass(1)), ['publish SUBSCRIBE']);
});

test('LNK-1: an invitation for this framework, a reconnected client and a new leader mean subscribing anew', (t) => {
  const invited = subscribedDriver();
  t.deepEqual(
    words(invited.hear('INVITE', {}, { session: '0', sequence: 0, parameters: { frameworkId: 'other' } })),
    [],
  );
  t.deepEqual(words(invited.hear('INVITE', {}, { session: '0', sequence: 0 })), ['publish SUBSCRIBE']);
  const reconnected = subscribedDriver();
  t.deepEqual(words(reconnected.send({ type: 'RECONNECTED' })), ['publish SUBSCRIBE']);
  const kit = subscribedDriver();
  kit.random = 0.5;
  t.deepEqual(words(kit.send(elected(9))), []);
  kit.plan.onInput = [kill('t1')];
  t.deepEqual(words(kit.send({ type: 'INPUT', input: 1 } as never)), [], 'the old session is over');
  t.deepEqual(words(kit.pass(24)), []);
  t.deepEqual(words(kit.pass(1)), ['publish SUBSCRIBE']);
  t.deepEqual(words(kit.send(elected(9))), [], 'the same leader is no news');
});

test('EPO-2: what a lower epoch says is dropped before any handler', (t) => {
  const kit = subscribedDriver();
  kit.send(elected(9));
  kit.pass(60);
  kit.epoch = 9;
  kit.subscribed();
  const { length } = kit.heard;
  const old = { epoch: 8 };
  kit.hear('OFFERS', { offers: { offers: [] } }, { ...old, sequence: 2 });
  kit.error('FRAMEWORK_REMOVED', { ...old, sequence: 2 });
  kit.hear('INVITE', {}, { ...old, session: '0', sequence: 0 });
  t.is(kit.heard.length, length);
  t.is(kit.value, 'subscribed');
});

test('FRW-5: a teardown is asked for until it is answered, with a new subscription between two tries', (t) => {
  const kit = subscribedDriver();
  kit.plan.onInput = [{ type: 'TEARDOWN' }];
  t.deepEqual(words(kit.send({ type: 'INPUT', input: 1 } as never)), ['publish TEARDOWN']);
  t.is(kit.value, 'tearingDown');
  t.deepEqual(words(kit.pass(499)), []);
  t.deepEqual(words(kit.pass(1)), ['publish SUBSCRIBE'], 'its session may be what is wrong');
  kit.subscribed();
  t.deepEqual(words(kit.pass(500)), ['publish TEARDOWN']);
  t.is(published(kit.all, 'TEARDOWN').at(-1)?.session, kit.session);
  t.deepEqual(words(kit.pass(500)).slice(0, 1), ['publish SUBSCRIBE']);
  t.deepEqual(words(kit.error('FRAMEWORK_REMOVED', { session: '0', sequence: 0, cause: published(kit.all, 'SUBSCRIBE').at(-1)?.id })), ['stop']); // prettier-ignore
  t.is(kit.value, 'stopped');
  t.is(kit.state.error, undefined);
  t.false(kit.heard.some((line) => line.startsWith('onError')));
});

test('FRW-5: that the framework is not known any more is an answer to a teardown too', (t) => {
  const kit = subscribedDriver();
  kit.plan.onInput = [{ type: 'TEARDOWN' }];
  kit.send({ type: 'INPUT', input: 1 } as never);
  t.deepEqual(words(kit.error('UNKNOWN_FRAMEWORK')), ['stop']);
  t.is(kit.state.error, undefined);
});

test('FRW-5: a teardown of a framework that was never subscribed is done', (t) => {
  const kit = new DriverKit();
  kit.plan.onInput = [{ type: 'TEARDOWN' }];
  kit.send({ type: 'START' });
  kit.send({ type: 'INPUT', input: 1 } as never);
  t.is(kit.value, 'subscribing');
  kit.subscribed();
  t.is(kit.value, 'tearingDown', 'it has an id by now');
});

test('FRW-6: leaving ends the driver and nothing else', (t) => {
  const kit = subscribedDriver();
  kit.plan.onInput = [{ type: 'LEAVE' }];
  t.deepEqual(words(kit.send({ type: 'INPUT', input: 1 } as never)), ['stop']);
  t.deepEqual(published(kit.all, 'TEARDOWN'), []);
  const stopped = subscribedDriver();
  t.deepEqual(words(stopped.send({ type: 'STOP' })), ['stop']);
});

test('FRW-1 LNK-2: an error of its session or in answer to its question is fatal, and told', (t) => {
  const codes = ['STALE_SESSION', 'FRAMEWORK_REMOVED', 'WRONG_PRINCIPAL', 'UNKNOWN_FRAMEWORK'];
  for (const code of codes) {
    const kit = subscribedDriver();
    t.deepEqual(words(kit.error(code)), ['stop'], code);
    t.is(kit.state.error?.code, code as never);
    t.is(kit.heard.at(-1), `onError ${JSON.stringify(code)}`);
    t.deepEqual(ofType(kit.all, 'stop').map(({ restart }) => restart), [false]); // prettier-ignore
  }
  const early = new DriverKit();
  early.send({ type: 'START' });
  const cause = published(early.all, 'SUBSCRIBE')[0]?.id;
  early.error('INVALID_FRAMEWORK', { session: '0', sequence: 0, cause });
  t.is(early.value, 'stopped');
});

test('LNK-2: an error of another session is somebody else’s', (t) => {
  const kit = subscribedDriver();
  for (const given of [{ session: '5-C0' }, { session: '0', cause: 'other-q1' }, { session: '0' }])
    t.deepEqual(words(kit.error('STALE_SESSION', { sequence: 0, ...given })), []);
  t.is(kit.value, 'subscribed');
});

test('PRO-1: an error of a single call does not end it', (t) => {
  for (const code of ['UNSUPPORTED', 'INVALID_MESSAGE']) {
    const kit = subscribedDriver();
    t.deepEqual(words(kit.error(code)), ['publish SUBSCRIBE']);
    kit.subscribed();
    t.is(kit.value, 'subscribed');
    t.is(kit.state.error, undefined);
  }
});

test('OFR-5: suppression is said again with each subscription, until it is revived', (t) => {
  const kit = subscribedDriver();
  const suppressed = () => {
    kit.send({ type: 'RECONNECTED' });
    kit.subscribed();
    return bodies<SchedulerCallBody<'SUBSCRIBE'>>(kit.all, 'SUBSCRIBE').at(-1)?.subscribe.suppressedRoles;
  };
  t.is(suppressed(), undefined);
  kit.plan.onInput = [{ type: 'SUPPRESS' }];
  t.deepEqual(words(kit.send({ type: 'INPUT', input: 1 } as never)), ['publish SUPPRESS']);
  t.deepEqual(suppressed(), ['*']);
  kit.plan.onInput = [{ type: 'REVIVE' }];
  kit.send({ type: 'INPUT', input: 1 } as never);
  t.is(suppressed(), undefined);
});

test('OFR-5: who revives while it is asking to be subscribed as suppressed says so once it is', (t) => {
  const kit = subscribedDriver();
  kit.plan.onInput = [{ type: 'SUPPRESS' }];
  kit.send({ type: 'INPUT', input: 1 } as never);
  kit.send({ type: 'RECONNECTED' });
  kit.plan.onInput = [{ type: 'REVIVE' }];
  t.deepEqual(words(kit.send({ type: 'INPUT', input: 2 } as never)), []);
  t.true(words(kit.subscribed()).includes('publish REVIVE'));
  kit.send({ type: 'RECONNECTED' });
  t.false(words(kit.subscribed()).includes('publish REVIVE'));
});

test('ACT-3: a scheduler is woken when it asks to be, once, and each WAKE replaces the one before', (t) => {
  const kit = subscribedDriver();
  kit.plan.onInput = [{ type: 'WAKE', atMs: kit.now + 50 }, { type: 'WAKE', atMs: kit.now + 300 }]; // prettier-ignore
  kit.send({ type: 'INPUT', input: 1 } as never);
  kit.pass(299);
  t.false(kit.heard.some((line) => line.startsWith('onWake')));
  kit.plan.onWake = [kill('t1')];
  t.deepEqual(words(kit.pass(1)), ['publish KILL']);
  kit.pass(1_000);
  t.is(kit.heard.filter((line) => line.startsWith('onWake')).length, 1);
});

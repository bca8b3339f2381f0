import test from 'ava';
import fc from 'fast-check';
import type { Offer } from '../../protocol/offer.js';
import { Resources } from '../../protocol/resources.js';
import { bodies, published } from '../support/actor-kit.js';
import {
  leadingMaster,
  requireConservation,
  taskInfo,
  type MasterKit,
  type SchedulerPeer,
} from '../support/master-kit.js';

const cpusOf = (offers: readonly Offer[]): number[] => offers.map(({ resources }) => Resources.of(resources).scalar('cpus')); // prettier-ignore

/** Keeps everybody alive while time passes; gives the milliseconds until the framework has an offer. */
function untilOffered(kit: MasterKit, framework: SchedulerPeer, limitMs: number): number {
  const began = kit.now;
  while (framework.row.offers.size === 0 && kit.now - began < limitMs) {
    kit.pass(1);
    alive(kit);
  }
  return kit.now - began;
}

/** As if every peer had just been heard. */
function alive(kit: MasterKit): void {
  for (const agent of kit.state.agents.values()) agent.missedHeartbeats = 0;
  for (const framework of kit.state.frameworks.values()) framework.missedHeartbeats = 0;
}

function passAlive(kit: MasterKit, ms: number) {
  const effects = [];
  for (const endMs = kit.now + ms; kit.now < endMs;) {
    effects.push(...kit.pass(Math.min(1_000, endMs - kit.now)));
    alive(kit);
  }
  return effects;
}

test('ALC-2 ALC-3: what a registered agent has free is offered at once to a framework that is there', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1', 'cpus:4;mem:4096;ports:[31000-31001]');
  const framework = kit.framework('f1');
  const effects = kit.pass(0);
  const [event] = published(effects, 'OFFERS');
  t.is(event?.session, framework.session);
  const [{ offers } = { offers: { offers: [] } }] = bodies<{ offers: { offers: Offer[] } }>(effects, 'OFFERS');
  t.is(offers.offers.length, 1);
  const [offer] = offers.offers;
  t.deepEqual(
    [offer?.frameworkId, offer?.agentId, offer?.hostname, offer?.allocationInfo],
    [framework.id, agent.id, 'a1', { role: '*' }],
  );
  t.is(Resources.of(offer?.resources).unallocate().toString(), 'cpus:4; mem:4096; ports:[31000-31001]');
  t.is(offer?.id, `${kit.state.masterId}-O1`);
  requireConservation(kit.state);
});

test('ALC-2: many agents are one message', (t) => {
  const kit = leadingMaster();
  for (let i = 0; i < 5; i++) kit.agent();
  kit.framework('f1');
  const events = published(kit.pass(0), 'OFFERS');
  t.is(events.length, 1);
  t.is((events[0]?.body as { offers: { offers: Offer[] } }).offers.offers.length, 5);
});

test('ALC-3: freed resources gather for 20 ms and are offered together', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const tasks = kit.launch(framework, 't1', 't2', 't3');
  framework.decline(kit.offersOf(framework), 3_600);
  kit.pass(1_000);
  const [one, two, three] = tasks;
  const began = kit.now;
  agent.update(one as never, 'TASK_FINISHED');
  kit.pass(7);
  agent.update(two as never, 'TASK_FINISHED');
  kit.pass(7);
  agent.update(three as never, 'TASK_FINISHED');
  t.is(framework.row.offers.size, 0);
  const untilMs = untilOffered(kit, framework, 100);
  t.is(kit.now - began, 20, `${untilMs} more`);
  t.deepEqual(cpusOf([...framework.row.offers.values()].map(({ offer }) => offer)), [4_000]);
});

test('ALC-3: what is new does not wait for what gathers', (t) => {
  const kit = leadingMaster();
  const framework = kit.framework('f1');
  kit.pass(100);
  kit.agent('a1');
  t.is(published(kit.pass(0), 'OFFERS').length, 1);
  t.is(framework.row.offers.size, 1);
});

test('ALC-2: nobody is offered anything who is away, suppressed or has nothing that is big enough', (t) => {
  const kit = leadingMaster();
  kit.agent('crumbs', 'cpus:0.009;mem:31');
  const suppressed = kit.framework('f1');
  suppressed.subscribe(['*']);
  kit.pass(100);
  t.is(suppressed.row.offers.size, 0);
  t.true(suppressed.row.suppressed);
  kit.agent('small', 'cpus:0.009;mem:32');
  const framework = kit.framework('f2');
  kit.pass(100);
  t.deepEqual([...framework.row.offers.values()].map(({ offer }) => offer.hostname), ['small']); // prettier-ignore
});

test('OFR-1: an offer is used once; a second ACCEPT drops its tasks and returns the other offers that it names', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1', 'cpus:4;mem:4096');
  const framework = kit.framework('f1');
  const [first] = kit.offersOf(framework);
  framework.accept([first?.id ?? ''], [taskInfo(agent.id)], { refuseSeconds: 0 });
  kit.stored();
  const [second] = kit.offersOf(framework);
  const effects = framework.accept([second?.id ?? '', first?.id ?? ''], [taskInfo(agent.id, { taskId: 't2' })]);
  const [update] = bodies<{ update: { status: Record<string, unknown> } }>(effects, 'UPDATE');
  t.like(update?.update.status, { taskId: 't2', state: 'TASK_DROPPED', reason: 'REASON_INVALID_OFFERS', source: 'SOURCE_MASTER' }); // prettier-ignore
  t.is(update?.update.status['uuid'], undefined, 'nobody repeats it');
  t.is(framework.row.offers.size, 0);
  requireConservation(kit.state);
  t.deepEqual(cpusOf(kit.offersOf(framework)), [3_000], 'the other one comes back, without a filter');
});

test('OFR-2 ALC-4: a decline for 5 s: the agent is not offered to that framework before, unless more is free', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const [one] = kit.launch(framework, 't1');
  framework.decline(kit.offersOf(framework), 5);
  t.is(untilOffered(kit, framework, 10_000), 5_000);
  framework.decline([...framework.row.offers.values()].map(({ offer }) => offer), 5); // prettier-ignore
  kit.pass(1_000);
  agent.update(one as never, 'TASK_FINISHED');
  t.is(untilOffered(kit, framework, 10_000), 20);
});

test('OFR-2: without seconds it is 5 s, negative is the default, 0 is no filter, a year is the most', (t) => {
  const year = 365 * 24 * 3_600_000;
  const cases: [number | undefined, number][] = [
    [undefined, 5_000],
    [-1, 5_000],
    [-0.001, 5_000],
    [0.2, 200],
    [0, 50],
    [60, 60_000],
    [1e9, year],
    [Number.MAX_VALUE, year],
  ];
  for (const [seconds, expectedMs] of cases) {
    const kit = leadingMaster();
    const agent = kit.agent('a1');
    const framework = kit.framework('f1');
    framework.decline(kit.offersOf(framework), seconds);
    kit.pass(20);
    const next = kit.state.allocator.nextAllocationMs(kit.now);
    t.is((next ?? 0) - kit.now + 20, expectedMs, `${seconds} s`);
    t.is(kit.state.allocator.free(agent.id).scalar('cpus'), 4_000);
  }
});

test('OFR-2 ACC-2: what is left of an ACCEPT goes back with the filter of the call', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  framework.accept(kit.offersOf(framework), [taskInfo(agent.id)], { refuseSeconds: 3 });
  requireConservation(kit.state);
  t.is(untilOffered(kit, framework, 10_000), 3_000);
});

test('ALC-4: refused offers come again after 50 ms, doubling to 1 s, and at once when more is free', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const [one] = kit.launch(framework, 't1');
  const pauses: number[] = [];
  untilOffered(kit, framework, 1_000);
  for (let i = 0; i < 8; i++) {
    framework.decline([...framework.row.offers.values()].map(({ offer }) => offer), 0); // prettier-ignore
    pauses.push(untilOffered(kit, framework, 5_000));
  }
  t.deepEqual(pauses.slice(-7), [200, 400, 800, 1_000, 1_000, 1_000, 1_000]);
  framework.decline([...framework.row.offers.values()].map(({ offer }) => offer), 0); // prettier-ignore
  agent.update(one as never, 'TASK_FINISHED');
  t.is(untilOffered(kit, framework, 5_000), 20);
});

test('OFR-2: a filter outlives the return of its agent', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  framework.decline(kit.offersOf(framework), 60);
  kit.pass(1_000);
  agent.reregister();
  kit.pass(1_000);
  t.is(framework.row.offers.size, 0);
});

test('OFR-2: declining what is not there, or another’s, does nothing', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const [one, other] = [kit.framework('f1'), kit.framework('f2')];
  const offers = kit.offersOf(one);
  t.is(offers.length, 1);
  other.decline(offers, 60);
  other.call('DECLINE', { decline: { offerIds: ['no-O9'] } });
  t.is(one.row.offers.size, 1);
  requireConservation(kit.state);
  one.call('DECLINE', { decline: { offerIds: [offers[0]?.id ?? '', offers[0]?.id ?? ''] } });
  requireConservation(kit.state);
});

test('OFR-5: SUPPRESS ends new offers and keeps outstanding ones usable; REVIVE brings them back at once', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const offers = kit.offersOf(framework);
  framework.call('SUPPRESS', {});
  t.true(framework.row.suppressed);
  kit.agent('a2');
  kit.pass(1_000);
  t.is(framework.row.offers.size, 1, 'the outstanding one, and no other');
  framework.accept(offers, [taskInfo(agent.id)], { refuseSeconds: 0 });
  kit.stored();
  t.true(framework.row.tasks.has('t1'));
  kit.pass(2_000);
  t.is(framework.row.offers.size, 0);
  framework.call('REVIVE', {});
  t.is(published(kit.pass(0), 'OFFERS').length, 1);
  t.is(framework.row.offers.size, 2);
});

test('OFR-5: REVIVE clears filters at once, yet not the pause that keeps two from asking and refusing in a circle', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const framework = kit.framework('f1');
  framework.decline(kit.offersOf(framework), 3_600);
  kit.pass(1_000);
  framework.call('REVIVE', {});
  t.is(published(kit.pass(0), 'OFFERS').length, 1);
  framework.decline([...framework.row.offers.values()].map(({ offer }) => offer), 3_600); // prettier-ignore
  framework.call('REVIVE', {});
  const untilMs = untilOffered(kit, framework, 5_000);
  t.true(untilMs >= 50 && untilMs <= 100, `${untilMs}`);
});

test('OFR-4: an offer that is not answered stays as long as nobody else could use it, 5 min at most', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const framework = kit.framework('f1');
  kit.offersOf(framework);
  const effects = passAlive(kit, 299_000);
  t.deepEqual(bodies(effects, 'RESCIND'), []);
  const rescinded = bodies(passAlive(kit, 2_000), 'RESCIND');
  t.deepEqual(rescinded, [{ rescind: { offerId: `${kit.state.masterId}-O1` } }]);
  requireConservation(kit.state);
});

test('OFR-4 ALC-2: past 30 s an offer goes to another that could use it, and a framework that sits on offers starves nobody', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const hoarder = kit.framework('f1');
  const [offer] = kit.offersOf(hoarder);
  const other = kit.framework('f2');
  const early = passAlive(kit, 29_000);
  t.deepEqual(bodies(early, 'RESCIND'), []);
  const effects = passAlive(kit, 2_000);
  t.deepEqual(bodies(effects, 'RESCIND'), [{ rescind: { offerId: offer?.id } }]);
  t.is(published(effects, 'RESCIND')[0]?.session, hoarder.session);
  t.is(other.row.offers.size, 1, 'it gets what the hoarder had');
  t.is(hoarder.row.offers.size, 0);
  requireConservation(kit.state);
});

test('OFR-4: one that comes to want it later gets it soon after', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const hoarder = kit.framework('f1');
  kit.offersOf(hoarder);
  passAlive(kit, 60_000);
  t.is(hoarder.row.offers.size, 1);
  const other = kit.framework('f2');
  passAlive(kit, 4_000);
  t.is(other.row.offers.size, 1);
});

test('ALC-2: what is free goes to the framework that holds least', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1', 'cpus:2;mem:1024');
  const rich = kit.framework('f1');
  const resources = Resources.parse('cpus:2;mem:1024').toArray();
  rich.accept(kit.offersOf(rich), [taskInfo(agent.id, { resources })]);
  kit.stored();
  const poor = kit.framework('f2');
  kit.agent('a2');
  t.is(kit.offersOf(poor).length, 1);
  kit.agent('a3', 'cpus:1;mem:64');
  t.deepEqual(kit.offersOf(rich).map(({ hostname }) => hostname), ['a3']); // prettier-ignore
});

test('ALC-1: through any sequence of calls and messages each agent’s resources add up', (t) => {
  const step = fc.record({
    what: fc.constantFrom('accept', 'decline', 'finish', 'reregister', 'silence', 'suppress', 'revive', 'resubscribe', 'pass', 'store', 'agent', 'teardown'), // prettier-ignore
    which: fc.nat(9),
    ms: fc.constantFrom(0, 5, 25, 70, 1_000, 6_000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const kit = leadingMaster();
      const agents = [kit.agent('a1'), kit.agent('a2', 'cpus:1;mem:512')];
      const frameworks = [kit.framework('f1'), kit.framework('f2')];
      let tasks = 0;
      for (const { what, which, ms } of steps) {
        const framework = frameworks[which % frameworks.length] as SchedulerPeer;
        const agent = agents[which % agents.length] as (typeof agents)[0];
        const known = kit.state.frameworks.get(framework.id);
        const offers = [...(known?.offers.values() ?? [])].map(({ offer }) => offer);
        const mine = [...agent.row.tasks.values()].filter(({ stored }) => stored);
        if (what === 'accept' && offers[0] !== undefined)
          framework.accept(
            [offers[0]],
            Array.from({ length: which }, () => taskInfo(offers[0]?.agentId ?? '', { taskId: `t${++tasks}`, resources: Resources.parse('cpus:0.3;mem:100').toArray() })), // prettier-ignore
            { refuseSeconds: which - 2 },
          );
        else if (what === 'decline') framework.decline(offers, which);
        else if (what === 'finish' && mine[0] !== undefined && agent.row.state === 'REGISTERED')
          agent.update({ row: mine[0] }, which > 4 ? 'TASK_FAILED' : 'TASK_RUNNING'); // prettier-ignore
        else if (what === 'reregister') agent.reregister(mine.slice(1).map((row) => ({ row, state: row.state })));
        else if (what === 'silence') kit.pass(25_000);
        else if (what === 'suppress') framework.call('SUPPRESS', {});
        else if (what === 'revive') framework.call('REVIVE', {});
        else if (what === 'resubscribe') framework.subscribe();
        else if (what === 'teardown' && which === 9) framework.call('TEARDOWN', {});
        else if (what === 'agent' && agents.length < 4) agents.push(kit.agent());
        else if (what === 'store') kit.stored();
        kit.pass(ms);
        requireConservation(kit.state);
      }
      kit.stored();
      requireConservation(kit.state);
      t.pass();
    }),
    { numRuns: 150 },
  );
});

test('OFR-3: nothing is said to a framework that is not there', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const framework = kit.framework('f1');
  kit.pass(100);
  while (framework.row.connected) {
    kit.pass(2_000);
    for (const agent of kit.state.agents.values()) agent.missedHeartbeats = 0;
  }
  kit.agent('a2');
  const effects = passAlive(kit, 400_000);
  t.deepEqual(published(effects).filter(({ to }) => to.row === 'scheduler'), []); // prettier-ignore
});

/** Bounds of what goes in one message: operators' lists, offers, calls of schedulers. */
import test from 'ava';
import { NO_ROWS, pageOf } from '../../actors/master/pages.js';
import { complete } from '../../actors/master/tasks.js';
import type { Effect } from '../../actors/effect.js';
import { encodeMessage, encodeValue } from '../../protocol/codec.js';
import { MAX_MESSAGE_BYTES, MAX_PAGE_BYTES, MAX_PAGE_ROWS } from '../../protocol/limits.js';
import { bodyCheck } from '../../protocol/messages.js';
import type { Offer } from '../../protocol/offer.js';
import { operatorAnswers } from '../../protocol/operator-api.js';
import { check } from '../../protocol/schema.js';
import { bodies, meta, ofType } from '../support/actor-kit.js';
import { errors, leadingMaster, SchedulerPeer, taskInfo, type MasterKit } from '../support/master-kit.js';

const request = (kit: MasterKit, type: string, body: object = {}): Effect[] =>
  kit.send({ type: `operator.${type}`, meta: meta({ principal: 'o1', id: 'ask', reply: 'inbox' }), body } as never);

/** The inside of an answer, checked against its schema. */
function ask<T>(kit: MasterKit, type: keyof typeof operatorAnswers, member: string, asked: object): T {
  const [answer] = ofType(request(kit, type, { [member]: asked }), 'reply');
  requireFit(check(operatorAnswers[type])(answer?.body));
  return (answer?.body as Record<string, T>)[member] as T;
}
function requireFit(wrong: string | undefined): void {
  if (wrong !== undefined) throw new Error(wrong);
}

const agentRecords = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [
      `agent.x-S${i}`,
      { schemaVersion: 1, agentId: `x-S${i}`, principal: `p${i}`, agentInfo: { hostname: `h${i}` } },
    ]),
  );

test('OPR-4: pages follow each other until every row was there once, whatever comes and goes between them', (t) => {
  const rows = new Set(Array.from({ length: 100 }, (_, i) => `r${i}`));
  const list = { rows, idOf: (row: string) => row, view: (row: string) => ({ row }) };
  const seen: string[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages === 0 || cursor !== undefined; pages++) {
    const page = pageOf(list, NO_ROWS, { limit: 7, ...(cursor !== undefined && { cursor }) });
    t.true(page.first.length <= 7);
    seen.push(...page.first.map(({ row }) => row));
    cursor = page.next;
    // The row that the cursor names goes, one behind it comes.
    rows.delete(seen.at(-1) ?? '');
    rows.add(`z${pages}`);
    if (pages > 40) return t.fail('no end');
  }
  t.is(new Set(seen).size, seen.length);
  for (let i = 0; i < 100; i++) t.true(seen.includes(`r${i}`), `r${i}`);
});

test('OPR-4: a page is bounded in rows and in bytes, and has one row at least', (t) => {
  const rows = Array.from({ length: 6_000 }, (_, i) => i);
  const list = (bytes: number) => ({ rows, idOf: (row: number) => String(row).padStart(6, '0'), view: () => 'x'.repeat(bytes) }); // prettier-ignore
  t.is(pageOf(list(1), NO_ROWS, { limit: 1_000_000 }).first.length, MAX_PAGE_ROWS);
  const big = pageOf(list(100_000), NO_ROWS);
  t.true(encodeValue(big.first).length < MAX_PAGE_BYTES + 110_000);
  t.is(pageOf(list(MAX_PAGE_BYTES * 2), NO_ROWS).first.length, 1);
  t.deepEqual(pageOf({ ...list(1), rows: [] }, NO_ROWS), { first: [], second: [] });
});

test('OPR-4: agents, frameworks and offers come in pages', (t) => {
  const kit = leadingMaster({ records: agentRecords(5) });
  const page = ask<{ agents: { principal: string }[]; next?: string }>(kit, 'GET_AGENTS', 'getAgents', { limit: 3 });
  t.deepEqual(page.agents.map(({ principal }) => principal), ['p0', 'p1', 'p2']); // prettier-ignore
  const rest = ask<typeof page>(kit, 'GET_AGENTS', 'getAgents', { limit: 3, cursor: page.next });
  t.deepEqual(rest.agents.map(({ principal }) => principal), ['p3', 'p4']); // prettier-ignore
  t.is(rest.next, undefined);
  const framework = kit.framework('f1');
  kit.framework('f2').call('TEARDOWN', {});
  kit.stored();
  const first = ask<{ frameworks: object[]; completedFrameworks: object[]; next?: string }>(kit, 'GET_FRAMEWORKS', 'getFrameworks', { limit: 1 }); // prettier-ignore
  t.deepEqual([first.frameworks.length, first.completedFrameworks.length], [1, 0]);
  const second = ask<typeof first>(kit, 'GET_FRAMEWORKS', 'getFrameworks', { limit: 1, cursor: first.next });
  t.deepEqual([second.frameworks.length, second.completedFrameworks.length, second.next], [0, 1, undefined]);
  kit.agent('a1');
  kit.agent('a2');
  kit.offersOf(framework);
  const offers = ask<{ offers: Offer[]; next?: string }>(kit, 'GET_OFFERS', 'getOffers', { limit: 1 });
  const others = ask<typeof offers>(kit, 'GET_OFFERS', 'getOffers', { limit: 1, cursor: offers.next });
  t.not(offers.offers[0]?.id, others.offers[0]?.id);
});

test('OPR-4: ended tasks come behind the others, in the order in which they ended', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const framework = kit.framework('f1');
  kit.launch(framework, 'live1', 'live2');
  for (const taskId of ['z', 'a', 'm'])
    complete(kit.state, { taskId, name: 'n', frameworkId: 'f', agentId: 'a', state: 'TASK_KILLED' });
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const asked = { limit: 2, completed: true, ...(cursor !== undefined && { cursor }) };
    const page = ask<{ tasks: { taskId: string }[]; completedTasks: { taskId: string }[]; next?: string }>(kit, 'GET_TASKS', 'getTasks', asked); // prettier-ignore
    seen.push(...[...page.tasks, ...page.completedTasks].map(({ taskId }) => taskId));
    cursor = page.next;
  } while (cursor !== undefined);
  t.deepEqual(seen, ['live1', 'live2', 'z', 'a', 'm']);
});

test('LNK-5 ALC-2: offers that fill more than a message go in several OFFERS', (t) => {
  const kit = leadingMaster();
  for (let i = 0; i < 300; i++) {
    const agent = kit.agent(`a${i}`);
    agent.info = { ...agent.info, attributes: [{ name: 'x', type: 'TEXT', text: { value: 'x'.repeat(2_000) } }] };
    agent.reregister();
  }
  kit.framework('f1');
  const sent = bodies<{ offers: { offers: Offer[] } }>(kit.pass(100), 'OFFERS');
  t.true(sent.length > 4);
  t.is(sent.flatMap(({ offers }) => offers.offers).length, 300);
  const head = { type: 'OFFERS', sender: 'm1', session: 's'.repeat(200), epoch: 1, id: 'x'.repeat(200) };
  for (const body of sent) {
    const [bytes, ...more] = encodeMessage({ ...head, body }, () => 0);
    t.is(more.length, 0);
    t.true((bytes?.length ?? 0) <= MAX_MESSAGE_BYTES);
  }
});

test('LNK-5: a call that names too many tasks is refused with a word, and its offers stay', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const [offer] = kit.offersOf(framework);
  const infos = Array.from({ length: 10_001 }, (_, i) => taskInfo(agent.id, { taskId: `t${i}` }));
  const effects = framework.operate([offer?.id ?? ''], [{ type: 'LAUNCH', launch: { taskInfos: infos.slice(1) } }, { type: 'LAUNCH', launch: { taskInfos: infos.slice(0, 1) } }]); // prettier-ignore
  t.deepEqual(errors(effects), ['INVALID_MESSAGE']);
  t.regex(bodies<{ error: { message: string } }>(effects, 'ERROR')[0]?.error.message ?? '', /10001 tasks/);
  t.is(framework.row.offers.size, 1);
  t.is(kit.state.tasks.size, 0);
  const tasks = Array.from({ length: 10_001 }, (_, i) => ({ taskId: `t${i}` }));
  const wrong = bodyCheck('masterScheduler', 'RECONCILE')?.({ frameworkId: 'f', reconcile: { tasks } });
  t.is(wrong, 'does not fit its schema; its longest list, /reconcile/tasks, has 10001 items');
});

test('PRO-1: what is wrong with a huge call is said soon, and in a sentence of bounded length', (t) => {
  const reconcile = bodyCheck('masterScheduler', 'RECONCILE');
  const tasks = (count: number, task: unknown) => ({ frameworkId: 'f', reconcile: { tasks: Array(count).fill(task) } });
  t.is(reconcile?.(tasks(1, { taskId: 't' })), undefined);
  const before = process.cpuUsage();
  t.is(reconcile?.(tasks(1_900_000, 7)), '/reconcile/tasks/0 must be object');
  const { user } = process.cpuUsage(before);
  t.true(user < 1_500_000, `${user} µs`);
  const accept = bodyCheck('masterScheduler', 'ACCEPT');
  const offerFilters = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`${'x'.repeat(3_000)}${i}`, 7]));
  t.true((accept?.({ frameworkId: 'f', accept: offerFilters })?.length ?? 999) <= 500);
  const subscribe = bodyCheck('masterScheduler', 'SUBSCRIBE');
  const info = { user: 'u', name: 'n', offerFilters: { ['x'.repeat(3_000)]: 7 } };
  t.is(subscribe?.({ subscribe: { frameworkInfo: info } })?.length, 500);
});

test('FRW-4: a failover timeout has an upper bound', (t) => {
  const kit = leadingMaster();
  const subscribe = (failoverTimeout: number) => errors(new SchedulerPeer(kit, 'f', { failoverTimeout }).subscribe());
  t.deepEqual(subscribe(9_223_372_036), []);
  for (const timeout of [9_223_372_037, -1, NaN, Infinity]) t.deepEqual(subscribe(timeout), ['INVALID_FRAMEWORK']);
});

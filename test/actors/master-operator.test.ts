import test from 'ava';
import type { AgentView, FrameworkView } from '../../protocol/operator-api.js';
import { check } from '../../protocol/schema.js';
import { operatorAnswers } from '../../protocol/operator-api.js';
import { Resources } from '../../protocol/resources.js';
import type { Effect } from '../../actors/effect.js';
import { complete } from '../../actors/master/tasks.js';
import { meta, NOW, ofType, published, words } from '../support/actor-kit.js';
import { leadingMaster, taskInfo, type Launched, type MasterKit } from '../support/master-kit.js';

/** Sends a request; gives its effects. */
const request = (kit: MasterKit, type: string, body: object = {}, given = {}): Effect[] =>
  kit.send({ type: `operator.${type}`, meta: meta({ principal: 'o1', id: 'ask', reply: 'inbox', ...given }), body } as never); // prettier-ignore

/** The answer among effects, checked against its schema. */
function answerOf<T>(effects: readonly Effect[]): { message: string; body: T } {
  const [reply, ...others] = ofType(effects, 'reply');
  if (reply === undefined || others.length > 0) throw new Error(`${others.length + 1} answers`);
  const schema = operatorAnswers[reply.message as keyof typeof operatorAnswers];
  const wrong = check(schema)(reply.body);
  if (wrong !== undefined) throw new Error(`${reply.message}: ${wrong}`);
  return { message: reply.message, body: reply.body as T };
}
const ask = <T>(kit: MasterKit, type: string, body: object = {}) => answerOf<T>(request(kit, type, body)).body;
const errorOf = (effects: readonly Effect[]) => answerOf<{ error: { code: string; message: string } }>(effects).body.error; // prettier-ignore

test('OPR-1: GET_MASTER says who leads, in which epoch and since when', (t) => {
  const kit = leadingMaster();
  const { state } = kit;
  const answer = ask(kit, 'GET_MASTER');
  t.deepEqual(answer, {
    getMaster: {
      masterInfo: { id: state.masterId, hostname: 'host', version: '1', pid: 'm1' },
      epoch: state.epoch,
      electedTime: { nanoseconds: (NOW + state.electedAtMs - NOW) * 1e6 },
      registryInDoubt: false,
    },
  });
});

type Agents = { getAgents: { agents: AgentView[] } };
type Frameworks = { getFrameworks: { frameworks: FrameworkView[]; completedFrameworks: FrameworkView[] } };
type Tasks = { getTasks: { tasks: { taskId: string; state: string }[]; completedTasks: { taskId: string }[] } };

test('OPR-1: views show what is stored and no more', (t) => {
  const kit = leadingMaster();
  kit.send({
    type: 'agent.REGISTER',
    meta: meta({ principal: 'a1', id: 'i-q1' }),
    body: { agentInfo: { hostname: 'h', resources: Resources.parse('cpus:4;mem:512').toArray() }, version: '1' },
  } as never);
  t.deepEqual(ask<Agents>(kit, 'GET_AGENTS').getAgents.agents, []);
  kit.stored();
  t.is(ask<Agents>(kit, 'GET_AGENTS').getAgents.agents.length, 1);
  kit.send({
    type: 'scheduler.SUBSCRIBE',
    meta: meta({ principal: 'f1', id: 'j-q1' }),
    body: { subscribe: { frameworkInfo: { user: 'u', name: 'n' } } },
  } as never);
  t.deepEqual(ask<Frameworks>(kit, 'GET_FRAMEWORKS').getFrameworks.frameworks, []);
  kit.stored();
  t.is(ask<Frameworks>(kit, 'GET_FRAMEWORKS').getFrameworks.frameworks.length, 1);

  const framework = kit.framework('f2');
  kit.agent('a2');
  const [offer] = kit.offersOf(framework);
  framework.accept([offer ?? ''], [taskInfo(offer?.agentId ?? '')]);
  const counts = () => [
    ask<Tasks>(kit, 'GET_TASKS').getTasks.tasks.length,
    ...ask<Agents>(kit, 'GET_AGENTS').getAgents.agents.map(({ tasks, allocatedResources }) => tasks + allocatedResources.length), // prettier-ignore
    ...ask<Frameworks>(kit, 'GET_FRAMEWORKS').getFrameworks.frameworks.map(({ tasks, allocatedResources }) => tasks + allocatedResources.length), // prettier-ignore
  ];
  t.deepEqual(counts().filter((count) => count > 0), []); // prettier-ignore
  kit.stored();
  t.deepEqual(counts().filter((count) => count > 0), [1, 3, 3]); // prettier-ignore
});

test('OPR-1: an agent’s view says its state and who has what of it', (t) => {
  const kit = leadingMaster({
    records: { 'agent.o-S1': { schemaVersion: 1, agentId: 'o-S1', principal: 'o1', agentInfo: { hostname: 'old' } } },
  });
  const agent = kit.agent('a1', 'cpus:4;mem:4096');
  const framework = kit.framework('f1');
  const [one] = kit.launch(framework, 't1');
  kit.offersOf(framework);
  const [view, old] = ask<Agents>(kit, 'GET_AGENTS').getAgents.agents;
  t.like(old, { active: false, state: 'RECOVERED', principal: 'o1' });
  t.like(view, { principal: 'a1', active: true, state: 'REGISTERED', version: '1', tasks: 1 });
  t.is(view?.agentInfo.id, agent.id);
  const cpus = (list: AgentView['totalResources'] | undefined) => Resources.of(list).scalar('cpus');
  t.deepEqual([cpus(view?.totalResources), cpus(view?.allocatedResources), cpus(view?.offeredResources)], [4_000, 1_000, 3_000]); // prettier-ignore
  agent.update(one as never, 'TASK_FINISHED');
  const [after] = ask<Agents>(kit, 'GET_AGENTS').getAgents.agents;
  t.deepEqual([cpus(after?.allocatedResources), after?.tasks], [0, 1], 'it has ended and is still listed');
  agent.say('UNREGISTER', {});
  t.like(ask<Agents>(kit, 'GET_AGENTS').getAgents.agents[0], { active: false, state: 'UNREACHABLE' });
});

test('OPR-1: a framework’s view, and those that are gone', (t) => {
  const kit = leadingMaster();
  kit.agent('a1');
  const framework = kit.framework('f1');
  kit.launch(framework, 't1');
  kit.offersOf(framework);
  const [view] = ask<Frameworks>(kit, 'GET_FRAMEWORKS').getFrameworks.frameworks;
  t.like(view, { principal: 'f1', active: true, connected: true, recovered: false, suppressed: false, offers: 1, tasks: 1 }); // prettier-ignore
  t.is(view?.frameworkInfo.id, framework.id);
  t.is(typeof view?.registeredTime?.nanoseconds, 'number');
  framework.call('SUPPRESS', {});
  t.true(ask<Frameworks>(kit, 'GET_FRAMEWORKS').getFrameworks.frameworks[0]?.suppressed);
  const gone = kit.framework('f2');
  gone.call('TEARDOWN', {});
  kit.stored();
  const { frameworks, completedFrameworks } = ask<Frameworks>(kit, 'GET_FRAMEWORKS').getFrameworks;
  t.deepEqual([frameworks.length, completedFrameworks.map(({ principal }) => principal)], [1, ['f2']]); // prettier-ignore
});

test('OPR-1: tasks by framework and name, ended ones when they are asked for', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const [first, second] = [kit.framework('f1'), kit.framework('f2')];
  const [one] = kit.launch(first, 't1', 't2');
  kit.agent('a2');
  kit.launch(second, 't1');
  first.acknowledge(agent.update(one as never, 'TASK_FINISHED').status);
  kit.stored();
  const ids = (getTasks: object) => {
    const { tasks, completedTasks } = ask<Tasks>(kit, 'GET_TASKS', { getTasks }).getTasks;
    return [tasks.map(({ taskId }) => taskId), completedTasks.map(({ taskId }) => taskId)];
  };
  t.deepEqual(ids({}), [['t2', 't1'], []]);
  t.deepEqual(ids({ completed: true }), [['t2', 't1'], ['t1']]);
  t.deepEqual(ids({ frameworkId: first.id, completed: true }), [['t2'], ['t1']]);
  t.deepEqual(ids({ taskId: 't2' }), [['t2'], []]);
  t.deepEqual(ids({ frameworkId: 'x', completed: true }), [[], []]);
  t.is((ask(kit, 'GET_OFFERS') as { getOffers: { offers: unknown[] } }).getOffers.offers.length, kit.state.offers.size); // prettier-ignore
});

test('OPR-1: of ended tasks the newest 1,000 are kept, and not many more', (t) => {
  const { state } = leadingMaster();
  const view = (taskId: string) => ({ taskId, name: 'n', frameworkId: 'f', agentId: 'a', state: 'TASK_KILLED' as const }); // prettier-ignore
  for (let i = 0; i < 5_000; i++) {
    complete(state, view(`t${i}`));
    t.true(state.completedTasks.length <= 1_250 && state.completedTasks.length >= Math.min(i + 1, 1_000));
  }
  t.is(state.completedTasks.at(-1)?.taskId, 't4999');
});

test('OPR-2: an operator’s kill finds a task by its id; if several frameworks have it, it asks which', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const first = kit.framework('f1');
  kit.launch(first, 't1', 'only');
  kit.agent('a2');
  const second = kit.framework('f2');
  kit.launch(second, 't1');
  const kill = (killTask: object) => request(kit, 'KILL_TASK', { killTask });
  t.deepEqual(words(kill({ taskId: 'only', killPolicy: { gracePeriod: { nanoseconds: 1e9 } } })), [
    `persist task.${first.row.tasks.get('only')?.launchId}`,
  ]);
  const killed = kit.stored();
  t.deepEqual(words(killed), ['publish KILL_TASK', 'reply KILL_TASK']);
  t.like(published(killed)[0]?.body as object, { taskId: 'only', killPolicy: { gracePeriod: { nanoseconds: 1e9 } } });
  t.deepEqual(answerOf(killed).body, { killTask: { frameworkId: first.id, taskId: 'only', agentId: agent.id } });
  const ambiguous = kill({ taskId: 't1' });
  t.deepEqual(words(ambiguous), ['reply ERROR']);
  t.is(errorOf(ambiguous).code, 'AMBIGUOUS_TASK');
  for (const id of [first.id, second.id]) t.true(errorOf(ambiguous).message.includes(id));
  kill({ taskId: 't1', frameworkId: second.id });
  t.deepEqual(words(kit.stored()), ['publish KILL_TASK', 'reply KILL_TASK']);
  for (const killTask of [{ taskId: 'none' }, { taskId: 'only', frameworkId: second.id }])
    t.is(errorOf(kill(killTask)).code, 'UNKNOWN_TASK');
});

test('OPR-3 KIL-1: a kill of a task whose record is on its way is answered when both are stored', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  framework.accept(kit.offersOf(framework), [taskInfo(agent.id)]);
  t.deepEqual(ofType(request(kit, 'KILL_TASK', { killTask: { taskId: 't1' } }), 'reply'), []);
  t.deepEqual(words(kit.storeOne()), ['publish RUN_TASK']);
  t.deepEqual(words(kit.storeOne()), ['publish KILL_TASK', 'reply KILL_TASK']);
});

test('OPR-3: a kill of a task that has ended says so, before and after its row is gone', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const [one] = kit.launch(framework, 't1') as [Launched];
  const { status } = agent.update(one, 'TASK_FAILED');
  const kill = () => errorOf(request(kit, 'KILL_TASK', { killTask: { taskId: 't1' } }));
  t.is(kill().code, 'TASK_ENDED');
  framework.acknowledge(status);
  kit.stored();
  t.is(kill().code, 'TASK_ENDED');
  t.regex(kill().message, /TASK_FAILED/);
});

test('OPR-3 REG-3: a teardown is answered when it is stored, however often it is asked for', (t) => {
  const kit = leadingMaster();
  const framework = kit.framework('f1');
  const tear = (id: string) => request(kit, 'TEARDOWN', { teardown: { frameworkId: framework.id } }, { id, reply: id });
  t.deepEqual(words(tear('one')), [`persist framework.${framework.id}`]);
  t.deepEqual(words(tear('two')), [], 'not before the first one is stored');
  const effects = kit.storeOne();
  t.deepEqual(ofType(effects, 'reply').map(({ to, message }) => [to, message]), [['one', 'TEARDOWN'], ['two', 'TEARDOWN']]); // prettier-ignore
  t.is(ofType(tear('three'), 'reply')[0]?.message, 'TEARDOWN');
  kit.stored();
  t.is(errorOf(tear('four')).code, 'UNKNOWN_FRAMEWORK');
});

test('PRO-1 OPR-3: a request that does not fit is answered; one without an inbox is done without an answer', (t) => {
  const kit = leadingMaster();
  const invalid = { call: 'KILL_TASK', wrong: '/killTask is missing', frameworkId: undefined };
  const effects = request(kit, 'INVALID', invalid);
  t.like(errorOf(effects), { code: 'INVALID_MESSAGE' });
  t.regex(errorOf(effects).message, /KILL_TASK: \/killTask is missing/);
  t.deepEqual(words(request(kit, 'GET_MASTER', {}, { reply: undefined })), []);
});

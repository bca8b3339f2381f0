import test from 'ava';
import type { Operation } from '../../protocol/offer.js';
import type { Resource } from '../../protocol/resource.js';
import { Resources } from '../../protocol/resources.js';
import type { TaskInfo } from '../../protocol/task.js';
import { bodies, published, words } from '../support/actor-kit.js';
import { taskResources } from '../../actors/master/validation.js';
import { leadingMaster, requireConservation, statuses, statusWords, taskInfo } from '../support/master-kit.js';

const resourcesOf = (text: string): Resource[] => Resources.parse(text).toArray();

/** A framework with offers of two agents. */
function offered() {
  const kit = leadingMaster();
  const [one, two] = [kit.agent('a1', 'cpus:4;mem:4096;ports:[1-9]'), kit.agent('a2')];
  const framework = kit.framework('f1');
  const [first, second] = kit.offersOf(framework);
  if (first === undefined || second === undefined) throw new Error('no offers');
  return { kit, one, two, framework, first, second };
}

test('ACC-4 REG-3: a task is stored, then sent to its agent, as the framework gave it and under the role of its offers', (t) => {
  const { kit, one, framework, first } = offered();
  const info = taskInfo(one.id, { labels: { labels: [{ key: 'k', value: 'v' }] }, killPolicy: { gracePeriod: { nanoseconds: 5e9 } } }); // prettier-ignore
  const launchId = `${kit.state.masterId}-L1`;
  t.deepEqual(words(framework.accept([first], [info])), [`persist task.${launchId}`]);
  const effects = kit.stored();
  t.deepEqual(words(effects), ['publish RUN_TASK']);
  const [run] = published(effects, 'RUN_TASK');
  const resources = taskResources(info, '*').toArray();
  t.deepEqual(run?.body, { frameworkId: framework.id, frameworkInfo: framework.row.info, task: { ...info, resources }, launchId }); // prettier-ignore
  t.is(run?.session, one.session);
  t.is(run?.cause, `f1-${framework.session}-${framework.sequence}`);
  t.like(kit.registry.get(`task.${launchId}`) as object, {
    schemaVersion: 1,
    launchId,
    taskId: 't1',
    frameworkId: framework.id,
    agentId: one.id,
    labels: info.labels,
    killPolicy: info.killPolicy,
  });
  t.is(framework.row.tasks.get('t1')?.state, 'TASK_STAGING');
});

test('LCH-1 ACC-4: each launch has an id of its own and a row of its own, also of a task id that is used again', (t) => {
  const { kit, one, framework, first } = offered();
  framework.accept([first], [taskInfo(one.id, { taskId: 'x' }), taskInfo(one.id, { taskId: 'y' })], { refuseSeconds: 0 }); // prettier-ignore
  t.deepEqual(kit.unanswered.map(({ writes }) => writes.length), [1, 1]); // prettier-ignore
  const [run] = published(kit.stored(), 'RUN_TASK');
  const row = framework.row.tasks.get('x');
  if (row === undefined) return t.fail();
  framework.acknowledge(one.update({ row }, 'TASK_FINISHED').status);
  kit.stored();
  const [again] = kit.launch(framework, 'x');
  t.not(again?.launchId, (run?.body as { launchId: string }).launchId);
  t.is(again?.launchId, `${kit.state.masterId}-L3`);
});

test('ACC-4 LCH-2: if the agent has gone meanwhile nothing is sent; it hears of the launch when it is back', (t) => {
  const { kit, one, framework, first } = offered();
  framework.accept([first], [taskInfo(one.id)]);
  one.say('UNREGISTER', {});
  t.deepEqual(published(kit.stored(), 'RUN_TASK'), []);
  const [answer] = bodies<{ launches: unknown[] }>(one.reregister(), 'REREGISTERED');
  t.is(answer?.launches.length, 1);
});

test('OFR-1 ACC-1: the offers of an ACCEPT are checked first and together', (t) => {
  type World = ReturnType<typeof offered> & { foreign: string };
  const cases: [string, (world: World) => string[], RegExp, left: number][] = [
    ['none', () => [], /names no offers/, 2],
    ['twice', ({ first }) => [first.id, first.id], /named twice/, 1],
    ['unknown', ({ first }) => [first.id, 'x-O9'], /x-O9 is no longer valid/, 1],
    ['only unknown', () => ['x-O9'], /x-O9 is no longer valid/, 2],
    ['another’s', ({ first, foreign }) => [first.id, foreign], /of another framework/, 1],
    ['two agents', ({ first, second }) => [first.id, second.id], /more than one agent/, 0],
    [
      'an agent that is away',
      ({ first, one }) => {
        one.row.state = 'UNREACHABLE';
        return [first.id];
      },
      /not connected/,
      1,
    ],
    [
      'two roles',
      ({ kit, first, second }) => {
        const row = kit.state.offers.get(second.id);
        kit.state.offers.set(second.id, { ...(row as NonNullable<typeof row>), role: 'ads' });
        return [first.id, second.id];
      },
      /more than one role/,
      0,
    ],
  ];
  for (const [name, choose, reason, left] of cases) {
    const world = offered();
    const { kit, one, framework } = world;
    kit.agent('a3');
    const other = kit.framework('f2');
    const [foreign] = kit.offersOf(other);
    const offerIds = choose({ ...world, foreign: foreign?.id ?? '' });
    const tasks = [taskInfo(one.id, { taskId: 'x' }), taskInfo(one.id, { taskId: 'y' })];
    const effects = framework.operate(offerIds, [
      { type: 'LAUNCH', launch: { taskInfos: tasks } },
      { type: 'LAUNCH_GROUP', launchGroup: { executor: { executorId: 'e' } as never, taskGroup: { tasks: [taskInfo(one.id, { taskId: 'z' })] } } }, // prettier-ignore
    ]);
    t.deepEqual(statusWords(effects), ['x', 'y', 'z'].map((id) => `${id} TASK_DROPPED REASON_INVALID_OFFERS`), name); // prettier-ignore
    t.regex(statuses(effects)[0]?.message ?? '', reason, name);
    t.deepEqual(kit.unanswered, [], name);
    t.is(framework.row.offers.size, left, `${name}: the offers named are gone, the others are not`);
    t.is(other.row.offers.size, 1, `${name}: another’s offer stays`);
    if (name !== 'two roles') requireConservation(kit.state);
  }
});

test('ACC-1 ACC-5: operations of an ACCEPT without valid offers are answered as well, if they ask for it', (t) => {
  const { framework } = offered();
  const effects = framework.operate(
    ['x-O9'],
    [
      { type: 'RESERVE', id: 'op1', reserve: {} },
      { type: 'UNRESERVE', unreserve: {} },
    ],
  );
  const told = bodies<{ updateOperationStatus: { status: Record<string, unknown> } }>(effects, 'UPDATE_OPERATION_STATUS'); // prettier-ignore
  t.is(told.length, 1);
  t.like(told[0]?.updateOperationStatus.status, { operationId: 'op1', state: 'OPERATION_ERROR' });
});

test('ACC-1: several offers of one agent are used together', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1', 'cpus:4;mem:4096');
  const framework = kit.framework('f1');
  const [task] = kit.launch(framework, { taskId: 't1', resources: resourcesOf('cpus:2;mem:1024') });
  kit.offersOf(framework);
  agent.update(task as never, 'TASK_FINISHED');
  const offers = kit.offersOf(framework);
  t.is(offers.length, 2);
  framework.accept(offers, [taskInfo(agent.id, { taskId: 't2', resources: resourcesOf('cpus:4;mem:4096') })]);
  kit.stored();
  t.true(framework.row.tasks.has('t2'));
  requireConservation(kit.state);
});

test('ACC-2: operations are walked in order, each from what the ones before have left', (t) => {
  const { kit, one, framework, first } = offered();
  const launch = (taskId: string, text: string): Operation => ({
    type: 'LAUNCH',
    launch: { taskInfos: [taskInfo(one.id, { taskId, resources: resourcesOf(text) })] },
  });
  const operations = [launch('x', 'cpus:3;mem:32'), launch('y', 'cpus:2;mem:32'), launch('z', 'cpus:1;mem:32')];
  const effects = framework.operate([first], operations);
  t.deepEqual(words(effects), ['persist', 'publish UPDATE', 'persist'].map((word, at) => (word === 'persist' ? `persist task.${kit.state.masterId}-L${at === 0 ? 1 : 2}` : word))); // prettier-ignore
  t.deepEqual(statusWords(effects), ['y TASK_ERROR REASON_TASK_INVALID']);
  t.regex(statuses(effects)[0]?.message ?? '', /wants cpus:2; mem:32, the offers have cpus:1; mem:4064; ports:\[1-9\] left/); // prettier-ignore
  requireConservation(kit.state);
});

test('ACC-3: of two tasks a bad one gets TASK_ERROR and the other runs', (t) => {
  const { kit, one, framework, first } = offered();
  const effects = framework.accept([first], [taskInfo(one.id, { taskId: 'bad', resources: [] }), taskInfo(one.id, { taskId: 'good' })]); // prettier-ignore
  t.deepEqual(statusWords(effects), ['bad TASK_ERROR REASON_TASK_INVALID']);
  t.deepEqual(bodies<{ task: TaskInfo }>(kit.stored(), 'RUN_TASK').map(({ task }) => task.taskId), ['good']); // prettier-ignore
  t.false(framework.row.tasks.has('bad'));
  requireConservation(kit.state);
});

const executor = { executorId: 'e', type: 'CUSTOM' } as TaskInfo['executor'] & object;
const scalar = (name: string, value: number): Resource => ({ name, type: 'SCALAR', scalar: { value } });

test('ACC-3: the checks of a task, in the order of Mesos: of two faults the earlier one is told', (t) => {
  /** Each fault with what is said of it. All are wrong at once where they can be; from the last to the first. */
  const faults: [Partial<TaskInfo>, RegExp][] = [
    [{ taskId: 'a/b' }, /task id is not legal/],
    [{ taskId: 'used' }, /used is in use/],
    [{ agentId: 'x-S9' }, /names agent x-S9, the offers are of/],
    [{ killPolicy: { gracePeriod: { nanoseconds: -1 } } }, /gracePeriod is negative/],
    [{ maxCompletionTime: { nanoseconds: -1 } }, /maxCompletionTime is negative/],
    [{ resources: [] }, /asks for no resources/],
    [{ command: { value: 'x', environment: { variables: [{ name: 'V' }] } } }, /variable V has no value/],
    [{ container: { type: 'MESOS' } }, /containers with an image or volumes are not supported yet/],
    [{ executor }, /exactly one of command and executor/],
  ];
  for (let at = 0; at < faults.length; at++) {
    const { one, framework, kit } = offered();
    kit.launch(framework, { taskId: 'used', resources: resourcesOf('cpus:0.1;mem:1') });
    const [offer] = kit.offersOf(framework).filter(({ agentId }) => agentId === one.id);
    const info = Object.assign(
      taskInfo(one.id),
      ...faults
        .slice(at)
        .reverse()
        .map(([fault]) => fault),
    ) as TaskInfo;
    const [status] = statuses(framework.accept([offer ?? ''], [info]));
    t.regex(status?.message ?? 'launched', faults[at]?.[1] as RegExp, `fault ${at}`);
    t.like(status, { state: 'TASK_ERROR', reason: 'REASON_TASK_INVALID', source: 'SOURCE_MASTER' });
  }
});

test('ACC-3: each fault of a task is told with its reason', (t) => {
  const table: [string, Partial<TaskInfo>, RegExp][] = [
    ['negative', { resources: [scalar('cpus', -1)] }, /resource/i],
    ['zero', { resources: [scalar('cpus', 0)] }, /resource/i],
    ['nothing to run', { command: undefined as never }, /exactly one of command and executor/],
    ['no value', { command: {} }, /command.value is missing/],
    ['no value in a shell', { command: { shell: true } }, /command.value is missing/],
    [
      'a time of its own until it is unreachable',
      { unreachableAfterSeconds: 1 },
      /unreachableAfterSeconds is not supported yet/,
    ],
    ['files to fetch', { command: { value: 'x', uris: [{ value: 'http://x' }] } }, /uris are not supported yet/],
    ['a variable without value', { command: { value: 'x', environment: { variables: [{ name: 'V', type: 'VALUE' }] } } }, /variable V has no value/], // prettier-ignore
    ['a secret', { command: { value: 'x', environment: { variables: [{ name: 'V', type: 'SECRET', secret: { value: { data: new Uint8Array(1) } } }] } } }, /variable V is a secret; secrets are not supported yet/], // prettier-ignore
    ['too much', { resources: resourcesOf('cpus:4.001;mem:32') }, /wants cpus:4.001; mem:32/],
    ['ports that are not there', { resources: resourcesOf('cpus:1;ports:[9-10]') }, /wants/],
    ['something unknown', { resources: resourcesOf('gpus:1') }, /wants gpus:1/],
  ];
  for (const [name, fault, reason] of table) {
    const { kit, one, framework, first } = offered();
    const info = { ...taskInfo(one.id), ...fault };
    const [status, ...others] = statuses(framework.accept([first], [info]));
    t.is(others.length, 0);
    t.is(status?.state, 'TASK_ERROR', name);
    t.regex(status?.message ?? 'launched', reason, name);
    t.deepEqual(kit.unanswered, [], name);
    requireConservation(kit.state);
  }
});

test('ACC-3: what is right passes', (t) => {
  const table: Partial<TaskInfo>[] = [
    { command: { shell: false, value: '/bin/true', arguments: ['true'] } },
    { command: { shell: false } },
    { resources: resourcesOf('cpus:4;mem:4096;ports:[1-9]') },
    { resources: resourcesOf('cpus:0.001') },
    { resources: [{ ...scalar('cpus', 1), allocationInfo: { role: '*' } }] },
    { killPolicy: { gracePeriod: { nanoseconds: 0 } }, maxCompletionTime: { nanoseconds: 0 } },
    { command: { value: 'x', environment: { variables: [{ name: 'V', value: '' }] } } },
  ];
  for (const good of table) {
    const { kit, one, framework, first } = offered();
    t.deepEqual(statusWords(framework.accept([first], [taskInfo(one.id, good)])), [], JSON.stringify(good));
    t.is(kit.unanswered.length, 1);
  }
});

test('ACC-3: one task id is launched once, within a call and beside what runs', (t) => {
  const { kit, one, framework, first } = offered();
  const twice = framework.accept([first], [taskInfo(one.id), taskInfo(one.id)], { refuseSeconds: 0 });
  t.deepEqual(statusWords(twice), ['t1 TASK_ERROR REASON_TASK_INVALID']);
  kit.stored();
  const [offer] = kit.offersOf(framework);
  const again = framework.accept([offer ?? ''], [taskInfo(offer?.agentId ?? '')], { refuseSeconds: 0 });
  t.regex(statuses(again)[0]?.message ?? '', /task id t1 is in use/);
  const other = kit.framework('f2');
  kit.agent('a3');
  const [free] = kit.offersOf(other);
  t.deepEqual(
    statusWords(other.accept([free ?? ''], [taskInfo(free?.agentId ?? '')])),
    [],
    'ids are a framework’s own',
  );
});

test('ACC-3 ACC-5: a group is refused as a whole, an id of a LAUNCH too, and the rest goes on', (t) => {
  const { kit, one, framework, first } = offered();
  const task = (taskId: string) => taskInfo(one.id, { taskId });
  const effects = framework.operate([first], [
    { type: 'LAUNCH', id: 'op', launch: { taskInfos: [task('x')] } },
    { type: 'LAUNCH_GROUP', launchGroup: { executor: executor as never, taskGroup: { tasks: [task('g1'), task('g2')] } } }, // prettier-ignore
    { type: 'LAUNCH', launch: { taskInfos: [task('z')] } },
  ]); // prettier-ignore
  t.deepEqual(statusWords(effects), [
    'x TASK_ERROR REASON_TASK_INVALID',
    'g1 TASK_ERROR REASON_TASK_GROUP_INVALID',
    'g2 TASK_ERROR REASON_TASK_GROUP_INVALID',
  ]);
  t.is(published(kit.stored(), 'RUN_TASK').length, 1);
});

test('ACC-5: operations that are not there yet are refused by name, those around them are not', (t) => {
  const { kit, one, framework, first } = offered();
  const disk = scalar('disk', 1);
  const bodiesOf: Operation[] = [
    { type: 'RESERVE', id: 'o1', reserve: {} },
    { type: 'UNRESERVE', id: 'o2', unreserve: {} },
    { type: 'CREATE', id: 'o3', create: {} },
    { type: 'DESTROY', id: 'o4', destroy: {} },
    { type: 'GROW_VOLUME', id: 'o5', growVolume: { volume: disk, addition: disk } },
    { type: 'SHRINK_VOLUME', id: 'o6', shrinkVolume: { volume: disk, subtract: { value: 1 } } },
    { type: 'CREATE_DISK', id: 'o7', createDisk: { source: disk, targetType: 'MOUNT' } },
    { type: 'DESTROY_DISK', id: 'o8', destroyDisk: { source: disk } },
    { type: 'LAUNCH', launch: { taskInfos: [taskInfo(one.id)] } },
  ];
  const effects = framework.operate([first], bodiesOf);
  const told = bodies<{ updateOperationStatus: { status: { operationId: string; state: string; message: string } } }>(effects, 'UPDATE_OPERATION_STATUS').map(({ updateOperationStatus }) => updateOperationStatus.status); // prettier-ignore
  t.deepEqual(told.map(({ operationId }) => operationId), ['o1', 'o2', 'o3', 'o4', 'o5', 'o6', 'o7', 'o8']); // prettier-ignore
  for (const [at, { state, message }] of told.entries()) {
    t.is(state, 'OPERATION_ERROR');
    t.is(message, `${bodiesOf[at]?.type} is not supported yet.`);
  }
  t.is(published(kit.stored(), 'RUN_TASK').length, 1);
});

test('ACC-2: an ACCEPT without operations is a decline', (t) => {
  const { kit, framework, first } = offered();
  t.deepEqual(words(framework.operate([first], [], { refuseSeconds: 60 })), []);
  kit.pass(2_000);
  t.is(framework.row.offers.size, 1);
  requireConservation(kit.state);
});

import test from 'ava';
import type { Effect } from '../../actors/effect.js';
import type { ExecutorRow, TaskRow } from '../../actors/master/master-state.js';
import type { MasterToAgentBody } from '../../protocol/agent-api.js';
import type { ExecutorInfo } from '../../protocol/executor.js';
import type { ExecutorRecord } from '../../protocol/registry.js';
import { Resources } from '../../protocol/resources.js';
import type { SchedulerEventBody } from '../../protocol/scheduler-api.js';
import type { TaskInfo } from '../../protocol/task.js';
import { bodies, meta, published, words } from '../support/actor-kit.js';
import {
  AgentPeer,
  leadingMaster,
  SchedulerPeer,
  requireConservation,
  statusWords,
  taskInfo,
  type MasterKit,
} from '../support/master-kit.js';

const executor: ExecutorInfo = {
  executorId: 'e1',
  command: { value: './e' },
  resources: Resources.parse('cpus:0.5;mem:64').toArray(),
};

/** A task for an executor. */
const on = (agentId: string, taskId: string, info: object = executor, given: Partial<TaskInfo> = {}): TaskInfo => {
  const { command: _, ...task } = taskInfo(agentId, { taskId, ...given });
  return { ...task, executor: info as ExecutorInfo };
};

function cluster(resources?: string) {
  const kit = leadingMaster();
  const agent = kit.agent('a1', resources);
  const framework = kit.framework('f1');
  const launch = (...tasks: TaskInfo[]): Effect[] => {
    const [offer] = kit.offersOf(framework);
    if (offer === undefined) throw new Error('no offer');
    return [...framework.accept([offer], tasks, { refuseSeconds: 0 }), ...kit.stored()];
  };
  return { kit, agent, framework, launch };
}

const ran = (effects: readonly Effect[]) => bodies<MasterToAgentBody<'RUN_TASK'>>(effects, 'RUN_TASK');
const failures = (effects: readonly Effect[]) =>
  bodies<SchedulerEventBody<'FAILURE'>>(effects, 'FAILURE').map(({ failure }) => failure);
const freeOf = (kit: MasterKit, agentId: string): string => {
  let sum = kit.state.allocator.free(agentId);
  for (const offer of kit.state.agents.get(agentId)?.offers.values() ?? []) sum = sum.add(offer.resources.unallocate());
  return String(sum);
};

test('EXC-9 EXC-1 REG-1: the first task stores its executor in one decision and names the run; the next ones name the same', (t) => {
  const { kit, agent, framework, launch } = cluster('cpus:4;mem:4096');
  const [offer] = kit.offersOf(framework);
  const effects = framework.accept([offer as never], [on(agent.id, 't1'), on(agent.id, 't2')], { refuseSeconds: 0 });
  const [l1, l2] = [1, 2].map((count) => `${kit.state.masterId}-L${count}`);
  t.deepEqual(words(effects), [`persist executor.${l1}-E task.${l1}`, `persist task.${l2}`]);
  const info = { ...executor, frameworkId: framework.id };
  const [one, two] = ran(kit.stored());
  const sent = { ...info, resources: kit.state.executors.get(`${l1}-E`)?.resources.toArray() };
  t.is(sent.resources?.[0]?.allocationInfo?.role, '*');
  t.deepEqual([one?.containerId, one?.executor], [`${l1}-E`, sent]);
  t.deepEqual([two?.containerId, two?.executor], [`${l1}-E`, sent]);
  const record = kit.registry.get(`executor.${l1}-E`) as ExecutorRecord;
  t.like(record, { containerId: `${l1}-E`, agentId: agent.id, frameworkId: framework.id, info });
  t.is(freeOf(kit, agent.id), 'cpus:1.5; mem:3776');
  t.is(ran(launch(on(agent.id, 't3', { frameworkId: framework.id, ...executor })))[0]?.containerId, `${l1}-E`);
  t.is(freeOf(kit, agent.id), 'cpus:0.5; mem:3648');
  t.deepEqual(kit.offersOf(framework)[0]?.executorIds, ['e1']);
  requireConservation(kit.state);
});

test('EXC-9 ACC-3: an executor that cannot be run is an error of its task alone', (t) => {
  const { agent, launch } = cluster();
  const cases: [object, RegExp][] = [
    [{ ...executor, type: 'DEFAULT' }, /task groups/],
    [{ ...executor, command: undefined }, /executor.command is missing/],
    [{ ...executor, command: { shell: true } }, /executor: command.value is missing/],
    [{ ...executor, frameworkId: 'another' }, /of framework another/],
    [{ ...executor, shutdownGracePeriod: { nanoseconds: -1 } }, /shutdownGracePeriod is negative/],
    [{ ...executor, container: { type: 'MESOS' } }, /image or volumes/],
    [{ ...executor, resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: -1 } }] }, /executor: /],
    [{ ...executor, resources: Resources.parse('cpus:9').toArray() }, /wants .* left/],
  ];
  const tasks = cases.map(([info], at) => on(agent.id, `t${at}`, info));
  const effects = launch(...tasks, on(agent.id, 'good'));
  const errors = bodies<SchedulerEventBody<'UPDATE'>>(effects, 'UPDATE').map(({ update }) => update.status);
  for (const [at, [, wrong]] of cases.entries()) t.regex(errors[at]?.message ?? '', wrong);
  t.deepEqual(ran(effects).map(({ task }) => task.taskId), ['good']); // prettier-ignore
});

test('EXC-9: a second ExecutorInfo under the same id is refused, the same one in another order is not', (t) => {
  const { agent, launch } = cluster();
  launch(on(agent.id, 't1', { ...executor, data: Uint8Array.of(1) }));
  const turned = { data: Uint8Array.of(1), resources: executor.resources, command: executor.command, executorId: 'e1' };
  const effects = launch(
    on(agent.id, 't2', { ...executor, data: Uint8Array.of(2) }),
    on(agent.id, 't3', executor),
    on(agent.id, 't4', turned),
  );
  t.deepEqual(statusWords(effects), ['t2 TASK_ERROR REASON_TASK_INVALID', 't3 TASK_ERROR REASON_TASK_INVALID']);
  t.deepEqual(ran(effects).map(({ task }) => task.taskId), ['t4']); // prettier-ignore
});

test('EXC-8 EXC-9: when it has ended its resources are free, its row goes, and its framework hears of it; the next task starts another run', (t) => {
  const { kit, agent, framework, launch } = cluster('cpus:4;mem:4096');
  const [run] = ran(launch(on(agent.id, 't1')));
  const { containerId = '' } = run ?? {};
  const named = { frameworkId: framework.id, executorId: 'e1', containerId };
  const effects = [...agent.say('EXITED_EXECUTOR', { ...named, status: 9 }), ...kit.stored()];
  t.deepEqual(failures(effects), [{ agentId: agent.id, executorId: 'e1', status: 9 }]);
  t.false(kit.has('executor', containerId));
  t.is(freeOf(kit, agent.id), 'cpus:3; mem:3968');
  requireConservation(kit.state);
  t.deepEqual(words(agent.say('EXITED_EXECUTOR', { ...named, status: 9 })), []);
  const [again] = ran(launch(on(agent.id, 't2')));
  t.is(again?.containerId, `${again?.launchId}-E`);
});

test('EXC-8: another agent’s word on it does not count', (t) => {
  const { kit, agent, framework, launch } = cluster();
  const [run] = ran(launch(on(agent.id, 't1')));
  const other = kit.agent('a2');
  const named = { frameworkId: framework.id, executorId: 'e1', containerId: run?.containerId ?? '' };
  t.deepEqual(words(other.say('EXITED_EXECUTOR', named)), []);
  t.is(kit.state.executors.size, 1);
});

test('EXC-8: of an agent that is back those executors live that it names', (t) => {
  const { kit, agent, launch } = cluster();
  const [one] = ran(launch(on(agent.id, 't1')));
  const [two] = ran(launch(on(agent.id, 't2', { ...executor, executorId: 'e2' })));
  const listed = [kit.state.executors.get(two?.containerId ?? '') as ExecutorRow];
  const effects = agent.reregister([], {}, listed);
  t.deepEqual(failures(effects), [{ agentId: agent.id, executorId: 'e1' }]);
  t.false(kit.has('executor', one?.containerId ?? ''));
  t.true(kit.has('executor', two?.containerId ?? ''));
  requireConservation(kit.state);
});

test('EXC-8: an executor that is still being stored when its agent comes back is not missing: it hears of it next', (t) => {
  const { kit, agent, framework } = cluster();
  const [offer] = kit.offersOf(framework);
  framework.accept([offer as never], [on(agent.id, 't1')]);
  const effects = agent.reregister();
  t.deepEqual(failures(effects), []);
  const [run] = published(effects, 'RUN_TASK');
  t.is(run?.session, agent.session);
  t.true(kit.state.executors.has(ran(effects)[0]?.containerId ?? ''));
});

test('EXC-9: executors are held over a change of the leader, until their agent is back without them', (t) => {
  const { kit, agent, framework, launch } = cluster('cpus:4;mem:4096');
  const [run] = ran(launch(on(agent.id, 't1')));
  const records = Object.fromEntries(kit.registry);
  const next = leadingMaster({ records });
  const row = next.state.executors.get(run?.containerId ?? '');
  t.like(row, { agentId: agent.id, frameworkId: framework.id, executorId: 'e1', stored: true });
  t.is(next.state.agents.get(agent.id)?.executors.size, 1);
  t.is([...next.state.tasks.values()][0]?.containerId, run?.containerId);
});

/** The leader after one whose registry lost the records of these kinds, and the agent as it was. */
function after(world: ReturnType<typeof cluster>, lost: readonly string[]) {
  const kept = [...world.kit.registry].filter(([key]) => key !== 'epoch' && !lost.some((kind) => key.startsWith(kind)));
  const kit = leadingMaster({ records: Object.fromEntries(kept) });
  kit.state.epoch += 1;
  kit.state.masterId = kit.state.epoch.toString(36);
  const agent = Object.assign(new AgentPeer(kit, 'a1', 'cpus:4;mem:4096'), { id: world.agent.id });
  return { kit, agent };
}

for (const lost of [['executor.'], ['executor.', 'task.'], ['agent.', 'framework.', 'executor.', 'task.'], ['agent.']])
  test(`AGT-8 EXC-9: an executor that runs is known and counted though the registry lost ${lost.join(' ')}`, (t) => {
    const world = cluster('cpus:4;mem:4096');
    const [run] = ran(world.launch(on(world.agent.id, 't1')));
    const { containerId = '' } = run ?? {};
    const before = world.kit.registry.get(`executor.${containerId}`) as ExecutorRecord;
    const task = world.framework.row.tasks.get('t1') as TaskRow;
    const row = world.kit.state.executors.get(containerId) as ExecutorRow;
    const { kit, agent } = after(world, lost);
    const effects = agent.reregister([{ row: task }], {}, [row]);
    t.deepEqual(published(effects).map(({ message }) => message), ['REREGISTERED']); // prettier-ignore
    const stored = kit.registry.get(`executor.${containerId}`) as ExecutorRecord;
    t.deepEqual({ ...stored, info: 0 }, { ...before, info: 0 });
    t.like(agent.row.executors.get(`${world.framework.id}\ne1`), { containerId, stored: true });
    t.like([...agent.row.tasks.values()][0], { executorId: 'e1', containerId });
    t.true(kit.has('framework', world.framework.id));
    requireConservation(kit.state);
    // Its next task goes there, as it is the same.
    const scheduler = Object.assign(new SchedulerPeer(kit, 'f1', world.framework.info), { id: world.framework.id });
    scheduler.subscribe();
    const [offer] = kit.offersOf(scheduler);
    scheduler.accept([offer as never], [on(agent.id, 't2')]);
    t.is(ran(kit.stored())[0]?.containerId, containerId);
  });

test('AGT-8 LNK-6: an agent is asked for its executors where the registry lacks one, and only there', (t) => {
  const world = cluster('cpus:4;mem:4096');
  const [run] = ran(world.launch(on(world.agent.id, 't1')));
  const row = world.kit.state.executors.get(run?.containerId ?? '') as ExecutorRow;
  const task = world.framework.row.tasks.get('t1') as TaskRow;
  const { frameworkId, executorId, containerId } = row;
  for (const lost of [['executor.'], ['task.']]) {
    const { kit, agent } = after(world, lost);
    const body = { ...agent.digest([{ row: task }]), executors: [{ frameworkId, executorId, containerId }] };
    const { epoch } = kit.state;
    const asked = meta({ principal: 'a1', id: `${agent.instance}-q1`, epoch });
    const effects = kit.send({ type: 'agent.REREGISTER', meta: asked, body } as never);
    const [differs] = bodies<MasterToAgentBody<'DIFFERS'>>(effects, 'DIFFERS');
    t.is(differs?.wantsExecutors, lost[0] === 'executor.');
  }
});

test('AGT-8 EXC-8: an executor whose end was told in this term is not brought back by an older word; one that ended before frees what it had', (t) => {
  const world = cluster('cpus:4;mem:4096');
  const [run] = ran(world.launch(on(world.agent.id, 't1')));
  const old = world.kit.state.executors.get(run?.containerId ?? '') as ExecutorRow;
  const { frameworkId, executorId, containerId } = old;
  const { kit, agent } = after(world, []);
  const another = { ...old, containerId: containerId.replace('L1-E', 'L9-E') };
  agent.reregister([], {}, [another]);
  t.deepEqual([...kit.state.executors.keys()], [another.containerId]);
  t.false(kit.has('executor', containerId));
  requireConservation(kit.state);
  agent.say('EXITED_EXECUTOR', { frameworkId, executorId, containerId: another.containerId });
  kit.stored();
  agent.reregister([], {}, [another]);
  t.is(kit.state.executors.size, 0);
  requireConservation(kit.state);
});

test('AGT-10 EXC-8: with an agent’s former row its executors go', (t) => {
  const world = cluster('cpus:4;mem:4096');
  const [run] = ran(world.launch(on(world.agent.id, 't1')));
  const { containerId = '' } = run ?? {};
  const { kit, agent } = after(world, ['task.']);
  t.true(kit.has('executor', containerId));
  agent.id = 'x';
  agent.reregister();
  kit.stored();
  t.deepEqual([...kit.state.agents.keys()], ['x']);
  t.is(kit.state.executors.size, 0);
  t.false(kit.has('executor', containerId));
});

test('EXC-6: a scheduler’s SHUTDOWN goes to the agent; to one that is not there it does not', (t) => {
  const { agent, framework, launch } = cluster();
  launch(on(agent.id, 't1'));
  const shutdown = { executorId: 'e1', agentId: agent.id };
  const effects = framework.call('SHUTDOWN', { shutdown });
  t.deepEqual(bodies(effects, 'SHUTDOWN_EXECUTOR'), [{ frameworkId: framework.id, executorId: 'e1' }]);
  agent.say('UNREGISTER', {});
  t.deepEqual(words(framework.call('SHUTDOWN', { shutdown })), []);
});

test('EXC-6 FRW-5: a teardown reaches agents where only an executor is left, and the framework’s row waits for it', (t) => {
  const { kit, agent, framework, launch } = cluster();
  const [run] = ran(launch(on(agent.id, 't1')));
  const row = framework.row.tasks.get('t1');
  framework.acknowledge(agent.update({ row: row as never }, 'TASK_FINISHED').status);
  kit.stored();
  const effects = [...framework.call('TEARDOWN', {}), ...kit.stored()];
  t.is(published(effects, 'SHUTDOWN_FRAMEWORK').length, 1);
  t.true(kit.has('framework', framework.id));
  const named = { frameworkId: framework.id, executorId: 'e1', containerId: run?.containerId ?? '' };
  agent.say('EXITED_EXECUTOR', named);
  kit.stored();
  t.false(kit.has('framework', framework.id));
  requireConservation(kit.state);
});

test('EXC-9 FRW-5: a framework that is torn down while its first task is stored leaves no executor behind', (t) => {
  const { kit, agent, framework } = cluster();
  const [offer] = kit.offersOf(framework);
  framework.accept([offer as never], [on(agent.id, 't1')]);
  framework.call('TEARDOWN', {});
  kit.stored();
  t.is(kit.state.executors.size, 0);
  t.deepEqual([...kit.registry.keys()].filter((key) => /^(executor|task|framework)\./.test(key)), []); // prettier-ignore
  requireConservation(kit.state);
});

test('EXC-10: messages are passed on between a scheduler and its executor', (t) => {
  const { agent, framework } = cluster();
  const data = Uint8Array.of(1);
  const named = { agentId: agent.id, executorId: 'e1' };
  t.deepEqual(bodies(framework.call('MESSAGE', { message: { ...named, data } }), 'EXECUTOR_MESSAGE'), [
    { frameworkId: framework.id, executorId: 'e1', data },
  ]);
  const effects = agent.say('EXECUTOR_MESSAGE', { frameworkId: framework.id, executorId: 'e1', data });
  t.deepEqual(bodies(effects, 'MESSAGE'), [{ message: { ...named, data } }]);
  t.deepEqual(words(agent.say('EXECUTOR_MESSAGE', { frameworkId: 'nobody', executorId: 'e1', data })), []);
});

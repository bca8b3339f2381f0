import test from 'ava';
import { Resources } from '../../protocol/resources.js';
import type { TaskRecord } from '../../protocol/registry.js';
import type { TaskRow } from '../../actors/master/master-state.js';
import type { TaskStatus } from '../../protocol/task.js';
import { bodies, published, words } from '../support/actor-kit.js';
import {
  AgentPeer,
  errors,
  leadingMaster,
  requireConservation,
  SchedulerPeer,
  statuses,
  statusWords,
  taskInfo,
  type Launched,
  type MasterKit,
} from '../support/master-kit.js';

/** A framework with two tasks on one agent. */
function running() {
  const kit = leadingMaster();
  const agent = kit.agent('a1', 'cpus:4;mem:4096');
  const framework = kit.framework('f1');
  const [one, two] = kit.launch(framework, 't1', 't2') as [Launched, Launched];
  return { kit, agent, framework, one, two };
}

test('UPD-1: an update is forwarded as it is, to the session of its framework, and again when it comes again', (t) => {
  const { agent, framework, one } = running();
  const { effects, status } = agent.update(one, 'TASK_RUNNING', { message: 'up', exitCode: 3 });
  const [event] = published(effects);
  t.is(event?.message, 'UPDATE');
  t.deepEqual(event?.body, { update: { status } });
  t.is(event?.session, framework.session);
  t.is(event?.cause, `a1-${agent.session}-${agent.sequence}`);
  const again = agent.say('STATUS_UPDATE', { frameworkId: framework.id, status, latestState: 'TASK_RUNNING' });
  t.deepEqual(bodies(again, 'UPDATE'), [{ update: { status } }]);
});

test('UPD-1: the acknowledgement of an update that is not the last goes to the agent at once', (t) => {
  const { kit, agent, framework, one } = running();
  const { status } = agent.update(one, 'TASK_RUNNING');
  const effects = framework.acknowledge(status);
  t.deepEqual(words(effects), ['publish STATUS_UPDATE_ACKNOWLEDGEMENT']);
  const [word] = published(effects);
  t.deepEqual(word?.body, { frameworkId: framework.id, taskId: 't1', launchId: one.launchId, uuid: status.uuid });
  t.is(word?.session, agent.session);
  t.deepEqual(kit.unanswered, []);
});

test('UPD-1: an acknowledgement of another update than the last one forwarded does nothing', (t) => {
  const { kit, agent, framework, one } = running();
  const { status: first } = agent.update(one, 'TASK_RUNNING');
  const { status: second } = agent.update(one, 'TASK_FINISHED');
  t.deepEqual(words(framework.acknowledge(first)), []);
  t.deepEqual(words(framework.acknowledge({ ...second, uuid: new Uint8Array(16) })), []);
  t.deepEqual(kit.unanswered, []);
  t.deepEqual(words(framework.acknowledge(second)), [`persist -task.${one.launchId}`]);
});

test('UPD-3 REG-3: of a terminal update the row goes first, then the word to the agent', (t) => {
  const { kit, agent, framework, one } = running();
  const { status } = agent.update(one, 'TASK_FINISHED');
  t.deepEqual(words(framework.acknowledge(status)), [`persist -task.${one.launchId}`]);
  t.true(kit.has('task', one.launchId));
  t.deepEqual(words(framework.acknowledge(status)), [], 'once is enough');
  const effects = kit.storeOne();
  t.false(kit.has('task', one.launchId));
  t.deepEqual(words(effects), ['publish STATUS_UPDATE_ACKNOWLEDGEMENT']);
  t.like(published(effects)[0]?.body as object, { launchId: one.launchId, uuid: status.uuid });
  t.false(kit.state.tasks.has(one.launchId));
  t.false(framework.row.tasks.has('t1'));
  t.false(agent.row.tasks.has(one.launchId));
});

test('UPD-3: the acknowledgement of a launch without a row is passed on as it is', (t) => {
  const { kit, agent, framework, one } = running();
  const { status } = agent.update(one, 'TASK_FINISHED');
  framework.acknowledge(status);
  kit.stored();
  const again = agent.say('STATUS_UPDATE', { frameworkId: framework.id, status, latestState: 'TASK_FINISHED' });
  t.deepEqual(bodies(again, 'UPDATE'), [{ update: { status } }], 'the word to the agent was lost');
  const effects = framework.acknowledge(status);
  t.deepEqual(words(effects), ['publish STATUS_UPDATE_ACKNOWLEDGEMENT']);
  t.like(published(effects)[0]?.body as object, { taskId: 't1', launchId: one.launchId, uuid: status.uuid });
  const { launchId: _launchId, ...old } = status;
  t.is(published(framework.acknowledge(old), 'STATUS_UPDATE_ACKNOWLEDGEMENT').length, 1, 'a client without launchId');
});

test('UPD-3: a task id that is in use again is not ended by what is left of its last launch', (t) => {
  const { kit, agent, framework, one } = running();
  const { status } = agent.update(one, 'TASK_FINISHED');
  framework.acknowledge(status);
  kit.stored();
  const [again] = kit.launch(framework, 't1') as [Launched];
  agent.say('STATUS_UPDATE', { frameworkId: framework.id, status, latestState: 'TASK_FINISHED' });
  t.is(again.row.state, 'TASK_STAGING');
  framework.acknowledge(status);
  kit.stored();
  t.true(kit.has('task', again.launchId));
});

test('UPD-3: an acknowledgement of a client that knows no launchIds finds its task by name', (t) => {
  const { kit, agent, framework, one } = running();
  const { launchId: _launchId, ...status } = agent.update(one, 'TASK_FINISHED').status;
  t.deepEqual(words(framework.acknowledge(status)), [`persist -task.${one.launchId}`]);
  t.is(published(kit.stored(), 'STATUS_UPDATE_ACKNOWLEDGEMENT').length, 1);
});

test('UPD-3: a framework ends no task of another', (t) => {
  const { kit, agent, one } = running();
  const { status } = agent.update(one, 'TASK_FINISHED');
  const other = kit.framework('f2');
  other.acknowledge(status);
  kit.stored();
  t.true(kit.has('task', one.launchId));
});

test('UPD-4: resources are free when the latest state is terminal, acknowledged or not; the task is still listed', (t) => {
  const { kit, agent, framework, one } = running();
  kit.pass(2_000);
  framework.decline(kit.offersOf(framework), 3_600);
  agent.update(one, 'TASK_RUNNING', { latestState: 'TASK_FINISHED' });
  t.is(one.row.state, 'TASK_FINISHED');
  requireConservation(kit.state);
  t.deepEqual(kit.offersOf(framework).map(({ resources }) => Resources.of(resources).scalar('cpus')), [3_000]); // prettier-ignore
  t.true(framework.row.tasks.has('t1'));
  t.true(kit.has('task', one.launchId));
});

test('UPD-4: resources are freed once, however often the end is told', (t) => {
  const { kit, agent, framework, one } = running();
  const { status } = agent.update(one, 'TASK_FINISHED');
  agent.say('STATUS_UPDATE', { frameworkId: framework.id, status, latestState: 'TASK_FINISHED' });
  agent.reregister([{ row: one.row, state: 'TASK_FINISHED' }]);
  framework.acknowledge(agent.update(one, 'TASK_FINISHED').status);
  kit.stored();
  t.notThrows(() => requireConservation(kit.state));
});

test('UPD-4: an agent’s word about a task of another agent frees nothing and is not passed on', (t) => {
  const { kit, framework, one } = running();
  const liar = kit.agent('liar');
  const { effects } = liar.update(one, 'TASK_FINISHED');
  t.deepEqual(words(effects), []);
  t.is(one.row.state, 'TASK_STAGING');
  t.is(one.row.status, undefined);
  requireConservation(kit.state);
  const moved = liar.reregister([{ row: one.row, state: 'TASK_FAILED' }]);
  t.deepEqual(statusWords(moved), []);
  t.is(one.row.state, 'TASK_STAGING');
  t.true(framework.row.connected);
});

test('TSK-1 UPD-1: a task that has ended does not run again, whatever comes late', (t) => {
  const { agent, framework, one } = running();
  agent.update(one, 'TASK_FINISHED');
  agent.update(one, 'TASK_RUNNING');
  t.is(one.row.state, 'TASK_FINISHED');
  framework.reconcile({ taskId: 't1' });
  framework.reconcile();
  t.is(one.row.state, 'TASK_FINISHED');
});

test('UPD-1: an update of a framework that the master does not know is acknowledged, or it would come for ever', (t) => {
  const { kit, agent, one } = running();
  const status: TaskStatus = { taskId: 'x', launchId: 'old-L1', state: 'TASK_FAILED', uuid: new Uint8Array(16) };
  const say = () => words(agent.say('STATUS_UPDATE', { frameworkId: 'old-0001', status, latestState: 'TASK_FAILED' }));
  t.deepEqual(say(), [], 'the registry may have lost it, and its scheduler be on its way');
  for (let i = 0; i < 12; i++) {
    kit.pass(2_000);
    agent.say('PONG', {});
  }
  t.deepEqual(say(), ['publish STATUS_UPDATE_ACKNOWLEDGEMENT']);
  t.is(one.row.state, 'TASK_STAGING');
});

test('LNK-1 UPD-1: an update out of its session is not taken', (t) => {
  const { agent, framework, one } = running();
  const status: TaskStatus = { taskId: 't1', launchId: one.launchId, state: 'TASK_FINISHED', uuid: new Uint8Array(16) };
  const body = { frameworkId: framework.id, status, latestState: 'TASK_FINISHED' as const };
  const effects = agent.say('STATUS_UPDATE', body, { session: agent.session, sequence: 9 });
  t.deepEqual(words(effects), ['publish INVITE']);
  t.is(one.row.state, 'TASK_STAGING');
});

test('KIL-1: a kill goes to the agent, with the policy of the call or else of the task', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  const policy = { gracePeriod: { nanoseconds: 7e9 } };
  const other = { gracePeriod: { nanoseconds: 1e9 } };
  const [one, two] = kit.launch(framework, { taskId: 't1', killPolicy: policy }, 't2') as [Launched, Launched];
  const kill = (taskId: string, more = {}) =>
    bodies<object>([...framework.call('KILL', { kill: { taskId, ...more } }), ...kit.stored()], 'KILL_TASK');
  const named = { frameworkId: framework.id, taskId: 't1', launchId: one.launchId };
  t.deepEqual(kill('t1'), [{ ...named, killPolicy: policy }]);
  t.deepEqual(kill('t1', { killPolicy: other, agentId: agent.id }), [{ ...named, killPolicy: other }]);
  t.deepEqual(kill('t2'), [{ frameworkId: framework.id, taskId: 't2', launchId: two.launchId }]);
  t.deepEqual(kill('t1', { agentId: 'x-S9' }), [], 'another agent’s is ignored');
});

test('KIL-1: a kill that comes before the launch is stored follows it', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  framework.accept(kit.offersOf(framework), [taskInfo(agent.id)]);
  const { launchId } = framework.row.tasks.get('t1') as TaskRow;
  t.deepEqual(words(framework.call('KILL', { kill: { taskId: 't1' } })), [`persist task.${launchId}`]);
  t.deepEqual(words(kit.storeOne()), ['publish RUN_TASK'], 'the launch is stored first, and the kill is not yet');
  t.deepEqual(words(kit.storeOne()), ['publish KILL_TASK']);
  t.like(kit.registry.get(`task.${launchId}`) as object, { launchId, kill: {} });
});

test('KIL-1: a kill is one write, and is stored before the agent hears of it', (t) => {
  const { kit, framework, one } = running();
  const kill = () => words(framework.call('KILL', { kill: { taskId: 't1' } }));
  t.deepEqual(kill(), [`persist task.${one.launchId}`]);
  t.deepEqual(words(kit.stored()), ['publish KILL_TASK']);
  t.deepEqual(kill(), ['publish KILL_TASK'], 'the same again is only passed on again');
});

test('KIL-1: a second kill is stored and passed on when it shortens the grace, by whatever is the default', (t) => {
  const kit = leadingMaster({ timings: { killGraceMs: 3_000 } });
  kit.agent('a1');
  const framework = kit.framework('f1');
  const seconds = (s: number) => ({ gracePeriod: { nanoseconds: s * 1e9 } });
  const [one] = kit.launch(framework, { taskId: 't1', killPolicy: seconds(10) }) as [Launched];
  const kill = (killPolicy?: object) => {
    const asked = framework.call('KILL', { kill: { taskId: 't1', ...(killPolicy && { killPolicy }) } });
    const sent = bodies<{ killPolicy?: object }>([...asked, ...kit.stored()], 'KILL_TASK');
    return { writes: words(asked).filter((word) => word.startsWith('persist')).length, policies: sent.map((body) => body.killPolicy) }; // prettier-ignore
  };
  t.deepEqual(kill(), { writes: 1, policies: [seconds(10)] }, 'the task’s own');
  t.deepEqual(kill(seconds(20)), { writes: 0, policies: [seconds(10)] }, 'longer: the one before stands');
  t.deepEqual(kill(seconds(2)), { writes: 1, policies: [seconds(2)] });
  t.deepEqual(kill(), { writes: 0, policies: [seconds(2)] });
  t.deepEqual(kill(seconds(0)), { writes: 1, policies: [seconds(0)] });
  t.deepEqual((kit.registry.get(`task.${one.launchId}`) as TaskRecord).kill, { killPolicy: seconds(0) });
});

test('KIL-1: the next leader repeats a kill that is stored, and only that', (t) => {
  const { kit, agent, framework } = running();
  framework.call('KILL', { kill: { taskId: 't1' } });
  kit.stored();
  const next = leadingMaster({ records: Object.fromEntries([...kit.registry].filter(([key]) => key !== 'epoch')) });
  const back = new AgentPeer(next, 'a1', 'cpus:4;mem:4096;ports:[31000-31009]');
  back.id = agent.id;
  const rows = [...next.state.tasks.values()].map((row) => ({ row }));
  const effects = back.reregister(rows);
  t.deepEqual(bodies<{ taskId: string }>(effects, 'KILL_TASK').map(({ taskId }) => taskId), ['t1']); // prettier-ignore
});

test('KIL-1: a kill of a task that is over is answered with its end, and its record is not written again', (t) => {
  const { kit, agent, framework, one } = running();
  const { status } = agent.update(one, 'TASK_FINISHED');
  const kill = () => framework.call('KILL', { kill: { taskId: 't1' } });
  t.deepEqual(statusWords(kill()), ['t1 TASK_FINISHED REASON_RECONCILIATION']);
  framework.acknowledge(status);
  t.deepEqual(words(kill()), ['publish UPDATE'], 'its deletion is on its way');
  kit.stored();
  t.false(kit.has('task', one.launchId));
  t.deepEqual(statusWords(kill()), ['t1 TASK_UNKNOWN REASON_RECONCILIATION']);
});

test('KIL-1: a kill and an end that cross leave no record behind, in either order', (t) => {
  const { kit, agent, framework, one, two } = running();
  framework.call('KILL', { kill: { taskId: 't1' } });
  framework.acknowledge(agent.update(one, 'TASK_FINISHED').status);
  t.is(published(kit.stored(), 'KILL_TASK').length, 0, 'it has ended meanwhile');
  t.false(kit.has('task', one.launchId));
  framework.acknowledge(agent.update(two, 'TASK_FINISHED').status);
  framework.call('KILL', { kill: { taskId: 't2' } });
  kit.stored();
  t.false(kit.has('task', two.launchId));
});

test('KIL-1 FRW-5: a kill of a task whose framework is torn down before it is stored sends nothing', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  framework.accept(kit.offersOf(framework), [taskInfo(agent.id)]);
  framework.call('KILL', { kill: { taskId: 't1' } });
  framework.call('TEARDOWN', {});
  const effects = kit.stored();
  for (const message of ['RUN_TASK', 'KILL_TASK']) t.is(published(effects, message).length, 0);
  t.deepEqual([...kit.registry.keys()].filter((key) => key.startsWith('task')), []); // prettier-ignore
});

test('KIL-1: a kill that was asked for is repeated to an agent that comes back', (t) => {
  const { kit, agent, framework, one, two } = running();
  agent.say('UNREGISTER', {});
  kit.stored();
  t.deepEqual(words([...framework.call('KILL', { kill: { taskId: 't1' } }), ...kit.stored()]), [
    `persist task.${one.launchId}`,
  ]);
  const effects = agent.reregister([one, two]);
  t.deepEqual(bodies<{ taskId: string }>(effects, 'KILL_TASK').map(({ taskId }) => taskId), ['t1']); // prettier-ignore
  const order = published(effects).map(({ message }) => message);
  t.true(order.indexOf('REREGISTERED') < order.indexOf('KILL_TASK'));
  t.is(bodies(agent.reregister([one, two]), 'KILL_TASK').length, 1, 'and again');
});

test('KIL-1 REC-1: a kill of an unknown task is answered as a question for it', (t) => {
  const { agent, framework } = running();
  const answer = (taskId: string, agentId?: string) =>
    statusWords(framework.call('KILL', { kill: { taskId, ...(agentId !== undefined && { agentId }) } }));
  t.deepEqual(answer('none'), ['none TASK_UNKNOWN REASON_RECONCILIATION']);
  t.deepEqual(answer('none', agent.id), ['none TASK_GONE REASON_RECONCILIATION']);
});

test('REC-1: the table of explicit reconciliation', (t) => {
  const records = {
    'agent.old-S1': { schemaVersion: 1, agentId: 'old-S1', principal: 'o1', agentInfo: { hostname: 'h' } },
  };
  const { state } = leadingMaster();
  t.is(state.agents.size, 0);
  for (const recovered of [false, true]) {
    const kit = leadingMaster(recovered ? { records } : {});
    const [here, away] = [kit.agent('a1'), kit.agent('a2')];
    const framework = kit.framework('f1');
    const tasks = new Map<string, Launched>();
    for (const { id, agentId } of kit.offersOf(framework)) {
      const name = agentId === here.id ? 'here' : 'away';
      framework.accept([id], [taskInfo(agentId, { taskId: name }), taskInfo(agentId, { taskId: `${name}-ended` })]);
    }
    kit.stored();
    for (const [taskId, row] of framework.row.tasks) tasks.set(taskId, { row, taskId, launchId: row.launchId });
    here.update(tasks.get('here') as Launched, 'TASK_RUNNING');
    here.update(tasks.get('here-ended') as Launched, 'TASK_FAILED');
    away.update(tasks.get('away') as Launched, 'TASK_RUNNING');
    away.update(tasks.get('away-ended') as Launched, 'TASK_FINISHED');
    away.say('UNREGISTER', {});
    kit.stored();
    const table: [taskId: string, agentId: string | undefined, answer: string | undefined][] = [
      ['here', here.id, 'TASK_RUNNING'],
      ['here', undefined, 'TASK_RUNNING'],
      ['here-ended', here.id, 'TASK_FAILED'],
      ['away', away.id, 'TASK_UNREACHABLE'],
      ['away-ended', away.id, 'TASK_FINISHED'],
      ['none', 'old-S1', recovered ? undefined : 'TASK_UNKNOWN'],
      ['none', undefined, recovered ? undefined : 'TASK_UNKNOWN'],
      ['none', here.id, 'TASK_GONE'],
      ['none', away.id, 'TASK_UNREACHABLE'],
      ['none', 'never-S9', 'TASK_UNKNOWN'],
    ];
    for (const [taskId, agentId, expected] of table) {
      const answers = framework.reconcile({ taskId, ...(agentId !== undefined && { agentId }) });
      const title = `${taskId} on ${agentId}, recovered agents: ${recovered}`;
      t.deepEqual(answers.map(({ state: told }) => told), expected === undefined ? [] : [expected as never], title); // prettier-ignore
      for (const answer of answers) {
        t.like(answer, { taskId, reason: 'REASON_RECONCILIATION', source: 'SOURCE_MASTER' });
        t.is(answer.uuid, undefined, 'nobody repeats it');
      }
    }
    const all = framework.reconcile().map(({ taskId, state: told }) => `${taskId} ${told}`).sort(); // prettier-ignore
    t.deepEqual(all, ['away TASK_UNREACHABLE', 'away-ended TASK_FINISHED', 'here TASK_RUNNING', 'here-ended TASK_FAILED']); // prettier-ignore
  }
});

test('REC-1: what is told is the last state forwarded, so that no answer overtakes an update', (t) => {
  const { agent, framework, one } = running();
  t.deepEqual(framework.reconcile({ taskId: 't1' }).map(({ state }) => state), ['TASK_STAGING']); // prettier-ignore
  agent.update(one, 'TASK_RUNNING', { latestState: 'TASK_FINISHED' });
  t.deepEqual(framework.reconcile({ taskId: 't1' }).map(({ state }) => state), ['TASK_RUNNING']); // prettier-ignore
  t.is(one.row.state, 'TASK_FINISHED');
});

test('REC-1 OPR-1: a launch that is not stored yet is nobody’s knowledge', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent('a1');
  const framework = kit.framework('f1');
  framework.accept(kit.offersOf(framework), [taskInfo(agent.id)]);
  t.deepEqual(framework.reconcile({ taskId: 't1', agentId: agent.id }), []);
  t.deepEqual(framework.reconcile(), []);
  kit.stored();
  t.is(framework.reconcile().length, 1);
});

test('REC-1: nobody is told of another framework’s tasks', (t) => {
  const { kit, agent } = running();
  const other = kit.framework('f2');
  t.deepEqual(other.reconcile({ taskId: 't1', agentId: agent.id }).map(({ state }) => state), ['TASK_GONE']); // prettier-ignore
  t.deepEqual(other.reconcile(), []);
});

/** The same framework, subscribed with another leader. */
function returningFramework(kit: MasterKit, { principal, id, info }: SchedulerPeer): SchedulerPeer {
  const peer = new SchedulerPeer(kit, principal, info);
  peer.id = id;
  peer.subscribe();
  return peer;
}

/** The same agent, not yet registered with another leader. */
function returningAgent(kit: MasterKit, { principal, id }: Pick<AgentPeer, 'principal' | 'id'>): AgentPeer {
  const peer = new AgentPeer(kit, principal, 'cpus:4;mem:4096');
  peer.id = id;
  return peer;
}

/** The registry of a master that has one task running and one ended without an acknowledgement, read by the next leader. */
function nextTerm() {
  const before = running();
  const { kit: first, agent, framework, one, two } = before;
  agent.update(one, 'TASK_RUNNING');
  agent.update(two, 'TASK_FINISHED');
  const kit = leadingMaster({ name: 'm2', records: Object.fromEntries(first.registry) });
  return { kit, one, two, framework, agent };
}

test('LCH-3 REC-1: after a change of leader no task changes, and until its agent is back there is no answer for it', (t) => {
  const { kit, one, two, framework, agent } = nextTerm();
  t.deepEqual([...kit.state.tasks.keys()].sort(), [one.launchId, two.launchId].sort()); // prettier-ignore
  t.is(kit.state.frameworks.get(framework.id)?.recovered, true);
  const other = returningFramework(kit, framework);
  const ask = () => other.reconcile({ taskId: 't1', agentId: agent.id }, { taskId: 'none' }, { taskId: 'none', agentId: agent.id }); // prettier-ignore
  t.deepEqual(ask(), []);
  t.deepEqual(other.reconcile(), []);
  t.deepEqual(kit.offersOf(other), []);
  for (const message of ['UPDATE', 'KILL_TASK', 'SHUTDOWN_FRAMEWORK']) t.is(published(kit.all, message).length, 0);
  const returned = returningAgent(kit, agent);
  const rows = [...kit.state.tasks.values()];
  const effects = returned.reregister(rows.map((row) => ({ row, state: row.taskId === 't1' ? 'TASK_RUNNING' : 'TASK_FINISHED' }))); // prettier-ignore
  t.deepEqual(statuses(effects), [], 'what the agent says is no news to the scheduler');
  t.is(kit.state.tasks.get(one.launchId)?.state, 'TASK_RUNNING');
  requireConservation(kit.state);
  t.deepEqual(other.reconcile({ taskId: 't1' }).map(({ state }) => state), ['TASK_RUNNING']); // prettier-ignore
  t.deepEqual(kit.offersOf(other).map(({ resources }) => Resources.of(resources).scalar('cpus')), [3_000]); // prettier-ignore
});

test('UPD-1: a new leader drops an acknowledgement of an update that it has not seen; the agent sends it again', (t) => {
  const { kit, two, framework, agent } = nextTerm();
  const other = returningFramework(kit, framework);
  const returned = returningAgent(kit, agent);
  returned.reregister([...kit.state.tasks.values()].map((row) => ({ row })));
  const uuid = new Uint8Array(16).fill(9);
  t.deepEqual(words(other.acknowledge({ taskId: 't2', launchId: two.launchId, state: 'TASK_FINISHED', uuid, agentId: agent.id })), []); // prettier-ignore
  const row = kit.state.tasks.get(two.launchId);
  const { status } = returned.update({ row: row as never }, 'TASK_FINISHED', { uuid });
  t.deepEqual(words(other.acknowledge(status)), [`persist -task.${two.launchId}`]);
});

test('FRW-4 LNK-1: a recovered framework has its failover timeout, anew, to come back', (t) => {
  const { kit, framework } = nextTerm();
  t.true(kit.state.deadlines.has(`failover:${framework.id}`));
  t.false(kit.state.frameworks.get(framework.id)?.connected ?? true);
});

test('FRW-5: a removed framework whose last task has ended is forgotten by the next leader', (t) => {
  const info = { user: 'u', name: 'n' };
  const record = (id: string) => ({ schemaVersion: 1, frameworkId: id, principal: 'f', frameworkInfo: info, removed: true }); // prettier-ignore
  const task = { schemaVersion: 1, launchId: 'o-L1', taskId: 't', name: 'n', frameworkId: 'o-0002', agentId: 'o-S1', resources: [] }; // prettier-ignore
  const kit = leadingMaster({
    records: { 'framework.o-0001': record('o-0001'), 'framework.o-0002': record('o-0002'), 'task.o-L1': task },
  });
  kit.stored();
  t.false(kit.has('framework', 'o-0001'));
  t.true(kit.has('framework', 'o-0002'));
  t.false(kit.state.deadlines.has('failover:o-0002'));
});

test('AGT-8: a task whose framework the registry lost runs on, and waits for its scheduler', (t) => {
  const task = { schemaVersion: 1, launchId: 'o-L1', taskId: 't', name: 'n', frameworkId: 'o-0001', agentId: 'o-S1', resources: [] }; // prettier-ignore
  const agentRecord = { schemaVersion: 1, agentId: 'o-S1', principal: 'a1', agentInfo: { hostname: 'h' } };
  const kit = leadingMaster({ records: { 'agent.o-S1': agentRecord, 'task.o-L1': task } });
  const agent = returningAgent(kit, { principal: 'a1', id: 'o-S1' });
  const row = kit.state.tasks.get('o-L1');
  if (row === undefined) return t.fail();
  t.is(published(agent.reregister([{ row }]), 'SHUTDOWN_FRAMEWORK').length, 0);
  const { status } = agent.update({ row }, 'TASK_RUNNING');
  const framework = new SchedulerPeer(kit, 'f1');
  framework.id = 'o-0001';
  t.deepEqual(
    words(framework.call('KILL', { kill: { taskId: 't' } })),
    ['publish INVITE'],
    'nobody knows yet whose it is',
  );
  t.deepEqual(statuses(framework.subscribe()), [status]);
  t.like(kit.registry.get('framework.o-0001') as object, { principal: 'f1' });
  const thief = new SchedulerPeer(kit, 'f2');
  thief.id = 'o-0001';
  t.deepEqual(errors(thief.subscribe()), ['WRONG_PRINCIPAL']);
});

test('TKO-3: a registry that this version cannot read is no registry to lead with', (t) => {
  t.throws(() => leadingMaster({ records: { 'quota.x': { schemaVersion: 1 } } }), { message: /no known kind/ });
  t.throws(() => leadingMaster({ records: { 'task.x': { schemaVersion: 1 } } }), { message: /task.x/ });
});

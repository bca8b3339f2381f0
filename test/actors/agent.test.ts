import test from 'ava';
import type { AgentMessageBody } from '../../protocol/agent-api.js';
import { bucketDigests, digestOf, stateByte, valueDigest } from '../../protocol/digest.js';
import { hex } from '../../protocol/ids.js';
import type { Effect } from '../../actors/effect.js';
import type { TaskStatus } from '../../protocol/task.js';
import { meta, ofType, published, words } from '../support/actor-kit.js';
import { admitted, AGENT_ID, AgentKit, registeredAgent, updates } from '../support/agent-kit.js';

const told = (effects: readonly Effect[]) => ofType(effects, 'tell').map(({ event }) => event as { type: string; launchId: string }); // prettier-ignore
const records = admitted();
const stop = (kit: AgentKit) => kit.send({ type: 'STOP', endTasks: true } as never);
const elected = (epoch: number) => ({
  type: 'leader.ELECTED',
  meta: meta({ principal: 'm', epoch }),
  body: { masterId: 'x', name: 'm', epoch },
});

test('AGT-1 LNK-1: a new agent asks to be registered, and again with growing pauses until it is answered', (t) => {
  const kit = new AgentKit();
  const first = kit.send({ type: 'START' });
  t.deepEqual(words(first), ['listSandboxes', 'publish REGISTER']);
  const [question] = published(first);
  t.like(question, { session: '0', body: { agentInfo: { hostname: 'h' }, version: '1' } });
  t.deepEqual(question?.to, { row: 'masterAgent', parameters: { principal: 'a1' } });
  const times: number[] = [];
  const began = kit.now;
  while (kit.now - began < 100_000) if (published(kit.pass(10), 'REGISTER').length > 0) times.push(kit.now - began);
  const pauses = times.map((time, at) => time - (times[at - 1] ?? 0));
  for (const [at, pause] of pauses.entries())
    t.true(at === 0 || pause >= (pauses[at - 1] as number) || pause > 10_000, `${pauses.join()}`);
  t.true((pauses[0] as number) <= 500 && (pauses.at(-1) as number) <= 15_000 && (pauses.at(-1) as number) > 7_000);
  const ids = published(kit.all, 'REGISTER').map(({ id }) => id);
  t.is(new Set(ids).size, ids.length);
});

test('AGT-1: it remembers its id and the epoch before it goes on', (t) => {
  const kit = new AgentKit();
  kit.send({ type: 'START' });
  kit.storesAtOnce = false;
  t.deepEqual(words(kit.answer()), ['checkpoint']);
  t.is(kit.value, 'registering');
  t.is(kit.state.agentId, undefined);
  kit.stored();
  t.is(kit.value, 'running');
  t.deepEqual(kit.store.read('agent'), { schemaVersion: 1, agentId: AGENT_ID, epoch: 5 });
  t.is(kit.state.agentId, AGENT_ID);
  t.deepEqual(published(kit.pass(2_000)), []);
});

test('AGT-2 LNK-6: a known agent says what it runs: a digest of every launch whose end is not acknowledged', (t) => {
  const kit = new AgentKit({ records });
  const [question] = published(kit.send({ type: 'START' }));
  t.is(question?.message, 'REREGISTER');
  t.like(question?.body as object, { agentId: AGENT_ID, states: new Uint8Array() });
  kit.answer([]);
  kit.run('L1', 't1');
  kit.run('L2', 't2');
  const [status] = updates(kit.report('L2', 'TASK_FINISHED'));
  kit.run('L3', 't3');
  const [ended] = updates(kit.report('L3', 'TASK_FAILED'));
  kit.acknowledge(ended as TaskStatus);
  const again = published(kit.send({ type: 'RECONNECTED' }), 'REREGISTER');
  t.is(again.length, 1);
  const said = again[0]?.body as AgentMessageBody<'REREGISTER'>;
  t.deepEqual(said.digest, { launches: digestOf(['L2', 'L1']), info: valueDigest({ hostname: 'h' }) });
  t.deepEqual([...said.states], [stateByte('TASK_STAGING', false), stateByte('TASK_FINISHED', true)]);
  t.is(said.differing, undefined);
  t.truthy(status);
});

test('LNK-1: only the answer to its own question begins a session', (t) => {
  const kit = new AgentKit();
  kit.send({ type: 'START' });
  for (const cause of ['another-q1', undefined]) {
    kit.answer(undefined, { cause });
    t.is(kit.value, 'registering', `${cause}`);
  }
  kit.answer(undefined, { session: '0' });
  t.is(kit.value, 'registering');
  kit.answer();
  t.is(kit.value, 'running');
});

test('LNK-1: a gap means registering anew, and nothing behind the gap is taken', (t) => {
  const kit = registeredAgent();
  t.deepEqual(words(kit.hear('PING', {})), ['publish PONG']);
  kit.sequence += 1;
  const effects = kit.run('L1');
  t.deepEqual(words(effects), ['publish REREGISTER']);
  t.is(kit.value, 'registering');
  t.is(kit.state.launches.size, 0);
  t.deepEqual(words(kit.run('L2')), []);
  kit.answer([{ frameworkId: '5-0001', taskId: 't1', launchId: 'L1' }]);
  t.is(kit.value, 'running');
  t.deepEqual([...kit.state.launches.keys()], ['L1']);
});

test('LNK-1: repeated messages and those of another session do nothing', (t) => {
  const kit = registeredAgent();
  kit.run('L1');
  t.deepEqual(words(kit.run('L1', 't1', { sequence: kit.sequence })), []);
  t.deepEqual(words(kit.hear('PING', {}, { session: '5-C9', sequence: 1 })), []);
  t.deepEqual(words(kit.hear('PING', {}, { session: '0', sequence: kit.sequence + 1 })), []);
  t.is(kit.value, 'running');
});

test('LNK-1: a reconnected client, an invitation and a silent master mean registering anew', (t) => {
  const invite = (kit: AgentKit) => kit.hear('INVITE', { masterId: 'x' }, { session: '0', sequence: 0 });
  const ways: [string, (kit: AgentKit) => Effect[]][] = [
    ['reconnected', (kit) => kit.send({ type: 'RECONNECTED' })],
    ['invited', invite],
    ['silence', (kit) => kit.pass(22_000)],
  ];
  for (const [name, way] of ways) {
    const kit = registeredAgent();
    t.deepEqual(words(way(kit)), ['publish REREGISTER'], name);
    t.is(kit.value, 'registering', name);
    kit.answer([]);
    t.is(kit.value, 'running', name);
  }
});

test('LNK-3: eleven heartbeats’ time without a word of the session is silence, and a ping is a word', (t) => {
  const kit = registeredAgent();
  for (let i = 0; i < 30; i++) {
    kit.pass(20_000);
    kit.hear('PING', {});
    t.is(kit.value, 'running');
  }
  kit.pass(21_999);
  t.is(kit.value, 'running');
  kit.pass(1);
  t.is(kit.value, 'registering');
});

test('LNK-1: a new leader is awaited for 5 s and a little, then the agent knocks', (t) => {
  const kit = registeredAgent();
  kit.random = 0.4;
  kit.send(elected(9));
  t.is(kit.value, 'awaitingInvitation');
  t.deepEqual(published(kit.pass(5_499)), []);
  t.deepEqual(words(kit.pass(1)), ['publish REREGISTER']);
  t.is(kit.value, 'registering');
});

test('LNK-1: an invitation is followed at once, a new leader’s too', (t) => {
  const kit = registeredAgent();
  kit.send(elected(9));
  const effects = kit.hear('INVITE', { masterId: 'x' }, { session: '0', sequence: 0, epoch: 9 });
  t.deepEqual(words(effects), ['publish REREGISTER']);
  kit.epoch = 9;
  kit.answer([]);
  t.is(kit.value, 'running');
  const unknown = new AgentKit();
  unknown.send({ type: 'START' });
  t.deepEqual(words(unknown.send(elected(9))).slice(-1), ['publish REGISTER'], 'nobody invites whom nobody knows');
});

test('EPO-2: what a lower epoch says is dropped before any handler', (t) => {
  const kit = registeredAgent();
  kit.send(elected(9));
  kit.hear('INVITE', { masterId: 'x' }, { session: '0', sequence: 0, epoch: 9 });
  kit.epoch = 9;
  kit.answer([]);
  const old = { epoch: 5, session: kit.session, sequence: 2 };
  t.deepEqual(words(kit.run('L1', 't1', old)), ['publish STALE_EPOCH']);
  t.deepEqual(words(kit.hear('INVITE', { masterId: 'x' }, { epoch: 5, session: '0', sequence: 0 })), []);
  t.deepEqual(words(kit.send(elected(8))), []);
  t.deepEqual(words(kit.send(elected(9))), [], 'the same leader again is no news');
  t.is(kit.value, 'running');
  t.is(kit.state.launches.size, 0);
  t.is(kit.state.member.epoch, 9);
});

test('EPO-2: an agent that restarts does not fall back behind the epoch that it had seen', (t) => {
  const kit = new AgentKit({ records: admitted(9) });
  kit.send({ type: 'START' });
  kit.epoch = 8;
  kit.answer([]);
  t.is(kit.value, 'registering');
  kit.epoch = 10;
  kit.answer([]);
  t.is(kit.value, 'running');
  t.like(kit.store.read('agent'), { epoch: 10 });
});

test('LCH-1: a launch starts once, whatever becomes of it', (t) => {
  const kit = registeredAgent();
  t.deepEqual(told(kit.run('L1', 't1')).map(({ type, launchId }) => [type, launchId]), [['agent.LAUNCH', 'L1']]); // prettier-ignore
  t.deepEqual(told(kit.run('L1', 't1')), []);
  const [status] = updates(kit.report('L1', 'TASK_FINISHED'));
  t.deepEqual(told(kit.run('L1', 't1')), []);
  kit.acknowledge(status as TaskStatus);
  t.is(kit.state.launches.size, 0);
  t.deepEqual(told(kit.run('L1', 't1')), [], 'nor after its end is acknowledged');
  t.is(told(kit.run('L2', 't1')).length, 1, 'the same task id is another launch');
});

test('LCH-1: what the executor is told is the launch, for whom, and whether the framework wants to see KILLING', (t) => {
  const kit = registeredAgent();
  const [plain] = told(kit.run('L1', 't1'));
  t.like(plain, { frameworkId: '5-0001', agentId: AGENT_ID, sendKilling: false, user: 'u', task: { taskId: 't1' } });
  const frameworkInfo = { user: 'u', name: 'f', capabilities: [{ type: 'TASK_KILLING_STATE' as const }] };
  const task = { taskId: 't2', name: 'n', agentId: AGENT_ID };
  const [capable] = told(kit.hear('RUN_TASK', { frameworkId: '5-0001', frameworkInfo, task, launchId: 'L2' }));
  t.like(capable, { sendKilling: true });
});

test('LCH-2: a launch that the registry has and the agent has not is refused from then on, then said to be DROPPED', (t) => {
  const kit = new AgentKit({ records });
  kit.send({ type: 'START' });
  const launch = { frameworkId: '5-0001', taskId: 't1', launchId: 'L1' };
  const effects = kit.answer([launch]);
  const statuses = updates(effects);
  t.is(statuses.length, 1, 'once');
  t.like(statuses[0], {
    taskId: 't1',
    launchId: 'L1',
    state: 'TASK_DROPPED',
    source: 'SOURCE_AGENT',
    agentId: AGENT_ID,
  });
  t.is(statuses[0]?.uuid?.length, 16);
  t.deepEqual(told(kit.run('L1', 't1')), []);
  kit.acknowledge(statuses[0] as TaskStatus);
  t.deepEqual(told(kit.run('L1', 't1')), []);
});

test('LCH-2: of a launch that is over the end is told that the agent remembers', (t) => {
  const kit = registeredAgent();
  kit.run('L1', 't1');
  const [status] = updates(kit.report('L1', 'TASK_FAILED'));
  kit.acknowledge(status as TaskStatus);
  kit.send({ type: 'RECONNECTED' });
  const [again] = updates(kit.answer([{ frameworkId: '5-0001', taskId: 't1', launchId: 'L1' }]));
  t.like(again, { state: 'TASK_FAILED', launchId: 'L1' });
});

test('LCH-2 AGT-2: launches that run are not answered for, and go on', (t) => {
  const kit = registeredAgent();
  kit.run('L1', 't1');
  updates(kit.report('L1', 'TASK_RUNNING')).forEach((status) => kit.acknowledge(status));
  kit.send({ type: 'RECONNECTED' });
  const effects = kit.answer([{ frameworkId: '5-0001', taskId: 't1', launchId: 'L1' }]);
  t.deepEqual(updates(effects), []);
  t.deepEqual(told(effects), []);
  t.is(kit.state.launches.get('L1')?.state, 'TASK_RUNNING');
});

test('LCH-2: a launch of which the master says nothing is not killed for it', (t) => {
  const kit = registeredAgent();
  kit.run('L1', 't1');
  kit.send({ type: 'RECONNECTED' });
  t.deepEqual(told(kit.answer([])), []);
  t.is(kit.state.launches.size, 1);
});

test('UPD-5: one update of a launch is outstanding, the others wait in order', (t) => {
  const kit = registeredAgent();
  kit.run('L1', 't1');
  const [first] = updates(kit.report('L1', 'TASK_STARTING'));
  t.deepEqual(updates(kit.report('L1', 'TASK_RUNNING')), []);
  t.deepEqual(updates(kit.report('L1', 'TASK_FINISHED')), []);
  const second = updates(kit.acknowledge(first as TaskStatus));
  t.deepEqual(second.map(({ state }) => state), ['TASK_RUNNING']); // prettier-ignore
  const third = updates(kit.acknowledge(second[0] as TaskStatus));
  t.deepEqual(third.map(({ state }) => state), ['TASK_FINISHED']); // prettier-ignore
  t.deepEqual(updates(kit.acknowledge(third[0] as TaskStatus)), []);
  t.is(kit.state.launches.size, 0);
  const uuids = [first, second[0], third[0]].map((status) => hex(status?.uuid as Uint8Array));
  t.is(new Set(uuids).size, 3);
});

test('UPD-5: with each update goes the latest state, however many wait', (t) => {
  const kit = registeredAgent();
  kit.run('L1', 't1');
  kit.report('L1', 'TASK_RUNNING');
  kit.report('L1', 'TASK_FINISHED');
  const [again] = published(kit.pass(10_000), 'STATUS_UPDATE');
  t.like(again?.body as object, { latestState: 'TASK_FINISHED', status: { state: 'TASK_RUNNING' } });
});

test('UPD-5: an unacknowledged update is repeated after 10 s, 20 s, 40 s … 10 min, with the same uuid', (t) => {
  const kit = registeredAgent();
  kit.run('L1', 't1');
  const [status] = updates(kit.report('L1', 'TASK_RUNNING'));
  const seen = new Set<string>();
  const times: number[] = [];
  const began = kit.now;
  while (kit.now - began < 3_600_000) {
    for (const again of updates(kit.pass(1_000))) {
      times.push(kit.now - began);
      seen.add(hex(again.uuid as Uint8Array));
    }
    kit.hear('PING', {});
  }
  const pauses = times.map((time, at) => (time - (times[at - 1] ?? 0)) / 1_000);
  t.deepEqual(pauses, [10, 20, 40, 80, 160, 320, 600, 600, 600, 600]);
  t.deepEqual([...seen], [hex(status?.uuid as Uint8Array)]);
});

test('UPD-1: once it is acknowledged an update is never sent again', (t) => {
  const kit = registeredAgent();
  kit.run('L1', 't1');
  const [status] = updates(kit.report('L1', 'TASK_RUNNING'));
  kit.acknowledge(status as TaskStatus);
  t.deepEqual(words(kit.acknowledge(status as TaskStatus)), [], 'a repeated word does nothing');
  for (let i = 0; i < 200; i++) {
    t.deepEqual(updates(kit.pass(10_000)), []);
    kit.hear('PING', {});
  }
  kit.send({ type: 'RECONNECTED' });
  t.deepEqual(updates(kit.answer([])), []);
});

test('UPD-1: an acknowledgement with another uuid, or of another launch, is not one', (t) => {
  const kit = registeredAgent();
  kit.run('L1', 't1');
  const [status] = updates(kit.report('L1', 'TASK_RUNNING'));
  kit.acknowledge({ ...(status as TaskStatus), uuid: new Uint8Array(16) });
  kit.acknowledge({ ...(status as TaskStatus), launchId: 'L9' });
  t.is(kit.state.launches.get('L1')?.updates.length, 1);
  const { launchId: _launchId, ...old } = status as TaskStatus;
  kit.acknowledge(old);
  t.is(kit.state.launches.get('L1')?.updates.length, 0, 'without a launchId the task’s name will do');
});

test('UPD-6: in a new session everything outstanding goes at once, each update once, and its pauses begin anew', (t) => {
  const kit = registeredAgent();
  for (const launch of ['L1', 'L2', 'L3']) {
    kit.run(launch);
    kit.report(launch, 'TASK_RUNNING');
    kit.report(launch, 'TASK_FINISHED');
  }
  kit.pass(10_000);
  kit.send({ type: 'RECONNECTED' });
  t.deepEqual(updates(kit.pass(200)), [], 'nothing goes while there is no session');
  const effects = kit.answer([{ frameworkId: '5-0001', taskId: 'x', launchId: 'L9' }]);
  t.deepEqual(updates(effects).map(({ launchId, state }) => `${launchId} ${state}`).sort(), ['L1 TASK_RUNNING', 'L2 TASK_RUNNING', 'L3 TASK_RUNNING', 'L9 TASK_DROPPED']); // prettier-ignore
  for (const { session } of published(effects, 'STATUS_UPDATE')) t.is(session, kit.session);
  t.is(updates(kit.pass(9_999)).length, 0);
  t.is(updates(kit.pass(1)).length, 4);
});

test('UPD-6: what happens while there is no session waits for one', (t) => {
  const kit = registeredAgent();
  kit.run('L1', 't1');
  kit.send({ type: 'RECONNECTED' });
  t.deepEqual(words(kit.report('L1', 'TASK_RUNNING')), []);
  t.is(updates(kit.answer([])).length, 1);
});

test('TSK-1 UPD-5: nothing follows the end of a launch', (t) => {
  const kit = registeredAgent();
  kit.run('L1', 't1');
  kit.report('L1', 'TASK_FAILED');
  t.deepEqual(words(kit.report('L1', 'TASK_RUNNING')), []);
  t.deepEqual(words(kit.report('L9', 'TASK_RUNNING')), [], 'nor comes anything of an unknown one');
  t.is(kit.state.launches.get('L1')?.updates.length, 1);
});

test('KIL-1: a kill goes to the executor; of an unknown launch it is said that it is not there', (t) => {
  const kit = registeredAgent();
  kit.run('L1', 't1');
  const kill = (taskId: string, launchId?: string) =>
    kit.hear('KILL_TASK', { frameworkId: '5-0001', taskId, ...(launchId !== undefined && { launchId }) });
  t.deepEqual(told(kill('t1', 'L1')).map(({ type, launchId }) => [type, launchId]), [['agent.KILL', 'L1']]); // prettier-ignore
  t.deepEqual(told(kill('t1', 'L1')), [], 'once is enough, unless it is to be sooner');
  kit.run('L4', 't4');
  t.is(told(kill('t4')).length, 1, 'by name');
  t.deepEqual(updates(kill('t2', 'L2')).map(({ state }) => state), ['TASK_DROPPED']); // prettier-ignore
  t.deepEqual(told(kit.run('L2', 't2')), [], 'and it never starts');
  t.deepEqual(words(kill('t3')), []);
  kit.report('L1', 'TASK_KILLED');
  t.deepEqual(told(kill('t1', 'L1')), []);
});

test('FRW-5: what a removed framework runs is killed, and nothing else', (t) => {
  const kit = registeredAgent();
  kit.run('L1');
  const frameworkInfo = { user: 'u', name: 'f' };
  const task = { taskId: 'x', name: 'n', agentId: AGENT_ID };
  kit.hear('RUN_TASK', { frameworkId: '5-0002', frameworkInfo, task, launchId: 'L2' });
  kit.run('L3');
  kit.report('L3', 'TASK_FINISHED');
  const effects = kit.hear('SHUTDOWN_FRAMEWORK', { frameworkId: '5-0001' });
  t.deepEqual(told(effects).map(({ launchId }) => launchId), ['L1']); // prettier-ignore
});

test('AGT-4: an agent that is asked to stop kills what it runs, reports it, and says goodbye', (t) => {
  for (const way of ['STOP', 'SHUTDOWN'] as const) {
    const kit = registeredAgent();
    kit.run('L1');
    kit.run('L2');
    kit.report('L2', 'TASK_FINISHED');
    const effects = way === 'STOP' ? stop(kit) : kit.hear('SHUTDOWN', { message: 'not wanted' });
    t.deepEqual(told(effects).map(({ type, launchId }) => `${type} ${launchId}`), ['agent.KILL L1'], way); // prettier-ignore
    t.is(kit.value, 'terminating', way);
    t.deepEqual(published(kit.all, 'UNREGISTER'), [], way);
    const last = kit.report('L1', 'TASK_KILLED');
    t.deepEqual(words(last), ['publish STATUS_UPDATE', 'forgetContainer', 'publish UNREGISTER', 'stop'], way);
    t.is(kit.value, 'stopped', way);
  }
});

test('AGT-4: an agent that stops starts nothing new, and says so', (t) => {
  const kit = registeredAgent();
  kit.run('L1');
  stop(kit);
  const effects = kit.run('L2', 't2');
  t.deepEqual(told(effects), []);
  t.deepEqual(updates(effects).map(({ launchId, state }) => [launchId, state]), [['L2', 'TASK_DROPPED']]); // prettier-ignore
  t.deepEqual(words(kit.report('L1', 'TASK_KILLED')).slice(-1), ['stop']);
});

test('AGT-4: an agent whose tasks do not end stops even so, after twice the grace and 2 s', (t) => {
  const kit = registeredAgent();
  kit.run('L1');
  stop(kit);
  kit.pass(7_999);
  t.is(kit.value, 'terminating');
  kit.pass(1);
  t.is(kit.value, 'stopped');
});

test('AGT-4: an idle agent stops at once, also before it has ever registered', (t) => {
  t.deepEqual(words(stop(registeredAgent())), ['publish UNREGISTER', 'stop']);
  const kit = new AgentKit();
  kit.send({ type: 'START' });
  t.deepEqual(words(stop(kit)), ['stop']);
});

test('AGT-4 UPD-1: while it stops, updates are acknowledged as ever', (t) => {
  const kit = registeredAgent();
  kit.run('L1');
  const [status] = updates(kit.report('L1', 'TASK_RUNNING'));
  stop(kit);
  kit.acknowledge(status as TaskStatus);
  t.deepEqual(kit.state.launches.get('L1')?.updates, []);
});

test('AGT-5: reads of sandboxes are bounded, and answered to who asks', (t) => {
  const kit = registeredAgent();
  const ask = (type: string, body: object, reply: string | undefined = 'inbox') =>
    kit.send({ type: `operator.${type}`, meta: meta({ principal: 'o1', id: 'q', reply }), body } as never);
  const [read] = ofType(ask('READ_FILE', { readFile: { path: 'x/stdout', offset: 5, length: 1e9 } }), 'replyFile');
  t.like(read, { to: 'inbox', cause: 'q', epoch: 5, request: { type: 'READ_FILE', path: 'x/stdout', offset: 5, length: 192 * 1024 } }); // prettier-ignore
  const [whole] = ofType(ask('READ_FILE', { readFile: { path: 'x', offset: 0 } }), 'replyFile');
  t.is(whole?.request.type === 'READ_FILE' && whole.request.length, 192 * 1024);
  const [list] = ofType(ask('LIST_FILES', { listFiles: { path: 'x' } }), 'replyFile');
  t.deepEqual(list?.request, { type: 'LIST_FILES', path: 'x' });
  t.deepEqual(words(kit.send({ type: 'operator.LIST_FILES', meta: meta(), body: { listFiles: { path: 'x' } } } as never)), []); // prettier-ignore
});

test('PRO-1: an agent tells a caller what is wrong', (t) => {
  const kit = registeredAgent();
  const body = { call: 'READ_FILE', wrong: '/readFile is missing', frameworkId: undefined };
  const [reply] = ofType(kit.send({ type: 'operator.INVALID', meta: meta({ reply: 'inbox', id: 'q' }), body } as never), 'reply'); // prettier-ignore
  t.is(reply?.message, 'ERROR');
  t.like((reply?.body as { error: object }).error, { code: 'INVALID_MESSAGE' });
});

test('LNK-6 AGT-8: where the digests differ, an agent tells what differs, with all that makes a row, and nothing else', (t) => {
  const kit = registeredAgent({ records });
  const ids = Array.from({ length: 200 }, (_, i) => `1-L${i + 1}`);
  for (const launchId of ids) kit.run(launchId);
  kit.send({ type: 'RECONNECTED' });
  const { id: cause = '' } = kit.question;
  const differs = (known: readonly string[], given = {}) =>
    published(
      kit.hear(
        'DIFFERS',
        { wantsInfo: false, wantsExecutors: false, buckets: bucketDigests(known, 16) },
        { session: '0', sequence: 0, cause, ...given },
      ),
      'REREGISTER',
    ).map(({ body }) => body as AgentMessageBody<'REREGISTER'>);
  t.deepEqual(differs(ids.slice(1), { cause: 'another-q1' }), [], 'an answer to an earlier question');
  const [told] = differs(ids.slice(1));
  const launch = told?.differing?.launches.find(({ launchId }) => launchId === '1-L1');
  t.like(launch, { taskId: 't-1-L1', frameworkId: '5-0001', name: 'sleep' });
  t.truthy(launch?.resources?.length);
  t.is(told?.differing?.buckets.length, 1);
  t.true((told?.differing?.launches.length ?? 0) < 30);
  t.is(told?.differing?.agentInfo, undefined);
  t.deepEqual(told?.digest, { launches: digestOf(ids), info: valueDigest({ hostname: 'h' }) });
  t.true(kit.state.deadlines.has('register'), 'it asks again if it hears nothing');
  t.deepEqual(differs(ids.slice(1)), [], 'that question is answered');
});

/** Any single message lost: for each type between master, agent and scheduler the next one is lost on the wire, and the task ends as its command does. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MESSAGES } from '../../protocol/messages.js';
import type { StatusJson } from '../../cli/json-schemas.js';
import { CliFolder, killNow, lines, quickly, until } from '../support/cli.js';
import { startNatsProxy, type Losing, type NatsProxy } from '../support/nats-proxy.js';
import { startTestServer, type TestServer } from '../support/nats-server.js';

/** Rows of the subject table, as they begin on the wire. */
const BEGINNINGS = {
  masterScheduler: 'tepui.master.scheduler.',
  scheduler: 'tepui.scheduler.',
  masterAgent: 'tepui.master.agent.',
  agentMaster: 'tepui.agent.',
  leader: 'tepui.leader.',
} as const;
type Row = keyof typeof BEGINNINGS;

/** What brings each message about. */
const STORIES: Record<'start' | 'launch' | 'run' | 'kill' | 'takeover', Partial<Record<Row, readonly string[]>>> = {
  start: { masterAgent: ['REGISTER'], agentMaster: ['REGISTERED'], leader: ['ELECTED'] },
  launch: {
    masterScheduler: ['SUBSCRIBE', 'ACCEPT', 'DECLINE', 'SUPPRESS', 'ACKNOWLEDGE', 'TEARDOWN'],
    scheduler: ['SUBSCRIBED', 'OFFERS', 'UPDATE'],
    masterAgent: ['STATUS_UPDATE'],
    agentMaster: ['RUN_TASK', 'STATUS_UPDATE_ACKNOWLEDGEMENT'],
  },
  run: { masterScheduler: ['HEARTBEAT'], scheduler: ['HEARTBEAT'], masterAgent: ['PONG'], agentMaster: ['PING'] },
  kill: { masterScheduler: ['KILL'], agentMaster: ['KILL_TASK'] },
  takeover: {
    leader: ['ELECTED'],
    masterScheduler: ['SUBSCRIBE', 'RECONCILE'],
    scheduler: ['SUBSCRIBED'],
    masterAgent: ['REREGISTER'],
    agentMaster: ['INVITE', 'REREGISTERED'],
  },
};

/** Without a part in the life of a task of `tepui run`, or not sent by anybody yet. */
const ELSEWHERE: Partial<Record<Row, readonly string[]>> = {
  masterScheduler: [
    'ACCEPT_INVERSE_OFFERS',
    'DECLINE_INVERSE_OFFERS',
    'REVIVE',
    'SHUTDOWN',
    'ACKNOWLEDGE_OPERATION_STATUS',
    'RECONCILE_OPERATIONS',
    'MESSAGE',
    'REQUEST',
    'UPDATE_FRAMEWORK',
  ],
  scheduler: [
    'INVERSE_OFFERS',
    'RESCIND',
    'RESCIND_INVERSE_OFFER',
    'UPDATE_OPERATION_STATUS',
    'MESSAGE',
    'FAILURE',
    'ERROR',
    'INVITE',
  ],
  masterAgent: ['UNREGISTER', 'STALE_EPOCH', 'EXITED_EXECUTOR', 'EXECUTOR_MESSAGE'],
  agentMaster: ['DIFFERS', 'SHUTDOWN_FRAMEWORK', 'SHUTDOWN_EXECUTOR', 'EXECUTOR_MESSAGE', 'SHUTDOWN'],
};

const TIMINGS = [
  'heartbeatIntervalMs=300',
  'updateRetryMs=500',
  'invitationWaitMs=500',
  'registrationBackoffMaxMs=500',
];

const folder = new CliFolder();
let server: TestServer;
let proxy: NatsProxy;

const lose = (row: Row, type: string): Losing =>
  proxy.lose({ way: 'toServer', subject: new RegExp(`^${BEGINNINGS[row].replaceAll('.', '\\.')}(.*\\.)?${type}$`) });
const typesOf = (story: keyof typeof STORIES): [Row, string][] =>
  Object.entries(STORIES[story]).flatMap(([row, types]) => types.map((type): [Row, string] => [row as Row, type]));

test.before(async () => {
  server = await startTestServer([{ user: 'me', password: 'pw', permissions: { publish: ['>'], subscribe: ['>'] } }]);
  proxy = await startNatsProxy(server.url);
});
test.after.always(async () => {
  await folder.remove();
  await proxy.close();
  await server.remove();
});

test.serial(
  'FLT-6 LNK-1 AGT-1 a cluster comes up though the first registrations and the word of the election are lost',
  async (t) => {
    const losing = typesOf('start').map(([row, type]) => lose(row, type));
    const url = proxy.url.replace('nats://', 'nats://me:pw@');
    await folder.up(...quickly(...TIMINGS), '--masters', '3', '--agents', '2', '--nats', url);
    for (const each of losing) t.truthy(each.subject());
  },
);

/** A task that says that it has started and waits until it may go on. */
function waitingTask(name: string) {
  const [starts, go] = [join(folder.temporary, `${name}.starts`), join(folder.temporary, `${name}.go`)];
  const script = `echo start >>${starts}; while [ ! -e ${go} ]; do sleep 0.05; done; exit 7`;
  return {
    run: folder.start(['run', '--name', name, script]),
    started: () => until('its start', () => existsSync(starts)),
    go: () => writeFileSync(go, ''),
    starts: () => lines(readFileSync(starts, 'utf8')),
  };
}

async function lostIn(t: ExecutionContext, losing: Losing, what: string): Promise<void> {
  await until(`a lost ${what}`, () => losing.subject() !== undefined);
  t.truthy(losing.subject());
}

for (const [row, type] of [...typesOf('launch'), ...typesOf('run')])
  test.serial(`FLT-6 LNK-1 UPD-1 a lost ${row} ${type} costs no task`, async (t) => {
    const losing = lose(row, type);
    const task = waitingTask(`lost-${row}-${type}`);
    if (typesOf('run').some(([own, one]) => own === row && one === type)) await lostIn(t, losing, type);
    task.go();
    const { status, stdout, stderr } = await task.run.ended;
    t.is(status, 7, stdout + stderr);
    t.truthy(losing.subject(), 'nothing was lost');
    t.deepEqual(task.starts(), ['start']);
  });

for (const [row, type] of typesOf('kill'))
  test.serial(`FLT-6 KIL-1 a lost ${row} ${type} is said again, and the task is killed`, async (t) => {
    const task = waitingTask(`lost-${row}-${type}`);
    await task.started();
    const losing = lose(row, type);
    task.run.signal('SIGINT');
    const { status, stdout, stderr } = await task.run.ended;
    t.is(status, 130, stdout + stderr);
    t.truthy(losing.subject(), 'nothing was lost');
    t.deepEqual(task.starts(), ['start']);
  });

for (const [row, type] of typesOf('takeover'))
  test.serial(`FLT-6 TKO-3 LNK-1 a ${row} ${type} that is lost in a takeover costs no task`, async (t) => {
    const task = waitingTask(`takeover-${row}-${type}`);
    await task.started();
    const { masters } = await folder.json<StatusJson>('status');
    const losing = lose(row, type);
    killNow(masters.find(({ leading }) => leading)?.pid);
    await lostIn(t, losing, type);
    task.go();
    const { status, stdout, stderr } = await task.run.ended;
    t.is(status, 7, stdout + stderr);
    t.deepEqual(task.starts(), ['start']);
    await until('agents', async () => {
      const now = await folder.run('status', '--json');
      return now.status === 0 && (JSON.parse(now.stdout) as StatusJson).agents.every(({ id }) => id !== null);
    });
  });

test('FLT-6 each message between master, agent and scheduler has its story here, or is known to have none', (t) => {
  for (const row of Object.keys(BEGINNINGS) as Row[]) {
    const told = Object.values(STORIES).flatMap((story) => story[row] ?? []);
    t.deepEqual([...new Set([...told, ...(ELSEWHERE[row] ?? [])])].sort(), Object.keys(MESSAGES[row]).sort(), row);
  }
});

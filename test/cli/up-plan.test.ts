import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { Resources } from '../../protocol/resources.js';
import { permissionsOf } from '../../protocol/subjects.js';
import { withoutLogin } from '../../runtime/up/cluster.js';
import { dividePorts, divideResources } from '../../runtime/up/divide-resources.js';
import { clusterLayout } from '../../runtime/up/layout.js';
import { nextDelayMs } from '../../runtime/up/keeper.js';
import { serverCount } from '../../runtime/up/nats-servers.js';
import { agentGraceMs, agentNames, masterNames } from '../../runtime/up/plan.js';
import { clusterUsers } from '../../runtime/up/users.js';
import { parseTimings, servers } from '../../cli/commands/up.js';

const MACHINE = { cpus: 2, memoryMiB: 24_000, diskMiB: 100_000 };

test('UP-4 the machine is divided among its agents: cpus, three quarters of memory and disk, disjoint ports', (t) => {
  t.deepEqual(divideResources(MACHINE, 3), [
    'cpus:0.666; disk:25000; mem:6000; ports:[31000-31332]',
    'cpus:0.666; disk:25000; mem:6000; ports:[31333-31665]',
    'cpus:0.666; disk:25000; mem:6000; ports:[31666-31998]',
  ]);
});

test('UP-4 no machine gives its agents more than it has, and no port twice', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 256 }),
      fc.integer({ min: 512, max: 2 ** 20 }),
      fc.integer({ min: 1, max: 100 }),
      (cpus, memoryMiB, agents) => {
        const parts = divideResources({ cpus, memoryMiB, diskMiB: 10_000 }, agents).map((text) =>
          Resources.parse(text),
        );
        const total = Resources.sum(parts);
        const ports = dividePorts(agents);
        const apart = ports.every(({ begin }, i) => i === 0 || begin > (ports[i - 1]?.end ?? 0));
        const within = (ports.at(-1)?.end ?? 0) <= 32_000;
        return total.scalar('cpus') <= cpus * 1_000 && total.scalar('mem') <= memoryMiB * 750 && apart && within;
      },
    ),
  );
  t.pass();
});

test('UP-4 stated resources are taken as they are, the last for all that follow, with ports of their own', (t) => {
  t.deepEqual(divideResources(MACHINE, 3, ['cpus:4;mem:10', 'cpus:1;mem:5;ports:[1-2]']), [
    'cpus:4; mem:10; ports:[31000-31332]',
    'cpus:1; mem:5; ports:[1-2]',
    'cpus:1; mem:5; ports:[1-2]',
  ]);
  t.throws(() => divideResources(MACHINE, 1, ['cpus:many']), { name: 'ParseError' });
});

test('UP-6 each process has a user with what the subject table gives its role, and nobody else may do everything', (t) => {
  const users = new Map(clusterUsers('pool', ['m1'], ['a1', 'a2']).map((user) => [user.user, user]));
  t.deepEqual(
    [...users.keys()],
    ['m1', 'a1', 'a2', 'a1-executor', 'a2-executor', 'operator', 'run', 'wordcount', 'wordcount-tasks', 'tap', 'admin'],
  );
  t.deepEqual(users.get('m1')?.permissions, permissionsOf('pool', 'master', 'm1'));
  t.deepEqual(users.get('a2')?.permissions, permissionsOf('pool', 'agent', 'a2'));
  t.deepEqual(users.get('run')?.permissions, permissionsOf('pool', 'scheduler', 'run'));
  t.deepEqual(users.get('tap')?.permissions, { publish: [], subscribe: ['pool.>'] });
  for (const [name, { permissions }] of users)
    t.is(permissions.publish.includes('>') || permissions.subscribe.includes('>'), name === 'admin');
  const passwords = [...users.values()].map(({ password }) => password);
  t.is(new Set(passwords).size, passwords.length);
  t.true(passwords.every((password) => password.length >= 32));
});

test('UP-6 the tasks of the word count reach its bucket and no subject of the cluster', (t) => {
  const tasks = clusterUsers('pool', ['m1'], ['a1']).find(({ user }) => user === 'wordcount-tasks');
  t.true((tasks?.permissions.publish ?? []).every((subject) => subject.includes('wordcount')));
  t.false((tasks?.permissions.publish ?? []).some((subject) => subject.startsWith('pool.')));
});

test('UP-7 what ends is started again after 100 ms, doubling to 5 s, and anew after ten seconds of life', (t) => {
  const delays: number[] = [];
  for (let i = 0; i < 8; i++) delays.push(nextDelayMs(delays.at(-1), 50));
  t.deepEqual(delays, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  t.is(nextDelayMs(5_000, 10_000), 100);
});

test('UP-8 timings are set by their names', (t) => {
  t.deepEqual(parseTimings(['heartbeatIntervalMs=50', 'missedHeartbeats=3']), {
    heartbeatIntervalMs: 50,
    missedHeartbeats: 3,
  });
  t.regex(t.throws(() => parseTimings(['nosuch=1']))?.message ?? '', /no timing nosuch/);
  t.regex(t.throws(() => parseTimings(['leaseTtlMs']))?.message ?? '', /needs a number/);
  t.regex(t.throws(() => parseTimings(['leaseTtlMs=-1']))?.message ?? '', /needs a number/);
});

test('UP-1 processes have short names, which are their principals', (t) => {
  t.deepEqual(masterNames({ masters: 2 }), ['m1', 'm2']);
  t.deepEqual(agentNames({ agents: 3 }), ['a1', 'a2', 'a3']);
});

test('UP-2 an agent has the time that its tasks may take', (t) => {
  t.true(agentGraceMs({}) > 6_000);
  t.true(agentGraceMs({ killGraceMs: 60_000 }) > 120_000);
});

test('UP-6 an address is shown without its login', (t) => {
  t.is(withoutLogin('nats://me:secret@host:4222'), 'nats://host:4222');
  t.is(withoutLogin('nats://a:b@one:1,me:c@two:2'), 'nats://one:1,two:2');
  t.is(withoutLogin('nats://host:4222'), 'nats://host:4222');
});

test('UP-11 as many servers as asked, else as have stored what is there, else one', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'tepui-count-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const layout = clusterLayout(dir);
  t.deepEqual([serverCount(undefined, layout, 2), serverCount(1, layout, 1), serverCount(3, layout, 2)], [1, 1, 3]);
  t.throws(() => serverCount(3, layout, 1), { name: 'ServerCountError', message: /need 2 cores, here is 1/ });
  mkdirSync(join(dir, 'nats', 'n1', 'store'), { recursive: true });
  t.is(serverCount(undefined, layout, 2), 1);
  t.throws(() => serverCount(3, layout, 2), { name: 'ServerCountError', message: /kept by one NATS server/ });
  for (const name of ['n2', 'n3']) {
    mkdirSync(join(dir, 'nats', name));
    writeFileSync(join(dir, 'nats', name, 'nats.conf'), '');
  }
  // Even when one has lost its store.
  rmSync(join(dir, 'nats', 'n1', 'store'), { recursive: true });
  t.is(serverCount(undefined, layout, 2), 3);
  t.throws(() => serverCount(1, layout, 2), { name: 'ServerCountError', message: /kept by 3 NATS servers/ });
});

test('UP-11 one server or three, and no other number', (t) => {
  t.deepEqual(['1', '3'].map(servers), [1, 3]);
  for (const text of ['2', '4', '5', '0', '-1', 'many', '']) t.throws(() => servers(text), { message: /1, or 3/ });
});

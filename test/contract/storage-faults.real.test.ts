/** What the storage adapter does when its server, its connection or its stream does not behave. */
import test, { type ExecutionContext } from 'ava';
import { jetstreamManager, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream';
import { headers, type NatsConnection } from 'nats';
import { openNatsStorage, type NatsStorage } from '../../runtime/nats/nats-storage.js';
import { bucketProblems, provision, ProvisionError } from '../../runtime/nats/provision.js';
import type { Entry, KeyedWrite, Stored } from '../../runtime/ports.js';
import { leaseBucket, registryBucket, storageInboxPrefix } from '../../protocol/subjects.js';
import { bytes, called, realHarness, text } from './harness.js';
import {
  connectAs,
  connectMaster,
  masterOf,
  memoryLog,
  provisionAs,
  ROOT,
  startLastingServers,
  startServerOf,
  type LastingServers,
  type MemoryLog,
} from './real-nats.js';
import type { TestServer } from '../support/nats-server.js';

const CLUSTERS = Array.from({ length: 20 }, (_, i) => `f${i}`);
const harness = realHarness();

let server: TestServer;
let used = 0;
test.before(async () => {
  server = await startServerOf(CLUSTERS);
});
test.after.always(() => server.remove());

interface World {
  readonly cluster: string;
  readonly connection: NatsConnection;
  readonly storage: NatsStorage;
  readonly manager: JetStreamManager;
  readonly administrator: NatsConnection;
  readonly log: MemoryLog;
  readonly fatal: Error[];
}

async function newWorld(t: ExecutionContext, at: { readonly url: string } = server, named?: string): Promise<World> {
  const cluster = named ?? CLUSTERS[used++];
  if (cluster === undefined) throw new Error('more tests than clusters');
  await provisionAs(at, cluster);
  const log = memoryLog();
  const fatal: Error[] = [];
  const connection = await connectMaster(at, cluster, log);
  const administrator = await connectAs(at, ROOT);
  const storage = await openNatsStorage({
    connection,
    cluster,
    inboxPrefix: storageInboxPrefix(cluster, 'master', masterOf(cluster).user),
    log,
    onFatal: (error) => fatal.push(error),
  });
  t.teardown(async () => {
    storage.close();
    await connection.close();
    await administrator.close();
  });
  return { cluster, connection, storage, manager: await jetstreamManager(administrator), administrator, log, fatal };
}

const put = (key: string, value: string): KeyedWrite => ({ key, value: bytes(value) });
const set = (storage: NatsStorage, write: KeyedWrite, revision: number, bucket: 'registry' | 'lease' = 'registry'): Promise<Stored> =>
  called(harness, (done) => storage.compareAndSet(bucket, write, revision, undefined, done)); // prettier-ignore
const commit = (storage: NatsStorage, fence: number, decisions: readonly (readonly KeyedWrite[])[]): Promise<string> =>
  called(harness, (done) => storage.commit('epoch', fence, decisions, done)); // prettier-ignore

interface Seen {
  readonly entries: Entry[];
  caughtUp: number;
}

function follow(storage: NatsStorage, bucket: 'registry' | 'lease' = 'registry'): Seen {
  const seen: Seen = { entries: [], caughtUp: 0 };
  storage.watch(
    bucket,
    (entry) => seen.entries.push(entry),
    () => seen.caughtUp++,
  );
  return seen;
}

const isAscending = ({ entries }: Seen): boolean =>
  entries.every(({ revision }, i) => i === 0 || revision > (entries[i - 1] as Entry).revision);

test('POR-12: a marker that is gone by itself is still what the watch has told last', async (t) => {
  const { storage, manager, cluster } = await newWorld(t);
  const seen = follow(storage, 'lease');
  const { revision } = await set(storage, put('leader', 'x'), 0, 'lease');
  const marker = await set(storage, { key: 'leader' }, revision, 'lease');
  await harness.settle(() => seen.entries.at(-1)?.revision === marker.revision);
  await manager.streams.purge(`KV_${leaseBucket(cluster)}`, { filter: `$KV.${leaseBucket(cluster)}.leader` });
  t.is((await set(storage, put('leader', 'old'), revision, 'lease')).outcome, 'refused');
  t.is((await set(storage, put('leader', 'y'), marker.revision, 'lease')).outcome, 'stored');
});

test('NAT-6: on one server few decisions of one record go singly, others as a batch, never with a message id expected', async (t) => {
  const { storage, manager, cluster } = await newWorld(t);
  const { revision: fence } = await set(storage, put('epoch', '1'), 0);
  const seen = follow(storage);
  const singles = (count: number): KeyedWrite[][] => Array.from({ length: count }, (_, i) => [put(`task.${i}`, 'x')]);
  t.is(await commit(storage, fence, singles(19)), 'stored');
  t.is(await commit(storage, fence, singles(20)), 'stored');
  t.is(await commit(storage, fence, [[put('task.a', 'x'), put('task.b', 'x')]]), 'stored');
  await harness.settle(() => seen.entries.at(-1)?.key === 'task.b');
  const headersAt = async (key: string): Promise<{ keys: string[]; batch: string }> => {
    const message = await manager.streams.getMessage(`KV_${registryBucket(cluster)}`, {
      last_by_subj: `$KV.${registryBucket(cluster)}.${key}`,
    });
    return { keys: message?.header.keys() ?? [], batch: message?.header.get('Nats-Batch-Id') ?? '' };
  };
  t.not((await headersAt('task.0')).batch, '');
  t.not((await headersAt('task.a')).batch, '');
  t.is(await commit(storage, fence, singles(1)), 'stored');
  t.is((await headersAt('task.0')).batch, '');
  for (const key of ['task.0', 'task.a', 'epoch'])
    t.false((await headersAt(key)).keys.includes('Nats-Expected-Last-Msg-Id'));
  t.throws(() => storage.commit('epoch', fence, [], () => undefined), { instanceOf: RangeError });
  t.throws(() => storage.commit('epoch', fence, [singles(1_001).flat()], () => undefined), { instanceOf: RangeError });
});

test('NAT-6: a second commit while one is in flight is a fault of the caller', async (t) => {
  const { storage } = await newWorld(t);
  const { revision: fence } = await set(storage, put('epoch', '1'), 0);
  const first = commit(storage, fence, [[put('task.1', 'x')]]);
  t.throws(() => storage.commit('epoch', fence, [[put('task.2', 'x')]], () => undefined));
  t.is(await first, 'stored');
  t.is(await commit(storage, fence, [[put('task.2', 'x')]]), 'stored');
});

test('NAT-4: what is not answered, or not taken, is unknown, and not in a circle without a pause', async (t) => {
  const own = await startServerOf(['c']);
  t.teardown(() => own.remove());
  const { storage, manager } = await newWorld(t, own, 'c');
  const { revision: fence } = await set(storage, put('epoch', '1'), 0);
  const timed = async (work: Promise<unknown>): Promise<[unknown, number]> => {
    const startMs = performance.now();
    return [await work, performance.now() - startMs];
  };
  // Above what the server takes: part of the batch has been sent by then.
  const large = { key: 'task.large', value: new Uint8Array(2 ** 20 + 1) };
  const [largeOutcome, largeMs] = await timed(commit(storage, fence, [[put('task.1', 'x'), large]]));
  t.is(largeOutcome, 'unknown');
  t.true(largeMs >= 200);
  process.kill(own.pid, 'SIGSTOP');
  const [silent, silentMs] = await timed(commit(storage, fence, [[put('task.1', 'x'), put('task.2', 'x')]]));
  process.kill(own.pid, 'SIGCONT');
  t.is(silent, 'unknown');
  t.true(silentMs >= 1_900 && silentMs < 4_000, `${silentMs} ms`);
  await harness.settle(500);
  await manager.streams.delete(`KV_${registryBucket('c')}`);
  const [gone, goneMs] = await timed(set(storage, put('epoch', '2'), fence));
  t.deepEqual(gone, { outcome: 'unknown', revision: 0 });
  t.true(goneMs >= 200 && goneMs < 1_900, `${goneMs} ms`);
});

test('NAT-4: what was on its way when the connection broke is unknown as soon as it is back', async (t) => {
  const own = await startServerOf(['c']);
  t.teardown(() => own.remove());
  const { storage, connection } = await newWorld(t, own, 'c');
  process.kill(own.pid, 'SIGSTOP');
  const startMs = performance.now();
  const outcomes: string[] = [];
  storage.compareAndSet('registry', put('epoch', '1'), 0, undefined, ({ outcome }) => outcomes.push(outcome));
  await harness.settle(50);
  void connection.reconnect();
  await harness.settle(50);
  process.kill(own.pid, 'SIGCONT');
  await harness.settle(() => outcomes.length > 0);
  // Stored, when the server read it before it saw the end of the connection, and its answer found the new one.
  t.true(['unknown', 'stored'].includes(outcomes.join()), outcomes.join());
  t.true(performance.now() - startMs < 1_500);
});

test('NAT-5: a watch whose connection is away misses nothing and tells nothing twice', async (t) => {
  const { storage, connection, administrator, cluster, fatal } = await newWorld(t);
  const seen = follow(storage);
  let sent = 0;
  const write = setInterval(
    () => administrator.publish(`$KV.${registryBucket(cluster)}.task.${sent++}`, bytes('x')),
    1,
  );
  for (let i = 0; i < 10; i++) {
    await harness.settle(100);
    await connection.reconnect();
  }
  clearInterval(write);
  await harness.settle(() => seen.entries.length >= sent);
  await harness.settle(200);
  t.is(seen.entries.length, sent);
  t.true(isAscending(seen));
  t.is(seen.caughtUp, 1);
  t.deepEqual(fatal, []);
});

test('NAT-5: a watch whose consumer is deleted goes on soon', async (t) => {
  const { storage, manager, cluster } = await newWorld(t);
  const seen = follow(storage);
  await harness.settle(() => seen.caughtUp === 1);
  const stream = `KV_${registryBucket(cluster)}`;
  for (let i = 1; i <= 3; i++) {
    const [consumer] = await manager.consumers.list(stream).next();
    await manager.consumers.delete(stream, (consumer as { name: string }).name);
    const startMs = performance.now();
    await set(storage, put('task.x', String(i)), seen.entries.at(-1)?.revision ?? 0);
    await harness.settle(() => seen.entries.length === i);
    t.true(performance.now() - startMs < 5_000);
    t.is(text(seen.entries.at(-1)?.value), String(i));
  }
  t.is(seen.caughtUp, 1);
});

test('NAT-5: a watch whose last delivery was lost notices by the heartbeat', async (t) => {
  const { storage, manager, cluster, administrator, connection } = await newWorld(t);
  const seen = follow(storage);
  await harness.settle(() => seen.caughtUp === 1);
  const stream = `KV_${registryBucket(cluster)}`;
  const [consumer] = await manager.consumers.list(stream).next();
  const inbox = (consumer as { config: { deliver_subject: string } }).config.deliver_subject;
  // Makes the watch believe that something was sent to it which it has not got.
  const beat = headers(100, 'Idle Heartbeat');
  beat.set('Nats-Last-Consumer', '7');
  beat.set('Nats-Last-Stream', '7');
  const startMs = performance.now();
  administrator.publish(inbox, '', { headers: beat });
  await harness.settle(() => performance.now() - startMs > 300);
  const [renewed] = await manager.consumers.list(stream).next();
  t.not((renewed as { name: string }).name, (consumer as { name: string }).name);
  await set(storage, put('task.x', '1'), 0);
  await harness.settle(() => seen.entries.length === 1);
  t.false(connection.isClosed());
});

test('NAT-5: a watch lives through the death and return of its server', async (t) => {
  const lasting: LastingServers = await startLastingServers(1, ['c']);
  t.teardown(() => lasting.remove());
  const { storage, fatal } = await newWorld(t, lasting, 'c');
  const seen = follow(storage);
  const { revision } = await set(storage, put('epoch', '1'), 0);
  await harness.settle(() => seen.entries.length === 1);
  await lasting.kill(0);
  await harness.settle(300);
  await lasting.start(0);
  const backMs = performance.now();
  let stored: Stored = { outcome: 'unknown', revision: 0 };
  while (stored.outcome !== 'stored') stored = await set(storage, put('epoch', '2'), revision);
  await harness.settle(() => seen.entries.length === 2);
  t.log(`told ${Math.round(performance.now() - backMs)} ms after the server was back`);
  t.is(text(seen.entries[1]?.value), '2');
  t.true(isAscending(seen));
  t.deepEqual([fatal, seen.caughtUp], [[], 1]);
});

test('NAT-5: a stream that is gone, or another one, ends the watch', async (t) => {
  const { storage, manager, cluster, administrator, connection, fatal } = await newWorld(t);
  const seen = follow(storage);
  await set(storage, put('task.a', 'x'), 0);
  await harness.settle(() => seen.entries.length === 1);
  await manager.streams.delete(`KV_${registryBucket(cluster)}`);
  await provision(administrator, cluster, { replicas: 1 });
  await connection.reconnect();
  await harness.settle(() => fatal.length > 0);
  t.regex(fatal[0]?.message ?? '', /made anew/);
  await set(storage, put('task.b', 'x'), 0);
  await harness.settle(200);
  t.deepEqual([seen.entries.length, fatal.length], [1, 1]);
});

test.serial('NAT-5 REG-5: a watch that was away for half of a marker’s life ends', async (t) => {
  const { storage, fatal } = await newWorld(t);
  const seen = follow(storage);
  await harness.settle(() => seen.caughtUp === 1);
  const realNow = Date.now;
  try {
    Date.now = () => realNow() + 61_000;
    await harness.settle(() => fatal.length > 0);
  } finally {
    Date.now = realNow;
  }
  t.regex(fatal[0]?.message ?? '', /out of sight/);
});

test('NAT-5: a callback that throws ends the watch, and the process by it', async (t) => {
  const { storage, fatal } = await newWorld(t);
  storage.watch(
    'registry',
    () => {
      throw new Error('on purpose');
    },
    () => undefined,
  );
  await set(storage, put('task.a', 'x'), 0);
  await harness.settle(() => fatal.length > 0);
  t.regex(fatal[0]?.message ?? '', /on purpose/);
});

test('NAT-7: buckets are made once, changed where they can be, and refused aloud where not', async (t) => {
  const { manager, administrator, cluster } = await newWorld(t);
  const stream = `KV_${registryBucket(cluster)}`;
  const { config } = await manager.streams.info(stream);
  t.deepEqual(bucketProblems(registryBucket(cluster), config, 1), []);
  await manager.streams.update(stream, { ...config, max_msgs_per_subject: 5, allow_direct: false });
  await provision(administrator, cluster, { replicas: 1 });
  t.deepEqual(bucketProblems(registryBucket(cluster), (await manager.streams.info(stream)).config, 1), []);
  await t.throwsAsync(provision(administrator, cluster, { replicas: 3 }), { instanceOf: ProvisionError });
  // As an old server would leave it.
  const old = { ...config, allow_atomic: undefined, allow_msg_ttl: false } as unknown as StreamConfig;
  t.deepEqual(
    bucketProblems(registryBucket(cluster), old).map((problem) => problem.split(' ')[0]),
    ['allow_msg_ttl', 'allow_atomic'],
  );
  await manager.streams.delete(stream);
  await manager.streams.add({ name: stream, subjects: [`$KV.${registryBucket(cluster)}.>`], storage: 'memory' });
  await t.throwsAsync(provision(administrator, cluster, { replicas: 1 }), { instanceOf: ProvisionError });
});

test('NAT-7: a storage without its buckets is refused', async (t) => {
  const cluster = CLUSTERS[used++] as string;
  const connection = await connectMaster(server, cluster);
  t.teardown(() => connection.close());
  const inboxPrefix = storageInboxPrefix(cluster, 'master', masterOf(cluster).user);
  const opening = openNatsStorage({ connection, cluster, inboxPrefix, log: memoryLog(), onFatal: () => undefined });
  await t.throwsAsync(opening, { instanceOf: ProvisionError });
});

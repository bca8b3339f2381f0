/** The barrier against a real server that stops answering while writes are in flight. */
import test, { type ExecutionContext } from 'ava';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { RegistryWrite } from '../../actors/effect.js';
import { decodeValue, encodeValue } from '../../protocol/codec.js';
import { EPOCH_KEY, type EpochRecord } from '../../protocol/registry.js';
import { registryBucket, storageInboxPrefix } from '../../protocol/subjects.js';
import { openNatsStorage } from '../../runtime/nats/nats-storage.js';
import { systemClock } from '../../runtime/node/system-clock.js';
import type { Stored } from '../../runtime/ports.js';
import { Registrar } from '../../runtime/registrar.js';
import { called, realHarness } from './harness.js';
import {
  connectAs,
  connectMaster,
  masterOf,
  memoryLog,
  provisionAs,
  ROOT,
  startLastingServers,
  startServerOf,
} from './real-nats.js';

const harness = realHarness();
const EPOCH: EpochRecord = { schemaVersion: 1, epoch: 5, masterId: '5', name: 'm1' };
const agentInfo = { hostname: 'h' };

async function newRegistrar(t: ExecutionContext, server: { readonly url: string }) {
  await provisionAs(server, 'c');
  const log = memoryLog();
  const fatal: Error[] = [];
  const connection = await connectMaster(server, 'c', log);
  const administrator = await connectAs(server, ROOT);
  const inboxPrefix = storageInboxPrefix('c', 'master', masterOf('c').user);
  const storage = await openNatsStorage({
    connection,
    cluster: 'c',
    inboxPrefix,
    log,
    onFatal: (error) => fatal.push(error),
  });
  t.teardown(async () => {
    storage.close();
    await connection.close();
    await administrator.close();
  });
  const told: number[] = [];
  const counted = new Map<string, number>();
  const registrar = new Registrar({
    storage,
    clock: systemClock(),
    log,
    metrics: { count: (metric, by) => counted.set(metric, (counted.get(metric) ?? 0) + by) },
    tell: (event) =>
      event.type === 'REGISTRY_STORED' ? told.push(event.requestId) : fatal.push(new Error(event.reason)),
  });
  /** What the watch has delivered, by key. */
  const seen = new Map<string, unknown>();
  storage.watch(
    'registry',
    (entry) => {
      seen.set(entry.key, entry.value && decodeValue(entry.value));
      registrar.onEntry(entry);
    },
    () => undefined,
  );
  const write = { key: EPOCH_KEY, value: encodeValue(EPOCH) };
  const claim = await called<Stored>(harness, (done) => storage.compareAndSet('registry', write, 0, undefined, done));
  registrar.lead(EPOCH, claim.revision);
  const manager = await jetstreamManager(administrator);
  return { storage, registrar, told, counted, seen, fatal, manager };
}

const lastSequence = async (manager: JetStreamManager): Promise<number> =>
  (await manager.streams.info(`KV_${registryBucket('c')}`)).state.last_seq;

/** Decisions of one to three records, each under a key of its own. */
const decision = (requestId: number, records: number): { requestId: number; writes: RegistryWrite[] } => ({
  requestId,
  writes: Array.from({ length: records }, (_, i) => {
    const agentId = `${requestId}-${i}`;
    return { key: `agent.${agentId}`, record: { schemaVersion: 1, agentId, principal: 'p', agentInfo } };
  }),
});

type World = Awaited<ReturnType<typeof newRegistrar>>;

/** Writes all the while that `outage` goes on; then each decision must be told once, and each record be written once. */
async function requireOnce(
  t: ExecutionContext,
  world: World,
  most: number,
  outage: () => Promise<void>,
): Promise<void> {
  const { registrar, told, counted, seen, fatal, manager } = world;
  let asked = 0;
  let records = 0;
  const ask = (): void => {
    const count = 1 + (asked % most);
    registrar.add({ type: 'persist', ...decision(++asked, count) });
    records += count;
    registrar.flush();
  };
  const writing = setInterval(() => Array.from({ length: 3 }, ask), 5);
  t.teardown(() => clearInterval(writing));
  for (let outages = 0; outages < 2; outages++) {
    await harness.settle(() => told.length > asked / 2);
    await outage();
    await harness.settle(300);
  }
  clearInterval(writing);
  await harness.settle(() => told.length >= asked);
  await harness.settle(() => [...seen.keys()].length === records + 1);
  t.deepEqual([...told].sort((a, b) => a - b), Array.from({ length: asked }, (_, at) => at + 1)); // prettier-ignore
  const { barrier = 0, ...epoch } = seen.get(EPOCH_KEY) as EpochRecord;
  t.deepEqual(epoch, EPOCH);
  t.true(barrier >= 1 && (counted.get('registry_barrier') ?? 0) >= barrier);
  // Each entry of the stream has a sequence of its own: the claim, the barriers, and each record once.
  t.is(await lastSequence(manager), 1 + barrier + records);
  t.deepEqual(fatal, []);
  t.log(`${asked} decisions, ${barrier} barriers, ${counted.get('registry_writes_sent_again')} sent again`);
}

for (const [kind, most] of [
  ['single writes', 1],
  ['batches', 3],
] as const) {
  // prettier-ignore
  test(`REG-7 NAT-6: ${kind} in flight while the server stops for seconds happen once each, and are told`, async (t) => {
    const server = await startServerOf(['c']);
    t.teardown(() => server.remove());
    const world = await newRegistrar(t, server);
    await requireOnce(t, world, most, async () => {
      process.kill(server.pid, 'SIGSTOP');
      await harness.settle(2_600);
      process.kill(server.pid, 'SIGCONT');
    });
  });

  test(`REG-7 NAT-6: ${kind} in flight while the server dies and comes back happen once each, and are told`, async (t) => {
    const servers = await startLastingServers(1, ['c']);
    t.teardown(() => servers.remove());
    const world = await newRegistrar(t, servers);
    await requireOnce(t, world, most, async () => {
      await servers.kill(0);
      await harness.settle(300);
      await servers.start(0);
    });
  });
}

test('REG-2 REG-7: the barrier of a deposed leader is refused, whatever it was about to settle', async (t) => {
  const server = await startServerOf(['c']);
  t.teardown(() => server.remove());
  const { registrar, storage, told, seen, manager } = await newRegistrar(t, server);
  process.kill(server.pid, 'SIGSTOP');
  registrar.add({ type: 'persist', ...decision(1, 2) });
  registrar.flush();
  await harness.settle(2_300);
  process.kill(server.pid, 'SIGCONT');
  // Another claims at once, at whatever revision the record has by then.
  const other = encodeValue({ ...EPOCH, epoch: 6, masterId: '6', name: 'm2' });
  let claimed: Stored = { outcome: 'refused', revision: 0 };
  let barriers = 0;
  while (claimed.outcome !== 'stored') {
    const info = await manager.streams.getMessage(`KV_${registryBucket('c')}`, {
      last_by_subj: `$KV.${registryBucket('c')}.${EPOCH_KEY}`,
    });
    barriers = (decodeValue((info as { data: Uint8Array }).data) as EpochRecord).barrier ?? 0;
    claimed = await called<Stored>(harness, (done) =>
      storage.compareAndSet('registry', { key: EPOCH_KEY, value: other }, info?.seq ?? 0, undefined, done),
    );
  }
  await harness.settle(() => (seen.get(EPOCH_KEY) as EpochRecord).masterId === '6');
  const before = await lastSequence(manager);
  registrar.add({ type: 'persist', ...decision(2, 1) });
  registrar.flush();
  await harness.settle(1_500);
  t.is(await lastSequence(manager), before, 'nothing is written any more');
  t.false(told.includes(2));
  t.true(barriers <= 1);
  t.is((seen.get(EPOCH_KEY) as EpochRecord).masterId, '6');
});

/** The contract of `Storage` on three servers, where writes are busy, elections are held, and batches are staged elsewhere. */
import test, { type TestFn } from 'ava';
import type { NatsConnection } from 'nats';
import { openNatsStorage, type NatsStorage } from '../../runtime/nats/nats-storage.js';
import { storageInboxPrefix } from '../../protocol/subjects.js';
import { realHarness } from './harness.js';
import {
  connectMaster,
  masterOf,
  memoryLog,
  provisionAs,
  startLastingServers,
  type LastingServers,
} from './real-nats.js';
import { storageSuite } from './storage.suite.js';

const CLUSTERS = Array.from({ length: 40 }, (_, i) => `r${i}`);

let servers: LastingServers;
let used = 0;
test.before(async () => {
  servers = await startLastingServers(3, CLUSTERS);
});
test.after.always(() => servers.remove());

storageSuite(async () => {
  const cluster = CLUSTERS[used++];
  if (cluster === undefined) throw new Error('more tests than clusters');
  await provisionWhenReady(cluster);
  const opened: { storage: NatsStorage; connection: NatsConnection }[] = [];
  return {
    ...realHarness(async () => {
      for (const { storage, connection } of opened) {
        storage.close();
        await connection.close();
      }
    }),
    open: async () => {
      const connection = await connectMaster(servers, cluster);
      const inboxPrefix = storageInboxPrefix(cluster, 'master', masterOf(cluster).user);
      const onFatal = (error: Error): void => {
        throw error;
      };
      const storage = await openNatsStorage({ connection, cluster, inboxPrefix, log: memoryLog(), onFatal });
      opened.push({ storage, connection });
      return storage;
    },
  };
}, test.serial as TestFn);

/** JetStream needs its own leader before it makes a stream. */
async function provisionWhenReady(cluster: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await provisionAs(servers, cluster, 3);
    } catch (error) {
      if (tries === 40) throw error;
      await new Promise((fulfil) => setTimeout(fulfil, 250));
    }
  }
}

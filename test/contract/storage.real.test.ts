import test from 'ava';
import type { NatsConnection } from 'nats';
import { openNatsStorage, type NatsStorage } from '../../runtime/nats/nats-storage.js';
import type { TestServer } from '../support/nats-server.js';
import { storageInboxPrefix } from '../../protocol/subjects.js';
import { realHarness } from './harness.js';
import { connectMaster, masterOf, memoryLog, provisionAs, startServerOf } from './real-nats.js';
import { storageSuite } from './storage.suite.js';

const CLUSTERS = Array.from({ length: 40 }, (_, i) => `c${i}`);

let server: TestServer;
let used = 0;
test.before(async () => {
  server = await startServerOf(CLUSTERS);
});
test.after.always(() => server.remove());

storageSuite(async () => {
  const cluster = CLUSTERS[used++];
  if (cluster === undefined) throw new Error('more tests than clusters');
  await provisionAs(server, cluster);
  const opened: { storage: NatsStorage; connection: NatsConnection }[] = [];
  return {
    ...realHarness(async () => {
      for (const { storage, connection } of opened) {
        storage.close();
        await connection.close();
      }
    }),
    open: async () => {
      const connection = await connectMaster(server, cluster);
      const inboxPrefix = storageInboxPrefix(cluster, 'master', masterOf(cluster).user);
      const onFatal = (error: Error): void => {
        throw error;
      };
      const storage = await openNatsStorage({ connection, cluster, inboxPrefix, log: memoryLog(), onFatal });
      opened.push({ storage, connection });
      return storage;
    },
  };
});

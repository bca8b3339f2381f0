import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLmdbStore } from '../../runtime/node/lmdb-store.js';
import { realHarness } from './harness.js';
import { memoryLog } from './real-nats.js';
import { storeSuite } from './store.suite.js';

storeSuite(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-store-'));
  const onFatal = (error: Error): void => {
    throw error;
  };
  let last = openLmdbStore({ folder, log: memoryLog(), onFatal });
  return {
    ...realHarness(async () => {
      await last.close();
      rmSync(folder, { recursive: true, force: true });
    }),
    store: last,
    // What a death really leaves is tested with a process of its own.
    reopen: async () => {
      await last.close();
      last = openLmdbStore({ folder, log: memoryLog(), onFatal });
      return last;
    },
  };
});

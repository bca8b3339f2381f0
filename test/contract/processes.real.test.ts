import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFiles } from '../../runtime/node/node-files.js';
import { nodeProcesses } from '../../runtime/node/node-processes.js';
import { shellBehaviour } from './behaviour.js';
import { realHarness } from './harness.js';
import { processesSuite } from './processes.suite.js';
import { memoryLog } from './real-nats.js';

processesSuite(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-processes-'));
  const log = memoryLog();
  const sandboxFolder = join(folder, 'sandboxes');
  const onFatal = (error: Error): void => {
    throw error;
  };
  const files = nodeFiles({ stateFolder: join(folder, 'state'), sandboxFolder, log, onFatal });
  const processes = nodeProcesses({ sandboxFolder, runtimeFolder: join(folder, 'run'), log });
  return {
    ...realHarness(async () => {
      await new Promise<void>((fulfil) => processes.stopAll(0, fulfil));
      rmSync(folder, { recursive: true, force: true });
    }),
    processes,
    files,
    write: shellBehaviour,
  };
});

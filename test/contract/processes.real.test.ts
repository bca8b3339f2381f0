import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFiles } from '../../runtime/node/node-files.js';
import { nodeProcesses, type NodeProcesses } from '../../runtime/node/node-processes.js';
import { shellBehaviour } from './behaviour.js';
import { realHarness } from './harness.js';
import { processesSuite } from './processes.suite.js';
import { memoryLog } from './real-nats.js';

processesSuite(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-processes-'));
  // The user of the tasks passes through it.
  chmodSync(folder, 0o711);
  const log = memoryLog();
  const sandboxFolder = join(folder, 'sandboxes');
  const files = nodeFiles({ sandboxFolder, log });
  const open = (): NodeProcesses => nodeProcesses({ sandboxFolder, runtimeFolder: join(folder, 'run'), log });
  const first = open();
  const nothing = (): void => undefined;
  first.adopt([], nothing, nothing);
  let last = first;
  return {
    ...realHarness(async () => {
      // What the last life did not adopt is ended by one that adopts nothing.
      last.detach();
      const end = open();
      end.adopt([], nothing, nothing);
      await new Promise<void>((fulfil) => end.stopAll(0, fulfil));
      rmSync(folder, { recursive: true, force: true });
    }),
    processes: first,
    files,
    write: shellBehaviour,
    restart: async () => {
      last.detach();
      last = open();
      return last;
    },
  };
});

import test from 'ava';
import { EffectExecutor, type World } from '../../runtime/effect-executor.js';
import type { FileStatus } from '../../runtime/ports.js';

test('GBC-1 GBC-4: what the disk says of sandboxes is told to the agent’s actor', (t) => {
  const found: FileStatus[] = [{ path: 'a/b', size: 0, mtimeMs: 7 }];
  const asked: string[] = [];
  const files = {
    usage: (onRead: (usedShare: number | undefined) => void) => onRead(0.5),
    folders: (pattern: string, onFound: (folders: readonly FileStatus[]) => void) => {
      asked.push(pattern);
      onFound(found);
    },
    remove: (path: string, onRemoved: (isGone: boolean) => void) => {
      asked.push(path);
      onRemoved(path === 'a/b');
    },
  };
  const sent: object[] = [];
  const executor = new EffectExecutor({
    world: { files, transport: {}, log: {}, metrics: {} } as unknown as World,
    speaker: { cluster: 'c', role: 'agent', principal: 'a1' } as never,
    send: (event) => sent.push(event),
    onStop: () => undefined,
  });
  executor.execute({ type: 'readDisk' });
  executor.execute({ type: 'listSandboxes', pattern: 'a/*' });
  executor.execute({ type: 'removeSandbox', path: 'a/b' });
  executor.execute({ type: 'removeSandbox', path: 'stays' });
  t.deepEqual(asked, ['a/*', 'a/b', 'stays']);
  t.deepEqual(sent, [
    { type: 'DISK_READ', usedShare: 0.5 },
    { type: 'SANDBOXES_LISTED', sandboxes: found },
    { type: 'SANDBOX_REMOVED', path: 'a/b', isGone: true },
    { type: 'SANDBOX_REMOVED', path: 'stays', isGone: false },
  ]);
});

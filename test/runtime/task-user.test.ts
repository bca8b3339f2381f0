import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { makeFolders } from '../../runtime/up/layout.js';
import { chooseTaskUser } from '../../runtime/up/task-user.js';

test('UP-13: tasks of a cluster of root run as nobody where it can come, else as root with a warning', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-user-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const layout = makeFolders(join(folder, 'cluster'));
  const said: string[] = [];
  const choose = (): ReturnType<typeof chooseTaskUser> => chooseTaskUser(layout, (line) => said.push(line));
  const closed = choose();
  if (process.getuid?.() !== 0) {
    t.is(closed, undefined);
    return;
  }
  t.deepEqual(closed, { name: 'root', user: undefined });
  t.true(said[0]?.startsWith('warning: ') === true && said[0].includes(folder), said[0]);
  chmodSync(folder, 0o711);
  const open = choose();
  // A checkout that is root's alone is in the way, too: then the warning names another folder.
  if (said.length > 1) t.false(said[1]?.includes(folder));
  else t.is(open?.name, 'nobody');
});

/** The contract of `Files` about what is there, what is removed and how full the disk is. */
import type { ExecutionContext } from 'ava';
import type { FileStatus } from '../../runtime/ports.js';
import type { FilesHarness } from './files.suite.js';
import { called, contract, type Make } from './harness.js';

/** Registers the suite. */
export function filesRemovalSuite(make: Make<FilesHarness>): void {
  const rule: (title: string, body: (t: ExecutionContext, h: FilesHarness) => Promise<void>) => void = contract(make);

  rule('POR-29: folders are found by a pattern, sorted, with their last change; files are none', async (t, h) => {
    for (const path of ['f/b/runs/1/stdout', 'f/a/runs/2/x/y', 'f/a/runs/1/stdout', 'f/a/other/3/stdout', 'f/c'])
      await h.plant(path, 'x');
    const found = await folders(h, 'f/*/runs/*');
    t.deepEqual(
      found.map(({ path }) => path),
      ['f/a/runs/1', 'f/a/runs/2', 'f/b/runs/1'],
    );
    for (const { mtimeMs } of found) t.true(Math.abs(mtimeMs - h.now()) < 60_000);
    for (const pattern of ['nothing/*', 'f/c/*', '../*', '/*', 'f/*/runs/1/stdout'])
      t.deepEqual(await folders(h, pattern), [], pattern);
  });

  rule('POR-30: a folder goes with all that is in it, and with the empty ones above it', async (t, h) => {
    for (const path of ['f/a/runs/1/deep/er/file', 'f/a/runs/1/stdout', 'f/b/runs/1/stdout']) await h.plant(path, 'x');
    t.true(await remove(h, 'f/a/runs/1'));
    t.deepEqual(await list(h, 'f'), ['f/b']);
    t.deepEqual(await list(h, 'f/b/runs/1'), ['f/b/runs/1/stdout']);
    t.true(await remove(h, 'f/b/runs/1'));
    t.deepEqual(await list(h, ''), []);
  });

  rule('POR-30: what is not there is gone; what is outside, or is all of it, is not removed', async (t, h) => {
    await h.plant('f/a/runs/1/stdout', 'x');
    for (const path of ['f/a/runs/2', 'nothing', 'g/h/i']) t.true(await remove(h, path), path);
    for (const path of ['', '.', '/', '..', '../x', '/tmp/x', 'f/../f/a', 'f/\0'])
      t.false(await remove(h, path), JSON.stringify(path));
    t.deepEqual(await list(h, 'f/a/runs/1'), ['f/a/runs/1/stdout']);
  });

  rule('POR-31: the used share of the disk is between 0 and 1', async (t, h) => {
    const share = await called<number | undefined>(h, (onRead) => h.files.usage(onRead));
    t.true(share !== undefined && share >= 0 && share <= 1, String(share));
  });

  rule('POR-9: nothing is found, removed or measured synchronously', async (t, h) => {
    let calls = 0;
    const count = (): number => calls++;
    h.files.folders('*', count);
    h.files.remove('nothing', count);
    h.files.remove('..', count);
    h.files.usage(count);
    t.is(calls, 0);
    await h.settle(() => calls === 4);
  });
}

const folders = (h: FilesHarness, pattern: string): Promise<readonly FileStatus[]> =>
  called(h, (onFound) => h.files.folders(pattern, onFound));

const remove = (h: FilesHarness, path: string): Promise<boolean> =>
  called(h, (onRemoved) => h.files.remove(path, onRemoved));

const list = async (h: FilesHarness, path: string): Promise<string[] | undefined> =>
  (await called<readonly FileStatus[] | undefined>(h, (onListed) => h.files.list(path, onListed)))?.map((file) => file.path); // prettier-ignore

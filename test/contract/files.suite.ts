/** The contract of `Files`. */
import type { ExecutionContext, TestFn } from 'ava';
import type { Files, FileStatus } from '../../runtime/ports.js';
import { called, contract, text, type Harness, type Make } from './harness.js';

export interface FilesHarness extends Harness {
  readonly files: Files;
  /** Writes a file of the sandboxes. */
  plant(path: string, content: string): Promise<void>;
  /** Makes a symbolic link in the sandboxes to an absolute path; left out where there are none. */
  plantLink?(path: string, target: string): Promise<void>;
}

type Rule = (title: string, body: (t: ExecutionContext, h: FilesHarness) => Promise<void>) => void;
type Part = { readonly size: number; readonly data: Uint8Array } | undefined;

/** Registers the suite. */
export function filesSuite(make: Make<FilesHarness>, register?: TestFn): void {
  const rule = contract(make, register);
  sandboxes(rule);
  escapes(rule);
}

const read = (h: FilesHarness, path: string, offset = 0, length = 1_000): Promise<Part> =>
  called(h, (onRead) => h.files.read(path, offset, length, onRead));

const list = (h: FilesHarness, path: string): Promise<readonly FileStatus[] | undefined> =>
  called(h, (onListed) => h.files.list(path, onListed));

function sandboxes(rule: Rule): void {
  rule('POR-24: a window of a file comes with the size of the whole', async (t, h) => {
    await h.plant('runs/one/stdout', '0123456789');
    const window = async (offset: number, length: number): Promise<unknown[]> => {
      const part = await read(h, 'runs/one/stdout', offset, length);
      return [part?.size, text(part?.data)];
    };
    t.deepEqual(await window(0, 1_000), [10, '0123456789']);
    t.deepEqual(await window(3, 4), [10, '3456']);
    t.deepEqual(await window(8, 4), [10, '89']);
    t.deepEqual(await window(0, 0), [10, '']);
    t.deepEqual(await window(10, 4), [10, '']);
    t.deepEqual(await window(99, 4), [10, '']);
  });

  rule('POR-24: a file that is missing, or is a folder, is undefined', async (t, h) => {
    await h.plant('runs/one/stdout', 'x');
    for (const path of ['runs/one/missing', 'nowhere/at/all', 'runs/one', 'runs/one/stdout/x'])
      t.is(await read(h, path), undefined, path);
  });

  rule('POR-24: a list names what is in a folder itself, with paths below the root, sorted', async (t, h) => {
    await h.plant('runs/one/stdout', '12345');
    await h.plant('runs/one/a file=', '');
    await h.plant('runs/one/deep/er/file', 'x');
    await h.plant('runs/other/stdout', 'x');
    const files = (await list(h, 'runs/one')) ?? [];
    t.deepEqual(
      files.map(({ path }) => path),
      ['runs/one/a file=', 'runs/one/deep', 'runs/one/stdout'],
    );
    t.is(files[2]?.size, 5);
    t.is(files[0]?.size, 0);
    t.true(Math.abs((files[2]?.mtimeMs as number) - h.now()) < 60_000);
    t.deepEqual(
      (await list(h, 'runs'))?.map(({ path }) => path),
      ['runs/one', 'runs/other'],
    );
    t.deepEqual(
      (await list(h, ''))?.map(({ path }) => path),
      ['runs'],
    );
    for (const path of ['runs/missing', 'runs/one/stdout']) t.is(await list(h, path), undefined, path);
  });

  rule('POR-9: files are never read or listed synchronously', async (t, h) => {
    let calls = 0;
    const count = (): number => calls++;
    h.files.read('missing', 0, 10, count);
    h.files.list('missing', count);
    h.files.read('../escape', 0, 10, count);
    h.files.list('/etc', count);
    t.is(calls, 0);
    await h.settle(() => calls === 4);
    t.pass();
  });
}

function escapes(rule: Rule): void {
  rule('POR-25: a path that leaves the root is undefined: `..`, absolute, with a NUL', async (t, h) => {
    await h.plant('runs/one/stdout', 'x');
    const wrong = [
      '..',
      '../x',
      'runs/../../x',
      'runs/one/../../../x',
      '/etc/hostname',
      '/',
      '/runs/one/stdout',
      'runs/one/stdout\0',
    ];
    for (const path of wrong) {
      t.is(await read(h, path), undefined, path);
      t.is(await list(h, path), undefined, path);
    }
  });

  rule('POR-25: a symbolic link that leaves the root is undefined', async (t, h) => {
    if (h.plantLink === undefined) {
      t.pass('no links there');
      return;
    }
    await h.plant('runs/one/stdout', 'x');
    await h.plantLink('runs/one/link', '/etc/passwd');
    await h.plantLink('runs/one/folder', '/etc');
    t.is(await read(h, 'runs/one/link'), undefined);
    t.is(await read(h, 'runs/one/folder/passwd'), undefined);
    t.is(await list(h, 'runs/one/folder'), undefined);
  });
}

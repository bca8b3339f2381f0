import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import { nodeFiles } from '../../runtime/node/node-files.js';
import type { Files } from '../../runtime/ports.js';
import { filesRemovalSuite } from './files-removal.suite.js';
import { filesSuite, type FilesHarness } from './files.suite.js';
import { called, realHarness, text } from './harness.js';
import { memoryLog } from './real-nats.js';

interface Disk {
  readonly folder: string;
  readonly sandboxes: string;
  open(): Files;
  remove(): void;
}

function newDisk(): Disk {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-files-'));
  const sandboxes = join(folder, 'sandboxes');
  return {
    folder,
    sandboxes,
    open: () => nodeFiles({ sandboxFolder: sandboxes, log: memoryLog() }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const make = async (): Promise<FilesHarness> => {
  const disk = newDisk();
  const absolute = (path: string): string => {
    const file = join(disk.sandboxes, path);
    mkdirSync(dirname(file), { recursive: true });
    return file;
  };
  return {
    ...realHarness(async () => disk.remove()),
    files: disk.open(),
    plant: async (path, content) => writeFileSync(absolute(path), content),
    plantLink: async (path, target) => symlinkSync(target, absolute(path)),
  };
};

filesSuite(make);
filesRemovalSuite(make);

const read = (files: Files, path: string): Promise<string | undefined> =>
  called<{ data: Uint8Array } | undefined>(realHarness(), (onRead) => files.read(path, 0, 1_000, onRead)).then((part) =>
    text(part?.data),
  );

test('POR-25: a link within the sandboxes is followed, a pipe or a device is no file', async (t) => {
  const disk = newDisk();
  t.teardown(() => disk.remove());
  const files = disk.open();
  mkdirSync(join(disk.sandboxes, 'a'));
  writeFileSync(join(disk.sandboxes, 'a', 'real'), 'content');
  symlinkSync('real', join(disk.sandboxes, 'a', 'link'));
  symlinkSync('circle', join(disk.sandboxes, 'a', 'circle'));
  execFileSync('mkfifo', [join(disk.sandboxes, 'a', 'pipe')]);
  t.is(await read(files, 'a/link'), 'content');
  t.is(await read(files, 'a/pipe'), undefined);
  t.is(await read(files, 'a/circle'), undefined);
});

test('POR-25: a folder that is swapped for a link while it is read does not lead out', async (t) => {
  const disk = newDisk();
  t.teardown(() => disk.remove());
  const files = disk.open();
  const secret = join(disk.folder, 'secret');
  mkdirSync(secret);
  writeFileSync(join(secret, 'file'), 'secret');
  const [folder, aside] = [join(disk.sandboxes, 'a'), join(disk.sandboxes, 'b')];
  mkdirSync(folder);
  writeFileSync(join(folder, 'file'), 'open');
  symlinkSync(secret, join(disk.sandboxes, 'out'));
  const swap = setInterval(() => {
    renameSync(folder, aside);
    renameSync(join(disk.sandboxes, 'out'), folder);
    renameSync(folder, join(disk.sandboxes, 'out'));
    renameSync(aside, folder);
  }, 0);
  const seen = new Set<string | undefined>();
  for (let i = 0; i < 300; i++) seen.add(await read(files, 'a/file'));
  clearInterval(swap);
  t.true(seen.has('open'));
  t.false(seen.has('secret'));
});

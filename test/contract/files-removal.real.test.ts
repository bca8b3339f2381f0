import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { closeOutputs, prepareSandbox } from '../../runtime/node/container-start.js';
import { FolderRemoval } from '../../runtime/node/folder-removal.js';
import { nodeFiles } from '../../runtime/node/node-files.js';
import type { FileStatus } from '../../runtime/ports.js';
import { called, realHarness } from './harness.js';
import { memoryLog } from './real-nats.js';

interface Disk {
  readonly root: string;
  readonly outside: string;
  readonly log: ReturnType<typeof memoryLog>;
  readonly removal: FolderRemoval;
}

function disk(t: ExecutionContext): Disk {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-removal-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [root, outside] = [join(folder, 'sandboxes'), join(folder, 'outside')];
  for (const path of [root, outside]) mkdirSync(path);
  writeFileSync(join(outside, 'precious'), 'x');
  const log = memoryLog();
  return { root, outside, log, removal: new FolderRemoval(root, log) };
}

test('POR-30: links are removed, and what they lead to is not', async (t) => {
  const { root, outside, removal } = disk(t);
  mkdirSync(join(root, 'f/run/deep'), { recursive: true });
  symlinkSync(outside, join(root, 'f/run/link'));
  symlinkSync(join(outside, 'precious'), join(root, 'f/run/deep/link'));
  symlinkSync('/nowhere', join(root, 'f/run/broken'));
  execFileSync('mkfifo', [join(root, 'f/run/pipe')]);
  t.true(await removal.remove(['f', 'run']));
  symlinkSync(outside, join(root, 'link'));
  t.true(await removal.remove(['link']));
  symlinkSync(outside, join(root, 'link'));
  t.false(await removal.remove(['link', 'precious']));
  t.deepEqual(readdirSync(root), ['link']);
  t.deepEqual(readdirSync(outside), ['precious']);
});

test('POR-30: a folder that is swapped for a link while it is removed does not lead out', async (t) => {
  const { root, outside, removal } = disk(t);
  const many = Array.from({ length: 40 }, (_, i) => `file-${i}`);
  let swaps = 0;
  for (let round = 0; round < 6; round++) {
    const run = join(root, 'run');
    mkdirSync(run);
    for (const name of many) {
      mkdirSync(join(run, name));
      writeFileSync(join(run, name, 'precious'), 'x');
    }
    symlinkSync(outside, join(root, 'out'));
    let isOver = false;
    const swap = (): void => {
      if (isOver) return;
      // A task that is still inside of the folder, wherever that was moved.
      const [moved] = existsSync(join(root, '.removed')) ? readdirSync(join(root, '.removed')) : [];
      const inside = moved === undefined ? run : join(root, '.removed', moved);
      try {
        const name = many[swaps % many.length] as string;
        renameSync(join(inside, name), join(inside, `${name}-aside`));
        symlinkSync(outside, join(inside, name));
        swaps += 1;
      } catch {
        // It was removed before.
      }
      setImmediate(swap);
    };
    swap();
    for (let tries = 0; tries < 20 && !(await removal.remove(['run'])); tries++);
    isOver = true;
    rmSync(join(root, 'out'));
    rmSync(join(root, '.removed'), { recursive: true, force: true });
    t.deepEqual(readdirSync(outside), ['precious']);
  }
  t.true(swaps > 0);
});

test('POR-30: folders that are closed, very deep or very full are removed too', async (t) => {
  const { root, removal } = disk(t);
  mkdirSync(join(root, 'run/closed/inner'), { recursive: true });
  chmodSync(join(root, 'run/closed/inner'), 0o000);
  chmodSync(join(root, 'run/closed'), 0o555);
  mkdirSync(join(root, 'run', ...Array.from({ length: 300 }, () => 'a')), { recursive: true });
  mkdirSync(join(root, 'run/full'));
  for (let i = 0; i < 500; i++) writeFileSync(join(root, 'run/full', `file-${i}`), '');
  let turns = 0;
  const count = setInterval(() => (turns += 1), 1);
  t.true(await removal.remove(['run']));
  clearInterval(count);
  t.true(turns > 20, 'the event loop went on');
  t.deepEqual(readdirSync(root), []);
});

test('POR-30: what is mounted in a sandbox stays, is told once, and holds up no other', async (t) => {
  const { root, outside, removal, log } = disk(t);
  mkdirSync(join(root, 'run/volume'), { recursive: true });
  try {
    execFileSync('mount', ['--bind', outside, join(root, 'run/volume')], { stdio: 'ignore' });
  } catch {
    t.log('skipped: this user may not mount');
    return t.pass();
  }
  const mounted = (): string | undefined => readdirSync(join(root, '.removed'))[0];
  try {
    t.false(await removal.remove(['run']));
    t.regex(String(log.lines[0]?.fields?.['error']), /mounted/);
    mkdirSync(join(root, 'other'));
    t.true(await removal.remove(['other']));
    t.is(log.lines.length, 1);
  } finally {
    const name = mounted();
    const volume = name === undefined ? join(root, 'run/volume') : join(root, '.removed', name, 'volume');
    execFileSync('umount', [volume]);
  }
  t.deepEqual(readdirSync(outside), ['precious']);
});

test('POR-30: what an earlier life did not finish is removed with the next', async (t) => {
  const { root, removal } = disk(t);
  mkdirSync(join(root, '.removed/half/deep'), { recursive: true });
  writeFileSync(join(root, '.removed/file'), '');
  mkdirSync(join(root, 'run'));
  t.true(await removal.remove(['run']));
  t.deepEqual(readdirSync(root), []);
});

test('GBC-6: a sandbox is made though the one beside it, and the folder of both, is removed at that moment', async (t) => {
  const { root, removal } = disk(t);
  const spec = { containerId: 'c', sandbox: 's', argv: ['/bin/true'], environment: {} };
  for (let i = 0; i < 100; i++) {
    const removed = i === 0 ? Promise.resolve(true) : removal.remove(['e', 'runs', `${i - 1}`]);
    // Another place in time in each round.
    for (let turns = i % 8; turns > 0; turns--) await new Promise(setImmediate);
    closeOutputs(prepareSandbox(spec, join(root, 'e', 'runs', `${i}`), userInfo().username));
    t.true(await removed);
    t.deepEqual(readdirSync(join(root, 'e', 'runs')), [`${i}`]);
  }
});

test('POR-29: a folder is as young as the youngest in it, and no link is a folder', async (t) => {
  const { root, outside, log } = disk(t);
  const old = new Date(2020, 1, 1);
  for (const name of ['quiet', 'busy']) {
    mkdirSync(join(root, 'runs', name), { recursive: true });
    writeFileSync(join(root, 'runs', name, 'stdout'), 'x');
    if (name === 'quiet') utimesSync(join(root, 'runs', name, 'stdout'), old, old);
    utimesSync(join(root, 'runs', name), old, old);
  }
  symlinkSync(outside, join(root, 'runs', 'link'));
  const files = nodeFiles({ sandboxFolder: root, log });
  const found = await called<readonly FileStatus[]>(realHarness(), (done) => files.folders('runs/*', done));
  t.deepEqual(
    found.map(({ path, mtimeMs }) => [path, mtimeMs === old.getTime()]),
    [
      ['runs/busy', false],
      ['runs/quiet', true],
    ],
  );
});

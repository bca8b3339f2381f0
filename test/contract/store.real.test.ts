import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
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

const MODULE = fileURLToPath(new URL('../../runtime/node/lmdb-store.js', import.meta.url));
const harness = realHarness();

function newFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-store-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** An agent's process that does this with its store `s`; what it says, once it has ended. */
async function child(t: ExecutionContext, folder: string, body: string): Promise<string> {
  const onFatal = '(error) => { console.log("fatal: " + error.message); process.exit(3); }';
  const program = `import { openLmdbStore } from ${JSON.stringify(MODULE)};
    const s = openLmdbStore({ folder: ${JSON.stringify(folder)}, log: { write() {} }, onFatal: ${onFatal} });
    ${body}`;
  const agent = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => agent.kill('SIGKILL'));
  let said = '';
  agent.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  agent.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await harness.settle(() => agent.exitCode !== null || agent.signalCode !== null);
  return said;
}

const open = (folder: string): ReturnType<typeof openLmdbStore> =>
  openLmdbStore({ folder, log: memoryLog(), onFatal: () => undefined });

test('POR-23: what was answered before a death by -9 is there, and of each commit all or nothing', async (t) => {
  const folder = newFolder(t);
  const answers = join(folder, 'answers');
  const body = `import { appendFileSync } from 'node:fs';
    const put = (i) => s.commit(['a', 'b'].map((key) => ({ key, value: Buffer.from(String(i)) })), () => {
      appendFileSync(${JSON.stringify(answers)}, i + '\\n');
      if (i === 100) process.kill(process.pid, 'SIGKILL');
    });
    for (let i = 1; i <= 200; i++) { put(i); if (i % 10 === 0) await new Promise((f) => setTimeout(f, 1)); }
    setInterval(() => {}, 1000);`.replaceAll('\\\\n', '\\n');
  await child(t, join(folder, 'meta'), body);
  const answered = Number(readFileSync(answers, 'utf8').trimEnd().split('\n').at(-1));
  t.is(answered, 100);
  const store = open(join(folder, 'meta'));
  const records = Object.fromEntries(store.load().map(([key, value]) => [key, Number(Buffer.from(value).toString())]));
  t.is(records['a'], records['b']);
  t.true((records['a'] ?? 0) >= answered);
  await store.close();
});

test('STO-1: a store that is no store, was emptied or cannot be opened is refused, and it is said what to do', async (t) => {
  const folder = newFolder(t);
  for (const [content, reason] of [
    ['garbage '.repeat(5_000), 'no database'],
    ['', 'no database'],
    [undefined, 'lost its records'],
  ] as const) {
    const path = join(folder, reason.slice(0, 4) + String(content?.length));
    const store = open(path);
    await new Promise<void>((fulfil) => store.commit([{ key: 'a', value: new Uint8Array(9) }], fulfil));
    await store.close();
    if (content === undefined) rmSync(join(path, 'data.mdb'));
    else writeFileSync(join(path, 'data.mdb'), content);
    const error = t.throws(() => open(path));
    t.true(error?.message.includes(path) && error.message.includes(reason), error?.message);
    t.regex(error?.message ?? '', /move the folder away/);
  }
  writeFileSync(join(folder, 'file'), '');
  t.regex(t.throws(() => open(join(folder, 'file')))?.message ?? '', /cannot be read/);
});

test('STO-2: a write that fails is fatal, and never answered', async (t) => {
  if (process.getuid?.() !== 0) {
    t.log('left out: only root can mount a small disk');
    return t.pass();
  }
  const disk = join(newFolder(t), 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tepui-test', disk]);
  try {
    const body = `s.commit([{ key: 'small', value: Buffer.from('x') }], () => {
      s.commit([{ key: 'large', value: Buffer.alloc(500_000) }], () => console.log('answered'));
    });
    setInterval(() => {}, 1000);`;
    const said = await child(t, join(disk, 'meta'), body);
    t.regex(said, /fatal: .* could not be stored/);
    t.notRegex(said, /answered/);
    t.true(existsSync(join(disk, 'meta')));
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});

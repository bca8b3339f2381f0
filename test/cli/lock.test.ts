import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { endProcess, isRunning, processesRunning, recordOf, signalRecord } from '../../runtime/up/identity.js';
import { lockHolder, LockedError, takeLock } from '../../runtime/up/lock.js';
import { readState, removeState, writeState, type ClusterState } from '../../runtime/up/state.js';

const folder = mkdtempSync(join(tmpdir(), 'tepui-lock-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const sleeper = () => spawn('sleep', ['60'], { stdio: 'ignore' });

test('UP-3 a lock has one holder, and is there for the next when it is given back', (t) => {
  const path = join(folder, 'one');
  const unlock = takeLock(path);
  const error = t.throws(() => takeLock(path), { instanceOf: LockedError });
  t.is(error?.pid, process.pid);
  unlock();
  t.is(lockHolder(path), undefined);
  takeLock(path)();
});

test('UP-3 a lock whose holder is gone is void, and so is one that cannot be read', async (t) => {
  const path = join(folder, 'void');
  const child = sleeper();
  const holder = recordOf(child.pid ?? 0);
  child.kill('SIGKILL');
  await once(child, 'exit');
  for (const text of [JSON.stringify({ ...holder, bootId: 'another' }), JSON.stringify({ ...holder }), 'junk', '']) {
    writeFileSync(path, text);
    t.is(lockHolder(path), undefined);
    takeLock(path)();
  }
});

test('UP-3 a lock of a pid that is another process by now is void', (t) => {
  const path = join(folder, 'reused');
  const unlock = takeLock(path);
  unlock();
  const { pid, startTime } = recordOf(process.pid);
  writeFileSync(path, JSON.stringify({ pid, startTime: startTime - 1, bootId: 'x' }));
  takeLock(path)();
  t.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('reused')),
    [],
  );
});

test('UP-5 a process is signalled by pid and start time, never by its pid alone', async (t) => {
  const child = sleeper();
  const record = recordOf(child.pid ?? 0);
  t.true(isRunning(record));
  signalRecord({ ...record, startTime: record.startTime + 1 }, 'SIGKILL');
  await new Promise((fulfil) => setTimeout(fulfil, 50));
  t.true(isRunning(record));
  const exit = once(child, 'exit');
  await endProcess(record, 5_000);
  t.deepEqual(await exit, [null, 'SIGTERM']);
  t.false(isRunning(record));
});

test('UP-5 one that does not end when asked is killed', async (t) => {
  const child = spawn('sh', ['-c', 'trap "" TERM; echo; while :; do sleep 1; done'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  const exit = once(child, 'exit');
  await endProcess(recordOf(child.pid ?? 0), 100);
  t.deepEqual(await exit, [null, 'SIGKILL']);
});

test('UP-5 what was started just before it could be written down is found by its program and argument', async (t) => {
  const program = join(folder, 'main.js');
  const mark = join(folder, 'mark');
  writeFileSync(program, 'while :; do sleep 1; done');
  const child = spawn('sh', [program, mark], { stdio: 'ignore' });
  // Somebody who looks at the same file.
  const reader = spawn('sh', ['-c', 'while :; do sleep 1; done', 'tail', mark], { stdio: 'ignore' });
  try {
    await Promise.all([once(child, 'spawn'), once(reader, 'spawn')]);
    const pids = (argument: string): number[] => processesRunning('/main.js', argument).map(({ pid }) => pid);
    t.deepEqual(pids(mark), [child.pid]);
    t.deepEqual(pids(`${mark}x`), []);
  } finally {
    child.kill('SIGKILL');
    reader.kill('SIGKILL');
  }
});

test('UP-3 the state of a cluster is read as it was written, and one that was cut off is none', (t) => {
  const path = join(folder, 'cluster.json');
  const state: ClusterState = {
    nats: {
      url: 'nats://127.0.0.1:1',
      version: '2.15.1',
      servers: [{ name: 'n1', url: 'nats://127.0.0.1:1', pid: 3, startTime: 6 }],
    },
    masters: [{ name: 'm1', pid: 4, startTime: 5 }],
    agents: [],
    dir: folder,
    cluster: 'tepui',
    supervisor: { pid: 1, startTime: 2 },
    bootId: 'b',
  };
  writeState(path, state);
  t.deepEqual(readState(path), state);
  writeFileSync(path, JSON.stringify(state).slice(0, 40));
  t.is(readState(path), undefined);
  removeState(path);
  t.is(readState(path), undefined);
});

/** Containers that outlive their agent: its death between any two steps of a launch, lost wrappers, forged records, a full disk. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { openIsolator } from '../../runtime/node/cgroups.js';
import { openLmdbStore } from '../../runtime/node/lmdb-store.js';
import { endRecorded } from '../../runtime/node/node-processes.js';
import { isAlive, processId, signalProcess, type ProcessId } from '../../runtime/node/process-table.js';
import { parseRecord, WRITTEN_BYTES } from '../../runtime/node/exit-record.js';
import { openRunFolder, runPath, RunFolder } from '../../runtime/node/run-folder.js';
import { WRAPPER } from '../../runtime/node/wrapper.js';
import type { ContainerEnd } from '../../runtime/ports.js';
import { realHarness } from './harness.js';
import { launch, makeMachine, PATH, specOf, stopAll, type Machine, type Run } from './real-machine.js';

const harness = realHarness();
const isRoot = process.getuid?.() === 0;
const OLD_BOOT = '00000000-0000-4000-8000-000000000000';

function newMachine(t: ExecutionContext, settings: Parameters<typeof makeMachine>[1] = {}): Machine {
  const machine = makeMachine(t, settings);
  const nothing = (): void => undefined;
  machine.processes.adopt([], nothing, nothing);
  return machine;
}

const output = (run: Run): string => readFileSync(join(run.sandbox, 'stdout'), 'utf8');

/** What has this sandbox in its environment now, with its state. */
function processesOf(sandbox: string): (ProcessId & { state: string; isWrapper: boolean })[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const words = readFileSync(`/proc/${name}/environ`, 'utf8').split('\0');
      if (!words.includes(`TEPUI_SANDBOX=${sandbox}`)) return [];
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const id = processId(Number(name));
      const isWrapper = words.some((word) => word.startsWith('TEPUI_CLAIM='));
      return id === undefined ? [] : [{ ...id, state: stat.slice(stat.lastIndexOf(')') + 2)[0] as string, isWrapper }];
    } catch {
      return [];
    }
  });
}

/** Waits until the wrapper, or what it forked, has stopped itself. */
async function untilStopped({ sandbox }: Run): Promise<ProcessId> {
  const stopped = (): ProcessId | undefined => processesOf(sandbox).find(({ state }) => state === 'T');
  await harness.settle(() => stopped() !== undefined);
  return stopped() as ProcessId;
}

const STOP = 'kill -STOP "$pid"';
const stopAt = (place: string): string => {
  if (!WRAPPER.includes(`# ${place}\n`)) throw new Error(`no place ${place}`);
  return WRAPPER.replace(`# ${place}\n`, `${STOP}\n`);
};
/** The claim is there, and nobody's name in it. */
const UNSIGNED = WRAPPER.replace(
  'echo "$pid $start" >"$claim"',
  `: >"$claim"; ${STOP}; set +C; echo "$pid $start" >"$claim"`,
);

const gaps: readonly [place: string, wrapper: string, whileStopped: 'neverStarted' | 'silent' | 'started' | 'ended'][] =
  [
    ['begun', stopAt('begun'), 'neverStarted'],
    ['unsigned', UNSIGNED, 'silent'],
    ['claimed', stopAt('claimed'), 'silent'],
    ['forked', stopAt('forked'), 'silent'],
    ['started', stopAt('started'), 'started'],
    ['over', stopAt('over'), 'started'],
    ['recorded', stopAt('recorded'), 'ended'],
  ];

for (const [place, wrapper, whileStopped] of gaps) {
  test(`PRC-8: the agent dies while the wrapper stands at "${place}": it starts once in all, and its end is told`, async (t) => {
    const machine = newMachine(t, { wrapper });
    const script = 'echo once; exit 7';
    const stopped = await untilStopped(launch(machine, 'gap', script));
    const run = machine.restart(['gap'], { wrapper: WRAPPER }).get('gap') as Run;
    await harness.settle(400);
    const seen = { neverStarted: [0, 1], silent: [0, 0], started: [1, 0], ended: [1, 1] }[whileStopped];
    t.deepEqual([run.told.started, run.told.ended], seen);
    let last = run;
    if (whileStopped === 'neverStarted') {
      t.deepEqual(run.end, { neverStarted: true });
      last = launch(machine, 'gap', script);
    }
    signalProcess(stopped, 'SIGCONT');
    await harness.settle(() => last.end !== undefined && !isAlive(stopped));
    t.deepEqual(last.end, { exitCode: 7 });
    t.deepEqual(last.told, { started: 1, ended: 1 });
    t.is(output(run), 'once\n');
  });
}

for (const step of ['record', 'fork', 'forked'] as const) {
  test(`PRC-8: the agent dies by -9 before its step "${step}" is done: it starts once in all`, async (t) => {
    const machine = makeMachine(t);
    const module = fileURLToPath(new URL('../../runtime/node/node-processes.js', import.meta.url));
    const settings = JSON.stringify({ sandboxFolder: machine.sandboxes, runtimeFolder: machine.run });
    const script = 'echo once; exit 7';
    const program = `
      import { nodeProcesses } from ${JSON.stringify(module)};
      const onStep = (step) => { if (step === ${JSON.stringify(step)}) process.kill(process.pid, 'SIGKILL'); };
      const p = nodeProcesses({ ...${settings}, log: { write() {} }, onStep });
      p.adopt([], () => {}, () => {});
      p.launch(${JSON.stringify(specOf('gap', script))}, () => {}, () => {});
      setInterval(() => {}, 1000);`;
    const agent = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' });
    t.teardown(() => agent.kill('SIGKILL'));
    await harness.settle(() => agent.signalCode !== null);
    let run = machine.restart(['gap']).get('gap') as Run;
    await harness.settle(() => run.end !== undefined);
    if (step !== 'forked') t.deepEqual(run.end, { neverStarted: true });
    if (run.end?.neverStarted === true) {
      run = launch(machine, 'gap', script);
      await harness.settle(() => run.end !== undefined);
    }
    await harness.settle(() => processesOf(run.sandbox).length === 0);
    t.deepEqual(run.end, { exitCode: 7 });
    t.is(output(run), 'once\n');
  });
}

test('PRC-8: a claim whose wrapper died before it said who it is means that nothing was started', async (t) => {
  const machine = newMachine(t, { wrapper: UNSIGNED });
  const wrapper = await untilStopped(launch(machine, 'unsigned', 'echo once'));
  const run = machine.restart(['unsigned'], { wrapper: WRAPPER }).get('unsigned') as Run;
  signalProcess(wrapper, 'SIGKILL');
  await harness.settle(() => run.end !== undefined);
  t.deepEqual(run.end, { neverStarted: true });
  const again = launch(machine, 'unsigned', 'echo once; exit 4');
  await harness.settle(() => again.end !== undefined);
  t.deepEqual(again.end, { exitCode: 4 });
  t.is(output(again), 'once\n');
});

const TREE = `trap "" TERM; (setsid sh -c 'trap "" TERM; echo ready; while :; do sleep 1; done') & while :; do sleep 1; done`;

for (const when of ['its agent lives', 'it is adopted', 'no agent is there'] as const) {
  test(`PRC-9: a wrapper that is killed while ${when}: its tree is killed, and its end is lost`, async (t) => {
    const machine = newMachine(t);
    let run = launch(machine, 'lost', TREE);
    await harness.settle(() => run.pid !== undefined && output(run).includes('ready'));
    const all = processesOf(run.sandbox);
    if (when === 'it is adopted') {
      run = machine.restart(['lost']).get('lost') as Run;
      await harness.settle(() => run.pid !== undefined);
    }
    if (when === 'no agent is there') machine.processes.detach();
    for (const one of all.filter(({ isWrapper }) => isWrapper)) signalProcess(one, 'SIGKILL');
    if (when === 'no agent is there') {
      await harness.settle(() => all.some((one) => !isAlive(one)));
      run = machine.restart(['lost']).get('lost') as Run;
    }
    await harness.settle(() => run.end !== undefined);
    t.deepEqual(run.end, { lost: 'wrapper' });
    t.is(run.told.started, 1);
    t.deepEqual(all.filter(isAlive), []);
  });
}

test('PRC-9: after another start of the machine only what is written is known, and no old pid is signalled', async (t) => {
  const machine = makeMachine(t);
  const bystander = spawn('/bin/sleep', ['60'], { detached: true, stdio: 'ignore' });
  t.teardown(() => bystander.kill('SIGKILL'));
  const { pid, startTicks } = processId(bystander.pid as number) as ProcessId;
  const path = join(machine.run, OLD_BOOT);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const old = new RunFolder(path);
  const line = (id: string, text: string): void => {
    const attempt = old.create(id, `/sandbox/${id}`);
    const bytes = readFileSync(attempt.record);
    bytes.write(text);
    writeFileSync(attempt.record, bytes);
    if (text !== '') writeFileSync(attempt.claim, `${pid} ${startTicks}\n`);
  };
  line('ran', `started ${pid} ${startTicks}\n`);
  line('ended', `started ${pid} ${startTicks}\nended 143\n`);
  line('cut', `started ${pid} ${startTicks}\nended 1`);
  line('unclaimed', '');
  old.claimForAgent(old.create('refused', '/sandbox/refused'));
  line('unwanted', `started ${pid} ${startTicks}\n`);
  const expected: Record<string, ContainerEnd> = {
    ran: { lost: 'machine' },
    ended: { exitSignal: 'SIGTERM' },
    cut: { lost: 'machine' },
    unclaimed: { lost: 'machine' },
    missing: { lost: 'machine' },
    refused: { neverStarted: true },
  };
  for (const life of ['first', 'second']) {
    const runs = machine.restart(Object.keys(expected));
    await harness.settle(() => [...runs.values()].every(({ end }) => end !== undefined));
    t.deepEqual(Object.fromEntries([...runs].map(([id, { end }]) => [id, end])), expected, life);
  }
  t.false(existsSync(path));
  t.true(isAlive({ pid, startTicks }));
});

test('PRC-6: a recorded pid that is another process by now is left alone', async (t) => {
  const machine = makeMachine(t);
  const bystander = spawn('/bin/sleep', ['60'], { detached: true, stdio: 'ignore' });
  t.teardown(() => bystander.kill('SIGKILL'));
  const { pid, startTicks } = processId(bystander.pid as number) as ProcessId;
  const folder = openRunFolder(machine.run, []);
  for (const id of ['wanted', 'unwanted']) {
    const attempt = folder.create(id, join(machine.sandboxes, 'f', id));
    const bytes = readFileSync(attempt.record);
    bytes.write(`started ${pid} ${startTicks - 1}\n`);
    writeFileSync(attempt.record, bytes);
    writeFileSync(attempt.claim, `${pid} ${startTicks - 1}\n`);
  }
  const run = machine.restart(['wanted']).get('wanted') as Run;
  await harness.settle(() => run.end !== undefined && readdirSync(folder.path).length === 2);
  t.deepEqual(run.end, { lost: 'wrapper' });
  t.true(isAlive({ pid, startTicks }));
});

test('PRC-5: nothing is left of what nobody adopts: forked twice, in sessions of its own, ignoring signals', async (t) => {
  const machine = newMachine(t);
  const runs = [1, 2, 3].map((i) => launch(machine, `left-${i}`, TREE));
  await harness.settle(() => runs.every((run) => run.pid !== undefined && output(run).includes('ready')));
  const all = runs.flatMap(({ sandbox }) => processesOf(sandbox));
  t.true(all.length >= 9);
  machine.processes.detach();
  await endRecorded({ runtimeFolder: machine.run, log: machine.log });
  t.deepEqual(all.filter(isAlive), []);
  t.deepEqual(readdirSync(runPath(machine.run)), []);
});

test('PRC-7: a task of another user can neither forge its end nor end its wrapper', async (t) => {
  if (!isRoot) {
    t.log('left out: only an agent run as root has tasks of another user');
    return t.pass();
  }
  const machine = newMachine(t);
  const folder = runPath(machine.run);
  const script = `for f in ${folder}/* ${folder}/forged.1; do echo "ended 0" > $f; rm -f $f; done; ls ${folder}; kill -9 $PPID; cat /proc/$PPID/environ; exit 9`;
  const run = launch(machine, 'forged', script);
  await harness.settle(() => run.end !== undefined);
  t.deepEqual(run.end, { exitCode: 9 });
  t.is(output(run), '');
});

test('PRC-7: a wrapper that was stopped goes on when its container is killed, and the end is told', async (t) => {
  for (const isLater of [false, true]) {
    const machine = newMachine(t);
    const first = launch(machine, 'stopped', 'exec sleep 60');
    await harness.settle(() => first.pid !== undefined);
    const wrapper = processesOf(first.sandbox).find(({ isWrapper }) => isWrapper) as ProcessId;
    signalProcess(wrapper, 'SIGSTOP');
    const run = isLater ? (machine.restart(['stopped']).get('stopped') as Run) : first;
    machine.processes.signal('stopped', 'SIGKILL');
    await harness.settle(() => run.end !== undefined);
    t.deepEqual(run.end, { exitSignal: 'SIGKILL' });
    t.deepEqual(processesOf(run.sandbox), []);
  }
});

test('PRC-7: what was not written by a wrapper is neither a start nor an end', (t) => {
  const head = { containerId: 'c', sandbox: '/s' };
  const read = (lines: string): unknown => parseRecord(Buffer.from(lines.padEnd(WRITTEN_BYTES) + JSON.stringify(head)));
  const nothing = { ...head, carried: false };
  const junk = [
    'started 0 5',
    'started 1 5',
    'started -7 5',
    'started x y',
    'started 12',
    'ended',
    'ended -1',
    'ended 3x',
    'lost',
    'failed',
    '\0\0',
  ];
  for (const line of junk) t.deepEqual(read(`${line}\n`), nothing, line);
  t.deepEqual(read('started 12 5\nended 3'), { ...nothing, started: { pid: 12, startTicks: 5 } });
  t.like(read('started 12 5\nended 3\n'), { end: { exitCode: 3 } });
  t.is(parseRecord(Buffer.from('started 12 5\nended 3\n')), undefined);
});

test('PRC-13: while a task runs, its environment is in no list of arguments, and in none that another user may read', async (t) => {
  const machine = newMachine(t);
  const run = launch(machine, 'secret', 'sleep 60', { environment: { PATH, WORD: 'hidden-word' } });
  const others = (): (ProcessId & { isWrapper: boolean })[] =>
    processesOf(run.sandbox).filter(({ pid }) => pid !== run.pid);
  await harness.settle(
    () => run.pid !== undefined && readFileSync(`/proc/${run.pid}/cmdline`, 'utf8').includes('sleep'),
  );
  await harness.settle(() => others().length > 0);
  for (const { pid } of processesOf(run.sandbox)) {
    t.false(readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('hidden-word'));
    t.is(statSync(`/proc/${pid}/environ`).mode & 0o077, 0);
  }
  const words = readFileSync(`/proc/${run.pid as number}/environ`, 'utf8').split('\0');
  t.true(words.includes('WORD=hidden-word'));
  t.false(words.some((word) => word.startsWith('TEPUI_WORD') || word.startsWith('TEPUI_CLAIM')));
});

test('PRC-7: a link in the place of a record or a claim is not followed', (t) => {
  const machine = makeMachine(t);
  const folder = openRunFolder(machine.run, []);
  const victim = join(machine.folder, 'victim');
  writeFileSync(victim, 'intact');
  execFileSync('ln', ['-s', victim, folder.attempt('a.1').record]);
  execFileSync('ln', ['-s', victim, folder.attempt('b.1').claim]);
  t.is(folder.create('a', '/a').file, 'a.2');
  t.false(folder.claimForAgent(folder.attempt('b.1')));
  t.is(readFileSync(victim, 'utf8'), 'intact');
});

test('PRC-3: a task has no file of the records that its agent has open', async (t) => {
  const folder = makeMachine(t).folder;
  const onFatal = (error: Error): void => {
    throw error;
  };
  const store = openLmdbStore({ folder: join(folder, 'meta'), log: { write: () => undefined }, onFatal });
  t.teardown(() => store.close());
  await new Promise<void>((fulfil) => store.commit([{ key: 'a', value: new Uint8Array(9) }], fulfil));
  const machine = newMachine(t);
  const run = launch(machine, 'files', 'for f in /proc/self/fd/*; do readlink $f; done');
  await harness.settle(() => run.end !== undefined);
  t.notRegex(output(run), /mdb|meta/);
  t.regex(output(run), /stdout/);
});

test('PRC-7: a full disk loses no end, and refuses a new start aloud', async (t) => {
  if (!isRoot) {
    t.log('left out: only root can mount a small disk');
    return t.pass();
  }
  const machine = makeMachine(t);
  const disk = join(machine.folder, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tepui-test', disk]);
  try {
    const small = newMachine(t, { runtimeFolder: join(disk, 'run') });
    const run = launch(small, 'full', 'while [ ! -e go ]; do sleep 0.02; done; exit 6');
    await harness.settle(() => run.pid !== undefined);
    t.throws(() => writeFileSync(join(disk, 'filler'), new Uint8Array(1_000_000)), { message: /ENOSPC/ });
    writeFileSync(join(run.sandbox, 'go'), '');
    await harness.settle(() => run.end !== undefined);
    t.deepEqual(run.end, { exitCode: 6 });
    const next = launch(small, 'next', 'echo ran');
    await harness.settle(() => next.end !== undefined);
    t.regex(next.end?.launchError ?? '', /ENOSPC|full/);
    const again = small.restart(['full']).get('full') as Run;
    await harness.settle(() => again.end !== undefined);
    t.deepEqual(again.end, { exitCode: 6 });
    await stopAll(small.processes, 0);
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});

test('PRC-5: a fork bomb stops at the limit of its processes, and dies', async (t) => {
  const { folder, log } = makeMachine(t);
  mkdirSync(join(folder, 'run'));
  const isolator = openIsolator({ agent: 'bomb', runtimeFolder: join(folder, 'run'), log });
  if (isolator === undefined) {
    t.log('left out: there are no control groups here that may be used');
    return t.pass();
  }
  const machine = newMachine(t, { isolator });
  const run = launch(machine, 'bomb', 'bomb() { sleep 60 | bomb; }; (bomb &); exec sleep 60', {
    limits: { pids: 40 },
  });
  await harness.settle(() => run.pid !== undefined && isolator.processes('bomb').length > 10);
  await harness.settle(300);
  t.true(isolator.processes('bomb').length <= 40);
  machine.processes.signal('bomb', 'SIGKILL');
  await harness.settle(() => run.end !== undefined);
  t.deepEqual(isolator.processes('bomb'), []);
  t.deepEqual(processesOf(run.sandbox), []);
});

test('PRC-12: a second agent on a work directory is refused, and says who has it', async (t) => {
  const { folder } = makeMachine(t);
  const file = (name: string, value: unknown): string => {
    writeFileSync(join(folder, name), JSON.stringify(value), { mode: 0o600 });
    return join(folder, name);
  };
  const credentials = file('credentials.json', { url: 'nats://127.0.0.1:9' });
  const workDir = join(folder, 'work');
  const config = file('config.json', { role: 'agent', name: 'a1', cluster: 'tepui', credentials, workDir });
  const { takeLock } = await import('../../runtime/up/lock.js');
  mkdirSync(join(workDir, 'run'), { recursive: true });
  const unlock = takeLock(join(workDir, 'run', 'lock'));
  const main = fileURLToPath(new URL('../../runtime/main.js', import.meta.url));
  const agent = spawn(process.execPath, [main, config], { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH } });
  t.teardown(() => agent.kill('SIGKILL'));
  let said = '';
  agent.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await harness.settle(() => agent.exitCode !== null && said.endsWith('\n'));
  unlock();
  t.true(said.includes(`process ${process.pid}`) && said.includes(workDir), said);
});

test.serial('PRC-1: launches per second of the adapter alone (told, not judged)', async (t) => {
  const machine = newMachine(t);
  const count = 300;
  const startMs = performance.now();
  const runs = Array.from({ length: count }, (_, i) => launch(machine, `fast-${i}`, '', { argv: ['/bin/true'] }));
  await harness.settle(() => runs.every(({ end }) => end !== undefined));
  const seconds = (performance.now() - startMs) / 1_000;
  t.log(`${Math.round(count / seconds)} containers per second, from launch to end`);
  t.true(runs.every(({ end }) => end?.exitCode === 0));
  // Removed in one step, for the teardown looks at each that is left.
  renameSync(runPath(machine.run), join(machine.run, OLD_BOOT));
  rmSync(join(machine.run, OLD_BOOT), { recursive: true });
  mkdirSync(runPath(machine.run));
});

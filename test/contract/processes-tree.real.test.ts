/** What the process adapter promises beyond its contract: what a container inherits, which trees it finds, and what a later life recovers. */
import { spawn, type StdioOptions } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { ContainerSpec } from '../../actors/effect.js';
import { ContainerJournal, readJournal } from '../../runtime/node/container-journal.js';
import { nodeProcesses, recoverContainers, type NodeProcesses } from '../../runtime/node/node-processes.js';
import { bootId, isAlive, processId, type ProcessId } from '../../runtime/node/process-table.js';
import { strayFiles } from '../../runtime/node/stray-files.js';
import type { ContainerEnd } from '../../runtime/ports.js';
import { realHarness } from './harness.js';
import { memoryLog, type MemoryLog } from './real-nats.js';

const harness = realHarness();
const PATH = '/usr/local/bin:/usr/bin:/bin';

interface Machine {
  readonly folder: string;
  readonly sandboxes: string;
  readonly run: string;
  readonly log: MemoryLog;
  processes: NodeProcesses;
}

function newMachine(t: ExecutionContext): Machine {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-tree-'));
  const [sandboxes, run] = [join(folder, 'sandboxes'), join(folder, 'run')];
  const log = memoryLog();
  const processes = nodeProcesses({ sandboxFolder: sandboxes, runtimeFolder: run, log });
  t.teardown(async () => {
    await stopAll(processes, 0).catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
  });
  return { folder, sandboxes, run, log, processes };
}

const stopAll = async (processes: NodeProcesses, graceMs: number): Promise<void> =>
  new Promise((fulfil) => processes.stopAll(graceMs, fulfil));

interface Run {
  readonly sandbox: string;
  pid?: number;
  end?: ContainerEnd;
}

function launch({ processes, sandboxes }: Machine, id: string, script: string, more: Partial<ContainerSpec> = {}): Run {
  const run: Run = { sandbox: join(sandboxes, 'f', id) };
  const spec = { containerId: id, sandbox: `f/${id}`, argv: ['/bin/sh', '-c', script], environment: { PATH }, ...more };
  processes.launch(
    spec,
    (pid) => (run.pid = pid),
    (end) => (run.end = end),
  );
  return run;
}

const output = (run: Run, name = 'stdout'): string => readFileSync(join(run.sandbox, name), 'utf8');

/** Waits for a file of the sandbox with the pid of some process in it. */
async function processIn(run: Run, name: string): Promise<ProcessId> {
  const path = join(run.sandbox, name);
  await harness.settle(() => existsSync(path) && readFileSync(path, 'utf8').endsWith('\n'));
  const found = processId(Number(readFileSync(path, 'utf8')));
  if (found === undefined) throw new Error(`${name} names no process`);
  return found;
}

test('PRC-3: a container has its session, an empty input, no other files, and the environment given', async (t) => {
  const machine = newMachine(t);
  // What whoever runs the tests has left open in this process, as the log warns.
  const stray = strayFiles().map(String);
  const script = `echo $(ls /proc/self/fd); readlink /proc/self/fd/0; pwd; tr '\\0' '\\n' < /proc/$$/environ | sort; cut -d' ' -f5,6 /proc/$$/stat; echo to stderr >&2
    exec grep -E '^Sig(Blk|Ign)' /proc/self/status`;
  const run = launch(machine, 'clean', script, { environment: { PATH, B: 'two', TEPUI_SANDBOX: 'mine' } });
  await harness.settle(() => run.end !== undefined);
  t.deepEqual(run.end, { exitCode: 0 });
  const pid = String(run.pid);
  const [files = '', ...rest] = output(run).split('\n');
  // One of them is the folder that `ls` itself reads.
  t.is(files.split(' ').filter((file) => !stray.includes(file)).length, 4, files);
  t.deepEqual(rest.slice(0, 7), [
    '/dev/null',
    run.sandbox,
    'B=two',
    `PATH=${PATH}`,
    'TEPUI_CONTAINER_ID=clean',
    `TEPUI_SANDBOX=${run.sandbox}`,
    `${pid} ${pid}`,
  ]);
  for (const name of ['SigBlk', 'SigIgn']) t.regex(rest.join('\n'), new RegExp(`${name}:\\s0+$`, 'm'));
  t.is(output(run, 'stderr'), 'to stderr\n');
  t.is(statSync(run.sandbox).mode & 0o777, 0o700);
  t.is(statSync(join(run.sandbox, 'stdout')).mode & 0o777, 0o600);
});

test('PRC-3: files that an agent was started with are closed at its start', async (t) => {
  const module = fileURLToPath(new URL('../../runtime/node/stray-files.js', import.meta.url));
  const program = `import { closeStrayFiles, strayFiles } from ${JSON.stringify(module)};
    const closed = closeStrayFiles();
    console.log(JSON.stringify([closed.includes(40), closed.some((file) => file < 3), strayFiles()]));`;
  const output = openSync('/dev/null', 'r');
  const stdio: StdioOptions = ['ignore', 'pipe', 'inherit', ...Array<'ignore'>(37).fill('ignore'), output];
  const agent = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio });
  closeSync(output);
  let said = '';
  agent.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await harness.settle(() => said.endsWith('\n'));
  t.deepEqual(JSON.parse(said), [true, false, []]);
});

test('POR-19: what cannot be started says why: no program, no right, a NUL, a sandbox outside, an unknown user', async (t) => {
  const machine = newMachine(t);
  const notExecutable = join(machine.folder, 'file');
  writeFileSync(notExecutable, 'x');
  const runs = [
    launch(machine, 'none', '', { argv: [] }),
    launch(machine, 'missing', '', { argv: ['/no/such/program'] }),
    launch(machine, 'right', '', { argv: [notExecutable] }),
    launch(machine, 'nul', '', { environment: { A: 'x\0y' } }),
    launch(machine, 'outside', '', { sandbox: '../outside' }),
    launch(machine, 'absolute', '', { sandbox: '/tmp/outside' }),
    launch(machine, 'user', '', { user: 'nobody-of-this-name' }),
  ];
  t.true(runs.every(({ end }) => end === undefined));
  await harness.settle(() => runs.every(({ end }) => end !== undefined));
  for (const { end, pid } of runs) {
    t.regex(end?.launchError ?? '', /./);
    t.is(pid, undefined);
  }
  t.false(existsSync(join(machine.folder, 'outside')));
});

test('PRC-2: an agent run as root starts a task as the user named, whose sandbox it is', async (t) => {
  const machine = newMachine(t);
  const run = launch(machine, 'nobody', 'id -u; id -G | wc -w; touch made', { user: 'nobody' });
  await harness.settle(() => run.end !== undefined);
  if (process.getuid?.() !== 0) {
    t.regex(run.end?.launchError ?? '', /root/);
    return;
  }
  t.deepEqual(run.end, { exitCode: 0 });
  const { uid } = statSync(run.sandbox);
  t.not(uid, 0);
  t.is(output(run), `${uid}\n1\n`);
  t.is(statSync(join(run.sandbox, 'made')).uid, uid);
});

test('PRC-2: a link in the place of an output file is not followed', async (t) => {
  const machine = newMachine(t);
  const victim = join(machine.folder, 'victim');
  writeFileSync(victim, 'intact');
  mkdirSync(join(machine.sandboxes, 'f', 'linked'), { recursive: true });
  symlinkSync(victim, join(machine.sandboxes, 'f', 'linked', 'stdout'));
  const run = launch(machine, 'linked', 'echo overwritten');
  await harness.settle(() => run.end !== undefined);
  t.regex(run.end?.launchError ?? '', /ELOOP/);
  t.is(readFileSync(victim, 'utf8'), 'intact');
});

test('POR-19: an id is used by one container at a time', async (t) => {
  const machine = newMachine(t);
  const first = launch(machine, 'same', 'sleep 60');
  await harness.settle(() => first.pid !== undefined);
  const second = launch(machine, 'same', 'true');
  await harness.settle(() => second.end !== undefined);
  t.regex(second.end?.launchError ?? '', /already/);
  t.is(first.end, undefined);
});

test('PRC-5: a child that left session, group and environment behind dies with its container, while its parent lives', async (t) => {
  const machine = newMachine(t);
  const run = launch(
    machine,
    'hidden',
    'setsid env -i /bin/sh -c "echo \\$\\$ > pid; while :; do /bin/sleep 1; done" & while :; do sleep 1; done',
  );
  const hidden = await processIn(run, 'pid');
  machine.processes.signal('hidden', 'SIGKILL');
  await harness.settle(() => run.end !== undefined);
  t.deepEqual(run.end, { exitSignal: 'SIGKILL' });
  t.false(isAlive(hidden));
});

test('PRC-5: what a container leaves behind is dead before its end is told: forked twice, stopped, ignoring signals', async (t) => {
  const machine = newMachine(t);
  const script = `setsid sh -c '( trap "" TERM HUP; echo $$ > ignored; sh -c "echo \\$PPID" > pid1; while :; do sleep 1; done ) & exit' &
    setsid sh -c 'echo $$ > pid2; kill -STOP $$' & sleep 0.3; exit 5`;
  const run = launch(machine, 'leaves', script);
  const left = [await processIn(run, 'pid1'), await processIn(run, 'pid2')];
  t.true(left.every(isAlive));
  await harness.settle(() => run.end !== undefined);
  t.deepEqual(run.end, { exitCode: 5 });
  t.deepEqual(left.map(isAlive), [false, false]);
});

test('PRC-5: a tree that forks all the time dies', async (t) => {
  const machine = newMachine(t);
  const run = launch(
    machine,
    'forks',
    'while :; do setsid sh -c "sleep 0.05; setsid sleep 30 & sleep 0.05" & sleep 0.01; done',
  );
  await harness.settle(600);
  machine.processes.signal('forks', 'SIGKILL');
  await harness.settle(() => run.end !== undefined);
  const marker = `TEPUI_SANDBOX=${run.sandbox}`;
  const grep = spawn('/bin/sh', ['-c', `grep -lsa '${marker}' /proc/[0-9]*/environ | wc -l`], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH },
  });
  const count: string[] = [];
  grep.stdout.on('data', (chunk: Buffer) => count.push(chunk.toString()));
  await harness.settle(() => count.length > 0);
  t.is(count.join('').trim(), '0');
});

test('PRC-5: SIGTERM reaches children in other sessions, and each once', async (t) => {
  const machine = newMachine(t);
  const catcher = (name: string): string =>
    `trap "echo got >> ${name}" TERM; echo x > ${name}-ready; while :; do sleep 0.02; done`;
  const script = `setsid sh -c '${catcher('other')}' & sh -c '${catcher('same')}' & ${catcher('main').replaceAll('"', "'")}`;
  const run = launch(machine, 'catches', script);
  const has = (name: string): boolean => existsSync(join(run.sandbox, name));
  await harness.settle(() => ['other', 'same', 'main'].every((name) => has(`${name}-ready`)));
  machine.processes.signal('catches', 'SIGTERM');
  await harness.settle(() => ['other', 'same', 'main'].every(has));
  await harness.settle(200);
  for (const name of ['other', 'same', 'main']) t.is(output(run, name), 'got\n');
  t.is(run.end, undefined);
});

test('PRC-6: a container of another agent with the same id is left alone', async (t) => {
  const [one, other] = [newMachine(t), newMachine(t)];
  const [mine, theirs] = [launch(one, 'same', 'sleep 60'), launch(other, 'same', 'sleep 60')];
  await harness.settle(() => mine.pid !== undefined && theirs.pid !== undefined);
  one.processes.signal('same', 'SIGKILL');
  await harness.settle(() => mine.end !== undefined);
  await harness.settle(100);
  t.is(theirs.end, undefined);
});

test.serial('PRC-1: many at once are started one after the other, and none is lost', async (t) => {
  const machine = newMachine(t);
  const runs = Array.from({ length: 150 }, (_, i) => launch(machine, `many-${i}`, `exit ${i}`));
  for (const i of [140, 149]) machine.processes.signal(`many-${i}`, 'SIGKILL');
  let longestMs = 0;
  let lastMs = performance.now();
  const beat = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    lastMs = performance.now();
  }, 1);
  await harness.settle(() => runs.every(({ end }) => end !== undefined));
  clearInterval(beat);
  t.true(longestMs < 1_000, `${longestMs} ms`);
  for (const [i, { end }] of runs.entries())
    t.deepEqual(end, i === 140 || i === 149 ? { exitSignal: 'SIGKILL' } : { exitCode: i });
});

test('PRC-4: an orderly end lets containers finish, kills the rest, and starts nothing more', async (t) => {
  const machine = newMachine(t);
  const obedient = launch(machine, 'obedient', 'trap "exit 7" TERM; echo x > ready; while :; do sleep 0.02; done');
  const stubborn = launch(machine, 'stubborn', 'trap "" TERM; echo x > ready; while :; do sleep 0.02; done');
  await harness.settle(() => [obedient, stubborn].every(({ sandbox }) => existsSync(join(sandbox, 'ready'))));
  const done = stopAll(machine.processes, 400);
  const late = launch(machine, 'late', 'true');
  await harness.settle(() => obedient.end !== undefined);
  t.is(stubborn.end, undefined);
  await done;
  t.deepEqual([obedient.end, stubborn.end], [{ exitCode: 7 }, { exitSignal: 'SIGKILL' }]);
  t.regex(late.end?.launchError ?? '', /about to end/);
});

test('PRC-6: a later life kills what an agent that died by -9 left, and knows what was started', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-recover-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [sandboxes, run] = [join(folder, 'sandboxes'), join(folder, 'run')];
  const module = fileURLToPath(new URL('../../runtime/node/node-processes.js', import.meta.url));
  const program = `
    import { nodeProcesses } from ${JSON.stringify(module)};
    const p = nodeProcesses({ sandboxFolder: ${JSON.stringify(sandboxes)}, runtimeFolder: ${JSON.stringify(run)}, log: { write() {} } });
    const go = (id, script) => p.launch({ containerId: id, sandbox: 'f/' + id, argv: ['/bin/sh', '-c', script], environment: { PATH: ${JSON.stringify(PATH)} } }, () => {}, () => {});
    go('ended', 'exit 3');
    go('plain', 'echo $$ > pid; sleep 60');
    go('wide', 'trap "" TERM; (setsid sh -c "echo \\\\$\\\\$ > pid; sleep 60") & sleep 60');
    go('orphan', 'trap "" TERM; (setsid sh -c "echo \\\\$\\\\$ > pid; sleep 60") & sleep 60');
    setInterval(() => {}, 1000);`;
  const agent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  t.teardown(() => agent.kill('SIGKILL'));
  const left = await Promise.all(
    ['plain', 'wide', 'orphan'].map((id) => processIn({ sandbox: join(sandboxes, 'f', id) }, 'pid')),
  );
  const journal = join(run, 'containers.journal');
  const mains = (): ProcessId[] => readJournal(journal).flatMap((entry) => entry.process ?? []);
  await harness.settle(() => mains().length === 4 && readJournal(journal).some(({ end }) => end !== undefined));
  agent.kill('SIGKILL');
  await harness.settle(() => agent.signalCode !== null);
  // Its main process dies while there is no agent: only the environment tells whose the other is.
  const orphaned = readJournal(journal).find(({ containerId }) => containerId === 'orphan')?.process as ProcessId;
  process.kill(orphaned.pid, 'SIGKILL');
  t.true(left.every(isAlive));

  const recovered = await recoverContainers(run, memoryLog());
  t.deepEqual([...left, ...mains()].filter(isAlive), []);
  t.deepEqual(Object.fromEntries(recovered.map(({ containerId, end }) => [containerId, end])), {
    ended: { exitCode: 3 },
    plain: undefined,
    wide: undefined,
    orphan: undefined,
  });
  const again = await recoverContainers(run, memoryLog());
  t.deepEqual(again.map(({ containerId }) => containerId).sort(), ['ended', 'orphan', 'plain', 'wide']);
});

test('PRC-6: recovery leaves alone who has a pid of the journal by accident, or is of another start of the machine', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-recover-'));
  const bystander = spawn('/bin/sleep', ['60'], { detached: true, stdio: 'ignore' });
  t.teardown(() => {
    bystander.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const { pid, startTicks } = processId(bystander.pid as number) as ProcessId;
  const path = join(folder, 'containers.journal');
  const before = new ContainerJournal(path, 'another start');
  before.starting('old', '/sandbox/old');
  before.started('old', { pid, startTicks });
  before.close();
  const now = new ContainerJournal(path, bootId());
  now.starting('reused', '/sandbox/reused');
  now.started('reused', { pid, startTicks: startTicks - 1 });
  now.starting('unborn', '/sandbox/unborn');
  now.close();
  const recovered = await recoverContainers(folder, memoryLog());
  t.deepEqual(recovered.map(({ containerId }) => containerId), ['old', 'reused', 'unborn']); // prettier-ignore
  t.true(isAlive({ pid, startTicks }));
  t.deepEqual(await recoverContainers(join(folder, 'nothing'), memoryLog()), []);
});

test('PRC-6: a journal survives a line that was cut off, and does not grow for ever', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-journal-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'journal');
  writeFileSync(path, '{"starting":"a","sandbox":"/a","boot":"b"}\n{"started":"a","pid":7,"ti');
  const journal = new ContainerJournal(path, 'b');
  journal.ended('a', { exitCode: 0 });
  journal.starting('runs', '/runs');
  t.deepEqual(readJournal(path), [
    { containerId: 'a', sandbox: '/a', bootId: 'b', end: { exitCode: 0 } },
    { containerId: 'runs', sandbox: '/runs', bootId: 'b' },
  ]);
  const sandbox = `/${'x'.repeat(900)}`;
  for (let i = 0; i < 20_000; i++) {
    journal.starting(`task-${i}`, sandbox);
    journal.ended(`task-${i}`, { exitCode: 1 });
  }
  journal.close();
  t.true(statSync(path).size < 17 * 1024 * 1024);
  const entries = readJournal(path);
  t.true(entries.some(({ containerId }) => containerId === 'runs'));
  t.is(entries.at(-1)?.containerId, 'task-19999');
  t.true(entries.length >= 10_000);
});

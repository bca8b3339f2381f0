/** What the process adapter promises beyond its contract: what a container inherits, and which trees it finds. */
import { spawn, type StdioOptions } from 'node:child_process';
import { closeSync, existsSync, linkSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { openIsolator } from '../../runtime/node/cgroups.js';
import { isAlive, processId, type ProcessId } from '../../runtime/node/process-table.js';
import { strayFiles } from '../../runtime/node/stray-files.js';
import { WRAPPER } from '../../runtime/node/wrapper.js';
import { realHarness } from './harness.js';
import { launch, PATH, makeMachine, stopAll, type Machine, type Run } from './real-machine.js';

const harness = realHarness();

function newMachine(t: ExecutionContext, settings: Parameters<typeof makeMachine>[1] = {}): Machine {
  const machine = makeMachine(t, settings);
  const nothing = (): void => undefined;
  machine.processes.adopt([], nothing, nothing);
  return machine;
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

test('PRC-10: an agent run as root starts a task as the user named, or as nobody, and never as root', async (t) => {
  const machine = newMachine(t);
  const script = 'id -u; id -G | wc -w; touch made; grep CapEff /proc/self/status | tr -d "\\t"';
  if (process.getuid?.() !== 0) {
    const run = launch(machine, 'other', script, { user: 'nobody' });
    await harness.settle(() => run.end !== undefined);
    t.regex(run.end?.launchError ?? '', /root/);
    return;
  }
  for (const user of ['nobody', undefined]) {
    const run = launch(machine, `user-${user}`, script, { user });
    await harness.settle(() => run.end !== undefined);
    t.deepEqual(run.end, { exitCode: 0 });
    const { uid } = statSync(run.sandbox);
    t.not(uid, 0);
    t.is(output(run), `${uid}\n1\nCapEff:0000000000000000\n`);
    t.is(statSync(join(run.sandbox, 'made')).uid, uid);
  }
  const root = launch(machine, 'root', script, { user: 'root' });
  await harness.settle(() => root.end !== undefined);
  t.regex(root.end?.launchError ?? '', /taskUser/);
  t.is(root.pid, undefined);
});

test('PRC-11: what is too long to be executed is told as such, and a variable without a name', async (t) => {
  const machine = newMachine(t);
  const runs = [
    launch(machine, 'argument', '', { argv: ['/bin/echo', 'x'.repeat(200_000)] }),
    launch(machine, 'variable', '', { environment: { PATH, LONG: 'x'.repeat(200_000) } }),
    launch(machine, 'all', '', { argv: ['/bin/echo', ...Array<string>(40).fill('x'.repeat(100_000))] }),
    launch(machine, 'name', '', { environment: { PATH, 'A=B': 'c' } }),
    launch(machine, 'folder', '', { argv: ['/tmp'] }),
  ];
  await harness.settle(() => runs.every(({ end }) => end !== undefined));
  t.deepEqual(runs.map(({ pid }) => pid), runs.map(() => undefined)); // prettier-ignore
  const texts = runs.map(({ end }) => end?.launchError ?? '');
  for (const text of texts.slice(0, 3)) t.regex(text, /E2BIG/);
  t.regex(texts[3] ?? '', /no name of a variable/);
  t.regex(texts[4] ?? '', /no file/);
});

test('PRC-3: arguments and variables arrive as they are, whatever a shell or a tool would make of them', async (t) => {
  const machine = newMachine(t);
  mkdirSync(join(machine.folder, 'a=b'));
  const program = join(machine.folder, 'a=b', 'show');
  writeFileSync(program, '#!/bin/sh\nprintf "%s|" "$0" "$@" "$WORDS"', { mode: 0o755 });
  const words = ['-i', '--', 'A=B', '$HOME `id` "q" \'s\' \\ ;', '', 'line\nline', 'ü'];
  const run = launch(machine, 'words', '', {
    argv: [program, ...words],
    environment: { PATH, WORDS: '$(id) "x"\n', '-u': 'x', LD_PRELOAD: '/nonexistent.so' },
  });
  await harness.settle(() => run.end !== undefined);
  t.deepEqual(run.end, { exitCode: 0 });
  t.is(output(run), [program, ...words, '$(id) "x"\n', ''].join('|'));
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

test('PRC-2: another name of a file of the agent in the place of an output file is not opened for the task', async (t) => {
  const machine = newMachine(t);
  const victim = join(machine.folder, 'victim');
  writeFileSync(victim, 'intact', { mode: 0o600 });
  mkdirSync(join(machine.sandboxes, 'f', 'named'), { recursive: true });
  linkSync(victim, join(machine.sandboxes, 'f', 'named', 'stderr'));
  const run = launch(machine, 'named', 'echo overwritten >&2');
  await harness.settle(() => run.end !== undefined);
  t.regex(run.end?.launchError ?? '', /no file of its own/);
  t.is(readFileSync(victim, 'utf8'), 'intact');
  t.is(statSync(victim).uid, process.getuid?.() ?? 0);
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

test('PRC-5: what a container in control groups leaves behind is dead before its end is told, without a sign of its own', async (t) => {
  const { folder, log } = makeMachine(t);
  mkdirSync(join(folder, 'run'));
  const isolator = openIsolator({ agent: 'leaves', runtimeFolder: join(folder, 'run'), log });
  if (isolator === undefined) {
    t.log('left out: there are no control groups here that may be used');
    return t.pass();
  }
  const machine = newMachine(t, { isolator });
  const hidden = 'env -i setsid sh -c "trap : TERM; echo \\$\\$ > pid; while :; do /bin/sleep 1; done"';
  const run = launch(machine, 'leaves', `(${hidden} & exit); while [ ! -s pid ]; do sleep 0.02; done; exit 5`);
  const left = await processIn(run, 'pid');
  await harness.settle(() => run.end !== undefined);
  t.deepEqual(run.end, { exitCode: 5 });
  t.false(isAlive(left));
  t.deepEqual(isolator.processes('leaves'), []);
  await stopAll(machine.processes, 0);
  isolator.close();
});

for (const bash of ['bash', 'bash --posix'])
  test(`PRC-7: the wrapper is the same to a shell that is ${bash}`, async (t) => {
    if (!existsSync('/bin/bash')) {
      t.log('left out: there is no bash here');
      return t.pass();
    }
    // What is to be a shell's argument, in quotes of a shell.
    const quoted = `'${WRAPPER.replaceAll("'", `'\\''`)}'`;
    const machine = newMachine(t, { wrapper: `exec /bin/${bash} -c ${quoted} tepui-wrapper "$@"` });
    const code = launch(machine, 'code', 'printf "%s|" "$ODD" "$0"; exit 7', {
      environment: { PATH, ODD: ` "a' $b\n*` },
    });
    const killed = launch(machine, 'killed', 'kill -KILL $$');
    const waits = launch(machine, 'waits', 'cat /proc/self/status; exec sleep 60');
    await harness.settle(() => code.end !== undefined && killed.end !== undefined && waits.pid !== undefined);
    t.deepEqual([code.end, killed.end], [{ exitCode: 7 }, { exitSignal: 'SIGKILL' }]);
    t.is(output(code), ` "a' $b\n*|/bin/sh|`);
    await harness.settle(() => output(waits).includes('SigIgn'));
    t.regex(output(waits), /SigBlk:\s0+\nSigIgn:\s0+\n/);
    const later = machine.restart(['waits']).get('waits') as Run;
    await harness.settle(() => later.pid !== undefined);
    machine.processes.signal('waits', 'SIGTERM');
    await harness.settle(() => later.end !== undefined);
    t.deepEqual(later.end, { exitSignal: 'SIGTERM' });
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
  const runs = Array.from({ length: 150 }, (_, i) => launch(machine, `many-${i}`, `exit ${i % 100}`));
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
    t.deepEqual(end, i === 140 || i === 149 ? { exitSignal: 'SIGKILL' } : { exitCode: i % 100 });
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

import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { check } from '../../protocol/schema.js';
import * as schemas from '../../cli/json-schemas.js';
import { CliFolder, killNow, lines, pause, until } from '../support/cli.js';

const folder = new CliFolder();
test.before(() => {
  const resources = ['--resources', 'cpus:2;mem:4096;disk:1000'];
  return folder.up('--masters', '1', '--agents', '3', ...resources, '--set', 'heartbeatIntervalMs=300');
});
test.after.always(() => folder.remove());

interface Line {
  event: string;
  [member: string]: unknown;
}
const jsonLines = (text: string): Line[] => lines(text).map((line) => JSON.parse(line) as Line);
const runProblem = check(schemas.RunJson);
const tasksNow = async () => (await folder.json<schemas.PsJson>('ps', '-a')).tasks;
const running = (name: string) =>
  until(`${name} running`, async () =>
    (await tasksNow()).some((task) => task.name === name && task.state === 'TASK_RUNNING'),
  );
const idOf = async (name: string): Promise<string> => (await tasksNow()).find((task) => task.name === name)?.id ?? '';

test.serial("RUN-2 RUN-4 a task's output and exit status are those of run", async (t) => {
  t.like(await folder.run('run', '--', 'echo', 'a  b', '$HOME'), { status: 0, stdout: 'a  b $HOME\n', stderr: '' });
  t.like(await folder.run('run', 'echo out; echo err >&2; exit 3'), { status: 3, stdout: 'out\n', stderr: 'err\n' });
  t.like(await folder.run('run', '--', 'sh', '-c', 'kill -KILL $$'), { status: 137, stdout: '' });
  t.like(await folder.run('run', '--timeout', '0.5', '--', 'sleep', '60'), { status: 124 });
  t.like(await folder.run('run', '--', 'no-such-program'), { status: 127 });
});

test.serial('RUN-5 what no agent could ever run is refused at once, with the numbers', async (t) => {
  const { status, stderr, stdout } = await folder.run('run', '--cpus', '64', '--', 'true');
  t.deepEqual([status, stdout], [125, '']);
  t.regex(stderr, /^No agent has 64 cpus in total: the most is 2 cpus, on a\d\.\n/);
  t.is((await folder.run('run', '--ports', '900', '--', 'true')).status, 125);
  t.is((await folder.run('run')).status, 125);
  t.is((await folder.run('run', '--cpus', 'many', '--', 'true')).status, 125);
  t.is((await folder.run('run', '--dir', 'nowhere', '--', 'true')).status, 125);
});

test.serial('RUN-4 every byte of a large output arrives, in order', async (t) => {
  const { status, stdout } = await folder.run(
    'run',
    'i=0; while [ $i -lt 60000 ]; do echo "line $i"; i=$((i+1)); done',
  );
  t.is(status, 0);
  t.is(stdout, Array.from({ length: 60_000 }, (_, i) => `line ${i}\n`).join(''));
});

test.serial(
  'RUN-1 RUN-8 three hundred tasks over three agents run once each, with their output and statuses',
  async (t) => {
    const ledger = join(folder.folder, 'ledger');
    writeFileSync(ledger, '');
    // Tasks of a cluster of root have another user.
    chmodSync(ledger, 0o666);
    const script = `echo $TEPUI_RUN_INDEX >> ${ledger}; echo out $TEPUI_RUN_INDEX; exit $((TEPUI_RUN_INDEX % 4))`;
    const { status, stdout, stderr } = await folder.run('run', '-n', '300', '--name', 'many', '--', 'sh', '-c', script);
    t.is(status, 1);
    t.regex(stderr, /300 tasks: 75 finished, 225 failed, in /);
    const numbers = (texts: string[]): number[] => texts.map(Number).sort((a, b) => a - b);
    const all = Array.from({ length: 300 }, (_, i) => i);
    t.deepEqual(numbers(lines(readFileSync(ledger, 'utf8'))), all);
    const outputs = lines(stdout).map((line) => /^ *(\d+) \| out (\d+)$/.exec(line));
    t.deepEqual(numbers(outputs.map((match) => match?.[2] ?? '')), all);
    t.true(outputs.every((match) => Number(match?.[1]) === Number(match?.[2]) + 1));
    const { completed } = await folder.json<schemas.PsJson>('ps', '-a');
    const many = completed.filter(({ name }) => name === 'many');
    t.deepEqual(
      [...new Set(many.map(({ agent }) => agent))].sort((a, b) => ((a ?? '') < (b ?? '') ? -1 : 1)),
      ['a1', 'a2', 'a3'],
    );
  },
);

test.serial('RUN-1 two thousand tasks in one ACCEPT, without cpus, and none fails', async (t) => {
  const tap = folder.start(['tap', '--type', 'ACCEPT', '--json']);
  await until('a tap', async () => {
    await folder.run('run', '--mem', '1', '--', 'true');
    return tap.stdout() !== '';
  });
  const { status, stderr } = await folder.run(
    'run',
    '-n',
    '2000',
    '--name',
    'flood',
    '--cpus',
    '0',
    '--mem',
    '1',
    '--',
    'true',
  );
  t.is(status, 0, stderr);
  t.regex(stderr, /2000 tasks: 2000 finished, 0 failed/);
  tap.signal('SIGINT');
  const { stdout } = await tap.ended;
  const calls = lines(stdout).map((line) => JSON.parse(line) as schemas.TapJson);
  const sizes = calls.map(({ parts, body }) => {
    const { accept } = body as { accept: { operations: { launch: { taskInfos: { name: string }[] } }[] } };
    return { parts, tasks: accept.operations[0]?.launch.taskInfos.filter(({ name }) => name === 'flood').length };
  });
  t.deepEqual(
    sizes.filter(({ tasks }) => tasks !== 0).map(({ tasks }) => tasks),
    [2_000],
  );
  t.true(sizes.every(({ parts, tasks }) => tasks === 0 || parts > 1));
});

test.serial('RUN-8 CLI-4 with --json there is a line per event, and the last one sums up', async (t) => {
  const { status, stdout } = await folder.run(
    'run',
    '-n',
    '2',
    '--json',
    '--',
    'sh',
    '-c',
    'echo hi; exit $TEPUI_RUN_INDEX',
  );
  t.is(status, 1);
  const events = jsonLines(stdout);
  for (const line of events) t.is(runProblem(line), undefined, JSON.stringify(line));
  const count = (event: string): number => events.filter((line) => line.event === event).length;
  t.deepEqual(['subscribed', 'launched', 'running', 'output', 'ended', 'summary'].map(count), [1, 2, 2, 2, 2, 1]);
  t.like(events.at(-1), { event: 'summary', tasks: 2, finished: 1, failed: 1, notRun: 0, exitStatus: 1 });
});

test.serial('RUN-6 Ctrl-C kills the tasks and removes the framework', async (t) => {
  const run = folder.start(['run', '-n', '3', '--name', 'long', '--', 'sh', '-c', 'echo begun; exec sleep 300']);
  await run.until(/begun[^]*begun[^]*begun/);
  run.signal('SIGINT');
  const { status, stderr } = await run.ended;
  t.is(status, 130);
  t.regex(stderr, /SIGINT: killing what runs/);
  t.false((await tasksNow()).some(({ name }) => name === 'long'));
  const { frameworks } = await folder.json<schemas.FrameworksJson>('frameworks');
  t.false(frameworks.some(({ name }) => name === 'run long'));
});

test.serial('RUN-6 Ctrl-C while tasks still wait ends the run', async (t) => {
  const run = folder.start(['run', '-n', '50', '--name', 'waiting', '--cpus', '1', '--', 'sleep', '300']);
  await running('waiting');
  run.signal('SIGTERM');
  const { status, stderr } = await run.ended;
  t.is(status, 143);
  t.regex(stderr, /50 tasks: 0 finished, 6 failed, 44 not run/);
});

const isGone = (name: string) => async (): Promise<boolean> => {
  const { frameworks } = await folder.json<schemas.FrameworksJson>('frameworks');
  return !frameworks.some((framework) => framework.name === `run ${name}`) && (await idOf(name)) === '';
};

test.serial('RUN-6 a second Ctrl-C leaves at once, and the cluster ends what runs', async (t) => {
  const deaf = 'trap "" TERM; echo begun; sleep 300; sleep 300';
  const run = folder.start(['run', '--name', 'deaf', '--grace', '5', deaf]);
  await run.until(/begun/);
  run.signal('SIGINT');
  await run.until(/killing what runs/);
  await pause(600);
  const secondMs = performance.now();
  run.signal('SIGINT');
  t.is((await run.ended).status, 130);
  t.true(performance.now() - secondMs < 2_000);
  await until('its end', isGone('deaf'), 30_000);
});

test.serial('RUN-6 what a run that was killed leaves behind is removed by the cluster', async (t) => {
  const run = folder.start(['run', '--name', 'orphan', '--', 'sleep', '300']);
  await running('orphan');
  run.signal('SIGKILL');
  await run.ended;
  await until('its end', isGone('orphan'), 60_000);
  t.pass();
});

test.serial('RUN-6 a run whose output nobody reads any more ends', async (t) => {
  const run = folder.start(['run', '--name', 'unread', 'while :; do echo line; sleep 0.1; done']);
  await run.until(/line/);
  run.closeStdout();
  t.is((await run.ended).status, 141);
  t.is(await idOf('unread'), '');
});

test.serial('RUN-5 those who wait are told what for', async (t) => {
  const run = folder.start(['run', '-n', '7', '--cpus', '1', '--name', 'full', '--', 'sleep', '300']);
  await run.until(/1 waiting for resources: each wants 1cpu 32M; free now: /);
  run.signal('SIGINT');
  await run.ended;
  t.pass();
});

test.serial('CLI-6 kill ends a task, waits until it is over and says how', async (t) => {
  const run = folder.start(['run', '--name', 'victim', '--', 'sleep', '300']);
  await running('victim');
  const id = await idOf('victim');
  t.is(await folder.out('kill', id), `${id}: killed (SIGTERM)\n`);
  t.is((await run.ended).status, 143);
  t.is((await folder.run('kill', 'no-such-task')).status, 1);
});

test.serial('CLI-6 logs -f shows what a task writes until it ends, and logs what it has written', async (t) => {
  const run = folder.start([
    'run',
    '--name',
    'talker',
    'for i in 1 2 3 4 5; do echo line $i; echo err $i >&2; sleep 0.4; done',
  ]);
  await running('talker');
  const id = await idOf('talker');
  const follow = await folder.run('logs', '-f', id);
  t.deepEqual([follow.status, follow.stdout], [0, 'line 1\nline 2\nline 3\nline 4\nline 5\n']);
  t.is((await run.ended).status, 0);
  t.is(await folder.out('logs', '--stderr', id), 'err 1\nerr 2\nerr 3\nerr 4\nerr 5\n');
  t.is(await folder.out('logs', '--tail', '7', id), 'line 5\n');
  // A leader that has just been elected remembers no task that has ended, but the agent keeps its files.
  const { masters } = await folder.json<schemas.StatusJson>('status');
  killNow(masters[0]?.pid);
  await until('the logs', async () => (await folder.run('logs', '--tail', '7', id)).stdout === 'line 5\n');
  const line = JSON.parse(await folder.out('logs', '--json', id)) as unknown;
  t.is(check(schemas.LogJson)(line), undefined);
});

test.serial('CLI-4 CLI-6 lists and inspect print what their schemas say', async (t) => {
  const run = folder.start(['run', '--name', 'seen', '--ports', '1', '--', 'sleep', '300']);
  await running('seen');
  const id = await idOf('seen');
  const commands: [string[], Parameters<typeof check>[0]][] = [
    [['ps', '-a'], schemas.PsJson],
    [['agents'], schemas.AgentsJson],
    [['frameworks', '-a'], schemas.FrameworksJson],
    [['offers'], schemas.OffersJson],
    [['status'], schemas.StatusJson],
    [['inspect', id], schemas.InspectJson],
    [['inspect', 'a1'], schemas.InspectJson],
  ];
  for (const [args, schema] of commands) t.is(check(schema)(await folder.json(...args)), undefined, args.join(' '));
  t.regex(await folder.out('ps'), new RegExp(`${id} +RUNNING +a\\d`));
  t.regex(await folder.out('agents'), /a1 .* active +\d/);
  t.regex(await folder.out('inspect', id), /taskId: seen-[^]*resources: cpus:0\.1; mem:32; ports:\[\d+-\d+\]/);
  t.is((await folder.run('inspect', 'nothing')).status, 1);
  t.is(check(schemas.KillJson)(await folder.json('kill', id, '--grace', '0')), undefined);
  await run.ended;
});

test.serial('TAP-4 a tap sees the chain of causes from ACCEPT to the last acknowledgement', async (t) => {
  const tap = folder.start(['tap', '--json']);
  await until('a tap', async () => {
    await folder.run('ps');
    return tap.stdout() !== '';
  });
  await folder.out('run', '--name', 'chain', '--', 'true');
  await until('the end', () => tap.stdout().includes('FRAMEWORK_REMOVED'));
  tap.signal('SIGINT');
  const { stdout, status } = await tap.ended;
  t.is(status, 0);
  const messages = lines(stdout).map((line) => JSON.parse(line) as schemas.TapJson);
  for (const message of messages) t.is(check(schemas.TapJson)(message), undefined, JSON.stringify(message));
  const byId = new Map(messages.map((message) => [message.id, message]));
  const end = messages.filter(({ type }) => type === 'STATUS_UPDATE_ACKNOWLEDGEMENT').at(-1);
  const chain: (string | null)[] = [];
  for (let at = end; at !== undefined; at = byId.get(at.cause)) chain.unshift(at.type);
  t.deepEqual(chain.slice(chain.indexOf('ACCEPT')), [
    'ACCEPT',
    'RUN_TASK',
    'STATUS_UPDATE',
    'UPDATE',
    'ACKNOWLEDGE',
    'STATUS_UPDATE_ACKNOWLEDGEMENT',
  ]);
});

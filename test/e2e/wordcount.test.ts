/** The word count on a real cluster: three masters, three agents, a nats-server, and tasks that are processes. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import {
  runWordCount,
  WordCountError,
  type WordCountOptions,
  type WordCountResult,
} from '../../frameworks/wordcount/index.js';
import { silentLog } from '../../runtime/log.js';
import { connectNats } from '../../runtime/nats/connection.js';
import { openObjectStore } from '../../runtime/nats/object-store.js';
import { eventually, startTestCluster, type TestCluster } from '../support/cluster.js';

const test = anyTest as TestFn<{ cluster: TestCluster; lines: string[] }>;
const MEBIBYTE = 1024 * 1024;

test.before(async (t) => {
  const cluster = await startTestCluster({
    masters: 3,
    agents: 3,
    schedulers: ['wordcount'],
    // A part of a small machine, as `up` gives it.
    resourcesPerAgent: 'cpus:0.66;mem:512',
  });
  t.context = { cluster, lines: [] };
});

test.afterEach.always((t) => {
  const lines = t.context.lines.splice(0);
  if (!t.passed) for (const line of lines) t.log(line);
});

test.after.always(async (t) => {
  await t.context.cluster?.stop();
});

function count(
  t: ExecutionContext<{ cluster: TestCluster; lines: string[] }>,
  more: Partial<WordCountOptions> = {},
): Promise<WordCountResult> {
  const { cluster, lines } = t.context;
  return runWordCount({
    dir: cluster.dir,
    credentials: cluster.credentials('wordcount'),
    taskCredentialsPath: cluster.credentialsFile('wordcount-tasks'),
    report: (line) => lines.push(line),
    ...more,
  });
}

/** What the system's own tools count. */
function countedByTools(inputPaths: readonly string[]): string {
  const pipeline = `cat "$@" | tr -s '[:space:]' '\\n' | LC_ALL=C sort | LC_ALL=C uniq -c`;
  return execFileSync('sh', ['-c', pipeline, 'sh', ...inputPaths], { encoding: 'latin1', maxBuffer: 64 * MEBIBYTE });
}

/** Process of the task that this cluster's agents run under an id. */
function pidOf(cluster: TestCluster, taskId: string): number | undefined {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const environment = readFileSync(`/proc/${name}/environ`, 'latin1').split('\0');
      const isOurs = environment.some((variable) => variable.startsWith('TEPUI_') && variable.includes(cluster.dir));
      if (isOurs && environment.includes(`TEPUI_TASK_ID=${taskId}`)) return Number(name);
    } catch {
      // Gone meanwhile, or not ours to read.
    }
  }
  return undefined;
}

test.serial(
  'WCT-9 WCT-8 64 MiB over three agents: the tools agree byte for byte, no secret passes by, nothing is left',
  async (t) => {
    const { cluster } = t.context;
    const settings = { inboxPrefix: '_INBOX_tap', name: 'tap', log: silentLog, onFatal: () => {} };
    const tap = await connectNats({ ...cluster.credentials('root'), ...settings });
    let runs = 0;
    let secrets = 0;
    tap.subscribe(`${cluster.cluster}.>`, {
      callback: (_, message) => {
        const text = Buffer.from(message.data).toString('latin1');
        if (message.subject.endsWith('.RUN_TASK') && text.includes('TEPUI_CREDENTIALS')) runs += 1;
        if (text.includes('secret-of-')) secrets += 1;
      },
    });
    const result = await count(t);
    await tap.drain();

    t.true(result.bytes >= 64 * MEBIBYTE);
    t.true(
      (await readFile(result.resultPath, 'latin1')) === countedByTools(result.inputPaths),
      'the result is that of the tools',
    );
    t.regex(execFileSync('sh', ['-c', result.checkCommand], { encoding: 'utf8' }), /the same/);
    t.deepEqual(result.events, []);
    t.is(result.top.length, 10);
    const agents = result.mapTasks.map(({ agent }) => agent).sort();
    t.deepEqual(agents, ['a1', 'a1', 'a1', 'a2', 'a2', 'a2', 'a3', 'a3', 'a3']);
    t.is(runs, 10);
    t.is(secrets, 0);

    const { store, close } = await openObjectStore({
      credentials: cluster.credentials('wordcount'),
      bucket: 'wordcount',
    });
    const left = (await store.list()).map(({ name }) => name);
    await close();
    t.is(left.length, 1);
    t.regex(left[0] ?? '', /^[0-9a-f]+\/reduce$/);
    await eventually('the framework is gone', 5_000, async () => {
      const { frameworks } = (await cluster.operator.ask('GET_FRAMEWORKS', {})).getFrameworks;
      return frameworks.length === 0 ? true : undefined;
    });
  },
);

test.serial('WCT-10 a map task that is killed with -9 in the middle runs again, and the story says so', async (t) => {
  const { cluster, lines } = t.context;
  const counting = count(t, { bytes: 48 * MEBIBYTE, splits: 3 });
  counting.catch(() => {});
  const pid = await eventually('map 2 has counted something', 30_000, () => {
    const found = pidOf(cluster, 'map-2');
    const isBusy =
      found !== undefined && readFileSync(join(`/proc/${found}/cwd`, 'stdout'), 'utf8').includes('MiB counted');
    return isBusy ? found : undefined;
  });
  process.kill(pid, 'SIGKILL');
  const result = await counting;

  t.true(
    (await readFile(result.resultPath, 'latin1')) === countedByTools(result.inputPaths),
    'the result is that of the tools',
  );
  t.is(result.events.length, 1);
  t.regex(result.events[0] ?? '', /^map 2 was ended by SIGKILL on agent a\d and ran again as map-2\.2 on a\d$/);
  t.is(result.mapTasks.find(({ id }) => id === 'map-2')?.attempts, 2);
  t.true(lines.some((line) => line.startsWith('map 2 was ended by SIGKILL')));
});

test.serial('WCT-10 a task that cannot work ends the count with its story', async (t) => {
  const { cluster } = t.context;
  // A file that is there for us and not for the tasks: they find no credentials in it.
  const error = await t.throwsAsync(
    count(t, { bytes: MEBIBYTE, splits: 1, taskCredentialsPath: join(cluster.dir, 'm1.log') }),
    {
      instanceOf: WordCountError,
    },
  );
  t.regex(error.message, /map 1 ended with exit code 1 on agent a\d, and that was its last try of 5/);
  t.regex(error.message, /and ran again as map-1\.5 on a\d/);
});

test.serial('WCT-10 the leading master is killed with -9 while the maps run: nobody notices', async (t) => {
  const { cluster } = t.context;
  const counting = count(t, { bytes: 48 * MEBIBYTE, splits: 3 });
  counting.catch(() => {});
  await eventually('all maps run', 30_000, () =>
    ['map-1', 'map-2', 'map-3'].every((id) => pidOf(cluster, id) !== undefined) ? true : undefined,
  );
  const leader = await cluster.leader();
  await cluster.kill(leader);
  const result = await counting;

  t.true(
    (await readFile(result.resultPath, 'latin1')) === countedByTools(result.inputPaths),
    'the result is that of the tools',
  );
  t.deepEqual(result.events, []);
  t.not(await cluster.leader(), leader);
});

test.serial('FLT-9 WCT-10 an agent is killed with -9 while its maps run: they go on, and nobody notices', async (t) => {
  const { cluster } = t.context;
  const settings = { inboxPrefix: '_INBOX_tap', name: 'tap', log: silentLog, onFatal: () => {} };
  const tap = await connectNats({ ...cluster.credentials('root'), ...settings });
  t.teardown(() => tap.close());
  const kills: string[] = [];
  tap.subscribe(`${cluster.cluster}.>`, {
    callback: (_, { subject }) => {
      if (/\.(KILL|KILL_TASK|SHUTDOWN|SHUTDOWN_FRAMEWORK)$/.test(subject)) kills.push(subject);
    },
  });
  const counting = count(t, { bytes: 48 * MEBIBYTE, splits: 3 });
  counting.catch(() => {});
  const maps = ['map-1', 'map-2', 'map-3'];
  const pids = await eventually('all maps run', 30_000, () => {
    const found = maps.map((id) => pidOf(cluster, id));
    return found.every((pid) => pid !== undefined) ? found : undefined;
  });
  for (const agent of ['a1', 'a2', 'a3']) await cluster.kill(agent);
  // The same processes, without any agent.
  t.deepEqual(
    maps.map((id) => pidOf(cluster, id)),
    pids,
  );
  t.deepEqual(kills, []);
  for (const agent of ['a1', 'a2', 'a3']) cluster.start(agent);
  const result = await counting;

  t.true(
    (await readFile(result.resultPath, 'latin1')) === countedByTools(result.inputPaths),
    'the result is that of the tools',
  );
  t.deepEqual(result.events, []);
  t.deepEqual(
    result.mapTasks.map(({ attempts }) => attempts),
    [1, 1, 1],
  );
});

/**
 * One launch, and a process that dies in it: right before each of the effects between ACCEPT and the end of the row, in turn, once with
 * what it has sent before on its way and once without. Each time the task ends as its command does, and was started once.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { DiePlan } from '../../runtime/die-at.js';
import type { StatusJson } from '../../cli/json-schemas.js';
import { CliFolder, lines, quickly, until } from '../support/cli.js';
import { testServerBinary } from '../support/nats-server.js';

const TIMINGS = [
  'heartbeatIntervalMs=500',
  'updateRetryMs=500',
  'invitationWaitMs=500',
  'registrationBackoffMaxMs=1000',
];
/** No launch has so many effects: a counter that runs on is a mistake in the story. */
const MOST_POINTS = 40;

const folder = new CliFolder();
const plan = join(folder.folder, 'die-at.json');

test.before(async () => {
  await testServerBinary();
  const args = ['up', '--detach', ...quickly(...TIMINGS), '--masters', '3', '--agents', '1'];
  const { status, stderr } = await folder.start(args, { TEPUI_DIE_AT: plan }).ended;
  if (status !== 0) throw new Error(stderr);
});
test.after.always(() => folder.remove());

/** Runs one task while `at` waits for it; says whether somebody died. */
async function runThrough(t: ExecutionContext, at: Omit<DiePlan, 'word'>): Promise<boolean> {
  const name = `point-${at.host}-${at.before}-${at.flush ? 'sent' : 'unsent'}`;
  const starts = join(folder.temporary, name);
  writeFileSync(plan, JSON.stringify({ ...at, word: `${name}-` }));
  const { status, stdout, stderr } = await folder.run('run', '--name', name, `echo start >>${starts}; exit 7`);
  const died = !existsSync(plan);
  rmSync(plan, { force: true });
  t.is(status, 7, `${name}: ${stdout}${stderr}`);
  t.deepEqual(lines(readFileSync(starts, 'utf8')), ['start'], name);
  return died;
}

/** All of them are back, and what was left of the launch is done with. */
const untilCalm = (): Promise<void> =>
  until('a calm cluster', async () => {
    const { status, stdout } = await folder.run('status', '--json');
    if (status !== 0) return false;
    const { masters, agents } = JSON.parse(stdout) as StatusJson;
    return masters.some(({ leading }) => leading) && agents.every(({ id, pid }) => id !== null && pid !== null);
  });

async function walk(t: ExecutionContext, host: string, least: number): Promise<void> {
  for (const flush of [true, false]) {
    let deaths = 0;
    for (let before = 1; before <= MOST_POINTS; before++) {
      const died = await runThrough(t, { host, before, flush });
      if (!died) break;
      deaths += 1;
      await untilCalm();
    }
    t.log(`${host}: died at ${deaths} places, ${flush ? 'all before it sent' : 'nothing of the step sent'}`);
    t.true(deaths >= least && deaths < MOST_POINTS, `${deaths} deaths`);
  }
}

// ACCEPT's row, RUN_TASK, two updates and their acknowledgements, the row's deletion.
test.serial(
  'FLT-7 REG-3 ACC-4 UPD-3 a master that dies between any two effects of a launch loses nothing and starts nothing twice',
  (t) => walk(t, 'master', 7),
);

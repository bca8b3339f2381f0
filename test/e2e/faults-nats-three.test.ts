/** Three replicated NATS servers that elect, or all die at once, under tasks that run and offers that are held. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { OffersJson, StatusJson } from '../../cli/json-schemas.js';
import { readCredentials, runScheduler, type Scheduler } from '../../runtime/sdk.js';
import { readState, type ClusterState } from '../../runtime/up/state.js';
import { CliFolder, killNow, pause, until } from '../support/cli.js';
import { endUnharmed } from '../support/fault-check.js';
import { startTap } from '../support/tap.js';
import { startLedger } from '../support/task-ledger.js';

const COUNT = 20;
/** NATS elects the leader of a stream within 4 to 9 s. */
const ELECTION_MS = 30_000;

async function begin(t: ExecutionContext) {
  const folder = new CliFolder();
  t.teardown(() => folder.remove());
  await folder.up('--nats-servers', '3', '--masters', '2', '--agents', '2', '--set', 'updateRetryMs=1000');
  const state = (): ClusterState => readState(join(folder.dir, 'cluster.json')) as ClusterState;
  const status = async (): Promise<StatusJson> => folder.json<StatusJson>('status');
  const untilLed = (): Promise<void> =>
    until(
      'a leader of the registry',
      async () => {
        const { servers } = (await status()).nats;
        return servers.length === 3 && servers.some(({ leads }) => leads.includes('registry'));
      },
      ELECTION_MS,
    );
  return { folder, state, status, untilLed };
}

/** From now on nobody but the servers themselves speaks to the one at `url`, so that its death breaks no connection. */
async function leaveServer(folder: CliFolder, url: string, state: () => ClusterState): Promise<void> {
  const dir = join(folder.dir, 'credentials');
  for (const name of readdirSync(dir)) {
    const told = JSON.parse(readFileSync(join(dir, name), 'utf8')) as { url: string };
    const left = told.url.split(',').filter((each) => each !== url);
    writeFileSync(join(dir, name), JSON.stringify({ ...told, url: left.join(',') }));
  }
  const before = [...state().masters, ...state().agents].map(({ pid }) => pid);
  for (const pid of before) killNow(pid);
  await until('all in a new life', async () => {
    const { status, stdout } = await folder.run('status', '--json');
    if (status !== 0) return false;
    const { masters, agents } = JSON.parse(stdout) as StatusJson;
    return (
      masters.some(({ leading }) => leading) &&
      masters.length === 2 &&
      agents.every(({ id, pid }) => id !== null && !before.includes(pid ?? 0))
    );
  });
}

/** Takes all offers and answers none. */
const hoarder: Scheduler<{ offers: string[]; rescinded: string[] }, 'end'> = {
  info: { user: 'nobody', name: 'hoarder', failoverTimeout: 60 },
  onOffers: (state, offers) => {
    state.offers.push(...offers.map(({ id }) => id));
    return [];
  },
  onRescind: (state, offerId) => {
    state.rescinded.push(offerId);
    return [];
  },
  onUpdate: () => [],
  onInput: () => [{ type: 'TEARDOWN' }],
};

test.serial('FLT-5 the leader of the registry dies: offers and tasks are kept through the election', async (t) => {
  const { folder, state, status, untilLed } = await begin(t);
  const leader = (await status()).nats.servers.find(({ leads }) => leads.includes('registry'));
  await leaveServer(folder, leader?.url ?? '', state);
  const tap = await startTap(folder);
  const ledger = startLedger(folder, 'kept', COUNT, { waiting: true });
  await until('tasks', () => ledger.started() === COUNT, 30_000);
  const held = { offers: [] as string[], rescinded: [] as string[] };
  const credentials = await readCredentials(join(folder.dir, 'credentials', 'wordcount.json'));
  const scheduler = await runScheduler({ credentials, principal: 'wordcount', scheduler: hoarder, state: held });
  await until('offers of both agents', () => held.offers.length >= 2);
  const before = await status();
  t.true(before.nats.servers.find(({ name }) => name === leader?.name)?.leads.includes('registry'));
  killNow(leader?.pid);
  await untilLed();
  const offers = (await folder.json<OffersJson>('offers')).offers.map(({ id }) => id);
  t.deepEqual(offers.sort(), held.offers.sort());
  t.deepEqual(held.rescinded, []);
  const epochs = async () => (await status()).masters.map(({ epoch }) => epoch);
  t.deepEqual(
    await epochs(),
    before.masters.map(({ epoch }) => epoch),
  );
  scheduler.input('end');
  await scheduler.ended;
  await endUnharmed(t, ledger, COUNT, tap);
});

test.serial('FLT-5 tasks that are launched while the registry has no leader wait, and run once', async (t) => {
  const { folder, status, untilLed } = await begin(t);
  const tap = await startTap(folder);
  const running = startLedger(folder, 'running', COUNT, { waiting: true });
  await until('tasks', () => running.started() === COUNT, 30_000);
  const leader = (await status()).nats.servers.find(({ leads }) => leads.includes('registry'));
  killNow(leader?.pid);
  const launched = startLedger(folder, 'launched', COUNT, { waiting: false });
  await untilLed();
  await endUnharmed(t, launched, COUNT, tap);
  await endUnharmed(t, running, COUNT, tap);
});

test.serial('FLT-1 all three servers die at once: tasks go on and end as they would have', async (t) => {
  const { folder, state, untilLed } = await begin(t);
  const tap = await startTap(folder);
  const ledger = startLedger(folder, 'all', COUNT, { waiting: true });
  await until('tasks', () => ledger.started() === COUNT, 30_000);
  for (const { pid } of state().nats.servers) killNow(pid);
  await pause(1_000);
  ledger.open();
  await untilLed();
  await endUnharmed(t, ledger, COUNT, tap);
});

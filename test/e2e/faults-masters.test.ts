/** Masters that die, stop and come back under tasks that run, with a tap on all of it. */
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { StatusJson } from '../../cli/json-schemas.js';
import { readState, type ClusterState } from '../../runtime/up/state.js';
import { CliFolder, killNow, pause, signalNow, until } from '../support/cli.js';
import { endUnharmed } from '../support/fault-check.js';
import { registryOf } from '../support/registry.js';
import { startTap } from '../support/tap.js';
import { startLedger } from '../support/task-ledger.js';

const SHORT = ['heartbeatIntervalMs=100', 'leaseTtlMs=1000', 'leaseRenewalMs=250', 'updateRetryMs=500'];
const LONGER_THAN_ALL_MS = 20_000;
const scaled = SHORT.flatMap((pair) => ['--set', pair]);

async function begin(t: ExecutionContext, ...more: string[]) {
  const folder = new CliFolder();
  t.teardown(() => folder.remove());
  await folder.up('--masters', '3', '--agents', '2', ...more);
  const tap = await startTap(folder);
  const state = (): ClusterState => readState(join(folder.dir, 'cluster.json')) as ClusterState;
  const leader = async () => (await folder.json<StatusJson>('status')).masters.find(({ leading }) => leading);
  return { folder, tap, state, leader };
}

test.serial(
  'FLT-3 LCH-1 the leader is killed in the middle of 300 tasks: all end right, each was started once',
  async (t) => {
    const { folder, tap, leader } = await begin(t);
    const ledger = startLedger(folder, 'many', 300, { waiting: false });
    for (const share of [40, 150]) {
      await until('tasks', () => ledger.started() >= share, 60_000);
      killNow((await leader())?.pid);
      await until('another leader', async () => (await leader()) !== undefined);
    }
    await endUnharmed(t, ledger, 300, tap);
  },
);

test.serial(
  'FLT-2 all masters stopped for longer than every time-out (scaled to seconds): no KILL, no SHUTDOWN',
  async (t) => {
    const { folder, tap, state } = await begin(t, ...scaled);
    const ledger = startLedger(folder, 'stopped', 30, { waiting: true });
    await until('tasks', () => ledger.started() === 30, 30_000);
    const { masters } = state();
    for (const { pid } of masters) signalNow(pid, 'SIGSTOP');
    try {
      await pause(LONGER_THAN_ALL_MS);
    } finally {
      for (const { pid } of masters) signalNow(pid, 'SIGCONT');
    }
    await endUnharmed(t, ledger, 30, tap);
  },
);

test.serial(
  'FLT-4 EPO-2 REG-2 a leader stopped past its lease comes back to another leader: nothing that it says or writes counts',
  async (t) => {
    const { folder, tap, leader } = await begin(t, ...scaled);
    const ledger = startLedger(folder, 'deposed', 10, { waiting: true });
    await until('tasks', () => ledger.started() === 10, 30_000);
    const old = await leader();
    const oldEpoch = old?.epoch ?? 0;
    signalNow(old?.pid, 'SIGSTOP');
    let before;
    try {
      await until('another leader', async () => {
        const { status, stdout } = await folder.run('status', '--json');
        if (status !== 0) return false;
        const now = (JSON.parse(stdout) as StatusJson).masters.find(({ leading }) => leading);
        return now !== undefined && now.name !== old?.name;
      });
      await until('all agents with it', async () =>
        (await folder.json<StatusJson>('status')).agents.every(({ id }) => id !== null),
      );
      before = await registryOf(folder);
    } finally {
      signalNow(old?.pid, 'SIGCONT');
    }
    // It notices, ends, and stands by in a new life.
    await until('the old leader in a new life', async () => {
      const now = (await folder.json<StatusJson>('status')).masters.find(({ name }) => name === old?.name);
      return now?.pid !== old?.pid && now?.pid !== undefined;
    });
    t.deepEqual(await registryOf(folder), before);
    const heard = tap.messages();
    const said = new Set(
      heard.filter(({ epoch, from }) => epoch === oldEpoch && from === `master ${old?.name}`).map(({ id }) => id),
    );
    const at = heard.findIndex(({ epoch }) => (epoch ?? 0) > oldEpoch);
    t.true(at >= 0 && said.size > 0);
    const effects = heard
      .slice(at)
      .filter(({ cause, type, epoch }) => said.has(cause) && type !== 'STALE_EPOCH' && epoch !== oldEpoch);
    t.deepEqual(
      effects.map(({ type, from }) => `${type} from ${from}`),
      [],
    );
    await endUnharmed(t, ledger, 10, tap);
  },
);

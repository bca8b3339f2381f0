/** NATS away, for a moment and for long, under tasks that run: the control plane's trouble is none of theirs. */
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readState, type ClusterState } from '../../runtime/up/state.js';
import { CliFolder, killNow, pause, quickly, signalNow, until } from '../support/cli.js';
import { testServerBinary } from '../support/nats-server.js';
import { endUnharmed } from '../support/fault-check.js';
import { startTap } from '../support/tap.js';
import { startLedger } from '../support/task-ledger.js';

const COUNT = 30;
/** An agent is silent after a second, a scheduler too; a lease lasts as long. What `run` asks for itself is 15 s. */
const SHORT = ['heartbeatIntervalMs=100', 'leaseTtlMs=1000', 'leaseRenewalMs=250', 'updateRetryMs=500'];
const LONGER_THAN_ALL_MS = 20_000;

const scaled = quickly(...SHORT);

async function begin(t: ExecutionContext, ...timings: string[]) {
  await testServerBinary();
  const folder = new CliFolder();
  t.teardown(() => folder.remove());
  await folder.out('up', '--detach', '--masters', '3', '--agents', '2', ...timings);
  const tap = await startTap(folder);
  const state = (): ClusterState => readState(join(folder.dir, 'cluster.json')) as ClusterState;
  return { folder, tap, state };
}

test.serial('FLT-1 NATS killed three times under tasks that run: all go on and end as they would have', async (t) => {
  const { folder, tap, state } = await begin(t, ...quickly());
  const ledger = startLedger(folder, 'killed', COUNT, { waiting: true });
  for (const share of [0.2, 0.6, 1]) {
    await until('tasks', () => ledger.started() >= COUNT * share, 30_000);
    const before = state().nats.servers[0]?.pid;
    killNow(before);
    await until('NATS again', () => ![undefined, before].includes(state().nats.servers[0]?.pid));
  }
  await endUnharmed(t, ledger, COUNT, tap);
});

/** Kills NATS, and keeps whoever would start it again from doing so. Some tasks end while nobody can be told. */
async function awayFor(ms: number, { supervisor, nats }: ClusterState, meanwhile: () => void): Promise<void> {
  signalNow(supervisor.pid, 'SIGSTOP');
  try {
    killNow(nats.servers[0]?.pid);
    await pause(ms / 2);
    meanwhile();
    await pause(ms / 2);
  } finally {
    signalNow(supervisor.pid, 'SIGCONT');
  }
}

for (const [what, awayMs, timings] of [
  ['for longer than every time-out (scaled to seconds)', LONGER_THAN_ALL_MS, scaled],
  ['for a minute, with all time-outs as they are by default', 60_000, []],
] as const)
  test.serial(`FLT-1 NATS away ${what}: no KILL, no SHUTDOWN`, async (t) => {
    const { folder, tap, state } = await begin(t, ...timings);
    const ledger = startLedger(folder, 'away', COUNT, { waiting: true });
    await until('tasks', () => ledger.started() === COUNT, 30_000);
    await awayFor(awayMs, state(), () => ledger.open());
    await endUnharmed(t, ledger, COUNT, tap);
  });

test.serial('FLT-1 NATS frozen for longer than every time-out (scaled to seconds): no KILL, no SHUTDOWN', async (t) => {
  const { folder, tap, state } = await begin(t, ...scaled);
  const ledger = startLedger(folder, 'frozen', COUNT, { waiting: true });
  await until('tasks', () => ledger.started() === COUNT, 30_000);
  const pid = state().nats.servers[0]?.pid;
  signalNow(pid, 'SIGSTOP');
  try {
    await pause(LONGER_THAN_ALL_MS);
  } finally {
    signalNow(pid, 'SIGCONT');
  }
  await endUnharmed(t, ledger, COUNT, tap);
});

/** NATS away, for a moment and for long, under tasks that run: the control plane's trouble is none of theirs. */
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readState, type ClusterState } from '../../runtime/up/state.js';
import { CliFolder, killNow, pause, signalNow, until } from '../support/cli.js';
import { endUnharmed } from '../support/fault-check.js';
import { startTap } from '../support/tap.js';
import { startLedger } from '../support/task-ledger.js';

const COUNT = 30;
/** An agent is silent after a second, a scheduler too; a lease lasts as long. What `run` asks for itself is 15 s. */
const SHORT = ['heartbeatIntervalMs=100', 'leaseTtlMs=1000', 'leaseRenewalMs=250', 'updateRetryMs=500'];
const LONGER_THAN_ALL_MS = 20_000;

const scaled = SHORT.flatMap((pair) => ['--set', pair]);

async function begin(t: ExecutionContext, ...more: string[]) {
  const folder = new CliFolder();
  t.teardown(() => folder.remove());
  await folder.up('--masters', '3', '--agents', '2', ...more);
  const tap = await startTap(folder);
  const state = (): ClusterState => readState(join(folder.dir, 'cluster.json')) as ClusterState;
  return { folder, tap, state };
}

test.serial('FLT-1 NATS killed three times under tasks that run: all go on and end as they would have', async (t) => {
  const { folder, tap, state } = await begin(t);
  const ledger = startLedger(folder, 'killed', COUNT, { waiting: true });
  for (const share of [0.2, 0.6, 1]) {
    await until('tasks', () => ledger.started() >= COUNT * share, 30_000);
    const before = state().nats.servers[0]?.pid;
    killNow(before);
    await until('NATS again', () => ![undefined, before].includes(state().nats.servers[0]?.pid));
  }
  await endUnharmed(t, ledger, COUNT, tap);
});

test.serial('FLT-1 NATS away for longer than every time-out (scaled to seconds): no KILL, no SHUTDOWN', async (t) => {
  const { folder, tap, state } = await begin(t, ...scaled);
  const ledger = startLedger(folder, 'away', COUNT, { waiting: true });
  await until('tasks', () => ledger.started() === COUNT, 30_000);
  const { supervisor, nats } = state();
  // Whoever would start it again holds still.
  signalNow(supervisor.pid, 'SIGSTOP');
  try {
    killNow(nats.servers[0]?.pid);
    await pause(LONGER_THAN_ALL_MS / 2);
    // Some end while nobody can be told.
    ledger.open();
    await pause(LONGER_THAN_ALL_MS / 2);
  } finally {
    signalNow(supervisor.pid, 'SIGCONT');
  }
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

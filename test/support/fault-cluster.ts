/** A cluster of `up` for tests that hurt it, with a tap on all that is said in it. */
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { StatusJson } from '../../cli/json-schemas.js';
import { readState, type ClusterState } from '../../runtime/up/state.js';
import { CliFolder, until } from './cli.js';
import { startTap, type Tap } from './tap.js';

export interface FaultCluster {
  readonly folder: CliFolder;
  readonly tap: Tap;
  /** What the supervisor has written down. */
  state(): ClusterState;
  /** Of a master or agent that runs now. */
  pidOf(name: string): number | undefined;
  /** Resolves when it runs under another pid and, of an agent, is registered. */
  untilBack(name: string, pidBefore: number | undefined): Promise<void>;
  leader(): Promise<StatusJson['masters'][number] | undefined>;
}

/** A peer is silent after a second, a lease lasts as long. */
export const SCALED = ['heartbeatIntervalMs=100', 'leaseTtlMs=1000', 'leaseRenewalMs=250', 'updateRetryMs=500'].flatMap(
  (pair) => ['--set', pair],
);

/** Longer than every time-out that {@link SCALED} leaves; what `run` asks for itself is 15 s. */
export const LONGER_THAN_ALL_MS = 20_000;

export async function startFaultCluster(t: ExecutionContext, ...more: string[]): Promise<FaultCluster> {
  const folder = new CliFolder();
  t.teardown(() => folder.remove());
  await folder.up(...more);
  const tap = await startTap(folder);
  const state = (): ClusterState => readState(join(folder.dir, 'cluster.json')) as ClusterState;
  const pidOf = (name: string): number | undefined => {
    const { masters, agents } = state();
    return [...masters, ...agents].find((each) => each.name === name)?.pid;
  };
  return {
    folder,
    tap,
    state,
    pidOf,
    untilBack: (name, pidBefore) =>
      until(`${name} again`, async () => {
        const { status, stdout } = await folder.run('status', '--json');
        if (status !== 0) return false;
        const { masters, agents } = JSON.parse(stdout) as StatusJson;
        const agent = agents.find((each) => each.name === name);
        const pid = (agent ?? masters.find((each) => each.name === name))?.pid ?? undefined;
        return pid !== undefined && pid !== pidBefore && agent?.id !== null;
      }),
    leader: async () => (await folder.json<StatusJson>('status')).masters.find(({ leading }) => leading),
  };
}

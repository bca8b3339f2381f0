/** Ends what a supervisor that is gone left running, by recorded identity and nothing else. Rule: UP-5. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '../log.js';
import { findServer, type ServerProcess } from '../nats/server-process.js';
import { openIsolator } from '../node/cgroups.js';
import { endRecorded } from '../node/node-processes.js';
import { END_TASKS_SIGNAL } from '../process-config.js';
import { bootId, endProcess, processesRunning, signalRecord, untilGone, type ProcessRecord } from './identity.js';
import { MOST_NATS_SERVERS, natsFiles, processFile, workFolder, type ClusterLayout } from './layout.js';
import { removeVoidLock } from './lock.js';
import { readState, removeState } from './state.js';

/** What was found and ended, in words such as `m1 (pid 12)`. */
export type Ended = readonly string[];

/** How the path of a process's program ends, wherever the package is. */
const PROCESS_ENTRY_END = '/runtime/main.js';
const MASTER_GRACE_MS = 5_000;

/** Agents first, which kill their tasks; then masters, NATS last. To be called by whoever holds the lock, or knows that nobody does. */
export async function endLeftovers(layout: ClusterLayout, agentGraceMs: number): Promise<Ended> {
  const agents = findProcesses(layout, 'agents');
  const masters = findProcesses(layout, 'masters');
  await Promise.all(agents.map(({ record }) => endProcess(record, agentGraceMs, END_TASKS_SIGNAL)));
  await endContainers(layout);
  await Promise.all(masters.map(({ record }) => endProcess(record, MASTER_GRACE_MS)));
  const servers = await findServers(layout);
  await Promise.all(servers.map((server) => server.stop()));
  removeState(layout.stateFile);
  // Ours stays: it is void only when nobody holds it.
  removeVoidLock(layout.lockFile);
  const named = [...agents, ...masters].map(({ name, record }) => `${name} (pid ${record.pid})`);
  return [...named, ...servers.map(({ pid }) => `nats-server (pid ${pid})`)];
}

/** All at once, without a word to any: the second Ctrl-C, or a supervisor that does not answer. */
export async function killLeftovers(layout: ClusterLayout): Promise<void> {
  const all = [...findProcesses(layout, 'agents'), ...findProcesses(layout, 'masters')];
  for (const { record } of all) signalRecord(record, 'SIGKILL');
  await Promise.all(all.map(({ record }) => untilGone(record, 10_000)));
  await endContainers(layout);
  const servers = await findServers(layout, 500);
  await Promise.all(servers.map((server) => server.stop()));
  removeState(layout.stateFile);
  removeVoidLock(layout.lockFile);
}

async function findServers(layout: ClusterLayout, stopTimeoutMs?: number): Promise<ServerProcess[]> {
  const limit = stopTimeoutMs === undefined ? {} : { stopTimeoutMs };
  const found = natsFiles(layout, MOST_NATS_SERVERS).map(({ run }) =>
    findServer({ runFolder: run, ...limit }).catch(() => undefined),
  );
  return (await Promise.all(found)).filter((server) => server !== undefined);
}

/** Kills what agents that are gone left running, as their records say. */
export async function endContainers(layout: ClusterLayout): Promise<void> {
  await Promise.all(
    namesIn(layout.agents).map(async (agent) => {
      const runtimeFolder = join(workFolder(layout, agent), 'run');
      if (!existsSync(runtimeFolder)) return;
      await endRecorded({
        runtimeFolder,
        log: silentLog,
        isolator: openIsolator({ agent, runtimeFolder, log: silentLog }),
      });
    }),
  );
}

/** Those written down; and those that run with a configuration of this folder, started just before they could be. */
function findProcesses(layout: ClusterLayout, role: 'masters' | 'agents'): { name: string; record: ProcessRecord }[] {
  const state = readState(layout.stateFile);
  const recorded = state !== undefined && state.bootId === bootId() ? state[role] : [];
  const found = new Map<number, { name: string; record: ProcessRecord }>();
  for (const { name, pid, startTime } of recorded) found.set(pid, { name, record: { pid, startTime } });
  for (const file of namesIn(layout.processes)) {
    const name = file.replace(/\.json$/, '');
    if ((role === 'agents') !== existsSync(workFolder(layout, name))) continue;
    for (const record of processesRunning(PROCESS_ENTRY_END, processFile(layout, name)))
      found.set(record.pid, { name, record });
  }
  return [...found.values()];
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

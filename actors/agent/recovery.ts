/** From the records of earlier lives to what the agent and its executor begin with. Rules: AGS-2 to AGS-4. */
import type { CheckpointOf, CheckpointRecord } from '../../protocol/checkpoint.js';
import { launchPlaceOf } from '../../protocol/ids.js';
import type { TaskState } from '../../protocol/task.js';
import { isTerminal } from '../../protocol/task-state.js';
import type { RecoveredLaunch } from '../framework/command-executor.js';
import { invariant } from '../invariant.js';
import type { AgentConfig, ExecutorRow, LaunchRow } from './agent-state.js';
import { executorLaunch, newExecutorRow } from './executor-container.js';

interface Recovered {
  readonly epoch: number;
  readonly agentId: string | undefined;
  readonly launches: Map<string, LaunchRow>;
  readonly executors: Map<string, ExecutorRow>;
  readonly ended: Map<string, { readonly state: TaskState; readonly endedAtMs: number }>;
  readonly lowWater: Map<number, number>;
}

function valuesOf<K extends CheckpointRecord['kind']>(
  records: readonly CheckpointRecord[],
  kind: K,
): readonly CheckpointOf<K>[] {
  return records.filter((record) => record.kind === kind).map(({ value }) => value as CheckpointOf<K>);
}

/** Each launch with what happened to it; in the order in which they were minted, as they would have been started. */
function launchesOf(records: readonly CheckpointRecord[]) {
  const streams = new Map(valuesOf(records, 'stream').map((stream) => [stream.launchId, stream]));
  const launches = valuesOf(records, 'launch').map((launch) => ({ launch, stream: streams.get(launch.launchId) }));
  const known = new Set(launches.map(({ launch }) => launch.launchId));
  // Both are written and removed together: one alone is a store that lies.
  for (const launchId of streams.keys()) invariant(known.has(launchId), `updates without the launch ${launchId}`);
  const place = (launchId: string): { epoch: number; counter: number } =>
    launchPlaceOf(launchId) ?? { epoch: 0, counter: 0 };
  return launches.sort((a, b) => {
    const [one, two] = [place(a.launch.launchId), place(b.launch.launchId)];
    return one.epoch - two.epoch || one.counter - two.counter;
  });
}

/** What the agent knows of its earlier lives. All of it is stored, so all of it may be said. */
export function recover(records: readonly CheckpointRecord[]): Recovered {
  const [agent] = valuesOf(records, 'agent');
  const launches = new Map<string, LaunchRow>();
  for (const { launch, stream } of launchesOf(records)) {
    const { launchId, taskId, frameworkId, task, cause, containerId } = launch;
    const { state = 'TASK_STAGING', updates = [], runningAtMs, kill, executorUuid } = stream ?? {};
    launches.set(launchId, {
      launchId,
      taskId,
      frameworkId,
      task,
      containerId,
      taken: new Set(),
      executorUuid,
      state,
      storedState: state,
      updates: [...updates],
      stored: updates.length,
      settling: 0,
      attempt: 0,
      cause,
      runningAtMs,
      kill,
    });
  }
  const ended = [...valuesOf(records, 'ended')].sort((a, b) => a.endedAtMs - b.endedAtMs);
  return {
    epoch: agent?.epoch ?? 0,
    agentId: agent?.agentId,
    launches,
    executors: executorsOf(records, launches.values()),
    ended: new Map(ended.map(({ launchId, state, endedAtMs }) => [launchId, { state, endedAtMs }])),
    lowWater: new Map(valuesOf(records, 'lowWater').map(({ epoch, counter }) => [epoch, counter])),
  };
}

/** Executors that had not ended, with what they run. To whom LAUNCH went is not stored: it may have gone to each. */
function executorsOf(records: readonly CheckpointRecord[], launches: Iterable<LaunchRow>): Map<string, ExecutorRow> {
  const executors = new Map(
    valuesOf(records, 'executor').map((record): [string, ExecutorRow] => [
      record.containerId,
      recoveredExecutor(record),
    ]),
  );
  for (const { launchId, containerId, state } of launches) {
    if (containerId === undefined || isTerminal(state)) continue;
    executors.get(containerId)?.tasks.set(launchId, { isSent: true });
  }
  return executors;
}

const recoveredExecutor = (record: CheckpointOf<'executor'>): ExecutorRow => ({
  ...newExecutorRow(record.containerId, record.frameworkId, record.info, record.frameworkInfo),
  state: record.ending !== undefined ? 'TERMINATING' : record.asker !== undefined ? 'RUNNING' : 'REGISTERING',
  runningAtMs: record.runningAtMs,
  asker: record.asker,
  ending: record.ending,
});

/** Executors that are to be taken back. Their containers are adopted like commands. Rule: EXC-3. */
export function executorsToAdopt(
  records: readonly CheckpointRecord[],
  { name, timings, executors: login }: Pick<AgentConfig, 'name' | 'timings' | 'executors'>,
): readonly RecoveredLaunch[] {
  const [agent] = valuesOf(records, 'agent');
  const who = { agentId: agent?.agentId ?? '', name, timings, login };
  return [...executorsOf(records, []).values()].map((row) => ({
    ...executorLaunch(row, who),
    runningAtMs: row.runningAtMs,
    kill: row.ending,
    toldKilling: true,
  }));
}

/** What the executor is to take back: every launch of a command that has not ended. */
export function launchesToAdopt(records: readonly CheckpointRecord[]): readonly RecoveredLaunch[] {
  const [agent] = valuesOf(records, 'agent');
  const agentId = agent?.agentId ?? '';
  return launchesOf(records).flatMap(({ launch, stream }) => {
    const { launchId, frameworkId, task, sendKilling, user } = launch;
    const state = stream?.state ?? 'TASK_STAGING';
    if (task === undefined || launch.containerId !== undefined || isTerminal(state)) return [];
    return {
      launchId,
      frameworkId,
      agentId,
      task,
      sendKilling,
      user,
      runningAtMs: stream?.runningAtMs,
      kill: stream?.kill,
      toldKilling: state === 'TASK_KILLING',
    };
  });
}

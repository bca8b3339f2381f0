/** From the records of earlier lives to what the agent and its executor begin with. Rules: AGS-2 to AGS-4. */
import type { CheckpointOf, CheckpointRecord } from '../../protocol/checkpoint.js';
import { launchPlaceOf } from '../../protocol/ids.js';
import type { TaskState } from '../../protocol/task.js';
import { isTerminal } from '../../protocol/task-state.js';
import type { RecoveredLaunch } from '../framework/command-executor.js';
import { invariant } from '../invariant.js';
import type { LaunchRow } from './agent-state.js';

interface Recovered {
  readonly epoch: number;
  readonly agentId: string | undefined;
  readonly launches: Map<string, LaunchRow>;
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
    const { launchId, taskId, frameworkId, task, cause } = launch;
    const { state = 'TASK_STAGING', updates = [], runningAtMs, kill } = stream ?? {};
    launches.set(launchId, {
      launchId,
      taskId,
      frameworkId,
      task,
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
    ended: new Map(ended.map(({ launchId, state, endedAtMs }) => [launchId, { state, endedAtMs }])),
    lowWater: new Map(valuesOf(records, 'lowWater').map(({ epoch, counter }) => [epoch, counter])),
  };
}

/** What the executor is to take back: every launch that has not ended. */
export function launchesToAdopt(records: readonly CheckpointRecord[]): readonly RecoveredLaunch[] {
  const [agent] = valuesOf(records, 'agent');
  return launchesOf(records).flatMap(({ launch, stream }) => {
    const { launchId, frameworkId, task, sendKilling, user } = launch;
    const state = stream?.state ?? 'TASK_STAGING';
    if (task === undefined || isTerminal(state)) return [];
    return {
      launchId,
      frameworkId,
      agentId: agent?.agentId ?? '',
      task,
      sendKilling,
      user,
      runningAtMs: stream?.runningAtMs,
      kill: stream?.kill,
      toldKilling: state === 'TASK_KILLING',
    };
  });
}

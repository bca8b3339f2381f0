/**
 * UPD-1: an agent forgets no update that its framework has not been told, as long as there is the framework; and one whose
 * acknowledgement it has processed is never sent again.
 * AGS-5: what was sent by one life of an agent no later life makes anew.
 * UPD-5: updates of a launch are sent and told in the order in which they were made, one at a time.
 */
import { hex } from '../../../protocol/ids.js';
import { registryKey } from '../../../protocol/registry.js';
import type { TaskState, TaskStatus } from '../../../protocol/task.js';
import type { SimNode } from '../../../runtime/sim/sim-node.js';
import { isRecordLost, type Checker, type Scene, type Step } from './checker.js';

/** The agent stores an acknowledgement within this time; what dies with it before counts as not processed. */
const STORED_MS = 500;

/** The updates of one launch, through all lives of its agent. */
interface Stream {
  readonly launchId: string;
  readonly frameworkId: string;
  /** In order; of an earlier life only those that it sent or stored. */
  made: string[];
  readonly sent: Map<string, TaskState>;
  /** When its acknowledgement was processed. */
  readonly acknowledged: Map<string, number>;
  told: number;
}

const nameOf = ({ uuid }: Pick<TaskStatus, 'uuid'>): string => (uuid === undefined ? '' : hex(uuid));

export function statusUpdates(scene: Scene): Checker {
  /** By agent, then by launch. */
  const agents = new Map<SimNode, Map<string, Stream>>();
  /** Which stream an update is of. */
  const byUuid = new Map<string, Stream>();
  const told = new Set<string>();
  /** Agents that have died, and when, until their next life has read what it stored. */
  const diedAtMs = new Map<SimNode, number>();

  const streamsOf = (node: SimNode): Map<string, Stream> => {
    const streams = agents.get(node) ?? new Map<string, Stream>();
    agents.set(node, streams);
    return streams;
  };
  const note = (node: SimNode, launchId: string, frameworkId: string, statuses: readonly TaskStatus[]): Stream => {
    const streams = streamsOf(node);
    const known = streams.get(launchId);
    const stream: Stream = known ?? {
      launchId,
      frameworkId,
      made: [],
      sent: new Map(),
      acknowledged: new Map(),
      told: 0,
    };
    if (known === undefined) streams.set(launchId, stream);
    for (const status of statuses) {
      const name = nameOf(status);
      if (byUuid.has(name)) continue;
      byUuid.set(name, stream);
      stream.made.push(name);
    }
    return stream;
  };
  const isFrameworkThere = (frameworkId: string): boolean => {
    const record = scene.registry.get(`framework.${frameworkId}`) as { removed?: boolean } | undefined;
    return record !== undefined && record.removed !== true;
  };
  const keptOf = (node: SimNode, launchId: string): Set<string> =>
    new Set((scene.cluster.agentState(node).launches.get(launchId)?.updates ?? []).map(nameOf));
  /** What the agent no longer keeps, counts as acknowledged to it. */
  const onAcknowledged = (node: SimNode, launchId: string, now: number): void => {
    const stream = streamsOf(node).get(launchId);
    if (stream === undefined) return;
    const kept = keptOf(node, launchId);
    for (const name of stream.made) {
      if (kept.has(name) || stream.acknowledged.has(name)) continue;
      stream.acknowledged.set(name, now);
      if (!told.has(name) && isFrameworkThere(stream.frameworkId))
        scene.fail('UPD-1', `${node.name} forgets an update of ${launchId} that nobody was told`);
    }
  };
  /** What a new life has found in its store, against what the earlier ones did. */
  const onRecovered = (node: SimNode, deathMs: number): void => {
    for (const stream of streamsOf(node).values()) {
      const { launchId, sent, acknowledged } = stream;
      const kept = keptOf(node, launchId);
      if (isRecordLost(scene, launchId)) {
        for (const name of kept) acknowledged.delete(name);
        stream.made = stream.made.filter((name) => kept.has(name));
        stream.told = stream.made.findIndex((name) => !told.has(name));
        if (stream.told < 0) stream.told = stream.made.length;
        continue;
      }
      for (const name of kept) {
        const atMs = acknowledged.get(name);
        if (atMs !== undefined && deathMs - atMs > STORED_MS)
          scene.fail(
            'UPD-1',
            `${node.name} has an update of ${launchId} again, acknowledged ${deathMs - atMs} ms before`,
          );
        acknowledged.delete(name);
      }
      for (const name of sent.keys())
        if (!kept.has(name) && !acknowledged.has(name) && isFrameworkThere(stream.frameworkId))
          scene.fail('UPD-1', `a new life of ${node.name} forgets an update of ${launchId} that was sent`);
      stream.made = stream.made.filter((name) => sent.has(name) || kept.has(name) || acknowledged.has(name));
    }
  };

  return {
    rules: ['UPD-1', 'UPD-5', 'AGS-5'],
    onEnd: (node) => {
      if (node.role === 'agent') diedAtMs.set(node, scene.cluster.clock.now());
    },
    onStep: ({ now, node, host, event }: Step) => {
      if (host !== 'agent') return;
      // Its first step is taken before anybody can look at it.
      if (node.running === undefined) return;
      const deathMs = diedAtMs.get(node);
      if (deathMs !== undefined) onRecovered(node, deathMs);
      diedAtMs.delete(node);
      if (event.type === 'commandExecutor.UPDATE') {
        const { launchId } = event as unknown as { launchId: string };
        const row = scene.cluster.agentState(node).launches.get(launchId);
        if (row !== undefined) note(node, launchId, row.frameworkId, row.updates);
      } else if (event.type === 'master.STATUS_UPDATE_ACKNOWLEDGEMENT') {
        const { launchId = '' } = (event as unknown as { body: { launchId?: string } }).body;
        onAcknowledged(node, launchId, now);
      }
    },
    onEffect: (node, host, effect) => {
      if (host !== 'agent' || effect.type !== 'publish' || effect.message !== 'STATUS_UPDATE') return;
      const { status, frameworkId } = effect.body as { status: TaskStatus; frameworkId: string };
      const { launchId = '', state } = status;
      const stream = note(node, launchId, frameworkId, [status]);
      const name = nameOf(status);
      if (stream.acknowledged.has(name))
        scene.fail('UPD-1', `${node.name} sends ${state} of ${launchId} again after its acknowledgement`);
      const before = stream.made.slice(0, stream.made.indexOf(name));
      if (before.some((made) => !stream.acknowledged.has(made)))
        scene.fail('UPD-5', `${node.name} sends ${state} of ${launchId} before an earlier one is acknowledged`);
      if (stream.sent.has(name)) return;
      // Of an end that is remembered, a registry that came back older may ask again.
      const isAsked = scene.wentBack.has(registryKey('task', launchId));
      if ([...stream.sent.values()].includes(state) && !isRecordLost(scene, launchId) && !isAsked)
        scene.fail('AGS-5', `${node.name} makes ${state} of ${launchId} anew`);
      stream.sent.set(name, state);
    },
    onTold: (node, _own, { uuid, launchId, state }) => {
      if (uuid === undefined) return;
      const name = hex(uuid);
      told.add(name);
      const stream = byUuid.get(name);
      if (stream === undefined)
        return scene.fail('UPD-5', `${node} is told ${state} of ${launchId}, which nobody made`);
      if (launchId !== undefined && isRecordLost(scene, launchId)) return;
      const index = stream.made.indexOf(name);
      if (index > stream.told) scene.fail('UPD-5', `${node} is told ${state} of ${launchId} out of order`);
      else if (index === stream.told) stream.told++;
    },
  };
}

/**
 * UPD-1: an agent forgets no update that its framework has not been told, as long as there is the framework; and one whose
 * acknowledgement it has processed is never sent again.
 * UPD-5: updates of a launch are sent and told in the order in which they were made, one at a time.
 */
import { hex } from '../../../protocol/ids.js';
import type { TaskStatus } from '../../../protocol/task.js';
import type { SimNode } from '../../../runtime/sim/sim-node.js';
import type { Checker, Scene, Step } from './checker.js';

/** The updates of one launch in one life of its agent. */
interface Stream {
  readonly frameworkId: string;
  readonly made: string[];
  readonly acknowledged: Set<string>;
  told: number;
}

export function statusUpdates(scene: Scene): Checker {
  const streams = new Map<string, Stream>();
  /** Which stream an update is of. */
  const byUuid = new Map<string, Stream>();
  const told = new Set<string>();

  const keyOf = (node: SimNode, launchId: string): string => `${node.name}#${node.lives} ${launchId}`;
  const note = (node: SimNode, launchId: string, frameworkId: string, statuses: readonly TaskStatus[]): Stream => {
    const key = keyOf(node, launchId);
    const stream = streams.get(key) ?? { frameworkId, made: [], acknowledged: new Set(), told: 0 };
    streams.set(key, stream);
    for (const { uuid } of statuses) {
      const name = uuid === undefined ? '' : hex(uuid);
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
  /** What the agent no longer keeps, counts as acknowledged to it. */
  const onAcknowledged = (node: SimNode, launchId: string): void => {
    const stream = streams.get(keyOf(node, launchId));
    if (stream === undefined) return;
    const { updates = [] } = scene.cluster.agentState(node).launches.get(launchId) ?? {};
    const kept = new Set(updates.map(({ uuid }) => (uuid === undefined ? '' : hex(uuid))));
    for (const name of stream.made) {
      if (kept.has(name) || stream.acknowledged.has(name)) continue;
      stream.acknowledged.add(name);
      if (!told.has(name) && isFrameworkThere(stream.frameworkId))
        scene.fail('UPD-1', `${node.name} forgets an update of ${launchId} that nobody was told`);
    }
  };

  return {
    rules: ['UPD-1', 'UPD-5'],
    onStep: ({ node, host, event }: Step) => {
      if (host !== 'agent') return;
      if (event.type === 'executor.UPDATE') {
        const { launchId } = event as unknown as { launchId: string };
        const row = scene.cluster.agentState(node).launches.get(launchId);
        if (row !== undefined) note(node, launchId, row.frameworkId, row.updates);
      } else if (event.type === 'master.STATUS_UPDATE_ACKNOWLEDGEMENT') {
        const { launchId = '' } = (event as unknown as { body: { launchId?: string } }).body;
        onAcknowledged(node, launchId);
      }
    },
    onEffect: (node, host, effect) => {
      if (host !== 'agent' || effect.type !== 'publish' || effect.message !== 'STATUS_UPDATE') return;
      const { status, frameworkId } = effect.body as { status: TaskStatus; frameworkId: string };
      const { launchId = '', uuid } = status;
      const stream = note(node, launchId, frameworkId, [status]);
      const name = uuid === undefined ? '' : hex(uuid);
      if (stream.acknowledged.has(name))
        scene.fail('UPD-1', `${node.name} sends ${status.state} of ${launchId} again after its acknowledgement`);
      const before = stream.made.slice(0, stream.made.indexOf(name));
      if (before.some((made) => !stream.acknowledged.has(made)))
        scene.fail('UPD-5', `${node.name} sends ${status.state} of ${launchId} before an earlier one is acknowledged`);
    },
    onTold: (node, _own, { uuid, launchId, state }) => {
      if (uuid === undefined) return;
      const name = hex(uuid);
      told.add(name);
      const stream = byUuid.get(name);
      const index = stream?.made.indexOf(name) ?? -1;
      if (stream === undefined || index > stream.told)
        scene.fail('UPD-5', `${node} is told ${state} of ${launchId} out of order`);
      else if (index === stream.told) stream.told++;
    },
  };
}

/**
 * AGS-1: what an agent does rests on what its store has: a launch that is told to the executor, a kill, an update that is sent.
 * AGS-4: a kill that an earlier life has stored goes on when its container is found running.
 * AGS-6: a launch that is over is refused by every later life, whatever the agent has forgotten of it.
 * AGS-8: the end of a container is forgotten by the machine only when the store has it.
 */
import { isRefused } from '../../../actors/agent/ended.js';
import type { Effect } from '../../../actors/effect.js';
import type { CommandExecutorEvent } from '../../../actors/framework/command-executor.js';
import { checkpointKey, type CheckpointOf } from '../../../protocol/checkpoint.js';
import { decodeValue } from '../../../protocol/codec.js';
import { hex } from '../../../protocol/ids.js';
import { isTerminal } from '../../../protocol/task-state.js';
import type { TaskStatus } from '../../../protocol/task.js';
import type { SimNode } from '../../../runtime/sim/sim-node.js';
import { isRecordLost, type Checker, type Scene, type Step } from './checker.js';

const ENDED = /^ended\./;

export function agentStore(scene: Scene): Checker {
  /** Launches whose end a machine has stored, ever. */
  const ended = new Map<SimNode, Set<string>>();
  /** Those on their way to the store, by request. */
  const ending = new Map<SimNode, Map<number, readonly string[]>>();
  /** Containers that a life adopts and that are to be killed. */
  const condemned = new Map<SimNode, ReadonlySet<string>>();
  /** Lives whose first step nobody has looked at. */
  const fresh = new Set<SimNode>();

  const recordOf = <K extends 'launch' | 'stream'>(node: SimNode, kind: K, launchId: string) => {
    const bytes = scene.cluster.machines.get(node.name)?.store.record(checkpointKey(kind, launchId));
    return bytes === undefined ? undefined : (decodeValue(bytes) as CheckpointOf<K>);
  };
  const wrongOf = (node: SimNode, effect: Effect): readonly [rule: string, what: string] | undefined => {
    if (effect.type === 'tell' && effect.actor === 'commandExecutor') {
      const { type, launchId } = effect.event as CommandExecutorEvent;
      if (type === 'agent.LAUNCH' && recordOf(node, 'launch', launchId) === undefined)
        return ['AGS-1', `starts ${launchId}, which is not stored`];
      if (type === 'agent.KILL' && recordOf(node, 'stream', launchId)?.kill === undefined)
        return ['AGS-1', `kills ${launchId}, and the kill is not stored`];
    } else if (effect.type === 'publish' && effect.message === 'STATUS_UPDATE') {
      const { launchId = '', state, uuid } = (effect.body as { status: TaskStatus }).status;
      const name = uuid === undefined ? '' : hex(uuid);
      const { updates = [] } = recordOf(node, 'stream', launchId) ?? {};
      if (!updates.some((status) => status.uuid !== undefined && hex(status.uuid) === name))
        return ['AGS-1', `sends ${state} of ${launchId}, which is not stored`];
    } else if (effect.type === 'forgetContainer') {
      const { containerId } = effect;
      const { state = 'TASK_STAGING' } = recordOf(node, 'stream', containerId) ?? {};
      if (recordOf(node, 'launch', containerId) !== undefined && !isTerminal(state))
        return ['AGS-8', `lets the end of ${containerId} be forgotten, and has not stored it`];
    }
    return undefined;
  };
  const onFound = (node: SimNode, id: string, effects: readonly Effect[]): void => {
    if (condemned.get(node)?.has(id) !== true) return;
    if (!effects.some((effect) => effect.type === 'signalContainer' && effect.containerId === id))
      scene.fail('AGS-4', `${node.name} finds ${id} running, and has forgotten that it is to be killed`);
  };
  const lookAt = (node: SimNode): void => {
    const state = scene.cluster.agentState(node);
    for (const launchId of ended.get(node) ?? [])
      if (!state.launches.has(launchId) && !isRefused(state, launchId) && !isRecordLost(scene, launchId))
        scene.fail('AGS-6', `${node.name} would run ${launchId} again, which is over`);
  };

  return {
    rules: ['AGS-1', 'AGS-4', 'AGS-6', 'AGS-8'],
    onStart: (node) => {
      if (node.role !== 'agent') return;
      fresh.add(node);
      ending.set(node, new Map());
    },
    onStep: ({ node, host, event, effects }: Step) => {
      if (event.type === 'CONTAINER_STARTED')
        onFound(node, (event as unknown as { containerId: string }).containerId, effects);
      if (host !== 'agent' || node.running === undefined) return;
      if (fresh.delete(node)) lookAt(node);
      if (event.type !== 'CHECKPOINTED') return;
      const { requestId } = event as unknown as { requestId: number };
      const over = ended.get(node) ?? new Set();
      ended.set(node, over);
      for (const launchId of ending.get(node)?.get(requestId) ?? []) over.add(launchId);
      ending.get(node)?.delete(requestId);
    },
    onEffect: (node, host, effect) => {
      if (effect.type === 'adoptContainers') {
        const ids = effect.containers.map(({ containerId }) => containerId);
        condemned.set(node, new Set(ids.filter((id) => recordOf(node, 'stream', id)?.kill !== undefined)));
      }
      if (host !== 'agent') return;
      if (effect.type === 'checkpoint') {
        const ends = effect.writes.filter(({ key, value }) => value !== undefined && ENDED.test(key));
        const launchIds = ends.map(({ value }) => (value as CheckpointOf<'ended'>).launchId);
        if (launchIds.length > 0) ending.get(node)?.set(effect.requestId, launchIds);
        return;
      }
      const wrong = wrongOf(node, effect);
      if (wrong !== undefined) scene.fail(wrong[0], `${node.name} ${wrong[1]}`);
    },
    atEnd: () => {
      for (const node of scene.cluster.agents) if (node.isUp) lookAt(node);
    },
  };
}

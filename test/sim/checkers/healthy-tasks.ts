/** KIL-2: no healthy task is killed by a fault of the control plane: each signal follows from a kill, a teardown, a time limit or the agent's own end. */
import type { CommandExecutorEvent } from '../../../actors/framework/command-executor.js';
import { registryKey } from '../../../protocol/registry.js';
import type { SimNode } from '../../../runtime/sim/sim-node.js';
import type { Checker, Scene } from './checker.js';

export function healthyTasks(scene: Scene): Checker {
  const launched = new Map<string, { readonly taskId: string; readonly frameworkId: string }>();
  const startedAtMs = new Map<string, number>();
  /** Agents that were asked to end in order. */
  const stopping = new Set<SimNode>();
  const condemned = new Set<string>();
  /** A registry that goes back brings no task of them back to life. */
  const tornDown = new Set<string>();
  const isExplained = (launchId: string, now: number): boolean => {
    if (condemned.has(launchId)) return true;
    const { taskId, frameworkId } = launched.get(launchId) ?? { taskId: '', frameworkId: '' };
    const framework = scene.registry.get(registryKey('framework', frameworkId)) as { removed?: boolean } | undefined;
    if (framework === undefined || framework.removed === true || tornDown.has(frameworkId)) return true;
    for (const own of scene.workloads.values()) {
      const attempt = own.attempts.get(taskId);
      if (attempt === undefined) continue;
      const { maxCompletionMs = Infinity } = attempt.spec;
      return attempt.killAsked || now - (startedAtMs.get(launchId) ?? Infinity) >= maxCompletionMs - 1;
    }
    return false;
  };
  const counted = new Map<SimNode, number>();
  return {
    rules: ['KIL-2'],
    onStart: (node) => stopping.delete(node),
    onStored: ({ bucket, key }) => {
      const record = bucket === 'registry' ? (scene.registry.get(key) as { removed?: boolean } | undefined) : undefined;
      if (record?.removed === true) tornDown.add(key.slice('framework.'.length));
    },
    onStep: ({ now, node, event }) => {
      const { containerId = '', endTasks } = event as unknown as { containerId?: string; endTasks?: boolean };
      if (event.type === 'STOP' && endTasks === true) {
        stopping.add(node);
        // If its process dies first, its next life carries the kills on.
        for (const id of scene.cluster.agentState(node).launches.keys()) condemned.add(id);
      }
      // Told again to each life that adopts it.
      if (event.type === 'CONTAINER_STARTED' && !startedAtMs.has(containerId)) startedAtMs.set(containerId, now);
      if (event.type !== 'CONTAINER_STARTED' && event.type !== 'CONTAINER_ENDED') return;
      const { strays = [] } = scene.cluster.machines.get(node.name)?.processes ?? {};
      for (const id of strays.slice(counted.get(node) ?? 0))
        if (!isExplained(id, now)) scene.fail('KIL-2', `${node.name} does not adopt ${id}, and so it was killed`);
      counted.set(node, strays.length);
    },
    onEffect: (node, _host, effect) => {
      if (effect.type === 'tell') {
        const event = effect.event as CommandExecutorEvent;
        if (event.type === 'agent.LAUNCH')
          launched.set(event.launchId, { taskId: event.task.taskId, frameworkId: event.frameworkId });
        return;
      }
      if (effect.type !== 'signalContainer' || stopping.has(node)) return;
      const { containerId, signal } = effect;
      if (!isExplained(containerId, scene.cluster.clock.now()))
        scene.fail('KIL-2', `${node.name} sends ${signal} to ${containerId}, and nobody asked for it`);
    },
  };
}

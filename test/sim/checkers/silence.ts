/**
 * AGT-7: agents that are silent are marked one by one, and none while many are.
 * LNK-6: what an agent says of its launches when it comes, its master knows afterwards.
 */
import { isTerminal, isLegalMove } from '../../../protocol/task-state.js';
import type { TaskState } from '../../../protocol/task.js';
import type { SimNode } from '../../../runtime/sim/sim-node.js';
import type { Checker, Scene, Step } from './checker.js';

/** As the rule says it. */
const MANY = 0.3;
const PATIENCE = 10;

export function silence(scene: Scene): Checker {
  /** When a leader marked an agent last. */
  const markedAtMs = new Map<string, number>();
  const onMarked = ({ now, node }: Step, agentIds: readonly string[]): void => {
    const state = scene.cluster.masterState(node);
    const { missedHeartbeats, unreachableIntervalMs } = state.config.timings;
    const key = `${node.name}#${node.lives} ${state.epoch}`;
    const sinceMs = now - (markedAtMs.get(key) ?? -Infinity);
    markedAtMs.set(key, now);
    if (agentIds.length > 1 || sinceMs < unreachableIntervalMs)
      return scene.fail(
        'AGT-7',
        `${node.name} marks ${agentIds.join(' and ')} as unreachable, ${sinceMs} ms after another`,
      );
    const isOf = (agentId: string): boolean => agentIds.includes(agentId);
    const awaited = [...state.agents.values()].filter(
      (agent) => agent.state === 'REGISTERED' || agent.state === 'RECOVERED' || isOf(agent.agentId),
    );
    const silent = awaited.filter((agent) => agent.missedHeartbeats > missedHeartbeats);
    if (silent.length < 2 || silent.length <= MANY * awaited.length) return;
    const early = silent.find((agent) => isOf(agent.agentId) && agent.missedHeartbeats <= PATIENCE * missedHeartbeats);
    if (early !== undefined)
      scene.fail('AGT-7', `${node.name} marks ${early.agentId}, and ${silent.length} of ${awaited.length} are silent`);
  };
  return {
    rules: ['AGT-7'],
    onStep: (step) => {
      if (step.node.role !== 'master' || step.event.type !== 'TICK') return;
      const marked = step.effects.flatMap((effect) =>
        effect.type === 'log' && effect.message === 'agent unreachable' ? [String(effect.fields?.['agentId'])] : [],
      );
      if (marked.length > 0) onMarked(step, marked);
    },
  };
}

export function inventories(scene: Scene): Checker {
  /** What was said under each question. */
  const said = new Map<string, ReadonlyMap<string, TaskState>>();
  const last = new Map<SimNode, string>();
  return {
    rules: ['LNK-6'],
    onEffect: (node, host, effect) => {
      // Nobody can look at an agent before its first step is over.
      if (effect.type !== 'publish' || node.running === undefined) return;
      if (host === 'agent' && effect.message === 'REREGISTER' && effect.id !== undefined) {
        const { launches } = scene.cluster.agentState(node);
        said.delete(last.get(node) ?? '');
        last.set(node, effect.id);
        said.set(effect.id, new Map([...launches].map(([launchId, row]) => [launchId, row.storedState])));
      }
      if (host !== 'master' || effect.message !== 'REREGISTERED' || effect.cause === undefined) return;
      const state = scene.cluster.masterState(node);
      for (const [launchId, was] of said.get(effect.cause) ?? []) {
        const is = state.tasks.get(launchId)?.state;
        if (is !== undefined && is !== was && isLegalMove(is, was) && !isTerminal(is))
          scene.fail('LNK-6', `${node.name} takes ${launchId} for ${is}, and its agent said ${was}`);
      }
    },
  };
}

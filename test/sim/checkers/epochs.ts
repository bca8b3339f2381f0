/**
 * EPO-1: no two masters act under one epoch, and the stored epochs grow; within one only its leader's barriers do.
 * EPO-2: for a receiver epochs never go down: what comes with a lower one has no effect.
 * EPO-4: nor do they for a later life of an agent, unless its machine lost the record.
 */
import type { Effect } from '../../../actors/effect.js';
import { AGENT_KEY } from '../../../protocol/checkpoint.js';
import type { SimNode } from '../../../runtime/sim/sim-node.js';
import { isMessage, type Checker, type Scene, type Step } from './checker.js';

export function epochs(scene: Scene): Checker {
  const owners = new Map<number, string>();
  const seen = new Map<SimNode, number>();
  /** In which life it was seen first. */
  const first = new Map<SimNode, number>();
  let stored = { epoch: 0, barrier: 0 };
  return {
    rules: ['EPO-1', 'EPO-2', 'EPO-4'],
    onStart: (node) => {
      const lost = scene.cluster.machines.get(node.name)?.lostKeys.has(AGENT_KEY) === true;
      if (node.role !== 'agent' || lost) seen.set(node, 0);
    },
    onWentBack: () => {
      // Its number is also greater than the time, so that only clocks that differ could bring an older one back.
      const { epoch = 0, barrier = 0 } = (scene.registry.get('epoch') ?? {}) as { epoch?: number; barrier?: number };
      stored = { epoch, barrier };
    },
    onEffect: (node, host, effect) => {
      if (host !== 'master' || (effect.type !== 'publish' && effect.type !== 'reply')) return;
      // A standby speaks under none.
      if (effect.epoch === 0) return;
      const self = `${node.name}#${node.lives}`;
      const owner = owners.get(effect.epoch);
      if (owner === undefined) owners.set(effect.epoch, self);
      else if (owner !== self) scene.fail('EPO-1', `${owner} and ${self} act under epoch ${effect.epoch}`);
    },
    onStored: ({ bucket, key }) => {
      if (bucket !== 'registry' || key !== 'epoch') return;
      const { epoch, barrier = 0 } = scene.registry.get(key) as { epoch: number; barrier?: number };
      if (epoch < stored.epoch || (epoch === stored.epoch && barrier <= stored.barrier))
        scene.fail('EPO-1', `epoch ${epoch} (${barrier}) is stored after ${stored.epoch} (${stored.barrier})`);
      stored = { epoch, barrier };
    },
    onStep: ({ node, event, effects }: Step) => {
      if (node.role === 'master' || !isMessage(event) || event.type.startsWith('operator.')) return;
      const highest = seen.get(node) ?? 0;
      const { epoch } = event.meta;
      if (epoch >= highest) {
        seen.set(node, epoch);
        if (epoch > highest) first.set(node, node.lives);
        return;
      }
      // Who speaks under it may be told so.
      const isWord = (effect: Effect): boolean => effect.type === 'publish' && effect.message === 'STALE_EPOCH';
      const acts = effects.find((effect) => !isWord(effect) && !['count', 'log', 'setDeadline'].includes(effect.type));
      const rule = (first.get(node) ?? 0) < node.lives ? 'EPO-4' : 'EPO-2';
      if (acts !== undefined)
        scene.fail(rule, `${node.name} acts on ${event.type} of epoch ${epoch} after ${highest}: ${acts.type}`);
    },
  };
}

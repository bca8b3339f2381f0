/**
 * EPO-1: no two masters act under one epoch, and the stored epochs grow; within one only its leader's barriers do.
 * EPO-2: for a receiver epochs never go down: what comes with a lower one has no effect.
 */
import type { SimNode } from '../../../runtime/sim/sim-node.js';
import { isMessage, type Checker, type Scene, type Step } from './checker.js';

export function epochs(scene: Scene): Checker {
  const owners = new Map<number, string>();
  const seen = new Map<SimNode, number>();
  let stored = { epoch: 0, barrier: 0 };
  return {
    rules: ['EPO-1', 'EPO-2'],
    onStart: (node) => seen.set(node, 0),
    onEffect: (node, host, effect) => {
      if (host !== 'master' || (effect.type !== 'publish' && effect.type !== 'reply')) return;
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
        return;
      }
      const acts = effects.find((effect) => !['count', 'log', 'setDeadline'].includes(effect.type));
      if (acts !== undefined)
        scene.fail('EPO-2', `${node.name} acts on ${event.type} of epoch ${epoch} after ${highest}: ${acts.type}`);
    },
  };
}

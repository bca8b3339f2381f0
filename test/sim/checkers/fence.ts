/** REG-1: every record is written by the master that holds the epoch record. */
import type { Checker, Scene } from './checker.js';

export function fence(scene: Scene): Checker {
  return {
    rules: ['REG-1'],
    onStored: ({ bucket, key, by }) => {
      if (bucket !== 'registry' || key === 'epoch' || by === undefined) return;
      const holder = (scene.registry.get('epoch') as { name: string } | undefined)?.name;
      if (holder !== by) scene.fail('REG-1', `${by} writes ${key}, but ${holder ?? 'nobody'} holds the epoch`);
    },
  };
}

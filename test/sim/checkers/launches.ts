/** LCH-1: no launch starts twice, on any agent, in any life of it. */
import type { Checker, Scene } from './checker.js';

export function launches(scene: Scene): Checker {
  /** Asked for, and not known to have never started. */
  const asked = new Set<string>();
  return {
    rules: ['LCH-1'],
    onStep: ({ event }) => {
      if (event.type !== 'CONTAINER_ENDED') return;
      // A new life has claimed it: what an earlier one asked for comes to nothing.
      const { containerId, neverStarted } = event as unknown as { containerId: string; neverStarted?: boolean };
      if (neverStarted === true) asked.delete(containerId);
    },
    onEffect: (node, _host, effect) => {
      if (effect.type !== 'launchContainer') return;
      const { containerId } = effect.spec;
      if (asked.has(containerId)) scene.fail('LCH-1', `${containerId} is started twice, now on ${node.name}`);
      asked.add(containerId);
    },
    atEnd: () => {
      const started = [...scene.cluster.machines.values()].flatMap(({ processes }) => processes.starts);
      if (new Set(started).size !== started.length) scene.fail('LCH-1', 'a process of one launch ran twice');
    },
  };
}

/** Small simulated worlds for the tests of the simulator itself. */
import { SeededRandom } from '../../runtime/sim/seeded-random.js';
import { Incarnation, VirtualClock } from '../../runtime/sim/virtual-clock.js';

/** 2026-01-01, the first instant of every simulated test. */
export const START_AT_MS = 1_767_225_600_000;

export interface World {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  /** What callbacks threw. */
  readonly thrown: unknown[];
  /** The first life of a node. */
  life(node: string): Incarnation;
}

export function newWorld(seed = 1): World {
  const thrown: unknown[] = [];
  const clock = new VirtualClock(START_AT_MS, (error) => thrown.push(error));
  return { clock, random: new SeededRandom(seed), thrown, life: (node) => new Incarnation(node, 1) };
}

import { virtualHarness } from './harness.js';
import { randomSuite } from './random.suite.js';
import { newWorld } from './world.js';

randomSuite(async () => {
  const { clock, random } = newWorld();
  return { ...virtualHarness(clock), random: random.fork('node') };
});

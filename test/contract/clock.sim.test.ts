import { clockSuite } from './clock.suite.js';
import { virtualHarness } from './harness.js';
import { newWorld } from './world.js';

clockSuite(async () => {
  const { clock, life } = newWorld();
  return { ...virtualHarness(clock), clock: clock.clockOf(life('node'), () => 250) };
});

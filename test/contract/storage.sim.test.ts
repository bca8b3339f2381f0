import { calmStorage, SimulatedStorage } from '../../runtime/sim/simulated-storage.js';
import { virtualHarness } from './harness.js';
import { storageSuite } from './storage.suite.js';
import { newWorld } from './world.js';

storageSuite(async () => {
  const { clock, random, life } = newWorld();
  const storage = new SimulatedStorage({ clock, policy: calmStorage(random) });
  return { ...virtualHarness(clock), open: async (name) => storage.port(name, life(name)) };
});

import { SimulatedStore } from '../../runtime/sim/simulated-store.js';
import { Incarnation } from '../../runtime/sim/virtual-clock.js';
import { virtualHarness } from './harness.js';
import { storeSuite } from './store.suite.js';
import { newWorld } from './world.js';

storeSuite(async () => {
  const { clock, random, life } = newWorld();
  const store = new SimulatedStore(clock, random);
  let agent = life('agent');
  return {
    ...virtualHarness(clock),
    store: store.port(agent),
    reopen: async () => {
      agent.end();
      agent = new Incarnation('agent', agent.number + 1);
      return store.port(agent);
    },
  };
});

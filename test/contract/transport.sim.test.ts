import { calmNetwork, SimulatedNetwork } from '../../runtime/sim/simulated-network.js';
import { virtualHarness } from './harness.js';
import { transportSuite } from './transport.suite.js';
import { newWorld } from './world.js';

transportSuite(async () => {
  const { clock, random, life } = newWorld();
  const calm = calmNetwork(random);
  const network = new SimulatedNetwork(clock, { ...calm, subscribeDelayMs: () => 2 });
  return {
    ...virtualHarness(clock),
    prefix: 'test',
    connect: async (name) => network.connect({ name, incarnation: life(name), inboxPrefix: `inbox.${name}` }),
    interrupt: async (name) => {
      network.disconnect(name);
      clock.run(clock.now() + 100);
      network.reconnect(name);
    },
  };
});

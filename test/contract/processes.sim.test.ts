import { SimulatedFiles } from '../../runtime/sim/simulated-files.js';
import { SimulatedProcesses } from '../../runtime/sim/simulated-processes.js';
import { Incarnation } from '../../runtime/sim/virtual-clock.js';
import { simulatedBehaviour } from './behaviour.js';
import { virtualHarness } from './harness.js';
import { processesSuite } from './processes.suite.js';
import { newWorld } from './world.js';

processesSuite(async () => {
  const { clock, random, life } = newWorld();
  let agent = life('agent');
  const files = new SimulatedFiles(clock, random.fork('files'));
  const processes = new SimulatedProcesses(clock, random.fork('processes'), files);
  return {
    ...virtualHarness(clock),
    processes: processes.port(agent),
    // Of no life of the agent: it reads on when they end.
    files: files.port(life('reader')),
    write: simulatedBehaviour,
    restart: async () => {
      agent.end();
      agent = new Incarnation('agent', agent.number + 1);
      return processes.port(agent);
    },
  };
});

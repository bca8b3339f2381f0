import { SimulatedFiles } from '../../runtime/sim/simulated-files.js';
import { SimulatedProcesses } from '../../runtime/sim/simulated-processes.js';
import { simulatedBehaviour } from './behaviour.js';
import { virtualHarness } from './harness.js';
import { processesSuite } from './processes.suite.js';
import { newWorld } from './world.js';

processesSuite(async () => {
  const { clock, random, life } = newWorld();
  const agent = life('agent');
  const files = new SimulatedFiles(clock, random.fork('files'));
  const processes = new SimulatedProcesses(clock, random.fork('processes'), files);
  return {
    ...virtualHarness(clock),
    processes: processes.port(agent),
    files: files.port(agent),
    write: simulatedBehaviour,
  };
});

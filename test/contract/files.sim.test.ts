import { SimulatedFiles } from '../../runtime/sim/simulated-files.js';
import { filesRemovalSuite } from './files-removal.suite.js';
import { filesSuite, type FilesHarness } from './files.suite.js';
import { virtualHarness } from './harness.js';
import { newWorld } from './world.js';

const make = async (): Promise<FilesHarness> => {
  const { clock, random, life } = newWorld();
  const files = new SimulatedFiles(clock, random);
  return {
    ...virtualHarness(clock),
    files: files.port(life('agent')),
    plant: async (path, content) => files.append(path, content),
  };
};

filesSuite(make);
filesRemovalSuite(make);

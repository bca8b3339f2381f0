import { systemRandom } from '../../runtime/node/system-random.js';
import { realHarness } from './harness.js';
import { randomSuite } from './random.suite.js';

randomSuite(async () => ({ ...realHarness(), random: systemRandom() }));

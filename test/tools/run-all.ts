/** `npm test`, after the build: everything, in order. The last line is `N passed, N failed`, and the exit code agrees with it. */
import { runSteps } from './run-steps.js';
import { PROJECT_ROOT } from './source-files.js';
import { CHECKS, TESTS } from './steps.js';
import { countsLine } from './test-counts.js';

const counts = await runSteps([...CHECKS, ...TESTS], { folder: PROJECT_ROOT, print: (line) => console.log(line) });
console.log(countsLine(counts));
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;

/** `npm run check`, after the build: all checks, also those behind one that fails. */
import { runSteps } from './run-steps.js';
import { PROJECT_ROOT } from './source-files.js';
import { CHECKS } from './steps.js';

const { failed } = await runSteps(CHECKS, { folder: PROJECT_ROOT, print: (line) => console.log(line) });
process.exitCode = failed === 0 ? 0 : 1;

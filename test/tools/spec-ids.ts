/** `npm run check:spec`: exit code 1 when a rule of the specification has no test, or a test no rule. */
import { filesBelow, PROJECT_ROOT } from './source-files.js';
import { compareSpec } from './spec.js';

const ROOMS = ['protocol', 'actors', 'runtime', 'gateway', 'frameworks', 'cli', 'bench'];

const root = process.argv[2] ?? PROJECT_ROOT;
const docs = await filesBelow(root, 'docs', '.md');
const report = compareSpec({
  pages: docs.filter(({ path }) => path === 'docs/spec.md' || path.startsWith('docs/spec/')),
  tests: await filesBelow(root, 'test', '.ts'),
  sources: (await Promise.all(ROOMS.map((room) => filesBelow(root, room, '.ts')))).flat(),
});
for (const note of report.notes) console.log(`note: ${note}`);
for (const problem of report.problems) console.error(problem);
const { rules, later, titles, problems } = report;
console.log(`spec: ${rules} rules (${later} later), ${titles} test titles, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;

/**
 * `npm run check:imports`: dependency-cruiser with the rules of `.dependency-cruiser.cjs`. Exit code 1 on a violation, and when a room has
 * sources that were not looked at: a cruiser that does not understand the compiler finds no module, no violation, and is content.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { filesBelow, PROJECT_ROOT } from './source-files.js';

const ROOMS = ['protocol', 'actors', 'runtime', 'gateway', 'frameworks', 'cli', 'test', 'bench'];

interface Cruise {
  modules: { source: string }[];
  summary: {
    totalCruised: number;
    totalDependenciesCruised?: number;
    violations: { from: string; to: string; rule: { name: string; severity: string }; cycle?: { name: string }[] }[];
  };
}

const root = process.argv[2] ?? PROJECT_ROOT;
const sources = new Map<string, string[]>();
for (const room of ROOMS) {
  const paths = (await filesBelow(root, room, '.ts')).map(({ path }) => path);
  if (paths.length > 0) sources.set(room, paths);
}
if (sources.size === 0) fail(['there is no source to look at']);
const { modules, summary } = cruise(root, [...sources.keys()]);

const cruised = new Set(modules.map(({ source }) => source));
const problems = [...sources.values()]
  .flat()
  .filter((path) => !cruised.has(path))
  .map((path) => `${path} was not looked at`);
for (const { from, to, rule, cycle } of summary.violations) {
  const way = cycle === undefined ? to : cycle.map(({ name }) => name).join(' → ');
  problems.push(`${rule.name}: ${from} → ${way}`);
}
if (summary.totalCruised === 0) problems.push('no module was looked at');
if (problems.length > 0) fail(problems);
console.log(`imports: ${summary.totalCruised} modules, ${summary.totalDependenciesCruised ?? 0} imports, 0 problems`);

function cruise(folder: string, rooms: string[]): Cruise {
  const program = join(PROJECT_ROOT, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
  const args = [program, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', ...rooms];
  const result = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  try {
    return JSON.parse(result.stdout) as Cruise;
  } catch {
    return fail([`dependency-cruiser gave no result (exit code ${result.status}): ${result.stderr}${result.stdout}`]);
  }
}

function fail(problems: string[]): never {
  for (const problem of problems) console.error(problem);
  console.error(`imports: ${problems.length} problems; the rules are in .dependency-cruiser.cjs`);
  process.exit(1);
}

/** Runs the steps of `npm test` one after the other and adds up what they counted. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { addCounts, countLine, type Counts } from './test-counts.js';

export interface Step {
  name: string;
  /** Program and arguments. */
  command: readonly [string, ...string[]];
  /** Must run a test: a step that is content with none has lost them. */
  counts: boolean;
}

export interface RunOptions {
  folder: string;
  /** Takes one line of output, without its end. */
  print: (line: string) => void;
}

/** The sum over all steps. A step that fails without having counted a failure counts as one, and so does one that lost its tests. */
export async function runSteps(steps: readonly Step[], options: RunOptions): Promise<Counts> {
  let sum: Counts = { passed: 0, failed: 0, skipped: 0 };
  const summary: string[] = [];
  for (const step of steps) {
    options.print(`\n=== ${step.name}`);
    const begin = performance.now();
    const { counts, problem } = await runStep(step, options);
    sum = addCounts(sum, counts);
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    const outcome = problem ?? (counts.failed > 0 ? `${counts.failed} failed` : 'ok');
    summary.push(`${step.name.padEnd(8)} ${seconds.padStart(7)} s  ${outcome}`);
  }
  options.print(`\n${summary.join('\n')}`);
  return sum;
}

async function runStep(step: Step, options: RunOptions): Promise<{ counts: Counts; problem?: string }> {
  const [command, ...args] = step.command;
  const child = spawn(command, args, { cwd: options.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      counts = addCounts(counts, countLine(line));
      options.print(line);
    });
  }
  const ended = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`)));
  });
  let problem = ended;
  if (ended === undefined && step.counts && counts.passed + counts.failed === 0) problem = 'ran no test';
  if (problem === undefined) return { counts };
  options.print(`${step.name}: ${problem}`);
  return { counts: { ...counts, failed: Math.max(1, counts.failed) }, problem };
}

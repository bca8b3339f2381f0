/** Plants each bug, hunts it, and prints which seed and checker caught it. Two at a time. `main.js [--rare] [part of a name]` */
import { simulate } from '../simulate.js';
import { BUGS } from './bugs.js';
import { findBug, SEEDS, type Found } from './mutate.js';

const RARE_SEEDS = 400;
const AT_A_TIME = 2;

const isCaught = (result: Found | Error): result is Found => !(result instanceof Error) && result.caught;

/** The seed, and what broke. */
function wordsOf(result: Found | Error): string {
  if (result instanceof Error) return `- | ${result.message.slice(0, 120)}`;
  const { seed, message, others, caught } = result;
  return `${seed} | ${caught ? message?.slice(0, 120) : `NOT CAUGHT; others: ${others.join(' ')}`}`;
}

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  const only = words.find((word) => word !== '--rare');
  const withRare = words.includes('--rare');
  const bugs = BUGS.filter(
    ({ name, rare = false }) => (withRare || !rare) && (only === undefined || name.includes(only)),
  );
  process.stdout.write('| bug | rule | seed | |\n| --- | --- | --- | --- |\n');
  let caught = 0;
  let last = 0;
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < bugs.length; i = next++) {
      const bug = bugs[i]!;
      const result = await findBug(bug, bug.rare === true ? RARE_SEEDS : SEEDS).catch(
        (error: unknown) => error as Error,
      );
      if (isCaught(result)) {
        caught++;
        last = Math.max(last, result.seed);
      }
      process.stdout.write(`| ${bug.name} | ${bug.rule} | ${wordsOf(result)} |\n`);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  let wrong = bugs.length - caught;
  for (let seed = 1; seed <= last; seed++) {
    const { failure } = simulate(seed);
    if (failure === undefined) continue;
    wrong++;
    process.stdout.write(`without any bug seed ${seed} breaks ${failure.rule}: ${failure.message}\n`);
  }
  process.stdout.write(`${caught} of ${bugs.length} caught; without bugs seeds 1 to ${last} are well\n`);
  return wrong === 0 ? 0 : 1;
}

process.exitCode = await main();

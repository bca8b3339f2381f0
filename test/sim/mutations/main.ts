/** Plants each bug, hunts it, and prints which seed and checker caught it. Two at a time. `main.js [--rare] [part of a name]` */
import { simulate } from '../simulate.js';
import { BUGS } from './bugs.js';
import { findBug, type Found } from './mutate.js';

const SEEDS_MAX = 400;
const AT_A_TIME = 2;

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  const only = words.find((word) => word !== '--rare');
  const withRare = words.includes('--rare');
  const bugs = BUGS.filter(
    ({ name, rare = false }) => (withRare || !rare) && (only === undefined || name.includes(only)),
  );
  const found: (Found | Error)[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < bugs.length; i = next++)
      found[i] = await findBug(bugs[i]!, SEEDS_MAX).catch((error: unknown) => error as Error);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  let wrong = 0;
  let last = 0;
  process.stdout.write('| bug | rule | seed | |\n| --- | --- | --- | --- |\n');
  for (const [i, { name, rule }] of bugs.entries()) {
    const result = found[i]!;
    const isCaught = !(result instanceof Error) && result.caught;
    if (!isCaught) wrong++;
    else last = Math.max(last, result.seed);
    const what =
      result instanceof Error
        ? result.message
        : isCaught
          ? result.message
          : `NOT CAUGHT; others: ${result.others.join(' ')}`;
    process.stdout.write(
      `| ${name} | ${rule} | ${result instanceof Error ? '-' : result.seed} | ${what?.slice(0, 120)} |\n`,
    );
  }
  for (let seed = 1; seed <= last; seed++) {
    const { failure } = simulate(seed);
    if (failure === undefined) continue;
    wrong++;
    process.stdout.write(`without any bug seed ${seed} breaks ${failure.rule}: ${failure.message}\n`);
  }
  process.stdout.write(`${bugs.length - wrong} of ${bugs.length} caught; without bugs seeds 1 to ${last} are well\n`);
  return wrong === 0 ? 0 : 1;
}

process.exitCode = await main();

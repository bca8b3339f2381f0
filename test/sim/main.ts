/** `npm run sim -- --seed N`, or `--seeds K [--from N] [--threads N]`; `--json`, `--trace LINES`, `--keep-going`. */
import { parseArgs } from 'node:util';
import { runSeeds, threadsOf, type Ran } from './pool.js';
import { drawOptions } from './simulate.js';

const USAGE = `usage: npm run sim -- [options]
  --seed N        one run
  --seeds K       K runs, from --from (default 1)
  --from N        first seed
  --threads N     so many at a time; without it one for each core, 4 at most
  --trace LINES   print the last LINES of a failing run's story
  --keep-going    go on after a failing seed
  --json          one line of JSON per run
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    threads: { type: 'string' },
    trace: { type: 'string', default: '0' },
    'keep-going': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function print(result: Ran): void {
  const { seed, failure, events, steps, virtualMs, counts, hash, tookMs } = result;
  if (values.json) {
    const { lines: _lines, ...rest } = result;
    process.stdout.write(`${JSON.stringify(rest)}\n`);
    return;
  }
  const rate = Math.round((events / tookMs) * 1000);
  const speed = Math.round(virtualMs / tookMs);
  const outcome =
    failure === undefined ? 'ok' : `BROKEN ${failure.rule} at ${failure.atMs / 1000} s: ${failure.message}`;
  process.stdout.write(
    `seed ${seed}: ${outcome}\n  ${events} events, ${steps} steps, ${virtualMs / 1000} s in ${Math.round(tookMs)} ms (${rate} events/s, ${speed} × real time), ${hash.slice(0, 16)}\n`,
  );
  if (values.seed !== undefined || failure !== undefined) process.stdout.write(`  ${JSON.stringify(counts)}\n`);
}

async function main(): Promise<number> {
  const one = values.seed !== undefined;
  const from = Number(values.seed ?? values.from);
  const count = one ? 1 : Number(values.seeds ?? NaN);
  const trace = Number(values.trace);
  const threads = threadsOf(values.threads === undefined ? undefined : Number(values.threads));
  if (values.help || ![from, count, trace, threads].every(Number.isInteger)) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 64;
  }
  const broken: number[] = [];
  const begunAt = performance.now();
  let events = 0;
  if (one && !values.json)
    process.stdout.write(`seed ${from} draws ${JSON.stringify(drawOptions(from), undefined, 1)}\n`);
  const onRan = (ran: Ran): boolean => {
    events += ran.events;
    if (one || values.json || ran.failure !== undefined) {
      for (const line of ran.failure === undefined && !one ? [] : ran.lines) process.stdout.write(`${line}\n`);
      print(ran);
    }
    if (ran.failure !== undefined) broken.push(ran.seed);
    return ran.failure === undefined || values['keep-going'];
  };
  await runSeeds({ from, count, threads, trace, onRan });
  broken.sort((a, b) => a - b);
  const tookMs = performance.now() - begunAt;
  const rate = Math.round((events / tookMs) * 1000);
  if (!values.json)
    process.stdout.write(
      `${broken.length === 0 ? 'all seeds well' : `broken: ${broken.join(' ')}`}; ${events} events in ${(tookMs / 1000).toFixed(1)} s, ${rate} events/s\n`,
    );
  return broken.length === 0 ? 0 : 1;
}

process.exitCode = await main();

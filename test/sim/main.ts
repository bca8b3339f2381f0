/** `npm run sim -- --seed N`, or `--seeds K [--from N]`; `--json`, `--trace [LINES]`, `--keep-going`. */
import { parseArgs } from 'node:util';
import { drawOptions, simulate, type Result } from './simulate.js';

const USAGE = `usage: npm run sim -- [options]
  --seed N        one run
  --seeds K       K runs, from --from (default 1)
  --from N        first seed
  --trace LINES   print the last LINES of a failing run's story
  --keep-going    go on after a failing seed
  --json          one line of JSON per run
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    trace: { type: 'string', default: '0' },
    'keep-going': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function print(result: Result, tookMs: number): void {
  const { seed, failure, events, steps, virtualMs, counts, hash } = result;
  if (values.json) {
    const { options: _options, lines: _lines, ...rest } = result;
    process.stdout.write(`${JSON.stringify({ ...rest, tookMs })}\n`);
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

function main(): number {
  const one = values.seed !== undefined;
  const from = Number(values.seed ?? values.from);
  const count = one ? 1 : Number(values.seeds ?? NaN);
  const trace = Number(values.trace);
  if (values.help || ![from, count, trace].every(Number.isInteger)) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 64;
  }
  const broken: number[] = [];
  const begunAt = performance.now();
  let events = 0;
  for (let seed = from; seed < from + count; seed++) {
    if (one && !values.json)
      process.stdout.write(`seed ${seed} draws ${JSON.stringify(drawOptions(seed), undefined, 1)}\n`);
    const startedAt = performance.now();
    const result = simulate(seed, { trace });
    events += result.events;
    if (one || values.json || result.failure !== undefined) {
      for (const line of result.failure === undefined && !one ? [] : result.lines) process.stdout.write(`${line}\n`);
      print(result, performance.now() - startedAt);
    }
    if (result.failure === undefined) continue;
    broken.push(seed);
    if (!values['keep-going']) break;
  }
  const tookMs = performance.now() - begunAt;
  const rate = Math.round((events / tookMs) * 1000);
  if (!values.json)
    process.stdout.write(
      `${broken.length === 0 ? 'all seeds well' : `broken: ${broken.join(' ')}`}; ${events} events in ${(tookMs / 1000).toFixed(1)} s, ${rate} events/s\n`,
    );
  return broken.length === 0 ? 0 : 1;
}

process.exitCode = main();

/** Runs seeds for {@link runSeeds}, one after the other, in a thread of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import { simulate } from './simulate.js';
import type { Ran } from './pool.js';

const { trace } = workerData as { trace: number };

parentPort?.on('message', (seed: number) => {
  const startedAt = performance.now();
  const { options: _options, ...rest } = simulate(seed, { trace });
  const ran: Ran = { ...rest, tookMs: performance.now() - startedAt };
  parentPort?.postMessage(ran);
});

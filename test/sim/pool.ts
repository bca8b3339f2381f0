/** Seeds side by side: a thread for each core that is to work. A run is the same in any thread, as it shares nothing. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Result } from './simulate.js';

/** A result without the options, which its seed draws again. */
export type Ran = Omit<Result, 'options'> & { readonly tookMs: number };

export const threadsOf = (wanted: number | undefined): number => wanted ?? Math.min(4, availableParallelism());

export interface Seeds {
  readonly from: number;
  readonly count: number;
  readonly threads: number;
  /** Lines of a story that a result brings. */
  readonly trace: number;
  /** Called in the order in which runs end; `false`: no further seed is begun. */
  readonly onRan: (ran: Ran) => boolean;
}

/** Runs the seeds; ends when the last that was begun has ended. @throws what a run throws, which is a mistake of the simulator */
export async function runSeeds({ from, count, threads, trace, onRan }: Seeds): Promise<void> {
  let next = from;
  let isGoing = true;
  const work = (): Promise<void> =>
    new Promise((fulfil, reject) => {
      const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { trace } });
      const end = (then: () => void): void => void worker.terminate().then(then);
      const feed = (): void => {
        if (isGoing && next < from + count) worker.postMessage(next++);
        else end(fulfil);
      };
      worker.on('message', (ran: Ran) => {
        if (!onRan(ran)) isGoing = false;
        feed();
      });
      worker.on('error', (error) => {
        isGoing = false;
        end(() => reject(error));
      });
      feed();
    });
  await Promise.all(Array.from({ length: Math.max(1, Math.min(threads, count)) }, work));
}

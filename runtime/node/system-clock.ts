/** The machine's clock as the Clock port. */
import type { Clock } from '../ports.js';

/** `setTimeout` takes no longer delay: it would fire at once. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;
/** How far the wall's clock may be ahead before we follow it. */
const MOST_BEHIND_MS = 60_000;

/**
 * Time that never runs backwards, whatever happens to the machine's clock: it starts at the wall's time and counts on by itself.
 * It jumps forward when the wall is a minute ahead, which it is when the machine has slept: the counter stands still then, and after two days
 * of sleep an agent would take every epoch for one of the future (EPO-2). Deadlines notice such a jump as a late tick (DLN-1).
 * `after` counts time awake only, and never fires early.
 */
export function systemClock(): Clock {
  let originMs = Date.now() - performance.now();
  return {
    now() {
      const sinceMs = performance.now();
      const wallMs = Date.now();
      if (wallMs - sinceMs - originMs > MOST_BEHIND_MS) originMs = wallMs - sinceMs;
      return originMs + sinceMs;
    },
    after(delayMs, callback) {
      const dueMs = performance.now() + Math.max(0, delayMs);
      let timeout: NodeJS.Timeout;
      const wait = (): void => {
        const leftMs = dueMs - performance.now();
        timeout = setTimeout(fire, Math.min(LONGEST_TIMEOUT_MS, Math.ceil(Math.max(0, leftMs))));
      };
      const fire = (): void => {
        // Early by less than a millisecond, as timers are, or only part of a long delay.
        if (performance.now() < dueMs) wait();
        else callback();
      };
      wait();
      return { cancel: () => clearTimeout(timeout) };
    },
  };
}

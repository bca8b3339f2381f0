/** Delays between tries. Pure: the random number is an argument. */

/** Delay before try `attempt` (from 0): doubling from `baseMs` up to `maxMs`, of which the upper half is random. */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: number): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return full / 2 + (full / 2) * random;
}

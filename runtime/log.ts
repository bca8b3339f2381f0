/** Structured logs, one JSON line each, and counters. */
import pino from 'pino';
import type { Log, Metrics } from './ports.js';

/** A log on standard error (or the stream given), at `level` and above. */
export function processLog(
  name: string,
  level = 'info',
  destination: pino.DestinationStream = pino.destination(2),
): Log {
  const logger = pino({ name, level, base: { name, pid: process.pid } }, destination);
  return { write: (at, message, fields) => logger[at](fields ?? {}, message) };
}

export const silentLog: Log = { write: () => {} };

/** Counters in memory. */
export class Counters implements Metrics {
  readonly counts = new Map<string, number>();

  count(metric: string, by: number): void {
    this.counts.set(metric, (this.counts.get(metric) ?? 0) + by);
  }
}

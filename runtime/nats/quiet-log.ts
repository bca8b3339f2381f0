/** A log that says the same thing once in a while, not each time: what floods a link must not flood the log too. */
import type { Log } from '../ports.js';

const DEFAULT_INTERVAL_MS = 10_000;
/** Different messages remembered at a time; beyond it all are forgotten, and said once more. */
const MOST_KINDS = 1_000;

/** As {@link Log.write}; `kind` is what counts as the same. */
export type QuietLog = (
  level: 'info' | 'warn' | 'error',
  kind: string,
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

/**
 * Wraps `log`: a message with the same `kind` is written again only after `intervalMs`, with the number of those left out as `repeated`.
 * `kind` must come from a small set (a subject's type, an error's text), never from data.
 */
export function quietLog(log: Log, intervalMs = DEFAULT_INTERVAL_MS): QuietLog {
  const said = new Map<string, { atMs: number; left: number }>();
  return (level, kind, message, fields) => {
    const now = performance.now();
    const last = said.get(kind);
    if (last !== undefined && now - last.atMs < intervalMs) {
      last.left += 1;
      return;
    }
    if (said.size >= MOST_KINDS) said.clear();
    said.set(kind, { atMs: now, left: 0 });
    log.write(level, message, { ...fields, ...(last !== undefined && last.left > 0 && { repeated: last.left }) });
  };
}

/** The text of whatever was thrown. */
export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

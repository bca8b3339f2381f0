/** `up --detach`: a supervisor of its own session, which tells its parent how far it is until it is ready. Rule: UP-1. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { logFile, makeFolders } from '../runtime/up/layout.js';
import { NODE_FLAGS } from '../runtime/up/plan.js';
import { note } from './output.js';
import { onStopSignals } from './signals.js';

const LAST_WORDS_MS = 200;

/** What a detached supervisor tells the process that started it. */
export type Progress =
  | { readonly type: 'line'; readonly text: string }
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly text: string };

/** Nothing happens where nobody listens. */
export function tellParent(progress: Progress): void {
  if (process.connected) process.send?.(progress, undefined, undefined, () => undefined);
}

/** Starts the same command without `--detach`; resolves when the cluster is ready, or has failed to become so. */
export async function startDetached(dir: string): Promise<Exclude<Progress, { type: 'line' }>> {
  const path = logFile(makeFolders(dir), 'up');
  const log = openSync(path, 'a', 0o600);
  const again = process.argv.slice(1).filter((word) => word !== '--detach' && word !== '--first-job');
  const child = spawn(process.execPath, [...NODE_FLAGS, ...again], {
    stdio: ['ignore', log, log, 'ipc'],
    detached: true,
  });
  closeSync(log);
  // It has a session of its own: Ctrl-C reaches only us.
  const forget = onStopSignals({ first: () => child.kill('SIGTERM'), second: () => child.kill('SIGTERM') });
  const outcome = await new Promise<Exclude<Progress, { type: 'line' }>>((fulfil) => {
    child.on('message', (message) => {
      const progress = message as Progress;
      if (progress.type === 'line') note(progress.text);
      else fulfil(progress);
    });
    child.once('error', (error) => fulfil({ type: 'failed', text: error.message }));
    const ended = (): void => fulfil({ type: 'failed', text: `The supervisor has ended; its log is ${path}` });
    // Its last words may arrive after its end.
    child.once('exit', () => setTimeout(ended, LAST_WORDS_MS));
  });
  forget();
  if (child.connected) child.disconnect();
  child.unref();
  return outcome;
}

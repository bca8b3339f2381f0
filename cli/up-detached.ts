/** `up --detach`: a supervisor of its own session, which tells its parent how far it is until it is ready. Rule: UP-1. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { logFile, makeFolders } from '../runtime/up/layout.js';
import { firstJob } from './first-job.js';
import { note } from './output.js';
import { placeOf, shown } from './connection.js';
import { statusOf, statusTable } from './status.js';
import { say } from './output.js';
import { STATUS } from './errors.js';

/** What a detached supervisor tells the process that started it. */
export type Progress =
  | { readonly type: 'line'; readonly text: string }
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly text: string };

/** Nothing happens where nobody listens. */
export function tellParent(progress: Progress): void {
  if (process.connected) process.send?.(progress, undefined, undefined, () => undefined);
}

/** Starts the same command without `--detach` and returns when the cluster is ready, or has failed to become so. */
export async function detach(dir: string, wantsJob: boolean): Promise<number> {
  const layout = makeFolders(dir);
  const path = logFile(layout, 'up');
  const log = openSync(path, 'a', 0o600);
  const again = process.argv.slice(1).filter((word) => word !== '--detach' && word !== '--first-job');
  const child = spawn(process.execPath, [...process.execArgv, ...again], {
    stdio: ['ignore', log, log, 'ipc'],
    detached: true,
  });
  closeSync(log);
  const outcome = await new Promise<Progress>((fulfil) => {
    child.on('message', (message) => {
      const progress = message as Progress;
      if (progress.type === 'line') note(progress.text);
      else fulfil(progress);
    });
    child.once('error', (error) => fulfil({ type: 'failed', text: error.message }));
    child.once('exit', () => fulfil({ type: 'failed', text: `The supervisor has ended; its log is ${path}` }));
  });
  if (child.connected) child.disconnect();
  child.unref();
  if (outcome.type === 'failed') {
    note(outcome.text);
    return STATUS.no;
  }
  const place = await placeOf({ dir }, 'operator');
  say(statusTable(await statusOf(place, dir), shown(dir)));
  say(
    `\nIt runs in the background (pid ${place.state?.supervisor.pid ?? '?'}, log ${shown(path)}). End it: tepui down`,
  );
  return wantsJob ? firstJob(dir, place.cluster) : STATUS.done;
}

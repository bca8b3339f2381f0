/** The processes of tasks, as they stand in /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { isAlive, processId, signalProcess, type ProcessId } from '../../runtime/node/process-table.js';
import type { CliFolder } from './cli.js';

export interface TaskProcess extends ProcessId {
  /** It is outside of the task, and writes down how that ends. */
  readonly isWrapper: boolean;
}

/** All that runs for tasks whose id begins so, of the agents in this folder; what has cleared its environment is not found. */
export function processesOf(folder: CliFolder, taskId: string): TaskProcess[] {
  const sandbox = `TEPUI_SANDBOX=${folder.folder}/`;
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const words = readFileSync(`/proc/${name}/environ`, 'latin1').split('\0');
      if (!words.some((word) => word.startsWith(sandbox) && word.includes(`/executors/${taskId}`))) return [];
      const id = processId(Number(name));
      return id === undefined ? [] : [{ ...id, isWrapper: words.some((word) => word.startsWith('TEPUI_CLAIM=')) }];
    } catch {
      // Gone meanwhile.
      return [];
    }
  });
}

/** Of a task that starts other processes all the time: its main process and its wrapper, which lead sessions of their own. */
export const leaders = (processes: readonly TaskProcess[]): TaskProcess[] =>
  processes.filter(({ pid }) => {
    let stat: string;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    } catch {
      return false;
    }
    // Behind the name: state, parent, group, session.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]) === pid;
  });

export const living = (processes: readonly TaskProcess[]): number[] => processes.filter(isAlive).map(({ pid }) => pid);

/** SIGKILL to these and nobody else. */
export function killAll(processes: readonly TaskProcess[]): void {
  for (const each of processes) signalProcess(each, 'SIGKILL');
}

/** Tasks that write down their own lives: who started how often, and whether any was asked to end. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lines, type CliFolder, type Result, type RunningCli } from './cli.js';

export interface Ledger {
  /** The command line of tasks that, once `open` was called, end with their own status, their number modulo 5. */
  readonly run: RunningCli;
  /** How many have started. */
  started(): number;
  /** Lets all of them end. */
  open(): void;
  /** Per task what it wrote: `start` once, and nothing else if it was left alone. */
  lives(): string[][];
}

export const statusOfTask = (index: number): number => index % 5;

/** Runs `count` tasks, all of which wait for {@link Ledger.open} when `waiting`. */
export function startLedger(folder: CliFolder, name: string, count: number, { waiting }: { waiting: boolean }): Ledger {
  const dir = join(folder.temporary, name);
  mkdirSync(dir);
  // Tasks may run as another user.
  chmodSync(dir, 0o777);
  const go = join(folder.temporary, `${name}.go`);
  if (!waiting) writeFileSync(go, '');
  const file = `${dir}/$TEPUI_RUN_INDEX`;
  const script = [
    `trap 'echo asked to end >>${file}' TERM`,
    `echo start >>${file}`,
    `while [ ! -e ${go} ]; do sleep 0.1; done`,
    'exit $((TEPUI_RUN_INDEX % 5))',
  ].join('; ');
  return {
    run: folder.start(['run', '--json', '--name', name, '-n', String(count), '--cpus', '0.01', '--mem', '8', script]),
    started: () => readdirSync(dir).length,
    open: () => writeFileSync(go, ''),
    lives: () => readdirSync(dir).map((each) => lines(readFileSync(join(dir, each), 'utf8'))),
  };
}

/** What `run --json` said of the ends: exit status by number. */
export function endsOf({ stdout }: Result): Map<number, number> {
  const ends = new Map<number, number>();
  for (const line of lines(stdout)) {
    const told = JSON.parse(line) as { event: string; task?: number; exitStatus?: number };
    if (told.event === 'ended') ends.set(told.task ?? -1, told.exitStatus ?? -1);
  }
  return ends;
}

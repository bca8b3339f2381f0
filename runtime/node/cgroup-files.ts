/** The kernel's files of control groups, as little of a file system as they need, so that tests can stand in for a kernel. Rule: CGR-1. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';

/** All of it is in the kernel's memory: synchronous calls wait for no disk. */
export interface CgroupFiles {
  /** `undefined` when there is no such file, or its group is about to go. */
  read(path: string): string | undefined;
  /** @throws Error with the kernel's `code` */
  write(path: string, text: string): void;
  /** One folder; `false` when it was there. @throws Error with the kernel's `code` */
  make(path: string): boolean;
  /** An empty group; its files go with it. @throws Error with the kernel's `code` */
  remove(path: string): void;
  /** Names of the folders in it; none when it is not there. */
  folders(path: string): string[];
  /** Whether a process can put itself into the group of this `cgroup.procs`; if not, why. */
  whyNotJoin(path: string): string | undefined;
  signal(pid: number, signal: NodeJS.Signals): void;
}

/** Of a folder: its name, and its own `.`; file systems that do not count have 1 and are no control groups. */
const FEWEST_LINKS = 2;

export const kernelFiles: CgroupFiles = {
  read(path) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return undefined;
    }
  },
  write: (path, text) => writeFileSync(path, text, { flag: 'r+' }),
  make(path) {
    try {
      mkdirSync(path, { mode: 0o755 });
      return true;
    } catch (error) {
      if ((error as { code?: string }).code === 'EEXIST' && statSync(path).isDirectory()) return false;
      throw error;
    }
  },
  remove: (path) => rmdirSync(path),
  folders(path) {
    try {
      // A folder of the kernel has a link for each folder in it: a group without groups need not be read, with its forty files.
      if (statSync(path).nlink <= FEWEST_LINKS) return [];
      return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
    } catch {
      return [];
    }
  },
  whyNotJoin(path) {
    const { status, stderr, error } = spawnSync('/bin/sh', ['-c', 'echo 0 > "$1"', 'sh', path], { encoding: 'utf8' });
    return status === 0 ? undefined : error === undefined ? stderr.trim() : error.message;
  },
  signal(pid, signal) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has died meanwhile, or is not ours to signal: then it stays in the group and is told as left.
    }
  },
};

/** A number in a file of its own, or behind a word in a table of them; `undefined` for none, and for "max". */
export function numberIn(text: string | undefined, word?: string): number | undefined {
  const line = word === undefined ? text : text?.split('\n').find((row) => row.startsWith(`${word} `));
  const value = line?.trim().split(' ').at(-1);
  return value === undefined || !/^\d+$/.test(value) ? undefined : Number(value);
}

/**
 * Processes of a group and of all groups in it. Left out: 0, which stands for one of a pid namespace that we cannot see (a signal to 0 would hit
 * ourselves), and the agent.
 */
export function processesIn(files: CgroupFiles, group: string): number[] {
  return groupsIn(files, group).flatMap((one) =>
    (files.read(`${one}/cgroup.procs`) ?? '')
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 1 && pid !== process.pid),
  );
}

/** A group and all groups in it, which a task may have made, the innermost first. */
export const groupsIn = (files: CgroupFiles, group: string): string[] => [
  ...files.folders(group).flatMap((name) => groupsIn(files, `${group}/${name}`)),
  group,
];

/** Writes where it may be that the kernel is too old for the file. */
export function tryWrite(files: CgroupFiles, path: string, text: string): boolean {
  try {
    files.write(path, text);
    return true;
  } catch {
    return false;
  }
}

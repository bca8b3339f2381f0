/** Which control groups this machine has, and which of them an agent may use. Rules: CGR-1 to CGR-3. */
import { dirname, posix } from 'node:path';
import type { Log } from '../ports.js';
import type { CgroupFiles } from './cgroup-files.js';
import type { Hierarchy } from './cgroups.js';
import { CgroupsV1 } from './cgroups-v1.js';
import { CgroupsV2 } from './cgroups-v2.js';

export interface Place {
  /** Folder in each hierarchy, from its mount on; by default the top, or else where the agent's own group is. */
  readonly parent: string | undefined;
  /** Folder of this agent in it. */
  readonly agent: string;
}

/** What limits rest on; the freezer only makes killing certain. */
const LIMITING = ['memory', 'cpu', 'pids'];
const WANTED = [...LIMITING, 'freezer'];
/** Folder of all our agents' groups. */
const KERNEL_FOLDER = 'tepui';
const ENTER_TRIES = 5;
/** Not a name that a container's group can have. */
export const TRIAL = '=trial';

interface Mount {
  readonly path: string;
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
}

/** Opens what can be used, and says in one warning what cannot. */
export function openHierarchies(files: CgroupFiles, place: Place, log: Log): Hierarchy[] {
  const mounts = mountsOf(files.read('/proc/self/mountinfo') ?? '');
  const problems: string[] = [];
  const found: Hierarchy[] = [];
  const has = (controller: string): boolean => found.some(({ controllers }) => controllers.has(controller));
  // A controller is in one hierarchy at a time, which may be mounted in several places.
  for (const mount of mounts.filter(({ version }) => version === 1)) {
    const controllers = mount.controllers.filter((name) => WANTED.includes(name) && !has(name));
    const folder = controllers.length === 0 ? undefined : openFolder(files, mount, place, [], problems);
    if (folder !== undefined) found.push(new CgroupsV1(folder.path, new Set(controllers), files));
  }
  for (const mount of mounts.filter(({ version }) => version === 2).slice(0, 1)) {
    const wanted = LIMITING.filter((name) => !has(name));
    const folder = openFolder(files, mount, place, wanted, problems);
    if (folder !== undefined) found.push(new CgroupsV2(folder.path, new Set(folder.controllers), files));
  }
  const missing = LIMITING.filter((name) => !has(name));
  if (missing.length > 0)
    log.write('warn', 'Containers are not limited in all that they may use', {
      missing,
      because: problems.length > 0 ? problems : 'this machine has no such control groups',
    });
  return found;
}

/** Hierarchies as `/proc/self/mountinfo` tells them, where spaces and the like are written as octal numbers. */
function mountsOf(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line): Mount[] => {
    const [before = '', after = ''] = line.split(' - ');
    const [type, , options = ''] = after.split(' ');
    const path = before
      .split(' ')[4]
      ?.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (path === undefined) return [];
    if (type === 'cgroup2') return [{ path, version: 2, controllers: [] }];
    return type === 'cgroup' ? [{ path, version: 1, controllers: options.split(',') }] : [];
  });
}

/** The agent's folder in a hierarchy, with the controllers that are handed down to it (of version 2), once a process has been in it. */
function openFolder(
  files: CgroupFiles,
  mount: Mount,
  place: Place,
  wanted: readonly string[],
  problems: string[],
): { path: string; controllers: string[] } | undefined {
  const own = ownGroup(files.read('/proc/self/cgroup') ?? '', mount);
  const parents = new Set(place.parent !== undefined ? [place.parent] : ['/', dirname(own)]);
  const refused: string[] = [];
  for (const parent of parents) {
    const below = [...parent.split('/'), KERNEL_FOLDER, place.agent].filter((name) => name !== '');
    const chain = below.reduce((paths, name) => [...paths, posix.join(paths.at(-1) ?? '', name)], [mount.path]);
    const entered = enter(files, chain, mount, wanted, problems);
    if (typeof entered !== 'string') return entered;
    refused.push(entered);
  }
  problems.push(...refused);
  return undefined;
}

/** Makes the folders of `chain` that are missing, and tries out the last; a text says why not, and nothing of it stays. */
function enter(
  files: CgroupFiles,
  chain: readonly string[],
  mount: Mount,
  wanted: readonly string[],
  problems: string[],
  tries = ENTER_TRIES,
): { path: string; controllers: string[] } | string {
  const path = chain.at(-1) ?? mount.path;
  const made: string[] = [];
  try {
    let controllers = [...wanted];
    for (const [level, folder] of chain.entries()) {
      if (level > 0 && files.make(folder)) made.unshift(folder);
      if (level > 0 && mount.controllers.includes('memory')) accountWithin(files, folder);
      controllers = controllers.filter((name) => handDown(files, folder, name, problems));
    }
    tryOut(files, path);
    return { path, controllers };
  } catch (error) {
    for (const folder of made) removeQuietly(files, folder);
    // Another agent that ended has just removed the folder of all.
    if ((error as { code?: string }).code === 'ENOENT' && tries > 1)
      return enter(files, chain, mount, wanted, problems, tries - 1);
    return error instanceof Error ? error.message : String(error);
  }
}

/** What is in it counts for it too: before there are groups in it, or not at all. Since Linux 5.11 there is nothing else. */
function accountWithin(files: CgroupFiles, folder: string): void {
  if (files.read(`${folder}/memory.use_hierarchy`)?.trim() === '0') files.write(`${folder}/memory.use_hierarchy`, '1');
}

/** Handed down by then, or now. */
function handDown(files: CgroupFiles, path: string, controller: string, problems: string[]): boolean {
  const file = `${path}/cgroup.subtree_control`;
  const list = (): string[] => (files.read(file) ?? '').trim().split(' ');
  if (list().includes(controller)) return true;
  try {
    files.write(file, `+${controller}`);
  } catch (error) {
    problems.push(`${controller}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return list().includes(controller);
}

/** Whoever may make a group may not always move a process into it, and then no container would start. @throws Error */
function tryOut(files: CgroupFiles, folder: string): void {
  const group = `${folder}/${TRIAL}`;
  files.make(group);
  try {
    const why =
      files.read(`${group}/cgroup.procs`) === undefined
        ? 'no control group'
        : files.whyNotJoin(`${group}/cgroup.procs`);
    if (why !== undefined) throw new Error(`${folder}: ${why}`);
  } finally {
    removeQuietly(files, group);
  }
}

function removeQuietly(files: CgroupFiles, path: string): void {
  try {
    files.remove(path);
  } catch {
    // Somebody else's by now, or its last process is about to go: an empty group costs nothing.
  }
}

/** The agent's own group in the hierarchy, from its mount on. */
function ownGroup(cgroup: string, { version, controllers }: Mount): string {
  for (const line of cgroup.split('\n')) {
    const [, names = '', ...path] = line.split(':');
    const isIt =
      version === 2 ? names === '' : names.split(',').some((name) => name !== '' && controllers.includes(name));
    if (isIt && path.length > 0) return path.join(':');
  }
  return '/';
}

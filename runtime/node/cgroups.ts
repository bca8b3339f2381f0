/**
 * The isolator on control groups, version 1, 2 or both: `<mount>/<parent>/tepui/<agent>/<container>` in each hierarchy that can be used. The
 * agent and whatever waits for a container stay outside. Rules: CGR-1 to CGR-9.
 */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ContainerLimits, ContainerSpec } from '../../actors/effect.js';
import type { ContainerLimitation } from '../../actors/events.js';
import { escapeToken, unescapeToken } from '../../protocol/ids.js';
import type { Log } from '../ports.js';
import { groupsIn, kernelFiles, processesIn, type CgroupFiles } from './cgroup-files.js';
import { openHierarchies, TRIAL } from './cgroup-hierarchies.js';
import type { Isolator } from './isolator.js';

/** What a container used of its memory, and whether the kernel killed for it. */
export interface MemoryUse {
  readonly limitBytes: number;
  readonly highestBytes: number | undefined;
  readonly killedForLimit: boolean;
}

/** A tree of groups with some controllers. `group` is the absolute path of a container's. */
export interface Hierarchy {
  /** Absolute path of the agent's folder. */
  readonly folder: string;
  readonly controllers: ReadonlySet<string>;
  /** @throws Error with the kernel's `code` */
  limit(group: string, cpus: number | undefined, limits: ContainerLimits): void;
  /** Kills all of it if the kernel can do so in one go; else nothing, and `false`. */
  killAtOnce(group: string): boolean;
  freeze(group: string): void;
  thaw(group: string): void;
  /** `undefined` when its memory is not limited here. */
  memoryUse(group: string): MemoryUse | undefined;
}

export interface IsolatorSettings {
  /** The agent's name. */
  readonly agent: string;
  /** The agent's own folder, which tells it from agents of the same name on this machine. */
  readonly runtimeFolder: string;
  /** Folder in each hierarchy; by default the top, or beside the agent's own group where that is all it may use. */
  readonly parent?: string | undefined;
  readonly log: Log;
  readonly files?: CgroupFiles;
  /** How long it tries to kill, and to remove. */
  readonly patienceMs?: number;
}

/** Longest name of a file. */
const MOST_NAME_BYTES = 255;
/** Name of the groups of a container whose id is too long; none that is written by escaping. */
const SHORTENED = /^=\.[0-9a-f]{64}$/;
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;
/** Also when this process was stopped meanwhile, and all the time is up before the second look. */
const FEWEST_ROUNDS = 8;
/** What has not died by then waits for a broken disk, and may do so for ever. */
const PATIENCE_MS = 10_000;

/** `undefined` when this machine has no control groups that can be used: then containers have no limits, and trees are found by other signs. */
export function openIsolator(settings: IsolatorSettings): Isolator | undefined {
  const { agent, runtimeFolder, parent, log, files = kernelFiles, patienceMs = PATIENCE_MS } = settings;
  // Unlike its path it is the same in every namespace.
  const { dev, ino } = statSync(runtimeFolder);
  const folder = nameOf(`${agent}-${dev.toString(36)}-${ino.toString(36)}`);
  const hierarchies = openHierarchies(files, { parent, agent: folder }, log);
  return hierarchies.length === 0 ? undefined : new CgroupIsolator(hierarchies, files, log, patienceMs);
}

class CgroupIsolator implements Isolator {
  readonly #hierarchies: readonly Hierarchy[];
  readonly #files: CgroupFiles;
  readonly #log: Log;
  readonly #patienceMs: number;
  /** Whoever waits for a container to be empty, by the name of its groups. */
  readonly #killing = new Map<string, ((left: readonly number[]) => void)[]>();
  /** Removals that wait for something to die, by the name of the groups. */
  readonly #removing = new Map<string, NodeJS.Timeout>();

  constructor(hierarchies: readonly Hierarchy[], files: CgroupFiles, log: Log, patienceMs: number) {
    this.#hierarchies = hierarchies;
    this.#files = files;
    this.#log = log;
    this.#patienceMs = patienceMs;
    // 1. An earlier life freezes a container to kill it. 2. It dies. 3. Nobody would ever thaw it: not even its own end would come.
    for (const name of this.#names()) for (const [hierarchy, group] of this.#groupsOf(name)) hierarchy.thaw(group);
  }

  prepare({ containerId, cpus, limits = {} }: Pick<ContainerSpec, 'containerId' | 'cpus' | 'limits'>): string[] {
    const name = nameOf(containerId);
    const groups = this.#groupsOf(name);
    // They are to stay now.
    clearTimeout(this.#removing.get(name));
    this.#removing.delete(name);
    const made: string[] = [];
    try {
      for (const [hierarchy, group] of groups) {
        // Of an earlier life; the counts in it are not this one's.
        if (!this.#files.make(group)) {
          removeAll(this.#files, group);
          this.#files.make(group);
        }
        made.push(group);
        hierarchy.limit(group, cpus, limits);
      }
    } catch (error) {
      for (const group of made) this.#files.remove(group);
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`the control groups of ${containerId} cannot be made: ${why}`, { cause: error });
    }
    return groups.map(([, group]) => `${group}/cgroup.procs`);
  }

  processes(containerId: string): number[] {
    return this.#processes(nameOf(containerId));
  }

  kill(containerId: string, onEmpty: (left: readonly number[]) => void): void {
    const name = nameOf(containerId);
    const waiting = this.#killing.get(name);
    if (waiting !== undefined) {
      waiting.push(onEmpty);
      return;
    }
    this.#killing.set(name, [onEmpty]);
    if (this.#processes(name).length === 0) setImmediate(() => this.#emptied(name, []));
    else this.#killRound(name, 0, performance.now() + this.#patienceMs);
  }

  limitation(containerId: string): ContainerLimitation | undefined {
    for (const [hierarchy, group] of this.#groupsOf(nameOf(containerId))) {
      const use = hierarchy.memoryUse(group);
      if (use?.killedForLimit !== true) continue;
      const highest =
        use.highestBytes === undefined ? '' : `; highest use ${mebibytes(use.highestBytes).toFixed(1)} MiB`;
      const message = `Memory limit of ${Number(mebibytes(use.limitBytes).toFixed(2))} MiB exceeded${highest}`;
      return { reason: 'REASON_CONTAINER_LIMITATION_MEMORY', message };
    }
    return undefined;
  }

  cleanup(containerId: string): void {
    const name = nameOf(containerId);
    if (!this.#removing.has(name)) this.#remove(name, 0, performance.now() + this.#patienceMs);
  }

  close(): void {
    for (const { folder } of this.#hierarchies) {
      try {
        this.#files.remove(folder);
        this.#files.remove(dirname(folder));
      } catch {
        // Something is in it, for a later life to find, or other agents are there.
      }
    }
  }

  strays(known: Iterable<string>): string[] {
    const names = new Set([...known].map(nameOf));
    return this.#names().flatMap((name) => (names.has(name) ? [] : [unescapeToken(name) ?? name]));
  }

  /** First in one go, where the kernel can; what is left then, and everywhere else: stop, kill, go on, for as long as something is there. */
  #killRound(name: string, round: number, untilMs: number): void {
    const groups = this.#groupsOf(name);
    const atOnce = groups.map(([hierarchy, group]) => hierarchy.killAtOnce(group)).includes(true);
    if (!atOnce || round > 0) {
      for (const [hierarchy, group] of groups) hierarchy.freeze(group);
      for (const pid of this.#processes(name)) this.#files.signal(pid, 'SIGKILL');
      for (const [hierarchy, group] of groups) hierarchy.thaw(group);
    }
    const look = (): void => {
      const left = this.#processes(name);
      if (left.length > 0 && isEarly(round, untilMs)) return this.#killRound(name, round + 1, untilMs);
      if (left.length > 0)
        this.#log.write('error', 'Processes of a container cannot be killed', { container: name, pids: left });
      this.#emptied(name, left);
    };
    if (round === 0) setImmediate(look);
    else setTimeout(look, pauseMs(round));
  }

  #remove(name: string, round: number, untilMs: number): void {
    this.#removing.delete(name);
    try {
      for (const [, group] of this.#groupsOf(name)) removeAll(this.#files, group);
    } catch (error) {
      if (isEarly(round, untilMs)) {
        // A process is gone from its group's list a moment before the group can be.
        const again = setTimeout(() => this.#remove(name, round + 1, untilMs), pauseMs(round));
        this.#removing.set(name, again.unref());
      } else
        this.#log.write('warn', 'Groups of a container cannot be removed', { container: name, error: String(error) });
    }
  }

  #processes(name: string): number[] {
    return [...new Set(this.#groupsOf(name).flatMap(([, group]) => processesIn(this.#files, group)))];
  }

  #groupsOf(name: string): [Hierarchy, string][] {
    return this.#hierarchies.map((hierarchy) => [hierarchy, `${hierarchy.folder}/${name}`]);
  }

  #names(): string[] {
    const names = new Set(this.#hierarchies.flatMap(({ folder }) => this.#files.folders(folder)));
    names.delete(TRIAL);
    return [...names].sort();
  }

  #emptied(name: string, left: readonly number[]): void {
    const waiting = this.#killing.get(name) ?? [];
    this.#killing.delete(name);
    for (const onEmpty of waiting) {
      try {
        onEmpty(left);
      } catch (error) {
        const text = error instanceof Error ? error.stack : String(error);
        this.#log.write('error', 'A callback for a container threw', { container: name, error: text });
      }
    }
  }
}

/** Name of a container's groups. Of a shortened name, itself: what is found of an earlier life may have no other. */
function nameOf(containerId: string): string {
  if (SHORTENED.test(containerId)) return containerId;
  const name = escapeToken(containerId);
  if (name.length <= MOST_NAME_BYTES) return name;
  return `=.${createHash('sha256').update(containerId).digest('hex')}`;
}

/** A group with those in it. What is not there is no error. @throws Error with the kernel's `code` */
function removeAll(files: CgroupFiles, group: string): void {
  for (const one of groupsIn(files, group)) {
    try {
      files.remove(one);
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOENT') throw error;
    }
  }
}

const isEarly = (round: number, untilMs: number): boolean => round < FEWEST_ROUNDS || performance.now() < untilMs;

const pauseMs = (round: number): number => Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(round, 10));

const mebibytes = (bytes: number): number => bytes / 2 ** 20;

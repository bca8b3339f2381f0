/** Control groups of version 2: one hierarchy, whose controllers are handed down from group to group. Rules: CGR-4 to CGR-7. */
import type { ContainerLimits } from '../../actors/effect.js';
import { groupsIn, numberIn, tryWrite, type CgroupFiles } from './cgroup-files.js';
import type { Hierarchy, MemoryUse } from './cgroups.js';

/** Of one cpu; it is also what a group has that nobody gave a weight. */
const WEIGHT_PER_CPU = 100;
const [LEAST_WEIGHT, MOST_WEIGHT] = [1, 10_000];
const QUOTA_PERIOD_US = 100_000;
const SMALLEST_QUOTA_US = 1_000;

export class CgroupsV2 implements Hierarchy {
  readonly #files: CgroupFiles;

  constructor(
    readonly folder: string,
    readonly controllers: ReadonlySet<string>,
    files: CgroupFiles,
  ) {
    this.#files = files;
  }

  limit(group: string, cpus: number | undefined, limits: ContainerLimits): void {
    const write = (file: string, value: string): void => this.#files.write(`${group}/${file}`, value);
    if (this.controllers.has('cpu')) {
      if (cpus !== undefined)
        write('cpu.weight', `${Math.min(MOST_WEIGHT, Math.max(LEAST_WEIGHT, Math.round(cpus * WEIGHT_PER_CPU)))}`);
      if (limits.cpus !== undefined) {
        const quotaUs = Math.max(SMALLEST_QUOTA_US, Math.round(limits.cpus * QUOTA_PERIOD_US));
        write('cpu.max', `${quotaUs} ${QUOTA_PERIOD_US}`);
      }
    }
    if (this.controllers.has('memory') && limits.memoryBytes !== undefined) {
      write('memory.max', `${limits.memoryBytes}`);
      if (this.#files.read(`${group}/memory.swap.max`) !== undefined) write('memory.swap.max', '0');
      // Half a container is of no use: when one of its processes is killed for memory, all are. Not before Linux 4.19.
      tryWrite(this.#files, `${group}/memory.oom.group`, '1');
    }
    if (this.controllers.has('pids') && limits.pids !== undefined) write('pids.max', `${limits.pids}`);
  }

  /** Since Linux 5.14: all of it and of the groups in it, whatever forks meanwhile. */
  killAtOnce(group: string): boolean {
    return tryWrite(this.#files, `${group}/cgroup.kill`, '1');
  }

  freeze(group: string): void {
    if (this.controllers.has('pids')) tryWrite(this.#files, `${group}/pids.max`, '0');
    tryWrite(this.#files, `${group}/cgroup.freeze`, '1');
  }

  thaw(group: string): void {
    for (const one of groupsIn(this.#files, group).reverse())
      if (this.#files.read(`${one}/cgroup.freeze`)?.trim() === '1') tryWrite(this.#files, `${one}/cgroup.freeze`, '0');
  }

  /** The counts of the groups in it are part of its own. */
  memoryUse(group: string): MemoryUse | undefined {
    if (!this.controllers.has('memory')) return undefined;
    const limitBytes = numberIn(this.#files.read(`${group}/memory.max`));
    if (limitBytes === undefined) return undefined;
    const events = this.#files.read(`${group}/memory.events`);
    // Without an `oom` of its own it was the whole machine that ran out of memory.
    const killedForLimit = (numberIn(events, 'oom_kill') ?? 0) > 0 && (numberIn(events, 'oom') ?? 0) > 0;
    return { limitBytes, highestBytes: numberIn(this.#files.read(`${group}/memory.peak`)), killedForLimit };
  }
}

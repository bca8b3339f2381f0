/** Control groups of version 1: a hierarchy for each controller, or for a few that are mounted together. Rules: CGR-4 to CGR-7. */
import type { ContainerLimits } from '../../actors/effect.js';
import { groupsIn, numberIn, tryWrite, type CgroupFiles } from './cgroup-files.js';
import type { Hierarchy, MemoryUse } from './cgroups.js';

/** Of one cpu, as Mesos counts. */
const SHARES_PER_CPU = 1024;
const [FEWEST_SHARES, MOST_SHARES] = [2, 262_144];
const QUOTA_PERIOD_US = 100_000;
const SMALLEST_QUOTA_US = 1_000;
/** Of the sizes that are charged at a time: so much below the limit there may be no more room. */
const LARGEST_PAGE_BYTES = 64 * 1024;
/** A limit from here on is what the kernel writes for none. */
const NO_LIMIT_BYTES = 2 ** 60;

export class CgroupsV1 implements Hierarchy {
  readonly #files: CgroupFiles;

  constructor(
    readonly folder: string,
    readonly controllers: ReadonlySet<string>,
    files: CgroupFiles,
  ) {
    this.#files = files;
  }

  limit(group: string, cpus: number | undefined, limits: ContainerLimits): void {
    const write = (file: string, value: number): void => this.#files.write(`${group}/${file}`, String(value));
    if (this.controllers.has('cpu')) {
      if (cpus !== undefined)
        write('cpu.shares', Math.min(MOST_SHARES, Math.max(FEWEST_SHARES, Math.round(cpus * SHARES_PER_CPU))));
      if (limits.cpus !== undefined) {
        write('cpu.cfs_period_us', QUOTA_PERIOD_US);
        write('cpu.cfs_quota_us', Math.max(SMALLEST_QUOTA_US, Math.round(limits.cpus * QUOTA_PERIOD_US)));
      }
    }
    if (this.controllers.has('memory') && limits.memoryBytes !== undefined) {
      write('memory.limit_in_bytes', limits.memoryBytes);
      // With swap the sum is limited, and may not be below the first; some kernels do not count swap.
      if (this.#files.read(`${group}/memory.memsw.limit_in_bytes`) !== undefined)
        write('memory.memsw.limit_in_bytes', limits.memoryBytes);
    }
    if (this.controllers.has('pids') && limits.pids !== undefined) write('pids.max', limits.pids);
  }

  killAtOnce(): boolean {
    return false;
  }

  /** Nothing forks any more: no new processes are allowed, and those that are there stop where they are. */
  freeze(group: string): void {
    if (this.controllers.has('pids')) tryWrite(this.#files, `${group}/pids.max`, '0');
    if (this.controllers.has('freezer')) tryWrite(this.#files, `${group}/freezer.state`, 'FROZEN');
  }

  thaw(group: string): void {
    if (!this.controllers.has('freezer')) return;
    // From the outside to the inside: a group thaws only in a thawed one.
    for (const one of groupsIn(this.#files, group).reverse())
      if (this.#files.read(`${one}/freezer.state`)?.trim() !== 'THAWED')
        tryWrite(this.#files, `${one}/freezer.state`, 'THAWED');
  }

  /** The kernel counts a kill where its victim was: in a group of the container's own making, too. */
  memoryUse(group: string): MemoryUse | undefined {
    if (!this.controllers.has('memory')) return undefined;
    const read = (file: string): number | undefined => numberIn(this.#files.read(`${group}/${file}`));
    const limitBytes = read('memory.limit_in_bytes');
    const highestBytes = read('memory.max_usage_in_bytes');
    if (limitBytes === undefined || limitBytes >= NO_LIMIT_BYTES) return undefined;
    const failures = (read('memory.failcnt') ?? 0) + (read('memory.memsw.failcnt') ?? 0);
    // There are kernels that no longer count failures, so the highest use has to do. If neither is so it was the whole machine that ran out.
    const wasReached = failures > 0 || (highestBytes ?? 0) >= limitBytes - LARGEST_PAGE_BYTES;
    const kills = groupsIn(this.#files, group).map((one) =>
      numberIn(this.#files.read(`${one}/memory.oom_control`), 'oom_kill'),
    );
    // Kernels before 4.13 count no kills. That the limit was reached is then all there is to see.
    const killed = kills.at(-1) === undefined || kills.some((count) => (count ?? 0) > 0);
    return { limitBytes, highestBytes, killedForLimit: killed && wasReached };
  }
}

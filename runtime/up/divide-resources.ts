/** The machine's resources, divided among the agents on it. Rule: UP-4. */
import { Resources } from '../../protocol/resources.js';
import type { Range } from '../../protocol/resource.js';

/** What the machine has. */
export interface Machine {
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Free on the disk of the cluster's folder. */
  readonly diskMiB: number;
}

/** Ports that agents give to tasks; Mesos' own range. */
const PORTS: Range = { begin: 31_000, end: 32_000 };
/** The rest is for everything else on the machine: a quarter of the memory and of the disk. */
const SHARE = 3 / 4;

const thousandths = (amount: number): number => Math.floor(amount * 1_000) / 1_000;

/** Disjoint parts of the port range, one for each agent. */
export function dividePorts(agents: number): Range[] {
  const each = Math.floor((PORTS.end - PORTS.begin + 1) / agents);
  return Array.from({ length: agents }, (_, i) => {
    const begin = PORTS.begin + i * each;
    return { begin, end: begin + each - 1 };
  });
}

/**
 * One text per agent. Agent i gets `stated[i]`, the last of them for those after it, and without any an equal part of the machine. What
 * states no ports gets its part of the range. @throws ParseError
 */
export function divideResources(machine: Machine, agents: number, stated: readonly string[] = []): string[] {
  return dividePorts(agents).map(({ begin, end }, i) => {
    const own = stated[Math.min(i, stated.length - 1)];
    const cpus = thousandths(machine.cpus / agents);
    const mem = Math.floor((machine.memoryMiB * SHARE) / agents);
    const disk = Math.floor((machine.diskMiB * SHARE) / agents);
    const base = Resources.parse(own ?? `cpus:${cpus};mem:${mem};disk:${disk}`);
    const ports = base.ranges('ports').length > 0 ? '' : `; ports:[${begin}-${end}]`;
    return `${base.toString()}${ports}`;
  });
}

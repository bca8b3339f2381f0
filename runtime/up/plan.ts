/** What `up` is asked for, and the configurations of the processes that follow from it. Rules: UP-1, UP-4, UP-8. */
import { statfsSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { DEFAULT_TIMINGS, type Timings } from '../../protocol/limits.js';
import { executorPrincipal } from '../../protocol/subjects.js';
import type { ProcessConfig } from '../process-config.js';
import { divideResources, type Machine } from './divide-resources.js';
import { credentialsFile, processFile, workFolder, type ClusterLayout } from './layout.js';

export interface UpOptions {
  readonly dir: string;
  readonly cluster: string;
  readonly masters: number;
  readonly agents: number;
  /** A server that runs already, with a login that may do everything; else one is started. */
  readonly natsUrl?: string | undefined;
  /** Servers to start, 1 or 3; undefined: what the folder has, or one. */
  readonly natsServers?: number | undefined;
  /** Port of the server that is started, of several the first; 0: a free one. */
  readonly port: number;
  /** Copies of each bucket; undefined: one on each server that is started, else what the buckets have, or one. */
  readonly replicas?: number | undefined;
  readonly timings: Partial<Timings>;
  /** Resources of the agents in Mesos' text form, the last for all that follow; none: the machine's, divided. */
  readonly resources: readonly string[];
  readonly logLevel?: string | undefined;
  /** One line of progress, or of news while it runs. */
  readonly report: (line: string) => void;
}

/** As measured, they take 11 MiB off each process; the young generation of an actor is small. */
export const NODE_FLAGS = ['--max-semi-space-size=1', '--optimize-for-size'];
const PROCESS_ENTRY = fileURLToPath(new URL('../main.js', import.meta.url));

export const masterNames = ({ masters }: Pick<UpOptions, 'masters'>): string[] =>
  Array.from({ length: masters }, (_, i) => `m${i + 1}`);
export const agentNames = ({ agents }: Pick<UpOptions, 'agents'>): string[] =>
  Array.from({ length: agents }, (_, i) => `a${i + 1}`);

/** This machine; what is free on the disk of `dir`. */
export function thisMachine(dir: string): Machine {
  const disk = statfsSync(dir);
  return {
    cpus: availableParallelism(),
    memoryMiB: totalmem() / 2 ** 20,
    diskMiB: (disk.bavail * disk.bsize) / 2 ** 20,
  };
}

/** Writes the configuration of each process. @throws ParseError for resources that cannot be read */
export function writeProcessConfigs(layout: ClusterLayout, options: UpOptions, taskUser?: string): void {
  const { cluster, timings, logLevel } = options;
  const base = (name: string) => ({
    name,
    cluster,
    credentials: credentialsFile(layout, name),
    timings,
    ...(logLevel !== undefined && { logLevel }),
  });
  const configs: ProcessConfig[] = masterNames(options).map((name) => ({ role: 'master', ...base(name) }));
  const resources = divideResources(thisMachine(layout.dir), options.agents, options.resources);
  for (const [i, name] of agentNames(options).entries()) {
    // The attribute tells schedulers which agent is which: all have the hostname of this machine.
    const own = {
      workDir: workFolder(layout, name),
      resources: resources[i] ?? '',
      attributes: `name:${name}`,
      executors: { principal: executorPrincipal(name), credentials: credentialsFile(layout, executorPrincipal(name)) },
      ...(taskUser !== undefined && { taskUser }),
    };
    configs.push({ role: 'agent', ...base(name), ...own });
  }
  for (const config of configs)
    writeFileSync(processFile(layout, config.name), `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
}

/** How a master or an agent is started. */
export const processArgv = (layout: ClusterLayout, name: string): string[] => [
  process.execPath,
  ...NODE_FLAGS,
  PROCESS_ENTRY,
  processFile(layout, name),
];

/** For how long an agent may take to end: its tasks' grace twice, its own margin, and its last words. */
export function agentGraceMs(timings: Partial<Timings>): number {
  return 2 * (timings.killGraceMs ?? DEFAULT_TIMINGS.killGraceMs) + 6_000;
}

/** How a supervisor and a process of the cluster understand each other: configuration in, exit status out. */
import type { Timings } from '../protocol/limits.js';

/** What a process is told; written by `up`, or by hand. */
export interface ProcessConfig {
  readonly role: 'master' | 'agent';
  /** Its principal. */
  readonly name: string;
  readonly cluster: string;
  /** File with `{url, user, password}`. */
  readonly credentials: string;
  readonly logLevel?: string;
  readonly timings?: Partial<Timings>;
  /** Agents: the work directory, its resources and attributes in Mesos' text form. */
  readonly workDir?: string;
  readonly resources?: string;
  readonly attributes?: string;
  /** Agents: the user that executors of frameworks speak as, and the file with its `{url, user, password}`; without it their tasks fail. Rule: EXC-1. */
  readonly executors?: { readonly principal: string; readonly credentials: string };
  /** Agents: containers started at a time. */
  readonly maxStarting?: number;
  /** Agents: most processes and threads of one container, where control groups are usable; 4,096 unless it says otherwise. */
  readonly maxPids?: number;
  /** Agents run as root: the user of tasks that name none, by default `nobody`. Only where it is root may a task name root. Rule: PRC-10. */
  readonly taskUser?: string;
}

/**
 * Asks an agent to end its tasks, with their grace, before it ends itself; SIGTERM and SIGINT let them run on. Not SIGUSR1, on which Node opens
 * a debugger as long as nobody listens. Rule: PRC-4.
 */
export const END_TASKS_SIGNAL = 'SIGUSR2';

/** Exit statuses that a supervisor tells apart: 0 is meant, the others ask for a new start. */
export const EXIT = { stopped: 0, crashed: 70, unreachable: 69, steppedDown: 75 } as const;

/** What encloses a container besides its session: limits that the kernel keeps, and a group that nothing it starts can leave. Rules: CGR-1 to CGR-9. */
import type { ContainerSpec } from '../../actors/effect.js';
import type { ContainerLimitation } from '../../actors/events.js';

/** Groups of the containers of one agent. All functions take ids that are unknown, or whose container has ended, without harm. */
export interface Isolator {
  /**
   * Makes the container's groups, with its limits; what an earlier life left of them, empty, is replaced.
   * @returns the `cgroup.procs` files, each of which its main process writes `0` into before it becomes the task; a write that fails must
   * end it, for the groups may have been removed since
   * @throws Error that says what could not be done; nothing of it is left
   */
  prepare(spec: Pick<ContainerSpec, 'containerId' | 'cpus' | 'limits'>): string[];
  /** Pids of all that is in it now. */
  processes(containerId: string): number[];
  /**
   * Kills all that is in it, until it is empty. Not before its start has been ruled out: what joins later lives.
   * @param onEmpty called once, never synchronously; after 10 s with the pids that would not die
   */
  kill(containerId: string, onEmpty: (left: readonly number[]) => void): void;
  /** For which limit it was ended, if for one. To be read before {@link cleanup}. */
  limitation(containerId: string): ContainerLimitation | undefined;
  /** Removes its groups, later if something in them has still to die. Never throws. */
  cleanup(containerId: string): void;
  /** Containers that have groups, and are none of those given: left by an earlier life. An id may come in a shortened form, which all of these take. */
  strays(known: Iterable<string>): string[];
  /** At an orderly end, when all containers are cleaned up: removes the agent's own folders too. */
  close(): void;
}

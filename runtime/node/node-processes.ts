/**
 * The Processes port: a wrapper per container, forked by the agent, which lasts when the agent dies and writes down how the container ended.
 * Who forks is who holds the lock of the work directory. Rules: PRC-1, PRC-4, PRC-6 to PRC-9.
 */
import type { ContainerSpec } from '../../actors/effect.js';
import type { ContainerEnd, Log } from '../ports.js';
import { adoptRecords } from './adoption.js';
import { Containers, type Container, type NodeProcesses, type Step } from './containers.js';
import { Launches } from './launches.js';
import { openRunFolder } from './run-folder.js';
import { sandboxPath } from './container-start.js';
import { strayFiles } from './stray-files.js';
import type { Isolator } from './isolator.js';
import { DEFAULT_TASK_USER } from './task-user.js';
import { findTools, WRAPPER } from './wrapper.js';

const LONG_MS = 60_000;

export type { NodeProcesses } from './containers.js';

export interface NodeProcessesSettings {
  /** Absolute path of the folder that holds all sandboxes. */
  readonly sandboxFolder: string;
  /** The agent's own folder, outside every sandbox: records and claims are in it. One agent at a time. */
  readonly runtimeFolder: string;
  readonly log: Log;
  /** As whom an agent run as root starts tasks that name no user. */
  readonly taskUser?: string | undefined;
  /** Where there are groups that nothing can leave. */
  readonly isolator?: Isolator | undefined;
  /** For tests: the text of the wrapper with stops in it. */
  readonly wrapper?: string | undefined;
  /** For tests: called before each step of a launch is taken by the agent. */
  readonly onStep?: ((step: Step, containerId: string) => void) | undefined;
}

/** In a process that has called `closeStrayFiles` first of all, and has opened what it keeps open. @throws Error when a program is missing that every start needs */
export function nodeProcesses(settings: NodeProcessesSettings): NodeProcesses {
  return new WrappedProcesses(settings);
}

class WrappedProcesses implements NodeProcesses {
  readonly #settings: NodeProcessesSettings;
  readonly #tools = findTools();
  #containers: Containers | undefined;
  #launches: Launches | undefined;

  constructor(settings: NodeProcessesSettings) {
    this.#settings = settings;
  }

  adopt(
    specs: readonly ContainerSpec[],
    onStarted: (containerId: string, pid: number) => void,
    onEnded: (containerId: string, end: ContainerEnd) => void,
  ): void {
    if (this.#containers !== undefined) throw new Error('adopt was called twice');
    const {
      sandboxFolder,
      runtimeFolder,
      log,
      taskUser = DEFAULT_TASK_USER,
      isolator,
      wrapper,
      onStep,
    } = this.#settings;
    const wanted = specs.map((spec): Container => ({
      spec,
      sandbox: pathOrNothing(sandboxFolder, spec.sandbox),
      isAdopted: true,
      onStarted: (pid) => onStarted(spec.containerId, pid),
      onEnded: (end) => onEnded(spec.containerId, end),
    }));
    const folder = openRunFolder(
      runtimeFolder,
      wanted.map(({ spec, sandbox }) => ({ containerId: spec.containerId, sandbox })),
    );
    const containers = new Containers(folder, log, isolator);
    this.#containers = containers;
    this.#launches = new Launches({
      containers,
      tools: this.#tools,
      script: wrapper ?? WRAPPER,
      taskUser,
      isolator,
      stray: strayFiles(),
      onStep: onStep ?? (() => undefined),
    });
    adoptRecords(containers, wanted);
  }

  launch(spec: ContainerSpec, onStarted: (pid: number) => void, onEnded: (end: ContainerEnd) => void): void {
    const { containers, launches } = this.#open();
    const sandbox = pathOrNothing(this.#settings.sandboxFolder, spec.sandbox);
    const container: Container = { spec, sandbox, onStarted, onEnded };
    const refusal = containers.refusalOf(spec.containerId) ?? (sandbox === '' ? `${JSON.stringify(spec.sandbox)} is no sandbox` : undefined); // prettier-ignore
    if (refusal === undefined) return launches.launch(container);
    setImmediate(() => containers.call(container, () => onEnded({ launchError: refusal })));
  }

  signal(containerId: string, signal: 'SIGTERM' | 'SIGKILL'): void {
    const { containers, launches } = this.#open();
    const container = containers.get(containerId);
    if (container !== undefined && !launches.cancel(container, signal)) containers.signal(container, signal);
  }

  forget(containerId: string): void {
    this.#open().containers.forget(containerId);
  }

  stopAll(graceMs: number, done: () => void): void {
    if (this.#containers === undefined) return void setImmediate(done);
    const containers = this.#containers;
    const signalAll = (signal: 'SIGTERM' | 'SIGKILL'): void => {
      for (const containerId of containers.ids()) this.signal(containerId, signal);
    };
    const force = setTimeout(() => signalAll('SIGKILL'), graceMs);
    // Nothing else need keep this process until then.
    const wait = setInterval(() => undefined, LONG_MS);
    containers.refuseAll(() => {
      clearTimeout(force);
      clearInterval(wait);
      containers.close();
      done();
    });
    signalAll('SIGTERM');
  }

  detach(): void {
    this.#containers?.close();
  }

  #open(): { containers: Containers; launches: Launches } {
    if (this.#containers === undefined || this.#launches === undefined) throw new Error('adopt is to be called first');
    return { containers: this.#containers, launches: this.#launches };
  }
}

/** Ends all that agents of this folder have left, when there is no agent any more; resolves when nothing is left. */
export function endRecorded(
  settings: Pick<NodeProcessesSettings, 'runtimeFolder' | 'log' | 'isolator'>,
): Promise<void> {
  const processes = nodeProcesses({ ...settings, sandboxFolder: '/nonexistent' });
  const nothing = (): void => undefined;
  processes.adopt([], nothing, nothing);
  return new Promise((fulfil) =>
    processes.stopAll(0, () => {
      settings.isolator?.close();
      fulfil();
    }),
  );
}

/** Empty for what is no sandbox. */
function pathOrNothing(folder: string, sandbox: string): string {
  try {
    return sandboxPath(folder, sandbox);
  } catch {
    return '';
  }
}

/** The Processes port on `node:child_process`: containers are children of the agent and end with its orderly end. Rules: PRC-1, PRC-3, PRC-4, PRC-6. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerSpec } from '../../actors/effect.js';
import type { ContainerEnd, Log, Processes } from '../ports.js';
import { ContainerJournal, readJournal } from './container-journal.js';
import { closeOutputs, prepareSandbox, sandboxPath, startContainer, type PreparedSandbox } from './container-start.js';
import { bootId, processId } from './process-table.js';
import { strayFiles } from './stray-files.js';
import { TreeKeeper, type Tree } from './tree-keeper.js';

export interface NodeProcessesSettings {
  /** Absolute path of the folder that holds all sandboxes. */
  readonly sandboxFolder: string;
  /** The agent's own folder, outside every sandbox: the journal is in it. One agent at a time. */
  readonly runtimeFolder: string;
  readonly log: Log;
}

export interface NodeProcesses extends Processes {
  /**
   * Ends all containers: SIGTERM, and SIGKILL after `graceMs` to those that are left. `done` is called when the last end has been told, never
   * within the call. Nothing is started from now on.
   */
  stopAll(graceMs: number, done: () => void): void;
}

/** A container that an earlier life of this agent started, or was about to start. */
export interface RecoveredContainer {
  readonly containerId: string;
  /** As it was told then; `undefined` when it is not known how it ended. */
  readonly end: ContainerEnd | undefined;
}

const JOURNAL = 'containers.journal';
/** Sandboxes made at a time: more than the threads that make files are of no use. */
const MOST_PREPARING = 8;

interface Container {
  readonly spec: ContainerSpec;
  readonly onStarted: (pid: number) => void;
  readonly onEnded: (end: ContainerEnd) => void;
  /** Once it has started. */
  tree?: Tree;
  /** The signal that came before its start. */
  cancelledBy?: 'SIGTERM' | 'SIGKILL';
}

/** After {@link recoverContainers} of the same folder, and in a process that has called `closeStrayFiles` first of all. */
export function nodeProcesses(settings: NodeProcessesSettings): NodeProcesses {
  return new ChildProcesses(settings);
}

class ChildProcesses implements NodeProcesses {
  readonly #sandboxFolder: string;
  readonly #log: Log;
  readonly #journal: ContainerJournal;
  readonly #keeper: TreeKeeper;
  /** All whose end has not been told. */
  readonly #containers = new Map<string, Container>();
  /** Those of them that wait for their sandbox. */
  readonly #queue: Container[] = [];
  #preparing = 0;
  /** Those of them that wait for their start. */
  readonly #ready: { container: Container; sandbox: PreparedSandbox }[] = [];
  #starting = false;
  #onLastEnd: (() => void) | undefined;

  constructor({ sandboxFolder, runtimeFolder, log }: NodeProcessesSettings) {
    this.#sandboxFolder = sandboxFolder;
    this.#log = log;
    mkdirSync(runtimeFolder, { recursive: true, mode: 0o700 });
    this.#journal = new ContainerJournal(join(runtimeFolder, JOURNAL), bootId());
    this.#keeper = new TreeKeeper(log);
    const stray = strayFiles();
    if (stray.length > 0)
      log.write('warn', 'Tasks inherit open files that this process was started with', { files: stray });
  }

  launch(spec: ContainerSpec, onStarted: (pid: number) => void, onEnded: (end: ContainerEnd) => void): void {
    const container: Container = { spec, onStarted, onEnded };
    const refusal =
      this.#onLastEnd !== undefined
        ? 'the agent is about to end'
        : this.#containers.has(spec.containerId)
          ? `there is a container ${spec.containerId} already`
          : undefined;
    if (refusal !== undefined) {
      setImmediate(() => this.#call(container, () => onEnded({ launchError: refusal })));
      return;
    }
    this.#containers.set(spec.containerId, container);
    this.#queue.push(container);
    this.#prepareNext();
  }

  signal(containerId: string, signal: 'SIGTERM' | 'SIGKILL'): void {
    const container = this.#containers.get(containerId);
    if (container === undefined) return;
    if (container.tree !== undefined) {
      if (signal === 'SIGKILL') this.#keeper.kill(container.tree);
      else this.#keeper.terminate(container.tree);
      return;
    }
    // If its sandbox is being made its end is told when that is done: whoever hears of the end may remove the sandbox.
    container.cancelledBy = signal;
    const place = this.#queue.indexOf(container);
    if (place < 0) return;
    this.#queue.splice(place, 1);
    setImmediate(() => this.#tellEnd(container, { exitSignal: signal }));
  }

  stopAll(graceMs: number, done: () => void): void {
    if (this.#onLastEnd !== undefined) throw new Error('stopAll was called twice');
    const force = setTimeout(() => {
      for (const containerId of [...this.#containers.keys()]) this.signal(containerId, 'SIGKILL');
    }, graceMs);
    this.#onLastEnd = () => {
      clearTimeout(force);
      this.#journal.close();
      done();
    };
    if (this.#containers.size === 0) {
      setImmediate(this.#onLastEnd);
      return;
    }
    for (const containerId of [...this.#containers.keys()]) this.signal(containerId, 'SIGTERM');
  }

  #prepareNext(): void {
    while (this.#preparing < MOST_PREPARING) {
      const container = this.#queue.shift();
      if (container === undefined) return;
      this.#preparing += 1;
      void this.#prepare(container).then(() => {
        this.#preparing -= 1;
        this.#prepareNext();
      });
    }
  }

  /** Never rejects. */
  async #prepare(container: Container): Promise<void> {
    try {
      const path = sandboxPath(this.#sandboxFolder, container.spec.sandbox);
      const sandbox = await prepareSandbox(container.spec, path);
      this.#ready.push({ container, sandbox });
      this.#startNext();
    } catch (error) {
      this.#failStart(container, error);
    }
  }

  /** One start per turn of the event loop: it takes a millisecond or two, and 2,000 of them in a row would silence the agent for seconds. */
  #startNext(): void {
    if (this.#starting || this.#ready.length === 0) return;
    this.#starting = true;
    setImmediate(() => {
      this.#starting = false;
      const next = this.#ready.shift();
      if (next === undefined) return;
      const { container, sandbox } = next;
      if (container.cancelledBy === undefined) this.#start(container, sandbox);
      else this.#tellEnd(container, { exitSignal: container.cancelledBy });
      closeOutputs(sandbox);
      this.#startNext();
    });
  }

  #failStart(container: Container, error: unknown): void {
    const launchError = error instanceof Error ? error.message : String(error);
    // A sandbox outside of its folder is found out within the call of `launch`.
    setImmediate(() => this.#tellEnd(container, { launchError }));
  }

  #start(container: Container, sandbox: PreparedSandbox): void {
    const { containerId } = container.spec;
    let child;
    try {
      this.#journal.starting(containerId, sandbox.path);
      child = startContainer(container.spec, sandbox);
    } catch (error) {
      // Node throws part of what execve may say, and tells the rest by an event.
      return this.#failStart(container, error);
    }
    const { pid } = child;
    if (pid === undefined) {
      child.once('error', (error) => this.#failStart(container, error));
      return;
    }
    // Even if it has ended by now, it has not been collected: that happens in a later turn of the event loop.
    const leader = processId(pid);
    const tree: Tree = { containerId, sandbox: sandbox.path, leader: leader ?? { pid, startTicks: 0 } };
    container.tree = tree;
    this.#keeper.keep(tree);
    this.#record(() => leader && this.#journal.started(containerId, leader));
    child.on('error', (error) =>
      this.#log.write('warn', 'A container reports an error', { containerId, error: error.message }),
    );
    child.once('exit', (exitCode, exitSignal) => {
      const end: ContainerEnd = exitSignal === null ? { exitCode: exitCode ?? undefined } : { exitSignal };
      this.#keeper.leaderEnded(tree, () => this.#tellEnd(container, end));
    });
    this.#call(container, () => container.onStarted(pid));
  }

  #tellEnd(container: Container, end: ContainerEnd): void {
    const { containerId } = container.spec;
    this.#containers.delete(containerId);
    this.#record(() => this.#journal.ended(containerId, end));
    this.#call(container, () => container.onEnded(end));
    if (this.#containers.size === 0) this.#onLastEnd?.();
  }

  /** The container lives or has ended, whatever the disk says. What is not recorded, recovery finds by its environment. */
  #record(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#log.write('error', 'The journal of containers cannot be written', { error: String(error) });
    }
  }

  #call({ spec }: Container, callback: () => void): void {
    try {
      callback();
    } catch (error) {
      const text = error instanceof Error ? error.stack : String(error);
      this.#log.write('error', 'A callback for a container threw', { containerId: spec.containerId, error: text });
    }
  }
}

/**
 * Kills what an earlier life of this agent left running, and returns all containers of its journal, so that no launch of them is taken for
 * one that never started. To be called before {@link nodeProcesses}, by an agent that holds the lock of its folder. A process counts as left
 * when its pid and start are those of the journal, or its environment names a container of the journal and that container's sandbox.
 */
export async function recoverContainers(runtimeFolder: string, log: Log): Promise<RecoveredContainer[]> {
  const path = join(runtimeFolder, JOURNAL);
  const entries = readJournal(path);
  const unfinished = entries.filter(({ end }) => end === undefined);
  const boot = bootId();
  const keeper = new TreeKeeper(log);
  // After another start of the machine nothing of it runs, and its pids are others'.
  const running = unfinished.filter((entry) => entry.bootId === boot);
  await Promise.all(
    running.map(
      ({ containerId, sandbox, process: leader }) =>
        new Promise<void>((fulfil) => keeper.clear({ containerId, sandbox, leader }, fulfil)),
    ),
  );
  if (unfinished.length > 0) {
    const journal = new ContainerJournal(path, boot);
    // Not known how: the next recovery need not look for them.
    for (const { containerId } of unfinished) journal.ended(containerId, {});
    journal.close();
  }
  return entries.map(({ containerId, end }) => ({
    containerId,
    end: end && Object.keys(end).length > 0 ? end : undefined,
  }));
}

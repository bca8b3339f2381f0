/** The containers of one life of an agent, from their start or adoption until their end is told, and forgotten. Rules: PRC-4, PRC-5, PRC-7 to PRC-9. */
import type { ContainerSpec } from '../../actors/effect.js';
import type { ContainerEnd, Log, Processes } from '../ports.js';
import type { ExitRecord } from './exit-record.js';
import type { Isolator } from './isolator.js';
import { isAlive, processId, signalProcess, type ProcessId } from './process-table.js';
import { RecordWatcher } from './record-watcher.js';
import type { Attempt, RunFolder } from './run-folder.js';
import { TreeKeeper, type Tree } from './tree-keeper.js';
import { STATUS } from './wrapper.js';

export interface NodeProcesses extends Processes {
  /**
   * Ends all containers: SIGTERM, and SIGKILL after `graceMs` to those that are left. `done` is called when the last end has been told, never
   * within the call. Nothing is started from now on.
   */
  stopAll(graceMs: number, done: () => void): void;
  /** Lets go of all containers, which run on; nobody is told of anything any more. */
  detach(): void;
}

type Signal = 'SIGTERM' | 'SIGKILL';

/** Steps of a launch that the agent takes itself. */
export type Step = 'record' | 'fork' | 'forked';

export interface Container {
  readonly spec: ContainerSpec;
  /** Absolute. */
  readonly sandbox: string;
  readonly onStarted: (pid: number) => void;
  readonly onEnded: (end: ContainerEnd) => void;
  /** An earlier life was to start it. */
  readonly isAdopted?: boolean;
  /** Once it is recorded. */
  attempt?: Attempt;
  /** Once its wrapper was forked. */
  tree?: Tree;
  /** Its wrapper is a child of ours: then its exit is what tells of the end. */
  isChild?: boolean;
  /** That it started was told. */
  hasStarted?: boolean;
  /** Its end was seen, and is told once its tree is gone. */
  isEnding?: boolean;
  /** The signal that came before its start, which therefore never happens. */
  cancelledBy?: Signal;
  /** The signal that came while its wrapper was about to start it. */
  due?: Signal;
  /** It cannot leave its control groups: it is of another user than root. */
  isConfined?: boolean;
  /** Nobody wants to know its end: its wrapper may be killed too. */
  isUnwanted?: boolean;
}

/** An unwanted container's wrapper that has not ended by itself so long after its container was killed is killed, too. */
const WRAPPER_GRACE_MS = 3_000;

export class Containers {
  readonly #isolator: Isolator | undefined;
  readonly #keeper: TreeKeeper;
  readonly #watcher: RecordWatcher;
  /** All whose end has not been told. */
  readonly #containers = new Map<string, Container>();
  readonly #byFile = new Map<string, Container>();
  /** Records whose end was told, until it is forgotten. */
  readonly #told = new Map<string, Attempt>();
  #onLastEnd: (() => void) | undefined;
  #closed = false;

  constructor(
    readonly folder: RunFolder,
    readonly log: Log,
    isolator: Isolator | undefined,
  ) {
    this.#isolator = isolator;
    this.#keeper = new TreeKeeper(log);
    this.#watcher = new RecordWatcher({
      folder: folder.path,
      log,
      onChange: (file) => {
        const container = this.#byFile.get(file);
        if (container !== undefined) this.look(container);
      },
      pending: () => this.#pending(),
    });
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get(containerId: string): Container | undefined {
    return this.#containers.get(containerId);
  }

  ids(): string[] {
    return [...this.#containers.keys()];
  }

  /** Why a container of this id cannot be launched now. */
  refusalOf(containerId: string): string | undefined {
    if (this.#onLastEnd !== undefined || this.#closed) return 'the agent is about to end';
    if (this.#containers.has(containerId)) return `there is a container ${containerId} already`;
    return undefined;
  }

  add(container: Container): void {
    this.#containers.set(container.spec.containerId, container);
  }

  /** Its record is there. */
  recorded(container: Container, attempt: Attempt): void {
    container.attempt = attempt;
    this.#byFile.set(attempt.file, container);
  }

  /** Its wrapper was forked, by us just now, or by an earlier life. */
  wrapped(container: Container, wrapper: ProcessId | undefined, isChild: boolean): void {
    const { containerId } = container.spec;
    container.tree = { containerId, sandbox: container.sandbox, wrapper, leader: undefined };
    container.isChild = isChild;
    this.#keeper.keep(container.tree, isChild);
    if (container.due === 'SIGKILL') this.#kill(container.tree);
  }

  /** The start that was found is none, and its wrapper is gone. */
  unrecorded(container: Container): void {
    if (container.attempt === undefined) return;
    this.#byFile.delete(container.attempt.file);
    this.folder.remove(container.attempt, true);
    delete container.attempt;
  }

  /** Reads its record, after a sign of a change or without one. */
  look(container: Container): void {
    const { attempt, tree } = container;
    if (this.#closed || container.isEnding === true || attempt === undefined || tree === undefined) return;
    if (container.isChild === true) {
      if (container.hasStarted !== true) this.#tellStart(container, this.folder.read(attempt));
      return;
    }
    // First the wrapper, then the record: what it wrote before it ended is seen.
    const lives = tree.wrapper !== undefined && isAlive(tree.wrapper);
    const record = this.folder.read(attempt);
    this.#tellStart(container, record);
    if (record?.end !== undefined || !lives) this.#end(container, record, undefined);
  }

  /** A wrapper of ours has exited. */
  wrapperExited(container: Container, status: number | null): void {
    if (this.#closed || container.attempt === undefined) return;
    const record = this.folder.read(container.attempt);
    this.#tellStart(container, record);
    this.#end(container, record, status ?? undefined);
  }

  signal(container: Container, signal: Signal): void {
    const { tree } = container;
    if (tree?.leader === undefined && container.due !== 'SIGKILL') container.due = signal;
    if (tree === undefined) return;
    if (signal === 'SIGKILL') this.#kill(tree);
    else if (tree.leader !== undefined) this.#keeper.terminate(tree);
  }

  /** Kills what nobody wants to know of, with its wrapper if need be. */
  killUnwanted(container: Container): void {
    container.isUnwanted = true;
    this.signal(container, 'SIGKILL');
    setTimeout(() => {
      const { tree } = container;
      if (tree?.wrapper !== undefined && container.isEnding !== true) signalProcess(tree.wrapper, 'SIGKILL');
    }, WRAPPER_GRACE_MS).unref();
  }

  /** Tells the end of a container of which nothing is left. */
  tellEnd(container: Container, end: ContainerEnd): void {
    if (this.#closed) return;
    const { containerId } = container.spec;
    this.#containers.delete(containerId);
    if (container.attempt !== undefined) {
      this.#byFile.delete(container.attempt.file);
      this.#told.set(containerId, container.attempt);
    }
    this.#isolator?.cleanup(containerId);
    if (container.isUnwanted === true || end.launchError !== undefined) this.forget(containerId);
    this.call(container, () => container.onEnded(end));
    if (this.#containers.size === 0) this.#onLastEnd?.();
  }

  forget(containerId: string): void {
    const attempt = this.#told.get(containerId);
    if (attempt === undefined) return;
    this.#told.delete(containerId);
    try {
      this.folder.remove(attempt, true);
    } catch (error) {
      this.log.write('warn', 'The record of a container cannot be removed', { containerId, error: String(error) });
    }
  }

  /** Ends groups that earlier lives left behind. */
  endStrays(): void {
    const isolator = this.#isolator;
    for (const id of isolator?.strays(this.ids()) ?? []) isolator?.kill(id, () => isolator.cleanup(id));
  }

  /** Nothing is launched from now on; calls back, later, when nothing is left. */
  refuseAll(onLastEnd: () => void): void {
    if (this.#onLastEnd !== undefined) throw new Error('stopAll was called twice');
    this.#onLastEnd = onLastEnd;
    if (this.#containers.size === 0) setImmediate(onLastEnd);
  }

  close(): void {
    this.#closed = true;
    this.#watcher.close();
  }

  call({ spec }: Container, callback: () => void): void {
    if (this.#closed) return;
    try {
      callback();
    } catch (error) {
      const text = error instanceof Error ? error.stack : String(error);
      this.log.write('error', 'A callback for a container threw', { containerId: spec.containerId, error: text });
    }
  }

  *#pending(): Iterable<string> {
    for (const { attempt, isChild, hasStarted } of this.#containers.values())
      if (attempt !== undefined && !(isChild === true && hasStarted === true)) yield attempt.file;
  }

  #tellStart(container: Container, record: ExitRecord | undefined): void {
    const { tree } = container;
    const started = record?.started;
    if (started === undefined || tree === undefined || container.hasStarted === true) return;
    container.hasStarted = true;
    tree.leader = started;
    tree.leaderSeen = container.isChild === true || isAlive(started);
    this.call(container, () => container.onStarted(started.pid));
    if (container.due !== undefined) this.signal(container, container.due);
  }

  #kill(tree: Tree): void {
    // What joins its groups later lives: so they are killed once it has started, and by the search until then.
    if (tree.leader !== undefined) this.#isolator?.kill(tree.containerId, () => undefined);
    this.#keeper.kill(tree);
  }

  /** Its wrapper has ended: what is left of its tree dies, then its end is told. */
  #end(container: Container, record: ExitRecord | undefined, status: number | undefined): void {
    const tree = container.tree as Tree;
    const { containerId } = tree;
    container.isEnding = true;
    const end = endOf(container, record, status);
    const tell = (): void => {
      const limitation = end.exitCode === 0 ? undefined : this.#isolator?.limitation(containerId);
      this.tellEnd(container, limitation === undefined ? end : { ...end, limitation });
    };
    const search = (): void => this.#keeper.wrapperEnded(tree, tell);
    if (this.#isolator === undefined) search();
    else
      this.#isolator.kill(containerId, (left) => {
        // It wrote down its start when it was in its groups: then what is not there is nowhere.
        if (container.isConfined !== true || record?.started === undefined || left.length > 0) return search();
        this.#keeper.release(tree);
        tell();
      });
  }
}

/** What a wrapper that has ended has left behind means. `status`: its own, where it is known. */
function endOf(container: Container, record: ExitRecord | undefined, status: number | undefined): ContainerEnd {
  if (container.cancelledBy !== undefined) return { exitSignal: container.cancelledBy };
  if (record?.failed === true) return { launchError: 'it could not join its control groups' };
  if (record?.end !== undefined) return record.end;
  if (record?.started === undefined) {
    if (status === STATUS.system) return { launchError: 'the system refused to fork a process' };
    if (status === STATUS.identity || status === STATUS.refused)
      return { launchError: 'its claim could not be written, the disk may be full' };
  }
  return { lost: 'wrapper' };
}

/** Identity of a child that has not been collected. */
export const childId = (pid: number): ProcessId => processId(pid) ?? { pid, startTicks: 0 };

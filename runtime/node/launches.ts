/** From the call of `launch` to the fork of the wrapper, one container after the other. Rules: PRC-1, PRC-3, PRC-6. */
import { closeOutputs, prepareSandbox, startWrapper, type PreparedSandbox } from './container-start.js';
import { childId, type Container, type Containers, type Step } from './containers.js';
import type { Attempt } from './run-folder.js';
import type { Isolator } from './isolator.js';
import type { Tools } from './wrapper.js';

export interface LaunchSettings {
  readonly containers: Containers;
  readonly tools: Tools;
  readonly script: string;
  readonly taskUser: string;
  readonly isolator: Isolator | undefined;
  /** Open files that a child would inherit. */
  readonly stray: readonly number[];
  readonly onStep: (step: Step, containerId: string) => void;
}

export class Launches {
  readonly #settings: LaunchSettings;
  /** Those that wait for their start. */
  readonly #queue: Container[] = [];
  #starting = false;

  constructor(settings: LaunchSettings) {
    this.#settings = settings;
  }

  launch(container: Container): void {
    this.#settings.containers.add(container);
    this.#queue.push(container);
    this.#startNext();
  }

  /** Sees to it that a container does not start, if it is not too late. Its end is told as that of one that died of the signal. */
  cancel(container: Container, signal: 'SIGTERM' | 'SIGKILL'): boolean {
    const { containers } = this.#settings;
    const { attempt, tree } = container;
    if (container.isAdopted === true || container.isEnding === true || container.hasStarted === true) return false;
    if (tree !== undefined) {
      // Its wrapper finds the claim taken, and ends.
      if (attempt === undefined || !this.#claim(attempt)) return false;
      container.cancelledBy = signal;
      return true;
    }
    container.cancelledBy = signal;
    const place = this.#queue.indexOf(container);
    if (place < 0) return true;
    this.#queue.splice(place, 1);
    setImmediate(() => containers.tellEnd(container, { exitSignal: signal }));
    return true;
  }

  #claim(attempt: Attempt): boolean {
    try {
      return this.#settings.containers.folder.claimForAgent(attempt);
    } catch {
      // A full disk: then it is killed as soon as it has started.
      return false;
    }
  }

  /** One start per turn of the event loop: it takes a few milliseconds, and 2,000 of them in a row would silence the agent for seconds. */
  #startNext(): void {
    if (this.#starting || this.#queue.length === 0) return;
    this.#starting = true;
    setImmediate(() => {
      this.#starting = false;
      const container = this.#queue.shift();
      if (container !== undefined) this.#prepare(container);
      this.#startNext();
    });
  }

  #prepare(container: Container): void {
    const { containers, taskUser } = this.#settings;
    if (containers.isClosed) return;
    let sandbox: PreparedSandbox;
    try {
      sandbox = prepareSandbox(container.spec, container.sandbox, taskUser);
    } catch (error) {
      return this.#fail(container, error);
    }
    this.#start(container, sandbox);
    closeOutputs(sandbox);
  }

  #fail(container: Container, error: unknown): void {
    const launchError = error instanceof Error ? error.message : String(error);
    const { containers } = this.#settings;
    setImmediate(() =>
      containers.tellEnd(
        container,
        container.cancelledBy === undefined ? { launchError } : { exitSignal: container.cancelledBy },
      ),
    );
  }

  #start(container: Container, sandbox: PreparedSandbox): void {
    const { containers, tools, script, isolator, stray, onStep } = this.#settings;
    const { spec } = container;
    const { containerId } = spec;
    let child;
    try {
      onStep('record', containerId);
      const attempt = containers.folder.create(containerId, sandbox.path);
      containers.recorded(container, attempt);
      const joinPaths = isolator?.prepare(spec) ?? [];
      container.isConfined = isolator !== undefined && sandbox.user !== undefined;
      onStep('fork', containerId);
      child = startWrapper(spec, sandbox, { script, tools, attempt, joinPaths, stray });
    } catch (error) {
      // Node throws part of what execve may say, and tells the rest by an event.
      return this.#fail(container, error);
    }
    const { pid } = child;
    if (pid === undefined) {
      child.once('error', (error) => this.#fail(container, error));
      return;
    }
    onStep('forked', containerId);
    // Even if it has ended by now, it has not been collected: that happens in a later turn of the event loop.
    containers.wrapped(container, childId(pid), true);
    child.on('error', (error) =>
      containers.log.write('warn', 'A wrapper reports an error', { containerId, error: error.message }),
    );
    child.once('exit', (status) => containers.wrapperExited(container, status));
    // It may outlive us.
    child.unref();
  }
}

/** The containers of one agent's machine, which do what their environment says. Rules: SIM-10, SIM-11. */
import type { ContainerSpec } from '../../actors/effect.js';
import type { ContainerEnd, Processes, Timer } from '../ports.js';
import { readScript, type Script } from './script.js';
import type { SeededRandom } from './seeded-random.js';
import type { SimulatedFiles } from './simulated-files.js';
import type { Incarnation, VirtualClock } from './virtual-clock.js';

type Signal = Parameters<Processes['signal']>[1];

/** How long things take. */
export interface ProcessesPolicy {
  /** From the launch until the process runs, or until it is known that it cannot. */
  readonly startMs: (spec: ContainerSpec) => number;
  /** From a signal that ends a process until its end is known. */
  readonly dieMs: () => number;
}

export const calmProcesses = (random: SeededRandom): ProcessesPolicy => ({
  startMs: () => random.between(1, 10),
  dieMs: () => random.between(0.2, 5),
});

/** A call of {@link Processes.signal}, for checkers. */
export interface SignalRecord {
  readonly now: number;
  readonly containerId: string;
  readonly signal: Signal;
}

interface Container {
  readonly spec: ContainerSpec;
  readonly script: Script;
  readonly incarnation: Incarnation;
  readonly onStarted: (pid: number) => void;
  readonly onEnded: (end: ContainerEnd) => void;
  /** What it does of itself; all are taken back at its end. */
  readonly timers: Timer[];
  state: 'starting' | 'running' | 'dying' | 'ended';
}

/** Outlives the agent's process; each life of it has its {@link port}. */
export class SimulatedProcesses {
  /** The container id of each start, in order: no launch may be in it twice. */
  readonly starts: string[] = [];
  readonly signals: SignalRecord[] = [];
  /** How each container ended, the last one of an id; a crash of the agent counts as SIGKILL. */
  readonly ends = new Map<string, ContainerEnd>();
  /** The most that were starting at a time. */
  startingMax = 0;
  #starting = 0;
  #pid = 1_000;
  readonly #live = new Map<string, Container>();

  constructor(
    readonly clock: VirtualClock,
    readonly random: SeededRandom,
    readonly files: SimulatedFiles,
    public policy: ProcessesPolicy = calmProcesses(random),
  ) {}

  port(incarnation: Incarnation): Processes {
    return {
      launch: (spec, onStarted, onEnded) => {
        if (!incarnation.alive) return;
        const script = readScript(spec);
        this.#launch({ spec, script, incarnation, onStarted, onEnded, timers: [], state: 'starting' });
      },
      signal: (containerId, signal) => {
        if (incarnation.alive) this.#signal(containerId, signal);
      },
    };
  }

  /** How many are starting now. */
  get starting(): number {
    return this.#starting;
  }

  /** Ids of the containers that start or run, in the order of their launch. */
  live(): string[] {
    return [...this.#live.keys()];
  }

  /** Kills all containers, as the end of the agent's process does, and returns their ids. Nobody is called back. */
  crash(): string[] {
    const killed = this.live();
    for (const container of [...this.#live.values()]) this.#forget(container, { exitSignal: 'SIGKILL' });
    return killed;
  }

  #launch(container: Container): void {
    const { spec, script } = container;
    this.#live.set(spec.containerId, container);
    this.startingMax = Math.max(this.startingMax, ++this.#starting);
    this.#later(container, this.policy.startMs(spec), () => {
      if (script.failLaunch !== undefined) this.#end(container, { launchError: script.failLaunch });
      else this.#start(container);
    });
  }

  #start(container: Container): void {
    const { spec, script, onStarted } = container;
    container.state = 'running';
    this.#starting--;
    this.starts.push(spec.containerId);
    const pid = ++this.#pid;
    this.files.append(`${spec.sandbox}/stdout`, script.stdout);
    this.files.append(`${spec.sandbox}/stderr`, '');
    this.#call(container, () => onStarted(pid));
    if (script.beatMs !== undefined) this.#beat(container, script.beatMs);
    if (!script.neverEnds)
      this.#later(container, script.runMs, () => this.#end(container, { exitCode: script.exitCode }));
  }

  /** A child of the process, which shows by the file `beat` that it lives. */
  #beat(container: Container, beatMs: number): void {
    this.files.append(`${container.spec.sandbox}/beat`, '.');
    this.#later(container, beatMs, () => this.#beat(container, beatMs));
  }

  #signal(containerId: string, signal: Signal): void {
    this.signals.push({ now: this.clock.now(), containerId, signal });
    const container = this.#live.get(containerId);
    if (container === undefined) return;
    const { script } = container;
    if (signal === 'SIGTERM') {
      if (script.ignoreTerm || container.state === 'dying') return;
      if (container.state === 'running') container.state = 'dying';
    }
    const obeys = signal === 'SIGTERM' && script.termExitCode !== undefined && container.state === 'dying';
    const end: ContainerEnd = obeys ? { exitCode: script.termExitCode } : { exitSignal: signal };
    const delayMs = signal === 'SIGTERM' ? this.policy.dieMs() + script.termMs : this.policy.dieMs();
    this.#later(container, delayMs, () => this.#end(container, end));
  }

  #end(container: Container, end: ContainerEnd): void {
    this.#forget(container, end);
    this.#call(container, () => container.onEnded(end));
  }

  #forget(container: Container, end: ContainerEnd): void {
    if (container.state === 'starting') this.#starting--;
    container.state = 'ended';
    for (const timer of container.timers.splice(0)) timer.cancel();
    const { containerId } = container.spec;
    if (this.#live.get(containerId) === container) this.#live.delete(containerId);
    this.ends.set(containerId, end);
  }

  /** The machine's own time: a container goes on while its agent is paused. */
  #later(container: Container, delayMs: number, callback: () => void): void {
    container.timers.push(this.clock.schedule(this.clock.now() + delayMs, callback));
  }

  #call({ incarnation }: Container, callback: () => void): void {
    this.clock.schedule(this.clock.now(), callback, incarnation);
  }
}

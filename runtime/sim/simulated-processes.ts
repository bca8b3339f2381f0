/** The containers of one agent's machine, which do what their environment says and outlive the agent's process. Rules: SIM-10, SIM-11. */
import type { ContainerSpec } from '../../actors/effect.js';
import type { ContainerEnd, Processes, Timer } from '../ports.js';
import { readScript, type Script } from './script.js';
import type { SeededRandom } from './seeded-random.js';
import type { SimulatedFiles } from './simulated-files.js';
import type { Incarnation, VirtualClock } from './virtual-clock.js';

type Signal = Parameters<Processes['signal']>[1];

/** How long things take, and what becomes of a launch whose agent dies. */
export interface ProcessesPolicy {
  /** From the launch until the launcher claims the container. */
  readonly claimMs: () => number;
  /** From the claim until the process runs, or until it is known that it cannot. */
  readonly startMs: (spec: ContainerSpec) => number;
  /** From a signal that ends a process until its end is known. */
  readonly dieMs: () => number;
  /** From the beginning of a new life until no launcher of an older one claims anything any more. */
  readonly barrierMs: () => number;
  /** Whether a launch that is not claimed yet is lost with its agent. */
  readonly losesLaunch: () => boolean;
}

export const calmProcesses = (random: SeededRandom): ProcessesPolicy => ({
  claimMs: () => random.between(0.1, 2),
  startMs: () => random.between(1, 10),
  dieMs: () => random.between(0.2, 5),
  barrierMs: () => random.between(1, 20),
  losesLaunch: () => random.chance(0.5),
});

/** A call of {@link Processes.signal}, for checkers. */
export interface SignalRecord {
  readonly now: number;
  readonly containerId: string;
  readonly signal: Signal;
}

/** Who is called back: the life that launched or adopted it last. */
interface Owner {
  readonly life: Incarnation;
  readonly onStarted: (pid: number) => void;
  readonly onEnded: (end: ContainerEnd) => void;
}

interface Container {
  readonly spec: ContainerSpec;
  readonly script: Script;
  owner: Owner;
  /** What it does of itself; all are taken back at its end. */
  readonly timers: Timer[];
  /** `asked`: on the way to the launcher; from `starting` on it is claimed. */
  state: 'asked' | 'starting' | 'running' | 'dying' | 'ended';
  /** Set once it has started. */
  pid: number | undefined;
  /** Its exit record. */
  end: ContainerEnd | undefined;
}

/** Outlives the agent's process; each life of it has its {@link port}. */
export class SimulatedProcesses {
  /** The container id of each start, in order: no launch may be in it twice. */
  readonly starts: string[] = [];
  readonly signals: SignalRecord[] = [];
  /** How each container really ended, the last one of an id. */
  readonly ends = new Map<string, ContainerEnd>();
  /** Containers that ran and that a new life of the agent did not ask for: they were ended. */
  readonly strays: string[] = [];
  /** The most that were starting at a time. */
  startingMax = 0;
  /** Nothing can be started: the disk has no room. Exit records have theirs already. */
  full = false;
  #starting = 0;
  #pid = 1_000;
  /** No life of the agent has asked for anything since the machine was started. */
  #isFresh = false;
  /** Every container of this machine that may be asked for: its claim and exit record stay until they are forgotten. */
  readonly #containers = new Map<string, Container>();
  /** Those that were asked for after a restart of the machine and of which nothing was there. */
  readonly #unknown = new Set<string>();
  /** Those whose exit record a restart has taken away. */
  readonly #lost = new Set<string>();
  readonly #live = new Map<string, Container>();

  constructor(
    readonly clock: VirtualClock,
    readonly random: SeededRandom,
    readonly files: SimulatedFiles,
    public policy: ProcessesPolicy = calmProcesses(random),
  ) {}

  port(life: Incarnation): Processes {
    life.onEnd(() => this.#orphan(life));
    return {
      adopt: (specs, onStarted, onEnded) => {
        if (!life.alive) return;
        const adopt = (): void => this.#adopt(life, specs, onStarted, onEnded);
        this.clock.schedule(this.clock.now() + this.policy.barrierMs(), adopt, life);
      },
      launch: (spec, onStarted, onEnded) => {
        if (life.alive) this.#launch(spec, { life, onStarted, onEnded });
      },
      signal: (containerId, signal) => {
        if (life.alive) this.#signal(containerId, signal);
      },
      forget: (containerId) => {
        if (!life.alive) return;
        if (this.#containers.get(containerId)?.end !== undefined) this.#containers.delete(containerId);
        this.#unknown.delete(containerId);
      },
    };
  }

  /** How many are on their way to a start now. */
  get starting(): number {
    return this.#starting;
  }

  /** Ids of the containers that start or run, in the order of their launch. */
  live(): string[] {
    return [...this.#live.keys()];
  }

  /** Whether the machine was restarted after it had ended and before that was stored: then nobody may know how. For checkers. */
  isRecordLost(containerId: string): boolean {
    return this.#lost.has(containerId);
  }

  /** Its wrapper dies without a record: the tree dies with it, and how it ended nobody knows. Says whether it ran. */
  loseWrapper(containerId: string): boolean {
    const container = this.#live.get(containerId);
    if (container?.pid === undefined) return false;
    this.#end(container, { lost: 'wrapper' });
    return true;
  }

  /** The machine starts anew: every container is over. `keepsRecords`: exit records of before can still be read. */
  restart(keepsRecords: boolean): void {
    this.#isFresh = true;
    for (const container of [...this.#live.values()]) {
      if (container.state === 'asked') this.#drop(container);
      else this.#finish(container, { lost: 'machine' });
    }
    if (keepsRecords) return;
    for (const [id, container] of this.#containers) {
      container.end &&= { lost: 'machine' };
      this.#lost.add(id);
    }
  }

  /** What the launcher was asked by a life that has ended it may never hear of. */
  #orphan(life: Incarnation): void {
    for (const container of [...this.#live.values()])
      if (container.owner.life === life && container.state === 'asked' && this.policy.losesLaunch())
        for (const timer of container.timers.splice(0)) timer.cancel();
  }

  #adopt(
    life: Incarnation,
    specs: readonly ContainerSpec[],
    onStarted: (containerId: string, pid: number) => void,
    onEnded: (containerId: string, end: ContainerEnd) => void,
  ): void {
    const wanted = new Set(specs.map(({ containerId }) => containerId));
    for (const [id, container] of [...this.#live]) {
      // What this life has launched meanwhile is its own.
      if (wanted.has(id) || container.owner.life === life) continue;
      if (container.state === 'asked') this.#drop(container);
      else {
        this.strays.push(id);
        this.#end(container, { exitSignal: 'SIGKILL' });
      }
    }
    for (const { containerId } of specs) {
      const container = this.#containers.get(containerId);
      const owner: Owner = {
        life,
        onStarted: (pid) => onStarted(containerId, pid),
        onEnded: (end) => onEnded(containerId, end),
      };
      // Without a record nobody can say whether it ran before the machine was started.
      if (container === undefined && this.#isFresh) this.#unknown.add(containerId);
      if (container === undefined && this.#unknown.has(containerId)) {
        this.#call(owner, () => owner.onEnded({ lost: 'machine' }));
        continue;
      }
      if (container === undefined || container.state === 'asked') {
        // The new life has claimed it: whoever was asked for it before can start it no more.
        if (container !== undefined) this.#drop(container);
        this.#call(owner, () => owner.onEnded({ neverStarted: true }));
        continue;
      }
      container.owner = owner;
      const { pid, end } = container;
      if (pid !== undefined) this.#call(owner, () => owner.onStarted(pid));
      if (end !== undefined) this.#call(owner, () => owner.onEnded(end));
    }
    this.#isFresh = false;
  }

  #launch(spec: ContainerSpec, owner: Owner): void {
    const container: Container = {
      spec,
      script: readScript(spec),
      owner,
      timers: [],
      state: 'asked',
      pid: undefined,
      end: undefined,
    };
    this.#containers.set(spec.containerId, container);
    this.#live.set(spec.containerId, container);
    this.startingMax = Math.max(this.startingMax, ++this.#starting);
    const isFull = this.full;
    this.#later(container, this.policy.claimMs(), () => {
      container.state = 'starting';
      this.#later(container, this.policy.startMs(spec), () => {
        const { failLaunch } = container.script;
        const launchError = isFull ? 'no space left on the device' : failLaunch;
        if (launchError === undefined) this.#start(container);
        else this.#end(container, { launchError });
      });
    });
  }

  #start(container: Container): void {
    const { spec, script } = container;
    container.state = 'running';
    this.#starting--;
    this.starts.push(spec.containerId);
    const pid = ++this.#pid;
    container.pid = pid;
    this.files.append(`${spec.sandbox}/stdout`, script.stdout);
    this.files.append(`${spec.sandbox}/stderr`, '');
    const { owner } = container;
    this.#call(owner, () => owner.onStarted(pid));
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
    this.#finish(container, end);
    const { owner } = container;
    this.#call(owner, () => owner.onEnded(end));
  }

  /** It is over, and its record says how. */
  #finish(container: Container, end: ContainerEnd): void {
    this.#forget(container);
    container.end = end;
    this.ends.set(container.spec.containerId, end);
  }

  /** Nobody has claimed it: it is as if it had not been asked for. */
  #drop(container: Container): void {
    this.#forget(container);
    this.#containers.delete(container.spec.containerId);
  }

  #forget(container: Container): void {
    if (container.pid === undefined) this.#starting--;
    container.state = 'ended';
    for (const timer of container.timers.splice(0)) timer.cancel();
    const { containerId } = container.spec;
    if (this.#live.get(containerId) === container) this.#live.delete(containerId);
  }

  /** The machine's own time: a container goes on while its agent is paused or gone. */
  #later(container: Container, delayMs: number, callback: () => void): void {
    container.timers.push(this.clock.schedule(this.clock.now() + delayMs, callback));
  }

  #call({ life }: Owner, callback: () => void): void {
    this.clock.schedule(this.clock.now(), callback, life);
  }
}

/** One process of the simulated cluster through all its lives. Rule: SIM-14. */
import type { AnyStateMachine } from 'xstate';
import type { Effect, Effects, Stop } from '../../actors/effect.js';
import type { HostEvent, HostHooks } from '../actor-host.js';
import type { RootOptions, Running } from '../compose.js';
import type { Log, Metrics } from '../ports.js';
import type { Role } from './fault-plan.js';
import type { SeededRandom } from './seeded-random.js';
import { Incarnation, type VirtualClock } from './virtual-clock.js';

/** Who looks on: checkers and the trace. None may change anything. */
export interface ClusterObserver {
  onStart?(node: SimNode): void;
  /** After a step, before its effects. */
  afterStep?(node: SimNode, host: string, event: HostEvent, effects: Effects): void;
  /** Before an effect that will take place. */
  onEffect?(node: SimNode, host: string, effect: Effect): void;
  onEnd?(node: SimNode, why: string): void;
  /** A bug: an actor or a host threw. */
  onThrow?(node: string, error: unknown): void;
  onLog?(node: SimNode, level: string, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface NodeOptions {
  readonly name: string;
  readonly role: Role;
  readonly cluster: string;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly observer: ClusterObserver;
  /** Starts the production actors of the role in a new life. */
  readonly compose: (life: Incarnation, options: RootOptions) => Running<AnyStateMachine>;
  /** Whether the process dies before this effect. */
  readonly diesBefore: (effect: Effect) => boolean;
  /** The actor asked for the end of its process. Returns whether it is started anew. */
  readonly onStop: (stop: Stop, running: Running<AnyStateMachine>) => boolean;
  /** How long the process stays away. */
  readonly awayMs: () => number;
}

export class SimNode {
  readonly name: string;
  readonly role: Role;
  readonly metrics = new Map<string, number>();
  readonly #options: NodeOptions;
  #life: Incarnation | undefined;
  #lives = 0;
  #running: Running<AnyStateMachine> | undefined;
  #done = false;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.name = options.name;
    this.role = options.role;
  }

  get isUp(): boolean {
    return this.#life?.alive === true;
  }

  get isPaused(): boolean {
    return this.#life?.paused === true;
  }

  /** It ended for good: a scheduler that has done its work, or a machine that never comes back. */
  get isDone(): boolean {
    return this.#done;
  }

  /** The present or last life. */
  get life(): Incarnation | undefined {
    return this.#life;
  }

  /** Which life this is, from 1. */
  get lives(): number {
    return this.#lives;
  }

  /** The main actor of the present or last life. */
  get running(): Running<AnyStateMachine> | undefined {
    return this.#running;
  }

  start(): void {
    if (this.isUp || this.#done) return;
    const { name, clock, cluster, compose, observer } = this.#options;
    const life = new Incarnation(name, ++this.#lives);
    this.#life = life;
    this.#running = undefined;
    observer.onStart?.(this);
    const running = compose(life, {
      cluster,
      principal: name,
      hooks: this.#hooks(life),
      onStop: (stop) => clock.schedule(clock.now(), () => this.#stopped(stop), life),
      onCrash: (actor, error) => observer.onThrow?.(`${name} ${actor}`, error),
    });
    this.#running = running;
    // It may have died within its first step.
    if (!life.alive) running.kill();
  }

  /** Death without a word; it comes back after a while. */
  crash(why = 'crash', awayMs = this.#options.awayMs()): void {
    if (!this.isUp) return;
    this.#end(why);
    this.#comeBack(awayMs);
  }

  /** Death without a word, for good. */
  retire(): void {
    this.#done = true;
    if (this.isUp) this.#end('is gone for good');
  }

  /** Asks the actor to end in order; an agent with `endTasks` ends its tasks first. */
  stop(endTasks = false): void {
    if (this.isUp) this.#running?.stop({ endTasks });
  }

  pause(): void {
    if (this.isUp) this.#life?.pause();
  }

  resume(): void {
    this.#life?.resume(this.#options.clock);
  }

  get log(): Log {
    return { write: (level, message, fields) => this.#options.observer.onLog?.(this, level, message, fields) };
  }

  get counters(): Metrics {
    return { count: (metric, by) => this.metrics.set(metric, (this.metrics.get(metric) ?? 0) + by) };
  }

  #hooks(life: Incarnation): HostHooks {
    const { observer, diesBefore } = this.#options;
    return {
      beforeEffect: (host, effect) => {
        if (!life.alive) return false;
        if (diesBefore(effect)) {
          this.crash(`crash before ${effect.type}`);
          return false;
        }
        observer.onEffect?.(this, host, effect);
        return true;
      },
      afterStep: (host, event, effects) => observer.afterStep?.(this, host, event, effects),
    };
  }

  #stopped(stop: Stop): void {
    const again = this.#options.onStop(stop, this.#running as Running<AnyStateMachine>);
    this.#end(`stopped: ${stop.reason}`);
    if (again) this.#comeBack(this.#options.awayMs());
    else this.#done = true;
  }

  #end(why: string): void {
    const { observer } = this.#options;
    this.#life?.end();
    this.#running?.kill();
    observer.onEnd?.(this, why);
  }

  #comeBack(awayMs: number): void {
    const { clock } = this.#options;
    clock.schedule(clock.now() + awayMs, () => this.start());
  }
}

/** The step loop: one event in, one batch of effects out. The only place that sends events to an actor. */
import { createActor, type Actor, type AnyStateMachine, type EventFromLogic, type InputFrom } from 'xstate';
import type { Effect, Effects } from '../actors/effect.js';
import type { Batch } from '../actors/perform.js';
import type { Clock, Random, Timer } from './ports.js';

/** An event as ports hand it over: the host stamps it. */
export interface HostEvent {
  readonly type: string;
}

export interface HostOptions<L extends AnyStateMachine> {
  /** Name in logs and traces. */
  readonly name: string;
  readonly logic: L;
  readonly input: InputFrom<L>;
  readonly clock: Clock;
  readonly random: Random;
  /** Executes one effect; it never calls back into the actor within the call. */
  readonly execute: (effect: Effect) => void;
  /** Called after the last effect of each batch. */
  readonly endBatch?: (() => void) | undefined;
  /** The actor threw: its batch is dropped. The process is to end. */
  readonly onCrash: (error: unknown) => void;
  readonly hooks?: HostHooks | undefined;
}

/** What a simulator or an observer may see of a host. */
export interface HostHooks {
  /** Before each effect; returning false ends the process here, between two effects. */
  readonly beforeEffect?: (host: string, effect: Effect) => boolean;
  /** After each step, before its effects. */
  readonly afterStep?: (host: string, event: HostEvent, effects: Effects) => void;
}

/** Runs one actor. Events that arrive during a step wait for its end, effects included. */
export class ActorHost<L extends AnyStateMachine> {
  readonly actor: Actor<L>;
  readonly #options: HostOptions<L>;
  #queue: HostEvent[] = [];
  #outbox: Effect[] = [];
  #isBusy = false;
  #isEnded = false;
  #error: { readonly error: unknown } | undefined;
  #timer: Timer | undefined;

  constructor(options: HostOptions<L>) {
    this.#options = options;
    // xstate types options by the logic's input; a generic logic cannot show that it has one. Hence the one cast.
    this.actor = createActor(options.logic, { input: options.input } as never) as unknown as Actor<L>;
    // Without an observer xstate rethrows an actor's error in a timer, out of reach and out of order.
    this.actor.subscribe({ error: (error: unknown) => (this.#error = { error }) });
    // The listener only collects: xstate swallows what a listener throws.
    this.actor.on('*', (emitted) => {
      for (const effect of (emitted as unknown as Batch).effects) this.#outbox.push(effect);
    });
    this.actor.start();
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Gives the actor an event, now or after the step that runs. */
  send(event: HostEvent): void {
    if (this.#isEnded) return;
    this.#queue.push(event);
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.#queue.length > 0) {
        const batch = this.#queue;
        this.#queue = [];
        for (const next of batch) {
          if (this.#isEnded) return;
          this.#step(next);
        }
      }
    } finally {
      this.#isBusy = false;
    }
  }

  /** Ends the host without a word to the actor: a crash, or the process's end. */
  end(): void {
    this.#isEnded = true;
    this.#queue = [];
    this.#timer?.cancel();
  }

  #step(event: HostEvent): void {
    const { clock, random, hooks, name } = this.#options;
    const stamped = { ...event, now: clock.now(), random: random.next() };
    this.actor.send(stamped as EventFromLogic<L>);
    const effects = this.#outbox;
    this.#outbox = [];
    if (this.#error !== undefined) {
      // The step threw: what it asked for so far is dropped, or half a decision would be done.
      this.end();
      this.#options.onCrash(this.#error.error);
      return;
    }
    hooks?.afterStep?.(name, event, effects);
    try {
      this.#execute(effects);
    } catch (error) {
      // What is behind it in the batch was not done, the actor's next wake-up among it: nobody may go on from here.
      this.end();
      this.#options.onCrash(error);
    }
  }

  #execute(effects: Effects): void {
    const { hooks, name, execute, endBatch } = this.#options;
    for (const effect of effects) {
      if (hooks?.beforeEffect?.(name, effect) === false) {
        this.end();
        return;
      }
      if (effect.type === 'setDeadline') this.#setDeadline(effect.dueAtMs);
      else execute(effect);
      if (this.#isEnded) return;
    }
    if (effects.length > 0) endBatch?.();
  }

  #setDeadline(dueAtMs: number | undefined): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (dueAtMs === undefined) return;
    const delayMs = Math.max(0, dueAtMs - this.#options.clock.now());
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.send({ type: 'TICK' });
    });
  }
}

/** Runs one machine as its host does, without a world: an event in, the effects of the step out, time by hand. */
import {
  createActor,
  type Actor,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type EventFromLogic,
  type InputFrom,
} from 'xstate';
import type { Effect, Publish } from '../../actors/effect.js';
import type { Batch } from '../../actors/perform.js';
import type { Meta } from '../../actors/events.js';

/** 2026-01-01, the first instant of every decision test. */
export const NOW = 1_767_225_600_000;

export class ActorKit<L extends AnyStateMachine> {
  readonly actor: Actor<L>;
  now = NOW;
  /** What every event carries. */
  random = 0.5;
  /** All effects so far, but for deadlines. */
  readonly all: Effect[] = [];
  /** When the actor wants to be woken. */
  dueAtMs: number | undefined;
  #outbox: Effect[] = [];
  #error: unknown;

  constructor(logic: L, input: InputFrom<L>) {
    this.actor = createActor(logic, { input } as never) as unknown as Actor<L>;
    this.actor.subscribe({ error: (error: unknown) => (this.#error = error) });
    this.actor.on('*', (emitted) => {
      this.#outbox.push(...(emitted as unknown as Batch).effects);
    });
    this.actor.start();
  }

  /** The state's name. */
  get value(): unknown {
    return (this.actor.getSnapshot() as AnyMachineSnapshot).value;
  }

  get isDone(): boolean {
    return (this.actor.getSnapshot() as AnyMachineSnapshot).status === 'done';
  }

  /** One step. Gives its effects without deadlines; throws what the step threw. */
  send(event: { readonly type: string }): Effect[] {
    this.actor.send({ now: this.now, random: this.random, ...event } as EventFromLogic<L>);
    if (this.#error !== undefined) throw this.#error as Error;
    const effects: Effect[] = [];
    for (const effect of this.#outbox) {
      if (effect.type === 'setDeadline') this.dueAtMs = effect.dueAtMs;
      else effects.push(effect);
    }
    this.#outbox = [];
    this.all.push(...effects);
    return effects;
  }

  /** Lets time pass, with a TICK at each deadline; gives the effects of all of them. */
  pass(ms: number): Effect[] {
    const untilMs = this.now + ms;
    const effects: Effect[] = [];
    for (let ticks = 0; this.dueAtMs !== undefined && this.dueAtMs <= untilMs; ticks++) {
      if (ticks > 100_000) throw new Error('the actor wakes itself in a circle');
      this.now = Math.max(this.now, this.dueAtMs);
      this.dueAtMs = undefined;
      effects.push(...this.send({ type: 'TICK' }));
    }
    this.now = untilMs;
    return effects;
  }
}

/** What a message says of itself, with defaults for what a test does not care about. */
export const meta = (given: Partial<Meta> = {}): Meta => ({
  principal: 'somebody',
  parameters: {},
  session: '0',
  sequence: 0,
  epoch: 0,
  id: 'm1',
  ...given,
});

/** Messages among effects, of one type if it is given. */
export const published = (effects: readonly Effect[], message?: string): Publish[] =>
  effects.filter(
    (effect): effect is Publish => effect.type === 'publish' && (message === undefined || effect.message === message),
  );

/** The bodies of messages of one type. */
export const bodies = <T = never>(effects: readonly Effect[], message: string): T[] =>
  published(effects, message).map(({ body }) => body as T);

/** Effects of one type. */
export const ofType = <T extends Effect['type']>(effects: readonly Effect[], type: T): Extract<Effect, { type: T }>[] =>
  effects.filter((effect): effect is Extract<Effect, { type: T }> => effect.type === type);

/** One effect in a few words, for tables that a person reads. */
export function say(effect: Effect): string {
  switch (effect.type) {
    case 'publish':
    case 'reply':
      return `${effect.type} ${effect.message}`;
    case 'listen':
      return `listen ${effect.row}`;
    case 'follow':
      return `follow ${effect.bucket}`;
    case 'persist':
      return `persist ${effect.writes.map(({ key, record }) => `${record === undefined ? '-' : ''}${key}`).join(' ')}`;
    case 'tell':
      return `tell ${effect.event.type}`;
    case 'signalContainer':
      return `signalContainer ${effect.signal}`;
    case 'stop':
      return `stop${effect.restart ? ' and restart' : ''}`;
    default:
      return effect.type;
  }
}

/** Effects in words; what only informs people is left out. */
export const words = (effects: readonly Effect[]): string[] =>
  effects.filter(({ type }) => type !== 'log' && type !== 'count').map(say);

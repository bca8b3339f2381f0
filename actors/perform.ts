/** Between a chart and its decisions: an action calls one decision function and emits what it asks for, as one batch. */
import { enqueueActions, type EventObject } from 'xstate';
import type { Deadlines } from './deadlines.js';
import type { Effect, Effects } from './effect.js';

/** What an actor emits: all effects of one decision, in order. The host executes them after the step. */
export interface Batch {
  readonly type: 'BATCH';
  readonly effects: Effects;
}

/** What every actor's state has: its deadlines, and the one that the host was last told. */
export interface ActorState {
  readonly deadlines: Deadlines;
  announcedMs: number | undefined;
}

/** The earliest deadline as an effect, if it is another than the host knows. */
function wakeUp(state: ActorState): Effect | undefined {
  const dueAtMs = state.deadlines.next();
  if (dueAtMs === state.announcedMs) return undefined;
  state.announcedMs = dueAtMs;
  return { type: 'setDeadline', dueAtMs };
}

/**
 * Makes actions for a machine whose context is `{ state }`. The event's type is narrowed by the place in the chart where
 * the action stands, which xstate cannot see: hence the one cast.
 */
export function performer<S extends ActorState, E extends EventObject>() {
  return <T extends E = E>(decide: (state: S, event: T) => Effects) =>
    enqueueActions<{ state: S }, E, undefined, E, never, never, never, never, Batch>(({ context, event, enqueue }) => {
      const effects = decide(context.state, event as unknown as T);
      const wake = wakeUp(context.state);
      if (effects.length === 0 && wake === undefined) return;
      enqueue.emit({ type: 'BATCH', effects: wake === undefined ? effects : [...effects, wake] });
    });
}

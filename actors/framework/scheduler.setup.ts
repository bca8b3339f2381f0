/** The scheduler machine's vocabulary: its types, named guards and named actions. */
import { setup } from 'xstate';
import { NOTHING } from '../effect.js';
import type {
  LeaderMessage,
  MasterToSchedulerMessage,
  ReconnectedEvent,
  Stamp,
  StartEvent,
  StopEvent,
  TickEvent,
} from '../events.js';
import { performer, type Batch } from '../perform.js';
import * as driver from './scheduler-driver.js';
import { newSchedulerState, type SchedulerConfig, type SchedulerState } from './scheduler-driver.js';

/** Something from the process around the scheduler, for its `onInput`. */
export type InputEvent = Stamp & { readonly type: 'INPUT'; readonly input: unknown };

export type SchedulerEvent =
  StartEvent | TickEvent | StopEvent | ReconnectedEvent | InputEvent | MasterToSchedulerMessage | LeaderMessage;

const act = performer<SchedulerState, SchedulerEvent>();

export const schedulerSetup = setup({
  types: {} as {
    context: { state: SchedulerState };
    events: SchedulerEvent;
    emitted: Batch;
    input: SchedulerConfig;
    tags: 'subscribed';
  },
  guards: {
    hasSession: ({ context }) => driver.isSubscribed(context.state),
    needsSubscription: ({ context }) => context.state.need === 'subscription',
    wantsTeardown: ({ context }) => context.state.need === 'teardown',
    wantsEnd: ({ context }) => context.state.need === 'end',
  },
  actions: {
    start: act(driver.onStart),
    subscribe: act(driver.subscribe),
    masterMessage: act(driver.onMasterMessage),
    elected: act(driver.onElected),
    tearDown: act(driver.tearDown),
    input: act<InputEvent>(driver.onInput),
    tick: act(driver.onTick),
    reconnected: act((state: SchedulerState) => {
      if (state.need === 'nothing') state.need = 'subscription';
      return NOTHING;
    }),
    sayGoodbye: act(driver.sayGoodbye),
  },
});

export { newSchedulerState };

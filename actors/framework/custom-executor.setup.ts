/** The custom executor machine's vocabulary: its types, named guards and named actions. */
import { setup } from 'xstate';
import type { AgentToExecutorMessage, ReconnectedEvent, StartEvent, StopEvent, TickEvent } from '../events.js';
import { performer, type Batch } from '../perform.js';
import * as driver from './executor-driver.js';
import { newExecutorState, type ExecutorConfig, type ExecutorState } from './executor-driver.js';
import type { InputEvent } from './scheduler.setup.js';

export type CustomExecutorEvent =
  StartEvent | TickEvent | StopEvent | ReconnectedEvent | InputEvent | AgentToExecutorMessage;

const act = performer<ExecutorState, CustomExecutorEvent>();

export const customExecutorSetup = setup({
  types: {} as {
    context: { state: ExecutorState };
    events: CustomExecutorEvent;
    emitted: Batch;
    input: ExecutorConfig;
    tags: 'subscribed';
  },
  guards: {
    hasSession: ({ context }) => driver.isSubscribed(context.state),
    needsSubscription: ({ context }) => context.state.need === 'subscription',
    wantsEnd: ({ context }) => context.state.need === 'end',
  },
  actions: {
    start: act(driver.onStart),
    subscribe: act(driver.subscribe),
    agentMessage: act(driver.onAgentMessage),
    shutDown: act(driver.shutDown),
    input: act<InputEvent>(driver.onInput),
    tick: act(driver.onTick),
    reconnected: act(driver.onReconnected),
    sayGoodbye: act(driver.sayGoodbye),
  },
});

export { newExecutorState };

/** The driver of a custom executor: subscribing ⇄ subscribed for as long as it takes, then stopped. */
import { customExecutorSetup, newExecutorState } from './custom-executor.setup.js';

export const customExecutorMachine = customExecutorSetup.createMachine({
  id: 'customExecutor',
  context: ({ input }) => ({ state: newExecutorState(input) }),
  initial: 'starting',
  on: {
    TICK: { actions: 'tick' },
    INPUT: { actions: 'input' },
    STOP: { actions: 'shutDown' },
    'agent.*': { actions: 'agentMessage' },
  },
  states: {
    starting: {
      on: { START: { target: 'subscribing', actions: 'start' } },
    },
    subscribing: {
      entry: 'subscribe',
      always: [
        { guard: 'wantsEnd', target: 'stopped' },
        { guard: 'needsSubscription', target: 'subscribing', reenter: true },
        { guard: 'hasSession', target: 'subscribed' },
      ],
    },
    subscribed: {
      tags: 'subscribed',
      always: [
        { guard: 'wantsEnd', target: 'stopped' },
        { guard: 'needsSubscription', target: 'subscribing' },
      ],
      on: { RECONNECTED: { actions: 'reconnected' } },
    },
    stopped: { entry: 'sayGoodbye', type: 'final' },
  },
});

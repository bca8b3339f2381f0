/** The driver of a scheduler: subscribing ⇄ subscribed, then perhaps tearing down, stopped. */
import { newSchedulerState, schedulerSetup } from './scheduler.setup.js';

export const schedulerMachine = schedulerSetup.createMachine({
  id: 'scheduler',
  context: ({ input }) => ({ state: newSchedulerState(input) }),
  initial: 'starting',
  on: {
    TICK: { actions: 'tick' },
    INPUT: { actions: 'input' },
    STOP: { target: '.stopped' },
    'leader.ELECTED': { actions: 'elected' },
    'master.*': { actions: 'masterMessage' },
  },
  states: {
    starting: {
      on: { START: { target: 'subscribing', actions: 'start' } },
    },
    subscribing: {
      entry: 'subscribe',
      always: [
        { guard: 'wantsEnd', target: 'stopped' },
        { guard: 'hasSession', target: 'subscribed' },
      ],
    },
    subscribed: {
      tags: 'subscribed',
      always: [
        { guard: 'wantsEnd', target: 'stopped' },
        { guard: 'wantsTeardown', target: 'tearingDown' },
        { guard: 'needsSubscription', target: 'subscribing' },
      ],
      on: { RECONNECTED: { actions: 'reconnected' } },
    },
    tearingDown: {
      entry: 'tearDown',
      always: { guard: 'wantsEnd', target: 'stopped' },
    },
    stopped: { entry: 'sayGoodbye', type: 'final' },
  },
});

/** The command executor: it is subscribed for as long as its agent lives, as it is in the agent's process. */
import { executorSetup, newCommandExecutorState } from './executor.setup.js';

export const executorMachine = executorSetup.createMachine({
  id: 'commandExecutor',
  context: ({ input }) => ({ state: newCommandExecutorState(input) }),
  initial: 'starting',
  states: {
    starting: {
      on: { START: { target: 'subscribed', actions: 'start' } },
    },
    subscribed: {
      on: {
        'agent.LAUNCH': { actions: 'launch' },
        'agent.KILL': { actions: 'kill' },
        CONTAINER_STARTED: { actions: 'containerStarted' },
        CONTAINER_ENDED: { actions: 'containerEnded' },
        TICK: { actions: 'tick' },
      },
    },
  },
});

/** The agent: registering ⇄ running, with a wait for the invitation of a new leader between. Tasks run on in every state. */
import { agentSetup, newAgentState } from './agent.setup.js';

export const agentMachine = agentSetup.createMachine({
  id: 'agent',
  context: ({ input }) => ({ state: newAgentState(input) }),
  initial: 'starting',
  on: {
    TICK: { actions: 'tick' },
    STOP: { target: '.terminating', actions: 'killAll' },
    'executor.UPDATE': { actions: 'executorUpdate' },
    'operator.INVALID': { actions: 'invalidCall' },
    'operator.*': { actions: 'operatorCall' },
    'leader.ELECTED': { actions: 'elected' },
    'master.INVITE': { actions: 'invited' },
  },
  states: {
    starting: {
      on: { START: { target: 'registering', actions: 'start' } },
    },
    awaitingInvitation: {
      entry: 'awaitInvitation',
      always: [
        { guard: 'isUnwanted', target: 'terminating', actions: 'killAll' },
        { guard: 'needsRegistration', target: 'registering' },
      ],
    },
    registering: {
      entry: 'register',
      always: [
        { guard: 'isUnwanted', target: 'terminating', actions: 'killAll' },
        { guard: 'needsRegistration', target: 'registering', reenter: true },
        { guard: 'needsInvitation', target: 'awaitingInvitation' },
      ],
      on: {
        'master.DIFFERS': { actions: 'differs' },
        'master.REGISTERED': { guard: 'isAnswer', target: 'running', actions: 'registered' },
        'master.REREGISTERED': { guard: 'isAnswer', target: 'running', actions: 'registered' },
      },
    },
    running: {
      tags: 'registered',
      always: [
        { guard: 'isUnwanted', target: 'terminating', actions: 'killAll' },
        { guard: 'needsRegistration', target: 'registering' },
        { guard: 'needsInvitation', target: 'awaitingInvitation' },
      ],
      on: {
        RECONNECTED: { actions: 'reconnected' },
        'master.INVITE': { actions: 'invited' },
        'master.REGISTERED': { guard: 'isAnswer', actions: 'registered' },
        'master.REREGISTERED': { guard: 'isAnswer', actions: 'registered' },
        'master.*': { actions: 'masterMessage' },
      },
    },
    terminating: {
      on: { 'master.*': { actions: 'masterMessage' } },
      always: { guard: 'isIdle', target: 'stopped' },
    },
    stopped: { entry: 'sayGoodbye', type: 'final' },
  },
});

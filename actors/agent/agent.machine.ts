/** The agent: registering ⇄ running, with a wait for the invitation of a new leader between. Tasks run on in every state. */
import { agentSetup, newAgentState } from './agent.setup.js';

export const agentMachine = agentSetup.createMachine({
  id: 'agent',
  context: ({ input }) => ({ state: newAgentState(input) }),
  initial: 'starting',
  on: {
    TICK: { actions: 'tick' },
    CHECKPOINTED: { actions: ['checkpointed', 'letIn'] },
    STOP: [
      { guard: 'endsTasks', target: '.terminating', actions: 'killAll' },
      { target: '.leaving', actions: 'prepareToLeave' },
    ],
    DISK_READ: { actions: 'diskRead' },
    SANDBOXES_LISTED: { actions: 'sandboxesListed' },
    SANDBOX_REMOVED: { actions: 'sandboxRemoved' },
    'commandExecutor.UPDATE': { actions: 'executorUpdate' },
    'executor.*': { actions: 'executorMessage' },
    'operator.INVALID': { actions: 'invalidCall' },
    'operator.*': { actions: 'operatorCall' },
    'leader.ELECTED': [{ guard: 'isPassed', actions: 'elected' }, { actions: 'atTheDoor' }],
    'master.INVITE': [{ guard: 'isPassed', actions: 'invited' }, { actions: 'atTheDoor' }],
    // Of what passes the door, the states take what they can use.
    'master.*': { actions: 'atTheDoor' },
  },
  states: {
    starting: {
      on: { START: { target: 'registering', actions: ['start', 'inviteExecutors'] } },
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
        'master.DIFFERS': [{ guard: 'isPassed', actions: 'differs' }, { actions: 'atTheDoor' }],
        'master.REGISTERED': { guard: 'isAnswer', target: 'running', actions: ['registered', 'tellExits'] },
        'master.REREGISTERED': { guard: 'isAnswer', target: 'running', actions: ['registered', 'tellExits'] },
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
        'master.INVITE': [{ guard: 'isPassed', actions: 'invited' }, { actions: 'atTheDoor' }],
        'master.REGISTERED': [{ guard: 'isAnswer', actions: ['registered', 'tellExits'] }, { actions: 'atTheDoor' }],
        'master.REREGISTERED': [{ guard: 'isAnswer', actions: ['registered', 'tellExits'] }, { actions: 'atTheDoor' }],
        'master.*': { guard: 'isPassed', actions: 'masterMessage' },
      },
    },
    terminating: {
      on: { 'master.*': { guard: 'isPassed', actions: 'masterMessage' } },
      always: { guard: 'isIdle', target: 'stopped' },
    },
    leaving: {
      // Deaf from here on: what it heard now it could not carry out.
      on: { 'commandExecutor.UPDATE': {}, 'executor.*': {}, 'leader.ELECTED': {}, 'master.*': {}, 'master.INVITE': {} },
      always: { guard: 'isSettled', target: 'left' },
    },
    stopped: { entry: 'sayGoodbye', type: 'final' },
    left: { entry: 'leave', type: 'final' },
  },
});

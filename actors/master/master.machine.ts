/** The master: standby → contending → claiming → recovering → leading. The chart says when; decisions say what. */
import { masterSetup, newMasterState } from './master.setup.js';

export const masterMachine = masterSetup.createMachine({
  id: 'master',
  context: ({ input }) => ({ state: newMasterState(input) }),
  initial: 'starting',
  on: {
    LEASE_ENTRY: { actions: 'leaseSeen' },
    REGISTRY_ENTRY: { actions: 'entrySeen' },
    REGISTRY_CAUGHT_UP: { actions: 'caughtUp' },
    TICK: { actions: 'tick' },
    STOP: { target: '.stopped', actions: 'resign' },
  },
  states: {
    starting: {
      on: { START: { target: 'standby', actions: 'start' } },
    },
    standby: {
      entry: 'enterStandby',
      on: { PROBED: { actions: 'probed' } },
      always: { guard: 'isLeaderAbsent', target: 'contending' },
    },
    contending: {
      entry: 'takeLease',
      on: {
        LEASE_ANSWERED: [
          { guard: 'isLate' },
          { guard: 'isStored', target: 'claiming', actions: 'leaseTaken' },
          { target: 'standby', actions: 'leaseLost' },
        ],
      },
    },
    claiming: {
      entry: 'claimEpoch',
      on: {
        EPOCH_ANSWERED: [
          { guard: 'isLate' },
          { guard: 'isStored', target: 'recovering', actions: 'claimed' },
          { guard: 'isBusy', actions: 'claimBusy' },
          { target: 'standby', actions: 'claimLost' },
        ],
      },
    },
    recovering: {
      always: [
        { guard: 'isOvertaken', target: 'deposed' },
        { guard: 'hasOwnEpoch', target: 'leading' },
      ],
    },
    leading: {
      tags: 'leading',
      entry: 'beginTerm',
      always: { guard: 'isDeposed', target: 'deposed' },
      on: {
        REGISTRY_ENTRY: { actions: 'entryWhileLeading' },
        REGISTRY_STORED: { actions: 'stored' },
        REGISTRY_LOST: { actions: 'lost' },
        LEASE_ANSWERED: { actions: 'leaseRenewed' },
        'scheduler.INVALID': { actions: 'invalidCall' },
        'operator.INVALID': { actions: 'invalidCall' },
        'scheduler.*': { actions: 'schedulerCall' },
        'agent.*': { actions: 'agentMessage' },
        'operator.*': { actions: 'operatorCall' },
        'peer.LOOPBACK': { actions: 'loopback' },
        'peer.ABDICATE': { actions: 'abdicationAsked' },
        'probe.PROBE': { actions: 'probeAsked' },
      },
    },
    deposed: { entry: 'stepDown', type: 'final' },
    stopped: { entry: 'stop', type: 'final' },
  },
});

/** The master machine's vocabulary: its types, named guards and named actions. */
import { setup } from 'xstate';
import type { Effects } from '../effect.js';
import type {
  AgentMessage,
  InvalidMessage,
  OperatorMessage,
  PeerMessage,
  ProbeMessage,
  SchedulerMessage,
  Stamp,
  StartEvent,
  StopEvent,
  StorageEvent,
  TickEvent,
  ReconnectedEvent,
} from '../events.js';
import { performer, type Batch } from '../perform.js';
import { onAgentMessage, onInvalidCall, onSchedulerCall, onStored, onTick } from './calls.js';
import { countTime } from './hearing.js';
import * as leadership from './leadership.js';
import { newMasterState, type MasterConfig, type MasterState } from './master-state.js';
import { onOperatorCall } from './operator.js';
import { beginTerm } from './recovery.js';

export type MasterEvent =
  | StartEvent
  | TickEvent
  | StopEvent
  | ReconnectedEvent
  | StorageEvent
  | SchedulerMessage
  | AgentMessage
  | OperatorMessage
  | InvalidMessage
  | PeerMessage
  | ProbeMessage;

const performed = performer<MasterState, MasterEvent>();

/** Every decision of a term is made in time that has been counted. Rule: DLN-1. */
const perform = <T extends MasterEvent = MasterEvent>(decide: (state: MasterState, event: T) => Effects) =>
  performed<T>((state, event) => {
    countTime(state, event.now);
    return decide(state, event);
  });

const stop = (): Effects => [{ type: 'stop', restart: false, reason: 'asked to stop' }];

export const masterSetup = setup({
  types: {} as {
    context: { state: MasterState };
    events: MasterEvent;
    emitted: Batch;
    input: MasterConfig;
    tags: 'leading';
  },
  guards: {
    isLeaderAbsent: ({ context, event }) => leadership.isLeaderAbsent(context.state, event.now),
    isLate: ({ context, event }) => 'requestId' in event && leadership.isLate(context.state, event.requestId),
    isStored: ({ event }) => 'outcome' in event && event.outcome === 'stored',
    isBusy: ({ context, event }) =>
      'outcome' in event && event.outcome === 'busy' && event.now < context.state.claimUntilMs,
    hasOwnEpoch: ({ context }) => leadership.hasOwnEpoch(context.state),
    isOvertaken: ({ context }) => leadership.isOvertaken(context.state),
    isDeposed: ({ context }) => context.state.deposed !== undefined,
  },
  actions: {
    start: perform(leadership.onStart),
    enterStandby: perform(leadership.enterStandby),
    tick: perform(onTick),
    probed: perform(leadership.onProbed),
    leaseSeen: perform(leadership.onLeaseEntry),
    entrySeen: perform(leadership.onRegistryEntry),
    caughtUp: perform(leadership.onCaughtUp),
    takeLease: perform(leadership.takeLease),
    leaseTaken: perform(leadership.onLeaseTaken),
    leaseLost: perform(leadership.onLeaseLost),
    claimEpoch: perform(leadership.claimEpoch),
    claimBusy: perform(leadership.onClaimBusy),
    claimed: perform(leadership.onClaimed),
    claimLost: perform(leadership.onClaimLost),
    beginTerm: perform(beginTerm),
    leaseRenewed: perform(leadership.onRenewed),
    entryWhileLeading: perform(leadership.onEntryWhileLeading),
    stored: perform<Stamp & { type: 'REGISTRY_STORED'; requestId: number } & MasterEvent>(onStored),
    lost: perform(leadership.onLost),
    schedulerCall: perform(onSchedulerCall),
    invalidCall: perform(onInvalidCall),
    agentMessage: perform(onAgentMessage),
    operatorCall: perform(onOperatorCall),
    loopback: perform(leadership.onLoopback),
    abdicationAsked: perform(leadership.onAbdicate),
    probeAsked: perform(leadership.onProbe),
    resign: perform(leadership.resign),
    stop: perform(stop),
    stepDown: perform(leadership.stepDown),
  },
});

export { newMasterState };

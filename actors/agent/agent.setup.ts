/** The agent machine's vocabulary: its types, named guards and named actions. */
import { setup } from 'xstate';
import type {
  AgentOperatorMessage,
  CheckpointEvent,
  InvalidMessage,
  LeaderMessage,
  MasterToAgentMessage,
  MessageOf,
  ReconnectedEvent,
  Stamp,
  StartEvent,
  StopEvent,
  TickEvent,
} from '../events.js';
import type { ExecutorUpdate } from '../framework/command-executor.js';
import { NOTHING } from '../effect.js';
import { performer, type Batch } from '../perform.js';
import { newAgentState, type AgentConfig, type AgentState } from './agent-state.js';
import * as launches from './launches.js';
import * as registration from './registration.js';

export type AgentEvent =
  | StartEvent
  | TickEvent
  | StopEvent
  | ReconnectedEvent
  | CheckpointEvent
  | MasterToAgentMessage
  | LeaderMessage
  | InvalidMessage
  | AgentOperatorMessage
  | (ExecutorUpdate & Stamp);

const perform = performer<AgentState, AgentEvent>();

export const agentSetup = setup({
  types: {} as {
    context: { state: AgentState };
    events: AgentEvent;
    emitted: Batch;
    input: AgentConfig;
    tags: 'registered';
  },
  guards: {
    isAnswer: ({ context, event }) => 'meta' in event && registration.isRegistered(context.state, event.meta),
    needsRegistration: ({ context }) => context.state.need === 'registration',
    needsInvitation: ({ context }) => context.state.need === 'invitation',
    isUnwanted: ({ context }) => context.state.need === 'end',
    isIdle: ({ context }) => launches.isIdle(context.state),
  },
  actions: {
    start: perform(registration.onStart),
    register: perform(registration.register),
    awaitInvitation: perform(registration.awaitInvitation),
    registered: perform<MessageOf<MasterToAgentMessage, 'master.REGISTERED' | 'master.REREGISTERED'>>(
      registration.onRegistered,
    ),
    differs: perform(registration.onDiffers),
    invited: perform(registration.onInvite),
    elected: perform(registration.onElected),
    reconnected: perform((state: AgentState) => {
      state.need = 'registration';
      return NOTHING;
    }),
    masterMessage: perform(launches.onMasterMessage),
    executorUpdate: perform(launches.onExecutorUpdate),
    invalidCall: perform(launches.onInvalidCall),
    operatorCall: perform(launches.onOperatorCall),
    tick: perform(launches.onTick),
    killAll: perform(launches.onStop),
    sayGoodbye: perform(launches.sayGoodbye),
  },
});

export { newAgentState };

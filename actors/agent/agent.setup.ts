/** The agent machine's vocabulary: its types, named guards and named actions. */
import { enqueueActions, setup } from 'xstate';
import type {
  AgentOperatorMessage,
  CheckpointEvent,
  ExecutorMessage,
  InvalidMessage,
  LeaderMessage,
  MasterToAgentMessage,
  MessageOf,
  ReconnectedEvent,
  SandboxEvent,
  Stamp,
  StartEvent,
  StopEvent,
  TickEvent,
} from '../events.js';
import type { ExecutorUpdate } from '../framework/command-executor.js';
import { NOTHING } from '../effect.js';
import { beginsSession } from '../member.js';
import { performer, type Batch } from '../perform.js';
import { newAgentState, type AgentConfig, type AgentState, type DoorMessage } from './agent-state.js';
import * as door from './door.js';
import { onExecutorMessage } from './executor-link.js';
import { inviteExecutors, tellExits } from './executors.js';
import * as launches from './launches.js';
import * as registration from './registration.js';
import * as sandboxes from './sandboxes.js';

export type AgentEvent =
  | StartEvent
  | TickEvent
  | StopEvent
  | ReconnectedEvent
  | CheckpointEvent
  | SandboxEvent
  | MasterToAgentMessage
  | LeaderMessage
  | InvalidMessage
  | AgentOperatorMessage
  | ExecutorMessage
  | (ExecutorUpdate & Stamp);

const perform = performer<AgentState, AgentEvent>();

const isPassed = (state: AgentState, event: AgentEvent): boolean => door.isPassed(state, event as DoorMessage);

/** What the door held comes in again, within this step: nothing that is newer comes before it. Rule: EPO-4. */
const letIn = enqueueActions<
  { state: AgentState },
  AgentEvent,
  undefined,
  AgentEvent,
  never,
  never,
  never,
  never,
  Batch
>(({ context, event, enqueue }) => {
  const { now, random } = event;
  for (const held of door.takeHeld(context.state)) enqueue.raise({ ...held, now, random });
});

export const agentSetup = setup({
  types: {} as {
    context: { state: AgentState };
    events: AgentEvent;
    emitted: Batch;
    input: AgentConfig;
    tags: 'registered';
  },
  guards: {
    isPassed: ({ context, event }) => isPassed(context.state, event),
    /** It begins our session, and what it rests on is stored. */
    isAnswer: ({ context, event }) =>
      isPassed(context.state, event) && 'meta' in event && beginsSession(context.state.member, event.meta),
    endsTasks: ({ event }) => event.type === 'STOP' && event.endTasks === true,
    needsRegistration: ({ context }) => context.state.need === 'registration',
    needsInvitation: ({ context }) => context.state.need === 'invitation',
    isUnwanted: ({ context }) => context.state.need === 'end',
    isIdle: ({ context }) => launches.isIdle(context.state),
    isSettled: ({ context }) => launches.isSettled(context.state),
  },
  actions: {
    start: perform(registration.onStart),
    inviteExecutors: perform((state: AgentState, { now }: Stamp) => inviteExecutors(state, now)),
    register: perform(registration.register),
    awaitInvitation: perform(registration.awaitInvitation),
    registered: perform<MessageOf<MasterToAgentMessage, 'master.REGISTERED' | 'master.REREGISTERED'>>(
      registration.onRegistered,
    ),
    differs: perform(registration.onDiffers),
    invited: perform(registration.onInvite),
    elected: perform(registration.onElected),
    atTheDoor: perform<DoorMessage>(door.atTheDoor),
    checkpointed: perform<CheckpointEvent>(launches.onCheckpointed),
    letIn,
    diskRead: perform(sandboxes.onDiskRead),
    sandboxesListed: perform(sandboxes.onSandboxesListed),
    sandboxRemoved: perform(sandboxes.onSandboxRemoved),
    reconnected: perform((state: AgentState) => {
      state.need = 'registration';
      return NOTHING;
    }),
    masterMessage: perform(launches.onMasterMessage),
    tellExits: perform(tellExits),
    executorMessage: perform(onExecutorMessage),
    executorUpdate: perform(launches.onExecutorUpdate),
    invalidCall: perform(launches.onInvalidCall),
    operatorCall: perform(launches.onOperatorCall),
    tick: perform(launches.onTick),
    killAll: perform(launches.onStop),
    prepareToLeave: perform(launches.onLeave),
    sayGoodbye: perform(launches.sayGoodbye),
    leave: perform(launches.leave),
  },
});

export { newAgentState };

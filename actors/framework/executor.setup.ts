/** The executor machine's vocabulary. */
import { setup } from 'xstate';
import type { ContainerEvent, Stamp, StartEvent, TickEvent } from '../events.js';
import { performer, type Batch } from '../perform.js';
import {
  newCommandExecutorState,
  onContainerEnded,
  onContainerStarted,
  onKill,
  onLaunch,
  onStart,
  onTick,
  type CommandExecutorConfig,
  type CommandExecutorEvent,
  type CommandExecutorState,
} from './command-executor.js';

export type ExecutorEvent = StartEvent | TickEvent | ContainerEvent | (CommandExecutorEvent & Stamp);

const perform = performer<CommandExecutorState, ExecutorEvent>();

export const executorSetup = setup({
  types: {} as {
    context: { state: CommandExecutorState };
    events: ExecutorEvent;
    emitted: Batch;
    input: CommandExecutorConfig;
  },
  actions: {
    start: perform(onStart),
    launch: perform(onLaunch),
    kill: perform(onKill),
    containerStarted: perform(onContainerStarted),
    containerEnded: perform(onContainerEnded),
    tick: perform(onTick),
  },
});

export { newCommandExecutorState };

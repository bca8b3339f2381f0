/** The contract that the author of an executor fills in: pure functions over a state of their own, which return calls. */
import type { ExecutorEventBody } from '../../protocol/executor-api.js';
import type { ErrorBody } from '../../protocol/errors.js';
import type { TaskInfo, TaskStatus } from '../../protocol/task.js';
import type { KillPolicy } from '../../protocol/container.js';
import type { Stamp } from '../events.js';

/** What an executor says of a task; who says it, when, and by which uuid is the driver's to add. */
export type TaskReport = Omit<TaskStatus, 'uuid' | 'timestamp' | 'source' | 'agentId' | 'executorId' | 'launchId'>;

/** What an executor asks for. */
export type ExecutorCall =
  /** Reports a task that was launched here; nothing follows a terminal state. */
  | { readonly type: 'UPDATE'; readonly status: TaskReport }
  /** Bytes for the framework's scheduler, at most once. */
  | { readonly type: 'MESSAGE'; readonly data: Uint8Array }
  /** Calls `onWake` at this time; each WAKE replaces the one before. */
  | { readonly type: 'WAKE'; readonly atMs: number }
  /** Ends the executor once the agent has every update. */
  | { readonly type: 'END' };

export type ExecutorCalls = readonly ExecutorCall[];

/**
 * An executor: it runs tasks of one framework on one agent. The driver subscribes, keeps the session, numbers updates and
 * repeats them until the agent has stored them, subscribes anew when the agent was restarted, and never gives a launch
 * twice. No function may await, read the clock or roll dice: real work is started by `onStep` of the process around it,
 * which says what came of it through `onInput`. Rules: EXC-1 to EXC-7.
 */
export interface Executor<State, Input = never> {
  onSubscribed?(
    state: State,
    subscribed: ExecutorEventBody<'SUBSCRIBED'>['subscribed'] & { readonly again: boolean },
    stamp: Stamp,
  ): ExecutorCalls;
  onLaunch(state: State, task: TaskInfo, stamp: Stamp): ExecutorCalls;
  /** May come more than once for a task, and for one that has ended. */
  onKill(state: State, taskId: string, killPolicy: KillPolicy | undefined, stamp: Stamp): ExecutorCalls;
  onMessage?(state: State, data: Uint8Array, stamp: Stamp): ExecutorCalls;
  /**
   * Everything is to end; `graceMs` later the process is killed. The driver ends it as soon as every task has ended and
   * the agent knows. Without this function it ends at once, and the agent says KILLED of what is left.
   */
  onShutdown?(state: State, graceMs: number, stamp: Stamp): ExecutorCalls;
  onWake?(state: State, stamp: Stamp): ExecutorCalls;
  /** Something from outside, given to the driver by the process around it. */
  onInput?(state: State, input: Input, stamp: Stamp): ExecutorCalls;
  /** A fatal error; the driver stops after it. */
  onError?(state: State, error: ErrorBody['error']): void;
}

/** A report of a task. */
export const update = (taskId: string, state: TaskStatus['state'], more: Partial<TaskReport> = {}): ExecutorCall => ({
  type: 'UPDATE',
  status: { ...more, taskId, state },
});

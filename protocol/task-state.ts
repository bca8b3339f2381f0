/** Which states end a task, and which may follow which. Source: the task states of Mesos. Rules: TSK-1 to TSK-4. */
import { TaskState } from './task.js';

/** All states, in the order of the schema. */
export const TASK_STATES: readonly TaskState[] = TaskState.enum;

/** States that a task never leaves. */
export const TERMINAL: ReadonlySet<TaskState> = new Set<TaskState>([
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
]);

/** Whether `state` ends a task. */
export function isTerminal(state: TaskState): boolean {
  return TERMINAL.has(state);
}

/** Anything but the beginning: the master alone makes STAGING, once; a repeated state (a health report, say) is a move too. */
const ANY_BUT_STAGING = TASK_STATES.filter((state) => state !== 'TASK_STAGING');

/**
 * The legal moves of a row of the master's or an agent's task table.
 *
 * - A terminal state is never left.
 * - The others may follow each other in any order, as executors may send any order, but none goes back to STAGING.
 * - UNREACHABLE is a guess of the master: the returned agent may tell any real state, STAGING too (an agent that left before the executor spoke).
 *   The same goes for UNKNOWN, which says that the row has no real state yet.
 */
export const LEGAL_MOVES: Readonly<Record<TaskState, readonly TaskState[]>> = {
  TASK_STAGING: ANY_BUT_STAGING,
  TASK_STARTING: ANY_BUT_STAGING,
  TASK_RUNNING: ANY_BUT_STAGING,
  TASK_KILLING: ANY_BUT_STAGING,
  TASK_FINISHED: [],
  TASK_FAILED: [],
  TASK_KILLED: [],
  TASK_ERROR: [],
  TASK_LOST: [],
  TASK_DROPPED: [],
  TASK_UNREACHABLE: TASK_STATES,
  TASK_GONE: [],
  TASK_GONE_BY_OPERATOR: [],
  TASK_UNKNOWN: TASK_STATES,
};

const LEGAL = new Map<TaskState, ReadonlySet<TaskState>>(
  TASK_STATES.map((state) => [state, new Set(LEGAL_MOVES[state])]),
);

/** Whether a task row in `from` may be set to `to`. */
export function isLegalMove(from: TaskState, to: TaskState): boolean {
  return LEGAL.get(from)?.has(to) ?? false;
}

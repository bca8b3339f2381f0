/** How the end of a task becomes an exit status. Pure. Rule: RUN-2. */
import { constants } from 'node:os';
import type { TaskState, TaskStatus } from '../protocol/task.js';

/** Exit statuses of `run` besides the task's own and 128 + n for signal n. */
export const RUN_STATUS = { timeout: 124, failed: 125, lost: 126, notFound: 127 } as const;

/** States that say nothing about the task itself: the cluster has lost it. */
const LOST: ReadonlySet<TaskState> = new Set<TaskState>([
  'TASK_DROPPED',
  'TASK_LOST',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
  'TASK_UNREACHABLE',
  'TASK_UNKNOWN',
]);

/** Whether a new launch may help. */
export const isLostForUs = ({ state }: TaskStatus): boolean => LOST.has(state);

/** 128 + the number of a signal by its name. */
export function signalExitStatus(name: string): number {
  const numbers: Readonly<Record<string, number | undefined>> = constants.signals;
  return 128 + (numbers[name] ?? 0);
}

export function exitStatusOf(status: TaskStatus): number {
  const { state, reason, exitCode, exitSignal } = status;
  if (LOST.has(state)) return RUN_STATUS.lost;
  if (state === 'TASK_FINISHED') return exitCode ?? 0;
  if (reason === 'REASON_MAX_COMPLETION_TIME_REACHED') return RUN_STATUS.timeout;
  if (reason === 'REASON_CONTAINER_LAUNCH_FAILED') return isNotFound(status) ? RUN_STATUS.notFound : RUN_STATUS.failed;
  if (exitSignal !== undefined) return signalExitStatus(exitSignal);
  // Killed, and it made the best of it: that is no success of the job.
  if (state === 'TASK_KILLED') return exitCode === undefined || exitCode === 0 ? signalExitStatus('SIGTERM') : exitCode;
  return exitCode === undefined || exitCode === 0 ? RUN_STATUS.failed : exitCode;
}

/** A shell says 127 then, and so do we when there is no shell. */
const isNotFound = ({ message }: TaskStatus): boolean => message?.includes('ENOENT') === true;

/** Why a task did not end well, as a phrase; `undefined` when it did, or when its own status says it all. */
export function troubleOf({ state, reason, message, exitSignal }: TaskStatus): string | undefined {
  if (LOST.has(state)) return `is ${lostWord(state)}${message === undefined ? '' : ` (${message.replace(/\.$/, '')})`}`;
  if (reason === 'REASON_MAX_COMPLETION_TIME_REACHED') return 'ran out of time and was killed';
  if (reason === 'REASON_CONTAINER_LAUNCH_FAILED') return `could not be started: ${message ?? 'no reason is known'}`;
  if (state === 'TASK_ERROR') return `was refused: ${message ?? 'no reason is known'}`;
  if (state === 'TASK_KILLED') return 'was killed';
  return exitSignal === undefined ? undefined : `was ended by ${exitSignal}`;
}

const lostWord = (state: TaskState): string => state.replace('TASK_', '').toLowerCase().replaceAll('_', ' ');

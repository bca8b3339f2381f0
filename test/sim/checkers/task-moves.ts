/** TSK-1: as a scheduler is told it, a task never leaves a terminal state. */
import { isTerminal } from '../../../protocol/task-state.js';
import type { TaskState } from '../../../protocol/task.js';
import { isRecordLost, type Checker, type Scene } from './checker.js';

/** What a master says of a task that it does not know (any more): not a state of the launch. */
const UNKNOWN_TO_MASTER: ReadonlySet<TaskState> = new Set<TaskState>([
  'TASK_GONE',
  'TASK_UNKNOWN',
  'TASK_LOST',
  'TASK_DROPPED',
]);

export function taskMoves(scene: Scene): Checker {
  /** By task id, each of which is launched once. */
  const ends = new Map<string, TaskState>();
  return {
    rules: ['TSK-1'],
    onTold: (node, _own, { taskId, state, launchId, source }) => {
      const end = ends.get(taskId);
      if (end === undefined) {
        if (isTerminal(state)) ends.set(taskId, state);
        return;
      }
      if (state === end) return;
      // What its agent knew of it was lost with the power: it can only say how it looks now.
      if (launchId !== undefined && isRecordLost(scene, launchId)) return;
      // A leader that has not heard of the end may guess so, if the agent is away; the guess has no uuid.
      if (state === 'TASK_UNREACHABLE' && source === 'SOURCE_MASTER') return;
      if (launchId === undefined && source === 'SOURCE_MASTER' && UNKNOWN_TO_MASTER.has(state)) return;
      scene.fail('TSK-1', `${node} is told that ${taskId} (${launchId ?? '?'}) is ${state} after ${end}`);
    },
  };
}

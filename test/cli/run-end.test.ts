import test from 'ava';
import type { TaskStatus } from '../../protocol/task.js';
import { exitStatusOf, isLostForUs, troubleOf } from '../../cli/run-end.js';

const CASES: readonly [string, Partial<TaskStatus> & Pick<TaskStatus, 'state'>, number][] = [
  ['its own 0', { state: 'TASK_FINISHED', exitCode: 0 }, 0],
  ['its own 3', { state: 'TASK_FAILED', exitCode: 3, reason: 'REASON_COMMAND_EXECUTOR_FAILED' }, 3],
  ['128 and the signal', { state: 'TASK_FAILED', exitSignal: 'SIGKILL' }, 137],
  [
    '124 for a time-out',
    { state: 'TASK_FAILED', exitSignal: 'SIGTERM', reason: 'REASON_MAX_COMPLETION_TIME_REACHED' },
    124,
  ],
  ['143 for one that was killed', { state: 'TASK_KILLED', exitSignal: 'SIGTERM' }, 143],
  ['143 for one that was killed and ended with 0', { state: 'TASK_KILLED', exitCode: 0 }, 143],
  ['its own for one that was killed and did not', { state: 'TASK_KILLED', exitCode: 5 }, 5],
  ['125 for one that was refused', { state: 'TASK_ERROR', reason: 'REASON_TASK_INVALID' }, 125],
  [
    '125 for one that could not be started',
    { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED', message: 'EACCES' },
    125,
  ],
  [
    '127 for no such program',
    { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED', message: 'spawn x ENOENT' },
    127,
  ],
  ['126 for one that is lost', { state: 'TASK_GONE' }, 126],
  ['126 for one that was dropped', { state: 'TASK_DROPPED' }, 126],
];

for (const [what, status, expected] of CASES)
  test(`RUN-2 the exit status is ${what}`, (t) => {
    t.is(exitStatusOf({ taskId: 'x', ...status }), expected);
  });

test('RUN-3 what is lost is told from what failed', (t) => {
  t.true(isLostForUs({ taskId: 'x', state: 'TASK_UNREACHABLE' }));
  t.false(isLostForUs({ taskId: 'x', state: 'TASK_FAILED' }));
});

test('RUN-8 the trouble of a task is a phrase, and a plain exit status none', (t) => {
  t.is(troubleOf({ taskId: 'x', state: 'TASK_FAILED', exitCode: 3 }), undefined);
  t.is(troubleOf({ taskId: 'x', state: 'TASK_FAILED', exitSignal: 'SIGKILL' }), 'was ended by SIGKILL');
  t.regex(
    troubleOf({ taskId: 'x', state: 'TASK_GONE_BY_OPERATOR', message: 'why.' }) ?? '',
    /^is gone by operator \(why\)$/,
  );
});

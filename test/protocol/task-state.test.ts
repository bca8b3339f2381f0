import test from 'ava';
import { StatusReason } from '../../protocol/task.js';
import { isLegalMove, isTerminal, LEGAL_MOVES, TASK_STATES, TERMINAL } from '../../protocol/task-state.js';

const alive = TASK_STATES.filter((state) => !isTerminal(state));

test('TSK-1: there are 14 states, 8 of them final, and a final one is never left', (t) => {
  t.is(new Set(TASK_STATES).size, 14);
  t.is(TERMINAL.size, 8);
  t.is(StatusReason.enum.length, 35);
  t.deepEqual(Object.keys(LEGAL_MOVES).sort(), [...TASK_STATES].sort());
  for (const from of TERMINAL) for (const to of TASK_STATES) t.false(isLegalMove(from, to), `${from} ${to}`);
});

test('TSK-2: no task goes back to STAGING, but one whose state was a guess', (t) => {
  for (const from of TASK_STATES)
    t.is(isLegalMove(from, 'TASK_STAGING'), from === 'TASK_UNREACHABLE' || from === 'TASK_UNKNOWN', from);
});

test('TSK-3: states before the end follow each other in any order, and each may end in any way', (t) => {
  for (const from of alive)
    for (const to of TASK_STATES) if (to !== 'TASK_STAGING') t.true(isLegalMove(from, to), `${from} ${to}`);
});

test('TSK-4: an unreachable task may turn out to be in any state', (t) => {
  for (const to of TASK_STATES) t.true(isLegalMove('TASK_UNREACHABLE', to));
});

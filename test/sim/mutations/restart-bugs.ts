/** Planted bugs of agents that are to survive the death of their process, and of peers that lie. */
import type { Bug } from './bugs.js';

const EXECUTOR = 'actors/framework/command-executor.ts';
const UPDATES = 'actors/agent/updates.ts';

const bug = (name: string, rule: string, file: string, ...texts: readonly (readonly [string, string])[]): Bug => ({
  name,
  rule,
  patches: texts.map(([search, replace]) => ({ file, search, replace })),
});

export const RESTART_BUGS: readonly Bug[] = [
  bug('agent: that a launch is over is not stored', 'UPD-1', UPDATES, [
    'return persist(state, [...gone, rememberEnd(state, launchId, end, now)], (current, at) => {',
    'return persist(state, gone.length === 0 ? [] : [rememberEnd(state, launchId, end, now)], (current, at) => {',
  ]),
  bug('agent: that RUNNING is acknowledged is not stored', 'UPD-1', UPDATES, [
    "  state.deadlines.setEarliest('save', now + SAVE_GATHER_MS);\n",
    '',
  ]),
  bug('agent: a new life adopts nothing', 'KIL-2', 'actors/agent/recovery.ts', [
    'if (task === undefined || isTerminal(state)) return [];',
    'if (task !== undefined || isTerminal(state)) return [];',
  ]),
  bug('agent: the epoch is not stored', 'EPO-4', 'actors/agent/door.ts', [
    'return persist(state, [agentWrite(epoch, agentId)], (current) => {',
    'return persist(state, [agentWrite(0, agentId)], (current) => {',
  ]),
  bug('executor: RUNNING is told by each life', 'AGS-5', EXECUTOR, [
    '  if (row.runningAtMs === undefined) {\n',
    '  {\n',
  ]),
  bug('executor: what is recovered is started, not adopted', 'LCH-1', EXECUTOR, [
    "return [{ type: 'adoptContainers', containers }];",
    "return [\n    { type: 'adoptContainers', containers },\n    ...containers.map((spec) => ({ type: 'launchContainer' as const, spec })),\n  ];",
  ]),
  bug('executor: a container that was lost is FINISHED', 'EXE-3', EXECUTOR, [
    "if (event.lost === 'wrapper' || event.neverStarted === true)\n    return { state: 'TASK_FAILED'",
    "if (event.lost === 'wrapper' || event.neverStarted === true)\n    return { state: 'TASK_FINISHED'",
  ]),
  bug('executor: a machine that was restarted finished its tasks', 'EXE-3', EXECUTOR, [
    "if (event.lost === 'machine') return { state: 'TASK_FAILED'",
    "if (event.lost === 'machine') return { state: 'TASK_FINISHED'",
  ]),
  bug('master: an update of any agent counts', 'UPD-5', 'actors/master/tasks.ts', [
    'if (isOfAnother || isOdd',
    'if (isOdd',
  ]),
];

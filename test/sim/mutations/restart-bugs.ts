/** Planted bugs of agents that are to survive the death of their process, and of peers that lie. */
import type { Bug } from './bugs.js';

const EXECUTOR = 'actors/framework/command-executor.ts';
const LAUNCHES = 'actors/agent/launches.ts';
const UPDATES = 'actors/agent/updates.ts';

const bug = (name: string, rule: string, file: string, ...texts: readonly (readonly [string, string])[]): Bug => ({
  name,
  rule,
  patches: texts.map(([search, replace]) => ({ file, search, replace })),
});

/** What an update waits for. */
const UPDATE_STORED = `return persist(state, writes, (current, at) => [
    ...onUpdateStored(current, row, status.state, at),
    ...then(current, at),
  ]);`;

export const RESTART_BUGS: readonly Bug[] = [
  bug(
    'agent: a launch is told to its executor before it is stored',
    'AGS-1',
    LAUNCHES,
    [
      'return persist(state, [write], (current) => {\n    // The next life starts it.',
      "const agentId = state.agentId ?? '';\n  const early = tell({ type: 'agent.LAUNCH', launchId, frameworkId, agentId, task, sendKilling, user });\n  return [early, ...persist(state, [write], (current) => {",
    ],
    [
      "return [tell({ type: 'agent.LAUNCH', launchId, frameworkId, agentId, task, sendKilling, user })];\n  });",
      'return NOTHING; })];',
    ],
  ),
  bug('agent: an update is sent before it is stored', 'AGS-1', UPDATES, [
    UPDATE_STORED,
    'return [...onUpdateStored(state, row, status.state, now), ...persist(state, writes, then)];',
  ]),
  bug('agent: a kill is carried out before it is stored', 'AGS-1', LAUNCHES, [
    "          ? [tell({ type: 'agent.KILL', launchId: row.launchId, killPolicy })]\n          : killOnExecutor(current, row, killPolicy, at),\n      ),\n  );",
    "          ? []\n          : killOnExecutor(current, row, killPolicy, at),\n      ),\n  ).concat(sooner.map(({ launchId }) => tell({ type: 'agent.KILL', launchId, killPolicy })));",
  ]),
  bug('agent: the end of a container may be forgotten before it is stored', 'AGS-8', UPDATES, [
    UPDATE_STORED,
    `return [{ type: 'forgetContainer', containerId: row.launchId }, ...${UPDATE_STORED.slice('return '.length, -1)}];`,
  ]),
  bug('agent: a new life has forgotten what is over', 'AGS-6', 'actors/agent/recovery.ts', [
    'ended: new Map(ended.map(',
    'ended: new Map(ended.slice(0, 0).map(',
  ]),
  bug('agent: the low-water mark is ignored', 'AGS-6', 'actors/agent/ended.ts', [
    'return place !== undefined && place.counter <= (state.lowWater.get(place.epoch) ?? 0);',
    'return false;',
  ]),
  bug('agent: the low-water mark is not stored', 'AGS-6', 'actors/agent/ended.ts', [
    "    writes.push({ key: checkpointKey('lowWater', String(epoch)), value });\n",
    '',
  ]),
  bug('agent: who leaves kills what it runs', 'KIL-2', LAUNCHES, [
    "export function onLeave(state: AgentState): Effects {\n  state.stopping = 'leaving';\n  return save(state);",
    "export function onLeave(state: AgentState, { now }: Stamp): Effects {\n  state.stopping = 'leaving';\n  return [...save(state), ...killAll(state, now)];",
  ]),
  bug('executor: a kill of an earlier life is forgotten', 'AGS-4', 'actors/agent/recovery.ts', [
    '      kill: stream?.kill,\n',
    '      kill: undefined,\n',
  ]),
  bug('agent: that a launch is over is not stored', 'UPD-1', UPDATES, [
    'return persist(state, [...gone, rememberEnd(state, launchId, end, now)], (current, at) => {',
    'return persist(state, [rememberEnd(state, launchId, end, now)], (current, at) => {',
  ]),
  bug('agent: that RUNNING is acknowledged is not stored', 'UPD-1', UPDATES, [
    "  state.deadlines.setEarliest('save', now + SAVE_GATHER_MS);\n",
    '',
  ]),
  bug('agent: a new life adopts nothing', 'KIL-2', 'actors/agent/recovery.ts', [
    'if (task === undefined || launch.containerId !== undefined || isTerminal(state)) return [];',
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

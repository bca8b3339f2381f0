/** Planted bugs, each a small patch of a source text, with the rule whose checker must catch it. */
import { RESTART_BUGS } from './restart-bugs.js';
import { SILENCE_BUGS } from './silence-bugs.js';

export interface Patch {
  /** From the root of the package. */
  readonly file: string;
  /** Must be there exactly once. */
  readonly search: string;
  readonly replace: string;
}

export interface Bug {
  readonly name: string;
  readonly rule: string;
  readonly patches: readonly Patch[];
  /** It takes hundreds of seeds to show itself: only `main` hunts it. */
  readonly rare?: boolean;
}

const one = (name: string, rule: string, file: string, search: string, replace: string): Bug => ({
  name,
  rule,
  patches: [{ file, search, replace }],
});

const rare = (bug: Bug): Bug => ({ ...bug, rare: true });

export const BUGS: readonly Bug[] = [
  ...RESTART_BUGS,
  ...SILENCE_BUGS,
  one(
    'master: RUN_TASK before the row is stored',
    'REG-3',
    'actors/master/accept.ts',
    'return persist(state, writes, (current, now, { stored }) => {',
    'task.stored = true; return onTaskStored(state, task, walk.cause, 0).concat(persist(state, writes, () => []));\n  return persist(state, writes, (current, now, { stored }) => {',
  ),
  {
    name: 'master: terminal acknowledgement before the row is deleted',
    rule: 'REG-3',
    patches: [
      {
        file: 'actors/master/tasks.ts',
        search:
          "return persist(state, [{ key: registryKey('task', task.launchId) }], (current, _now, { deleted }) => {\n    forgetTask(current, task);",
        replace:
          "const early = acknowledgeToAgent(undefined, state, task.agentId, { frameworkId: task.frameworkId, status }, cause);\n  return [...early, ...persist(state, [{ key: registryKey('task', task.launchId) }], (current, _now, { deleted }) => {\n    forgetTask(current, task);",
      },
      {
        file: 'actors/master/tasks.ts',
        search: 'return [...word, ...removeIfDone(current, task.frameworkId)];\n  });',
        replace: 'return [...word, ...removeIfDone(current, task.frameworkId)];\n  })];',
      },
    ],
  },
  one(
    'master: UNREACHABLE is told before it is stored',
    'REG-3',
    'actors/master/silence.ts',
    'return [...effects, ...mark];',
    'return [...effects, ...tellUnreachable(state, agent, now), ...mark];',
  ),
  one(
    'master: an epoch is used again',
    'EPO-1',
    'actors/master/leadership.ts',
    'Math.max(isFuture ? 0 : stored + state.claimGap, state.epoch, Math.floor(now)) + 1',
    '(state.epochRecord?.epoch ?? 1)',
  ),
  {
    name: 'master: writes under the fence of its successor',
    rule: 'REG-1',
    patches: [
      {
        file: 'runtime/registrar.ts',
        search: 'if (masterId !== this.#record?.masterId) return this.#end();',
        replace: '',
      },
      {
        file: 'actors/master/leadership.ts',
        search: '  const record = state.epochRecord;\n',
        replace: "  if (state.masterId !== '') return NOTHING;\n  const record = state.epochRecord;\n",
      },
    ],
  },
  rare(
    one(
      'master: tells the end of a task before its agent does',
      'TSK-1',
      'actors/master/tasks.ts',
      'return isTerminal(task.state) ? undefined : task.state;',
      'return task.state;',
    ),
  ),
  rare(
    one(
      'master: a removed framework without tasks is kept at takeover',
      'SIM-13',
      'actors/master/recovery.ts',
      'const done = [...state.frameworks.keys()].flatMap((frameworkId) => removeIfDone(state, frameworkId));',
      'const done: Effects = [];',
    ),
  ),
  rare(
    one(
      'master: acknowledges for a framework whose removal is not stored',
      'UPD-1',
      'actors/master/tasks.ts',
      'if (framework?.removed === true && !framework.removalStored) return NOTHING;',
      '',
    ),
  ),
  rare(
    one(
      'master: asks again for a launch whose deletion is on its way',
      'REG-3',
      'actors/master/agents.ts',
      '!task.deleting && ',
      '',
    ),
  ),
  one(
    'master: a scheduler that asks twice is told that it is the older one',
    'LNK-2',
    'actors/master/frameworks.ts',
    'framework.connected && isAnother ? framework.link.session',
    'framework.connected ? framework.link.session',
  ),
  rare(
    one(
      'master: filters outlast a subscription',
      'SIM-13',
      'actors/master/frameworks.ts',
      'state.allocator.revive(frameworkId, []);',
      '',
    ),
  ),
  one(
    'allocator: REVIVE ends the pauses too',
    'ALC-4',
    'actors/master/allocator/count-allocator.ts',
    'for (const damper of this.#dampers.get(frameworkId)?.values() ?? []) damper.untilMs = damper.pausedUntilMs;',
    'this.#dampers.get(frameworkId)?.clear();',
  ),
  one(
    'master: a framework for each question',
    'LCH-4',
    'actors/master/frameworks.ts',
    'named === undefined ? askedBefore(state, meta) : state.frameworks.get(named)',
    'named === undefined ? undefined : state.frameworks.get(named)',
  ),
  one(
    'allocator: what is granted stays free',
    'ALC-1',
    'actors/master/allocator/count-allocator.ts',
    '      agent.free = Resources.empty;\n',
    '',
  ),
  one(
    'allocator: no pause after a refusal',
    'ALC-4',
    'actors/master/allocator/count-allocator.ts',
    'const pausedUntilMs = nowMs + pauseMs;',
    'const pausedUntilMs = nowMs;',
  ),
  {
    name: 'agent and link: a repeated RUN_TASK is run',
    rule: 'LCH-1',
    patches: [
      {
        file: 'actors/link.ts',
        search: 'if (message.sequence === link.seen + (message.parts ?? 1)) {',
        replace: 'if (message.sequence <= link.seen + (message.parts ?? 1)) {',
      },
      {
        file: 'actors/agent/launches.ts',
        search: 'if (state.launches.has(launchId) || isRefused(state, launchId)) return NOTHING;',
        replace: '',
      },
    ],
  },
  one(
    'link: a gap is not seen',
    'SIM-13',
    'actors/link.ts',
    'if (message.sequence === link.seen + (message.parts ?? 1)) {',
    'if (message.sequence > link.seen) {',
  ),
  one(
    'link: messages outside sessions are numbered',
    'LNK-1',
    'runtime/outbound.ts',
    'if (session === NO_SESSION) return 0;',
    '',
  ),
  rare(
    one(
      'member: lower epochs are let through',
      'EPO-2',
      'actors/member.ts',
      "if (epoch < member.epoch) return 'stale';",
      "if (epoch < member.epoch) return 'known';",
    ),
  ),
  one(
    'agent: an acknowledgement counts for whatever is outstanding',
    'UPD-1',
    'actors/agent/updates.ts',
    'head?.uuid === undefined || hex(head.uuid) !== hex(body.uuid)',
    'head?.uuid === undefined',
  ),
  one(
    'agent: the newest update goes first',
    'UPD-5',
    'actors/agent/updates.ts',
    '  const [status] = row.updates;\n',
    '  const status = row.updates.at(-1);\n',
  ),
  one(
    'agent: kills everything when its master is silent',
    'KIL-2',
    'actors/agent/registration.ts',
    "state.deadlines.set('silence', now + silenceMs(state));\n  state.need = 'registration';",
    "state.deadlines.set('silence', now + silenceMs(state));\n  state.need = 'end';",
  ),
  one(
    'agent: does not remember what an earlier life ran',
    'LCH-4',
    'actors/agent/recovery.ts',
    'for (const { launch, stream } of launchesOf(records)) {',
    'for (const { launch, stream } of launchesOf([])) {',
  ),
  one(
    'agent: does not remember what is over',
    'AGS-6',
    'actors/agent/ended.ts',
    '  if (state.ended.has(launchId)) return true;\n',
    '',
  ),
  rare(
    one(
      'executor: what was lost is taken for never started',
      'LCH-1',
      'actors/framework/command-executor.ts',
      "if (event.neverStarted === true && row.state === 'ADOPTING' && row.runningAtMs === undefined)",
      "if ((event.neverStarted === true || event.lost !== undefined) && row.state === 'ADOPTING')",
    ),
  ),
  one(
    'executor: any exit is FINISHED',
    'EXE-3',
    'actors/framework/command-executor.ts',
    "if (exitCode === 0) return { state: 'TASK_FINISHED', ...exit };",
    "if (exitCode !== undefined) return { state: 'TASK_FINISHED', ...exit };",
  ),
  one(
    'executor: a task that was killed in the queue starts',
    'LCH-4',
    'actors/framework/command-executor.ts',
    'function cancel(state: CommandExecutorState, row: CommandRow): Effects {\n  forget(state, row);\n',
    'function cancel(_state: CommandExecutorState, row: CommandRow): Effects {\n',
  ),
  one(
    'scheduler: asks for nothing after it subscribed anew',
    'SIM-13',
    'actors/framework/scheduler-driver.ts',
    'for (const taskId of state.live.keys()) state.unsure.add(taskId);',
    '',
  ),
  one(
    'registrar: a write without an answer counts as stored',
    'REG-3',
    'runtime/registrar.ts',
    "if (outcome === 'stored') return this.#settle",
    "if (outcome !== 'busy') return this.#settle",
  ),
  one(
    'registrar: what the watch has not delivered by the barrier counts as stored',
    'REG-3',
    'runtime/registrar.ts',
    'this.#pending.filter((decision) => !this.#hasHappened(decision))',
    'this.#pending.filter(() => false)',
  ),
];

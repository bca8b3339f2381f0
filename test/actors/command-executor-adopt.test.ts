/** What the command executor does with what earlier lives of its agent had begun. */
import test from 'ava';
import type { ExecutorUpdate, RecoveredLaunch } from '../../actors/framework/command-executor.js';
import type { Effect } from '../../actors/effect.js';
import { NOW, ofType, words } from '../support/actor-kit.js';
import { ExecutorKit } from '../support/agent-kit.js';
import { taskInfo } from '../support/master-kit.js';

const reports = (effects: readonly Effect[]) => ofType(effects, 'tell').map(({ event }) => event as ExecutorUpdate);
const specs = (effects: readonly Effect[]) => ofType(effects, 'launchContainer').map(({ spec }) => spec);
const signals = (effects: readonly Effect[]) => ofType(effects, 'signalContainer').map(({ signal }) => signal);

const recovered = (launchId: string, given: Partial<RecoveredLaunch> = {}): RecoveredLaunch => ({
  launchId,
  frameworkId: '5-0001',
  agentId: '5-S1',
  task: taskInfo('5-S1', { taskId: `t-${launchId}` }),
  sendKilling: false,
  user: 'u',
  runningAtMs: undefined,
  kill: undefined,
  toldKilling: false,
  ...given,
});
const reborn = (...launches: RecoveredLaunch[]): ExecutorKit => new ExecutorKit({ recovered: launches });

test('AGS-2: what earlier lives had begun is taken back once, before anything else, even if it is nothing', (t) => {
  t.deepEqual(new ExecutorKit().begun, [{ type: 'adoptContainers', containers: [] }]);
  const kit = reborn(recovered('L1'), recovered('L2'));
  const [adopt, ...more] = ofType(kit.begun, 'adoptContainers');
  t.deepEqual(more, []);
  const [spec] = specs(new ExecutorKit().launch('L1', {}, false, 'u'));
  t.deepEqual(adopt?.containers[0], spec, 'it is the container that would have been launched');
  t.deepEqual(adopt?.containers.map(({ containerId }) => containerId), ['L1', 'L2']); // prettier-ignore
  t.deepEqual(words(kit.pass(3_600_000)), [], 'nobody fails for waiting');
});

test('AGS-2: a container that is found running without a recorded RUNNING gets one, another gets none', (t) => {
  const kit = reborn(recovered('L1'), recovered('L2', { runningAtMs: NOW - 5_000 }));
  t.like(reports(kit.started('L1'))[0]?.status, { state: 'TASK_RUNNING', containerStatus: { executorPid: 77 } });
  t.deepEqual(words(kit.started('L2')), []);
  for (const launchId of ['L1', 'L2'])
    t.like(reports(kit.ended(launchId, { exitCode: 0 }))[0]?.status, { state: 'TASK_FINISHED', exitCode: 0 });
});

test('AGS-2: what had not started is started like any other', (t) => {
  const kit = new ExecutorKit({ maxStarting: 1, recovered: [recovered('L1'), recovered('L2')] });
  t.deepEqual(specs(kit.ended('L1', { neverStarted: true })).map(({ containerId }) => containerId), ['L1']); // prettier-ignore
  t.deepEqual(words(kit.ended('L2', { neverStarted: true })), [], 'it queues');
  t.deepEqual(specs(kit.started('L1')).map(({ containerId }) => containerId), ['L2']); // prettier-ignore
});

test('AGS-2 EXE-5: what had not started and is not wanted any more never starts', (t) => {
  const kit = reborn(recovered('L1', { kill: { requestedAtMs: NOW, graceMs: 1_000 } }), recovered('L2'));
  const effects = kit.ended('L1', { neverStarted: true });
  t.deepEqual(specs(effects), []);
  t.like(reports(effects)[0]?.status, { state: 'TASK_KILLED', reason: 'REASON_TASK_KILLED_DURING_LAUNCH' });
  kit.kill('L2', 1_000);
  t.like(reports(kit.ended('L2', { neverStarted: true }))[0]?.status, { state: 'TASK_KILLED' });
  t.is(kit.dueAtMs, undefined);
});

test('LCH-1 AGS-3: what was told as running does not start again, whatever is said of it', (t) => {
  const kit = reborn(recovered('L1', { runningAtMs: NOW - 1 }));
  const effects = kit.ended('L1', { neverStarted: true });
  t.deepEqual(specs(effects), []);
  t.like(reports(effects)[0]?.status, { state: 'TASK_FAILED', reason: 'REASON_EXECUTOR_TERMINATED' });
});

test('AGS-3: an end of which nobody knows how it was is FAILED and says so, unless it was asked for', (t) => {
  const machine = { reason: 'REASON_AGENT_RESTARTED', message: 'The machine was restarted' } as const;
  const wrapper = { reason: 'REASON_EXECUTOR_TERMINATED', message: 'Command ended, exit status unknown' } as const;
  for (const [lost, said] of [
    ['machine', machine],
    ['wrapper', wrapper],
  ] as const) {
    // prettier-ignore
    const kit = reborn(recovered('L1', { runningAtMs: NOW }), recovered('L2', { kill: { requestedAtMs: NOW, graceMs: 0 } })); // prettier-ignore
    t.deepEqual(reports(kit.ended('L1', { lost }))[0]?.status, { state: 'TASK_FAILED', ...said }, lost);
    t.deepEqual(reports(kit.ended('L2', { lost }))[0]?.status, { state: 'TASK_KILLED', message: said.message }, lost);
    kit.launch('L3');
    kit.started('L3');
    t.like(reports(kit.ended('L3', { lost }))[0]?.status, { state: 'TASK_FAILED', ...said }, 'in this life too');
  }
});

test('AGS-4 KIL-1: a kill of an earlier life goes on: SIGTERM again, SIGKILL when what was left is over, repeated', (t) => {
  const kill = { requestedAtMs: NOW - 2_000, graceMs: 10_000 };
  const kit = reborn(recovered('L1', { runningAtMs: NOW - 3_000, kill, sendKilling: true }));
  t.deepEqual(words(kit.started('L1')), ['tell commandExecutor.UPDATE', 'signalContainer SIGTERM']);
  t.deepEqual(signals(kit.pass(7_999)), []);
  t.deepEqual(signals(kit.pass(1)), ['SIGKILL']);
  t.deepEqual(signals(kit.pass(2_000)), ['SIGKILL', 'SIGKILL']);
  t.like(reports(kit.ended('L1', { exitCode: 0 }))[0]?.status, { state: 'TASK_KILLED', exitCode: 0 });
  t.is(kit.dueAtMs, undefined);
  const told = reborn(recovered('L1', { runningAtMs: NOW, kill, sendKilling: true, toldKilling: true }));
  t.deepEqual(words(told.started('L1')), ['signalContainer SIGTERM'], 'KILLING is told once');
});

test('AGS-4: what is left of a deadline is never more than the whole of it, nor less than nothing', (t) => {
  for (const [requestedAtMs, leftMs] of [
    [NOW + 3_600_000, 10_000],
    [NOW - 3_600_000, 0],
  ] as const) {
    // prettier-ignore
    const kit = reborn(recovered('L1', { runningAtMs: NOW, kill: { requestedAtMs, graceMs: 10_000 } }));
    if (leftMs > 0) t.deepEqual(signals(kit.pass(leftMs - 1)), []);
    t.deepEqual(signals(kit.pass(leftMs > 0 ? 1 : 0)), ['SIGKILL']);
  }
});

test('AGS-4: maxCompletionTime counts from the RUNNING that was told, in whichever life', (t) => {
  const task = taskInfo('5-S1', { maxCompletionTime: { nanoseconds: 10e9 } });
  for (const [runningAtMs, leftMs] of [
    [NOW - 4_000, 6_000],
    [NOW - 60_000, 0],
    [NOW + 60_000, 10_000],
    [undefined, 10_000],
  ] as const) {
    // prettier-ignore
    const kit = reborn(recovered('L1', { task, runningAtMs }));
    kit.started('L1');
    if (leftMs > 0) t.deepEqual(signals(kit.pass(leftMs - 1)), [], `${leftMs}`);
    t.deepEqual(signals(kit.pass(leftMs > 0 ? 1 : 0)), ['SIGTERM'], `${leftMs}`);
    t.like(reports(kit.ended('L1', {}))[0]?.status, { state: 'TASK_FAILED', reason: 'REASON_MAX_COMPLETION_TIME_REACHED' }); // prettier-ignore
  }
});

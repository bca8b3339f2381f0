import test from 'ava';
import { SANDBOX_PATTERN } from '../../actors/agent/sandboxes.js';
import type { Effect } from '../../actors/effect.js';
import { sandboxOf } from '../../actors/framework/container-of.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import { reborn, registeredAgent, updates, type AgentKit } from '../support/agent-kit.js';

const DAY_MS = 24 * 3_600_000;
const { diskWatchMs, sandboxKeepMs } = DEFAULT_TIMINGS;

const sandbox = (launchId: string): string => sandboxOf('5-0001', `t-${launchId}`, launchId);

const removals = (effects: readonly Effect[]): string[] =>
  effects.flatMap((effect) => (effect.type === 'removeSandbox' ? [effect.path] : []));

const diskRead = (kit: AgentKit, usedShare: number | undefined): string[] =>
  removals(kit.send({ type: 'DISK_READ', usedShare } as never));

const listed = (kit: AgentKit, sandboxes: readonly (readonly [path: string, mtimeMs: number])[]): Effect[] =>
  kit.send({ type: 'SANDBOXES_LISTED', sandboxes: sandboxes.map(([path, mtimeMs]) => ({ path, mtimeMs })) } as never);

const removed = (kit: AgentKit, path: string, isGone = true): string[] =>
  removals(kit.send({ type: 'SANDBOX_REMOVED', path, isGone } as never));

/** Runs a launch to its end; without the acknowledgement gives the update that waits for it. */
function end(kit: AgentKit, launchId: string): Parameters<AgentKit['acknowledge']>[0] {
  kit.run(launchId);
  const [status] = updates(kit.report(launchId, 'TASK_FAILED'));
  if (status === undefined) throw new Error('no update');
  return status;
}

function finish(kit: AgentKit, launchId: string): void {
  kit.acknowledge(end(kit, launchId));
}

test('GBC-1: the sandbox of an ended launch stays for a week on an empty disk, less headroom', (t) => {
  const kit = registeredAgent();
  finish(kit, '5-L1');
  kit.now += 0.9 * sandboxKeepMs;
  t.deepEqual(diskRead(kit, 0), []);
  kit.now += 1;
  t.deepEqual(diskRead(kit, 0), [sandbox('5-L1')]);
});

test('GBC-1: the fuller the disk, the less of them stay, the oldest going first; from nine tenths on none', (t) => {
  const kit = registeredAgent();
  for (const launchId of ['5-L1', '5-L2', '5-L3']) {
    finish(kit, launchId);
    kit.now += DAY_MS;
  }
  t.deepEqual(diskRead(kit, 0.4), []);
  // 0.35 of a week are 2.45 days.
  t.deepEqual(diskRead(kit, 0.55), [sandbox('5-L1')]);
  t.deepEqual(diskRead(kit, 0.55), [], 'once is enough');
  t.deepEqual(diskRead(kit, 0.9), [sandbox('5-L2'), sandbox('5-L3')]);
});

test('GBC-1: of a disk that cannot be measured only the age counts', (t) => {
  const kit = registeredAgent();
  finish(kit, '5-L1');
  kit.now += sandboxKeepMs;
  t.deepEqual(diskRead(kit, undefined), []);
  kit.now += 1;
  t.deepEqual(diskRead(kit, undefined), [sandbox('5-L1')]);
});

test('GBC-2: a live launch, and one whose end is not acknowledged or stored, keeps its sandbox on the fullest disk', (t) => {
  const kit = registeredAgent();
  kit.run('5-L1');
  kit.report('5-L1', 'TASK_RUNNING');
  const status = end(kit, '5-L2');
  listed(kit, [
    [sandbox('5-L1'), 0],
    [sandbox('5-L2'), 0],
  ]);
  kit.now += 10 * sandboxKeepMs;
  t.deepEqual(diskRead(kit, 1), []);
  kit.storesAtOnce = false;
  kit.acknowledge(status);
  t.deepEqual(diskRead(kit, 1), [], 'after a death now it would be unacknowledged again');
  kit.storedAll();
  kit.now += 1;
  t.deepEqual(diskRead(kit, 1), [sandbox('5-L2')]);
});

test('GBC-2: a launch that is adopted from an earlier life keeps its sandbox', (t) => {
  const kit = registeredAgent();
  kit.run('5-L1');
  kit.report('5-L1', 'TASK_RUNNING');
  const next = reborn(kit);
  listed(next, [[sandbox('5-L1'), 0]]);
  next.now += 10 * sandboxKeepMs;
  t.deepEqual(diskRead(next, 1), []);
});

test('GBC-2: an end that the master asks for again has to be acknowledged again', (t) => {
  const kit = registeredAgent();
  finish(kit, '5-L1');
  kit.now += 10 * sandboxKeepMs;
  kit.send({ type: 'RECONNECTED' });
  const [status] = updates(kit.answer([{ launchId: '5-L1', taskId: 't-5-L1', frameworkId: '5-0001' }]));
  t.deepEqual(diskRead(kit, 1), []);
  if (status === undefined) throw new Error('no update');
  kit.acknowledge(status);
  t.deepEqual(diskRead(kit, 1), [sandbox('5-L1')]);
});

test('GBC-2: a launch that never had a sandbox asks for no removal', (t) => {
  const kit = registeredAgent();
  const [status] = updates(kit.hear('KILL_TASK', { frameworkId: '5-0001', taskId: 't', launchId: '5-L9' }));
  if (status === undefined) throw new Error('no update');
  kit.acknowledge(status);
  kit.now += 10 * sandboxKeepMs;
  t.deepEqual(diskRead(kit, 1), []);
});

test('GBC-3: the disk is looked at once a minute, in every state', (t) => {
  const kit = registeredAgent();
  const looks = (effects: readonly Effect[]): number => effects.filter(({ type }) => type === 'readDisk').length;
  t.is(looks(kit.pass(diskWatchMs - 1)), 0);
  t.is(looks(kit.pass(1)), 1);
  t.is(looks(kit.pass(10 * diskWatchMs)), 10);
  t.not(kit.value, 'running');
});

test('GBC-4: an agent asks at its start what is there; what no launch owns goes by the time of its last change', (t) => {
  const kit = registeredAgent();
  const asked = kit.all.filter(({ type }) => type === 'listSandboxes');
  t.deepEqual(asked, [{ type: 'listSandboxes', pattern: SANDBOX_PATTERN }]);
  t.deepEqual(sandbox('5-L1').split('/').length, SANDBOX_PATTERN.split('/').length);
  const shape = SANDBOX_PATTERN.replaceAll('*', '[^/]+');
  t.regex(sandboxOf('a b/c', '*', '5-L1'), new RegExp(`^${shape}$`));
  const [old, older, young] = ['4-L1', '4-L2', '4-L3'].map(sandbox) as [string, string, string];
  listed(kit, [
    [old, kit.now - 2 * DAY_MS],
    [older, kit.now - 3 * DAY_MS],
    [young, kit.now - DAY_MS],
    ['frameworks/x/executors/y/runs/=no token', kit.now - 9 * DAY_MS],
  ]);
  // 0.2 of a week are 1.4 days.
  t.deepEqual(diskRead(kit, 0.7), ['frameworks/x/executors/y/runs/=no token', older, old]);
});

test('GBC-4: an end that is remembered counts from the end, and a clock that was set back keeps nothing for ever', (t) => {
  const kit = registeredAgent();
  kit.now += 5 * DAY_MS;
  finish(kit, '5-L1');
  const next = reborn(kit);
  listed(next, [
    [sandbox('5-L1'), next.now - 5 * DAY_MS],
    [sandbox('4-L1'), next.now + 900 * DAY_MS],
  ]);
  next.now += 0.9 * sandboxKeepMs;
  t.deepEqual(diskRead(next, 0), []);
  next.now += 1;
  t.deepEqual(diskRead(next, 0).sort(), [sandbox('4-L1'), sandbox('5-L1')]);
});

test('GBC-5: a few are removed at a time, then the next', (t) => {
  const kit = registeredAgent();
  const all = Array.from({ length: 20 }, (_, i) => sandbox(`4-L${i}`));
  listed(
    kit,
    all.map((path, i) => [path, i]),
  );
  const asked = diskRead(kit, 1);
  t.deepEqual(asked, all.slice(0, 8));
  for (let path = asked.shift(); path !== undefined; path = asked.shift()) {
    const next = removed(kit, path);
    t.true(next.length <= 1);
    t.deepEqual(diskRead(kit, 1), [], 'there is no room for more');
    asked.push(...next);
  }
  t.is(removals(kit.all).length, 20);
  t.is(new Set(removals(kit.all)).size, 20);
  t.is(kit.state.sandboxes.ended.size, 0);
});

test('GBC-5: one that cannot be removed is said, and tried again after an hour; it holds up no other', (t) => {
  const kit = registeredAgent();
  listed(kit, [
    [sandbox('4-L1'), 0],
    [sandbox('4-L2'), 1],
  ]);
  t.is(diskRead(kit, 1).length, 2);
  const told = kit.send({ type: 'SANDBOX_REMOVED', path: sandbox('4-L1'), isGone: false } as never);
  t.true(told.some((effect) => effect.type === 'log' && effect.level === 'warn'));
  removed(kit, sandbox('4-L2'));
  t.deepEqual(diskRead(kit, 1), []);
  kit.now += 3_600_000;
  t.deepEqual(diskRead(kit, 1), [sandbox('4-L1')]);
  removed(kit, sandbox('4-L1'));
  t.is(kit.state.sandboxes.failed.size, 0);
});

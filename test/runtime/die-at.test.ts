import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { log, type Effect, type Listen } from '../../actors/effect.js';
import { dieAt } from '../../runtime/die-at.js';

const listen = (row: Listen['row']): Effect => ({ type: 'listen', row });

function planted(t: { teardown: (end: () => void) => void }, plan?: object) {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-die-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'plan');
  if (plan !== undefined) writeFileSync(path, JSON.stringify(plan));
  let deaths = 0;
  const hooks = dieAt(path, () => (deaths += 1));
  /** How many effects of a step are executed. */
  const step = (host: string, event: object, effects: readonly Effect[]): number => {
    hooks?.afterStep?.(host, event as { type: string }, effects);
    const at = effects.findIndex((effect) => hooks?.beforeEffect?.(host, effect) === false);
    return at < 0 ? effects.length : at;
  };
  return { path, step, deaths: () => deaths };
}

test('ACT-2 a test may end a process right before an effect, counted over the steps that name its word', (t) => {
  const { path, step, deaths } = planted(t, { host: 'master', word: 'task-7', before: 3, flush: false });
  const two = [listen('probe'), log('info', 'x'), listen('leader')];
  t.is(step('master', { type: 'OTHER' }, two), 3);
  t.is(step('agent', { type: 'E', id: 'task-7' }, two), 3);
  t.is(step('master', { type: 'E', id: 'task-7' }, two), 3);
  t.true(existsSync(path));
  t.is(step('master', { type: 'E', id: 'task-7' }, two), 0);
  t.is(deaths(), 1);
  t.false(existsSync(path));
  // Whatever the actor still wants: nothing is done any more.
  t.is(step('master', { type: 'OTHER' }, two), 0);
  t.is(deaths(), 1);
});

test('ACT-2 without a file, and without a name for one, nothing dies', (t) => {
  t.is(dieAt(undefined), undefined);
  t.is(dieAt(''), undefined);
  const { path, step, deaths } = planted(t);
  t.is(step('master', { type: 'E', id: 'w' }, [listen('probe')]), 1);
  // It may come later, and change.
  writeFileSync(path, JSON.stringify({ host: 'master', word: 'w', before: 2, flush: false }));
  t.is(step('master', { type: 'E', id: 'w' }, [listen('probe')]), 1);
  writeFileSync(path, JSON.stringify({ host: 'master', word: 'w', before: 1, flush: false }));
  t.is(step('master', { type: 'E', id: 'w' }, [listen('probe')]), 0);
  t.is(deaths(), 1);
});

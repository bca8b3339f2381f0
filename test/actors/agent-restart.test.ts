/** A restart at each step of one task's life: whatever the store had by then, the end that is told is the true one. */
import test from 'ava';
import { isTerminal } from '../../protocol/task-state.js';
import { AgentRig, type Script } from '../support/agent-rig.js';

const SCRIPTS: Readonly<Record<string, Script>> = {
  'it ends soon': {},
  'it runs for long': { long: true },
  'it is killed': { kill: true },
};

/** Runs a story whose agent dies after so many deliveries. */
function story(script: Script, dieAfter: number, landed: number): AgentRig {
  const rig = new AgentRig(script);
  while (rig.deliveries < dieAfter && rig.step()) continue;
  rig.die(Math.min(landed, rig.unstored));
  while (rig.step()) continue;
  return rig;
}

function undisturbed(script: Script): AgentRig {
  const rig = new AgentRig(script);
  while (rig.step()) continue;
  return rig;
}

for (const [name, script] of Object.entries(SCRIPTS))
  test(`AGS-8: ${name}, and its agent dies at any step: it starts once at most, and its end is told as it was`, (t) => {
    const whole = undisturbed(script);
    t.deepEqual(whole.wrong, []);
    t.true(whole.deliveries > 10, `${whole.deliveries}`);
    const ends = new Map<string, number>();
    for (let dieAfter = 0; dieAfter <= whole.deliveries; dieAfter++)
      for (const landed of [0, 1, 2, 3]) {
        const rig = story(script, dieAfter, landed);
        const place = `death after ${dieAfter} of ${whole.deliveries}, ${landed} writes landed: ${rig.heard.map(({ state }) => state).join()}`;
        t.deepEqual(rig.wrong, [], place);
        const states = new Set(rig.heard.map(({ state }) => state).filter(isTerminal));
        t.is(states.size, 1, place);
        const [end = ''] = states;
        ends.set(end, (ends.get(end) ?? 0) + 1);
        t.true(rig.starts <= 1, place);
        if (rig.starts === 0) t.true(['TASK_DROPPED', 'TASK_KILLED'].includes(end), place);
        else t.is(end, script.kill === true ? 'TASK_KILLED' : 'TASK_FINISHED', place);
        if (script.kill !== true && rig.starts === 1)
          t.true(rig.heard.some(({ state }) => state === 'TASK_RUNNING'), place); // prettier-ignore
        t.deepEqual(rig.store.keys, ['agent', 'ended.5-L1'], place);
      }
    // Both kinds of story were told: one that never began, and one that went on.
    t.true((ends.get('TASK_DROPPED') ?? 0) > 0);
    t.true((ends.get(script.kill === true ? 'TASK_KILLED' : 'TASK_FINISHED') ?? 0) > 10);
  });

test('AGS-8: an agent that dies twice loses nothing either', (t) => {
  for (const script of Object.values(SCRIPTS)) {
    const { deliveries } = undisturbed(script);
    for (let first = 1; first <= deliveries; first += 2)
      for (let second = 1; second <= 12; second += 2) {
        const rig = new AgentRig(script);
        while (rig.deliveries < first && rig.step()) continue;
        rig.die(first % 3);
        const from = rig.deliveries;
        while (rig.deliveries < from + second && rig.step()) continue;
        rig.die(second % 2);
        while (rig.step()) continue;
        const place = `${first} and ${second}: ${rig.heard.map(({ state }) => state).join()}`;
        t.deepEqual(rig.wrong, [], place);
        t.true(rig.starts <= 1, place);
        t.is(new Set(rig.heard.map(({ state }) => state).filter(isTerminal)).size, 1, place);
      }
  }
});

/** Agents that fall silent: one after the other, and not while many are. */
import test from 'ava';
import { ofType, published } from '../support/actor-kit.js';
import { leadingMaster, statusWords, type AgentPeer, type MasterKit } from '../support/master-kit.js';

/** A pool of agents, and heartbeats that all but some of them answer. */
function pool(count: number) {
  const kit = leadingMaster();
  const agents = Array.from({ length: count }, (_, i) => kit.agent(`a${i}`));
  const beat = (silent: readonly AgentPeer[], times = 1) => {
    const effects = [];
    for (let i = 0; i < times; i++) {
      effects.push(...kit.pass(2_000));
      for (const agent of agents)
        if (!silent.includes(agent) && agent.row.state === 'REGISTERED') agent.say('PONG', {});
    }
    return effects;
  };
  return { kit, agents, beat };
}

const gone = (kit: MasterKit): number => [...kit.state.agents.values()].filter(({ state }) => state === 'UNREACHABLE').length; // prettier-ignore

const alarms = (kit: MasterKit): string[] => ofType(kit.all, 'log').filter(({ level }) => level === 'error').map(({ message }) => message); // prettier-ignore

test('AGT-7: agents that are silent are marked one a second', (t) => {
  const { kit, agents, beat } = pool(20);
  const silent = agents.slice(0, 6);
  beat(silent, 10);
  t.is(gone(kit), 0);
  kit.pass(2_000);
  t.is(gone(kit), 1);
  kit.pass(999);
  t.is(gone(kit), 1);
  kit.pass(1);
  t.is(gone(kit), 2);
  beat(silent, 3);
  t.is(gone(kit), 6);
  beat(silent, 5);
  t.is(gone(kit), 6);
  t.deepEqual(alarms(kit), []);
});

test('AGT-7: while more than 30 % are silent none is marked, with one alarm; when fewer are, the rest is', (t) => {
  const { kit, agents, beat } = pool(10);
  const silent = agents.slice(0, 4);
  const effects = beat(silent, 40);
  t.is(gone(kit), 0);
  t.is(alarms(kit).length, 1);
  t.is(published(effects, 'PING').length, 400, 'they are asked on');
  beat(silent.slice(1), 6);
  t.is(gone(kit), 3, 'one has answered: 3 of 10 are no longer many');
  t.is(alarms(kit).length, 1);
});

test('AGT-7: after ten time-outs they are marked all the same, one a second', (t) => {
  const { kit, agents, beat } = pool(3);
  beat(agents, 100);
  t.is(gone(kit), 0);
  beat(agents, 1);
  t.is(gone(kit), 1);
  beat(agents, 2);
  t.is(gone(kit), 3);
});

test('AGT-7: one agent alone is not many, be it all there is', (t) => {
  const { kit, agents, beat } = pool(1);
  beat(agents, 11);
  t.is(gone(kit), 1);
  t.deepEqual(alarms(kit), []);
});

test('AGT-7 AGT-3: nothing is killed of an agent that waits to be marked, and what answers is not marked', (t) => {
  const { kit, agents, beat } = pool(20);
  const framework = kit.framework('f1');
  kit.launch(framework, 't1');
  const { row } = agents.find(({ row: { tasks } }) => tasks.size > 0) as AgentPeer;
  beat(agents.slice(0, 6), 11);
  for (const agent of agents) if (agent.row.state === 'REGISTERED') agent.say('PONG', {});
  const effects = beat([], 5);
  t.is(gone(kit), 1, 'the others have answered');
  t.deepEqual(statusWords(effects), []);
  for (const message of ['KILL_TASK', 'SHUTDOWN', 'SHUTDOWN_FRAMEWORK']) t.is(published(kit.all, message).length, 0);
  t.is(row.tasks.size, 1);
});

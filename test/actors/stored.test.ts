import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { subscribed, toAgent, toAgentOf, toScheduler } from '../../actors/master/send.js';
import { isRemoved, isStored, settledByState, settledWithoutRow, WITNESS } from '../../actors/master/stored.js';
import { leadingMaster } from '../support/master-kit.js';

test('REG-3: the compiler refuses a message that rests on a row which nobody has shown to be stored', (t) => {
  const kit = leadingMaster();
  const agent = kit.agent().row;
  const peer = kit.framework();
  const framework = peer.row;
  const [launched] = kit.launch(peer, 't1');
  if (launched === undefined) return t.fail();
  const { row } = launched;
  const { state } = kit;
  const { frameworkId } = framework;
  const body = { agentId: agent.agentId, heartbeatIntervalMs: 1 };
  const word = { subscribed: { frameworkId, heartbeatIntervalSeconds: 1 } };
  const settled = WITNESS.deleted(row);
  const uuid = new Uint8Array(16);
  // Each line that is marked must not compile, or the build fails.
  t.notThrows(() => [
    // @ts-expect-error -- rests on the agent's row
    toAgent(state, agent, 'REGISTERED', body),
    // @ts-expect-error -- the row is not shown to be stored
    toAgentOf(agent, state, agent, 'REGISTERED', body),
    // @ts-expect-error -- a removal is not shown to be stored
    toAgentOf(framework, state, agent, 'SHUTDOWN_FRAMEWORK', { frameworkId }),
    // @ts-expect-error -- nothing shows that the launch has no row
    toAgentOf(row, state, agent, 'STATUS_UPDATE_ACKNOWLEDGEMENT', { frameworkId, taskId: 't1', uuid }),
    // @ts-expect-error -- rests on the framework's row
    toScheduler(state, framework, 'SUBSCRIBED', word),
    // @ts-expect-error -- the row is not shown to be stored
    subscribed(state, framework, word, 'q'),
  ]);
  if (!isStored(agent) || !isStored(framework) || !isStored(row)) return t.fail();
  toAgentOf(agent, state, agent, 'REGISTERED', body);
  toAgentOf(settled, state, agent, 'STATUS_UPDATE_ACKNOWLEDGEMENT', { frameworkId, taskId: 't1', uuid });
  subscribed(state, framework, word, 'q');
  t.false(isRemoved(framework));
  t.throws(() => settledWithoutRow(state, row.launchId), { message: /has a row/ });
  t.throws(() => settledByState('TASK_FINISHED'), { message: /ends a launch/ });
});

test('REG-3: only a write that was stored, and the replay, make stored rows', (t) => {
  const folder = new URL('../../../actors/master/', import.meta.url);
  const sources = readdirSync(folder).filter((name) => name.endsWith('.ts') && name !== 'stored.ts');
  const using = (pattern: RegExp): string[] =>
    sources.filter((name) => pattern.test(readFileSync(new URL(name, folder), 'utf8')));
  t.deepEqual(using(/\bWITNESS\b/), ['calls.ts', 'recovery.ts']);
  t.deepEqual(using(/\bas (Stored|Removed|Settled)\b/), []);
});

/** Agents that cannot be reached, as schedulers hear of them and as leaders remember them. */
import test from 'ava';
import { bodies } from '../support/actor-kit.js';
import { leadingMaster, statuses, statusWords, taskInfo, type Launched } from '../support/master-kit.js';

test('REC-2: a scheduler that is not PARTITION_AWARE hears LOST for what it does not know, by whatever way', (t) => {
  for (const [capabilities, word] of [
    [[], undefined],
    [[{ type: 'TASK_KILLING_STATE' as const }], undefined],
    [[{ type: 'PARTITION_AWARE' as const }], 'as it is'],
  ] as const) {
    const told = (state: string) => (word === undefined ? 'TASK_LOST' : state);
    const kit = leadingMaster();
    const agent = kit.agent('a1');
    const framework = kit.framework('f1', { capabilities: [...capabilities] });
    const [runs, dropped] = kit.launch(framework, 'runs', 'dropped') as [Launched, Launched];
    const { effects, status } = agent.update(dropped, 'TASK_DROPPED');
    t.deepEqual(statusWords(effects), [`dropped ${told('TASK_DROPPED')}`]);
    t.deepEqual(statuses(framework.subscribe()).map(({ state }) => state), [told('TASK_DROPPED')], 'repeated'); // prettier-ignore
    framework.acknowledge(status);
    t.deepEqual(bodies(kit.stored(), 'STATUS_UPDATE_ACKNOWLEDGEMENT').length, 1, 'it is known by its uuid');
    t.deepEqual(statusWords(framework.accept(['never'], [taskInfo(agent.id)])), [`t1 ${told('TASK_DROPPED')} REASON_INVALID_OFFERS`]); // prettier-ignore
    t.deepEqual(statusWords(agent.update(runs, 'TASK_RUNNING').effects), ['runs TASK_RUNNING']);
    t.deepEqual(framework.reconcile({ taskId: 'none', agentId: agent.id }).map(({ state }) => state), [told('TASK_GONE')]); // prettier-ignore
    t.deepEqual(
      framework.reconcile({ taskId: 'none' }).map(({ state }) => state),
      [told('TASK_UNKNOWN')],
    );
    t.deepEqual(statusWords(agent.say('UNREGISTER', {})), [`runs ${told('TASK_UNREACHABLE')} REASON_AGENT_REMOVED`]);
    t.is(runs.row.state, 'TASK_UNREACHABLE', 'the master knows it as it is');
    t.deepEqual(
      framework.reconcile().map(({ state }) => state),
      [told('TASK_UNREACHABLE')],
    );
    t.deepEqual(statusWords(agent.reregister([runs])), ['runs TASK_RUNNING REASON_AGENT_REREGISTERED']);
  }
});

/** Planted bugs of what a master does about those who are silent, come back, or are to be killed. */
import type { Bug } from './bugs.js';

const bug = (name: string, rule: string, file: string, search: string, replace: string): Bug => ({
  name,
  rule,
  patches: [{ file: `actors/master/${file}`, search, replace }],
});

const rare = (one: Bug): Bug => ({ ...one, rare: true });

export const SILENCE_BUGS: readonly Bug[] = [
  rare(
    bug(
      'master: time in which it heard nothing counts',
      'FRW-4',
      'hearing.ts',
      'if (ms > 0) state.deadlines.lose(ms);',
      '',
    ),
  ),
  bug(
    'master: heartbeats are missed while it hears nothing',
    'DLN-1',
    'hearing.ts',
    'if (isHearing(state, now)) peer.missedHeartbeats += 1;',
    'peer.missedHeartbeats += 1;',
  ),
  bug(
    'master: all agents that are silent are marked at once',
    'AGT-7',
    'silence.ts',
    'return [...alarm, ...markUnreachable(state, first, now)];',
    'return [...alarm, ...due.flatMap((agent) => markUnreachable(state, agent, now))];',
  ),
  bug(
    'master: agents are marked though many are silent',
    'AGT-7',
    'silence.ts',
    '.filter((agent) => !isWide || agent.missedHeartbeats > PATIENCE * missedHeartbeats)',
    '.slice()',
  ),
  rare(
    bug(
      'master: the tasks of an agent that is unreachable are told to nobody',
      'SIM-13',
      'silence.ts',
      "      ...statusByMaster(state, task, 'TASK_UNREACHABLE', 'REASON_AGENT_REMOVED', 'The agent does not answer.', now),\n",
      '',
    ),
  ),
  bug(
    'master: the digest of an agent says nothing of states',
    'LNK-6',
    'agents.ts',
    'effects.push(...moveTask(state, row, known.state, now));',
    '',
  ),
  bug(
    'master: an agent that comes back hears nothing of kills',
    'KIL-1',
    'agents.ts',
    'effects.push(...forwardKill(state, task));',
    '',
  ),
  rare(
    bug(
      'master: a kill does not outlive a leader',
      'KIL-1',
      'recovery.ts',
      'if (record.kill !== undefined) row.kill',
      'if (record.kill === null) row.kill',
    ),
  ),
  {
    name: 'master: a kill is passed on before it is stored',
    rule: 'KIL-1',
    patches: [
      {
        file: 'actors/master/kills.ts',
        search: 'cause, stored: false };\n  task.kill = kill;\n  return persist(',
        replace: 'cause, stored: true };\n  task.kill = kill;\n  return forwardKill(state, task).concat(persist(',
      },
      {
        file: 'actors/master/kills.ts',
        search: 'return [...forwardKill(current, task), ...then()];\n  });',
        replace: 'return then();\n  }));',
      },
    ],
  },
];

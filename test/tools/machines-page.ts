/** `docs/machines.md`: the statecharts of all actors as pictures, drawn from the machines themselves. */
import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { agentMachine } from '../../actors/agent/agent.machine.js';
import { customExecutorMachine } from '../../actors/framework/custom-executor.machine.js';
import { executorMachine } from '../../actors/framework/executor.machine.js';
import { schedulerMachine } from '../../actors/framework/scheduler.machine.js';
import { masterMachine } from '../../actors/master/master.machine.js';
import type { DocGenerator } from './generated-docs.js';

const MACHINES: readonly AnyStateMachine[] = [
  masterMachine,
  agentMachine,
  schedulerMachine,
  executorMachine,
  customExecutorMachine,
];

function edges(node: AnyStateNode): string[] {
  const lines: string[] = [];
  const draw = (event: string, from: AnyStateNode): void => {
    for (const transition of from.transitions.get(event) ?? []) arrow(event, transition);
  };
  const arrow = (event: string, transition: (typeof node.always & object)[number]): void => {
    const guard = transition.guard as string | { type: string } | undefined;
    const name = guard === undefined ? '' : ` [${typeof guard === 'string' ? guard : guard.type}]`;
    for (const target of transition.target ?? []) lines.push(`  ${node.key} --> ${target.key}: ${event}${name}`);
  };
  for (const event of node.transitions.keys()) draw(event, node);
  for (const transition of node.always ?? []) arrow('at once', transition);
  return lines;
}

function picture(machine: AnyStateMachine): string[] {
  const states = Object.values(machine.root.states);
  const root = [...machine.root.transitions].flatMap(([event, transitions]) =>
    transitions.flatMap(({ target }) =>
      (target ?? []).map(({ key }) => `  note right of ${key}: ${event} from anywhere`),
    ),
  );
  return [
    `## ${machine.id}`,
    '',
    '```mermaid',
    'stateDiagram-v2',
    `  [*] --> ${String(machine.root.initial.target[0]?.key)}`,
    ...states.flatMap(edges),
    ...states.filter(({ type }) => type === 'final').map(({ key }) => `  ${key} --> [*]`),
    ...root,
    '```',
    '',
  ];
}

export const machinesPage: DocGenerator = {
  path: 'docs/machines.md',
  render: () =>
    [
      '# Machines',
      '',
      'Drawn from `actors/**/*.machine.ts` by `npm run docs`. Events without an arrow are handled within their state.',
      '',
      ...MACHINES.flatMap(picture),
    ].join('\n'),
};

/** `tepui inspect`: all that is known of one thing. */
import type { Command } from 'commander';
import { online, type Common } from '../command.js';
import { asOperator } from '../connection.js';
import { CliError } from '../errors.js';
import type { InspectJson } from '../json-schemas.js';
import { hasColour, painter, say, sayJson } from '../output.js';
import { plain, tree } from '../tree.js';
import type { OperatorClient } from '../../runtime/client.js';
import { tasksNamed } from '../find-task.js';

const EXAMPLES = `
Examples:
  tepui inspect a1                  an agent, by its name or its id
  tepui inspect sleep-k3f9          a task, by its id or that of its launch
  tepui inspect mwugv3zu-0007 --json`;

export function inspectCommand(program: Command): void {
  const command = program
    .command('inspect')
    .summary('all that is known of a task, agent, framework or offer')
    .description('Shows everything that the leading master knows of a task, an agent, a framework or an offer.')
    .argument('<id>', 'its id, or the name of an agent')
    .addHelpText('after', EXAMPLES);
  online<Common>(command, ([id = ''], options) =>
    asOperator(options, async ({ client }) => {
      const found = await find(client, id);
      if (found.length === 0)
        throw new CliError(
          `The master knows nothing of the id ${id}.`,
          'See what it knows: tepui ps -a · tepui agents · tepui frameworks -a · tepui offers',
        );
      if (options.json === true) return sayJson({ found } satisfies InspectJson);
      const paint = painter(hasColour(process.stdout));
      say(found.map(({ kind, id: its, value }) => `${kind} ${paint('bold', its)}\n${tree(value, paint)}`).join('\n\n'));
    }),
  );
}

async function find(client: OperatorClient, id: string): Promise<InspectJson['found']> {
  const [{ agents }, { frameworks: live, completedFrameworks }, { offers }, tasks] = await Promise.all([
    client.askAll('GET_AGENTS'),
    client.askAll('GET_FRAMEWORKS'),
    client.askAll('GET_OFFERS'),
    tasksNamed(client, id),
  ]);
  const row = (kind: InspectJson['found'][number]['kind'], own: string | undefined, value: unknown) => ({
    kind,
    id: own ?? '',
    value: plain(value) as Record<string, unknown>,
  });
  const frameworks = [...live, ...completedFrameworks];
  return [
    ...tasks.map((task) => row('task', task.taskId, task)),
    ...agents
      .filter(({ agentInfo, principal }) => agentInfo.id === id || principal === id)
      .map((agent) => row('agent', agent.agentInfo.id, agent)),
    ...frameworks
      .filter(({ frameworkInfo }) => frameworkInfo.id === id)
      .map((framework) => row('framework', framework.frameworkInfo.id, framework)),
    ...offers.filter((offer) => offer.id === id).map((offer) => row('offer', offer.id, offer)),
  ];
}

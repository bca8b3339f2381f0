/** `tepui ps`, `agents`, `frameworks` and `offers`: what the leading master knows, as tables. Rules: CLI-3, CLI-4. */
import type { Command } from 'commander';
import { online, type Common } from '../command.js';
import { asOperator } from '../connection.js';
import { ago, cut, shortEnd, shortResources, shortState } from '../format.js';
import { hasColour, painter, say, sayJson, table, type Paint } from '../output.js';
import { agentRow, frameworkRow, lastStatus, namesOf, offerRow, taskRow, type Names } from '../views.js';
import type { AgentView, FrameworkView } from '../../protocol/operator-api.js';
import { fromThousandths, Resources } from '../../protocol/resources.js';
import type { Task } from '../../protocol/task.js';
import { megabytes } from '../format.js';

interface PsOptions extends Common {
  readonly all?: boolean;
  readonly framework?: string;
}

const paint = (): Paint => painter(hasColour(process.stdout));
const msOf = (time: { nanoseconds: number } | undefined): number | undefined => time && time.nanoseconds / 1e6;

export function psCommand(program: Command): void {
  const command = program
    .command('ps')
    .summary('tasks')
    .description('Lists the tasks that the leading master knows.')
    .option('-a, --all', 'those that have ended too, the last thousand')
    .option('--framework <id>', 'of this framework alone')
    .addHelpText('after', '\nExamples:\n  tepui ps\n  tepui ps -a\n  tepui ps -a --json | jq .completed[0]');
  online<PsOptions>(command, (_args, options) =>
    asOperator(options, async ({ client }) => {
      const completed = options.all === true;
      const asked = { completed, ...(options.framework !== undefined && { frameworkId: options.framework }) };
      const [getTasks, names] = await Promise.all([client.askAll('GET_TASKS', asked), namesOf(client)]);
      if (options.json === true) {
        const rows = (tasks: readonly Task[]) => tasks.map((task) => taskRow(task, names));
        return sayJson({ tasks: rows(getTasks.tasks), completed: rows(getTasks.completedTasks) });
      }
      const tasks = [...getTasks.completedTasks, ...getTasks.tasks];
      if (tasks.length === 0) return say(completed ? 'No tasks.' : 'Nothing runs. What has ended: tepui ps -a');
      say(tasksTable(tasks, names, paint()));
    }),
  );
}

export function tasksTable(tasks: readonly Task[], names: Names, colour: Paint, nowMs = Date.now()): string {
  const rows = tasks.map((task) => {
    const status = lastStatus(task);
    return [
      cut(task.taskId, 48),
      paintState(task.state, colour),
      shortEnd(status),
      names.agents.get(task.agentId) ?? task.agentId,
      task.frameworkId,
      shortResources(task.resources),
      ago(status?.timestamp === undefined ? undefined : status.timestamp * 1_000, nowMs),
    ];
  });
  return table(['TASK', 'STATE', 'EXIT', 'AGENT', 'FRAMEWORK', 'RESOURCES', 'SINCE'], rows, colour);
}

export function paintState(state: string, colour: Paint): string {
  const short = shortState(state);
  if (short === 'RUNNING' || short === 'FINISHED') return colour('green', short);
  if (short === 'STAGING' || short === 'STARTING' || short === 'KILLING') return colour('yellow', short);
  return colour('red', short);
}

export function agentsCommand(program: Command): void {
  const command = program
    .command('agents')
    .summary('agents, and what is used of them')
    .description('Lists the agents with what their tasks use and what is on offer.')
    .addHelpText('after', '\nExamples:\n  tepui agents\n  tepui agents --json | jq .agents[].total.cpus');
  online<Common>(command, (_args, options) =>
    asOperator(options, async ({ client }) => {
      const { agents } = await client.askAll('GET_AGENTS');
      if (options.json === true) return sayJson({ agents: agents.map(agentRow) });
      if (agents.length === 0) return say('No agents.');
      say(agentsTable(agents, paint()));
    }),
  );
}

export function agentsTable(agents: readonly AgentView[], colour: Paint, nowMs = Date.now()): string {
  const rows = agents.map((agent) => {
    const used = Resources.of(agent.allocatedResources);
    const total = Resources.of(agent.totalResources);
    const of = (name: string, show: (amount: number) => string): string =>
      `${show(fromThousandths(used.scalar(name)))}/${show(fromThousandths(total.scalar(name)))}`;
    return [
      agent.principal,
      agent.agentInfo.id ?? '-',
      agent.active ? colour('green', 'active') : colour('red', agent.state.toLowerCase()),
      of('cpus', String),
      of('mem', megabytes),
      of('disk', megabytes),
      shortResources(agent.offeredResources.filter(({ name }) => name === 'cpus' || name === 'mem')),
      String(agent.tasks),
      ago(msOf(agent.registeredTime), nowMs),
    ];
  });
  return table(['AGENT', 'ID', 'STATE', 'CPUS', 'MEMORY', 'DISK', 'OFFERED', 'TASKS', 'SINCE'], rows, colour);
}

interface FrameworksOptions extends Common {
  readonly all?: boolean;
}

export function frameworksCommand(program: Command): void {
  const command = program
    .command('frameworks')
    .summary('frameworks')
    .description('Lists the frameworks: whose schedulers use the cluster.')
    .option('-a, --all', 'those that are gone too')
    .addHelpText('after', '\nExamples:\n  tepui frameworks\n  tepui frameworks -a');
  online<FrameworksOptions>(command, (_args, options) =>
    asOperator(options, async ({ client }) => {
      const { frameworks, completedFrameworks } = await client.askAll('GET_FRAMEWORKS');
      const completed = options.all === true ? completedFrameworks : [];
      if (options.json === true)
        return sayJson({
          frameworks: frameworks.map((view) => frameworkRow(view, false)),
          completed: completed.map((view) => frameworkRow(view, true)),
        });
      if (frameworks.length + completed.length === 0)
        return say(options.all === true ? 'No frameworks.' : 'No frameworks. Those that are gone: tepui frameworks -a');
      say(frameworksTable(frameworks, completed, paint()));
    }),
  );
}

export function frameworksTable(
  frameworks: readonly FrameworkView[],
  completed: readonly FrameworkView[],
  colour: Paint,
  nowMs = Date.now(),
): string {
  const rowOf = (view: FrameworkView, isCompleted: boolean): string[] => {
    const row = frameworkRow(view, isCompleted);
    return [
      row.id ?? '-',
      cut(row.name, 40),
      row.principal,
      row.state === 'ACTIVE' ? colour('green', 'active') : row.state.toLowerCase(),
      String(row.tasks),
      String(row.offers),
      shortResources(view.allocatedResources),
      ago(msOf(view.registeredTime), nowMs),
    ];
  };
  const rows = [...completed.map((view) => rowOf(view, true)), ...frameworks.map((view) => rowOf(view, false))];
  return table(['FRAMEWORK', 'NAME', 'PRINCIPAL', 'STATE', 'TASKS', 'OFFERS', 'USED', 'SINCE'], rows, colour);
}

export function offersCommand(program: Command): void {
  const command = program
    .command('offers')
    .summary('offers that are out')
    .description('Lists the offers that frameworks hold: what was offered, and not yet accepted or declined.')
    .addHelpText('after', '\nExamples:\n  tepui offers\n  tepui offers --json');
  online<Common>(command, (_args, options) =>
    asOperator(options, async ({ client }) => {
      const [{ offers }, names] = await Promise.all([client.askAll('GET_OFFERS'), namesOf(client)]);
      if (options.json === true) return sayJson({ offers: offers.map((offer) => offerRow(offer, names)) });
      if (offers.length === 0) return say('No offers are out.');
      const rows = offers.map((offer) => [
        offer.id,
        names.agents.get(offer.agentId) ?? offer.agentId,
        offer.frameworkId,
        names.frameworks.get(offer.frameworkId) ?? '',
        shortResources(offer.resources),
      ]);
      say(table(['OFFER', 'AGENT', 'FRAMEWORK', 'NAME', 'RESOURCES'], rows, paint()));
    }),
  );
}

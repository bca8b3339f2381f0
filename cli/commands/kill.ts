/** `tepui kill`: ends a task, and waits until it is over. */
import type { Command } from 'commander';
import { isTerminal } from '../../protocol/task-state.js';
import type { Task } from '../../protocol/task.js';
import type { OperatorClient } from '../../runtime/client.js';
import { amount, online, type Common } from '../command.js';
import { asOperator } from '../connection.js';
import { STATUS } from '../errors.js';
import { howItIs, taskNamed, tasksNamed } from '../find-task.js';
import type { KillJson } from '../json-schemas.js';
import { note, say, sayJson } from '../output.js';
import { namesOf, taskRow } from '../views.js';

interface Options extends Common {
  readonly framework?: string;
  readonly grace?: number;
  readonly wait: boolean;
}

const EXAMPLES = `
Examples:
  tepui kill sleep-k3f9
  tepui kill sleep-k3f9 --grace 0        SIGKILL at once
  tepui kill web.1 --framework mwugv3zu-0007`;

export function killCommand(program: Command): void {
  const command = program
    .command('kill')
    .summary('end a task')
    .description(
      'Ends a task: SIGTERM to all of its processes, SIGKILL after its grace. Waits until it is over, and says how.',
    )
    .argument('<task>', 'its id')
    .option('--framework <id>', 'whose task it is, where two have one of this id')
    .option('--grace <seconds>', "between SIGTERM and SIGKILL (default: the task's own, else 3)", amount)
    .option('--no-wait', 'only ask for it')
    .addHelpText('after', EXAMPLES);
  online<Options>(command, ([id = ''], options) => asOperator(options, ({ client }) => kill(client, id, options)));
}

const POLL_MS = 100;
/** A task on an agent that is away is killed when it comes back: nobody waits for that. */
const WAIT_MS = 30_000;

async function kill(client: OperatorClient, id: string, options: Options): Promise<number> {
  const before = await taskNamed(client, id, options.framework);
  const { taskId, frameworkId, agentId } = before;
  if (isTerminal(before.state)) return tell(client, options, before, true);
  const { grace } = options;
  const killPolicy = grace === undefined ? undefined : { gracePeriod: { nanoseconds: grace * 1e9 } };
  await client.ask('KILL_TASK', { killTask: { taskId, frameworkId, ...(killPolicy && { killPolicy }) } });
  if (!options.wait) {
    if (options.json === true)
      sayJson({ id: taskId, frameworkId, agentId, ended: false, task: null } satisfies KillJson);
    else say(`${taskId} will be killed.`);
    return STATUS.done;
  }
  const deadline = performance.now() + WAIT_MS + (grace ?? 0) * 1_000;
  for (;;) {
    const found = await tasksNamed(client, taskId, frameworkId);
    const now = found.find((task) => task.launchId === before.launchId);
    if (now === undefined || isTerminal(now.state)) return tell(client, options, now ?? before, true);
    if (performance.now() > deadline) return tell(client, options, now, false);
    await new Promise((fulfil) => setTimeout(fulfil, POLL_MS));
  }
}

async function tell(client: OperatorClient, { json }: Options, task: Task, ended: boolean): Promise<number> {
  const { taskId: id, frameworkId, agentId } = task;
  if (json === true)
    sayJson({ id, frameworkId, agentId, ended, task: taskRow(task, await namesOf(client)) } satisfies KillJson);
  else if (ended) say(`${id}: ${howItIs(task)}`);
  else note(`${id} is ${howItIs(task)} still. Is its agent there? tepui agents`);
  return ended ? STATUS.done : STATUS.no;
}

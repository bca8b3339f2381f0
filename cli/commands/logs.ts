/** `tepui logs`: what a task has written. */
import type { Command } from 'commander';
import { TextDecoder } from 'node:util';
import { isTerminal } from '../../protocol/task-state.js';
import type { OperatorClient } from '../../runtime/client.js';
import { online, whole, type Common } from '../command.js';
import { asOperator } from '../connection.js';
import { CliError, STATUS } from '../errors.js';
import { findSandbox } from '../find-sandbox.js';
import { taskNamed, tasksNamed } from '../find-task.js';
import { sayJson } from '../output.js';
import { FileFollower, type SandboxPlace, type Stream } from '../sandbox.js';
import { namesOf } from '../views.js';

interface Options extends Common {
  readonly framework?: string;
  readonly follow?: boolean;
  readonly stderr?: boolean;
  readonly tail?: number;
}

const EXAMPLES = `
Examples:
  tepui logs sleep-k3f9            its standard output so far
  tepui logs -f sleep-k3f9         and what comes, until it ends
  tepui logs --stderr sleep-k3f9
  tepui logs --tail 4096 sleep-k3f9`;

export function logsCommand(program: Command): void {
  const command = program
    .command('logs')
    .summary('what a task has written')
    .description('Shows what a task has written, be it running or over, as long as its sandbox is there.')
    .argument('<task>', 'its id')
    .option('-f, --follow', 'go on until the task has ended')
    .option('--stderr', 'standard error instead of standard output')
    .option('--tail <bytes>', 'only the last so many', whole(0, Number.MAX_SAFE_INTEGER))
    .option('--framework <id>', 'whose task it is, where two have one of this id')
    .addHelpText('after', EXAMPLES);
  online<Options>(command, ([id = ''], options) => asOperator(options, ({ client }) => logs(client, id, options)));
}

const POLL_MS = 150;

async function logs(client: OperatorClient, id: string, options: Options): Promise<number> {
  const place = await placeOfTask(client, id, options.framework);
  const stream: Stream = options.stderr === true ? 'stderr' : 'stdout';
  const file = new FileFollower(client, place, stream);
  if (options.tail !== undefined) await file.skipToTail(options.tail);
  const show = shower(place.taskId, stream, options.json === true);
  for (;;) {
    // Asked before the read: when it was over by then, what is read is all of it.
    const isOver = options.follow !== true || (await hasEnded(client, place));
    await file.read((data) => show(data, file.offset - data.length));
    if (isOver) return STATUS.done;
    await new Promise((fulfil) => setTimeout(fulfil, POLL_MS));
  }
}

/** As the master knows it, else as the agents' files tell. */
async function placeOfTask(client: OperatorClient, id: string, framework: string | undefined): Promise<SandboxPlace> {
  if ((await tasksNamed(client, id, framework)).length === 0) {
    const forgotten = await findSandbox(client, id, framework);
    if (forgotten !== undefined) return forgotten;
  }
  const { taskId, frameworkId, agentId, launchId } = await taskNamed(client, id, framework);
  const agent = (await namesOf(client)).agents.get(agentId);
  if (agent === undefined || launchId === undefined)
    throw new CliError(`The agent of ${id} is not known any more.`, 'See those that are: tepui agents');
  return { agent, frameworkId, taskId, launchId };
}

async function hasEnded(client: OperatorClient, { taskId, frameworkId, launchId }: SandboxPlace): Promise<boolean> {
  const found = await tasksNamed(client, taskId, frameworkId);
  const now = found.find((task) => task.launchId === launchId);
  return now === undefined || isTerminal(now.state);
}

function shower(id: string, stream: Stream, isJson: boolean): (data: Uint8Array, offset: number) => void {
  if (!isJson) return (data) => void process.stdout.write(data);
  const decoder = new TextDecoder();
  return (data, offset) => sayJson({ id, stream, offset, data: decoder.decode(data, { stream: true }) });
}

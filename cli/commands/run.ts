/** `tepui run`: a command on the cluster, once or many times, with its output and its exit status. Rules: RUN-1 to RUN-8. */
import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { amount, online, repeated, whole, type Common } from '../command.js';
import { asOperator, placeOf } from '../connection.js';
import { RUN_STATUS } from '../run-end.js';
import { RunJob } from '../run-job.js';
import { runRequest, type RunOptions } from '../run-options.js';
import { JsonView, PeopleView } from '../run-view.js';

const EXAMPLES = `
Examples:
  tepui run -- echo hello                    one task; its output and its exit status are ours
  tepui run 'for i in 1 2 3; do date; sleep 1; done'    one word with spaces goes to the shell
  tepui run -n 100 --cpus 0.5 -- ./work.sh   a hundred of them, each with TEPUI_RUN_INDEX from 0 to 99
  tepui run --ports 1 -- sh -c 'exec python3 -m http.server $PORT'
  tepui run --timeout 60 --env LEVEL=3 -- ./slow

Exit status: the task's own · 128+n when signal n ended it · 124 it ran out of time · 125 it could not be run
(no cluster, or no agent is large enough) · 126 the cluster lost it · 127 there is no such program
With -n: that of the first task, in their order, that did not end with 0.`;

export function runCommand(program: Command): void {
  const command = program
    .command('run')
    .summary('run a command on the cluster')
    .description('Runs a command as one or many tasks, shows their output, and ends as they end.')
    .argument('<command...>', 'program and arguments, after --')
    .passThroughOptions()
    .option('-n, --count <count>', 'how many tasks', whole(1, 100_000), 1)
    .option('--name <name>', 'of the tasks (default: the program)')
    .option('--cpus <number>', 'for each task', amount, 0.1)
    .option('--mem <MiB>', 'for each task', amount, 32)
    .option('--disk <MiB>', 'for each task', amount, 0)
    .option('--ports <count>', 'for each task; their numbers are in PORT0, PORT1, …', whole(0, 1_000), 0)
    .option('--env <name=value>', 'may be repeated', repeated)
    .option('--timeout <seconds>', 'for each task, from its start', amount)
    .option('--grace <seconds>', 'between SIGTERM and SIGKILL, when one is killed (default: 3)', amount)
    .option('--max-attempts <count>', 'launches of one task, when the cluster loses it', whole(1, 100), 4)
    .addHelpText('after', EXAMPLES);
  online<Common & RunOptions>(command, runTasks, RUN_STATUS.failed);
}

async function runTasks(words: readonly string[], options: Common & RunOptions): Promise<number> {
  const request = runRequest(options, words, randomBytes(3).toString('hex').slice(0, 4));
  return asOperator(options, async ({ client }) => {
    const place = await placeOf(options, 'run');
    const view = options.json === true ? new JsonView() : new PeopleView(request.count);
    return new RunJob(client, place, request, view).run();
  });
}

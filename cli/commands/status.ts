/** `tepui status`: who runs, who leads. */
import type { Command } from 'commander';
import { online, type Common } from '../command.js';
import { dirOf, placeOf, shown } from '../connection.js';
import { STATUS } from '../errors.js';
import { say, sayJson } from '../output.js';
import { statusOf, statusTable } from '../status.js';

const EXAMPLES = `
Examples:
  tepui status
  tepui status --json
  tepui status --nats nats://operator:secret@pool.example:4222`;

export function statusCommand(program: Command): void {
  const command = program
    .command('status')
    .summary('who runs, who leads')
    .description('Shows NATS, masters and agents of the cluster, and who leads.')
    .addHelpText('after', EXAMPLES);
  online<Common>(command, async (_args, options) => {
    const place = await placeOf(options, 'operator');
    const dir = place.state === undefined ? null : dirOf(options);
    const status = await statusOf(place, dir);
    if (options.json === true) sayJson(status);
    else say(statusTable(status, dir === null ? 'no folder of this machine' : shown(dir)));
    return STATUS.done;
  });
}

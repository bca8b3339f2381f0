/** `tepui tap`: every message of the cluster, decoded, as it goes by. Rules: TAP-1 to TAP-4. */
import type { Command } from 'commander';
import { silentLog } from '../../runtime/log.js';
import { connectWorld } from '../../runtime/world.js';
import { online, repeated, type Common } from '../command.js';
import { placeOf, unreachable } from '../connection.js';
import { CliError, STATUS } from '../errors.js';
import { hasColour, note, painter, say, sayJson } from '../output.js';
import { onStopSignals } from '../signals.js';
import { TapFilter, type TapOptions } from '../tap-filter.js';
import { rawLine, tapLine } from '../tap-line.js';
import { TapReader, tapJson, type Tapped } from '../tap-message.js';

interface Options extends Common, TapOptions {
  readonly raw?: boolean;
  readonly tree?: boolean;
}

const EXAMPLES = `
Examples:
  tepui tap                               everything but heartbeats
  tepui tap --task sleep-k3f9             what concerns one task
  tepui tap --type ACCEPT --type UPDATE   these messages
  tepui tap --from agent --to master      by role; or by name: --from a1
  tepui tap --tree                        each message below the one that led to it
  tepui tap --chain m1-x3k9-12            one message, what led to it and what it led to
  tepui tap --json | jq .type

What a line shows: time, sender → receiver, TYPE, the ids that matter, #its id ← the id of its cause`;

export function tapCommand(program: Command): void {
  const command = program
    .command('tap')
    .summary('see every message')
    .description(
      'Shows the messages between masters, agents, schedulers and operators, decoded, one a line, until Ctrl-C.',
    )
    .option('--type <type>', 'messages of this name; may be repeated', repeated)
    .option('--task <id>', 'messages that name this task')
    .option('--from <who>', 'sender: a role or a name')
    .option('--to <who>', 'receiver: a role or a name')
    .option('--chain <id>', 'the message with this id, what led to it and what follows from it')
    .option('--tree', 'indent by causes')
    .option('--heartbeats', 'show PING, PONG, HEARTBEAT and LOOPBACK too')
    .option('--raw', 'subjects and bytes as they are')
    .addHelpText('after', EXAMPLES);
  online<Options>(command, (_args, options) => tap(options));
}

async function tap(options: Options): Promise<number> {
  const place = await placeOf(options, 'tap');
  const { cluster, credentials, principal } = place;
  const ended = new Promise<'asked' | Error>((fulfil) => {
    onStopSignals({ first: () => fulfil('asked'), second: () => process.exit(STATUS.done) });
    process.stdout.once('close', () => fulfil('asked'));
    connectWorld({ credentials, cluster, role: 'operator', principal, log: silentLog, onFatal: fulfil }).then(
      (world) => {
        close = () => world.close();
        world.ports.transport.subscribe(`${cluster}.>`, listener(cluster, options));
        if (options.json !== true) note(`Listening on ${cluster}.> (Ctrl-C ends)`);
      },
      (error: unknown) => fulfil(unreachable(credentials, error)),
    );
  });
  let close = (): Promise<void> => Promise.resolve();
  const end = await ended;
  await close();
  if (end === 'asked') return STATUS.done;
  throw end instanceof CliError ? end : new CliError(`NATS is gone: ${end.message}`, 'See what is there: tepui status');
}

function listener(cluster: string, options: Options): (delivery: { subject: string; data: Uint8Array }) => void {
  const reader = new TapReader(cluster);
  const filter = new TapFilter(options);
  const paint = painter(hasColour(process.stdout));
  const show = (message: Tapped, depth: number): void => {
    if (options.json === true) sayJson(tapJson(message));
    else if (options.raw === true) say(rawLine(message, paint));
    else say(tapLine(message, paint, options.tree === true ? depth : 0));
  };
  return ({ subject, data }) => {
    const message = reader.read(subject, data, Date.now());
    if (message === undefined) return;
    for (const one of filter.take(message)) show(one.message, one.depth);
  };
}

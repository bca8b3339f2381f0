/** All commands of `tepui`. */
import { Command } from 'commander';
import { VERSION } from '../runtime/version.js';
import { downCommand } from './commands/down.js';
import { inspectCommand } from './commands/inspect.js';
import { killCommand } from './commands/kill.js';
import { agentsCommand, frameworksCommand, offersCommand, psCommand } from './commands/lists.js';
import { logsCommand } from './commands/logs.js';
import { runCommand } from './commands/run.js';
import { statusCommand } from './commands/status.js';
import { tapCommand } from './commands/tap.js';
import { trustRegistryCommand } from './commands/trust-registry.js';
import { upCommand } from './commands/up.js';

const HELP = `
A first round:
  tepui up --detach              start a cluster on this machine
  tepui run -- echo hello        run something on it
  tepui tap                      see every message
  tepui down                     end it

Help for one command: tepui help run`;

const COMMANDS = [
  upCommand,
  downCommand,
  statusCommand,
  runCommand,
  psCommand,
  logsCommand,
  killCommand,
  agentsCommand,
  frameworksCommand,
  offersCommand,
  inspectCommand,
  tapCommand,
  trustRegistryCommand,
];

export function tepui(): Command {
  const program = new Command('tepui')
    .description('A kernel for a pool of machines: two-level scheduling as actors on NATS.')
    .version(VERSION)
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .showHelpAfterError('(tepui help shows what there is)')
    .addHelpText('after', HELP);
  for (const add of COMMANDS) add(program);
  return program;
}

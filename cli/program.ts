/** All commands of `tepui`. */
import { Command } from 'commander';
import { VERSION } from '../runtime/version.js';
import { downCommand } from './commands/down.js';
import { runCommand } from './commands/run.js';
import { statusCommand } from './commands/status.js';
import { upCommand } from './commands/up.js';

const HELP = `
A first round:
  tepui up --detach              start a cluster on this machine
  tepui run -- echo hello        run something on it
  tepui tap                      see every message
  tepui down                     end it

Help for one command: tepui help run`;

export function tepui(): Command {
  const program = new Command('tepui')
    .description('A kernel for a pool of machines: two-level scheduling as actors on NATS.')
    .version(VERSION)
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .showHelpAfterError('(tepui help shows what there is)')
    .addHelpText('after', HELP);
  for (const add of [upCommand, downCommand, statusCommand, runCommand]) add(program);
  return program;
}

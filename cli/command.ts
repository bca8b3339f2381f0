/** What all commands have in common: options, and the way from an action to an exit status. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { isToken } from '../protocol/subjects.js';
import type { ConnectionOptions } from './connection.js';
import { explain, CliError, STATUS } from './errors.js';
import { note } from './output.js';

/** What an action does; the number is the exit status, nothing is 0. */
export type Action<Options> = (args: readonly string[], options: Options) => Promise<number | void>;

/** Where the cluster is: on every command that asks it. */
function withConnection(command: Command): Command {
  return command
    .optionsGroup('Where the cluster is:')
    .option('--dir <folder>', 'of a cluster on this machine (default: .tepui)')
    .option('--nats <url>', 'of any cluster, with a login if need be (default: $NATS_URL)')
    .option('--credentials <file>', 'with {"url", "user", "password"}')
    .addOption(new Option('--cluster <name>', 'first token of every subject (default: tepui)').argParser(token));
}

/** A command that asks a cluster: with `--json`, and the options that say which. */
export function online<Options extends Common>(command: Command, action: Action<Options>, failure?: number): Command {
  command.option('--json', 'for programs: docs/cli.md has the schema');
  return run(withConnection(command), action, failure);
}

/** Gives `command` its action. Errors become lines on stderr and an exit status. */
export function run<Options extends object>(command: Command, action: Action<Options>, failure?: number): Command {
  command.showHelpAfterError(`(see: tepui help ${command.name()})`);
  return command.action(async (...all: unknown[]) => {
    const self = all.at(-1) as Command;
    try {
      process.exitCode = (await action(self.args, self.optsWithGlobals<Options>())) ?? STATUS.done;
    } catch (error) {
      note(explain(error));
      process.exitCode = failure ?? (error instanceof CliError ? error.status : STATUS.no);
    }
  });
}

export type Common = ConnectionOptions & { readonly json?: boolean };

export function token(text: string): string {
  if (!isToken(text)) throw new InvalidArgumentError('Letters, digits, _ and - only.');
  return text;
}

/** A whole number within bounds. */
export const whole =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`A whole number from ${least} to ${most}.`);
    return value;
  };

/** A number that is not negative. */
export function amount(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError('A number from 0 on.');
  return value;
}

/** For options that may be given again and again. */
export const repeated = (text: string, before: readonly string[] = []): string[] => [...before, text];

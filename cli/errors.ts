/** What a command says when it cannot do what it was asked to, and with which exit status. Rule: CLI-2. */
import { RequestFailed } from '../runtime/client.js';

/** 0: done. 1: the answer is no. 2: the command line is wrong. `run` has statuses of its own. */
export const STATUS = { done: 0, no: 1, usage: 2 } as const;

/** An error for people: what is wrong, and what to do next. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    message: string,
    /** What to do next, as a sentence or a command. */
    readonly hint?: string,
    readonly status: number = STATUS.no,
  ) {
    super(message);
  }
}

/** A command line that cannot be meant. */
export const usageError = (message: string, hint?: string): CliError => new CliError(message, hint, STATUS.usage);

/** The lines that stderr gets. Whatever was not foreseen is shown with its stack, as it is ours to mend. */
export function explain(error: unknown): string {
  if (error instanceof CliError) return [error.message, ...(error.hint === undefined ? [] : [error.hint])].join('\n');
  if (error instanceof RequestFailed) {
    const hint = error.code === 'NO_ANSWER' ? '\nSee what is there: tepui status' : '';
    return `${error.message}${hint}`;
  }
  if (isNamed(error, EXPECTED)) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Errors of the runtime whose message is meant for people. */
const EXPECTED = new Set([
  'NoServerError',
  'ServerStartError',
  'ServerCountError',
  'ServerConfigError',
  'UnfitServerError',
  'ProvisionError',
  'CredentialsError',
  'NotReadyError',
  'NatsUnreachableError',
  'ParseError',
  'AuthorizationError',
]);

const isNamed = (error: unknown, names: ReadonlySet<string>): error is Error =>
  error instanceof Error && names.has(error.name);

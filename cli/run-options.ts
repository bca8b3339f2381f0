/** The command line of `run` as a request. Pure. Rule: RUN-7. */
import type { CommandInfo } from '../protocol/container.js';
import { CliError } from './errors.js';
import { RUN_STATUS } from './run-end.js';
import type { RunRequest } from './run-scheduler.js';

export interface RunOptions {
  readonly count: number;
  readonly name?: string;
  readonly cpus: number;
  readonly mem: number;
  readonly disk: number;
  readonly ports: number;
  readonly env?: readonly string[];
  readonly timeout?: number;
  readonly grace?: number;
  readonly maxAttempts: number;
}

const wrong = (message: string, hint?: string): CliError => new CliError(message, hint, RUN_STATUS.failed);

/** Several words are a program and its arguments, as they are; one word with spaces or operators is for the shell. Rule: RUN-7. */
export function commandOf(words: readonly string[], env: readonly string[] = []): CommandInfo {
  const [first = ''] = words;
  const environment = { variables: env.map(variableOf) };
  if (words.length === 1 && /[\s;&|<>$`]/.test(first)) return { shell: true, value: first, environment };
  return { shell: false, value: first, arguments: [...words], environment };
}

function variableOf(text: string): { name: string; value: string } {
  const at = text.indexOf('=');
  if (at < 1) throw wrong(`--env ${text} has no name or no value.`, 'As in: --env GREETING=hello');
  return { name: text.slice(0, at), value: text.slice(at + 1) };
}

/** What people would call it: the program, without its folder. */
export function nameOf(words: readonly string[]): string {
  const program = (words[0] ?? '').trim().split(/\s+/)[0] ?? '';
  const base = program.replace(/\/+$/, '').split('/').at(-1) ?? '';
  const name = base.replaceAll(/[^A-Za-z0-9_.-]+/g, '-').replaceAll(/^[-.]+|-+$/g, '');
  return name === '' ? 'run' : name.slice(0, 40);
}

/** @throws CliError with the exit status of `run` for what cannot be meant */
export function runRequest(options: RunOptions, words: readonly string[], runId: string): RunRequest {
  if (words.length === 0 || words[0] === '') throw wrong('There is nothing to run.', 'As in: tepui run -- echo hello');
  const { count, cpus, mem, disk, ports, timeout, grace, maxAttempts } = options;
  if (cpus === 0 && mem === 0 && disk === 0 && ports === 0)
    throw wrong('A task must ask for something.', 'As in: tepui run --mem 1 -- true');
  return {
    name: options.name ?? nameOf(words),
    runId,
    count,
    command: commandOf(words, options.env),
    cpus,
    mem,
    disk,
    ports,
    timeoutSeconds: timeout,
    graceSeconds: grace,
    maxAttempts,
  };
}

/** What a test wants a process to do, written for a shell and for the simulator. */
import type { ContainerSpec } from '../../actors/effect.js';

export interface Behaviour {
  /** Ends by itself after so long; at once if left out, never if `'never'`. */
  readonly runMs?: number | 'never';
  readonly exitCode?: number;
  readonly ignoreTerm?: boolean;
  /** Cannot be started, as its program is not there. */
  readonly missingProgram?: boolean;
  /** Writes this line to its standard output at its start. */
  readonly print?: string;
  /** Writes the value of this variable as a line. */
  readonly printVariable?: string;
  /** A child adds to the sandbox's file `beat` every 20 ms as long as it lives; `ownSession`: it left its parent's session. */
  readonly child?: 'plain' | 'ownSession';
}

/** The part of a specification that says what the process does. */
export type Written = Pick<ContainerSpec, 'argv' | 'environment'>;
export type Write = (behaviour: Behaviour, environment?: Readonly<Record<string, string>>) => Written;

const BEAT = `trap '' TERM; while :; do printf . >> beat; sleep 0.02; done`;

/** For real processes, which start in their sandbox with stdout in the file `stdout` there. */
export const shellBehaviour: Write = (behaviour, environment = {}) => {
  const { runMs, exitCode, ignoreTerm, missingProgram, print, printVariable, child } = behaviour;
  const path = { PATH: '/usr/local/bin:/usr/bin:/bin', ...environment };
  if (missingProgram === true) return { argv: ['/nonexistent/program', 'argument'], environment: path };
  const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
  const lines: string[] = [];
  if (ignoreTerm === true) lines.push(`trap '' TERM`);
  if (child === 'plain') lines.push(`( ${BEAT} ) &`);
  if (child === 'ownSession') lines.push(`setsid sh -c ${quoted(BEAT)} &`);
  if (print !== undefined) lines.push(`printf '%s\\n' ${quoted(print)}`);
  if (printVariable !== undefined) lines.push(`printf '%s\\n' "$${printVariable}"`);
  if (runMs === 'never') lines.push('while :; do sleep 0.05; done');
  else if (runMs !== undefined) lines.push(`sleep ${runMs / 1000}`);
  lines.push(`exit ${exitCode ?? 0}`);
  return { argv: ['/bin/sh', '-c', lines.join('\n')], environment: path };
};

/** For the simulator. */
export const simulatedBehaviour: Write = (behaviour, environment = {}) => {
  const { runMs, exitCode, ignoreTerm, missingProgram, print, printVariable, child } = behaviour;
  return {
    argv: ['/bin/simulated'],
    environment: {
      ...environment,
      ...(runMs === 'never' ? { SIM_NEVER_ENDS: '1' } : { SIM_RUN_MS: String(runMs ?? 0) }),
      SIM_EXIT_CODE: String(exitCode ?? 0),
      ...(ignoreTerm === true && { SIM_IGNORE_TERM: '1' }),
      ...(missingProgram === true && { SIM_FAIL_LAUNCH: 'no such program' }),
      ...(print !== undefined && { SIM_STDOUT: `${print}\n` }),
      ...(printVariable !== undefined && { SIM_PRINT_ENV: printVariable }),
      ...(child !== undefined && { SIM_BEAT_MS: '20' }),
    },
  };
};

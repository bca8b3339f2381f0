/** What a simulated process does: read from its environment, or from words `NAME=value` of its argv. */
import type { ContainerSpec } from '../../actors/effect.js';

const DEFAULT_RUN_MS = 100;

/** The behaviour of one process. Each field says which variable it comes from. */
export interface Script {
  /** `SIM_RUN_MS`: ends by itself so long after its start; 100 if left out. */
  readonly runMs: number;
  /** `SIM_EXIT_CODE`: with this; 0 if left out. */
  readonly exitCode: number;
  /** `SIM_NEVER_ENDS`: does not end by itself. */
  readonly neverEnds: boolean;
  /** `SIM_IGNORE_TERM`: only SIGKILL ends it. */
  readonly ignoreTerm: boolean;
  /** `SIM_TERM_MS`: takes so long to die of SIGTERM. */
  readonly termMs: number;
  /** `SIM_TERM_EXIT_CODE`: catches SIGTERM and exits with this. */
  readonly termExitCode: number | undefined;
  /** `SIM_FAIL_LAUNCH`: cannot be started, with this message. */
  readonly failLaunch: string | undefined;
  /** `SIM_STDOUT` and the value of the variable that `SIM_PRINT_ENV` names: what it writes to its standard output. */
  readonly stdout: string;
  /** `SIM_BEAT_MS`: a child of it adds a byte to the sandbox's file `beat` so often, as long as the tree lives. */
  readonly beatMs: number | undefined;
}

/** Reads the behaviour. The environment goes before argv. @throws RangeError for a number that is none */
export function readScript(spec: ContainerSpec): Script {
  const words = new Map<string, string>();
  for (const word of spec.argv.join(' ').split(/\s+/)) {
    const [, name, value] = /^(SIM_[A-Z_]+)=(.*)$/.exec(word) ?? [];
    if (name !== undefined) words.set(name, value ?? '');
  }
  const variable = (name: string): string | undefined =>
    Object.hasOwn(spec.environment, name) ? spec.environment[name] : words.get(name);
  const number = (name: string): number | undefined => {
    const value = variable(name);
    if (value === undefined) return undefined;
    if (!Number.isFinite(Number(value))) throw new RangeError(`${name} is no number: ${value}`);
    return Number(value);
  };
  const flag = (name: string): boolean => !['', '0', undefined].includes(variable(name));
  const printed = variable('SIM_PRINT_ENV');
  return {
    runMs: number('SIM_RUN_MS') ?? DEFAULT_RUN_MS,
    exitCode: number('SIM_EXIT_CODE') ?? 0,
    neverEnds: flag('SIM_NEVER_ENDS'),
    ignoreTerm: flag('SIM_IGNORE_TERM'),
    termMs: number('SIM_TERM_MS') ?? 0,
    termExitCode: number('SIM_TERM_EXIT_CODE'),
    failLaunch: variable('SIM_FAIL_LAUNCH'),
    stdout: `${variable('SIM_STDOUT') ?? ''}${printed === undefined ? '' : `${variable(printed) ?? ''}\n`}`,
    beatMs: number('SIM_BEAT_MS'),
  };
}

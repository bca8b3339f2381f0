/** The whole bus of a cluster, as a tap of its own role hears it: no request goes without a responder then, and nothing is said unheard. */
import type { TapJson } from '../../cli/json-schemas.js';
import type { CliFolder, RunningCli } from './cli.js';

export interface Tap {
  /** All that was heard so far. */
  messages(): TapJson[];
  /** Those of these types. */
  of(...types: string[]): TapJson[];
  end(): Promise<void>;
}

/** What a control plane must never say because of its own trouble. */
export const KILLERS = ['KILL', 'KILL_TASK', 'SHUTDOWN', 'SHUTDOWN_FRAMEWORK'];

/** Resolves when it hears. */
export async function startTap(folder: CliFolder): Promise<Tap> {
  const process_: RunningCli = folder.start(['tap', '--json', '--heartbeats']);
  await process_.until(/^\{.*\}$/m);
  const parsed: TapJson[] = [];
  let read = 0;
  const messages = (): TapJson[] => {
    const text = process_.stdout();
    const end = text.lastIndexOf('\n') + 1;
    for (const line of text.slice(read, end).split('\n')) if (line !== '') parsed.push(JSON.parse(line) as TapJson);
    read = Math.max(read, end);
    return parsed;
  };
  return {
    messages,
    of: (...types) => messages().filter(({ type }) => type !== null && types.includes(type)),
    end: async () => {
      process_.signal('SIGINT');
      await process_.ended;
    },
  };
}

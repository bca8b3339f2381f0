/** `tepui down`: ends the cluster of a folder, its supervisor alive or not. Rules: UP-2, UP-5. */
import type { Command } from 'commander';
import { existsSync, readFileSync } from 'node:fs';
import { DEFAULT_TIMINGS, type Timings } from '../../protocol/limits.js';
import { signalRecord, untilGone } from '../../runtime/up/identity.js';
import { clusterLayout, processFile, type ClusterLayout } from '../../runtime/up/layout.js';
import { endLeftovers, killLeftovers } from '../../runtime/up/leftovers.js';
import { lockHolder } from '../../runtime/up/lock.js';
import { agentGraceMs } from '../../runtime/up/plan.js';
import { readState } from '../../runtime/up/state.js';
import { run } from '../command.js';
import { dirOf, noCluster, shown } from '../connection.js';
import type { DownJson } from '../json-schemas.js';
import { note, sayJson } from '../output.js';

interface Options {
  readonly dir?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  tepui down                  ends the cluster of .tepui: agents and their tasks, masters, NATS
  tepui down --dir /srv/pool  of another folder

Files stay: logs, sandboxes, and what the registry knows. Start anew without them: rm -r .tepui`;

export function downCommand(program: Command): void {
  const command = program
    .command('down')
    .summary('end the cluster of this folder')
    .description('Ends what `tepui up` has started, and nothing else, even if `up` itself has been killed.')
    .option('--dir <folder>', 'of the cluster (default: .tepui)')
    .option('--json', 'for programs: docs/cli.md has the schema')
    .addHelpText('after', EXAMPLES);
  run<Options>(command, async (_args, options) => {
    const done = await down(dirOf(options));
    if (options.json === true) sayJson(done);
    else
      note(
        done.ended.length === 0 ? 'All of it has ended.' : `Its supervisor was gone. Ended: ${done.ended.join(', ')}`,
      );
  });
}

/** Beyond the grace of agents: for masters, NATS and the supervisor's own end. */
const MARGIN_MS = 25_000;

async function down(dir: string): Promise<DownJson> {
  const layout = clusterLayout(dir);
  if (!existsSync(layout.dir)) throw noCluster(dir);
  const graceMs = agentGraceMs(timingsOf(layout));
  const supervisor = lockHolder(layout.lockFile);
  if (supervisor === undefined) return endWithoutSupervisor(layout, graceMs);
  note(`ending the cluster in ${shown(dir)} (pid ${supervisor.pid})`);
  signalRecord(supervisor, 'SIGTERM');
  if (!(await untilGone(supervisor, graceMs + MARGIN_MS))) {
    note('its supervisor does not end in order: it is killed, and all that it started');
    signalRecord(supervisor, 'SIGKILL');
    await untilGone(supervisor, 5_000);
    await killLeftovers(layout);
  }
  return { dir, supervisor: supervisor.pid, ended: [] };
}

async function endWithoutSupervisor(layout: ClusterLayout, graceMs: number): Promise<DownJson> {
  const wasUp = readState(layout.stateFile) !== undefined;
  const ended = await endLeftovers(layout, graceMs);
  if (!wasUp && ended.length === 0) throw noCluster(layout.dir);
  return { dir: layout.dir, supervisor: null, ended: [...ended] };
}

/** As `up` was told: an agent may need longer to end than by default. */
function timingsOf(layout: ClusterLayout): Partial<Timings> {
  try {
    const { timings } = JSON.parse(readFileSync(processFile(layout, 'a1'), 'utf8')) as { timings?: Partial<Timings> };
    return timings ?? {};
  } catch {
    return DEFAULT_TIMINGS;
  }
}

/** `tepui up`: a cluster on this machine, in the foreground or by itself. Rules: UP-1 to UP-8. */
import { InvalidArgumentError, type Command } from 'commander';
import { DEFAULT_CLUSTER } from '../../protocol/subjects.js';
import { DEFAULT_TIMINGS, type Timings } from '../../protocol/limits.js';
import { LocalCluster, StoppedError } from '../../runtime/up/cluster.js';
import { clusterLayout, logFile, MOST_NATS_SERVERS } from '../../runtime/up/layout.js';
import { lockHolder, LockedError } from '../../runtime/up/lock.js';
import type { UpOptions } from '../../runtime/up/plan.js';
import { readState } from '../../runtime/up/state.js';
import { repeated, run, token, whole } from '../command.js';
import { dirOf, placeOf, shown, type Place } from '../connection.js';
import { CliError, explain, STATUS, usageError } from '../errors.js';
import { firstJob } from '../first-job.js';
import { note, say, sayJson } from '../output.js';
import { onStopSignals } from '../signals.js';
import { statusOf, statusTable } from '../status.js';
import { startDetached, tellParent } from '../up-detached.js';

interface Options {
  readonly masters: number;
  readonly agents: number;
  readonly dir?: string;
  readonly nats?: string;
  readonly natsServers?: number;
  readonly port: number;
  readonly replicas?: number;
  readonly cluster?: string;
  readonly set?: readonly string[];
  readonly resources?: readonly string[];
  readonly logLevel?: string;
  readonly detach?: boolean;
  readonly firstJob?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  tepui up                              3 masters, 3 agents and a NATS server, here and now; Ctrl-C ends them
  tepui up --detach                     the same, in the background; ended by: tepui down
  tepui up --masters 1 --agents 1       a small one
  tepui up --nats-servers 3             NATS goes on when one of its servers is lost
  tepui up --nats nats://me:pw@host     on a server that runs already
  tepui up --resources 'cpus:4;mem:4096'
  tepui up --set heartbeatIntervalMs=500 --set updateRetryMs=1000

Then:
  tepui run -- echo hello
  tepui tap`;

export function upCommand(program: Command): void {
  const command = program
    .command('up')
    .summary('start a cluster on this machine')
    .description(
      'Starts a NATS server, masters and agents on this machine, keeps them running, and ends them on Ctrl-C.',
    )
    .option('--masters <count>', 'one leads, the others stand by', whole(1, 9), 3)
    .option('--agents <count>', 'the machine is divided among them', whole(1, 100), 3)
    .option('--dir <folder>', 'everything is kept in there (default: .tepui)')
    .option('--detach', 'return when the cluster is ready, and leave it running')
    .option(
      '--nats <url>',
      'use this server, with a login that may do everything (default: $NATS_URL, else one is started)',
    )
    .option(
      '--nats-servers <count>',
      'NATS servers to start: 1, or 3 that outlive the loss of one (default: 1)',
      servers,
    )
    .option('--port <number>', 'of the NATS server that is started (default: a free one)', whole(0, 65_535), 0)
    .option('--replicas <count>', 'copies of each bucket, with --nats', whole(1, 5))
    .option('--cluster <name>', 'first token of every subject (default: tepui)', token)
    .option('--resources <text>', "of each agent, as 'cpus:4;mem:4096'; again for the next agent", repeated)
    .option('--set <timing=ms>', 'one of the timings in docs/defaults.md; may be repeated', repeated)
    .option('--log-level <level>', 'of masters and agents: debug, info, warn or error')
    .option('--first-job', 'run the word count once it is ready, then stay up')
    .option('--json', 'print what `tepui status --json` prints, once it is ready')
    .addHelpText('after', EXAMPLES);
  run<Options>(command, (_args, options) => up(options));
}

/** More servers than can be lost are no use, and an even number adds none. Rule: UP-11. */
export function servers(text: string): number {
  const count = Number(text);
  if (count === 1 || count === MOST_NATS_SERVERS) return count;
  const why = Number.isInteger(count) && count > 0 ? ' Two outvote nobody, and more than three add only copies.' : '';
  throw new InvalidArgumentError(`1, or 3, which go on when one of them is lost.${why}`);
}

/** `name=ms` pairs, checked against the table. Rule: UP-8. */
export function parseTimings(pairs: readonly string[]): Partial<Timings> {
  const timings: Record<string, number> = {};
  for (const pair of pairs) {
    const [name = '', value = ''] = pair.split('=', 2);
    if (!Object.hasOwn(DEFAULT_TIMINGS, name))
      throw usageError(`There is no timing ${name}.`, `The timings are: ${Object.keys(DEFAULT_TIMINGS).join(', ')}`);
    const ms = Number(value);
    if (value === '' || !Number.isFinite(ms) || ms < 0)
      throw usageError(`--set ${name} needs a number from 0 on, as ${name}=500.`);
    timings[name] = ms;
  }
  return timings;
}

async function up(options: Options): Promise<number> {
  const dir = dirOf(options);
  const natsUrl = options.nats ?? (process.env['NATS_URL'] || undefined);
  requireConsistent(options, natsUrl);
  const plan: UpOptions = {
    dir,
    cluster: options.cluster ?? DEFAULT_CLUSTER,
    masters: options.masters,
    agents: options.agents,
    natsUrl,
    natsServers: options.natsServers,
    port: options.port,
    replicas: options.replicas,
    timings: parseTimings(options.set ?? []),
    resources: options.resources ?? [],
    logLevel: options.logLevel,
    report: (line) => {
      note(line);
      tellParent({ type: 'line', text: line });
    },
  };
  const holder = lockHolder(clusterLayout(dir).lockFile);
  if (holder !== undefined) return onRunning(dir, holder.pid, options);
  if (options.detach === true) return detach(dir, options);
  let cluster: LocalCluster;
  try {
    cluster = new LocalCluster(plan);
  } catch (error) {
    if (!(error instanceof LockedError)) throw error;
    return onRunning(dir, error.pid, options);
  }
  return supervise(cluster, dir, options);
}

/** Rule: UP-11. */
function requireConsistent({ natsServers, replicas, port }: Options, natsUrl: string | undefined): void {
  if (natsUrl !== undefined && natsServers !== undefined)
    throw usageError(
      `--nats-servers starts servers, and ${natsUrl === process.env['NATS_URL'] ? '$NATS_URL' : '--nats'} names one that runs already.`,
      'Leave one of the two out.',
    );
  if (natsUrl === undefined && replicas !== undefined && replicas > (natsServers ?? 1))
    throw usageError(
      `--replicas ${replicas} needs as many servers.`,
      'With --nats-servers 3 each bucket has three copies by itself.',
    );
  if (port + (natsServers ?? 1) - 1 > 65_535) throw usageError(`There are no ${natsServers} ports from ${port} on.`);
}

/** Somebody was here before: nothing is started, and nothing of theirs is touched. Rule: UP-3. */
async function onRunning(dir: string, pid: number, { firstJob: wantsJob }: Options): Promise<number> {
  const state = readState(clusterLayout(dir).stateFile);
  const at = state === undefined ? '' : `, NATS at ${state.nats.url}`;
  if (wantsJob === true && state !== undefined) {
    note(`A cluster runs in ${shown(dir)} already (pid ${pid}${at}): the job goes there.`);
    return firstJob(dir, state.cluster);
  }
  const error = new CliError(
    `A cluster runs in ${shown(dir)} already (pid ${pid}${at}).`,
    `See it: tepui status · end it: tepui down · start another: tepui up --dir FOLDER`,
  );
  tellParent({ type: 'failed', text: explain(error) });
  throw error;
}

async function supervise(cluster: LocalCluster, dir: string, options: Options): Promise<number> {
  // What was started outlives whoever reads our words.
  process.stdout.on('error', () => undefined);
  let finish: () => void;
  const finished = new Promise<void>((fulfil) => (finish = fulfil));
  const forget = onStopSignals({
    first: (signal) => {
      note(`${signal}: ending agents and their tasks, masters, NATS (again: at once)`);
      void cluster.stop().then(() => finish());
    },
    second: () => void cluster.kill().then(() => process.exit(STATUS.no)),
  });
  try {
    await cluster.start();
    const place = await placeOf({ dir }, 'operator');
    await tellReady(place, dir, options);
    tellParent({ type: 'ready' });
    // A job that is interrupted waits for masters that are gone: the end of the cluster ends it.
    if (options.firstJob === true)
      await Promise.race([finished, firstJob(dir, place.cluster).catch((error: unknown) => note(explain(error)))]);
    if (options.json !== true) say(tryNext(dir));
    await finished;
    note('All of it has ended.');
    process.exit(STATUS.done);
  } catch (error) {
    if (!(error instanceof StoppedError)) tellParent({ type: 'failed', text: explain(error) });
    await cluster.stop();
    if (error instanceof StoppedError) return STATUS.no;
    throw error;
  } finally {
    forget();
  }
}

async function tellReady(place: Place, dir: string, { json }: Options): Promise<void> {
  const status = await statusOf(place, dir);
  if (json === true) sayJson(status);
  else say(statusTable(status, shown(dir)));
}

async function detach(dir: string, options: Options): Promise<number> {
  const outcome = await startDetached(dir);
  if (outcome.type === 'failed') {
    note(outcome.text);
    return STATUS.no;
  }
  const place = await placeOf({ dir }, 'operator');
  await tellReady(place, dir, options);
  const log = shown(logFile(clusterLayout(dir), 'up'));
  note(`\nIt runs in the background (pid ${place.state?.supervisor.pid ?? '?'}, log ${log}). End it: tepui down`);
  return options.firstJob === true ? firstJob(dir, place.cluster) : STATUS.done;
}

function tryNext(dir: string): string {
  const option = shown(dir) === '.tepui' ? '' : ` --dir ${shown(dir)}`;
  return [
    '',
    'Try next:',
    `  tepui run${option} -- echo hello`,
    `  tepui run${option} -n 20 -- 'sleep 1; echo done'`,
    `  tepui tap${option}`,
    `  tepui down${option}`,
  ].join('\n');
}

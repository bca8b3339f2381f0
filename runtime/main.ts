/** Entry of a master's or an agent's process: `main.js CONFIG.json`. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { CountAllocator } from '../actors/master/allocator/count-allocator.js';
import type { Stop } from '../actors/effect.js';
import { DEFAULT_TIMINGS, type Timings } from '../protocol/limits.js';
import { startAgent, startMaster, type RootOptions, type Running } from './compose.js';
import { dieAt } from './die-at.js';
import { processLog } from './log.js';
import { readCredentials } from './nats/connection.js';
import { closeStrayFiles } from './node/stray-files.js';
import { openAgentPlace } from './agent-place.js';
import { END_TASKS_SIGNAL, EXIT, type ProcessConfig } from './process-config.js';
import type { Log } from './ports.js';
import { VERSION } from './version.js';
import { connectMasterWorld, connectWorld } from './world.js';

export { EXIT, type ProcessConfig };

const DRAIN_MS = 2_000;

async function main(path: string): Promise<void> {
  // Before anything is opened: what we inherited, our tasks would inherit too.
  closeStrayFiles();
  const config = JSON.parse(readFileSync(path, 'utf8')) as ProcessConfig;
  const log = processLog(config.name, config.logLevel);
  const credentials = await readCredentials(config.credentials);
  const { cluster, name: principal } = config;
  const onFatal = (error: Error): void => end(EXIT.unreachable, log, 'the world is lost', error);
  /** What an agent does with what it has, before its process ends. */
  let leave = (_stop: Stop, done: () => void): void => done();
  const options: RootOptions = {
    cluster,
    principal,
    hooks: dieAt(process.env['TEPUI_DIE_AT']),
    onStop: (stop: Stop) => {
      log.write('info', stop.reason);
      const status = stop.restart ? EXIT.steppedDown : EXIT.stopped;
      leave(stop, () => {
        setTimeout(() => process.exit(status), DRAIN_MS).unref();
        void world.close().finally(() => process.exit(status));
      });
    },
    onCrash: (actor, error) => end(EXIT.crashed, log, `${actor} crashed`, error),
  };
  const timings: Timings = { ...DEFAULT_TIMINGS, ...config.timings };
  // What an agent needs of this machine comes first: a second one on its folder is not to be heard by anybody.
  const place = config.role === 'agent' ? openAgentPlace(config, log, onFatal) : undefined;
  const worldOptions = { credentials, cluster, principal, log, onFatal };
  const world =
    config.role === 'master'
      ? await connectMasterWorld(worldOptions)
      : await connectWorld({ ...worldOptions, role: 'agent' });
  let running: Pick<Running<never>, 'stop'>;
  if (place === undefined) {
    const { ports } = world as Awaited<ReturnType<typeof connectMasterWorld>>;
    const allocator = (): CountAllocator => new CountAllocator(timings);
    running = startMaster(ports, { hostname: hostname(), version: VERSION, timings, allocator }, options);
  } else {
    leave = place.leave;
    const { info, start, ports } = place;
    running = startAgent(
      { ...world.ports, ...ports },
      { version: VERSION, info, timings, executors: config.executors && { ...config.executors, cluster } },
      { timings, ...start },
      options,
    );
    process.on(END_TASKS_SIGNAL, () => {
      place.endTasks();
      running.stop({ endTasks: true });
    });
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      place?.keepTasks();
      running.stop({ endTasks: false });
    });
  process.send?.('started');
}

function end(status: number, log: Log, message: string, error: unknown): never {
  log.write('error', message, { error: error instanceof Error ? error.stack : String(error) });
  process.exit(status);
}

const [path] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write('usage: main.js CONFIG.json\n');
  process.exit(64);
}
main(path).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(EXIT.unreachable);
});

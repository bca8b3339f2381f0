/** Entry of a master's or an agent's process: `main.js CONFIG.json`. */
import { mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { join } from 'node:path';
import { CountAllocator } from '../actors/master/allocator/count-allocator.js';
import type { Stop } from '../actors/effect.js';
import { parseAttributes } from '../protocol/attributes.js';
import { DEFAULT_TIMINGS, type Timings } from '../protocol/limits.js';
import { Resources } from '../protocol/resources.js';
import { startAgent, startMaster, type RootOptions, type Running } from './compose.js';
import { processLog } from './log.js';
import { readCredentials } from './nats/connection.js';
import { closeStrayFiles } from './node/stray-files.js';
import { nodeFiles } from './node/node-files.js';
import { nodeProcesses, recoverContainers } from './node/node-processes.js';
import { EXIT, type ProcessConfig } from './process-config.js';
import type { Log } from './ports.js';
import { takeLock } from './up/lock.js';
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
  const options: RootOptions = {
    cluster,
    principal,
    onStop: (stop: Stop) => {
      log.write('info', stop.reason);
      const status = stop.restart ? EXIT.steppedDown : EXIT.stopped;
      endTasks(() => {
        setTimeout(() => process.exit(status), DRAIN_MS).unref();
        void world.close().finally(() => process.exit(status));
      });
    },
    onCrash: (actor, error) => end(EXIT.crashed, log, `${actor} crashed`, error),
  };
  const worldOptions = { credentials, cluster, principal, log, onFatal };
  const timings: Timings = { ...DEFAULT_TIMINGS, ...config.timings };
  const world =
    config.role === 'master'
      ? await connectMasterWorld(worldOptions)
      : await connectWorld({ ...worldOptions, role: 'agent' });
  let running: Pick<Running<never>, 'stop'>;
  /** What an agent that was told to stop has not ended in its time is ended now: nobody else would. */
  let endTasks = (done: () => void): void => done();
  if (config.role === 'master') {
    const { ports } = world as Awaited<ReturnType<typeof connectMasterWorld>>;
    const allocator = (): CountAllocator => new CountAllocator(timings);
    running = startMaster(ports, { hostname: hostname(), version: VERSION, timings, allocator }, options);
  } else {
    const agent = await startAgentProcess(config, timings, world, options, log, onFatal);
    running = agent.running;
    endTasks = agent.endTasks;
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => running.stop());
  process.send?.('started');
}

async function startAgentProcess(
  config: ProcessConfig,
  timings: Timings,
  world: Awaited<ReturnType<typeof connectWorld>>,
  options: RootOptions,
  log: Log,
  onFatal: (error: Error) => void,
) {
  const workDir = config.workDir;
  if (workDir === undefined) throw new Error('an agent needs a workDir');
  const folders = { sandboxFolder: join(workDir, 'sandboxes'), runtimeFolder: join(workDir, 'run') };
  mkdirSync(folders.runtimeFolder, { recursive: true, mode: 0o700 });
  // A second agent on one folder would take the tasks of the first for left over, and kill them.
  process.on('exit', takeLock(join(folders.runtimeFolder, 'lock')));
  const recovered = await recoverContainers(folders.runtimeFolder, log);
  const processes = nodeProcesses({ ...folders, log });
  const files = nodeFiles({ stateFolder: join(workDir, 'meta'), sandboxFolder: folders.sandboxFolder, log, onFatal });
  const info = {
    hostname: hostname(),
    resources: Resources.parse(config.resources ?? 'cpus:1;mem:1024').toArray(),
    ...(config.attributes !== undefined && { attributes: parseAttributes(config.attributes) }),
  };
  const maxStarting = config.maxStarting ?? 2 * availableParallelism();
  const environment = { PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin' };
  const running = startAgent(
    { ...world.ports, processes, files },
    { version: VERSION, info, timings, lost: recovered.map(({ containerId }) => containerId) },
    { timings, maxStarting, environment },
    options,
  );
  return { running, endTasks: (done: () => void) => processes.stopAll(0, done) };
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

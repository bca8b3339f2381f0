/** Runs an executor in its process: who it is comes from the environment that its agent gave it. Rule: EXC-1. */
import type { Executor } from '../actors/framework/executor.js';
import type { ErrorBody } from '../protocol/errors.js';
import { readExecutorEnvironment } from '../protocol/executor-environment.js';
import { DEFAULT_TIMINGS, type Timings } from '../protocol/limits.js';
import { startExecutor } from './compose.js';
import { silentLog } from './log.js';
import { readCredentials } from './nats/connection.js';
import type { Log } from './ports.js';
import { connectWorld } from './world.js';

export interface ExecutorOptions<State, Input> {
  readonly executor: Executor<State, Input>;
  readonly state: State;
  /** Default: the environment of this process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly timings?: Partial<Timings>;
  readonly log?: Log;
  /** Called after each step: start here the work that your state asks for, and say through `input` what came of it. */
  readonly onStep?: (state: State) => void;
}

/** How an executor ended: an error when it did not mean to. */
export interface ExecutorEnd {
  readonly error?: ErrorBody['error'] | undefined;
}

export interface RunningExecutor<Input> {
  /** Gives the executor's `onInput` something from outside. */
  input(input: Input): void;
  /** Ends it in order, as SHUTDOWN does. */
  stop(): void;
  /** Resolves when it has ended; rejects when its connection is lost for good or it threw. */
  readonly ended: Promise<ExecutorEnd>;
}

/** Rejects when the environment is not an executor's, or NATS refuses it. While NATS cannot be reached it waits. */
export async function runExecutor<State, Input = never>(
  options: ExecutorOptions<State, Input>,
): Promise<RunningExecutor<Input>> {
  const { executor, state, log = silentLog } = options;
  const environment = readExecutorEnvironment(options.environment ?? process.env);
  // Read at once: the process may go to another folder later.
  const credentials = await readCredentials(environment.credentials);
  const { cluster, principal, agentPrincipal, frameworkId, executorId, containerId } = environment;
  let finish: (end: ExecutorEnd) => void;
  let fail: (error: unknown) => void;
  const ended = new Promise<ExecutorEnd>((resolve, reject) => {
    finish = resolve;
    fail = reject;
  });
  // The caller may look at `ended` late; until then a failure is not "unhandled".
  ended.catch(() => {});
  const world = await connectWorld({
    credentials,
    cluster,
    role: 'executor',
    principal,
    log,
    onFatal: (error) => fail(error),
    waitForServer: true,
  });
  const running = startExecutor(
    world.ports,
    {
      agentPrincipal,
      frameworkId,
      executorId,
      containerId,
      executor: executor as Executor<unknown, unknown>,
      own: state,
      timings: { ...DEFAULT_TIMINGS, ...options.timings },
      shutdownGraceMs: Number(environment.shutdownGraceMs),
    },
    {
      cluster,
      principal,
      hooks: { afterStep: () => options.onStep?.(state) },
      onStop: () => {
        const { error } = running.host.actor.getSnapshot().context.state;
        void world.close().then(() => finish({ error }), fail);
      },
      onCrash: (_actor, error) => void world.close().finally(() => fail(error)),
    },
  );
  return {
    input: (input) => running.host.send({ type: 'INPUT', input } as { type: string }),
    stop: () => running.stop(),
    ended,
  };
}

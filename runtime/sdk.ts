/** The SDK: what a framework's author imports from `tepui`. */
import type { Stop } from '../actors/effect.js';
import type { Scheduler } from '../actors/framework/scheduler.js';
import { DEFAULT_TIMINGS, type Timings } from '../protocol/limits.js';
import { DEFAULT_CLUSTER } from '../protocol/subjects.js';
import type { ErrorBody } from '../protocol/errors.js';
import { startScheduler } from './compose.js';
import { silentLog } from './log.js';
import type { Credentials } from './nats/connection.js';
import type { Log } from './ports.js';
import { connectWorld } from './world.js';

export * from '../actors/framework/scheduler.js';
export { runExecutor, type ExecutorEnd, type ExecutorOptions, type RunningExecutor } from './run-executor.js';
export {
  update,
  type Executor,
  type ExecutorCall,
  type ExecutorCalls,
  type TaskReport,
} from '../actors/framework/executor.js';
export type { Stamp } from '../actors/events.js';
export type { Offer, Filters, Operation } from '../protocol/offer.js';
export type { TaskInfo, TaskState, TaskStatus } from '../protocol/task.js';
export { isTerminal } from '../protocol/task-state.js';
export { Resources } from '../protocol/resources.js';
export { readCredentials, type Credentials } from './nats/connection.js';
export { processLog, silentLog } from './log.js';
export type { Log } from './ports.js';

export interface SchedulerOptions<State, Input> {
  readonly credentials: Credentials;
  /** The framework's principal; the NATS user's name. */
  readonly principal: string;
  readonly scheduler: Scheduler<State, Input>;
  readonly state: State;
  /** Comes back as this framework. */
  readonly frameworkId?: string;
  /** First token of every subject; default `tepui`. */
  readonly cluster?: string;
  readonly timings?: Partial<Timings>;
  readonly log?: Log;
  /** Called after each step: look at your state here, and change nothing. */
  readonly onStep?: (state: State) => void;
}

/** How a scheduler ended: an error when it did not mean to. */
export interface SchedulerEnd {
  readonly error?: ErrorBody['error'] | undefined;
}

export interface RunningScheduler<Input> {
  /** Gives the scheduler's `onInput` something from outside. */
  input(input: Input): void;
  /** Resolves when it has ended (TEARDOWN or LEAVE); rejects when its connection is lost for good or it threw. */
  readonly ended: Promise<SchedulerEnd>;
}

/** Runs a scheduler against the cluster behind `credentials`. Rejects when NATS cannot be reached. */
export async function runScheduler<State, Input = never>(
  options: SchedulerOptions<State, Input>,
): Promise<RunningScheduler<Input>> {
  const { credentials, principal, scheduler, state, frameworkId, cluster = DEFAULT_CLUSTER, log = silentLog } = options;
  let finish: (end: SchedulerEnd) => void;
  let fail: (error: unknown) => void;
  const ended = new Promise<SchedulerEnd>((resolve, reject) => {
    finish = resolve;
    fail = reject;
  });
  // The caller may look at `ended` late; until then a failure is not "unhandled".
  ended.catch(() => {});
  const world = await connectWorld({
    credentials,
    cluster,
    role: 'scheduler',
    principal,
    log,
    onFatal: (error) => fail(error),
  });
  const config = {
    scheduler: scheduler as Scheduler<unknown, unknown>,
    own: state,
    timings: { ...DEFAULT_TIMINGS, ...options.timings },
    frameworkId,
  };
  const running = startScheduler(world.ports, config, {
    cluster,
    principal,
    hooks: { afterStep: () => options.onStep?.(state) },
    onStop: (_stop: Stop) => {
      const { error } = running.host.actor.getSnapshot().context.state;
      void world.close().then(() => finish({ error }), fail);
    },
    onCrash: (_actor, error) => void world.close().finally(() => fail(error)),
  });
  return { input: (input) => running.host.send({ type: 'INPUT', input } as { type: string }), ended };
}

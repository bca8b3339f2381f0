/** Runs one request: the scheduler on the SDK, the output of its tasks, what is shown, and signals. Rules: RUN-1 to RUN-8. */
import { userInfo } from 'node:os';
import type { AgentView } from '../protocol/operator-api.js';
import { RequestFailed, type OperatorClient } from '../runtime/client.js';
import { runScheduler, type RunningScheduler } from '../runtime/sdk.js';
import type { Place } from './connection.js';
import { CliError } from './errors.js';
import { RUN_STATUS, signalExitStatus } from './run-end.js';
import { OutputPump } from './run-output.js';
import { freeNow, neverPlaceable } from './run-placement.js';
import {
  newRunState,
  runSchedulerOf,
  runStatus,
  type RunEvent,
  type RunInput,
  type RunRequest,
  type RunState,
} from './run-scheduler.js';
import type { RunView } from './run-view.js';
import { shortResources } from './format.js';
import { onStopSignals, signalStatus } from './signals.js';

/** For a message on its way to the socket. */
const LAST_WORD_MS = 100;
const LEADER_WAIT_MS = 15_000;
const LOOK_MS = 3_000;
/** After the framework's end, for output of agents that do not answer and for a master that does not confirm it. */
const LAST_WORDS_MS = 30_000;

const failed = (message: string, hint?: string): CliError => new CliError(message, hint, RUN_STATUS.failed);

/** Waits no longer than that. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((fulfil) => (timer = setTimeout(fulfil, ms)));
  await Promise.race([work, limit]);
  clearTimeout(timer);
}

const pause = (ms: number): Promise<void> => new Promise((fulfil) => setTimeout(fulfil, ms));

export class RunJob {
  readonly #client: OperatorClient;
  readonly #place: Place;
  readonly #view: RunView;
  readonly #state: RunState;
  readonly #pump: OutputPump;
  /** Principals by agent id. */
  readonly #agents = new Map<string, string>();
  /** The ids that outputs go under: of a task's attempt. */
  readonly #ids: string[] = [];
  readonly #located = new Map<string, Promise<void>>();
  readonly #startedMs = performance.now();
  #shown = 0;
  #progressMs = performance.now();
  #running: RunningScheduler<RunInput> | undefined;

  /** `client` asks as an operator; `place` is where, and as whom, the scheduler subscribes. */
  constructor(client: OperatorClient, place: Place, request: RunRequest, view: RunView) {
    this.#client = client;
    this.#place = place;
    this.#view = view;
    this.#state = newRunState(request);
    this.#pump = new OutputPump(client, {
      data: (task, stream, data) => view.output(task, this.#idOf(task), stream, data),
      ended: (task, stream) => view.outputEnded(task, this.#idOf(task), stream),
      failed: (task, stream, error) =>
        view.notice(
          'output lost',
          `${this.#idOf(task)}: ${stream} could not be read: ${error instanceof Error ? error.message : String(error)}`,
        ),
    });
  }

  /** Resolves with the exit status. Rejects with a {@link CliError} when nothing could be run. */
  async run(): Promise<number> {
    const forget = onStopSignals({
      first: (signal) => this.stop(signal, signalStatus(signal)),
      second: (signal) => this.#leave(signalStatus(signal)),
    });
    let isClosed = false;
    // Each line that nobody reads is an error; with nobody listening for the second one the process would end at once.
    const onClosed = (): void => {
      if (!isClosed) this.stop('nobody reads the output', signalExitStatus('SIGPIPE'));
      isClosed = true;
    };
    process.stdout.on('error', onClosed);
    try {
      await this.#requirePlaceable();
      this.#running = await this.#subscribe();
      const watch = setInterval(() => void this.#look(), LOOK_MS);
      const end = await this.#running.ended.finally(() => clearInterval(watch));
      await within(LAST_WORDS_MS, this.#drained());
      if (end.error !== undefined && this.#state.stop === undefined)
        throw failed(`The cluster has ended this run: ${end.error.message}`);
      const exitStatus = runStatus(this.#state);
      this.#view.summary({ state: this.#state, exitStatus, tookMs: performance.now() - this.#startedMs });
      return exitStatus;
    } finally {
      forget();
      process.stdout.removeListener('error', onClosed);
      this.#pump.close();
    }
  }

  /** Kills what runs and ends; before there is a framework, nothing runs. */
  stop(why: string, exitStatus: number): void {
    if (this.#running === undefined || this.#state.frameworkId === undefined) process.exit(exitStatus);
    this.#running.input({ type: 'stop', why, exitStatus });
  }

  /** At once, but for one last word to the master. */
  #leave(exitStatus: number): void {
    this.#running?.input({ type: 'leave' });
    setTimeout(() => process.exit(exitStatus), LAST_WORD_MS);
  }

  #subscribe(): Promise<RunningScheduler<RunInput>> {
    const { credentials, principal, cluster } = this.#place;
    return runScheduler<RunState, RunInput>({
      credentials,
      principal,
      cluster,
      scheduler: runSchedulerOf(this.#state.request, ownUser()),
      state: this.#state,
      onStep: () => this.#showNew(),
    });
  }

  /** Waits for a leader and for agents; refuses what could never run. Rule: RUN-5. */
  async #requirePlaceable(): Promise<void> {
    const deadline = performance.now() + LEADER_WAIT_MS;
    for (;;) {
      const agents = await this.#askAgents();
      if (agents !== undefined && agents.length > 0) {
        const never = neverPlaceable(this.#state.request, agents);
        if (never === undefined) return;
        throw failed(never, 'See what there is: tepui agents');
      }
      if (performance.now() > deadline) {
        const what = agents === undefined ? 'No master leads' : 'No agent has registered';
        throw failed(`${what}, for ${LEADER_WAIT_MS / 1_000} s now.`, 'See what is there: tepui status');
      }
      await pause(100);
    }
  }

  /** `undefined` while nobody leads. */
  async #askAgents(): Promise<readonly AgentView[] | undefined> {
    try {
      const { agents } = await this.#client.askAll('GET_AGENTS', {}, 2_000);
      for (const { agentInfo, principal } of agents)
        if (agentInfo.id !== undefined) this.#agents.set(agentInfo.id, principal);
      return agents;
    } catch (error) {
      if (error instanceof RequestFailed && error.retryable) return undefined;
      throw error;
    }
  }

  /** Says why nothing happens, when nothing happens. */
  async #look(): Promise<void> {
    const { pending, stop, request } = this.#state;
    if (pending.length === 0 || stop !== undefined || performance.now() - this.#progressMs < LOOK_MS) return;
    this.#progressMs = performance.now() + 2 * LOOK_MS;
    const agents = await this.#askAgents().catch(() => undefined);
    if (agents === undefined) return this.#view.notice('waiting', `${pending.length} waiting: no master leads`);
    const never = neverPlaceable(request, agents);
    const wants = shortResources(
      ['cpus', 'mem', 'disk'].map((name) => ({
        name,
        type: 'SCALAR' as const,
        scalar: { value: request[name as 'cpus'] },
      })),
    );
    this.#view.notice(
      'waiting',
      never ?? `${pending.length} waiting for resources: each wants ${wants}; ${freeNow(agents)}`,
    );
  }

  #showNew(): void {
    const { events } = this.#state;
    while (this.#shown < events.length) {
      const event = events[this.#shown++] as RunEvent;
      this.#progressMs = Math.max(this.#progressMs, performance.now());
      this.#view.event(event);
      if (event.event === 'running') this.#follow(event);
      else if (event.event === 'ended' || event.event === 'again') this.#endOutput(event);
    }
  }

  #follow({ task, id, agentId, launchId }: { task: number; id: string; agentId: string; launchId: string }): void {
    this.#ids[task] = id;
    const { frameworkId = '' } = this.#state;
    const add = (agent: string | undefined): void => {
      if (agent !== undefined) this.#pump.add(id, task, { agent, frameworkId, taskId: id, launchId });
    };
    const known = this.#agents.get(agentId);
    if (known !== undefined) return add(known);
    // An agent that came after we asked.
    const located = this.#askAgents().then(
      () => add(this.#agents.get(agentId)),
      () => undefined,
    );
    this.#located.set(id, located);
  }

  #endOutput({ id }: { id: string }): void {
    const located = this.#located.get(id);
    if (located === undefined) this.#pump.end(id);
    else
      this.#located.set(
        id,
        located.then(() => this.#pump.end(id)),
      );
  }

  async #drained(): Promise<void> {
    await Promise.all(this.#located.values());
    await this.#pump.drained();
  }

  #idOf(task: number): string {
    return this.#ids[task] ?? '';
  }
}

/** Root here asks for nobody in particular: an agent has a user for such tasks, and few let a task be root. */
function ownUser(): string {
  const { uid, username } = userInfo();
  return uid === 0 ? '' : username;
}

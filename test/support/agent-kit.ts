/** An agent's and an executor's machine, with a master and a store that are played by the test. */
import { agentMachine } from '../../actors/agent/agent.machine.js';
import type { AgentConfig, AgentState } from '../../actors/agent/agent-state.js';
import type { Checkpoint, Effect, Publish } from '../../actors/effect.js';
import type { Meta } from '../../actors/events.js';
import { executorMachine } from '../../actors/framework/executor.machine.js';
import type { CommandExecutorConfig } from '../../actors/framework/command-executor.js';
import type { MasterToAgentBody } from '../../protocol/agent-api.js';
import { checkpointRecord, CHECKPOINT_VERSION, type CheckpointRecord } from '../../protocol/checkpoint.js';
import { decodeValue, encodeValue } from '../../protocol/codec.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import type { TaskInfo, TaskStatus } from '../../protocol/task.js';
import type { ContainerEnd } from '../../runtime/ports.js';
import { ActorKit, bodies, meta, published } from './actor-kit.js';
import { taskInfo } from './master-kit.js';

export const AGENT_ID = '5-S1';

/** The records of an agent that was admitted in an earlier life. */
export const admitted = (epoch = 5): readonly CheckpointRecord[] => [
  { kind: 'agent', value: { schemaVersion: CHECKPOINT_VERSION, agentId: AGENT_ID, epoch } },
];

/** An agent's store: encoded records, as they outlive the agent. */
export class TestStore {
  readonly #values = new Map<string, Uint8Array>();

  write({ writes }: Checkpoint): void {
    for (const { key, value } of writes)
      if (value === undefined) this.#values.delete(key);
      else this.#values.set(key, encodeValue(value));
  }

  get keys(): string[] {
    return [...this.#values.keys()].sort();
  }

  get records(): CheckpointRecord[] {
    return [...this.#values].map(([key, value]) => checkpointRecord(key, decodeValue(value)));
  }

  /** The record under a key, decoded. */
  read<T>(key: string): T | undefined {
    const value = this.#values.get(key);
    return value && (decodeValue(value) as T);
  }
}

export class AgentKit extends ActorKit<typeof agentMachine> {
  session = '0';
  sequence = 0;
  epoch = 5;
  readonly store = new TestStore();
  /** Whether the store answers at once, and its writes are not shown; otherwise {@link stored} answers. */
  storesAtOnce = true;
  readonly asked: Checkpoint[] = [];
  /** Commits so far. */
  commits = 0;
  #sessions = 0;

  constructor(config: Partial<AgentConfig> = {}) {
    super(agentMachine, {
      name: 'a1',
      version: '1',
      info: { hostname: 'h' },
      timings: DEFAULT_TIMINGS,
      records: [],
      ...config,
    });
  }

  override send(event: { readonly type: string }): Effect[] {
    const effects = super.send(event);
    for (const effect of effects) if (effect.type === 'checkpoint') this.asked.push(effect);
    if (!this.storesAtOnce) return effects;
    const shown = effects.filter(({ type }) => type !== 'checkpoint');
    while (this.asked.length > 0) shown.push(...this.stored());
    return shown;
  }

  /** The store has what it was asked for first. */
  stored(): Effect[] {
    const next = this.asked.shift();
    if (next === undefined) throw new Error('nothing was to be stored');
    this.store.write(next);
    this.commits += 1;
    return this.send({ type: 'CHECKPOINTED', requestId: next.requestId } as never);
  }

  /** The store has everything. */
  storedAll(): Effect[] {
    const effects: Effect[] = [];
    while (this.asked.length > 0) effects.push(...this.stored());
    return effects;
  }

  get state(): AgentState {
    return this.actor.getSnapshot().context.state;
  }

  /** The last question: REGISTER or REREGISTER. */
  get question(): Publish {
    const asked = published(this.all).filter(({ message }) => message.endsWith('REGISTER') && message !== 'UNREGISTER');
    const last = asked.at(-1);
    if (last === undefined) throw new Error('the agent has not asked');
    return last;
  }

  /** The master answers the last question with a new session. */
  answer(launches?: MasterToAgentBody<'REREGISTERED'>['launches'], given: Partial<Meta> = {}): Effect[] {
    const { id = '' } = this.question;
    this.session = given.session ?? `${this.epoch.toString(36)}-C${++this.#sessions}`;
    this.sequence = 1;
    const type = launches === undefined ? 'REGISTERED' : 'REREGISTERED';
    return this.send({
      type: `master.${type}`,
      meta: meta({ session: this.session, sequence: 1, epoch: this.epoch, cause: id, ...given }),
      body: { agentId: AGENT_ID, heartbeatIntervalMs: 2_000, ...(launches && { launches }) },
    } as never);
  }

  /** A message of the master in its session. */
  hear<T extends keyof typeof import('../../protocol/agent-api.js').masterToAgentMessages>(
    type: T,
    body: MasterToAgentBody<T>,
    given: Partial<Meta> = {},
  ): Effect[] {
    const sequence = given.sequence ?? ++this.sequence;
    const head = meta({ session: this.session, epoch: this.epoch, id: `m-${sequence}`, ...given, sequence });
    return this.send({ type: `master.${type}`, meta: head, body } as never);
  }

  run(launchId: string, taskId = `t-${launchId}`, given: Partial<Meta> = {}): Effect[] {
    const frameworkInfo = { user: 'u', name: 'f' };
    return this.hear('RUN_TASK', { frameworkId: '5-0001', frameworkInfo, task: taskInfo(AGENT_ID, { taskId }), launchId }, given); // prettier-ignore
  }

  kill(launchId: string, graceMs?: number): Effect[] {
    const killPolicy = graceMs === undefined ? {} : { killPolicy: { gracePeriod: { nanoseconds: graceMs * 1e6 } } };
    return this.hear('KILL_TASK', { frameworkId: '5-0001', taskId: `t-${launchId}`, launchId, ...killPolicy });
  }

  /** What its executor reports of a launch. */
  report(launchId: string, state: TaskStatus['state'], more: Partial<TaskStatus> = {}): Effect[] {
    return this.send({ type: 'commandExecutor.UPDATE', launchId, status: { state, ...more } } as never);
  }

  acknowledge({ taskId, launchId, uuid }: TaskStatus): Effect[] {
    return this.hear('STATUS_UPDATE_ACKNOWLEDGEMENT', {
      frameworkId: '5-0001',
      taskId,
      uuid: uuid as Uint8Array,
      ...(launchId !== undefined && { launchId }),
    });
  }
}

/** An agent that has registered. */
export function registeredAgent(config: Partial<AgentConfig> = {}): AgentKit {
  const kit = new AgentKit(config);
  kit.send({ type: 'START' });
  kit.answer(kit.question.message === 'REGISTER' ? undefined : []);
  return kit;
}

/** The next life of an agent, with what its store has; it has started. */
export function reborn(kit: AgentKit, config: Partial<AgentConfig> = {}): AgentKit {
  const next = new AgentKit({ records: kit.store.records, ...config });
  next.now = kit.now;
  next.random = (kit.random + 0.137) % 1;
  next.epoch = kit.epoch;
  for (const record of kit.store.records) {
    const id = 'launchId' in record.value ? `.${record.value.launchId}` : 'counter' in record.value ? `.${record.value.epoch}` : ''; // prettier-ignore
    next.store.write({ type: 'checkpoint', requestId: 0, writes: [{ key: `${record.kind}${id}`, value: record.value }] }); // prettier-ignore
  }
  next.send({ type: 'START' });
  return next;
}

export class ExecutorKit extends ActorKit<typeof executorMachine> {
  /** What it did when it started. */
  readonly begun: Effect[];

  constructor(config: Partial<CommandExecutorConfig> = {}, now?: number) {
    const input = { timings: DEFAULT_TIMINGS, maxStarting: 2, environment: { PATH: '/bin' }, recovered: [] };
    super(executorMachine, { ...input, ...config });
    if (now !== undefined) this.now = now;
    this.begun = this.send({ type: 'START' });
  }

  launch(launchId: string, given: Partial<TaskInfo> = {}, sendKilling = false, user = ''): Effect[] {
    const task = taskInfo('5-S1', { taskId: `t-${launchId}`, ...given });
    return this.send({ type: 'agent.LAUNCH', launchId, frameworkId: '5-0001', agentId: '5-S1', task, sendKilling, user } as never); // prettier-ignore
  }

  kill(launchId: string, graceMs?: number): Effect[] {
    const killPolicy = graceMs === undefined ? undefined : { gracePeriod: { nanoseconds: graceMs * 1e6 } };
    return this.send({ type: 'agent.KILL', launchId, killPolicy } as never);
  }

  started(containerId: string): Effect[] {
    return this.send({ type: 'CONTAINER_STARTED', containerId, pid: 77 } as never);
  }

  ended(containerId: string, end: ContainerEnd): Effect[] {
    return this.send({ type: 'CONTAINER_ENDED', containerId, ...end } as never);
  }
}

/** The statuses that an agent sends. */
export const updates = (effects: readonly Effect[]): TaskStatus[] =>
  bodies<{ status: TaskStatus }>(effects, 'STATUS_UPDATE').map(({ status }) => status);

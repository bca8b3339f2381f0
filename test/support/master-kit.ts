/** A master that leads, with peers that keep their sessions, and a registry that answers when it is told to. */
import { CountAllocator } from '../../actors/master/allocator/count-allocator.js';
import { masterMachine } from '../../actors/master/master.machine.js';
import type { AgentRow, ExecutorRow, FrameworkRow, MasterState, TaskRow } from '../../actors/master/master-state.js';
import type { Effect, Persist, Publish } from '../../actors/effect.js';
import type { Meta } from '../../actors/events.js';
import type { AgentInfo } from '../../protocol/agent.js';
import type { AgentMessageBody } from '../../protocol/agent-api.js';
import { digestOf, stateByte, valueDigest } from '../../protocol/digest.js';
import type { FrameworkInfo } from '../../protocol/framework.js';
import { hex } from '../../protocol/ids.js';
import { DEFAULT_TIMINGS, type Timings } from '../../protocol/limits.js';
import type { Offer, Operation } from '../../protocol/offer.js';
import { registryKey, type RegistryKind } from '../../protocol/registry.js';
import { Resources } from '../../protocol/resources.js';
import type { SchedulerCallBody } from '../../protocol/scheduler-api.js';
import type { TaskInfo, TaskState, TaskStatus } from '../../protocol/task.js';
import { ActorKit, bodies, meta, ofType, published } from './actor-kit.js';

export interface MasterOptions {
  readonly timings?: Partial<Timings>;
  /** Name of the master. */
  readonly name?: string;
  /** What the registry has when the term begins, by key. */
  readonly records?: Readonly<Record<string, unknown>>;
}

/** A master's machine, not started. */
export function newMaster({ timings = {}, name = 'm1' }: MasterOptions = {}): MasterKit {
  const all: Timings = { ...DEFAULT_TIMINGS, ...timings };
  return new MasterKit(masterMachine, {
    name,
    hostname: 'host',
    version: '1',
    timings: all,
    allocator: () => new CountAllocator(all),
  });
}

/** A master that leads: nobody answered its probes, and storage agreed. */
export function leadingMaster(options: MasterOptions = {}): MasterKit {
  const kit = newMaster(options);
  kit.become('leading', options.records);
  return kit;
}

export class MasterKit extends ActorKit<typeof masterMachine> {
  /** Writes that have not been answered yet. */
  readonly #unanswered: Persist[] = [];
  /** The registry, as all answered writes left it. */
  readonly registry = new Map<string, unknown>();
  #peers = 0;
  #instances = 0;
  /** Whether its control connection lives: it hears its own loop-back. */
  hears = true;
  /** Whether JetStream answers: its lease is renewed while it leads. */
  renews = true;

  nextInstance(): string {
    return `i${++this.#instances}`;
  }

  get state(): MasterState {
    return this.actor.getSnapshot().context.state;
  }

  override send(event: { readonly type: string }): Effect[] {
    const effects = super.send(event);
    this.#unanswered.push(...ofType(effects, 'persist'));
    if (this.hears && published(effects, 'LOOPBACK').length > 0)
      super.send({ type: 'peer.LOOPBACK', meta: meta({ principal: this.state.config.name }), body: {} } as never);
    const [renewal] = ofType(effects, 'takeLease');
    if (this.renews && renewal !== undefined && this.value === 'leading') {
      const { requestId, revision } = renewal;
      super.send({ type: 'LEASE_ANSWERED', requestId, outcome: 'stored', revision } as never);
    }
    return effects;
  }

  /** Goes the way to a state of the machine, with a world that agrees to everything. Gives the effects of the last step. */
  become(
    target: 'standby' | 'contending' | 'claiming' | 'recovering' | 'leading',
    records: Readonly<Record<string, unknown>> = {},
  ): Effect[] {
    let last = this.send({ type: 'START' });
    for (const [key, value] of Object.entries(records)) {
      this.registry.set(key, value);
      this.send({ type: 'REGISTRY_ENTRY', key, value, revision: 1 } as never);
    }
    this.send({ type: 'REGISTRY_CAUGHT_UP' });
    for (const [from, step] of [
      ['standby', () => this.probeUntilAbsent()],
      ['contending', () => this.answerLease('stored', 10)],
      ['claiming', () => this.answerEpoch('stored', 20)],
      ['recovering', () => this.deliverEpoch(20)],
    ] as const) {
      if (target === from) return last;
      last = step();
    }
    return last;
  }

  /** Answers every probe with "no responders" until the master contends; gives the effects of all that. */
  probeUntilAbsent(): Effect[] {
    const effects: Effect[] = [];
    for (let tries = 0; tries < 20; tries++) {
      const passed = this.pass(200);
      effects.push(...passed);
      for (const { requestId } of ofType(passed, 'probe'))
        effects.push(...this.send({ type: 'PROBED', requestId, outcome: 'noResponders' } as never));
      if (this.value !== 'standby') return effects;
    }
    throw new Error('the master does not contend');
  }

  #last<T extends Effect['type']>(type: T): Extract<Effect, { type: T }> {
    const effect = ofType(this.all, type).at(-1);
    if (effect === undefined) throw new Error(`no ${type} yet`);
    return effect;
  }

  answerLease(outcome: 'stored' | 'refused' | 'busy' | 'unknown', revision = 0): Effect[] {
    const { requestId } = this.#last('takeLease');
    return this.send({ type: 'LEASE_ANSWERED', requestId, outcome, revision } as never);
  }

  answerEpoch(outcome: 'stored' | 'refused' | 'busy' | 'unknown', revision = 0): Effect[] {
    const { requestId } = this.#last('writeEpoch');
    return this.send({ type: 'EPOCH_ANSWERED', requestId, outcome, revision } as never);
  }

  /** The watch delivers the epoch record that was written last. */
  deliverEpoch(revision: number): Effect[] {
    const { record } = this.#last('writeEpoch');
    return this.send({ type: 'REGISTRY_ENTRY', key: 'epoch', value: record, revision } as never);
  }

  /** Persists that wait for an answer. */
  get unanswered(): readonly Persist[] {
    return this.#unanswered;
  }

  /** The registry answers all that waits, and what comes of it, with "stored". */
  stored(): Effect[] {
    const effects: Effect[] = [];
    while (this.#unanswered.length > 0) effects.push(...this.storeOne());
    return effects;
  }

  /** The registry answers the oldest write with "stored". */
  storeOne(): Effect[] {
    const persist = this.#unanswered.shift();
    if (persist === undefined) throw new Error('nothing waits for the registry');
    for (const { key, record } of persist.writes) {
      if (record === undefined) this.registry.delete(key);
      else this.registry.set(key, record);
    }
    return this.send({ type: 'REGISTRY_STORED', requestId: persist.requestId } as never);
  }

  has(kind: Exclude<RegistryKind, 'epoch'>, id: string): boolean {
    return this.registry.has(registryKey(kind, id));
  }

  /** An agent that has registered. */
  agent(principal = `a${++this.#peers}`, resources = 'cpus:4;mem:4096;ports:[31000-31009]'): AgentPeer {
    const peer = new AgentPeer(this, principal, resources);
    peer.register();
    this.stored();
    return peer;
  }

  /** A framework that has subscribed. */
  framework(principal = `f${++this.#peers}`, info: Partial<FrameworkInfo> = {}): SchedulerPeer {
    const peer = new SchedulerPeer(this, principal, info);
    peer.subscribe();
    this.stored();
    return peer;
  }

  /** Lets allocation happen, and gives the offers that the framework holds. */
  offersOf(framework: SchedulerPeer): Offer[] {
    this.pass(100);
    return [...framework.row.offers.values()].map(({ offer }) => offer);
  }

  /** Launches tasks on the first offer of the framework, without a filter for the rest, and stores them. */
  launch(framework: SchedulerPeer, ...tasks: readonly (string | Partial<TaskInfo>)[]): Launched[] {
    const [offer] = this.offersOf(framework);
    if (offer === undefined) throw new Error('the framework has no offer');
    const infos = tasks.map((given) => taskInfo(offer.agentId, typeof given === 'string' ? { taskId: given } : given));
    framework.accept([offer], infos, { refuseSeconds: 0 });
    this.stored();
    return infos.map(({ taskId }) => {
      const row = framework.row.tasks.get(taskId);
      if (row === undefined) throw new Error(`task ${taskId} was not launched`);
      return { row, taskId, launchId: row.launchId };
    });
  }
}

export interface Launched {
  readonly row: TaskRow;
  readonly taskId: string;
  readonly launchId: string;
}

/** A command task that fits. */
export const taskInfo = (agentId: string, given: Partial<TaskInfo> = {}): TaskInfo => ({
  name: 'sleep',
  taskId: 't1',
  agentId,
  resources: Resources.parse('cpus:1;mem:128').toArray(),
  command: { value: 'sleep 1' },
  ...given,
});

/** What agents and schedulers have in common: a session, and their place in it. */
class Peer {
  session = '0';
  sequence = 0;
  /** Names this instance in its questions. */
  readonly instance: string;
  #questions = 0;

  constructor(
    readonly kit: MasterKit,
    readonly principal: string,
  ) {
    this.instance = kit.nextInstance();
  }

  protected question(): string {
    return `${this.instance}-q${++this.#questions}`;
  }

  /** A message in the session, or with what `given` says. */
  protected message(given: Partial<Meta>): Meta {
    const inSession = given.session === undefined && this.session !== '0';
    return meta({
      principal: this.principal,
      session: this.session,
      sequence: inSession ? ++this.sequence : 0,
      epoch: this.kit.state.epoch,
      id: `${this.principal}-${this.session}-${this.sequence}`,
      ...given,
    });
  }

  /** Takes the session of an answer, if there is one. */
  protected begin(answer: Publish | undefined): void {
    if (answer === undefined) return;
    this.session = answer.session;
    this.sequence = 0;
  }
}

export class AgentPeer extends Peer {
  id = '';
  info: AgentInfo;
  #updates = 0;

  constructor(kit: MasterKit, principal: string, resources: string) {
    super(kit, principal);
    this.info = { hostname: principal, resources: Resources.parse(resources).toArray() };
  }

  get row(): AgentRow {
    const row = this.kit.state.agents.get(this.id);
    if (row === undefined) throw new Error(`no agent ${this.id}`);
    return row;
  }

  say<T extends 'STATUS_UPDATE' | 'PONG' | 'UNREGISTER' | 'EXITED_EXECUTOR' | 'EXECUTOR_MESSAGE'>(
    type: T,
    body: Omit<AgentMessageBody<T>, 'agentId'>,
    given: Partial<Meta> = {},
  ): Effect[] {
    const event = { type: `agent.${type}`, meta: this.message(given), body: { agentId: this.id, ...body } };
    return this.kit.send(event as never);
  }

  register(given: Partial<Meta> = {}): Effect[] {
    const asked = meta({ principal: this.principal, id: this.question(), ...given });
    const body = { agentInfo: this.info, version: '1' };
    return this.#arrive({ type: 'agent.REGISTER', meta: asked, body });
  }

  reregister(
    tasks: readonly { row: TaskRow; state?: TaskState; updateWaits?: boolean }[] = [],
    given: Partial<Meta> = {},
    executors: readonly ExecutorRow[] = [],
  ): Effect[] {
    const { epoch } = this.kit.state;
    const asked = meta({ principal: this.principal, id: this.question(), epoch, ...given });
    const refs = executors.map(({ frameworkId, executorId, containerId }) => ({
      ...{ frameworkId, executorId, containerId },
    }));
    const infos = executors.map(({ containerId, frameworkId, info, resources }) => ({
      ...{ containerId, frameworkId, info: { ...info, resources: resources.toArray() } },
    }));
    const body = { ...this.digest(tasks), executors: refs, differing: { ...this.all(tasks), executors: infos } };
    return this.#arrive({ type: 'agent.REREGISTER', meta: asked, body });
  }

  /** What it says first: a digest of these launches. */
  digest(tasks: readonly { row: TaskRow; state?: TaskState; updateWaits?: boolean }[]): AgentMessageBody<'REREGISTER'> {
    const sorted = [...tasks].sort((a, b) => (a.row.launchId < b.row.launchId ? -1 : 1));
    const launches = digestOf(sorted.map(({ row }) => row.launchId));
    const states = sorted.map(({ state = 'TASK_RUNNING', updateWaits = false }) => stateByte(state, updateWaits));
    const digest = { launches, info: valueDigest(this.info) };
    return { agentId: this.id, version: '1', digest, states: Uint8Array.from(states) };
  }

  /** Everything, as if all of it differed. */
  all(tasks: readonly { row: TaskRow }[]): NonNullable<AgentMessageBody<'REREGISTER'>['differing']> {
    const launches = tasks.map(({ row }) => ({
      frameworkId: row.frameworkId,
      taskId: row.taskId,
      launchId: row.launchId,
      name: row.name,
      resources: row.resources.toArray(),
      ...(row.executorId !== undefined && { executorId: row.executorId }),
      ...(row.containerId !== undefined && { containerId: row.containerId }),
    }));
    return { agentInfo: this.info, of: 1, buckets: [0], launches };
  }

  #arrive(event: { type: string; meta: Meta; body: unknown }): Effect[] {
    const effects = [...this.kit.send(event as never), ...this.kit.stored()];
    const answer = published(effects).find(
      ({ message, cause }) => message.endsWith('REGISTERED') && cause === event.meta.id,
    );
    if (answer !== undefined) this.id = (answer.body as { agentId: string }).agentId;
    this.begin(answer);
    return effects;
  }

  /** A status update of one of its launches, with a uuid of its own. */
  update(
    { row }: Pick<Launched, 'row'>,
    state: TaskState,
    { latestState = state, ...given }: Partial<TaskStatus> & { latestState?: TaskState } = {},
  ): { effects: Effect[]; status: TaskStatus } {
    const uuid = new Uint8Array(16).fill(++this.#updates);
    const { taskId, launchId, frameworkId } = row;
    const status: TaskStatus = { taskId, launchId, state, agentId: this.id, uuid, source: 'SOURCE_EXECUTOR', ...given };
    return { effects: this.say('STATUS_UPDATE', { frameworkId, status, latestState }), status };
  }
}

export class SchedulerPeer extends Peer {
  id = '';
  info: FrameworkInfo;

  constructor(kit: MasterKit, principal: string, info: Partial<FrameworkInfo> = {}) {
    super(kit, principal);
    this.info = { user: 'nobody', name: principal, capabilities: [{ type: 'PARTITION_AWARE' }], ...info };
  }

  get row(): FrameworkRow {
    const row = this.kit.state.frameworks.get(this.id);
    if (row === undefined) throw new Error(`no framework ${this.id}`);
    return row;
  }

  /** Another instance of the same framework, without a session. */
  again(): SchedulerPeer {
    const other = new SchedulerPeer(this.kit, this.principal, this.info);
    other.id = this.id;
    return other;
  }

  /** Subscribes, and has it stored. */
  subscribe(suppressedRoles?: readonly string[], given: Partial<Meta> = {}): Effect[] {
    const asked = meta({ principal: this.principal, id: this.question(), ...given });
    const frameworkInfo = this.id === '' ? this.info : { ...this.info, id: this.id };
    const body = {
      subscribe: { frameworkInfo, ...(suppressedRoles && { suppressedRoles }) },
      ...(this.id !== '' && { frameworkId: this.id }),
    };
    const event = { type: 'scheduler.SUBSCRIBE', meta: asked, body };
    const effects = [...this.kit.send(event), ...this.kit.stored()];
    const answer = published(effects, 'SUBSCRIBED').find(({ cause }) => cause === asked.id);
    if (answer !== undefined) this.id = (answer.body as { subscribed: { frameworkId: string } }).subscribed.frameworkId;
    this.begin(answer);
    return effects;
  }

  call<T extends Exclude<keyof typeof import('../../protocol/scheduler-api.js').schedulerCalls, 'SUBSCRIBE'>>(
    type: T,
    body: Omit<SchedulerCallBody<T>, 'frameworkId'>,
    given: Partial<Meta> = {},
  ): Effect[] {
    const event = { type: `scheduler.${type}`, meta: this.message(given), body: { frameworkId: this.id, ...body } };
    return this.kit.send(event as never);
  }

  accept(
    offers: readonly (Offer | string)[],
    tasks: readonly TaskInfo[],
    filters?: { refuseSeconds?: number },
  ): Effect[] {
    return this.operate(offers, [{ type: 'LAUNCH', launch: { taskInfos: [...tasks] } }], filters);
  }

  operate(
    offers: readonly (Offer | string)[],
    operations: readonly Operation[],
    filters?: { refuseSeconds?: number },
  ): Effect[] {
    const offerIds = offers.map((offer) => (typeof offer === 'string' ? offer : offer.id));
    return this.call('ACCEPT', { accept: { offerIds, operations: [...operations], ...(filters && { filters }) } });
  }

  decline(offers: readonly Offer[], refuseSeconds?: number): Effect[] {
    const filters = refuseSeconds === undefined ? {} : { filters: { refuseSeconds } };
    return this.call('DECLINE', { decline: { offerIds: offers.map(({ id }) => id), ...filters } });
  }

  acknowledge({ taskId, agentId = '', uuid, launchId }: TaskStatus, given: Partial<Meta> = {}): Effect[] {
    if (uuid === undefined) throw new Error('a status without uuid is not acknowledged');
    const body = { agentId, taskId, uuid, ...(launchId !== undefined && { launchId }) };
    return this.call('ACKNOWLEDGE', { acknowledge: body }, given);
  }

  reconcile(...tasks: readonly { taskId: string; agentId?: string }[]): TaskStatus[] {
    return statuses(this.call('RECONCILE', { reconcile: { tasks: [...tasks] } }));
  }
}

/** The statuses that go to schedulers. */
export const statuses = (effects: readonly Effect[]): TaskStatus[] =>
  bodies<{ update: { status: TaskStatus } }>(effects, 'UPDATE').map(({ update }) => update.status);

/** Statuses as `task STATE REASON`. */
export const statusWords = (effects: readonly Effect[]): string[] =>
  statuses(effects).map(({ taskId, state, reason }) => [taskId, state, reason].filter(Boolean).join(' '));

/** Codes of ERROR events. */
export const errors = (effects: readonly Effect[]): string[] =>
  bodies<{ error: { code: string } }>(effects, 'ERROR').map(({ error }) => error.code);

/**
 * Conservation: of each agent's resources, what is free, offered and used by tasks and executors that have not ended is the total.
 * @throws Error when it is not so
 */
export function requireConservation(state: MasterState): void {
  for (const agent of state.agents.values()) {
    if (agent.state === 'RECOVERED' || agent.state === 'ADMITTING') continue;
    let sum = state.allocator.free(agent.agentId);
    for (const offer of agent.offers.values()) sum = sum.add(offer.resources.unallocate());
    for (const task of agent.tasks.values()) if (!task.recovered) sum = sum.add(task.resources.unallocate());
    for (const executor of agent.executors.values()) sum = sum.add(executor.resources.unallocate());
    if (!sum.equals(agent.total)) throw new Error(`${agent.agentId}: ${sum} instead of ${agent.total}`);
  }
}

export { hex };

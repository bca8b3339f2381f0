/** N masters, M agents and K schedulers: the production actors, hosts, checks and codec over the simulated ports. Rule: SIM-14. */
import type { AnyStateMachine } from 'xstate';
import type { AgentState } from '../../actors/agent/agent-state.js';
import type { Scheduler } from '../../actors/framework/scheduler.js';
import type { SchedulerState } from '../../actors/framework/scheduler-driver.js';
import { CountAllocator } from '../../actors/master/allocator/count-allocator.js';
import type { MasterState } from '../../actors/master/master-state.js';
import { encodeMessage } from '../../protocol/codec.js';
import type { ErrorBody } from '../../protocol/errors.js';
import { NO_SESSION } from '../../protocol/ids.js';
import { Resources } from '../../protocol/resources.js';
import { inboxPrefix, storageInboxPrefix } from '../../protocol/subjects.js';
import { startAgent, startMaster, startScheduler, type RootOptions, type Running } from '../compose.js';
import type { AgentPorts, MasterPorts, Ports } from '../ports.js';
import type { ClusterPlan, Role } from './fault-plan.js';
import { calmNetwork, SimulatedNetwork } from './simulated-network.js';
import { calmStorage, SimulatedStorage } from './simulated-storage.js';
import { SimulatedFiles } from './simulated-files.js';
import { SimulatedProcesses } from './simulated-processes.js';
import { SimulatedStore } from './simulated-store.js';
import type { SeededRandom } from './seeded-random.js';
import { SimNode, type ClusterObserver } from './sim-node.js';
import { Incarnation, type VirtualClock } from './virtual-clock.js';

/** What runs in a scheduler's process; its state outlives the process, as a durable store would. */
export interface SchedulerSeat {
  readonly name: string;
  /** Called at the beginning of each life. */
  life(): { scheduler: Scheduler<never, never>; own: unknown; frameworkId: string | undefined };
  /** The driver has ended. Returns whether a supervisor starts it anew. */
  ended(error: ErrorBody['error'] | undefined): boolean;
}

export interface ClusterOptions {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly plan: ClusterPlan;
  readonly seats: readonly SchedulerSeat[];
  readonly observer: ClusterObserver;
}

/** An agent's machine: what outlives the agent's process. */
export interface Machine {
  readonly processes: SimulatedProcesses;
  readonly files: SimulatedFiles;
  readonly store: SimulatedStore;
  /** Keys of records that it lost with a power cut, as they were before; never cleared. */
  readonly lostKeys: Set<string>;
  /** How often it was started anew. */
  restarts: number;
}

export const CLUSTER = 'tepui';

/** Names of a node's connections. */
export const storageConnection = (master: string): string => `${master}/storage`;

const stateOf = (node: SimNode | undefined): unknown =>
  (node?.running?.host.actor.getSnapshot() as { context: { state: unknown } } | undefined)?.context.state;

export class SimCluster {
  readonly clock: VirtualClock;
  readonly plan: ClusterPlan;
  readonly network: SimulatedNetwork;
  readonly storage: SimulatedStorage;
  readonly masters: SimNode[] = [];
  readonly agents: SimNode[] = [];
  readonly schedulers: SimNode[] = [];
  readonly machines = new Map<string, Machine>();
  readonly #options: ClusterOptions;
  readonly #random: SeededRandom;
  readonly #skews = new Map<string, number>();
  /** Whether processes still die of themselves. */
  #healed = false;

  constructor(options: ClusterOptions) {
    const { clock, random, plan } = options;
    this.#options = options;
    this.clock = clock;
    this.plan = plan;
    this.#random = random.fork('cluster');
    this.network = new SimulatedNetwork(clock, calmNetwork(random.fork('network')));
    this.storage = new SimulatedStorage({ clock, policy: calmStorage(random.fork('storage')) });
    for (let i = 1; i <= plan.masters; i++) this.masters.push(this.#master(`master-${i}`));
    for (const [i, resources] of plan.agents.entries()) this.agents.push(this.#agent(`agent-${i + 1}`, resources));
    for (const seat of options.seats) this.schedulers.push(this.#scheduler(seat));
  }

  get nodes(): SimNode[] {
    return [...this.masters, ...this.agents, ...this.schedulers];
  }

  ofRole(role: Role): readonly SimNode[] {
    return role === 'master' ? this.masters : role === 'agent' ? this.agents : this.schedulers;
  }

  /** Starts every process within the first second. */
  start(): void {
    for (const node of this.nodes)
      this.clock.schedule(this.clock.now() + this.#random.between(0, 1_000), () => node.start());
  }

  /** From here on nothing goes wrong: links and storage are calm, and every process runs again. */
  heal(random: SeededRandom): void {
    this.#healed = true;
    this.network.policy = calmNetwork(random.fork('calm network'));
    this.network.healAll();
    this.storage.policy = calmStorage(random.fork('calm storage'));
    for (const master of this.masters) this.storage.heal(master.name);
    this.storage.resume();
    for (const { store, processes } of this.machines.values()) store.full = processes.full = false;
    for (const node of this.nodes) {
      node.resume();
      node.start();
    }
  }

  /** Power is cut from an agent's machine and comes back: its process and all containers are over, and the tail of its store is lost. */
  restartMachine(node: SimNode, how: { tailMs: number; keepsRecords: boolean; awayMs: number }): void {
    const machine = this.machines.get(node.name) as Machine;
    node.crash('its machine is restarted', how.awayMs);
    machine.processes.restart(how.keepsRecords);
    machine.restarts++;
    for (const key of machine.store.loseTail(how.tailMs)) machine.lostKeys.add(key);
  }

  /** An agent's machine that never comes back. */
  removeMachine(node: SimNode): void {
    node.retire();
    this.machines.get(node.name)?.processes.restart(false);
  }

  /** The wall's clock of a node's machine jumps, forward only while its process runs. */
  jumpClock({ name }: SimNode, byMs: number): void {
    this.#skews.set(name, (this.#skews.get(name) ?? 0) + byMs);
  }

  /** An operator says that the registry is as it should be. Nobody waits for the answer: whoever asks sees whether it helped. */
  trustRegistry(): void {
    const life = new Incarnation('operator', 1);
    const [name, to] = ['operator-1', 'master.operator'];
    const prefix = inboxPrefix(CLUSTER, 'operator', name);
    const connection = this.network.connect({ name, incarnation: life, inboxPrefix: prefix });
    const head = { type: 'TRUST_REGISTRY', sender: name, session: NO_SESSION, epoch: 0, id: 'trust' };
    for (const part of encodeMessage({ ...head, body: {} }, () => 0))
      connection.publish(`${CLUSTER}.${to}.${name}.TRUST_REGISTRY`, part, `${prefix}.trust`);
    life.end();
  }

  masterState(node: SimNode): MasterState {
    return stateOf(node) as MasterState;
  }

  agentState(node: SimNode): AgentState {
    return stateOf(node) as AgentState;
  }

  schedulerState(node: SimNode): SchedulerState {
    return stateOf(node) as SchedulerState;
  }

  /** Masters that act as leaders now; more than one while a deposed one has not heard of it. */
  leaders(): SimNode[] {
    return this.masters.filter((node) => node.isUp && this.isLeading(node));
  }

  isLeading(node: SimNode): boolean {
    const snapshot = node.running?.host.actor.getSnapshot() as { hasTag(tag: string): boolean } | undefined;
    return snapshot?.hasTag('leading') === true;
  }

  #ports(life: Incarnation, node: SimNode, random: SeededRandom): Ports {
    const prefix = inboxPrefix(CLUSTER, node.role, node.name);
    return {
      clock: this.clock.clockOf(life, () => this.#skews.get(node.name) ?? 0),
      random,
      transport: this.network.connect({ name: node.name, incarnation: life, inboxPrefix: prefix }),
      log: node.log,
      metrics: node.counters,
    };
  }

  #node(
    name: string,
    role: Role,
    compose: (life: Incarnation, options: RootOptions, node: SimNode, ports: Ports) => Running<AnyStateMachine>,
    more: Pick<ConstructorParameters<typeof SimNode>[0], 'onStop'>,
  ): SimNode {
    const { clock, random, observer, plan } = this.#options;
    const own = random.fork(name);
    const deaths = random.fork(`${name} deaths`);
    const { crash, stop, crashPerEffect } = plan.faults;
    this.#skews.set(name, own.between(-plan.skewMs, plan.skewMs));
    const mostAwayMs = Math.max(crash[role].lastsMs, stop[role].lastsMs, 1_000);
    const node: SimNode = new SimNode({
      name,
      role,
      cluster: CLUSTER,
      clock,
      random: own,
      observer,
      compose: (life, options) => compose(life, options, node, this.#ports(life, node, own)),
      diesBefore: () => crashPerEffect[role] > 0 && !this.#healed && deaths.chance(crashPerEffect[role]),
      awayMs: () => deaths.between(100, this.#healed ? 1_000 : mostAwayMs),
      ...more,
    });
    return node;
  }

  #master(name: string): SimNode {
    const { timings } = this.plan;
    const config = { hostname: name, version: 'sim', timings, allocator: () => new CountAllocator(timings) };
    return this.#node(
      name,
      'master',
      (life, options, node, ports) => {
        const connection = storageConnection(name);
        const prefix = storageInboxPrefix(CLUSTER, 'master', name);
        const world: MasterPorts = {
          ...ports,
          storage: this.storage.port(name, life, (error) => node.crash(error.message)),
          probes: this.network.connect({ name: connection, incarnation: life, inboxPrefix: prefix }),
        };
        return startMaster(world, config, options) as unknown as Running<AnyStateMachine>;
      },
      { onStop: () => true },
    );
  }

  #agent(name: string, resources: string): SimNode {
    const { clock, random, plan } = this.#options;
    const files = new SimulatedFiles(clock, random.fork(`${name} files`));
    const processes = new SimulatedProcesses(clock, random.fork(`${name} processes`), files);
    const store = new SimulatedStore(clock, random.fork(`${name} store`));
    this.machines.set(name, { processes, files, store, lostKeys: new Set(), restarts: 0 });
    const { timings, maxStarting } = plan;
    return this.#node(
      name,
      'agent',
      (life, options, node, ports) => {
        const world: AgentPorts = {
          ...ports,
          processes: processes.port(life),
          files: files.port(life),
          store: store.port(life, (error) => node.crash(error.message)),
        };
        const info = { hostname: name, resources: Resources.parse(resources).toArray() };
        const executorConfig = { timings, maxStarting, environment: {} };
        return startAgent(
          world,
          { version: 'sim', info, timings },
          executorConfig,
          options,
        ) as unknown as Running<AnyStateMachine>;
      },
      { onStop: () => true },
    );
  }

  #scheduler(seat: SchedulerSeat): SimNode {
    const { timings } = this.plan;
    return this.#node(
      seat.name,
      'scheduler',
      (_life, options, _node, ports) => {
        const { scheduler, own, frameworkId } = seat.life();
        const config = { scheduler: scheduler as Scheduler<unknown, unknown>, own, frameworkId, timings };
        return startScheduler(ports, config, options) as unknown as Running<AnyStateMachine>;
      },
      {
        onStop: (_stop, running) =>
          seat.ended((running.host.actor.getSnapshot() as never as SchedulerSnapshot).context.state.error),
      },
    );
  }
}

interface SchedulerSnapshot {
  readonly context: { readonly state: SchedulerState };
}

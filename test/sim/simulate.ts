/** One run: a seed in, a result out. Options are drawn, a phase with faults, a phase that must converge, checkers all along. Rules: SIM-12, SIM-13. */
import type { Effect } from '../../actors/effect.js';
import { decodeMessage, decodeValue } from '../../protocol/codec.js';
import type { ErrorBody } from '../../protocol/errors.js';
import type { TaskRecord } from '../../protocol/registry.js';
import { FaultInjector } from '../../runtime/sim/fault-injector.js';
import { drawCluster, FAILOVER_TIMEOUT_MS, type ClusterPlan } from '../../runtime/sim/fault-plan.js';
import { SeededRandom } from '../../runtime/sim/seeded-random.js';
import { CLUSTER, SimCluster, type SchedulerSeat } from '../../runtime/sim/sim-cluster.js';
import type { ClusterObserver, SimNode } from '../../runtime/sim/sim-node.js';
import type { Bucket, StorageChange } from '../../runtime/sim/simulated-storage.js';
import { Trace } from '../../runtime/sim/trace.js';
import { VirtualClock } from '../../runtime/sim/virtual-clock.js';
import { disagreements } from './checkers/agreement.js';
import { isAgentGone, type Checker, type Scene } from './checkers/checker.js';
import { CHECKERS } from './checkers/index.js';
import { describe, mark } from './describe.js';
import { beginLife, drawWorkload, newWorkload, schedulerOf, type Workload, type WorkloadPlan } from './workload.js';

/** 2026-01-01. */
const START_AT_MS = 1_767_225_600_000;
/** Without any progress for so long the second phase has failed: longer than the longest wait that there is. */
const PATIENCE_MS = FAILOVER_TIMEOUT_MS + 100_000;
/** How long a calm cluster must stay as it is. */
const QUIET_MS = 5_000;
const SLICE_MS = 500;

export interface Options {
  readonly cluster: ClusterPlan;
  readonly workloads: readonly WorkloadPlan[];
}

export interface Failure {
  readonly rule: string;
  readonly message: string;
  readonly atMs: number;
}

export interface Result {
  readonly seed: number;
  readonly options: Options;
  readonly hash: string;
  /** Callbacks of the world. */
  readonly events: number;
  /** Steps of actors. */
  readonly steps: number;
  readonly virtualMs: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly failure: Failure | undefined;
  readonly lines: readonly string[];
}

export function drawOptions(seed: number): Options {
  const random = new SeededRandom(seed);
  const cluster = drawCluster(random.fork('options'));
  const workloads = Array.from({ length: cluster.schedulers }, (_, i) => {
    const name = `scheduler-${i + 1}`;
    return drawWorkload(random.fork(`workload ${name}`), name);
  });
  return { cluster, workloads };
}

export interface RunOptions {
  /** How many of the last lines of the story to keep. */
  readonly trace?: number;
  readonly options?: Options;
}

export function simulate(seed: number, { trace = 0, options = drawOptions(seed) }: RunOptions = {}): Result {
  return new Simulation(seed, options, trace).run();
}

class Simulation implements Scene {
  readonly cluster: SimCluster;
  readonly workloads = new Map<string, Workload>();
  readonly registry = new Map<string, unknown>();
  readonly wentBack = new Set<string>();
  readonly #seed: number;
  readonly #options: Options;
  readonly #random: SeededRandom;
  readonly #clock: VirtualClock;
  readonly #hash = new Trace();
  readonly #story: Trace | undefined;
  readonly #checkers: readonly Checker[];
  readonly #listeners: Readonly<Record<'steps' | 'effects' | 'messages', readonly Checker[]>>;
  readonly #nodes = new Map<string, SimNode>();
  readonly #injector: FaultInjector;
  readonly #counts = new Map<string, number>();
  #steps = 0;
  #failure: Failure | undefined;

  constructor(seed: number, options: Options, trace: number) {
    this.#seed = seed;
    this.#options = options;
    this.#random = new SeededRandom(`${seed}/world`);
    this.#story = trace > 0 ? new Trace(trace) : undefined;
    this.#clock = new VirtualClock(START_AT_MS, (error, life) => this.#threw(life?.node ?? 'world', error));
    const seats = options.workloads.map((plan) => this.#seat(plan));
    const { cluster: plan } = options;
    this.cluster = new SimCluster({
      clock: this.#clock,
      random: this.#random,
      plan,
      seats,
      observer: this.#observer(),
    });
    this.cluster.storage.tap((change) => this.#stored(change));
    this.cluster.storage.tapGoingBack((bucket, keys) => this.#wentBack(bucket, keys));
    this.#checkers = CHECKERS.map((newChecker) => newChecker(this));
    const hearing = (key: keyof Checker): Checker[] => this.#checkers.filter((checker) => checker[key] !== undefined);
    this.#listeners = { steps: hearing('onStep'), effects: hearing('onEffect'), messages: hearing('onMessage') };
    for (const node of this.cluster.nodes) this.#nodes.set(node.name, node);
    this.cluster.network.tap(({ from, subject, data, left }) => this.#published(from, subject, data, left));
    this.#injector = new FaultInjector(this.cluster, this.#random.fork('faults'));
  }

  fail(rule: string, message: string): void {
    this.#failure ??= { rule, message, atMs: this.#clock.now() - START_AT_MS };
  }

  run(): Result {
    const { faults } = this.#options.cluster;
    this.cluster.start();
    this.#injector.start();
    this.#pass(faults.phaseMs);
    this.#injector.stop();
    this.#tell('world', 'heals');
    this.cluster.heal(this.#random);
    this.#converge();
    if (this.#failure === undefined) for (const checker of this.#checkers) checker.atEnd?.();
    return {
      seed: this.#seed,
      options: this.#options,
      hash: this.#hash.hash(),
      events: this.#clock.steps,
      steps: this.#steps,
      virtualMs: this.#clock.now() - START_AT_MS,
      counts: this.#summary(),
      failure: this.#failure,
      lines: this.#story?.lines() ?? [],
    };
  }

  /** Lets time pass, until a rule is broken. */
  #pass(durationMs: number): void {
    const untilMs = this.#clock.now() + durationMs;
    for (;;) {
      const next = this.#clock.nextDueAtMs();
      if (this.#failure !== undefined || next === undefined || next > untilMs) break;
      this.#clock.step();
    }
    if (this.#failure === undefined) this.#clock.run(untilMs);
  }

  /** Goes on while there is progress, until all agree and stay so. */
  #converge(): void {
    let progress = '';
    let atMs = this.#clock.now();
    let quietSinceMs: number | undefined;
    while (this.#failure === undefined) {
      this.#pass(SLICE_MS);
      const now = this.#clock.now();
      this.#trustRegistry();
      const wrong = disagreements(this);
      if (wrong.length === 0) {
        quietSinceMs ??= now;
        if (now - quietSinceMs >= QUIET_MS) return;
        continue;
      }
      quietSinceMs = undefined;
      const seen = this.#progress();
      if (seen !== progress) atMs = now;
      progress = seen;
      if (now - atMs <= PATIENCE_MS) continue;
      for (const checker of this.#checkers) checker.onStuck?.();
      this.fail('SIM-13', `no progress any more: ${wrong.join('; ')}`);
    }
  }

  /** Whoever looks after the cluster sees the alarm, and by now all is well. */
  #trustRegistry(): void {
    const { cluster } = this;
    if (!cluster.leaders().some((node) => cluster.masterState(node).registryInDoubt)) return;
    this.#count('trust');
    cluster.trustRegistry();
  }

  #progress(): string {
    let done = 0;
    for (const own of this.workloads.values()) done += own.finals.size + own.retries + (own.tornDown ? 1 : 0);
    return `${done} ${[...this.registry.keys()].join()}`;
  }

  #seat(plan: WorkloadPlan): SchedulerSeat {
    const own = newWorkload(plan, {
      isGone: (agentId) => isAgentGone(this, agentId),
      isKillStored: (taskId) => this.#isKillStored(taskId),
    });
    this.workloads.set(plan.name, own);
    const onTold: Parameters<typeof schedulerOf>[1] = (_own, status) => {
      this.#count(`told ${status.state}`);
      for (const checker of this.#checkers) checker.onTold?.(plan.name, own, status);
    };
    return {
      name: plan.name,
      life: () => {
        beginLife(own);
        return { scheduler: schedulerOf(own, onTold) as never, own, frameworkId: own.frameworkId };
      },
      ended: (error) => this.#ended(own, error),
    };
  }

  /** A supervisor starts a scheduler anew unless its framework is gone because it wanted so. */
  #ended(own: Workload, error: ErrorBody['error'] | undefined): boolean {
    const isRemoved = error?.code === 'FRAMEWORK_REMOVED' || error?.code === 'UNKNOWN_FRAMEWORK';
    if (error === undefined && own.tearingDown) own.tornDown = true;
    else if (error !== undefined) {
      this.#count(`scheduler ended: ${error.code}`);
      if (isRemoved && own.expired) this.#count('frameworks that expired');
      if (isRemoved && (own.tearingDown || own.expired)) own.tornDown = true;
      // With one life there is one instance: nobody has replaced it.
      else if (error.code === 'STALE_SESSION' && this.#nodes.get(own.plan.name)?.lives === 1)
        this.fail('LNK-2', `${own.plan.name} is alone under its id, and is told that it is the older one`);
      else if (error.code !== 'STALE_SESSION')
        this.fail('FRW-1', `${own.plan.name} ended: ${error.code} ${error.message}`);
    }
    return !own.tornDown;
  }

  #isKillStored(taskId: string): boolean {
    for (const [key, value] of this.registry)
      if (
        key.startsWith('task.') &&
        (value as TaskRecord).taskId === taskId &&
        (value as TaskRecord).kill !== undefined
      )
        return true;
    return false;
  }

  #observer(): ClusterObserver {
    return {
      onStart: (node) => {
        this.#count(`start of ${node.role}`);
        this.#tell(node.name, `starts life ${node.lives}`);
        for (const checker of this.#checkers) checker.onStart?.(node);
      },
      onEnd: (node, why) => {
        this.#count(`end of ${node.role}`);
        this.#tell(node.name, `ends: ${why}`);
        for (const checker of this.#checkers) checker.onEnd?.(node);
      },
      afterStep: (node, host, event, effects) => {
        this.#steps++;
        const now = this.#clock.now();
        this.#hash.add(now, node.name, mark(host, event, effects));
        this.#note(node.name, () => `${host} ◀ ${describe(event)}`);
        const step = { now, node, host, event, effects };
        for (const checker of this.#listeners.steps) checker.onStep?.(step);
      },
      onEffect: (node, host, effect) => this.#effect(node, host, effect),
      onThrow: (node, error) => this.#threw(node, error),
      onLog: (node, level, message, fields) =>
        this.#note(node.name, () => `${level}: ${message} ${JSON.stringify(fields ?? {})}`),
    };
  }

  #effect(node: SimNode, host: string, effect: Effect): void {
    if (effect.type === 'publish' && effect.message === 'ELECTED') this.#count('elections');
    if (effect.type !== 'setDeadline') this.#note(node.name, () => `${host} ▶ ${describe(effect)}`);
    for (const checker of this.#listeners.effects) checker.onEffect?.(node, host, effect);
  }

  #published(from: string, subject: string, data: Uint8Array, left: boolean): void {
    if (!subject.startsWith(`${CLUSTER}.`) || from.includes('/')) return;
    this.#count(left ? 'messages' : 'messages into the void');
    const node = this.#nodes.get(from);
    if (node === undefined) return;
    const published = { now: this.#clock.now(), node, subject, envelope: decodeMessage(data) };
    for (const checker of this.#listeners.messages) checker.onMessage?.(published);
  }

  #stored(change: StorageChange): void {
    const { bucket, key, value } = change;
    if (bucket === 'registry') {
      if (value === undefined) this.registry.delete(key);
      else this.registry.set(key, decodeValue(value));
      this.#count('registry writes');
      this.#tell(
        'storage',
        `${change.by ?? '-'} writes ${key}${value === undefined ? ' (deleted)' : ''} as ${change.revision}`,
      );
    }
    for (const checker of this.#checkers) checker.onStored?.(change);
  }

  #wentBack(bucket: Bucket, keys: ReadonlySet<string>): void {
    this.#tell('storage', `${bucket} goes back: ${[...keys].join(' ')}`);
    if (bucket !== 'registry') return;
    this.registry.clear();
    for (const [key, { value }] of this.cluster.storage.contents(bucket)) this.registry.set(key, decodeValue(value));
    for (const key of keys) this.wentBack.add(key);
    for (const checker of this.#checkers) checker.onWentBack?.();
  }

  #threw(node: string, error: unknown): void {
    const text =
      error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 6).join(' | ') : String(error);
    this.fail('SIM-14', `${node} threw: ${text}`);
  }

  #tell(who: string, what: string): void {
    this.#hash.add(this.#clock.now(), who, '');
    this.#note(who, () => what);
  }

  /** A line of the story alone: made only if somebody reads it. */
  #note(who: string, what: () => string): void {
    this.#story?.add((this.#clock.now() - START_AT_MS) / 1000, who, what());
  }

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  #summary(): Record<string, number> {
    const counts = new Map(this.#counts);
    for (const [kind, count] of this.#injector.counts) counts.set(`fault: ${kind}`, count);
    let signals = 0;
    let starts = 0;
    for (const { processes } of this.cluster.machines.values()) {
      signals += processes.signals.length;
      starts += processes.starts.length;
    }
    counts.set('processes', starts).set('signals', signals);
    for (const own of this.workloads.values()) {
      counts.set('tasks done', (counts.get('tasks done') ?? 0) + own.finals.size);
      counts.set('retries', (counts.get('retries') ?? 0) + own.retries);
    }
    return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

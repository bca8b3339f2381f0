/** The scheduler under test: pure functions that launch a list of tasks, repeat what was lost, and tear the framework down. */
import { decline, kill, type Call, type Calls, type Scheduler } from '../../actors/framework/scheduler.js';
import type { Offer } from '../../protocol/offer.js';
import { Resources } from '../../protocol/resources.js';
import { isTerminal } from '../../protocol/task-state.js';
import type { TaskInfo, TaskState, TaskStatus } from '../../protocol/task.js';
import { FAILOVER_TIMEOUT_MS } from '../../runtime/sim/fault-plan.js';
import type { SeededRandom } from '../../runtime/sim/seeded-random.js';

/** One task to be done, and how it behaves. */
export interface TaskSpec {
  readonly key: string;
  /** Not launched earlier after the start of the workload. */
  readonly afterMs: number;
  readonly cpus: number;
  readonly mem: number;
  readonly environment: Readonly<Record<string, string>>;
  /** It is killed so long after its launch. */
  readonly killAfterMs: number | undefined;
  readonly killGraceMs: number | undefined;
  readonly maxCompletionMs: number | undefined;
  /** Bytes that its TaskInfo carries besides. */
  readonly ballast: number;
}

export interface WorkloadPlan {
  readonly name: string;
  readonly tasks: readonly TaskSpec[];
  readonly wantsKilling: boolean;
  /** Unused offers go back with this filter. */
  readonly refuseSeconds: number;
  /** Probability that an offer is kept and not answered. */
  readonly hoard: number;
  readonly perOffer: number;
  /** The framework is torn down though tasks run. */
  readonly tearDownAfterMs: number | undefined;
  readonly usesSuppress: boolean;
  /** How long its scheduler may be away. */
  readonly failoverTimeoutMs: number;
  /** Whether it asks for a kill again that is stored. */
  readonly repeatsKills: boolean;
}

const ATTEMPTS_MAX = 12;
const KILL_AGAIN_MS = 4_000;
const ASK_AGAIN_MS = 2_000;
/** Not that it never ran, but that it runs no more: it may be tried again. */
const RETRIED: ReadonlySet<TaskState> = new Set(['TASK_DROPPED', 'TASK_GONE', 'TASK_LOST', 'TASK_UNKNOWN']);

/** One launch of a task, under a task id of its own. */
export interface Attempt {
  readonly spec: TaskSpec;
  readonly taskId: string;
  readonly number: number;
  agentId: string | undefined;
  launchedAtMs: number;
  /** States as told, without repetitions. */
  readonly told: TaskState[];
  end: TaskStatus | undefined;
  killAtMs: number;
  killAsked: boolean;
}

/** What the world knows better than a scheduler can. */
export interface Oracle {
  /** Whether an agent never comes back, as an operator would say. */
  isGone(agentId: string): boolean;
  /** Whether the registry has it that a task is to be killed: from then on nobody needs to ask. */
  isKillStored(taskId: string): boolean;
}

const IGNORANT: Oracle = { isGone: () => false, isKillStored: () => false };

/** What the scheduler knows; it outlives its process. */
export interface Workload {
  readonly plan: WorkloadPlan;
  readonly oracle: Oracle;
  frameworkId: string | undefined;
  startedAtMs: number;
  readonly waiting: { readonly spec: TaskSpec; readonly number: number; readonly notBeforeMs: number }[];
  readonly running: Map<string, Attempt>;
  readonly attempts: Map<string, Attempt>;
  /** Launches of an earlier life whose fate must be asked for. */
  readonly unsure: Set<string>;
  askAtMs: number;
  readonly finals: Map<string, TaskState>;
  retries: number;
  suppressed: boolean;
  /** Offers that were not answered. */
  held: Offer[];
  /** It has refused offers for long since it asked for them last. */
  refused: boolean;
  tearingDown: boolean;
  tornDown: boolean;
  /** It was removed because its scheduler was away for too long: no fault, and the end of its work. */
  expired: boolean;
}

export function newWorkload(plan: WorkloadPlan, oracle: Oracle = IGNORANT): Workload {
  return {
    plan,
    oracle,
    frameworkId: undefined,
    startedAtMs: 0,
    waiting: plan.tasks.map((spec) => ({ spec, number: 1, notBeforeMs: spec.afterMs })),
    running: new Map(),
    attempts: new Map(),
    unsure: new Set(),
    askAtMs: Infinity,
    finals: new Map(),
    retries: 0,
    suppressed: false,
    held: [],
    refused: false,
    tearingDown: false,
    tornDown: false,
    expired: false,
  };
}

/** A new life begins: what was launched in an earlier one must be asked for. */
export function beginLife(own: Workload): void {
  for (const taskId of own.running.keys()) own.unsure.add(taskId);
}

export const isWorkDone = (own: Workload): boolean => own.waiting.length === 0 && own.running.size === 0;

/** What follows from the time and the state: kills, questions, the end, and the next wake-up. */
function duties(own: Workload, now: number): Call[] {
  const calls: Call[] = [];
  if (own.tearingDown) return [{ type: 'TEARDOWN' }];
  const { tearDownAfterMs, usesSuppress } = own.plan;
  const tearDownAtMs = tearDownAfterMs === undefined ? Infinity : own.startedAtMs + tearDownAfterMs;
  if (isWorkDone(own) || now >= tearDownAtMs) {
    own.tearingDown = true;
    return [{ type: 'TEARDOWN' }];
  }
  let wakeAtMs = tearDownAtMs;
  for (const attempt of own.running.values()) {
    const isDue = now >= attempt.killAtMs;
    if (isDue) attempt.killAtMs = now + KILL_AGAIN_MS;
    const isAskedFor = attempt.killAsked && !own.plan.repeatsKills && own.oracle.isKillStored(attempt.taskId);
    if (isDue && !isAskedFor) {
      attempt.killAsked = true;
      const { killGraceMs } = attempt.spec;
      const grace = killGraceMs === undefined ? undefined : { gracePeriod: { nanoseconds: killGraceMs * 1e6 } };
      calls.push(kill(attempt.taskId, attempt.agentId, grace));
    }
    wakeAtMs = Math.min(wakeAtMs, attempt.killAtMs);
  }
  if (own.unsure.size > 0 && now >= own.askAtMs) {
    own.askAtMs = now + ASK_AGAIN_MS;
    calls.push({ type: 'RECONCILE', reconcile: { tasks: [...own.unsure].map((taskId) => ask(own, taskId)) } });
  }
  if (own.unsure.size > 0) wakeAtMs = Math.min(wakeAtMs, own.askAtMs);
  let wanted = false;
  for (const { notBeforeMs } of own.waiting) {
    const dueAtMs = own.startedAtMs + notBeforeMs;
    if (dueAtMs > now) wakeAtMs = Math.min(wakeAtMs, dueAtMs);
    else wanted = true;
  }
  if (usesSuppress && wanted === own.suppressed) {
    own.suppressed = !wanted;
    calls.push({ type: wanted ? 'REVIVE' : 'SUPPRESS' });
  } else if (wanted && own.refused) {
    own.refused = false;
    calls.push({ type: 'REVIVE' });
  }
  if (wanted && own.held.length > 0) calls.push(...useOffers(own, own.held.splice(0), now, () => false));
  if (wakeAtMs < Infinity) calls.push({ type: 'WAKE', atMs: wakeAtMs });
  return calls;
}

function ask(own: Workload, taskId: string): { taskId: string; agentId?: string } {
  const agentId = own.running.get(taskId)?.agentId;
  return { taskId, ...(agentId !== undefined && { agentId }) };
}

function infoOf(attempt: Attempt, agentId: string): TaskInfo {
  const { spec, taskId } = attempt;
  const variables = Object.entries(spec.environment).map(([name, value]) => ({ name, value }));
  if (spec.ballast > 0) variables.push({ name: 'BALLAST', value: 'x'.repeat(spec.ballast) });
  return {
    name: spec.key,
    taskId,
    agentId,
    resources: Resources.parse(`cpus:${spec.cpus};mem:${spec.mem}`).toArray(),
    command: { value: 'work', environment: { variables } },
    ...(spec.maxCompletionMs !== undefined && { maxCompletionTime: { nanoseconds: spec.maxCompletionMs * 1e6 } }),
  };
}

/** As many waiting tasks as fit into the offers of one agent. */
function fill(own: Workload, offers: readonly Offer[], now: number): TaskInfo[] {
  const { agentId } = offers[0]!;
  const free = Resources.sum(offers.map(({ resources }) => Resources.of(resources ?? [])));
  let cpus = free.scalar('cpus');
  let mem = free.scalar('mem');
  const infos: TaskInfo[] = [];
  for (let i = 0; i < own.waiting.length && infos.length < own.plan.perOffer;) {
    const { spec, number, notBeforeMs } = own.waiting[i]!;
    if (own.startedAtMs + notBeforeMs > now || spec.cpus * 1000 > cpus || spec.mem * 1000 > mem) {
      i++;
      continue;
    }
    own.waiting.splice(i, 1);
    cpus -= spec.cpus * 1000;
    mem -= spec.mem * 1000;
    const attempt: Attempt = {
      spec,
      number,
      taskId: `${spec.key}.${number}`,
      agentId,
      launchedAtMs: now,
      told: [],
      end: undefined,
      killAtMs: spec.killAfterMs === undefined ? Infinity : now + spec.killAfterMs,
      killAsked: false,
    };
    own.running.set(attempt.taskId, attempt);
    own.attempts.set(attempt.taskId, attempt);
    infos.push(infoOf(attempt, agentId));
  }
  return infos;
}

function finish(own: Workload, attempt: Attempt, status: TaskStatus, now: number): void {
  own.running.delete(attempt.taskId);
  attempt.end = status;
  const { spec, number } = attempt;
  if (RETRIED.has(status.state) && number < ATTEMPTS_MAX) {
    own.retries++;
    own.waiting.push({ spec, number: number + 1, notBeforeMs: now - own.startedAtMs + 200 * number });
  } else own.finals.set(spec.key, status.state);
}

/** Hears each status as the scheduler is told it, for checkers. */
export type OnTold = (own: Workload, status: TaskStatus) => void;

export function schedulerOf(own: Workload, onTold: OnTold): Scheduler<Workload> {
  return {
    info: {
      user: 'sim',
      name: own.plan.name,
      failoverTimeout: own.plan.failoverTimeoutMs / 1000,
      ...(own.plan.wantsKilling && { capabilities: [{ type: 'TASK_KILLING_STATE' as const }] }),
    },
    // As it is at each subscription.
    get suppressedRoles() {
      return own.suppressed ? ['*'] : [];
    },
    onSubscribed: (state, { frameworkId }, { now }) => {
      state.frameworkId = frameworkId;
      state.startedAtMs ||= now;
      state.askAtMs = now;
      state.held = [];
      return duties(state, now);
    },
    onOffers: (state, offers, { now, random }) => onOffers(state, offers, now, random),
    onUpdate: (state, status, { now }) => {
      onTold(state, status);
      const attempt = state.attempts.get(status.taskId);
      state.unsure.delete(status.taskId);
      if (attempt === undefined) return [];
      if (attempt.told.at(-1) !== status.state) attempt.told.push(status.state);
      // Of what was on a machine that is gone nobody will ever know more.
      const isOver = status.state === 'TASK_UNREACHABLE' && state.oracle.isGone(attempt.agentId ?? '');
      const ends = isTerminal(status.state) || status.state === 'TASK_UNKNOWN' || isOver;
      if (ends && attempt.end === undefined) finish(state, attempt, status, now);
      return duties(state, now);
    },
    onRescind: (state, offerId) => {
      state.held = state.held.filter((offer) => offer.id !== offerId);
      return [];
    },
    onWake: (state, { now }) => duties(state, now),
  };
}

/** Offers of one agent can be used together. */
function byAgent(offers: readonly Offer[]): (readonly Offer[])[] {
  const groups = new Map<string, Offer[]>();
  for (const offer of offers) groups.set(offer.agentId, [...(groups.get(offer.agentId) ?? []), offer]);
  return [...groups.values()];
}

/** Launches what waits on offers; those without use are kept or refused. */
function useOffers(own: Workload, offers: readonly Offer[], now: number, keeps: (index: number) => boolean): Call[] {
  const calls: Call[] = [];
  const { refuseSeconds } = own.plan;
  const unused: Offer[] = [];
  for (const [i, together] of byAgent(offers).entries()) {
    const taskInfos = fill(own, together, now);
    if (taskInfos.length > 0) {
      const operations = [{ type: 'LAUNCH' as const, launch: { taskInfos } }];
      const offerIds = together.map(({ id }) => id);
      calls.push({ type: 'ACCEPT', accept: { offerIds, operations, filters: { refuseSeconds: 0 } } });
    } else if (keeps(i)) own.held.push(...together);
    else unused.push(...together);
  }
  if (unused.length > 0 && refuseSeconds > 60) own.refused = true;
  return [...calls, ...decline(unused, { refuseSeconds })];
}

function onOffers(own: Workload, offers: readonly Offer[], now: number, random: number): Calls {
  if (own.tearingDown) return [];
  const keeps = (index: number): boolean => (random * (index + 1) * 7919) % 1 < own.plan.hoard;
  const calls = useOffers(own, offers, now, keeps);
  return [...calls, ...duties(own, now)];
}

function drawTask(random: SeededRandom, key: string, spreadMs: number): TaskSpec {
  const environment: Record<string, string> = {};
  const kind = random.next();
  const runMs = random.integer(1, random.pick([20, 500, 5_000, 20_000]));
  environment['SIM_RUN_MS'] = String(runMs);
  let killAfterMs: number | undefined;
  let maxCompletionMs: number | undefined;
  if (kind < 0.5) environment['SIM_EXIT_CODE'] = '0';
  else if (kind < 0.62) environment['SIM_EXIT_CODE'] = String(random.integer(1, 255));
  else if (kind < 0.7) environment['SIM_FAIL_LAUNCH'] = 'no such program';
  else if (kind < 0.76) {
    environment['SIM_NEVER_ENDS'] = '1';
    maxCompletionMs = random.integer(100, 10_000);
  } else {
    if (random.chance(0.6)) environment['SIM_NEVER_ENDS'] = '1';
    killAfterMs = random.integer(0, random.pick([5, 200, 10_000]));
  }
  if (random.chance(0.2)) environment['SIM_IGNORE_TERM'] = '1';
  if (random.chance(0.1)) environment['SIM_TERM_MS'] = String(random.integer(1, 3_000));
  if (random.chance(0.1)) environment['SIM_TERM_EXIT_CODE'] = String(random.integer(0, 3));
  return {
    key,
    afterMs: random.integer(0, spreadMs),
    cpus: random.pick([0.1, 0.25, 1]),
    mem: random.pick([16, 64, 256]),
    environment,
    killAfterMs,
    killGraceMs: random.chance(0.3) ? random.integer(0, 2_000) : undefined,
    maxCompletionMs,
    ballast: 0,
  };
}

export function drawWorkload(random: SeededRandom, name: string): WorkloadPlan {
  const count = random.integer(5, 60);
  const spreadMs = random.pick([0, 2_000, 20_000, 60_000]);
  const tasks = Array.from({ length: count }, (_, i) => drawTask(random, `${name}-t${i + 1}`, spreadMs));
  // Calls that do not fit into one message go in parts.
  const heavy = random.chance(0.05) ? 12_000 : 0;
  return {
    name,
    tasks: heavy === 0 ? tasks : tasks.map((task) => ({ ...task, afterMs: 0, cpus: 0.1, mem: 16, ballast: heavy })),
    wantsKilling: random.chance(0.5),
    refuseSeconds: random.pick([0, 0.1, 1, 5, 3_600]),
    hoard: random.pick([0, 0, 0.2, 1]),
    perOffer: random.pick([1, 5, 100]),
    tearDownAfterMs: random.chance(0.25) ? random.integer(1_000, 30_000) : undefined,
    usesSuppress: random.chance(0.3),
    failoverTimeoutMs: random.chance(0.35) ? random.integer(500, 10_000) : FAILOVER_TIMEOUT_MS,
    repeatsKills: random.chance(0.5),
  };
}

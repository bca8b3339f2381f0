/** All that may go wrong in one run, drawn from its seed. Each kind of fault is on or off by itself, so that runs differ in kind. Rule: SIM-13. */
import { DEFAULT_TIMINGS, type Timings } from '../../protocol/limits.js';
import type { SeededRandom } from './seeded-random.js';

/** Something that begins again and again. `everyMs` is the mean time between two beginnings; 0: never. */
export interface Outage {
  readonly everyMs: number;
  /** Longest that one lasts. */
  readonly lastsMs: number;
}

export interface LinkFaults {
  /** Probabilities, per message and receiver. */
  readonly lose: number;
  readonly repeat: number;
  readonly reorder: number;
  /** A message that stalls takes up to `stallMs`, others up to `delayMs`. */
  readonly stall: number;
  readonly stallMs: number;
  readonly delayMs: number;
  /** Until the server knows of a subscription. */
  readonly subscribeMs: number;
}

export interface FaultPlan {
  /** Length of the phase with faults. */
  readonly phaseMs: number;
  readonly link: LinkFaults;
  /** Two connections that do not reach each other, or one that does not reach the other. */
  readonly cut: Outage;
  /** A connection that is away from the server. */
  readonly disconnect: Outage;
  /** A process that stands still and goes on. */
  readonly pause: Outage;
  /** A master that the storage does not hear. */
  readonly storageCut: Outage;
  /** The storage has no leader; in one case of two for as long as a replicated stream takes to find one, 4 to 9 s. */
  readonly storageHalt: Outage;
  /** Longest time of each part of a storage call. */
  readonly storageMs: number;
  /** Probabilities of a storage call: refused for nothing, done without an answer, done long after the caller gave up. */
  readonly storageRefuse: number;
  readonly storageMute: number;
  readonly storageLate: number;
  /** Leases end so much earlier or later than asked, at most. */
  readonly leaseShiftMs: number;
  /** One master's watches are behind, while all else is up to date. */
  readonly watchLag: Outage;
  /** The registry comes back older, by up to `lastsMs`. */
  readonly registryBack: Outage;
  /** The wall's clock of a master's machine jumps, by up to `lastsMs`: forward, or anywhere between two lives. */
  readonly clockJump: Outage;
  /** Power is cut from an agent's machine; how long it stays away. */
  readonly restartMachine: Outage;
  /** A wrapper dies, and its container with it, without a record. */
  readonly loseWrapper: Outage;
  /** The disk of an agent's machine has no room. */
  readonly fullDisk: Outage;
  /** An agent's machine is gone for good. */
  readonly removeMachine: Outage;
  /** A machine sleeps, longer than every timeout: its process stands still and its connections are gone. */
  readonly sleep: Outage;
  /** Deaths of a process at any moment, by role; how long it stays away. */
  readonly crash: Readonly<Record<Role, Outage>>;
  /** Orderly ends, by role; how long it stays away. */
  readonly stop: Readonly<Record<Role, Outage>>;
  /** Probability that a process dies before any one effect, by role. */
  readonly crashPerEffect: Readonly<Record<Role, number>>;
  /** Messages that fit no schema, from principals that may speak. */
  readonly nonsense: Outage;
  /** Messages that fit their schema and are not true, from principals that may speak. */
  readonly lies: Outage;
}

export type Role = 'master' | 'agent' | 'scheduler';

export interface ClusterPlan {
  readonly masters: number;
  /** Resources of each agent, as text. */
  readonly agents: readonly string[];
  readonly schedulers: number;
  /** Containers that an agent starts at a time. */
  readonly maxStarting: number;
  /** Clocks differ by up to this. */
  readonly skewMs: number;
  readonly timings: Timings;
  readonly faults: FaultPlan;
}

const NEVER: Outage = { everyMs: 0, lastsMs: 0 };

/** On in one run of two, if nothing else is said, with a mean pause drawn evenly. */
function outage(
  random: SeededRandom,
  everyMs: readonly [number, number],
  lastsMs: readonly [number, number],
  chance = 0.5,
): Outage {
  const isOn = random.chance(chance);
  const drawn = { everyMs: random.integer(...everyMs), lastsMs: random.integer(...lastsMs) };
  return isOn ? drawn : NEVER;
}

const rate = (random: SeededRandom, most: number, chance = 0.5): number => {
  const isOn = random.chance(chance);
  const drawn = Number((most * random.next() ** 2).toFixed(6));
  return isOn ? drawn : 0;
};

function drawLink(random: SeededRandom): LinkFaults {
  return {
    lose: rate(random, 0.05),
    repeat: rate(random, 0.05),
    reorder: rate(random, 0.05),
    stall: rate(random, 0.02),
    stallMs: random.integer(500, 8_000),
    delayMs: random.pick([1, 5, 20, 100]),
    subscribeMs: random.pick([0, 5, 50]),
  };
}

export function drawFaults(random: SeededRandom): FaultPlan {
  const phaseMs = random.integer(10_000, 60_000);
  return {
    phaseMs,
    link: drawLink(random),
    cut: outage(random, [2_000, 20_000], [100, 40_000]),
    disconnect: outage(random, [2_000, 20_000], [20, 10_000]),
    pause: outage(random, [3_000, 20_000], [100, 40_000]),
    storageCut: outage(random, [5_000, 20_000], [100, 15_000]),
    storageHalt: outage(random, [10_000, 30_000], [100, 10_000]),
    storageMs: random.pick([1, 1, 10, 100, 1_000]),
    storageRefuse: rate(random, 0.02, 0.2),
    storageMute: rate(random, 0.02, 0.3),
    storageLate: rate(random, 0.02, 0.3),
    leaseShiftMs: random.pick([0, 0, 500, 2_000]),
    watchLag: outage(random, [5_000, 20_000], [100, 15_000], 0.3),
    registryBack: outage(random, [15_000, 60_000], [100, 30_000], 0.15),
    clockJump: outage(random, [5_000, 30_000], [100, 300_000], 0.25),
    restartMachine: outage(random, [10_000, 60_000], [500, 15_000], 0.3),
    loseWrapper: outage(random, [1_000, 10_000], [0, 0], 0.3),
    fullDisk: outage(random, [10_000, 30_000], [100, 8_000], 0.2),
    removeMachine: outage(random, [15_000, 60_000], [0, 0], 0.15),
    sleep: outage(random, [10_000, 60_000], [20_000, 120_000], 0.2),
    crash: {
      master: outage(random, [4_000, 30_000], [200, 15_000]),
      agent: outage(random, [5_000, 40_000], [200, 15_000]),
      scheduler: outage(random, [4_000, 30_000], [200, 15_000]),
    },
    stop: {
      master: outage(random, [10_000, 60_000], [200, 10_000]),
      agent: outage(random, [10_000, 60_000], [200, 10_000]),
      scheduler: outage(random, [10_000, 60_000], [200, 10_000]),
    },
    crashPerEffect: {
      master: rate(random, 0.003),
      agent: rate(random, 0.002),
      scheduler: rate(random, 0.01),
    },
    nonsense: outage(random, [1_000, 10_000], [0, 0]),
    lies: outage(random, [500, 5_000], [0, 0], 0.4),
  };
}

export const NO_FAULTS: FaultPlan = {
  phaseMs: 0,
  link: { lose: 0, repeat: 0, reorder: 0, stall: 0, stallMs: 0, delayMs: 1, subscribeMs: 0 },
  cut: NEVER,
  disconnect: NEVER,
  pause: NEVER,
  storageCut: NEVER,
  storageHalt: NEVER,
  storageMs: 1,
  storageRefuse: 0,
  storageMute: 0,
  storageLate: 0,
  leaseShiftMs: 0,
  watchLag: NEVER,
  registryBack: NEVER,
  clockJump: NEVER,
  restartMachine: NEVER,
  loseWrapper: NEVER,
  fullDisk: NEVER,
  removeMachine: NEVER,
  sleep: NEVER,
  crash: { master: NEVER, agent: NEVER, scheduler: NEVER },
  stop: { master: NEVER, agent: NEVER, scheduler: NEVER },
  crashPerEffect: { master: 0, agent: 0, scheduler: 0 },
  nonsense: NEVER,
  lies: NEVER,
};

/** A framework that nobody comes back for must be gone within the second phase; the one of a scheduler that says nothing shorter not within the first. */
export const FAILOVER_TIMEOUT_MS = 200_000;

function drawTimings(random: SeededRandom): Timings {
  return {
    ...DEFAULT_TIMINGS,
    heartbeatIntervalMs: random.pick([500, 1_000, 2_000]),
    missedHeartbeats: random.pick([3, 5, 10]),
    invitationWaitMs: random.pick([1_000, 5_000]),
    registrationBackoffMaxMs: random.pick([2_000, 15_000]),
    offerLeaseMs: random.pick([3_000, 30_000]),
    offerMaxMs: random.pick([10_000, 300_000]),
    declineFilterMs: random.pick([500, 5_000]),
    updateRetryMs: random.pick([1_000, 10_000]),
    updateRetryMaxMs: random.pick([10_000, 60_000]),
    killGraceMs: random.pick([500, 3_000]),
    failoverTimeoutMs: FAILOVER_TIMEOUT_MS,
    endedMemoryMs: random.pick([2_000, DEFAULT_TIMINGS.endedMemoryMs]),
  };
}

const AGENTS = [
  'cpus:4;mem:2048;ports:[31000-31007]',
  'cpus:1;mem:512',
  'cpus:16;mem:8192;ports:[31000-31099]',
] as const;

/** Every option of a cluster. One run in ten is without faults. */
export function drawCluster(random: SeededRandom): ClusterPlan {
  const calm = random.chance(0.1);
  const drawn = drawFaults(random.fork('faults'));
  const faults = calm ? NO_FAULTS : drawn;
  const timings = drawTimings(random.fork('timings'));
  // A registry that comes back older than what agents remember asks for launches that they have forgotten.
  const endedMemoryMs = faults.registryBack.everyMs > 0 ? DEFAULT_TIMINGS.endedMemoryMs : timings.endedMemoryMs;
  return {
    masters: random.integer(1, 3),
    // Of few agents two that are silent are many: now and then there are more. Rule: AGT-7.
    agents: Array.from({ length: random.chance(0.2) ? random.integer(7, 10) : random.integer(1, 6) }, () =>
      random.pick(AGENTS),
    ),
    schedulers: random.integer(1, 3),
    maxStarting: random.pick([1, 4, 16]),
    skewMs: random.pick([0, 0, 50, 1_000]),
    timings: { ...timings, endedMemoryMs },
    faults,
  };
}

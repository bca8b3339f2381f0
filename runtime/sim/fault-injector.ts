/** Lets things go wrong as the plan says, until it is told to stop. Rule: SIM-13. */
import { encodeMessage } from '../../protocol/codec.js';
import type { Outage, Role } from './fault-plan.js';
import type { SeededRandom } from './seeded-random.js';
import { tellLie } from './liar.js';
import { CLUSTER, storageConnection, type Machine, type SimCluster } from './sim-cluster.js';
import type { SimNode } from './sim-node.js';
import type { NetworkPolicy } from './simulated-network.js';
import type { StoragePolicy } from './simulated-storage.js';
import { LONGEST_TAIL_MS } from './simulated-store.js';
import { Incarnation } from './virtual-clock.js';

const ROLES: readonly Role[] = ['master', 'agent', 'scheduler'];
/** Where a principal of each role may speak, or an operator of that name. */
const DOORS: Readonly<Record<Role, readonly { path: string; type: string }[]>> = {
  master: [
    { path: 'master.operator', type: 'KILL_TASK' },
    { path: 'master.operator', type: 'NO_SUCH_CALL' },
    { path: 'master.master', type: 'LOOPBACK' },
  ],
  agent: [
    { path: 'master.agent', type: 'STATUS_UPDATE' },
    { path: 'master.agent', type: 'REREGISTER' },
  ],
  scheduler: [
    { path: 'master.scheduler', type: 'ACCEPT' },
    { path: 'master.scheduler', type: 'SUBSCRIBE' },
  ],
};

export class FaultInjector {
  /** How often each kind took place. */
  readonly counts = new Map<string, number>();
  readonly #cluster: SimCluster;
  readonly #random: SeededRandom;
  /** Until when the watches of a master are behind. */
  readonly #lagging = new Map<string, number>();
  #isStopped = false;

  constructor(cluster: SimCluster, random: SeededRandom) {
    this.#cluster = cluster;
    this.#random = random;
  }

  start(): void {
    const cluster = this.#cluster;
    const { faults } = cluster.plan;
    cluster.network.policy = this.#networkPolicy();
    cluster.storage.policy = this.#storagePolicy();
    this.#repeat('cut', faults.cut, (random, lastsMs) => this.#cut(random, lastsMs));
    this.#repeat('disconnect', faults.disconnect, (random, lastsMs) => this.#disconnect(random, lastsMs));
    this.#repeat('pause', faults.pause, (random, lastsMs) => this.#pause(random, lastsMs));
    this.#repeat('storage cut', faults.storageCut, (random, lastsMs) => {
      const { name } = random.pick(cluster.masters);
      cluster.storage.cut(name);
      this.#later(lastsMs, () => cluster.storage.heal(name));
    });
    this.#repeat('storage halt', faults.storageHalt, (random, lastsMs) => {
      cluster.storage.halt();
      this.#later(random.chance(0.5) ? random.between(4_000, 9_000) : lastsMs, () => cluster.storage.resume());
    });
    this.#repeat('watch lag', faults.watchLag, (random, lastsMs) => {
      const { name } = random.pick(cluster.masters);
      this.#lagging.set(name, cluster.clock.now() + lastsMs);
    });
    this.#repeat('registry back', faults.registryBack, (_random, lastsMs) =>
      cluster.storage.goBack('registry', lastsMs),
    );
    this.#repeat('clock jump', faults.clockJump, (random, lastsMs) => {
      const node = random.pick(cluster.masters);
      // A clock never runs backwards within a process, but the next one may begin at an earlier time.
      const byMs = random.chance(0.5) ? lastsMs : -lastsMs;
      if (byMs < 0) node.crash('its clock is set back');
      cluster.jumpClock(node, byMs);
    });
    this.#repeat('sleep', faults.sleep, (random, lastsMs) => this.#sleep(random, lastsMs));
    this.#machineFaults();
    this.#repeat('lie', faults.lies, (random) => tellLie(cluster, random));
    this.#repeat('nonsense', faults.nonsense, (random) => this.#speakNonsense(random));
    for (const role of ROLES) {
      const one = (random: SeededRandom): SimNode => random.pick(cluster.ofRole(role));
      this.#repeat(`crash of ${role}`, faults.crash[role], (random, awayMs) => one(random).crash('crash', awayMs));
      this.#repeat(`stop of ${role}`, faults.stop[role], (random) =>
        one(random).stop(role === 'agent' && random.chance(0.5)),
      );
    }
  }

  /** No new faults; those under way are the cluster's to heal. */
  stop(): void {
    this.#isStopped = true;
  }

  #count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  #later(delayMs: number, then: () => void): void {
    const { clock } = this.#cluster;
    clock.schedule(clock.now() + delayMs, () => (this.#isStopped ? undefined : then()));
  }

  #repeat(kind: string, { everyMs, lastsMs }: Outage, strike: (random: SeededRandom, lastsMs: number) => void): void {
    if (everyMs === 0) return;
    const random = this.#random.fork(kind);
    const next = (): void => {
      this.#later(-Math.log(1 - random.next()) * everyMs, () => {
        this.#count(kind);
        // Most are short, a few are as long as may be.
        strike(random, lastsMs * random.next() ** 2);
        next();
      });
    };
    next();
  }

  #networkPolicy(): NetworkPolicy {
    const { lose, repeat, reorder, stall, stallMs, delayMs, subscribeMs } = this.#cluster.plan.faults.link;
    const random = this.#random.fork('links');
    return {
      decide: () => {
        const isLost = random.chance(lose);
        if (isLost) this.#count('lost');
        const isStalled = stall > 0 && random.chance(stall);
        const isRepeated = repeat > 0 && random.chance(repeat);
        if (isRepeated) this.#count('repeated');
        return {
          lose: isLost,
          delayMs: random.next() * (isStalled ? stallMs : delayMs),
          repeat: isRepeated,
          reorder: reorder > 0 && random.chance(reorder),
        };
      },
      subscribeDelayMs: () => random.next() * subscribeMs,
    };
  }

  #storagePolicy(): StoragePolicy {
    const { storageMs, storageRefuse, storageMute, storageLate, leaseShiftMs } = this.#cluster.plan.faults;
    const random = this.#random.fork('storage times');
    const faults = this.#random.fork('storage faults');
    const { clock } = this.#cluster;
    const count = (kind: string, rate: number): boolean => {
      const isOn = rate > 0 && faults.chance(rate);
      if (isOn) this.#count(kind);
      return isOn;
    };
    // Seldom as slow as may be, or nothing would ever be stored in time.
    const way = (): number => 0.05 + storageMs * random.next() ** 4;
    return {
      decideCall: (_node, call) => {
        const isLate = call !== 'watch' && count('storage late', storageLate);
        return {
          requestMs: way() + (isLate && faults.chance(0.5) ? faults.between(4_000, 8_000) : 0),
          applyMs: isLate ? faults.between(4_000, 6_000) : random.chance(0.3) ? 0 : way(),
          answerMs: way(),
          landsUnanswered: random.chance(0.5),
          refuse: call !== 'watch' && count('storage refuse', storageRefuse),
          loseAnswer: call !== 'watch' && count('storage mute', storageMute),
          ttlShiftMs: leaseShiftMs === 0 ? 0 : faults.between(-leaseShiftMs, leaseShiftMs),
        };
      },
      entryDelayMs: (node) => {
        const untilMs = this.#lagging.get(node) ?? 0;
        return untilMs > clock.now() ? untilMs - clock.now() + way() : way();
      },
    };
  }

  /** Names of all connections. */
  #connections(): string[] {
    const { masters, nodes } = this.#cluster;
    return [...nodes.map(({ name }) => name), ...masters.map(({ name }) => storageConnection(name))];
  }

  #cut(random: SeededRandom, lastsMs: number): void {
    const { network } = this.#cluster;
    const names = this.#connections();
    const one = random.pick(names);
    // Alone, or only with one other.
    const other = random.chance(0.4) ? '*' : random.pick(names);
    const oneWay = random.next();
    const links = oneWay < 0.25 ? [[one, other]] : oneWay < 0.5 ? [[other, one]] : [[one, other], [other, one]]; // prettier-ignore
    for (const [from, to] of links) network.cut(from as string, to as string);
    this.#later(lastsMs, () => {
      for (const [from, to] of links) network.heal(from as string, to as string);
    });
  }

  #disconnect(random: SeededRandom, lastsMs: number): void {
    const { network } = this.#cluster;
    const name = random.pick(this.#connections());
    network.disconnect(name);
    this.#later(lastsMs, () => network.reconnect(name));
  }

  #pause(random: SeededRandom, lastsMs: number): void {
    const node = this.#whoSleeps(random);
    node.pause();
    this.#later(lastsMs, () => node.resume());
  }

  /** Anybody; rather a leader while somebody is away whose time must stand still. Rule: DLN-1. */
  #whoSleeps(random: SeededRandom): SimNode {
    const anybody = random.pick(this.#cluster.nodes);
    const waiting = this.#cluster
      .leaders()
      .find((node) => [...this.#cluster.masterState(node).frameworks.values()].some((row) => !row.connected));
    return waiting !== undefined && random.chance(0.7) ? waiting : anybody;
  }

  #machineFaults(): void {
    const cluster = this.#cluster;
    const { faults } = cluster.plan;
    this.#repeat('restart of machine', faults.restartMachine, (random, awayMs) => {
      const tailMs = random.chance(0.5) ? 0 : LONGEST_TAIL_MS * random.next() ** 2;
      const how = { tailMs, keepsRecords: random.chance(0.5), awayMs: awayMs + 500 };
      cluster.restartMachine(random.pick(cluster.agents), how);
    });
    this.#repeat('lost wrapper', faults.loseWrapper, (random) => {
      // Rather while nobody looks on.
      const away = cluster.agents.filter((node) => !node.isUp && !node.isDone);
      const { processes } = cluster.machines.get(random.pick(away.length > 0 ? away : cluster.agents).name) as Machine;
      const live = processes.live();
      if (live.length > 0 && processes.loseWrapper(random.pick(live))) this.#count('wrapper that was lost');
    });
    this.#repeat('full disk', faults.fullDisk, (random, lastsMs) => {
      const { store, processes } = cluster.machines.get(random.pick(cluster.agents).name) as Machine;
      store.full = processes.full = true;
      this.#later(lastsMs, () => (store.full = processes.full = false));
    });
    this.#repeat('removal of machine', faults.removeMachine, (random) => {
      // One at least stays to do the work, and what fits on it must fit on it alone.
      const [, ...others] = cluster.agents;
      if (others.length > 0) cluster.removeMachine(random.pick(others));
    });
  }

  #sleep(random: SeededRandom, lastsMs: number): void {
    const { network } = this.#cluster;
    const node = this.#whoSleeps(random);
    const names = node.role === 'master' ? [node.name, storageConnection(node.name)] : [node.name];
    node.pause();
    for (const name of names) network.disconnect(name);
    this.#later(lastsMs, () => {
      for (const name of names) network.reconnect(name);
      node.resume();
    });
  }

  /** A principal says what no schema lets through: nobody may be hurt but the speaker. */
  #speakNonsense(random: SeededRandom): void {
    const { network, nodes } = this.#cluster;
    const { name, role } = random.pick(nodes);
    const life = new Incarnation('nonsense', 1);
    const connection = network.connect({ name: `${name}/nonsense`, incarnation: life, inboxPrefix: 'x' });
    const { path, type } = random.pick(DOORS[role]);
    const head = { type, sender: name, session: '0', epoch: 0, id: `${name}-x${random.integer(1, 1e9)}` };
    const [wellFormed] = encodeMessage({ ...head, body: { frameworkId: 7 } }, () => 0);
    const garbage = new Uint8Array(random.integer(0, 40)).map(() => random.integer(0, 255));
    const bytes = random.chance(0.7) ? (wellFormed as Uint8Array) : garbage;
    connection.publish(`${CLUSTER}.${path}.${name}.${type}`, bytes, `${CLUSTER}.inbox.${role}.${name}.x`);
    life.end();
  }
}

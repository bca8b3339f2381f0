/**
 * Signals whole process trees, and sees to it that nothing is left of one whose main process has ended. All of it happens in searches of
 * /proc which are shared by whatever waits for one, and which together take a tenth of the time at most. Rules: PRC-5, PRC-6.
 */
import type { Log } from '../ports.js';
import {
  isAlive,
  ownerKey,
  ProcessTable,
  signalProcess,
  type Member,
  type ProcessId,
  type Sought,
} from './process-table.js';

/** One container's processes. */
export interface Tree {
  readonly containerId: string;
  /** Absolute. */
  readonly sandbox: string;
  /** Main process, leader of a session and a group of its own. */
  readonly leader: ProcessId | undefined;
}

interface Kept extends Tree {
  readonly key: string;
  /** Its main process is, or was, a child of ours. */
  readonly ours: boolean;
  terminate: boolean;
  kill: boolean;
  /** Since when only the rest of it is there. */
  endedAtMs?: number;
  onEmpty?: () => void;
  /** Something was found besides the main process, ever. */
  hadMembers: boolean;
  /** Searches in a row that found nothing, since its main process ended. */
  emptySearches: number;
}

/** Searches take this part of the time at most. */
const SHARE = 10;
const SHORTEST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 250;
/** More than these wait for the next search, so that the event loop is not held for long. */
const MOST_PER_SEARCH = 500;
/** What is stopped cannot fork; what was forked before it stopped is found by the next round. */
const MOST_STOP_ROUNDS = 5;
/** What has not died by then never will (it waits for a broken disk, or belongs to another user now): said aloud, and given up. */
const GIVE_UP_MS = 10_000;
/** For so long after its end the main process' pid is certainly nobody else's. */
const LEADER_PID_MS = 250;

export class TreeKeeper {
  readonly #log: Log;
  readonly #table = new ProcessTable();
  readonly #trees = new Map<string, Kept>();
  /** Main processes that we have not collected, with their tree's key. */
  readonly #leaders = new Map<number, string>();
  readonly #waiting = new Set<Kept>();
  #scheduled = false;
  #lastEndMs = Number.NEGATIVE_INFINITY;
  #pauseMs = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Keeps the tree of a child of ours. To be called before the event loop goes on: until then its pid is its own, dead or alive. */
  keep(tree: Tree): void {
    const kept = this.#add(tree, true);
    if (tree.leader !== undefined) this.#leaders.set(tree.leader.pid, kept.key);
  }

  /** SIGTERM to all of it. An unknown tree is no error, here and in {@link kill}. */
  terminate(tree: Tree): void {
    const kept = this.#trees.get(keyOf(tree));
    if (kept === undefined || kept.endedAtMs !== undefined) return;
    kept.terminate = true;
    this.#attend(kept);
  }

  /** SIGKILL to all of it, until nothing is left besides zombies. */
  kill(tree: Tree): void {
    const kept = this.#trees.get(keyOf(tree));
    if (kept === undefined) return;
    kept.kill = true;
    this.#attend(kept);
  }

  /** Its main process has ended and been collected: kills what it left, then calls back, later, once. */
  leaderEnded(tree: Tree, onEmpty: () => void): void {
    const kept = this.#trees.get(keyOf(tree));
    if (kept === undefined) throw new Error(`no tree of ${tree.containerId}`);
    if (kept.leader !== undefined) this.#leaders.delete(kept.leader.pid);
    this.#end(kept, onEmpty);
  }

  /** Kills a tree that is not our child's, found by the identity of its main process and by its environment. */
  clear(tree: Tree, onEmpty: () => void): void {
    const kept = this.#add(tree, false);
    kept.kill = true;
    this.#end(kept, onEmpty);
  }

  #add(tree: Tree, ours: boolean): Kept {
    const key = keyOf(tree);
    const kept: Kept = { ...tree, key, ours, terminate: false, kill: false, hadMembers: false, emptySearches: 0 };
    this.#trees.set(key, kept);
    return kept;
  }

  #end(kept: Kept, onEmpty: () => void): void {
    kept.endedAtMs = performance.now();
    kept.onEmpty = onEmpty;
    this.#attend(kept);
  }

  #attend(kept: Kept): void {
    this.#waiting.add(kept);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.size === 0) return;
    this.#scheduled = true;
    const search = (): void => {
      this.#scheduled = false;
      this.#attendAll();
    };
    const leftMs = this.#lastEndMs + this.#pauseMs - performance.now();
    // All signals go out from here, in a turn of the event loop of their own: within the turn in which Node collects children, others
    // than the one that it tells us about may have been collected, and their pids be free.
    if (leftMs <= 0) setImmediate(search);
    else setTimeout(search, leftMs);
  }

  #attendAll(): void {
    const startMs = performance.now();
    const trees = [...this.#waiting].slice(0, MOST_PER_SEARCH);
    for (const tree of trees) this.#waiting.delete(tree);
    const found = this.#search(trees);
    for (const tree of trees) if (tree.terminate) this.#sendTerm(tree, found.get(tree.key) ?? []);
    this.#killAll(trees, found);
    const endMs = performance.now();
    this.#lastEndMs = endMs;
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, (endMs - startMs) * SHARE));
    for (const tree of trees) this.#settle(tree, found.get(tree.key) ?? []);
    this.#schedule();
  }

  #search(trees: readonly Kept[]): Map<string, Member[]> {
    const sought = trees.map((tree): Sought => ({
      containerId: tree.containerId,
      sandbox: tree.sandbox,
      leaderPid: leaderPidOf(tree),
    }));
    return this.#table.search(sought, this.#leaders);
  }

  /** To the group at once, as a terminal would, and to those outside it one by one. */
  #sendTerm(tree: Kept, members: readonly Member[]): void {
    tree.terminate = false;
    const { leader } = tree;
    if (leader === undefined || tree.endedAtMs !== undefined) return;
    signalGroup(leader, 'SIGTERM');
    for (const member of members) if (member.groupId !== leader.pid) signalProcess(member, 'SIGTERM');
  }

  /**
   * Stop, search, kill. Why not kill at once: (1) A forks B; (2) we search and see A alone; (3) A is killed; (4) B, which left the session and
   * cleared its environment, has no sign and no parent any more.
   */
  #killAll(trees: readonly Kept[], found: ReadonlyMap<string, Member[]>): void {
    const doomed = trees.filter((tree) => tree.kill || (tree.endedAtMs !== undefined && found.has(tree.key)));
    const withSomething = doomed.filter((tree) => found.has(tree.key) || tree.endedAtMs === undefined);
    if (withSomething.length === 0) return;
    const victims = new Map<number, ProcessId>();
    for (const tree of withSomething) {
      if (tree.leader !== undefined && tree.endedAtMs === undefined) victims.set(tree.leader.pid, tree.leader);
    }
    for (const leader of victims.values()) signalProcess(leader, 'SIGSTOP');
    let round: ReadonlyMap<string, Member[]> = found;
    for (let rounds = 0; rounds < MOST_STOP_ROUNDS; rounds++) {
      const fresh = withSomething.flatMap((tree) => round.get(tree.key) ?? []).filter(({ pid }) => !victims.has(pid));
      if (rounds > 0 && fresh.length === 0) break;
      for (const member of fresh) {
        victims.set(member.pid, member);
        signalProcess(member, 'SIGSTOP');
      }
      round = this.#search(withSomething);
    }
    for (const victim of victims.values()) signalProcess(victim, 'SIGKILL');
    for (const { leader, endedAtMs } of withSomething) {
      // Where there is no /proc, the group is all that we know.
      if (leader !== undefined && endedAtMs === undefined) signalGroup(leader, 'SIGKILL');
    }
  }

  #settle(tree: Kept, members: readonly Member[]): void {
    if (members.length > 0) tree.hadMembers = true;
    if (tree.endedAtMs === undefined) {
      // The end of the main process calls again; only others need another look.
      if (tree.kill && members.length > 0) this.#attend(tree);
      return;
    }
    tree.emptySearches = members.length === 0 ? tree.emptySearches + 1 : 0;
    const enough = tree.kill || tree.hadMembers ? 2 : 1;
    const inVain = performance.now() - tree.endedAtMs > GIVE_UP_MS;
    if (tree.emptySearches < enough && !inVain) return this.#attend(tree);
    if (members.length > 0) {
      const pids = members.map(({ pid }) => pid);
      this.#log.write('error', 'Processes of a container could not be killed', { containerId: tree.containerId, pids });
    }
    this.#trees.delete(tree.key);
    tree.onEmpty?.();
  }
}

const keyOf = ({ containerId, sandbox }: Tree): string => ownerKey(containerId, sandbox);

/** By its pid one finds its session; but only as long as the pid cannot be another's. */
function leaderPidOf({ leader, ours, endedAtMs }: Kept): number | undefined {
  if (leader === undefined) return undefined;
  const isFresh = ours && (endedAtMs === undefined || performance.now() - endedAtMs < LEADER_PID_MS);
  return isFresh || isAlive(leader) ? leader.pid : undefined;
}

/** The group of a main process that we have not collected: its number is taken as long as that is so. */
function signalGroup({ pid }: ProcessId, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended, and its end is on its way to us; or another user's program took its place, and only the search can help.
  }
}

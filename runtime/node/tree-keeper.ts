/**
 * Signals whole process trees, and sees to it that nothing is left of one whose main process has ended. All of it happens in searches of
 * /proc which are shared by whatever waits for one, and which together take a tenth of the time at most. Rules: PRC-5, PRC-6.
 */
import type { Log } from '../ports.js';
import {
  isAlive,
  ownerKey,
  processId,
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
  /** Its wrapper, which is signalled only when nobody wants to know the end. */
  readonly wrapper: ProcessId | undefined;
  /** Main process, leader of a session and a group of its own; `undefined` as long as it is not known. */
  leader: ProcessId | undefined;
  /** It was seen alive by this life of the agent, or started by it. */
  leaderSeen?: boolean;
}

interface Kept {
  readonly tree: Tree;
  readonly key: string;
  /** Its wrapper is a child of ours that we have not collected; of another's, somebody may have. */
  readonly isChild: boolean;
  terminate: boolean;
  kill: boolean;
  /** Since when only the rest of it is there. */
  endedAtMs?: number;
  onEmpty?: () => void;
  /** Something was found, ever. */
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
  readonly #waiting = new Set<Kept>();
  #scheduled = false;
  #lastEndMs = Number.NEGATIVE_INFINITY;
  #pauseMs = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Keeps a tree. `isChild`: its wrapper is ours, to be said before the event loop goes on: until then its pid is its own, dead or alive. */
  keep(tree: Tree, isChild: boolean): void {
    const key = keyOf(tree);
    this.#trees.set(key, { tree, key, isChild, terminate: false, kill: false, hadMembers: false, emptySearches: 0 });
  }

  /** SIGTERM to all of it. An unknown tree is no error, here and in {@link kill}. */
  terminate(tree: Tree): void {
    const kept = this.#trees.get(keyOf(tree));
    if (kept === undefined || kept.endedAtMs !== undefined) return;
    kept.terminate = true;
    this.#attend(kept);
  }

  /** SIGKILL to all of it, until its wrapper has ended, and nothing is left besides zombies. */
  kill(tree: Tree): void {
    const kept = this.#trees.get(keyOf(tree));
    if (kept === undefined) return;
    kept.kill = true;
    this.#attend(kept);
  }

  /** Its wrapper has ended and, if it was ours, been collected: kills what is left, then calls back, later, once. */
  wrapperEnded(tree: Tree, onEmpty: () => void): void {
    const kept = this.#trees.get(keyOf(tree));
    if (kept === undefined) throw new Error(`no tree of ${tree.containerId}`);
    kept.endedAtMs = performance.now();
    kept.onEmpty = onEmpty;
    this.#attend(kept);
  }

  /** Nothing is left of it, as is known from elsewhere. */
  release(tree: Tree): void {
    const kept = this.#trees.get(keyOf(tree));
    if (kept === undefined) return;
    this.#trees.delete(kept.key);
    this.#waiting.delete(kept);
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
    for (const kept of trees) if (kept.terminate) this.#sendTerm(kept, found.get(kept.key) ?? []);
    this.#killAll(trees, found);
    const endMs = performance.now();
    this.#lastEndMs = endMs;
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, (endMs - startMs) * SHARE));
    for (const tree of trees) this.#settle(tree, found.get(tree.key) ?? []);
    this.#schedule();
  }

  #search(trees: readonly Kept[]): Map<string, Member[]> {
    const sought = trees.map((kept): Sought => ({
      containerId: kept.tree.containerId,
      sandbox: kept.tree.sandbox,
      leaderPid: leaderPidOf(kept),
    }));
    return this.#table.search(sought, this.#wrappers());
  }

  /** The pids that are a wrapper's now, with their tree's key. */
  #wrappers(): Map<number, string> {
    const wrappers = new Map<number, string>();
    for (const { tree, key, isChild, endedAtMs } of this.#trees.values()) {
      const { wrapper } = tree;
      if (wrapper === undefined || (isChild ? endedAtMs !== undefined : !isAlive(wrapper))) continue;
      wrappers.set(wrapper.pid, key);
    }
    return wrappers;
  }

  /** To the group at once, as a terminal would, and to those outside it one by one. */
  #sendTerm(kept: Kept, members: readonly Member[]): void {
    kept.terminate = false;
    const { leader } = kept.tree;
    // Before it has a group of its own, it is in that of its wrapper.
    const leads = members.some(({ pid, groupId }) => pid === leader?.pid && groupId === pid);
    if (leader !== undefined && leads) signalGroup(leader, 'SIGTERM');
    for (const member of members) if (!leads || member.groupId !== leader?.pid) signalProcess(member, 'SIGTERM');
  }

  /**
   * Stop, search, kill. Why not kill at once: (1) A forks B; (2) we search and see A alone; (3) A is killed; (4) B, which left the session and
   * cleared its environment, has no sign and no parent any more.
   */
  #killAll(trees: readonly Kept[], found: ReadonlyMap<string, Member[]>): void {
    const doomed = trees.filter((kept) => (kept.kill || kept.endedAtMs !== undefined) && found.has(kept.key));
    if (doomed.length === 0) return;
    const victims = new Map<number, ProcessId>();
    let round: ReadonlyMap<string, Member[]> = found;
    for (let rounds = 0; rounds < MOST_STOP_ROUNDS; rounds++) {
      const fresh = doomed.flatMap((tree) => round.get(tree.key) ?? []).filter(({ pid }) => !victims.has(pid));
      if (rounds > 0 && fresh.length === 0) break;
      for (const member of fresh) {
        victims.set(member.pid, member);
        signalProcess(member, 'SIGSTOP');
      }
      round = this.#search(doomed);
    }
    for (const victim of victims.values()) signalProcess(victim, 'SIGKILL');
  }

  #settle(kept: Kept, members: readonly Member[]): void {
    if (members.length > 0) kept.hadMembers = true;
    if (kept.endedAtMs === undefined) {
      if (!kept.kill) return;
      // A wrapper that was stopped, by whoever may, would never tell of the end.
      if (members.length === 0 && kept.tree.wrapper !== undefined) signalProcess(kept.tree.wrapper, 'SIGCONT');
      // It may not have forked yet.
      return this.#attend(kept);
    }
    kept.emptySearches = members.length === 0 ? kept.emptySearches + 1 : 0;
    const enough = kept.kill || kept.hadMembers ? 2 : 1;
    const inVain = performance.now() - kept.endedAtMs > GIVE_UP_MS;
    if (kept.emptySearches < enough && !inVain) return this.#attend(kept);
    if (members.length > 0) {
      const pids = members.map(({ pid }) => pid);
      const { containerId } = kept.tree;
      this.#log.write('error', 'Processes of a container could not be killed', { containerId, pids });
    }
    this.#trees.delete(kept.key);
    kept.onEmpty?.();
  }
}

const keyOf = ({ containerId, sandbox }: Tree): string => ownerKey(containerId, sandbox);

/**
 * By its pid one finds its session, also for a moment after its death; but only as long as the pid cannot be another's: one that was read in
 * a record, and never seen alive, may have been so for long.
 */
function leaderPidOf({ tree: { leader, leaderSeen }, endedAtMs }: Kept): number | undefined {
  if (leader === undefined) return undefined;
  const now = processId(leader.pid);
  if (now !== undefined) return now.startTicks === leader.startTicks ? leader.pid : undefined;
  const isFresh = endedAtMs === undefined || performance.now() - endedAtMs < LEADER_PID_MS;
  return leaderSeen === true && isFresh ? leader.pid : undefined;
}

/** The group of a main process that was just seen to lead it. */
function signalGroup({ pid }: ProcessId, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended, and its end is on its way to us; or another user's program took its place, and only the search can help.
  }
}

/** One simulated JetStream with the two buckets of a cluster. Rules: SIM-7, SIM-8. */
import type { Entry, KeyedWrite, Random, Storage, Stored } from '../ports.js';
import { BucketLog, type LogEntry } from './bucket-log.js';
import { StorageWatch, type WatchOptions } from './storage-watch.js';
import type { Incarnation, VirtualClock } from './virtual-clock.js';

export type Bucket = 'registry' | 'lease';

/** The server's limit for one atomic batch. */
const MAX_RECORDS_PER_COMMIT = 1_000;
/** The server takes no shorter time to live. */
const MIN_TTL_MS = 1_000;
const DEFAULT_CALL_TIMEOUT_MS = 5_000;
const DEFAULT_MARKER_TTL_MS = 120_000;

/** How long the parts of a call take, and what becomes of it when the way is cut. */
export interface CallVerdict {
  /** From the caller to the store. */
  readonly requestMs: number;
  /** From there until it is written; while that lasts, other writes of its keys are `busy`. 0: at once, as one server does. */
  readonly applyMs: number;
  /** From there until the caller knows. */
  readonly answerMs: number;
  /** Whether a write takes place though the caller is cut off or the store has no leader; it is never answered then. */
  readonly landsUnanswered?: boolean | undefined;
  /** The store refuses it, whatever it expects. */
  readonly refuse?: boolean | undefined;
  /** The store does what it was asked and its answer is lost. */
  readonly loseAnswer?: boolean | undefined;
  /** How much later, or earlier, than asked the entry expires. */
  readonly ttlShiftMs?: number | undefined;
}

/** The faults, asked once per call and once per entry and watch. `node` is the name given to {@link SimulatedStorage.port}. */
export interface StoragePolicy {
  decideCall(node: string, call: 'watch' | 'compareAndSet' | 'commit', bucket: Bucket): CallVerdict;
  /** From the writing of an entry until the watch may see it; order is kept. */
  entryDelayMs(node: string, bucket: Bucket): number;
}

/** A store without faults: each way takes from 0.1 to 1 ms; what is cut off lands or not, one in two. */
export const calmStorage = (random: Random): StoragePolicy => {
  const way = (): number => 0.1 + 0.9 * random.next();
  return {
    decideCall: () => ({ requestMs: way(), applyMs: way(), answerMs: way(), landsUnanswered: random.next() < 0.5 }),
    entryDelayMs: way,
  };
};

/** A change of the stream, as a checker sees it when it is written. */
export interface StorageChange extends Entry {
  readonly now: number;
  readonly bucket: Bucket;
  /** Who wrote it; `undefined` when it expired, or came back. */
  readonly by: string | undefined;
}

export interface StorageOptions {
  readonly clock: VirtualClock;
  readonly policy: StoragePolicy;
  /** After which a call without an answer is `unknown`; 5,000 if left out. */
  readonly callTimeoutMs?: number;
  /** How long the marker of a deletion stays in the stream; 120,000 if left out. */
  readonly markerTtlMs?: number;
}

/** A write on its way. */
interface Proposal {
  readonly bucket: Bucket;
  readonly by: string;
  readonly expected: { readonly key: string; readonly revision: number };
  readonly writes: readonly KeyedWrite[];
  readonly ttlMs: number | undefined;
  readonly verdict: CallVerdict;
  readonly answer: (outcome: Stored['outcome'], revision: number) => void;
}

interface Stream {
  readonly log: BucketLog;
  /** Keys that a write in flight holds, with how many hold them. */
  readonly inFlight: Map<string, number>;
  readonly watches: Set<StorageWatch>;
  /** Writes are applied in the order in which they arrived. */
  lastApplyAtMs: number;
  /** Counts disasters: a write that was on its way at one is lost. */
  disasters: number;
}

const newStream = (): Stream => ({
  log: new BucketLog(),
  inFlight: new Map(),
  watches: new Set(),
  lastApplyAtMs: 0,
  disasters: 0,
});

/** The store and all who are connected to it. */
export class SimulatedStorage {
  readonly clock: VirtualClock;
  policy: StoragePolicy;
  readonly #callTimeoutMs: number;
  readonly #markerTtlMs: number;
  readonly #streams = new Map<Bucket, Stream>([
    ['registry', newStream()],
    ['lease', newStream()],
  ]);
  readonly #cut = new Set<string>();
  readonly #taps: ((change: StorageChange) => void)[] = [];
  readonly #backTaps: ((bucket: Bucket, keys: ReadonlySet<string>) => void)[] = [];
  /** What came due while the store had no leader. */
  #postponed: (() => void)[] = [];
  #halted = false;

  constructor({ clock, policy, callTimeoutMs, markerTtlMs }: StorageOptions) {
    this.clock = clock;
    this.policy = policy;
    this.#callTimeoutMs = callTimeoutMs ?? DEFAULT_CALL_TIMEOUT_MS;
    this.#markerTtlMs = markerTtlMs ?? DEFAULT_MARKER_TTL_MS;
  }

  /** The port of one life of a node. */
  port(name: string, incarnation: Incarnation, onFatal: (error: Error) => void = () => undefined): Storage {
    let lastArrivalAtMs = 0;
    let committing = false;
    const submit = (
      call: 'compareAndSet' | 'commit',
      proposal: Omit<Proposal, 'by' | 'verdict' | 'answer'>,
      onAnswer: (outcome: Stored['outcome'], revision: number) => void,
    ): void => {
      const verdict = this.policy.decideCall(name, call, proposal.bucket);
      lastArrivalAtMs = Math.max(lastArrivalAtMs, this.clock.now() + verdict.requestMs);
      const answer = this.#answering(name, incarnation, verdict, onAnswer);
      this.#travel({ ...proposal, by: name, verdict, answer }, lastArrivalAtMs);
    };
    return {
      watch: (bucket, onEntry, onCaughtUp) => this.#watch(name, incarnation, { bucket, onEntry, onCaughtUp, onFatal }),
      compareAndSet: (bucket, write, revision, ttlMs, onStored) => {
        if (!incarnation.alive) return;
        if (ttlMs !== undefined && !(ttlMs >= MIN_TTL_MS)) throw new RangeError(`time to live too short: ${ttlMs} ms`);
        const expected = { key: write.key, revision };
        submit('compareAndSet', { bucket, expected, writes: [copyOf(write)], ttlMs }, (outcome, stored) =>
          onStored({ outcome, revision: stored }),
        );
      },
      commit: (fenceKey, fence, decisions, onStored) => {
        if (!incarnation.alive) return;
        const writes = decisions.flat().map(copyOf);
        if (writes.length === 0 || writes.length > MAX_RECORDS_PER_COMMIT)
          throw new RangeError(`a commit of ${writes.length} records`);
        if (committing) throw new Error('two commits in flight');
        committing = true;
        const expected = { key: fenceKey, revision: fence };
        submit('commit', { bucket: 'registry', expected, writes, ttlMs: undefined }, (outcome) => {
          committing = false;
          onStored(outcome);
        });
      },
    };
  }

  /** What the bucket holds now, by key, without markers, in the order of the stream. For checkers. */
  contents(bucket: Bucket): ReadonlyMap<string, { readonly value: Uint8Array; readonly revision: number }> {
    const held = new Map<string, { value: Uint8Array; revision: number }>();
    for (const { key, value, revision } of this.#stream(bucket).log.entries())
      if (value !== undefined) held.set(key, { value, revision });
    return held;
  }

  /** Calls back for each change at the moment of its writing. */
  tap(onChange: (change: StorageChange) => void): void {
    this.#taps.push(onChange);
  }

  /** Calls back with the keys that are other than they were whenever a bucket has gone back. */
  tapGoingBack(onBack: (bucket: Bucket, keys: ReadonlySet<string>) => void): void {
    this.#backTaps.push(onBack);
  }

  /** Cuts a node off: its calls are `unknown` after their time-out, its watches fall silent. */
  cut(name: string): void {
    this.#cut.add(name);
    for (const stream of this.#streams.values())
      for (const watch of stream.watches) if (watch.node === name) watch.interrupt();
  }

  /** Takes back a {@link cut}; watches go on where they were, without what was written over meanwhile. */
  heal(name: string): void {
    if (this.#cut.delete(name)) this.#startWatches();
  }

  /** The store has no leader: nothing is written, answered or expires until {@link resume}. */
  halt(): void {
    this.#halted = true;
  }

  resume(): void {
    if (!this.#halted) return;
    this.#halted = false;
    for (const postponed of this.#postponed.splice(0)) postponed();
    this.#startWatches();
  }

  /**
   * A disaster: the bucket comes back as it was so long ago, its sequence too. Every watch loses its server and comes back; one that
   * has seen more than there is ends its process.
   */
  goBack(bucket: Bucket, byMs: number): void {
    const stream = this.#stream(bucket);
    const { log, watches, inFlight } = stream;
    stream.disasters++;
    inFlight.clear();
    const changed = log.goBack(this.clock.now() - byMs);
    for (const tap of this.#backTaps) tap(bucket, changed);
    for (const watch of watches) watch.interrupt();
    this.#startWatches();
  }

  #stream(bucket: Bucket): Stream {
    return this.#streams.get(bucket) as Stream;
  }

  #reaches(name: string): boolean {
    return !this.#halted && !this.#cut.has(name);
  }

  /** Answers once: after the way back if that is open, or with `unknown` after the time-out. */
  #answering(
    name: string,
    incarnation: Incarnation,
    verdict: CallVerdict,
    onAnswer: (outcome: Stored['outcome'], revision: number) => void,
  ): Proposal['answer'] {
    let settled = false;
    const timeOut = this.clock.schedule(
      this.clock.now() + this.#callTimeoutMs,
      () => {
        settled = true;
        onAnswer('unknown', 0);
      },
      incarnation,
    );
    return (outcome, revision) => {
      if (verdict.loseAnswer === true) return;
      const arrive = (): void => {
        if (settled || this.#cut.has(name)) return;
        settled = true;
        timeOut.cancel();
        onAnswer(outcome, revision);
      };
      this.clock.schedule(this.clock.now() + verdict.answerMs, arrive, incarnation);
    };
  }

  /** Under way, the caller's life no longer matters: a write of a dead node lands as any other. */
  #travel(proposal: Proposal, arriveAtMs: number): void {
    const sent = this.#reaches(proposal.by) ? proposal : unanswered(proposal);
    if (sent === undefined) return;
    const stream = this.#stream(proposal.bucket);
    const { disasters } = stream;
    this.clock.schedule(arriveAtMs, () => {
      if (stream.disasters !== disasters) return;
      const arrived = this.#reaches(proposal.by) ? sent : unanswered(sent);
      if (arrived !== undefined) this.#arrive(arrived);
    });
  }

  #arrive(proposal: Proposal): void {
    const { bucket, expected, verdict } = proposal;
    const stream = this.#stream(bucket);
    if (stream.inFlight.has(expected.key)) return proposal.answer('busy', 0);
    if (verdict.refuse === true) return proposal.answer('refused', 0);
    if (!stream.log.accepts(expected.key, expected.revision)) return proposal.answer('refused', 0);
    if (verdict.applyMs === 0) return this.#apply(proposal);
    const held = new Set([expected.key, ...proposal.writes.map(({ key }) => key)]);
    for (const key of held) stream.inFlight.set(key, (stream.inFlight.get(key) ?? 0) + 1);
    stream.lastApplyAtMs = Math.max(stream.lastApplyAtMs, this.clock.now() + verdict.applyMs);
    const { disasters } = stream;
    this.clock.schedule(stream.lastApplyAtMs, () => {
      if (stream.disasters !== disasters) return;
      for (const key of held) {
        const count = (stream.inFlight.get(key) ?? 1) - 1;
        if (count > 0) stream.inFlight.set(key, count);
        else stream.inFlight.delete(key);
      }
      const kept = this.#halted ? unanswered(proposal) : proposal;
      if (kept !== undefined) this.#apply(kept);
    });
  }

  /** The expectation is checked again: the key may have expired meanwhile. */
  #apply({ bucket, by, expected, writes, ttlMs, verdict, answer }: Proposal): void {
    const { log } = this.#stream(bucket);
    if (!log.accepts(expected.key, expected.revision)) return answer('refused', 0);
    let revision = 0;
    const livesMs = ttlMs === undefined ? undefined : Math.max(1, ttlMs + (verdict.ttlShiftMs ?? 0));
    for (const { key, value } of writes) ({ revision } = this.#append(bucket, by, key, value, livesMs));
    answer('stored', revision);
  }

  #append(
    bucket: Bucket,
    by: string | undefined,
    key: string,
    value: Uint8Array | undefined,
    ttlMs?: number,
  ): LogEntry {
    const { log, watches } = this.#stream(bucket);
    const entry = log.append(key, value, this.clock.now());
    const { revision } = entry;
    for (const tap of this.#taps) tap({ now: this.clock.now(), bucket, by, key, value, revision });
    for (const watch of watches) watch.send(entry);
    const livesMs = value === undefined ? this.#markerTtlMs : ttlMs;
    if (livesMs !== undefined) this.clock.schedule(this.clock.now() + livesMs, () => this.#expire(bucket, entry));
    return entry;
  }

  /** A value that expires leaves a marker; a marker that expires leaves nothing, and no watch hears of it. */
  #expire(bucket: Bucket, entry: LogEntry): void {
    if (this.#halted) {
      this.#postponed.push(() => this.#expire(bucket, entry));
      return;
    }
    const { log } = this.#stream(bucket);
    if (log.get(entry.key) !== entry) return;
    if (entry.value === undefined) log.remove(entry, this.clock.now());
    else this.#append(bucket, undefined, entry.key, undefined);
  }

  #watch(
    node: string,
    incarnation: Incarnation,
    callbacks: { bucket: Bucket } & Pick<WatchOptions, 'onEntry' | 'onCaughtUp' | 'onFatal'>,
  ): void {
    if (!incarnation.alive) return;
    const { bucket } = callbacks;
    const { log, watches } = this.#stream(bucket);
    const delayMs = (): number => this.policy.entryDelayMs(node, bucket);
    const watch = new StorageWatch({ ...callbacks, node, incarnation, clock: this.clock, log, delayMs });
    watches.add(watch);
    incarnation.onEnd(() => watches.delete(watch));
    const { requestMs } = this.policy.decideCall(node, 'watch', bucket);
    this.clock.schedule(this.clock.now() + requestMs, () => (this.#reaches(node) ? watch.start() : undefined));
  }

  #startWatches(): void {
    for (const stream of this.#streams.values())
      for (const watch of stream.watches) if (this.#reaches(watch.node)) watch.start();
  }
}

/** What is left of a write whose way is cut: one that nobody answers, or nothing. */
const unanswered = (proposal: Proposal): Proposal | undefined =>
  proposal.verdict.landsUnanswered === true ? { ...proposal, answer: () => undefined } : undefined;

const copyOf = ({ key, value }: KeyedWrite): KeyedWrite => ({ key, value: value && new Uint8Array(value) });

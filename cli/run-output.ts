/** The output of all tasks of a run, as it comes, and to its last byte. Rule: RUN-4. */
import type { OperatorClient } from '../runtime/client.js';
import { FileFollower, type SandboxPlace, type Stream } from './sandbox.js';

export interface OutputSink {
  /** Whole pieces in order per task and stream. */
  data(task: number, stream: Stream, data: Uint8Array): void | Promise<void>;
  /** Nothing more will come of it. */
  ended(task: number, stream: Stream): void;
  /** Some of the output is lost, as the agent does not answer. */
  failed(task: number, stream: Stream, error: unknown): void;
}

interface Followed {
  readonly task: number;
  readonly streams: readonly { readonly stream: Stream; readonly file: FileFollower }[];
  hasEnded: boolean;
  /** The next look, in ms of performance.now; the pause grows while nothing comes. */
  dueAtMs: number;
  pauseMs: number;
}

/** Tasks that are read at a time. */
const AT_A_TIME = 16;
const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;

/** Follows the tasks that it is told of, those first that have ended. */
export class OutputPump {
  readonly #client: OperatorClient;
  readonly #sink: OutputSink;
  /** Those that run. */
  readonly #running = new Map<string, Followed>();
  /** Those that have ended, with all of their output to come. */
  readonly #ended: Followed[] = [];
  #busy = 0;
  #timer: NodeJS.Timeout | undefined;
  #onIdle: (() => void)[] = [];

  constructor(client: OperatorClient, sink: OutputSink) {
    this.#client = client;
    this.#sink = sink;
  }

  /** A launch runs. `key` names it. */
  add(key: string, task: number, place: SandboxPlace): void {
    if (this.#running.has(key)) return;
    const streams = (['stdout', 'stderr'] as const).map((stream) => ({
      stream,
      file: new FileFollower(this.#client, place, stream),
    }));
    const dueAtMs = performance.now() + SHORTEST_PAUSE_MS;
    this.#running.set(key, { task, streams, hasEnded: false, dueAtMs, pauseMs: SHORTEST_PAUSE_MS });
    this.#pump();
  }

  /** A launch is over: what it wrote is complete, and is read to its end. */
  end(key: string): void {
    const followed = this.#running.get(key);
    if (followed === undefined) return;
    this.#running.delete(key);
    followed.hasEnded = true;
    this.#ended.push(followed);
    this.#pump();
  }

  /** Resolves when all that ended has been read. */
  drained(): Promise<void> {
    if (this.#ended.length === 0 && this.#busy === 0) return Promise.resolve();
    return new Promise((fulfil) => this.#onIdle.push(fulfil));
  }

  /** No further looks. */
  close(): void {
    clearTimeout(this.#timer);
    this.#running.clear();
    this.#ended.length = 0;
  }

  #pump(): void {
    while (this.#busy < AT_A_TIME) {
      const next = this.#ended.find((one) => !this.#reading.has(one)) ?? this.#due();
      if (next === undefined) break;
      this.#busy += 1;
      this.#reading.add(next);
      void this.#read(next).finally(() => {
        this.#busy -= 1;
        this.#reading.delete(next);
        this.#pump();
      });
    }
    this.#arm();
    if (this.#ended.length > 0 || this.#busy > 0) return;
    for (const fulfil of this.#onIdle.splice(0)) fulfil();
  }

  readonly #reading = new Set<Followed>();

  #due(): Followed | undefined {
    const nowMs = performance.now();
    for (const one of this.#running.values()) if (one.dueAtMs <= nowMs && !this.#reading.has(one)) return one;
    return undefined;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    let nextMs = Infinity;
    for (const one of this.#running.values()) if (!this.#reading.has(one)) nextMs = Math.min(nextMs, one.dueAtMs);
    if (nextMs === Infinity) return;
    this.#timer = setTimeout(() => this.#pump(), Math.max(1, nextMs - performance.now()));
  }

  /** Never rejects. */
  async #read(followed: Followed): Promise<void> {
    // An end that comes while we read is seen by the next look, which then is the last.
    const isLast = followed.hasEnded;
    const counts = await Promise.all(followed.streams.map((one) => this.#readStream(followed.task, one)));
    if (isLast) {
      this.#ended.splice(this.#ended.indexOf(followed), 1);
      for (const { stream } of followed.streams) this.#sink.ended(followed.task, stream);
      return;
    }
    const came = counts.some((count) => count > 0);
    followed.pauseMs = came ? SHORTEST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, followed.pauseMs * 2);
    followed.dueAtMs = performance.now() + followed.pauseMs;
  }

  async #readStream(task: number, { stream, file }: Followed['streams'][number]): Promise<number> {
    try {
      return await file.read((data) => this.#sink.data(task, stream, data));
    } catch (error) {
      this.#sink.failed(task, stream, error);
      return 0;
    }
  }
}

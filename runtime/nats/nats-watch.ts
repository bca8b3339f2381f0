/**
 * A watch of a bucket: its entries, then that these were all, then each change, nothing twice and nothing left out.
 *
 * It is a push consumer of our own making rather than the client's KV watch, for three reasons, each of which would hold up a barrier
 * (REG-2): that one learns after a minute at the earliest that its consumer is gone; an entry that was lost as the last one it does not
 * miss at all, until the next comes; and where the entries end it cannot say, when the last of them vanish on the way.
 *
 * When it is in doubt (a gap, silence, a reconnect) it makes a new consumer that starts behind the last entry told. It gives up, by
 * `onFatal`, where this could leave something out: it was away for so long that markers of deleted keys may have come and gone, or the
 * stream is not the one that it was. The process then starts anew and reads everything. Rule: NAT-5.
 */
import {
  AckPolicy,
  DeliverPolicy,
  jetstream,
  jetstreamManager,
  type ConsumerConfig,
  type ConsumerMessages,
  type ConsumerNotification,
  type JetStreamManager,
  type JsMsg,
} from '@nats-io/jetstream';
import { createInbox, nanos, nuid, type NatsConnection } from 'nats';
import type { Entry, Log } from '../ports.js';
import { followReconnects } from './connection.js';
import { isMarkerHeader } from './nats-publish.js';
import { bucketStream, keySubject, MARKER_TTL_SECONDS, streamInfo } from './provision.js';
import { quietLog, textOf } from './quiet-log.js';

export interface WatchSettings {
  readonly connection: NatsConnection;
  readonly inboxPrefix: string;
  readonly bucket: string;
  readonly log: Log;
  readonly onEntry: (entry: Entry) => void;
  readonly onCaughtUp: () => void;
  /** Called at most once, and nothing after it. */
  readonly onFatal: (error: Error) => void;
}

/** With nothing to tell, the server says so this often; silence of twice to three times as long makes a new consumer. */
const HEARTBEAT_MS = 1_000;
const RETRY_MS = 250;
const API_TIMEOUT_MS = 2_000;
/** A consumer that nobody listens to is removed by the server. */
const ABANDONED_MS = 30_000;
/** Half of a marker's life. Rule: REG-5. */
const MOST_AWAY_MS = (MARKER_TTL_SECONDS * 1_000) / 2;

/** Starts at once; returns what ends it. */
export function watchBucket(settings: WatchSettings): () => void {
  const watch = new BucketWatch(settings);
  watch.start();
  return () => watch.stop();
}

/** One consumer of the watch. Those before it are told by their number that they are over. */
interface Source {
  readonly number: number;
  readonly name: string;
  messages?: ConsumerMessages;
  /** Sequence of the last delivery of this consumer. */
  delivered: number;
}

class BucketWatch {
  readonly #settings: WatchSettings;
  readonly #quiet;
  readonly #stream: string;
  #manager: JetStreamManager | undefined;
  #source: Source | undefined;
  #sources = 0;
  #stopped = false;
  /** Revision of the last entry told. */
  #revision = 0;
  #caughtUp = false;
  /** When the stream was made: another time is another stream. */
  #created: string | undefined;
  #heard: { monotonicMs: number; wallMs: number } | undefined;

  constructor(settings: WatchSettings) {
    this.#settings = settings;
    this.#quiet = quietLog(settings.log);
    this.#stream = bucketStream(settings.bucket);
  }

  start(): void {
    this.#renew(undefined, 'start');
    // Whatever was on the way to the old connection is lost, and the server believes it delivered.
    void followReconnects(this.#settings.connection, () => this.#renew(this.#source, 'the connection was away'));
  }

  stop(): void {
    this.#stopped = true;
    this.#retire(this.#source);
    this.#source = undefined;
  }

  /** Puts a new consumer in the place of `old`, unless that has happened already. */
  #renew(old: Source | undefined, reason: string, delayMs = 0): void {
    if (this.#stopped || old !== this.#source) return;
    this.#retire(old);
    if (old !== undefined)
      this.#quiet('info', reason, 'A watch starts again', { bucket: this.#settings.bucket, reason });
    const source: Source = { number: ++this.#sources, name: `watch_${nuid.next()}`, delivered: 0 };
    this.#source = source;
    const open = (): void => {
      this.#open(source).catch((error: unknown) => {
        this.#quiet('warn', textOf(error), 'A watch could not start', {
          bucket: this.#settings.bucket,
          error: textOf(error),
        });
        this.#renew(source, textOf(error), RETRY_MS);
      });
    };
    if (delayMs > 0) setTimeout(open, delayMs);
    else open();
  }

  #retire(source: Source | undefined): void {
    if (source?.messages === undefined) return;
    source.messages.stop();
    // Out of politeness: the server removes it anyway.
    this.#manager?.consumers.delete(this.#stream, source.name).catch(() => undefined);
  }

  async #open(source: Source): Promise<void> {
    const { connection, inboxPrefix, bucket } = this.#settings;
    if (source !== this.#source) return;
    const manager = (this.#manager ??= await jetstreamManager(connection, {
      checkAPI: false,
      timeout: API_TIMEOUT_MS,
    }));
    const stream = await streamInfo(manager, this.#stream);
    if (source !== this.#source) return;
    if (stream === undefined) return this.#fail(`the bucket ${bucket} is gone`);
    this.#created ??= stream.created;
    if (stream.created !== this.#created) return this.#fail(`the bucket ${bucket} was made anew`);
    if (stream.state.last_seq < this.#revision) {
      return this.#fail(`the bucket ${bucket} went back from ${this.#revision} to ${stream.state.last_seq}`);
    }

    // Listening comes before the consumer: it then need not wait for us.
    const inbox = createInbox(inboxPrefix);
    const bound = { deliver_subject: inbox, idle_heartbeat: nanos(HEARTBEAT_MS) };
    const consumer = await jetstream(connection).consumers.getBoundPushConsumer(bound);
    source.messages = await consumer.consume({ callback: (message) => this.#onMessage(source, message) });
    if (source !== this.#source) return source.messages.stop();
    void this.#followNotices(source, source.messages);
    const made = await manager.consumers.add(this.#stream, this.#consumerConfig(source, inbox));
    if (source !== this.#source) return this.#retire(source);
    this.#hear();
    if (made.num_pending === 0 && made.delivered.consumer_seq <= source.delivered) this.#tellCaughtUp();
  }

  #consumerConfig(source: Source, inbox: string): Partial<ConsumerConfig> {
    return {
      name: source.name,
      deliver_subject: inbox,
      filter_subject: keySubject(this.#settings.bucket, '>'),
      // With one value per key, all messages behind a sequence are the last ones of their keys.
      ...(this.#revision === 0
        ? { deliver_policy: DeliverPolicy.LastPerSubject }
        : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.#revision + 1 }),
      ack_policy: AckPolicy.None,
      max_deliver: 1,
      flow_control: true,
      idle_heartbeat: nanos(HEARTBEAT_MS),
      inactive_threshold: nanos(ABANDONED_MS),
      mem_storage: true,
      num_replicas: 1,
    };
  }

  #onMessage(source: Source, message: JsMsg): void {
    if (source !== this.#source) return;
    const { deliverySequence, pending } = message.info;
    if (deliverySequence !== source.delivered + 1) return this.#renew(source, 'a delivery was lost');
    source.delivered = deliverySequence;
    this.#hear();
    if (this.#stopped) return;
    if (message.seq <= this.#revision)
      return this.#fail(`the bucket ${this.#settings.bucket} went back to ${message.seq}`);
    this.#revision = message.seq;
    this.#call(() => this.#settings.onEntry(entryOf(message, this.#settings.bucket)));
    if (pending === 0) this.#tellCaughtUp();
  }

  async #followNotices(source: Source, messages: ConsumerMessages): Promise<void> {
    for await (const notice of messages.status()) {
      if (source !== this.#source) return;
      this.#onNotice(source, notice);
    }
    // Ended by the client, as by a refused subscription.
    this.#renew(source, 'the consumer ended', RETRY_MS);
  }

  #onNotice(source: Source, notice: ConsumerNotification): void {
    switch (notice.type) {
      case 'heartbeat':
        this.#hear();
        // What was sent before the heartbeat has been told before it, if it came at all.
        if (notice.lastConsumerSequence > source.delivered) return this.#renew(source, 'the last delivery was lost');
        if (!this.#caughtUp) void this.#askWhetherCaughtUp(source);
        return;
      case 'heartbeats_missed':
        return this.#renew(source, 'the consumer is silent');
      case 'consumer_deleted':
        return this.#renew(source, 'the consumer was deleted', RETRY_MS);
      default:
    }
  }

  /**
   * How a watch catches up when the end vanishes: (1) three entries are pending, we get two, the second saying "one more"; (2) the third, a
   * marker, expires before it is sent; (3) nothing else ever says that there are none. A heartbeat alone does not say it either: one
   * comes from a consumer that waits for our flow control, too.
   */
  async #askWhetherCaughtUp(source: Source): Promise<void> {
    const info = await this.#manager?.consumers.info(this.#stream, source.name).catch(() => undefined);
    if (info === undefined || source !== this.#source) return;
    if (info.num_pending === 0 && info.delivered.consumer_seq <= source.delivered) this.#tellCaughtUp();
  }

  #tellCaughtUp(): void {
    if (this.#caughtUp || this.#stopped) return;
    this.#caughtUp = true;
    this.#call(this.#settings.onCaughtUp);
  }

  /** The server is there. By the wall's clock too: the other one stands still while the machine sleeps. */
  #hear(): void {
    const now = { monotonicMs: performance.now(), wallMs: Date.now() };
    const last = this.#heard;
    this.#heard = now;
    if (last === undefined || this.#stopped) return;
    const awayMs = Math.max(now.monotonicMs - last.monotonicMs, now.wallMs - last.wallMs);
    if (awayMs > MOST_AWAY_MS)
      this.#fail(`the bucket ${this.#settings.bucket} was out of sight for ${Math.round(awayMs)} ms`);
  }

  #call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      // The actor has not seen this entry, so its copy is wrong from here on.
      this.#fail(`a callback of the watch of ${this.#settings.bucket} threw: ${textOf(error)}`, error);
    }
  }

  #fail(reason: string, cause?: unknown): void {
    if (this.#stopped) return;
    this.stop();
    this.#settings.onFatal(new Error(`A watch ended: ${reason}.`, { cause }));
  }
}

function entryOf(message: JsMsg, bucket: string): Entry {
  const key = message.subject.slice(keySubject(bucket, '').length);
  if (isMarkerHeader(message.headers)) return { key, revision: message.seq };
  return { key, value: message.data, revision: message.seq };
}

/** Writes to JetStream by raw headers, and says in four words what came of it. Rules: NAT-4, NAT-6. */
import { headers, nuid, RequestError, TimeoutError, type MsgHdrs, type NatsConnection } from 'nats';
import type { KeyedWrite, Log, Stored } from '../ports.js';
import { followReconnects } from './connection.js';
import { bucketStream, keySubject, MARKER_TTL_SECONDS } from './provision.js';
import { quietLog, textOf } from './quiet-log.js';

/** No answer after this is an unknown outcome: it may have been stored, or may be yet. */
const ANSWER_TIMEOUT_MS = 2_000;
/** What fails at once is told after this: during an election of a stream leader requests fail a hundred times a second. */
const FAILURE_PAUSE_MS = 250;

// Error codes of the server.
const WRONG_LAST_SEQUENCE = 10_071;
const WRONG_LAST_SEQUENCE_UNKNOWN = 10_164;

/** A write's outcome; for `refused` with the revision that the server names. */
export interface Written extends Stored {
  readonly current?: number | undefined;
}

/** Writes one bucket of one connection. */
export interface BucketWriter {
  /** One write that expects `revision` of `expectedKey`. Never rejects. */
  write(write: KeyedWrite, expectedKey: string, revision: number, ttlMs: number | undefined): Promise<Written>;
  /** All of `writes` or none, if the revision of `expectedKey` is `revision`; 1 to 1,000 of them. Never rejects. */
  writeBatch(writes: readonly KeyedWrite[], expectedKey: string, revision: number): Promise<Written>;
}

export function bucketWriter(connection: NatsConnection, bucket: string, log: Log): BucketWriter {
  const quiet = quietLog(log);
  const pause = (): Promise<void> => new Promise((fulfil) => setTimeout(fulfil, FAILURE_PAUSE_MS));
  /** Ends the waiting for each answer that is still out. */
  const waiting = new Set<() => void>();
  void followReconnects(connection, () => {
    for (const giveUp of waiting) giveUp();
  });

  const answerOf = async (subject: string, data: Uint8Array, header: MsgHdrs, count: number): Promise<Written> => {
    try {
      const answer = await connection.request(subject, data, { headers: header, timeout: ANSWER_TIMEOUT_MS });
      const written = readAnswer(answer.data, bucket, count);
      if (typeof written !== 'string') return written;
      quiet('error', written, 'A write failed', { bucket, error: written });
    } catch (error) {
      if (error instanceof TimeoutError) return UNKNOWN;
      const reason = error instanceof RequestError && error.isNoResponders() ? 'no JetStream there now' : textOf(error);
      quiet('warn', reason, 'A write failed', { bucket, error: reason });
    }
    await pause();
    return UNKNOWN;
  };

  /** What was sent before the connection broke will hardly be answered, so nobody waits for it once the connection is back. */
  const ask = (subject: string, data: Uint8Array, header: MsgHdrs, count: number): Promise<Written> =>
    new Promise((fulfil) => {
      const settle = (written: Written): void => {
        waiting.delete(giveUp);
        fulfil(written);
      };
      const giveUp = (): void => settle(UNKNOWN);
      waiting.add(giveUp);
      void answerOf(subject, data, header, count).then(settle);
    });

  return {
    write(write, expectedKey, revision, ttlMs) {
      const header = headersOf(write, ttlMs);
      expect(header, bucket, write.key, expectedKey, revision);
      return ask(keySubject(bucket, write.key), dataOf(write), header, 1);
    },

    async writeBatch(writes, expectedKey, revision) {
      const last = writes.length - 1;
      const id = nuid.next();
      try {
        const members = writes.map((write, index) => {
          const header = headersOf(write, undefined);
          header.set('Nats-Batch-Id', id);
          header.set('Nats-Batch-Sequence', String(index + 1));
          // Once is enough: the server checks it when it commits the batch as a whole.
          if (index === 0) expect(header, bucket, write.key, expectedKey, revision);
          if (index === last) header.set('Nats-Batch-Commit', '1');
          return { subject: keySubject(bucket, write.key), data: dataOf(write), header };
        });
        const commit = members.pop()!;
        for (const { subject, data, header } of members) connection.publish(subject, data, { headers: header });
        return await ask(commit.subject, commit.data, commit.header, writes.length);
      } catch (error) {
        // Closed, or a record above the server's limit. The members sent so far are forgotten by the server after ten seconds.
        quiet('error', textOf(error), 'A batch was not sent', { bucket, error: textOf(error) });
        await pause();
        return UNKNOWN;
      }
    },
  };
}

const UNKNOWN: Written = { outcome: 'unknown', revision: 0 };
const NOTHING = new Uint8Array(0);

/** A copy: the client keeps what it is given until it writes to the socket. */
const dataOf = ({ value }: KeyedWrite): Uint8Array => value?.slice() ?? NOTHING;

/** A deletion is a marker that takes the place of the key's value, and goes by itself. Rule: REG-5. */
function headersOf(write: KeyedWrite, ttlMs: number | undefined): MsgHdrs {
  const header = headers();
  if (write.value === undefined) {
    header.set('KV-Operation', 'PURGE');
    header.set('Nats-Rollup', 'sub');
    header.set('Nats-TTL', `${MARKER_TTL_SECONDS}s`);
    // Whole seconds, one at least, are what the server takes. Rounded up: nothing expires earlier than asked.
  } else if (ttlMs !== undefined) header.set('Nats-TTL', `${Math.max(1, Math.ceil(ttlMs / 1_000))}s`);
  return header;
}

/** Whether an entry stands for a deleted key: deleted by us or another client, or by the server when its time was over. */
export function isMarkerHeader(header: MsgHdrs | undefined): boolean {
  const operation = header?.get('KV-Operation') ?? '';
  return operation === 'PURGE' || operation === 'DEL' || header?.has('Nats-Marker-Reason') === true;
}

/**
 * Expectations are of a subject's sequence, never of the last message id: that one, refused once, costs a replicated stream its leader for
 * good on servers 2.14 and 2.15.
 */
function expect(header: MsgHdrs, bucket: string, key: string, expectedKey: string, revision: number): void {
  header.set('Nats-Expected-Last-Subject-Sequence', String(revision));
  if (expectedKey !== key) {
    header.set('Nats-Expected-Last-Subject-Sequence-Subject', keySubject(bucket, expectedKey));
  }
}

/** A phrase when the answer is none of those that we understand. */
function readAnswer(data: Uint8Array, bucket: string, count: number): Written | string {
  let answer: {
    error?: { err_code?: unknown; description?: unknown };
    stream?: unknown;
    seq?: unknown;
    count?: unknown;
  };
  try {
    answer = JSON.parse(new TextDecoder().decode(data)) as typeof answer;
  } catch {
    return 'an answer that is no JSON';
  }
  if (typeof answer !== 'object' || answer === null) return 'an answer that is no object';
  const { error } = answer;
  if (error !== undefined) {
    const description = String(error.description);
    const code = error.err_code;
    if (code !== WRONG_LAST_SEQUENCE && code !== WRONG_LAST_SEQUENCE_UNKNOWN) return `${String(code)} ${description}`;
    const named = /: (\d+)$/.exec(description);
    // Without a number nobody knows yet: a write of somebody to that subject is on its way through the replicas.
    if (named === null) return { outcome: 'busy', revision: 0 };
    return { outcome: 'refused', revision: 0, current: Number(named[1]) };
  }
  // An answer of another stream that listens on the same subject says nothing about ours.
  if (answer.stream !== bucketStream(bucket)) return `an answer of the stream ${String(answer.stream)}`;
  if (typeof answer.seq !== 'number' || answer.seq <= 0) return 'an answer without a sequence';
  if (count > 1 && answer.count !== count) return `${String(answer.count)} of ${count} members stored`;
  return { outcome: 'stored', revision: answer.seq };
}

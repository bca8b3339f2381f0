/** The Transport port on a NATS connection. Rules: LNK-1, LNK-4, NAT-3, SEC-4. */
import { PermissionViolationError, RequestError, TimeoutError, type Msg, type NatsConnection } from 'nats';
import type { Answer, Delivery, Log, Transport } from '../ports.js';
import { followReconnects } from './connection.js';
import { quietLog, textOf, type QuietLog } from './quiet-log.js';

/** A server drops the whole connection over a longer control line (4,096 bytes, `PUB` and lengths included). */
const MOST_SUBJECT_BYTES = 4_000;
/** What a server takes unless it is configured otherwise; used while the connection is away and no greeting says. */
const DEFAULT_MAX_PAYLOAD = 1024 * 1024;

/**
 * Speaks core NATS over `connection`, which stays the caller's: it is not closed here. Every callback is guarded: in this client a throw from
 * one would end the reader of the whole connection, without a word. What is thrown goes to the log.
 */
export function natsTransport(connection: NatsConnection, log: Log): Transport {
  const quiet = quietLog(log);
  const guard = (what: string, call: () => void): void => {
    try {
      call();
    } catch (error) {
      log.write('error', `A callback for ${what} threw`, {
        error: error instanceof Error ? error.stack : String(error),
      });
    }
  };
  const reconnected = new Set<() => void>();
  void followReconnects(connection, () => {
    for (const callback of reconnected) guard('a reconnect', callback);
  });

  return {
    publish(subject, data, reply) {
      const problem = unsendable(connection, subject, data, reply);
      if (problem !== undefined)
        return quiet('error', 'unsendable message', 'A message was not sent', {
          subject: subject.slice(0, 200),
          problem,
        });
      try {
        // The client keeps what it is given until it writes to the socket, and by then the caller may have used it again.
        connection.publish(subject, data.slice(), reply === undefined ? {} : { reply });
      } catch (error) {
        // Closed or draining: the message is lost, as it would be in a connection that is away.
        quiet('warn', textOf(error), 'A message was not sent', { subject, problem: textOf(error) });
      }
    },

    subscribe(pattern, onDelivery) {
      const callback = (error: Error | null, message: Msg): void => {
        // A refused subscription comes here, and is closed by the client. The process lives on: without its subject, but not without its tasks.
        if (error !== null) return log.write('error', 'A subscription was refused', { pattern, error: error.message });
        guard(pattern, () => onDelivery(deliveryOf(message)));
      };
      try {
        const subscription = connection.subscribe(pattern, { callback });
        return () => {
          if (!subscription.isClosed()) subscription.unsubscribe();
        };
      } catch (error) {
        log.write('error', 'A subscription could not be made', { pattern, error: textOf(error) });
        return () => undefined;
      }
    },

    request(subject, data, timeoutMs, onAnswer) {
      const tell = (answer: Answer): void => guard(`a request to ${subject}`, () => onAnswer(answer));
      request(connection, quiet, subject, data, timeoutMs, tell);
    },

    onReconnected(callback) {
      reconnected.add(callback);
    },
  };
}

function request(
  connection: NatsConnection,
  quiet: QuietLog,
  subject: string,
  data: Uint8Array,
  timeoutMs: number,
  tell: (answer: Answer) => void,
): void {
  const startedMs = performance.now();
  // What fails at once is told when the time is up: whoever asks again on silence must not do so in a circle without a pause.
  const tellSilence = (): void => {
    const leftMs = timeoutMs - (performance.now() - startedMs);
    if (leftMs <= 0) tell({ outcome: 'timeout' });
    else setTimeout(() => tell({ outcome: 'timeout' }), leftMs);
  };
  const problem = unsendable(connection, subject, data, undefined);
  if (problem !== undefined) {
    quiet('error', 'unsendable request', 'A request was not sent', { subject: subject.slice(0, 200), problem });
    setImmediate(tellSilence);
    return;
  }
  connection.request(subject, data.slice(), { timeout: Math.max(1, timeoutMs) }).then(
    (message) => tell({ outcome: 'answered', data: message.data }),
    (error: unknown) => {
      if (error instanceof RequestError && error.isNoResponders()) return tell({ outcome: 'noResponders' });
      if (!(error instanceof TimeoutError))
        quiet('warn', reasonOf(error), 'A request failed', { subject, error: reasonOf(error) });
      tellSilence();
    },
  );
}

/** The subject is the message's own, never the subscription's pattern. Rule: SEC-4. */
function deliveryOf(message: Msg): Delivery {
  const { subject, data, reply } = message;
  return reply === undefined || reply === '' ? { subject, data } : { subject, data, reply };
}

/** Why a message cannot be sent, checked before the client sees it: while away it would take anything, and fail the connection later. */
function unsendable(
  connection: NatsConnection,
  subject: string,
  data: Uint8Array,
  reply: string | undefined,
): string | undefined {
  const most = connection.info?.max_payload ?? DEFAULT_MAX_PAYLOAD;
  if (data.length > most) return `${data.length} bytes are more than the ${most} that the server takes`;
  const line = Buffer.byteLength(subject) + (reply === undefined ? 0 : Buffer.byteLength(reply));
  if (line > MOST_SUBJECT_BYTES) return `a subject of ${line} bytes is more than ${MOST_SUBJECT_BYTES}`;
  return undefined;
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof PermissionViolationError ? cause.message : textOf(error);
}

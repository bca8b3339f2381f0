/** Effects that speak, as bytes on subjects: numbering, ids, parts. Rules: LNK-1, LNK-5. */
import type { Publish, Reply } from '../actors/effect.js';
import { encodeMessage } from '../protocol/codec.js';
import { errorBody } from '../protocol/errors.js';
import { NO_SESSION } from '../protocol/ids.js';
import { buildSubject } from '../protocol/subjects.js';
import type { Transport } from './ports.js';

/** Sessions whose numbering is kept, the least recently used forgotten first: more than peers a master can have. */
const MAX_SESSIONS = 100_000;

export interface Speaker {
  readonly cluster: string;
  readonly principal: string;
  /** Names this process in message ids. */
  readonly instance: string;
}

export class Outbound {
  readonly #transport: Transport;
  readonly #speaker: Speaker;
  /** Messages sent in each session. */
  readonly #sent = new Map<string, number>();
  #messages = 0;

  constructor(transport: Transport, speaker: Speaker) {
    this.#transport = transport;
    this.#speaker = speaker;
  }

  publish({ to, message, body, session, epoch, id, cause }: Publish): void {
    const subject = buildSubject(this.#speaker.cluster, to, message);
    const head = { type: message, sender: this.#speaker.principal, session, epoch, id: id ?? this.#nextId() };
    const bytes = encodeMessage({ ...head, ...(cause !== undefined && { cause }), body }, () =>
      this.#next(to, session),
    );
    for (const part of bytes) this.#transport.publish(subject, part);
  }

  reply({ to, message, body, epoch, cause }: Reply): void {
    const { principal } = this.#speaker;
    const head = { sender: principal, session: NO_SESSION, epoch, id: this.#nextId(), cause };
    for (const part of partsOfAnswer({ ...head, type: message, body })) this.#transport.publish(to, part);
  }

  #nextId(): string {
    return `${this.#speaker.principal}-${this.#speaker.instance}-${++this.#messages}`;
  }

  /** By session and by whom it is for: an error under a session that its caller made up must not count in another's. */
  #next({ parameters }: Publish['to'], session: string): number {
    if (session === NO_SESSION) return 0;
    const key = 'principal' in parameters ? `${session} ${parameters.principal}` : session;
    const sequence = (this.#sent.get(key) ?? 0) + 1;
    this.#sent.delete(key);
    this.#sent.set(key, sequence);
    const oldest = this.#sent.keys().next().value;
    if (this.#sent.size > MAX_SESSIONS && oldest !== undefined) this.#sent.delete(oldest);
    return sequence;
  }
}

/** An answer that no number of parts can carry is an error of its request: the host and its actor have done nothing wrong. */
function partsOfAnswer(head: Parameters<typeof encodeMessage>[0]): Uint8Array[] {
  try {
    return encodeMessage(head, () => 0);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const body = errorBody('UNSUPPORTED', `The answer is too large: ask for less. ${error.message}`);
    return encodeMessage({ ...head, type: 'ERROR', body }, () => 0);
  }
}

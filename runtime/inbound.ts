/** The door: bytes become a checked event, or a counted drop. The only way from the wire to an actor. Rules: PRO-1, SEC-4. */
import type { Meta } from '../actors/events.js';
import { decodeMessage, DecodeError, PartsJoiner } from '../protocol/codec.js';
import type { Envelope } from '../protocol/envelope.js';
import { bodyCheck } from '../protocol/messages.js';
import {
  inboxPrefix,
  isInboxOf,
  parseSubject,
  probeSubject,
  SUBJECTS,
  type ParsedSubject,
  type SubjectName,
  type SubjectRow,
} from '../protocol/subjects.js';
import { isId } from '../protocol/schema.js';
import type { Delivery, Log, Metrics } from './ports.js';

/** Events are named by who speaks. */
const SPEAKERS: Readonly<Record<SubjectName, string>> = {
  masterScheduler: 'scheduler',
  scheduler: 'master',
  masterAgent: 'agent',
  agentMaster: 'master',
  agentExecutor: 'executor',
  executor: 'agent',
  masterOperator: 'operator',
  agentOperator: 'operator',
  masterMaster: 'peer',
  leader: 'leader',
};

export interface MessageEvent {
  readonly type: string;
  readonly meta: Meta;
  readonly body: unknown;
}

export interface InboundOptions {
  readonly cluster: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly onEvent: (event: MessageEvent) => void;
}

export class Inbound {
  readonly #options: InboundOptions;
  readonly #joiner = new PartsJoiner();
  /** Kinds of drops that were logged: each once. */
  readonly #logged = new Set<string>();

  constructor(options: InboundOptions) {
    this.#options = options;
  }

  /** Takes one delivery. Never throws. */
  receive(delivery: Delivery): void {
    try {
      const event = this.#read(delivery);
      if (event !== undefined) this.#options.onEvent(event);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#drop(error.kind, delivery.subject, error.message);
    }
  }

  #read(delivery: Delivery): MessageEvent | undefined {
    const { cluster } = this.#options;
    const { subject } = delivery;
    if (subject === probeSubject(cluster)) return this.#probe(delivery);
    const parsed = parseSubject(cluster, subject);
    if (parsed === undefined) return this.#drop('subject', subject, 'no subject of ours');
    const part = decodeMessage(delivery.data);
    if (part.type !== parsed.type) return this.#drop('type', subject, `the envelope says ${part.type}`);
    // Before it is kept: who lies about its name could push out the unfinished messages of others.
    const principal = this.#principal(parsed, part);
    if (principal === undefined) return this.#drop('sender', subject, `the envelope says ${part.sender}`);
    const envelope = this.#joiner.join(subject, part);
    if (envelope === undefined) return undefined;
    const speaker = SPEAKERS[parsed.row];
    const check = bodyCheck(parsed.row, parsed.type);
    if (check === undefined) return this.#drop('unknown', subject, 'no such message');
    const wrong = check(envelope.body);
    const meta = this.#meta(parsed, envelope, principal, delivery);
    if (wrong === undefined) return { type: `${speaker}.${parsed.type}`, meta, body: envelope.body };
    this.#drop('schema', subject, wrong);
    // A caller is told what is wrong; anybody else's message is only dropped.
    if (speaker !== 'scheduler' && speaker !== 'operator') return undefined;
    const body = { call: parsed.type, wrong, frameworkId: frameworkIdOf(envelope.body) };
    return { type: `${speaker}.INVALID`, meta, body };
  }

  #probe({ subject, data, reply }: Delivery): MessageEvent {
    const envelope = decodeMessage(data);
    const { session, sequence, epoch, id, sender } = envelope;
    // The subject names nobody, and a master may publish almost everywhere: its own registry, for one.
    const isOwn = reply !== undefined && isInboxOf(this.#options.cluster, sender, reply);
    if (reply !== undefined && !isOwn) this.#options.metrics.count('dropped_reply', 1);
    const own = isOwn ? reply : undefined;
    const meta: Meta = { principal: sender, parameters: {}, session, sequence, epoch, id, reply: own };
    const wrong = envelope.type === 'PROBE' ? undefined : envelope.type;
    if (wrong !== undefined) throw new DecodeError('envelope', `${wrong} on ${subject}`);
    return { type: 'probe.PROBE', meta, body: envelope.body };
  }

  /** Who speaks: where the subject names the sender, the envelope must agree, as the subject is what the server checked. */
  #principal({ row, parameters }: ParsedSubject, { sender }: Envelope): string | undefined {
    const { senderParameter }: SubjectRow = SUBJECTS[row];
    return senderParameter === undefined || parameters[senderParameter] === sender ? sender : undefined;
  }

  #meta({ row, parameters }: ParsedSubject, envelope: Envelope, principal: string, { reply }: Delivery): Meta {
    const { session, sequence, epoch, id, cause, part } = envelope;
    // The server does not check a reply subject: an answer goes only to inboxes of the principal that asks.
    const own = inboxPrefix(this.#options.cluster, SUBJECTS[row].sender, principal);
    const isOwn = reply?.startsWith(`${own}.`) === true;
    if (reply !== undefined && !isOwn) this.#options.metrics.count('dropped_reply', 1);
    return {
      principal,
      parameters,
      session,
      sequence,
      parts: part?.of,
      epoch,
      id,
      cause,
      reply: isOwn ? reply : undefined,
    };
  }

  #drop(kind: string, subject: string, why: string): undefined {
    this.#options.metrics.count(`dropped_${kind.replaceAll(' ', '_')}`, 1);
    if (this.#logged.has(kind)) return;
    this.#logged.add(kind);
    this.#options.log.write('warn', 'message dropped; more of this kind are only counted', { kind, subject, why });
  }
}

/** The framework that an invalid call says it is of, if it says so at all. */
function frameworkIdOf(body: unknown): string | undefined {
  const named = (body as { frameworkId?: unknown } | null)?.frameworkId;
  return typeof named === 'string' && isId(named) ? named : undefined;
}

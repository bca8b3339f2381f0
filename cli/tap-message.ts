/** Bytes off the bus as messages that can be shown; never an error. Pure. Rule: TAP-1. */
import { decodeMessage, PartsJoiner } from '../protocol/codec.js';
import type { Envelope } from '../protocol/envelope.js';
import { hex } from '../protocol/ids.js';
import { parseSubject, SUBJECTS, type ParsedSubject, type SubjectRow } from '../protocol/subjects.js';
import type { TapJson } from './json-schemas.js';
import { plain } from './tree.js';

/** A message with its ends. Ends read `agent a1`. */
export interface Tapped {
  readonly atMs: number;
  readonly subject: string;
  /** All of its parts together. */
  readonly bytes: number;
  readonly parts: number;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly type: string | undefined;
  readonly envelope: Envelope | undefined;
  /** Why it could not be read. */
  readonly problem: string | undefined;
  /** As it came, for what could not be read. */
  readonly raw: Uint8Array;
}

interface Ends {
  readonly from: string | undefined;
  readonly to: string | undefined;
}

const MOST_ROLES = 100_000;

/** Messages that come in parts are shown once, when they are whole. */
export class TapReader {
  readonly #cluster: string;
  readonly #joiner = new PartsJoiner();
  /** Bytes and parts seen so far, by message. */
  readonly #sizes = new Map<string, { bytes: number; parts: number }>();
  /** Roles of those who spoke on subjects that say them: an answer's subject does not. */
  readonly #roles = new Map<string, string>();

  constructor(cluster: string) {
    this.#cluster = cluster;
  }

  /** `undefined` while parts are missing. */
  read(subject: string, raw: Uint8Array, atMs: number): Tapped | undefined {
    const parsed = parseSubject(this.#cluster, subject);
    const base = { atMs, subject, raw };
    try {
      const envelope = decodeMessage(raw);
      const size = this.#sizeOf(subject, envelope, raw.length);
      const whole = this.#joiner.join(subject, envelope);
      if (whole === undefined) return undefined;
      this.#sizes.delete(keyOf(subject, envelope));
      const ends = this.#endsOf(subject, parsed, whole);
      return { ...base, ...size, ...ends, type: whole.type, envelope: whole, problem: undefined };
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      const ends = parsed === undefined ? { from: undefined, to: undefined } : this.#endsOf(subject, parsed, undefined);
      return { ...base, ...ends, bytes: raw.length, parts: 1, type: parsed?.type, envelope: undefined, problem };
    }
  }

  /** Who speaks to whom: from the subject where it says so, else from the envelope. */
  #endsOf(subject: string, parsed: ParsedSubject | undefined, envelope: Envelope | undefined): Ends {
    if (parsed === undefined) return this.#answerEnds(subject, envelope?.sender);
    const { row, parameters } = parsed;
    const { sender, receiver, senderParameter, receiverParameter }: SubjectRow = SUBJECTS[row];
    const from = senderParameter === undefined ? envelope?.sender : parameters[senderParameter];
    const to = receiverParameter === undefined ? undefined : parameters[receiverParameter];
    if (from !== undefined && this.#roles.size < MOST_ROLES) this.#roles.set(from, sender);
    return { from: endOf(sender, from), to: endOf(receiver, to) };
  }

  /** An answer goes to an inbox, whose subject says who asked: `tepui.inbox.<role>.<principal>.…`. */
  #answerEnds(subject: string, sender: string | undefined): Ends {
    const role = sender === undefined ? undefined : this.#roles.get(sender);
    const from = role === undefined ? sender : endOf(role, sender);
    const [first, inbox, asker, principal] = subject.split('.');
    const isInbox = first === this.#cluster && inbox === 'inbox' && asker !== undefined;
    return { from, to: isInbox ? endOf(asker, principal) : undefined };
  }

  #sizeOf(subject: string, envelope: Envelope, bytes: number): { bytes: number; parts: number } {
    if (envelope.part === undefined) return { bytes, parts: 1 };
    const key = keyOf(subject, envelope);
    const before = this.#sizes.get(key) ?? { bytes: 0, parts: 0 };
    const size = { bytes: before.bytes + bytes, parts: before.parts + 1 };
    // Whose last part never comes: few are kept, as the joiner keeps few.
    if (this.#sizes.size > 1_000) this.#sizes.clear();
    this.#sizes.set(key, size);
    return size;
  }
}

const keyOf = (subject: string, { sender, id }: Envelope): string => `${subject} ${sender} ${id}`;

const endOf = (role: string, name: string | undefined): string => (name === undefined ? role : `${role} ${name}`);

/** The JSON line of a message. */
export function tapJson({ atMs, subject, type, from, to, envelope, bytes, parts, problem, raw }: Tapped): TapJson {
  return {
    time: new Date(atMs).toISOString(),
    subject,
    type: type ?? null,
    from: from ?? null,
    to: to ?? null,
    id: envelope?.id ?? null,
    cause: envelope?.cause ?? null,
    session: envelope?.session ?? null,
    sequence: envelope?.sequence ?? null,
    epoch: envelope?.epoch ?? null,
    bytes,
    parts,
    body: envelope === undefined ? hex(raw.subarray(0, 256)) : plain(envelope.body),
    problem: problem ?? null,
  };
}

/** Bytes ⇄ envelope: plain msgpack maps that any language reads, with limits. The only file that knows msgpack. */
import { Packr, Unpackr } from 'msgpackr';
import { checkEnvelope, WIRE_VERSION, type Envelope } from './envelope.js';
import { MAX_DEPTH, MAX_MESSAGE_BYTES, MAX_PARTS, MAX_RECORD_BYTES, MAX_VALUES } from './limits.js';

/** Options that the library has and its types lack. */
interface Options extends NonNullable<ConstructorParameters<typeof Packr>[0]> {
  skipValues?: unknown[];
}
const writing: Options = { useRecords: false, variableMapSize: true, skipValues: [undefined] };
const reading: Options = { useRecords: false, int64AsType: 'number', copyBuffers: true };
const packr = new Packr(writing);
const unpackr = new Unpackr(reading);
// The library reads records of its own even so; where they would be kept, nothing can be kept: they are refused.
Object.assign(unpackr, { structures: Object.freeze([]) });

/** Why bytes are not a message. The `kind` is what drops are counted by. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  constructor(
    readonly kind: 'oversized' | 'undecodable' | 'not plain' | 'envelope' | 'part',
    message: string,
  ) {
    super(message);
  }
}

/**
 * Readies a value for msgpack: whole numbers beyond 32 bits become BigInt, so that they travel as integers and not as
 * float64, which a reader in another language would take for a fraction. Copies only what changes.
 */
function integersWide(value: unknown): unknown {
  if (typeof value === 'number') {
    const narrow = value >>> 0 === value || value >> 0 === value;
    // Beyond 64 bits msgpack has no integers.
    return narrow || !Number.isInteger(value) || value < -(2 ** 63) || value >= 2 ** 64 ? value : BigInt(value);
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined;
    for (let i = 0; i < value.length; i++) {
      const wide = integersWide(value[i]);
      if (wide !== value[i]) (copy ??= value.slice() as unknown[])[i] = wide;
    }
    return copy ?? value;
  }
  let copy: Record<string, unknown> | undefined;
  for (const [key, member] of Object.entries(value)) {
    const wide = integersWide(member);
    if (wide !== member) (copy ??= { ...value } as Record<string, unknown>)[key] = wide;
  }
  return copy ?? value;
}

/** Throws unless `value` is built of plain maps, arrays, texts, bytes, booleans, null and finite numbers. Rule: PRO-2. */
function requirePlain(value: unknown): void {
  let values = 0;
  const visit = (member: unknown, depth: number): void => {
    if (++values > MAX_VALUES) throw new DecodeError('not plain', `more than ${MAX_VALUES} values`);
    switch (typeof member) {
      case 'string':
      case 'boolean':
        return;
      case 'number':
        if (Number.isFinite(member)) return;
        throw new DecodeError('not plain', 'a number that is not finite');
      case 'object':
        break;
      default:
        throw new DecodeError('not plain', `a value of type ${typeof member}`);
    }
    if (member === null || member instanceof Uint8Array) return;
    if (depth >= MAX_DEPTH) throw new DecodeError('not plain', `nested deeper than ${MAX_DEPTH}`);
    if (Array.isArray(member)) {
      for (const item of member) visit(item, depth + 1);
      return;
    }
    if (Object.getPrototypeOf(member) !== Object.prototype) throw new DecodeError('not plain', 'an extension type');
    for (const item of Object.values(member)) visit(item, depth + 1);
  };
  visit(value, 0);
}

function unpack(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = unpackr.unpack(bytes);
  } catch (error) {
    throw new DecodeError('undecodable', error instanceof Error ? error.message : String(error));
  }
  requirePlain(value);
  return value;
}

/** Packs a value that is stored, not sent (a registry record). */
export const encodeValue = (value: unknown): Uint8Array => Uint8Array.from(packr.pack(integersWide(value)));

/** A sentence when `value` is too large to be stored as one record. Rule: REG-6. */
export function sizeError(value: unknown): string | undefined {
  const { length } = encodeValue(value);
  return length <= MAX_RECORD_BYTES ? undefined : `${length} bytes are over the limit of ${MAX_RECORD_BYTES}`;
}

/** Unpacks what {@link encodeValue} made. @throws DecodeError */
export const decodeValue = (bytes: Uint8Array): unknown => unpack(bytes);

/**
 * Encodes one message, in numbered parts when it is larger than {@link MAX_MESSAGE_BYTES}. `sequenceOf` is called once
 * for each part, as each takes a place of its own in the session. Rule: LNK-5.
 * @throws RangeError when the body would take more than {@link MAX_PARTS} parts.
 */
export function encodeMessage(
  head: Omit<Envelope, 'version' | 'part' | 'sequence'>,
  sequenceOf: () => number,
): Uint8Array[] {
  const { body, ...rest } = head;
  const sequence = sequenceOf();
  const whole = encodeValue({ version: WIRE_VERSION, ...rest, sequence, body });
  if (whole.length <= MAX_MESSAGE_BYTES) return [whole];
  const packed = encodeValue(body);
  const room = MAX_MESSAGE_BYTES - 4096;
  const of = Math.ceil(packed.length / room);
  if (of > MAX_PARTS) throw new RangeError(`a ${head.type} of ${packed.length} bytes is over ${MAX_PARTS} parts`);
  return Array.from({ length: of }, (_, i) =>
    encodeValue({
      version: WIRE_VERSION,
      ...rest,
      sequence: i === 0 ? sequence : sequenceOf(),
      part: { number: i + 1, of },
      body: packed.subarray(i * room, (i + 1) * room),
    }),
  );
}

/** Decodes one message or part. The body is plain, but not yet checked against its schema. @throws DecodeError */
export function decodeMessage(bytes: Uint8Array): Envelope {
  if (bytes.length > MAX_MESSAGE_BYTES) throw new DecodeError('oversized', `${bytes.length} bytes`);
  const value = unpack(bytes);
  const wrong = checkEnvelope(value);
  if (wrong !== undefined) throw new DecodeError('envelope', wrong);
  return value as Envelope;
}

/** How many unfinished messages are kept, for all senders together and for one: a sender cannot grow our memory. */
const MAX_UNFINISHED = 64;
const MAX_UNFINISHED_PER_SENDER = 8;
/** How many bytes they may hold in all. */
const MAX_UNFINISHED_BYTES = 64 * 1024 * 1024;

/** Joins the parts of messages. Parts of one message arrive in order, as they are one publisher's. Rule: LNK-5. */
export class PartsJoiner {
  readonly #unfinished = new Map<string, { sender: string; of: number; chunks: Uint8Array[] }>();
  #bytes = 0;

  /**
   * Takes a decoded message; gives it back whole, or `undefined` while parts are missing. A joined message has the
   * sequence of its last part, and says as that part how many places in the session it took. @throws DecodeError
   */
  join(source: string, envelope: Envelope): Envelope | undefined {
    const { part, body } = envelope;
    if (part === undefined) return envelope;
    if (!(body instanceof Uint8Array) || part.number > part.of || part.of > MAX_PARTS)
      throw new DecodeError('part', `part ${part.number} of ${part.of}`);
    const key = `${source} ${envelope.sender} ${envelope.id}`;
    const unfinished = this.#unfinished.get(key);
    if (part.number === 1) {
      this.#forget(key);
      this.#makeRoom(envelope.sender, body.length);
      this.#unfinished.set(key, { sender: envelope.sender, of: part.of, chunks: [body] });
      this.#bytes += body.length;
      return part.of === 1 ? this.#finish(key, envelope) : undefined;
    }
    if (unfinished === undefined || unfinished.of !== part.of || unfinished.chunks.length !== part.number - 1) {
      this.#forget(key);
      throw new DecodeError('part', `part ${part.number} of ${part.of} without the parts before it`);
    }
    unfinished.chunks.push(body);
    this.#bytes += body.length;
    return part.number === part.of ? this.#finish(key, envelope) : undefined;
  }

  #finish(key: string, envelope: Envelope): Envelope {
    const chunks = this.#unfinished.get(key)?.chunks ?? [];
    this.#forget(key);
    const joined = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    return { ...envelope, body: unpack(joined) };
  }

  #forget(key: string): void {
    for (const { length } of this.#unfinished.get(key)?.chunks ?? []) this.#bytes -= length;
    this.#unfinished.delete(key);
  }

  /** The oldest go first: those of the same sender when it has many, anybody's when there are too many or too much. */
  #makeRoom(sender: string, bytes: number): void {
    const own = [...this.#unfinished].filter(([, message]) => message.sender === sender);
    const [oldestOwn] = own;
    if (own.length >= MAX_UNFINISHED_PER_SENDER && oldestOwn !== undefined) this.#forget(oldestOwn[0]);
    while (this.#unfinished.size >= MAX_UNFINISHED || this.#bytes + bytes > MAX_UNFINISHED_BYTES) {
      const oldest = this.#unfinished.keys().next().value;
      if (oldest === undefined) return;
      this.#forget(oldest);
    }
  }
}

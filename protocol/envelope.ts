/** The envelope that every message travels in. */
import { NO_SESSION } from './ids.js';
import { Type, type Static, Natural, Text, check, isId } from './schema.js';

/** Version of the wire; a reader refuses another. */
export const WIRE_VERSION = 1;

/** Which piece of a message this is, counted from 1: the bodies of all parts, joined, decode to the body. Rule: LNK-5. */
export const Part = Type.Object({ number: Type.Integer({ minimum: 1 }), of: Type.Integer({ minimum: 1 }) });
export type Part = Static<typeof Part>;

const Label = Type.Refine(
  Type.String({ minLength: 1, maxLength: 255 }),
  (value) => isId(value),
  () => 'must be an id',
);

export const Envelope = Type.Object({
  /** {@link WIRE_VERSION}. */
  version: Type.Literal(WIRE_VERSION),
  /** The message's name, such as `ACCEPT`; the subject's last token says the same. */
  type: Type.String({ minLength: 1, maxLength: 64 }),
  /** Who speaks: a principal. Where the subject names the sender, both agree. */
  sender: Label,
  /** Session of the link; {@link NO_SESSION} where none is minted yet. Rule: LNK-1. */
  session: Label,
  /** Place in the session, from 1, in this direction; 0 outside sessions. Rule: LNK-1. */
  sequence: Natural,
  /** Epoch of the leadership that the sender acts under or last saw. Rule: EPO-1. */
  epoch: Natural,
  /** Unique name of this message. */
  id: Label,
  /** `id` of the message that led to this one. */
  cause: Type.Optional(Label),
  part: Type.Optional(Part),
  /** The message itself; bytes in a part. */
  body: Type.Unknown(),
});
export type Envelope = Static<typeof Envelope>;

/** Checks an envelope's own fields; the body has its own check. */
export const checkEnvelope = check(Envelope);

export { NO_SESSION, Text };

/** The schema kit: one declaration gives the TypeScript type, the compiled check and the documentation. */
import Type, { type Static, type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

export { Type, type Static, type TSchema };

/** Longest id or name that is accepted anywhere, in bytes of UTF-8 (NATS drops a connection over a longer subject). */
export const MAX_ID_BYTES = 255;

/** Opaque bytes: msgpack `bin` on the wire, `Uint8Array` in memory. */
export const Bytes = Type.Refine(
  Type.Unsafe<Uint8Array>({ title: 'bytes' }),
  (value) => value instanceof Uint8Array,
  () => 'must be bytes',
);

/** A free text of bounded length. */
export const Text = (maxLength = 4096) => Type.String({ maxLength });

const encoder = new TextEncoder();

/** Whether `value` is legal as a task, executor, framework, agent or offer id (`mesos-v1-http` 6.1). Rule: PRO-ID. */
export function isId(value: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are exactly what an id may not have
  if (value.length === 0 || value === '.' || value === '..' || /[\u0000-\u001f\u007f/\\]/.test(value)) return false;
  return value.length * 3 <= MAX_ID_BYTES || encoder.encode(value).length <= MAX_ID_BYTES;
}

/** An id that a person or a program chose: any text within the rules of Mesos. Rule: PRO-ID. */
export const Id = Type.Refine(
  Type.String({ title: 'id', minLength: 1, maxLength: MAX_ID_BYTES }),
  (value) => isId(value),
  () => 'must be an id: 1 to 255 bytes, no control characters, no / or \\, not . or ..',
);

/** A finite number that is not negative. */
export const NonNegative = Type.Number({ minimum: 0 });

/** A whole number that is not negative and exact in a double. */
export const Natural = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** Nanoseconds since 1970. Mesos v1 `TimeInfo`; exact to 256 ns, as it is held in a double. */
export const TimeInfo = Type.Object({ nanoseconds: Type.Number() });
export type TimeInfo = Static<typeof TimeInfo>;

/** A span in nanoseconds. Mesos v1 `DurationInfo`. */
export const DurationInfo = Type.Object({ nanoseconds: Type.Number() });
export type DurationInfo = Static<typeof DurationInfo>;

/** Messages that occur inside of several others, by name; a compiled check has one function for each. */
export const definitions: Record<string, TSchema> = {};

/** A compiled check: `undefined` when `value` fits, else a sentence that names the place. */
export type Check = (value: unknown) => string | undefined;

/** Compiles `schema` on first use, so that a short-lived command pays only for what it checks. */
export function check(schema: TSchema): Check {
  let compiled: ReturnType<typeof Compile> | undefined;
  return (value) => {
    compiled ??= Compile(definitions, schema);
    if (compiled.Check(value)) return undefined;
    const search = new Excerpt();
    const [first] = compiled.Errors(search.of(value, ''));
    const sentence = first === undefined ? search.sentence : `${first.instancePath || 'the body'} ${first.message}`;
    return sentence.slice(0, MAX_SENTENCE);
  };
}

/** Longest sentence that says what is wrong: it quotes names that the sender chose. */
const MAX_SENTENCE = 500;
/** Most values that are searched for what is wrong: the search is slow, and looks at all that it is given. Rule: PRO-1. */
const MAX_SEARCHED = 10_000;

/** The beginning of a value, with longer lists and maps cut off. */
class Excerpt {
  #left = MAX_SEARCHED;
  #longest = { path: '', length: 0 };

  /** What can be said when nothing is wrong with what was searched. */
  get sentence(): string {
    const { path, length } = this.#longest;
    const where = length === 0 ? '' : `; its longest list, ${path || 'the body'}, has ${length} items`;
    return `does not fit its schema${where}`;
  }

  of(value: unknown, path: string): unknown {
    this.#left -= 1;
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
    if (Array.isArray(value)) {
      if (value.length > this.#longest.length) this.#longest = { path, length: value.length };
      const cut: unknown[] = [];
      for (let i = 0; i < value.length && this.#left > 0; i++) cut.push(this.of(value[i], `${path}/${i}`));
      return cut;
    }
    // No message has so many members, so that a map loses some, and nothing else.
    const members = Object.entries(value).slice(0, MAX_SEARCHED);
    return Object.fromEntries(members.map(([name, member]) => [name, this.of(member, `${path}/${name}`)]));
  }
}

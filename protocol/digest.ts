/** Digests: what two sides hold, compared in a few bytes; where it differs, only the differing parts are exchanged. Rule: LNK-6. */
import type { TaskState } from './task.js';
import { TASK_STATES } from './task-state.js';

/**
 * Two words of 32 bits that depend on the whole text. Not for secrets: whoever builds texts on purpose can make two meet,
 * and fools nobody but himself, as an agent's digest is of its own launches.
 */
function hash(text: string): readonly [number, number] {
  let low = 0x811c9dc5;
  let high = 0x2545f491;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    // The shift lets upper bits act on lower ones: without it the lowest bits of both words would always agree.
    high = Math.imul(high ^ unit, 0x5bd1e995);
    high ^= high >>> 15;
  }
  return [finish(low ^ Math.imul(high, 0x9e3779b1)), finish(high + text.length)];
}

/** Spreads every bit over the word. */
function finish(word: number): number {
  let spread = word ^ (word >>> 16);
  spread = Math.imul(spread, 0x7feb352d);
  spread ^= spread >>> 15;
  spread = Math.imul(spread, 0x846ca68b);
  return (spread ^ (spread >>> 16)) >>> 0;
}

/** Bytes of one digest. */
export const DIGEST_BYTES = 8;
/** Most parts that a list is compared in. */
export const MAX_BUCKETS = 256;

/**
 * The digest of a set of texts: the sums of their hashes, so that sets add up in any order. Two sets that differ agree by
 * chance once in 2^64 comparisons: 20,000 agents at a thousand changes of leader are 2^24, so that a pool would see it
 * once in a trillion. Then a launch that never reached its agent would stay unasked for until the next registration, where
 * nothing else has changed; no launch starts or ends of it.
 */
export class SetDigest {
  #low = 0;
  #high = 0;

  add(text: string): this {
    const [low, high] = hash(text);
    this.#low = (this.#low + low) >>> 0;
    this.#high = (this.#high + high) >>> 0;
    return this;
  }

  get bytes(): Uint8Array {
    const bytes = new Uint8Array(DIGEST_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, this.#high);
    view.setUint32(4, this.#low);
    return bytes;
  }
}

export const digestOf = (texts: Iterable<string>): Uint8Array => {
  const digest = new SetDigest();
  for (const text of texts) digest.add(text);
  return digest.bytes;
};

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/** The digest of a plain value, whatever the order of its members. */
export const valueDigest = (value: unknown): Uint8Array => digestOf([canonical(value)]);

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join()}}`;
}

/** How many parts a list of so many is compared in: about 64 in each, a power of two. */
export function bucketsFor(count: number): number {
  let buckets = 16;
  while (buckets < MAX_BUCKETS && buckets * 64 < count) buckets *= 2;
  return buckets;
}

/** The part that a text belongs to. */
export const bucketOf = (text: string, buckets: number): number => hash(text)[0] % buckets;

/** The digest of each part, one after the other. */
export function bucketDigests(texts: Iterable<string>, buckets: number): Uint8Array {
  const parts = Array.from({ length: buckets }, () => new SetDigest());
  for (const text of texts) parts[bucketOf(text, buckets)]?.add(text);
  const bytes = new Uint8Array(buckets * DIGEST_BYTES);
  parts.forEach((part, i) => bytes.set(part.bytes, i * DIGEST_BYTES));
  return bytes;
}

/** The parts in which two lists of digests differ. Both are of as many parts. */
export function differingBuckets(mine: Uint8Array, theirs: Uint8Array): number[] {
  const differing: number[] = [];
  for (let at = 0; at < mine.length; at += DIGEST_BYTES)
    if (!sameBytes(mine.subarray(at, at + DIGEST_BYTES), theirs.subarray(at, at + DIGEST_BYTES)))
      differing.push(at / DIGEST_BYTES);
  return differing;
}

const WAITS = 0x80;

/** Latest state of a launch and whether an update of it waits for its acknowledgement, in a byte. */
export const stateByte = (state: TaskState, updateWaits: boolean): number =>
  TASK_STATES.indexOf(state) | (updateWaits ? WAITS : 0);

/** The inverse of {@link stateByte}; `undefined` for a byte that it never makes. */
export function readStateByte(byte: number): { readonly state: TaskState; readonly updateWaits: boolean } | undefined {
  const state = TASK_STATES[byte & ~WAITS];
  return state === undefined ? undefined : { state, updateWaits: (byte & WAITS) !== 0 };
}

/** The order in which both sides list ids: by their code units, in every language. */
export const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

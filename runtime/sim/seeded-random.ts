/** Chance from one number: the same seed gives the same draws. Rule: SIM-3. */
import { createHash } from 'node:crypto';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { Random } from '../ports.js';

/** A stream of draws. Forks depend on the seed and their name alone, not on what was drawn or forked before. */
export class SeededRandom implements Random {
  readonly #name: string;
  readonly #generator: ReturnType<typeof xoroshiro128plusFromState>;

  /** @param seed a number or a text; both `7` and `'7'` name the same stream */
  constructor(seed: number | string) {
    this.#name = String(seed);
    const digest = createHash('sha256').update(this.#name).digest();
    this.#generator = xoroshiro128plusFromState([0, 4, 8, 12].map((at) => digest.readInt32LE(at)));
  }

  /** From 0 to below 1. */
  next(): number {
    return uniformFloat64(this.#generator);
  }

  /** An independent stream, so that a new node does not reshuffle what the others draw. */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.#name}/${name}`);
  }

  /** From `least` to below `most`. */
  between(least: number, most: number): number {
    return least + (most - least) * this.next();
  }

  /** A whole number from `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** Whether something of this probability happens. Always draws once. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of the list. @throws RangeError for an empty one */
  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError('nothing to pick from');
    return list[this.integer(0, list.length - 1)] as T;
  }
}

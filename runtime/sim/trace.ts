/** What happened, as one hash: two runs of a seed are the same if their hashes are. Rule: SIM-4. */
import { createHash } from 'node:crypto';

/** Lines gathered before they are hashed: a hash per line would cost more than the line. */
const LINES_PER_HASH = 512;

/** A log of (now, node, what) of which the hash is kept, and the last lines for a reader. */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #retain: number;
  #unhashed: string[] = [];
  /** A ring of the last lines; the oldest is at `#count % #retain` once it is full. */
  readonly #last: string[] = [];
  #count = 0;

  /** @param retain how many of the last lines to keep for {@link lines} */
  constructor(retain = 0) {
    this.#retain = retain;
  }

  /** Adds a line. `what` holds no wall time and no id that a library counts across runs. */
  add(nowMs: number, node: string, what: string): void {
    const line = `${nowMs} ${node} ${what}`;
    if (this.#retain > 0) this.#last[this.#count % this.#retain] = line;
    this.#count++;
    if (this.#unhashed.push(line) === LINES_PER_HASH) this.#flush();
  }

  /** Lines added so far. */
  get count(): number {
    return this.#count;
  }

  /** Hash of all lines so far, in hexadecimal; more may be added after. */
  hash(): string {
    this.#flush();
    return this.#hash.copy().digest('hex');
  }

  /** The last lines, oldest first. */
  lines(): readonly string[] {
    if (this.#count <= this.#retain) return [...this.#last];
    const oldest = this.#count % this.#retain;
    return [...this.#last.slice(oldest), ...this.#last.slice(0, oldest)];
  }

  #flush(): void {
    if (this.#unhashed.length === 0) return;
    this.#hash.update(`${this.#unhashed.join('\n')}\n`);
    this.#unhashed = [];
  }
}

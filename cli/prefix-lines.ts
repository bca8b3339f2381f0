/** Whole lines under a prefix, so that the output of many tasks can be told apart. Rule: RUN-4. */
const NEWLINE = 10;

/** Longest line that is held back for its end. */
const MOST_HELD = 64 * 1024;

export class PrefixedLines {
  readonly #prefix: Buffer;
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(prefix: string) {
    this.#prefix = Buffer.from(prefix);
  }

  /** What can be written now. Bytes that are no whole line yet are kept. */
  add(data: Uint8Array): Buffer {
    const out: Buffer[] = [];
    let rest = Buffer.from(data.buffer, data.byteOffset, data.length);
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      out.push(this.#prefix, ...this.#held, rest.subarray(0, end + 1));
      this.#clear();
      rest = rest.subarray(end + 1);
    }
    if (rest.length > 0) {
      this.#held.push(Buffer.from(rest));
      this.#heldBytes += rest.length;
    }
    if (this.#heldBytes > MOST_HELD) out.push(this.end());
    return Buffer.concat(out);
  }

  /** What was kept, as a line of its own. */
  end(): Buffer {
    if (this.#heldBytes === 0) return Buffer.alloc(0);
    const line = Buffer.concat([this.#prefix, ...this.#held, Buffer.from('\n')]);
    this.#clear();
    return line;
  }

  #clear(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }
}

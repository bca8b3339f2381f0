/**
 * Counts words as `tr -s '[:space:]' '\n' | LC_ALL=C sort | LC_ALL=C uniq -c` does: by bytes, whatever they mean. A word is a string with one
 * character for each byte, so that the order of strings is the order of bytes.
 */

/** How often each word is there. */
export type Counts = ReadonlyMap<string, number>;

/** Takes bytes in pieces cut anywhere. */
export interface Sink {
  add(chunk: Uint8Array): void;
}

/** White space of the C locale: tab, line feed, vertical tab, form feed, carriage return, space. */
const WHITE_SPACE = /[\t-\r ]+/;

/** Calls `onPart` with each longest run of bytes without the separator. To be ended by {@link PartSplitter.end}. */
class PartSplitter implements Sink {
  readonly #separator: RegExp;
  readonly #onPart: (part: string) => void;
  /** What began and has not ended yet. */
  #open = '';

  constructor(separator: RegExp, onPart: (part: string) => void) {
    this.#separator = separator;
    this.#onPart = onPart;
  }

  add(chunk: Uint8Array): void {
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
    const parts = text.split(this.#separator);
    const last = parts.pop() ?? '';
    if (parts.length === 0) {
      this.#open += last;
      return;
    }
    parts[0] = this.#open + (parts[0] ?? '');
    this.#open = last;
    for (const part of parts) if (part !== '') this.#onPart(part);
  }

  end(): void {
    if (this.#open !== '') this.#onPart(this.#open);
    this.#open = '';
  }
}

class Tally {
  readonly counts = new Map<string, number>();

  add(word: string, times: number): void {
    const before = this.counts.get(word);
    // Cut out of a chunk, a word keeps all of the chunk alive: one that stays is copied.
    if (before === undefined) this.counts.set(Buffer.from(word, 'latin1').toString('latin1'), times);
    else this.counts.set(word, before + times);
  }
}

/** Counts the words of a text. */
export class WordCounter implements Sink {
  readonly #tally = new Tally();
  readonly #words = new PartSplitter(WHITE_SPACE, (word) => this.#tally.add(word, 1));

  add(chunk: Uint8Array): void {
    this.#words.add(chunk);
  }

  /** After the last chunk. */
  end(): Counts {
    this.#words.end();
    return this.#tally.counts;
  }
}

/** Adds up counts that {@link formatCounts} has written, one text after the other. */
export class CountMerger implements Sink {
  readonly #tally = new Tally();
  readonly #lines = new PartSplitter(/\n/, (line) => this.#addLine(line));

  add(chunk: Uint8Array): void {
    this.#lines.add(chunk);
  }

  end(): Counts {
    this.#lines.end();
    return this.#tally.counts;
  }

  #addLine(line: string): void {
    const [, times, word] = /^ *([1-9]\d*) ([^\t-\r ]+)$/.exec(line) ?? [];
    if (times === undefined || word === undefined) throw new Error(`${JSON.stringify(line)} is no count of a word.`);
    this.#tally.add(word, Number(times));
  }
}

const LINES_AT_A_TIME = 4_096;

/** The lines of `uniq -c`, in the order of `sort`. */
export function* formatCounts(counts: Counts): Generator<Uint8Array, void, undefined> {
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  for (let at = 0; at < sorted.length; at += LINES_AT_A_TIME) {
    const lines = sorted
      .slice(at, at + LINES_AT_A_TIME)
      .map(([word, times]) => `${String(times).padStart(7)} ${word}\n`);
    yield Buffer.from(lines.join(''), 'latin1');
  }
}

/** A word for people: its bytes read as UTF-8. */
export const readable = (word: string): string => Buffer.from(word, 'latin1').toString('utf8');

/** The most frequent words, and how many there are in all. */
export function summarize(counts: Counts, most: number) {
  let words = 0;
  for (const times of counts.values()) words += times;
  const top = [...counts].sort(([, a], [, b]) => b - a).slice(0, most);
  return { words, distinct: counts.size, top: top.map(([word, count]) => ({ word: readable(word), count })) };
}

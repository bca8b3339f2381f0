/** Text to count: made up, the same for the same seed, with word frequencies as in a natural language. */
import { createHash } from 'node:crypto';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

const VOCABULARY_WORDS = 5_000;
/** Of a language's most frequent words each is about as long as the next, and rarer than it: Zipf's law, with Mandelbrot's offset. */
const ZIPF_OFFSET = 2.7;
/** Draws are indices into a table of this many entries, a word having as many as it is frequent. The rarest word has several. */
const TABLE_BITS = 18;
const CHUNK_BYTES = 128 * 1024;
const SHORTEST_LINE = 4;
const NEWLINE = 10;
const SPACE = 32;

/** Some letters take two bytes, so that who sorts or cuts by characters gets another result than who does by bytes. */
const HEADS = 'b,c,d,f,g,h,k,l,m,n,p,r,s,t,v,w,br,ch,dr,gr,pl,qu,sh,st,tr,ñ'.split(',');
const VOWELS = 'a,e,i,o,u,a,e,i,o,ai,ea,io,ou,é,ü'.split(',');
const TAILS = ',,,,n,r,s,l,t,m,nd,st,rn'.split(',');

interface Language {
  /** All words one after the other, each with a space behind it. */
  readonly bytes: Uint8Array;
  /** Where a word begins; the last entry is the end. */
  readonly starts: Uint32Array;
  /** Words by frequency. */
  readonly table: Uint16Array;
}

type Draw = () => number;

/** Draws of 32 bits, as signed numbers. */
function drawsOf(seed: string): Draw {
  const digest = createHash('sha256').update(seed).digest();
  const generator = xoroshiro128plusFromState([0, 4, 8, 12].map((at) => digest.readInt32LE(at)));
  return () => generator.next();
}

let language: Language | undefined;

function makeLanguage(): Language {
  const words = vocabulary(drawsOf('vocabulary'));
  const starts = new Uint32Array(words.length + 1);
  const encoded = words.map((word) => Buffer.from(`${word} `));
  for (const [index, { length }] of encoded.entries()) starts[index + 1] = (starts[index] ?? 0) + length;
  return { bytes: Buffer.concat(encoded), starts, table: frequencyTable(words.length) };
}

function vocabulary(draw: Draw): string[] {
  const pick = (list: readonly string[]): string => list[(draw() >>> 0) % list.length] ?? '';
  const words = new Set<string>();
  while (words.size < VOCABULARY_WORDS) {
    // What is said often is short.
    const syllables = 1 + (words.size > 60 ? 1 : 0) + (words.size > 1_500 ? draw() >>> 31 : 0);
    let word = '';
    for (let i = 0; i < syllables; i++) word += pick(HEADS) + pick(VOWELS) + pick(TAILS);
    words.add(word);
  }
  return [...words];
}

function frequencyTable(words: number): Uint16Array {
  const weights = Array.from({ length: words }, (_, rank) => 1 / (rank + 1 + ZIPF_OFFSET));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const table = new Uint16Array(2 ** TABLE_BITS);
  let filled = 0;
  let sum = 0;
  for (const [rank, weight] of weights.entries()) {
    sum += weight;
    const end = Math.round((sum / total) * table.length);
    table.fill(rank, filled, end);
    filled = end;
  }
  return table;
}

/** At least `bytes` bytes of text, in chunks of whole lines. The text begins with a word and ends with a line feed. */
export function* textOf(seed: string, bytes: number): Generator<Uint8Array, void, undefined> {
  const { bytes: letters, starts, table } = (language ??= makeLanguage());
  const draw = drawsOf(seed);
  for (let left = bytes; left > 0;) {
    const wanted = Math.min(left, CHUNK_BYTES);
    // Room for the line that goes beyond: 19 words of the longest at most.
    const chunk = new Uint8Array(wanted + 1_024);
    let at = 0;
    while (at < wanted) {
      const first = draw();
      // Each draw has bits enough for a word and for the length of the line.
      let words = SHORTEST_LINE + (first & 15);
      for (let bits = first; words > 0; words--, bits = draw()) {
        const rank = table[bits >>> (32 - TABLE_BITS)] ?? 0;
        const end = starts[rank + 1] ?? 0;
        for (let from = starts[rank] ?? 0; from < end; from++) chunk[at++] = letters[from] ?? SPACE;
      }
      chunk[at - 1] = NEWLINE;
    }
    left -= at;
    yield chunk.subarray(0, at);
  }
}

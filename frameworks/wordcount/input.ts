/** The input: text that is generated, put into the bucket for the tasks, and kept as files for people. */
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectStore } from 'tepui/store';
import { writeObject } from './objects.js';
import { textOf } from './text.js';

/** A part of the text, of whole lines. */
export interface Split {
  readonly number: number;
  /** Its name in the bucket. */
  readonly object: string;
  /** Its copy for people. */
  readonly path: string;
  readonly bytes: number;
}

export interface InputOptions {
  readonly store: ObjectStore;
  readonly folder: string;
  readonly bytes: number;
  readonly splits: number;
  /** Name of a split's object. */
  readonly objectOf: (split: number) => string;
  /** Called with the bytes so far. */
  readonly onBytes: (bytes: number) => void;
}

/** The text is the same each time, so that two results can be compared. */
const SEED = 'tepui';
/** Writes wait for acknowledgements, and meanwhile the next split can be generated. */
const SPLITS_AT_A_TIME = 3;

/** Generates the text. Rejects when it cannot be written, to the disk or to the bucket. */
export async function makeInput(options: InputOptions): Promise<Split[]> {
  const { folder, splits, bytes } = options;
  await emptyFolder(folder);
  const numbers = Array.from({ length: splits }, (_, index) => index + 1);
  const made: Split[] = [];
  let total = 0;
  const onChunk = (length: number): void => options.onBytes((total += length));
  const lane = async (): Promise<void> => {
    for (let number = numbers.shift(); number !== undefined; number = numbers.shift())
      made[number - 1] = await makeSplit(options, number, Math.ceil(bytes / splits), onChunk);
  };
  await Promise.all(Array.from({ length: SPLITS_AT_A_TIME }, lane));
  return made;
}

/** What an earlier count left would be counted too by whoever counts the folder. */
async function emptyFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder)) if (name.endsWith('.txt')) await rm(join(folder, name));
}

async function makeSplit(
  { store, folder, splits, objectOf }: InputOptions,
  number: number,
  bytes: number,
  onChunk: (length: number) => void,
): Promise<Split> {
  const digits = String(splits).length;
  const path = join(folder, `split-${String(number).padStart(digits, '0')}.txt`);
  const object = objectOf(number);
  const file = await open(path, 'w');
  let written = 0;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (const chunk of textOf(`${SEED}/${number}`, bytes)) {
      await file.writeFile(chunk);
      written += chunk.length;
      onChunk(chunk.length);
      yield chunk;
    }
  }
  try {
    await writeObject(store, object, chunks());
  } finally {
    await file.close();
  }
  return { number, object, path, bytes: written };
}

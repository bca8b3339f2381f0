/** Objects of the bucket as streams. */
import type { ObjectStore } from 'tepui/store';
import type { Sink } from './count.js';

/** The bucket that the framework and its tasks share; it has the framework's name. */
export const BUCKET = 'wordcount';

/** Longest wait for the next piece. What is sent while a connection is away is lost, and nobody sends it again by himself. */
const STALL_MS = 10_000;
const MOST_TRIES = 3;

/** An object stopped coming. */
class StalledError extends Error {}

/**
 * Gives the bytes of an object to `sink` once all of them are there and undamaged; one that stops coming is read anew. Rejects when there is
 * none, when it arrives damaged, or when it has stopped coming three times.
 */
export async function readObject(
  store: Pick<ObjectStore, 'get'>,
  name: string,
  sink: Sink,
  stallMs = STALL_MS,
): Promise<void> {
  for (let tries = 1; ; tries++)
    try {
      const chunks = await readChunks(store, name, stallMs);
      for (const chunk of chunks) sink.add(chunk);
      return;
    } catch (error) {
      if (!(error instanceof StalledError) || tries === MOST_TRIES) throw error;
    }
}

async function readChunks(store: Pick<ObjectStore, 'get'>, name: string, stallMs: number): Promise<Uint8Array[]> {
  const object = await store.get(name);
  if (object === null) throw new Error(`The object ${name} is not in the bucket.`);
  const reader = object.data.getReader();
  const read = async (): Promise<Uint8Array[]> => {
    const chunks: Uint8Array[] = [];
    for (;;) {
      const { done, value } = await unlessStalled(name, reader.read(), stallMs);
      if (done) return chunks;
      chunks.push(value);
    }
  };
  try {
    const [error, chunks] = await Promise.all([object.error, read()]);
    // The type says that there is always an answer; without an error there is none.
    if (error instanceof Error) throw error;
    return chunks;
  } catch (error) {
    // What comes after all must not pile up behind the next try.
    await reader.cancel().catch(() => undefined);
    throw error;
  }
}

async function unlessStalled<T>(name: string, read: Promise<T>, stallMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const stalled = new Promise<never>((_fulfil, reject) => {
    const error = new StalledError(`The object ${name} stopped coming for ${stallMs / 1000} s.`);
    timer = setTimeout(() => reject(error), stallMs);
  });
  try {
    return await Promise.race([read, stalled]);
  } finally {
    clearTimeout(timer);
  }
}

/** Writes an object. It is there when this resolves, and not in part before. */
export async function writeObject(
  store: ObjectStore,
  name: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  await store.put({ name }, ReadableStream.from(chunks) as ReadableStream<Uint8Array>);
}

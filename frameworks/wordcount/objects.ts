/** Objects of the bucket as streams. */
import type { ObjectStore } from 'tepui/store';
import type { Sink } from './count.js';

/** The bucket that the framework and its tasks share; it has the framework's name. */
export const BUCKET = 'wordcount';

/** Longest wait for the next piece. What is sent while a connection is away is lost, and nobody sends it again by himself. */
const STALL_MS = 20_000;

/** Gives the bytes of an object to `sink` as they come. Rejects when there is none, when it arrives damaged, or when it stops coming. */
export async function readObject(
  store: Pick<ObjectStore, 'get'>,
  name: string,
  sink: Sink,
  stallMs = STALL_MS,
): Promise<void> {
  const object = await store.get(name);
  if (object === null) throw new Error(`The object ${name} is not in the bucket.`);
  const read = async (): Promise<void> => {
    const reader = object.data.getReader();
    for (;;) {
      const { done, value } = await unlessStalled(name, reader.read(), stallMs);
      if (done) return;
      sink.add(value);
    }
  };
  const [error] = await Promise.all([object.error, read()]);
  // The type says that there is always an answer; without an error there is none.
  if (error instanceof Error) throw error;
}

/** The task ends with it, and its scheduler tries anew on a connection of its own. */
async function unlessStalled<T>(name: string, read: Promise<T>, stallMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const stalled = new Promise<never>((_fulfil, reject) => {
    timer = setTimeout(() => reject(new Error(`The object ${name} stopped coming for ${stallMs / 1000} s.`)), stallMs);
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

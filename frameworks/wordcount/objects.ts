/** Objects of the bucket as streams. */
import type { ObjectStore } from 'tepui/store';
import type { Sink } from './count.js';

/** The bucket that the framework and its tasks share; it has the framework's name. */
export const BUCKET = 'wordcount';

/** Gives the bytes of an object to `sink` as they come. Rejects when there is none, or when it arrives damaged. */
export async function readObject(store: ObjectStore, name: string, sink: Sink): Promise<void> {
  const object = await store.get(name);
  if (object === null) throw new Error(`The object ${name} is not in the bucket.`);
  const read = async (): Promise<void> => {
    for await (const chunk of object.data) sink.add(chunk);
  };
  const [error] = await Promise.all([object.error, read()]);
  // The type says that there is always an answer; without an error there is none.
  if (error instanceof Error) throw error;
}

/** Writes an object. It is there when this resolves, and not in part before. */
export async function writeObject(
  store: ObjectStore,
  name: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  await store.put({ name }, ReadableStream.from(chunks) as ReadableStream<Uint8Array>);
}

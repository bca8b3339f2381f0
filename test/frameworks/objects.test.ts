import test from 'ava';
import { readObject } from '../../frameworks/wordcount/objects.js';

type Store = Parameters<typeof readObject>[0];

/** A bucket whose one object gives these pieces, and then its end or nothing more. */
function storeOf(pieces: readonly string[], ends: boolean): Store {
  const data = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(Buffer.from(piece));
      if (ends) controller.close();
    },
  });
  const error = ends ? Promise.resolve(null) : new Promise<null>(() => undefined);
  return { get: async () => ({ data, error }) } as unknown as Store;
}

test('WCT-12 an object that stops coming is an error that says so, after what came', async (t) => {
  const heard: string[] = [];
  const sink = { add: (chunk: Uint8Array): void => void heard.push(Buffer.from(chunk).toString()) };
  await t.throwsAsync(readObject(storeOf(['a', 'b'], false), 'text', sink, 20), { message: /text stopped coming/ });
  t.deepEqual(heard, ['a', 'b']);
  await readObject(storeOf(['c'], true), 'text', sink);
  t.deepEqual(heard, ['a', 'b', 'c']);
});

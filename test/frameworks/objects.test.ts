import test from 'ava';
import { readObject } from '../../frameworks/wordcount/objects.js';

type Store = Parameters<typeof readObject>[0];

/** A bucket whose one object comes whole at the given read, and stops coming in each before it. */
function storeOf(pieces: readonly string[], wholeAt: number): { store: Store; reads: () => number } {
  let reads = 0;
  const get = async (): Promise<object> => {
    const isWhole = ++reads === wholeAt;
    const data = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of pieces) controller.enqueue(Buffer.from(piece));
        if (isWhole) controller.close();
      },
    });
    return { data, error: isWhole ? Promise.resolve(null) : new Promise<null>(() => undefined) };
  };
  return { store: { get } as unknown as Store, reads: () => reads };
}

function collector(): { heard: string[]; add: (chunk: Uint8Array) => void } {
  const heard: string[] = [];
  return { heard, add: (chunk) => void heard.push(Buffer.from(chunk).toString()) };
}

test('WCT-12 an object that stops coming is read anew, and none of it is counted twice', async (t) => {
  const sink = collector();
  const { store, reads } = storeOf(['a', 'b'], 3);
  await readObject(store, 'text', sink, 20);
  t.deepEqual(sink.heard, ['a', 'b']);
  t.is(reads(), 3);
});

test('WCT-12 an object that has stopped coming three times is an error that says so', async (t) => {
  const sink = collector();
  const { store, reads } = storeOf(['a', 'b'], 9);
  await t.throwsAsync(readObject(store, 'text', sink, 20), { message: /text stopped coming/ });
  t.deepEqual(sink.heard, []);
  t.is(reads(), 3);
});

/** A map task: counts the words of one split of the text. */
import { formatCounts, WordCounter } from './count.js';
import { readObject, writeObject } from './objects.js';
import { runTask } from './task.js';

const MEGABYTE = 1024 * 1024;

await runTask(async ({ store, inputs, output, say }) => {
  const counter = new WordCounter();
  let bytes = 0;
  for (const input of inputs) {
    say(`reading ${input}`);
    await readObject(store, input, {
      add: (chunk) => {
        counter.add(chunk);
        const before = bytes;
        bytes += chunk.length;
        if (Math.floor(before / MEGABYTE) < Math.floor(bytes / MEGABYTE))
          say(`${Math.floor(bytes / MEGABYTE)} MiB counted`);
      },
    });
  }
  const counts = counter.end();
  await writeObject(store, output, formatCounts(counts));
  say(`${counts.size} distinct words in ${bytes} bytes, written to ${output}`);
});

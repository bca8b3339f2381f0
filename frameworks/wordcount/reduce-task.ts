/** The reduce task: adds up what the map tasks have counted. */
import { CountMerger, formatCounts } from './count.js';
import { readObject, writeObject } from './objects.js';
import { runTask } from './task.js';

await runTask(async ({ store, inputs, output, say }) => {
  const merger = new CountMerger();
  for (const [index, input] of inputs.entries()) {
    await readObject(store, input, merger);
    say(`${index + 1} of ${inputs.length} added: ${input}`);
  }
  const counts = merger.end();
  await writeObject(store, output, formatCounts(counts));
  say(`${counts.size} distinct words, written to ${output}`);
});

import test from 'ava';
import { CliFolder } from '../support/cli.js';

const CYCLES = 20;

test('UP-2 twenty times up and down leave no process and no file outside of the folder', async (t) => {
  const folder = new CliFolder();
  t.teardown(() => folder.remove());
  for (let cycle = 1; cycle <= CYCLES; cycle++) {
    const isWhole = cycle % 5 === 0;
    const count = isWhole ? '3' : '1';
    await folder.up('--masters', count, '--agents', count);
    if (isWhole) t.is(await folder.out('run', '--', 'echo', `cycle ${cycle}`), `cycle ${cycle}\n`);
    const { status, stderr } = await folder.run('down');
    t.is(status, 0, stderr);
    t.deepEqual(folder.leftovers(), []);
    t.deepEqual(folder.strayFiles(), []);
  }
});

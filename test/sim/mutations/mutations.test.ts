import test from 'ava';
import { BUGS } from './bugs.js';
import { findBug, patched, SEEDS } from './mutate.js';

test('SIM-15: a patch of a text that is not there fails loudly', (t) => {
  const patch = { file: 'a.ts', search: 'one', replace: 'two' };
  t.is(patched('a.ts', [patch], 'one;'), 'two;');
  t.throws(() => patched('a.ts', [patch], 'zero'), { message: /has 0 times/ });
  t.throws(() => patched('a.ts', [patch], 'one one'), { message: /has 2 times/ });
});

/** Two at a time, as there are as many cores: a hunt is a process of its own. */
let free = 2;
const waiting: (() => void)[] = [];
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (free > 0) free--;
  else await new Promise<void>((go) => waiting.push(go));
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  }
}

for (const bug of BUGS.filter(({ rare }) => rare !== true))
  test(`SIM-15 ${bug.rule}: caught: ${bug.name}`, async (t) => {
    // Most of it is waiting for its turn.
    t.timeout(600_000);
    const { caught, seed, others } = await inTurn(() => findBug(bug, SEEDS));
    t.true(caught, `not within ${seed} seeds; other rules that broke: ${others.join(' ')}`);
  });

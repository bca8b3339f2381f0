/** The contract of `Random`. */
import type { TestFn } from 'ava';
import type { Random } from '../../runtime/ports.js';
import { contract, type Harness, type Make } from './harness.js';

export interface RandomHarness extends Harness {
  readonly random: Random;
}

const DRAWS = 20_000;

/** Registers the suite. */
export function randomSuite(make: Make<RandomHarness>, register?: TestFn): void {
  const rule = contract(make, register);

  rule('POR-3: draws are from 0 to below 1 and spread evenly', async (t, h) => {
    const draws = Array.from({ length: DRAWS }, () => h.random.next());
    t.true(draws.every((draw) => draw >= 0 && draw < 1));
    t.true(new Set(draws).size > DRAWS * 0.999);
    for (let tenth = 0; tenth < 10; tenth++) {
      const share = draws.filter((draw) => Math.floor(draw * 10) === tenth).length / DRAWS;
      t.true(share > 0.08 && share < 0.12, `tenth ${tenth}: ${share}`);
    }
  });
}

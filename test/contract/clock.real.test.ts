import test from 'ava';
import { systemClock } from '../../runtime/node/system-clock.js';
import { clockSuite } from './clock.suite.js';
import { realHarness } from './harness.js';

clockSuite(async () => ({ ...realHarness(), clock: systemClock() }));

test('POR-2: a machine that slept is caught up with, and a clock that is set back is not followed', (t) => {
  const clock = systemClock();
  const realNow = Date.now;
  const startMs = clock.now();
  try {
    Date.now = () => realNow() + 3 * 24 * 3_600_000;
    const lateMs = clock.now();
    t.true(lateMs - startMs > 2.9 * 24 * 3_600_000);
    Date.now = () => realNow() - 24 * 3_600_000;
    t.true(clock.now() >= lateMs);
    // What is less than a minute off is left alone: it is how clocks are.
    const other = systemClock();
    const beforeMs = other.now();
    Date.now = () => realNow() - 24 * 3_600_000 + 30_000;
    t.true(other.now() - beforeMs < 1_000);
  } finally {
    Date.now = realNow;
  }
});

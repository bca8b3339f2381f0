import { tmpdir } from 'node:os';
import test from 'ava';
import { runSteps, type Step } from '../tools/run-steps.js';
import { countLine, countsLine } from '../tools/test-counts.js';

for (const [line, expected] of [
  ['  12 tests passed', '12 passed, 0 failed'],
  ['  1 test passed', '1 passed, 0 failed'],
  ['  1 test failed', '0 passed, 1 failed'],
  ['  2 tests failed', '0 passed, 2 failed'],
  ['  1 uncaught exception', '0 passed, 1 failed'],
  ['  3 unhandled rejections', '0 passed, 3 failed'],
  ['  1 known failure', '1 passed, 0 failed'],
  ['  2 tests skipped', '0 passed, 0 failed, 2 skipped'],
  ['  1 test todo', '0 passed, 0 failed, 1 skipped'],
  ['\u001b[32m  5 tests passed\u001b[39m', '5 passed, 0 failed'],
  ['7 passed, 1 failed', '7 passed, 1 failed'],
  ['7 passed, 1 failed, 2 skipped', '7 passed, 1 failed, 2 skipped'],
  ['  ✔ a › ABC-1 3 tests passed', '0 passed, 0 failed'],
  ['seed 12 passed, 0 failed to converge', '0 passed, 0 failed'],
] as const) {
  test(`CHK-5 the line "${line.replaceAll('\u001b', '')}" counts as ${expected}`, (t) => {
    t.is(countsLine(countLine(line)), expected);
  });
}

const step = (script: string, counts = true): Step => ({
  name: 'step',
  command: [process.execPath, '-e', script],
  counts,
});

for (const [what, steps, expected] of [
  [
    'the sum of what the steps counted',
    [step("console.log('  2 tests passed')"), step("console.log('3 passed, 0 failed')")],
    '5 passed, 0 failed',
  ],
  ['what a step counted on its error output', [step("console.error('  2 tests passed')")], '2 passed, 0 failed'],
  ['nothing for a step that has nothing to count', [step('', false)], '0 passed, 0 failed'],
  ['a failure for a step that ran no test', [step('')], '0 passed, 1 failed'],
  [
    'a failure for a step that failed without counting one',
    [step("console.log('  2 tests passed'); process.exit(3)")],
    '2 passed, 1 failed',
  ],
  ['failures once', [step("console.log('  2 tests failed'); process.exit(1)")], '0 passed, 2 failed'],
  [
    'a failure for a step that cannot be started',
    [{ name: 'x', command: ['/nowhere/x'], counts: false }],
    '0 passed, 1 failed',
  ],
  [
    'the steps behind one that failed',
    [step('process.exit(1)', false), step("console.log('  1 test passed')")],
    '1 passed, 1 failed',
  ],
] as const satisfies readonly (readonly [string, readonly Step[], string])[]) {
  test(`CHK-5 a run counts ${what}`, async (t) => {
    const lines: string[] = [];
    t.is(countsLine(await runSteps(steps, { folder: tmpdir(), print: (line) => lines.push(line) })), expected);
    t.true(lines.length > 0);
  });
}

/** Reads from what a step prints how many tests it ran. */

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

// eslint-disable-next-line no-control-regex -- colours begin with an escape character
const COLOUR = /\u001b\[[0-9;]*m/g;
/** As ava ends: `12 tests passed`, `1 test failed`, `1 uncaught exception`, `2 tests skipped`. */
const AVA_LINE = /^\s+(\d+) (.+)$/;
/** As our own steps end. */
const PLAIN_LINE = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/;

const AVA_WORDS: readonly (readonly [keyof Counts, RegExp])[] = [
  ['passed', /^tests? passed$/],
  ['passed', /^known failures?$/],
  ['failed', /^(tests?|hooks?) failed$/],
  ['failed', /^uncaught exceptions?$/],
  ['failed', /^unhandled rejections?$/],
  ['failed', /^tests? (remained )?pending\b/],
  ['failed', /^(test )?files? timed out\b/],
  ['skipped', /^tests? skipped$/],
  ['skipped', /^tests? todo$/],
];

/** What one line of output adds. */
export function countLine(line: string): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  const text = line.replace(COLOUR, '').trimEnd();
  const plain = PLAIN_LINE.exec(text);
  if (plain !== null) {
    return { passed: Number(plain[1]), failed: Number(plain[2]), skipped: Number(plain[3] ?? 0) };
  }
  const [, number = '0', words = ''] = AVA_LINE.exec(text) ?? [];
  for (const [kind, pattern] of AVA_WORDS) {
    if (pattern.test(words)) counts[kind] += Number(number);
  }
  return counts;
}

export function addCounts(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** The last line of a run. */
export function countsLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

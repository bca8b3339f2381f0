/** What `npm run check` and `npm test` run, in order. Both build first, which is the check of the types. */
import type { Step } from './run-steps.js';

const npm = (script: string): [string, ...string[]] => ['npm', 'run', '--silent', script];

export const CHECKS: readonly Step[] = [
  { name: 'lint', command: npm('check:lint'), counts: false },
  { name: 'format', command: npm('check:format'), counts: false },
  { name: 'imports', command: npm('check:imports'), counts: false },
  { name: 'spec', command: npm('check:spec'), counts: false },
  { name: 'docs', command: npm('check:docs'), counts: false },
];

export const TESTS: readonly Step[] = [
  { name: 'unit', command: npm('test:unit'), counts: true },
  { name: 'sim', command: npm('test:sim'), counts: true },
  { name: 'e2e', command: npm('test:e2e'), counts: true },
];

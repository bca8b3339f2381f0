/** `docs/protocol/errors.md` and `docs/defaults.md`, from their tables. */
import { ERRORS } from '../../protocol/errors.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import type { DocGenerator } from './generated-docs.js';

export const errorsPage: DocGenerator = {
  path: 'docs/protocol/errors.md',
  render: () =>
    [
      '# Error codes',
      '',
      'Generated from `protocol/errors.ts` by `npm run docs`. An ERROR has the body `{error: {code, message}}`.',
      '',
      '| code | what it says | trying again can help |',
      '| --- | --- | --- |',
      ...Object.entries(ERRORS).map(
        ([code, { sentence, retryable }]) => `| \`${code}\` | ${sentence} | ${retryable ? 'yes' : 'no'} |`,
      ),
      '',
    ].join('\n'),
};

export const defaultsPage: DocGenerator = {
  path: 'docs/defaults.md',
  render: () =>
    [
      '# Defaults',
      '',
      'Generated from `protocol/limits.ts` by `npm run docs`. Each can be set: `tepui up --set name=milliseconds`.',
      '',
      '| name | default |',
      '| --- | --- |',
      ...Object.entries(DEFAULT_TIMINGS).map(([name, value]) => `| \`${name}\` | ${String(value)} |`),
      '',
    ].join('\n'),
};

// What the linter refuses. Who may import whom is .dependency-cruiser.cjs; how code looks is prettier.
import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

/** Files that may be longer, each with its own limit and the reason. Keep it short: a file that grows belongs in two. */
const LONGER = [
  // { file: 'protocol/example.ts', lines: 450, why: 'one table that is read as a whole' },
];

/** Rooms that decide or describe: nothing in them waits, looks at a clock, rolls dice or touches the machine. */
const PURE = ['protocol/**/*.ts', 'actors/**/*.ts'];
/** The world without the world: it has the clock and the dice of the simulation, and callbacks instead of promises. */
const SIMULATED = ['runtime/sim/**/*.ts', 'runtime/actor-host.ts'];
const TESTS = ['test/**/*.ts', 'bench/**/*.ts'];

const TIMERS = [
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'queueMicrotask',
];
const globals = (names, message) => names.map((name) => ({ name, message }));

const NO_CLOCK = globals(['Date', 'performance'], 'Time comes in with the event, as `now`.');
const NO_TIMERS = globals(TIMERS, 'Ask for a deadline: the host wakes the actor.');
const NO_PROMISES = globals(['Promise'], 'A decision is synchronous; what takes time comes back as an event.');
const NO_MACHINE = globals(
  ['process', 'console', 'crypto', 'fetch', 'Buffer', 'require', 'global', 'navigator'],
  'This belongs to runtime/: ask for an effect.',
);
const NO_DICE = { object: 'Math', property: 'random', message: 'Random numbers are arguments.' };

const NO_FOR_IN = {
  selector: 'ForInStatement',
  message: 'for..in walks keys that somebody else chose, inherited ones too: use Object.keys or a Map.',
};
const NO_WAITING = [
  { selector: 'AwaitExpression', message: 'A decision is synchronous.' },
  { selector: ':function[async=true]', message: 'A decision is synchronous.' },
  { selector: 'ForOfStatement[await=true]', message: 'A decision is synchronous.' },
  { selector: 'ImportExpression', message: 'A decision is synchronous: import at the top.' },
  {
    selector: 'TSTypeReference[typeName.name=/^(Promise|PromiseLike|Date)$/]',
    message: 'Nothing here waits or holds a clock; times are numbers.',
  },
];
const NO_LOCALE = [
  {
    selector: 'MemberExpression[property.name=/^(localeCompare|toLocale\\w+)$/]',
    message: 'What it returns depends on the machine: compare with < and >.',
  },
  { selector: 'Identifier[name="Intl"]', message: 'What it returns depends on the machine.' },
];
const NO_BARE_SORT = {
  selector: 'CallExpression[callee.property.name=/^(sort|toSorted)$/][arguments.length=0]',
  message: 'Without a comparator everything is sorted as text: say how.',
};

export default defineConfig(
  globalIgnores(['dist/', 'node_modules/', '.cache/', '.tepui/', 'web/dist/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      'max-lines': ['error', { max: FILE_LINES_MAX }],
      'max-lines-per-function': ['error', { max: FUNCTION_LINES_MAX, skipBlankLines: true, skipComments: true }],
      'no-restricted-syntax': ['error', NO_FOR_IN],
      eqeqeq: 'error',
      'prefer-const': 'error',
      'no-var': 'error',
      // The compiler finds undefined names, and `noUnusedLocals` unused ones; here only what it does not look at.
      'no-undef': 'off',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': 'off',
      // With noUncheckedIndexedAccess an index inside its own bounds says so with `!`.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // `no-base-to-string` refuses what has no text of its own; what has one may stand in a template.
      '@typescript-eslint/restrict-template-expressions': 'off',
      // xstate takes its types as `{} as {…}`.
      '@typescript-eslint/no-unnecessary-type-assertion': 'off',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: true, attributes: false } }],
      // A port may promise what one of its implementations has at hand.
      '@typescript-eslint/require-await': 'off',
      // Namespaces of branded types and empty members of a union read well.
      '@typescript-eslint/no-empty-object-type': 'off',
    },
  },
  {
    files: PURE,
    rules: {
      'no-restricted-globals': [
        'error',
        { globals: [...NO_CLOCK, ...NO_TIMERS, ...NO_PROMISES, ...NO_MACHINE], checkGlobalObject: true },
      ],
      'no-restricted-properties': ['error', NO_DICE],
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^node:', message: 'This belongs to runtime/: ask for an effect.' }] },
      ],
      'no-restricted-syntax': ['error', NO_FOR_IN, ...NO_WAITING, ...NO_LOCALE],
    },
  },
  {
    files: ['actors/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', NO_FOR_IN, ...NO_WAITING, ...NO_LOCALE, NO_BARE_SORT] },
  },
  {
    files: SIMULATED,
    rules: {
      'no-restricted-globals': [
        'error',
        { globals: [...NO_CLOCK, ...NO_TIMERS, ...NO_PROMISES], checkGlobalObject: true },
      ],
      'no-restricted-properties': ['error', NO_DICE],
      'no-restricted-syntax': ['error', NO_FOR_IN, ...NO_WAITING, ...NO_LOCALE, NO_BARE_SORT],
    },
  },
  {
    files: TESTS,
    rules: {
      'max-lines': 'off',
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  ...LONGER.map(({ file, lines }) => ({ files: [file], rules: { 'max-lines': ['error', { max: lines }] } })),
  {
    files: ['**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: { module: 'writable', require: 'readonly', __dirname: 'readonly' },
    },
  },
);

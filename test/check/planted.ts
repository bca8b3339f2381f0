/** What must not get in, one file each, with the rule that has to refuse it. */

export interface Planted {
  path: string;
  text: string;
  rule: string;
}

const importing = (rule: string, path: string, target: string): Planted => ({
  rule,
  path,
  text: `export * as thing from '${target}';\n`,
});

/** For the rules of `.dependency-cruiser.cjs`. */
export const BAD_IMPORTS: readonly Planted[] = [
  importing('protocol-alone', 'protocol/b1.ts', '../actors/plain.js'),
  importing('actors-rooms', 'actors/b2.ts', '../runtime/sdk.js'),
  importing('runtime-rooms', 'runtime/b3.ts', '../cli/main.js'),
  importing('gateway-rooms', 'gateway/b4.ts', '../actors/plain.js'),
  importing('cli-rooms', 'cli/b5.ts', '../actors/plain.js'),
  importing('cli-rooms', 'cli/b6.ts', '../frameworks/f/inner.js'),
  importing('frameworks-rooms', 'frameworks/f/b7.ts', '../../runtime/sdk.js'),
  importing('frameworks-sdk', 'frameworks/f/b8.ts', '../../dist/runtime/other.js'),
  importing('no-dist', 'runtime/b9.ts', '../dist/runtime/other.js'),
  importing('nobody-imports-tests', 'bench/b10.ts', '../test/support.js'),
  importing('nobody-imports-bench', 'gateway/b11.ts', '../bench/main.js'),
  // Not even by way of somebody else.
  importing('sim-without-the-world', 'runtime/sim/b12.ts', '../b13.js'),
  importing('', 'runtime/b13.ts', './nats/door.js'),
  importing('protocol-packages', 'protocol/b14.ts', 'commander'),
  importing('actors-packages', 'actors/b15.ts', 'commander'),
  importing('pure-rooms-no-node', 'actors/b16.ts', 'node:fs'),
  importing('pure-rooms-no-node', 'protocol/b17.ts', 'path'),
  importing('codec-only', 'runtime/b18.ts', 'msgpackr'),
  importing('statecharts-only', 'actors/b19.ts', 'xstate'),
  importing('nats-only-in-its-room', 'runtime/b20.ts', '@nats-io/jetstream'),
  importing('nats-object-store-only', 'cli/b21.ts', 'nats'),
  importing('no-dev-packages', 'runtime/b22.ts', 'typescript'),
  importing('declared-packages', 'runtime/b23.ts', 'acorn'),
  importing('resolvable', 'runtime/b24.ts', './missing.js'),
  importing('no-circles', 'actors/b25.ts', './b26.js'),
  importing('', 'actors/b26.ts', './b25.js'),
];

const lint = (rule: string, path: string, text: string): Planted => ({ rule, path, text: `${text}\n` });
const lines = (count: number, line: string): string => Array.from({ length: count }, () => line).join('\n');

/** For the rules of `eslint.config.js`: each of these files breaks that rule and no other. */
export const BAD_CODE: readonly Planted[] = [
  lint('no-restricted-syntax', 'actors/c1.ts', 'export const f = async () => {};'),
  lint(
    'no-restricted-syntax',
    'actors/c2.ts',
    'declare const late: { then(f: () => void): void };\nawait late;\nexport {};',
  ),
  lint('no-restricted-syntax', 'protocol/c3.ts', 'export type Later = Promise<number>;'),
  lint('no-restricted-syntax', 'actors/c4.ts', 'export const f = (a: string, b: string) => a.localeCompare(b);'),
  lint('no-restricted-syntax', 'actors/c5.ts', 'export const f = (a: number[]) => a.sort();'),
  lint(
    'no-restricted-syntax',
    'runtime/c6.ts',
    'export const f = (a: object) => {\n  for (const k in a) return k;\n  return;\n};',
  ),
  lint('no-restricted-syntax', 'runtime/sim/c7.ts', 'export const f = async () => {};'),
  lint('no-restricted-globals', 'actors/c8.ts', 'export const f = () => Date.now();'),
  lint('no-restricted-globals', 'actors/c9.ts', 'export const f = () => setTimeout(() => {}, 1);'),
  lint('no-restricted-globals', 'actors/c10.ts', 'export const f = () => setInterval(() => {}, 1);'),
  lint('no-restricted-globals', 'actors/c11.ts', 'export const f = () => setImmediate(() => {});'),
  lint('no-restricted-globals', 'actors/c12.ts', 'export const f = () => queueMicrotask(() => {});'),
  lint('no-restricted-globals', 'actors/c13.ts', 'export const f = () => void Promise.resolve();'),
  lint('no-restricted-globals', 'protocol/c14.ts', 'export const f = () => process.pid;'),
  lint('no-restricted-globals', 'protocol/c15.ts', "export const f = () => console.log('x');"),
  lint('no-restricted-globals', 'protocol/c16.ts', 'export const f = () => performance.now();'),
  lint('no-restricted-globals', 'protocol/c17.ts', 'export const f = () => crypto.randomUUID();'),
  lint('no-restricted-globals', 'actors/c18.ts', 'export const f = () => globalThis.setTimeout(() => {}, 1);'),
  lint('no-restricted-globals', 'runtime/sim/c19.ts', 'export const f = () => new Date();'),
  lint('no-restricted-properties', 'actors/c20.ts', 'export const f = () => Math.random();'),
  lint('no-restricted-properties', 'runtime/sim/c21.ts', 'export const f = () => Math.random();'),
  lint('no-restricted-imports', 'actors/c22.ts', "import { join } from 'node:path';\nexport const f = join;"),
  lint('max-lines', 'runtime/c23.ts', `export {};\n${lines(400, '// x')}`),
  lint('max-lines-per-function', 'cli/c24.ts', `export const f = (a: number[]) => {\n${lines(70, '  a.push(1);')}\n};`),
  lint('@typescript-eslint/no-explicit-any', 'runtime/c25.ts', 'export const f = (a: any) => void a;'),
  lint(
    '@typescript-eslint/no-floating-promises',
    'runtime/c26.ts',
    'export const f = (p: Promise<void>) => {\n  p.then(() => {});\n};',
  ),
  lint(
    '@typescript-eslint/no-floating-promises',
    'cli/c27.ts',
    'export const f = (p: () => Promise<void>) => {\n  p();\n};',
  ),
  lint(
    '@typescript-eslint/no-misused-promises',
    'runtime/c28.ts',
    'export const f = (p: Promise<boolean>) => (p ? 1 : 2);',
  ),
  lint('@typescript-eslint/no-unsafe-assignment', 'runtime/c29.ts', "export const f: string = JSON.parse('1');"),
  lint(
    '@typescript-eslint/switch-exhaustiveness-check',
    'actors/c30.ts',
    "export const f = (a: 'x' | 'y') => {\n  switch (a) {\n    case 'x':\n      return 1;\n  }\n  return 2;\n};",
  ),
];

/** The same in a room where it is allowed. */
export const FREE_CODE: readonly Planted[] = [
  lint('', 'runtime/d1.ts', 'export const f = async () => Date.now() + Math.random();'),
  lint('', 'runtime/d2.ts', "export const f = () => setTimeout(() => console.log('x'), 1);"),
  lint('', 'test/d3.ts', `export const f = (a: number[]) => {\n${lines(400, '  a.push(1);')}\n};`),
  lint('', 'runtime/d4.ts', `export {};\n${lines(398, '// x')}`),
];

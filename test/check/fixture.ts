/** A tiny house with the project's own rules, in a temporary folder: planted with something bad, each check must refuse it. */
import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PROJECT_ROOT } from '../tools/source-files.js';

/** What decides in the real project, copied as it is. */
const RULES = [
  'package.json',
  'tsconfig.json',
  'eslint.config.js',
  '.dependency-cruiser.cjs',
  '.prettierrc.json',
  '.prettierignore',
];

/** Nothing is wrong with these; they go as near to each rule as is allowed. */
const GOOD: Readonly<Record<string, string>> = {
  'protocol/index.ts': "export const one = 1;\nexport type { Left } from './left.js';\n",
  'protocol/left.ts': "import type { Right } from './right.js';\nexport type Left = { right?: Right };\n",
  'protocol/right.ts': "import type { Left } from './left.js';\nexport type Right = { left?: Left };\n",
  'protocol/codec.ts':
    "import { pack } from 'msgpackr';\nexport const bytes = (value: unknown): Uint8Array => pack(value);\n",
  'actors/plain.ts':
    "import { one } from '../protocol/index.js';\nexport const sorted = [one, 2].sort((a, b) => a - b);\nexport const at = (now: number): number => now;\n",
  'actors/a.machine.ts': "import { setup } from 'xstate';\nexport const machine = setup({}).createMachine({});\n",
  'runtime/sdk.ts': "import { sorted } from '../actors/plain.js';\nexport const size = sorted.length;\n",
  'runtime/nats/door.ts': "import { connect } from 'nats';\nexport const open = (): Promise<unknown> => connect();\n",
  'runtime/sim/world.ts': "import { size } from '../sdk.js';\nexport const worlds = size;\n",
  'frameworks/f/index.ts':
    "import { readFileSync } from 'node:fs';\nimport type { NatsConnection } from 'nats';\nimport { Objm } from '@nats-io/obj';\nimport { size } from 'tepui';\nimport { one } from 'tepui/protocol';\nexport const text = (nc: NatsConnection): string => readFileSync(`${size}${one}${String(new Objm(nc))}`, 'utf8');\n",
  'frameworks/f/inner.ts': 'export const inner = 1;\n',
  'cli/main.ts': "import { text } from '../frameworks/f/index.js';\nexport const main = text;\n",
  'test/support.ts': "export const support = 'x';\n",
  'bench/main.ts': 'export const bench = 1;\n',
  // What the compiler made of the two entries before.
  'dist/runtime/sdk.js': 'export const size = 2;\n',
  'dist/protocol/index.js': 'export const one = 1;\n',
  'dist/runtime/other.js': 'export const other = 1;\n',
};

export interface Ended {
  code: number | null;
  output: string;
}

export interface Fixture {
  folder: string;
  /** Adds a file, or replaces one. */
  plant(path: string, text: string): Promise<void>;
  /** Runs a program of Node in the folder: `node_modules/…` is the project's, everything else a path. */
  run(program: string, ...args: string[]): Promise<Ended>;
  remove(): Promise<void>;
}

export async function makeFixture(): Promise<Fixture> {
  const folder = await mkdtemp(join(tmpdir(), 'tepui-check-'));
  const plant = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  for (const path of RULES) await copyFile(join(PROJECT_ROOT, path), join(folder, path));
  await symlink(join(PROJECT_ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const [path, text] of Object.entries(GOOD)) await plant(path, text);
  const run = (program: string, ...args: string[]): Promise<Ended> =>
    new Promise((resolve, reject) => {
      const path = program.startsWith('node_modules/') ? join(PROJECT_ROOT, program) : program;
      const child = spawn(process.execPath, [path, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      const keep = (chunk: Buffer): void => void (output += chunk.toString('utf8'));
      child.stdout.on('data', keep);
      child.stderr.on('data', keep);
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, output }));
    });
  return { folder, plant, run, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A compiled tool of `test/tools/`. */
export const tool = (name: string): string => join(PROJECT_ROOT, 'dist', 'test', 'tools', `${name}.js`);

/** Paths of the files of a healthy house that a check looks at. */
export const goodFiles = (): string[] => Object.keys(GOOD).filter((path) => !path.startsWith('dist/'));

/** A copy of the compiled tree with a bug planted in it, and the hunt for the bug there. Rule: SIM-15. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import type { Bug, Patch } from './bugs.js';

/** The compiled tree that this file is in. */
const COMPILED = fileURLToPath(new URL('../../../', import.meta.url));
const ROOT = rootAbove(COMPILED);
const COPIED = ['actors', 'protocol', 'runtime', 'test/sim'];
/** Seeds that a bug may take to show itself, unless it is rare. */
export const SEEDS = 60;
const HUNT_MS_MAX = 200_000;

export interface Found {
  readonly seed: number;
  readonly caught: boolean;
  readonly message?: string;
  readonly others: readonly string[];
}

function rootAbove(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json')) && existsSync(join(at, 'actors'))) return at;
    if (at === dirname(at)) throw new Error(`no package above ${folder}`);
  }
}

/** A source with its patches. @throws Error when a text is not there exactly once: then the bug must be written anew */
export function patched(
  file: string,
  patches: readonly Patch[],
  source = readFileSync(join(ROOT, file), 'utf8'),
): string {
  let text = source;
  for (const { search, replace } of patches) {
    const found = text.split(search).length - 1;
    if (found !== 1) throw new Error(`${file} has ${found} times: ${search}`);
    text = text.replace(search, () => replace);
  }
  return text;
}

/** Plants the bug into a copy of its own; returns the copy's folder. */
export function plant({ patches }: Bug): string {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-mutation-'));
  const isCode = (path: string): boolean => !/\.(map|d\.ts|tsbuildinfo)$/.test(path) && !/runtime.(nats|node|up)$/.test(relative(COMPILED, path)); // prettier-ignore
  for (const part of COPIED) cpSync(join(COMPILED, part), join(folder, part), { recursive: true, filter: isCode });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  for (const file of new Set(patches.map((patch) => patch.file))) {
    const source = patched(file, patches.filter((patch) => patch.file === file)); // prettier-ignore
    const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 };
    const { outputText } = ts.transpileModule(source, { compilerOptions });
    writeFileSync(join(folder, file.replace(/\.ts$/, '.js')), outputText);
  }
  return folder;
}

/** Runs seeds in a tree until the rule breaks. */
export function hunt(folder: string, rule: string, from: number, count: number): Promise<Found> {
  const args = [join(folder, 'test/sim/mutations/hunt.js'), rule, String(from), String(count)];
  return new Promise((fulfil, reject) => {
    execFile(process.execPath, args, { timeout: HUNT_MS_MAX, cwd: folder }, (error, stdout, stderr) => {
      if (error === null) fulfil(JSON.parse(stdout) as Found);
      else reject(new Error(`the hunt for ${rule} failed: ${stderr || error.message}`));
    });
  });
}

/** The whole life of one planted bug. */
export async function findBug(bug: Bug, seeds: number): Promise<Found> {
  const folder = plant(bug);
  try {
    return await hunt(folder, bug.rule, 1, seeds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

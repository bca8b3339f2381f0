import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { staleDocs, writeDocs } from '../tools/generated-docs.js';
import { PROJECT_ROOT } from '../tools/source-files.js';
import { goodFiles, makeFixture, tool, type Fixture } from './fixture.js';
import { BAD_CODE, BAD_IMPORTS, FREE_CODE } from './planted.js';

// Each test of this file starts a compiler of its own: one after the other they share the two cores better than all at once.
async function fixture(t: ExecutionContext): Promise<Fixture> {
  const made = await makeFixture();
  t.teardown(made.remove);
  return made;
}

test.serial('CHK-2 the rules on imports let a healthy house pass', async (t) => {
  const { run, folder } = await fixture(t);
  const { code, output } = await run(tool('import-rules'), folder);
  t.is(code, 0, output);
  t.regex(output, new RegExp(`imports: \\d+ modules, \\d+ imports, 0 problems`));
});

test.serial('CHK-2 each rule on imports refuses what breaks it', async (t) => {
  const { run, folder, plant } = await fixture(t);
  for (const { path, text } of BAD_IMPORTS) await plant(path, text);
  const { code, output } = await run(tool('import-rules'), folder);
  t.is(code, 1);
  for (const { rule, path } of BAD_IMPORTS) {
    if (rule !== '')
      t.true(
        output.split('\n').some((line) => line.startsWith(`${rule}: ${path} → `)),
        `${rule}: ${path}`,
      );
  }
  const blamed = output.split('\n').flatMap((line) => / (\S+) → /.exec(line)?.[1] ?? []);
  t.deepEqual(
    goodFiles().filter((path) => blamed.includes(path)),
    [],
    output,
  );

  const require = createRequire(import.meta.url);
  const config = require(join(PROJECT_ROOT, '.dependency-cruiser.cjs')) as { forbidden: { name: string }[] };
  const tried = new Set(BAD_IMPORTS.map(({ rule }) => rule));
  t.deepEqual(
    config.forbidden.map(({ name }) => name).filter((name) => !tried.has(name)),
    [],
  );
});

test.serial('CHK-2 a cruise that looks at nothing, or passes a file over, is refused', async (t) => {
  const { run, folder, plant } = await fixture(t);
  await plant('.dependency-cruiser.cjs', "module.exports = { options: { exclude: { path: '^protocol/' } } };\n");
  const over = await run(tool('import-rules'), folder);
  t.is(over.code, 1);
  t.true(over.output.includes('protocol/index.ts was not looked at'), over.output);
  const empty = await run(tool('import-rules'), join(folder, 'dist'));
  t.is(empty.code, 1);
  t.true(empty.output.includes('there is no source to look at'));
});

interface LintResult {
  filePath: string;
  messages: { ruleId: string | null; message: string }[];
}

test.serial('CHK-1 each ban of the linter refuses what breaks it, and only in its room', async (t) => {
  const { run, folder, plant } = await fixture(t);
  for (const { path, text } of [...BAD_CODE, ...FREE_CODE]) await plant(path, text);
  const rooms = ['protocol', 'actors', 'runtime', 'cli', 'test'];
  const { code, output } = await run('node_modules/eslint/bin/eslint.js', '--format', 'json', ...rooms);
  t.is(code, 1, output.slice(0, 2_000));
  const results = JSON.parse(output) as LintResult[];
  const found = new Map(
    results.map(({ filePath, messages }) => [
      filePath.slice(folder.length + 1),
      [...new Set(messages.map(({ ruleId, message }) => ruleId ?? message))],
    ]),
  );
  for (const { path, rule } of BAD_CODE) t.deepEqual(found.get(path), [rule], path);
  for (const path of [
    ...FREE_CODE.map((free) => free.path),
    'actors/plain.ts',
    'protocol/codec.ts',
    'runtime/sdk.ts',
  ]) {
    t.deepEqual(found.get(path), [], path);
  }
});

test.serial('CHK-1 the compiler refuses a wrong type', async (t) => {
  const { run, plant } = await fixture(t);
  await plant('protocol/wrong.ts', "export const size: number = 'large';\n");
  await plant('protocol/loose.ts', 'export const first = (list: number[]): number => list[0];\n');
  const { code, output } = await run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit');
  t.not(code, 0);
  t.regex(output, /protocol\/wrong\.ts\(1,14\): error TS2322/);
  t.regex(output, /protocol\/loose\.ts\(1,\d+\): error TS2322/);
});

test.serial('CHK-1 prettier refuses a file that it would write otherwise', async (t) => {
  const { run, plant } = await fixture(t);
  await plant('protocol/good.ts', "export const a = 'x';\n");
  await plant('protocol/ugly.ts', 'export const a = "x"\n');
  const { code, output } = await run('node_modules/prettier/bin/prettier.cjs', '--check', 'protocol/{good,ugly}.ts');
  t.is(code, 1);
  t.true(output.includes('protocol/ugly.ts'));
  t.false(output.includes('protocol/good.ts'));
});

test.serial('CHK-3 a rule without a test and a test without a rule are refused', async (t) => {
  const { run, folder, plant } = await fixture(t);
  const page = '# Spec\n\n- **ABC-1** Something is so.\n- **ABC-2** (later) Something will be so.\n';
  await plant('docs/spec.md', page);
  await plant('test/a.test.ts', "import test from 'ava';\ntest('ABC-1 it is so', (t) => t.pass());\n");
  const good = await run(tool('spec-ids'), folder);
  t.is(good.code, 0, good.output);
  await plant('docs/spec.md', `${page}- **ABC-3** Nobody looks at this.\n`);
  await plant('test/b.test.ts', "import test from 'ava';\ntest('ABC-9 it is not so', (t) => t.pass());\n");
  const bad = await run(tool('spec-ids'), folder);
  t.is(bad.code, 1);
  t.true(bad.output.includes('docs/spec.md:5: no test quotes ABC-3'), bad.output);
  t.true(bad.output.includes('test/b.test.ts:2: ABC-9 is no rule'), bad.output);
});

test.serial(
  'CHK-4 a generated page that is missing or was changed by hand is refused, and written anew on request',
  async (t) => {
    const { folder, plant } = await fixture(t);
    const generators = [
      { path: 'docs/protocol/a.md', render: () => 'a\n' },
      { path: 'docs/protocol/b.md', render: () => Promise.resolve('b\n') },
    ];
    await plant('docs/protocol/b.md', 'b, by hand\n');
    t.deepEqual(await staleDocs(folder, generators), ['docs/protocol/a.md', 'docs/protocol/b.md']);
    t.deepEqual(await writeDocs(folder, generators), ['docs/protocol/a.md', 'docs/protocol/b.md']);
    t.deepEqual(await staleDocs(folder, generators), []);
    t.is(await readFile(join(folder, 'docs/protocol/b.md'), 'utf8'), 'b\n');
  },
);

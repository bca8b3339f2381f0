import test from 'ava';
import { compareSpec, type SpecReport } from '../tools/spec.js';
import { idsAtHead, titlesOf } from '../tools/test-titles.js';

const compare = (page: string, source: string, cited = ''): SpecReport =>
  compareSpec({
    pages: [{ path: 'docs/spec.md', text: page }],
    tests: [{ path: 'test/a.test.ts', text: source }],
    sources: [{ path: 'protocol/a.ts', text: cited }],
  });

const ONE = '- **ABC-1** It is so.\n';

for (const [what, page, source, problem] of [
  ['a rule that is pinned', ONE, "test('ABC-1 it is so', run);", undefined],
  ['several rules of one title', `${ONE}- **ABC-2** And so.\n`, "test.serial('ABC-1, ABC-2: both', run);", undefined],
  ['a title from a template', ONE, 'test(`ABC-1 it is ${so}`, run);', undefined],
  ['titles from a table', ONE, "for (const title of ['ABC-1 so', 'ABC-1 or so']) test(title, run);", undefined],
  [
    'a title that is computed around a table',
    ONE,
    "const t = ['ABC-1 so']; t.map((x) => test(`${x} it is`, run));",
    undefined,
  ],
  ['a hook', ONE, "test.before(start); test('ABC-1 x', run); test.after.always(end);", undefined],
  ['a rule for later', `${ONE}- **ABC-2** (later) It will be.\n`, "test('ABC-1 it is so', run);", undefined],
  ['no rule at all', '# Spec\n', "test('ABC-1 it is so', run);", /has no rule/],
  ['no test at all', ONE, 'export {};', /there is no test/],
  [
    'a rule without a test',
    `${ONE}- **ABC-2** And so.\n`,
    "test('ABC-1 it is so', run);",
    /spec\.md:2: no test quotes ABC-2/,
  ],
  ['a skipped test', ONE, "test.skip('ABC-1 it is so', run);", /no test quotes ABC-1/],
  ['a test to be written', ONE, "test.todo('ABC-1 it is so');", /no test quotes ABC-1/],
  [
    'a title without an id',
    ONE,
    "test('ABC-1 x', run);\ntest('it is so', run);",
    /a\.test\.ts:2: "it is so" does not begin/,
  ],
  ['an id in the middle of a title', ONE, "test('it is ABC-1', run);", /does not begin/],
  ['an unknown id', ONE, "test('ABC-1 x', run); test('ABC-7 x', run);", /ABC-7 is no rule/],
  ['a computed title without a table', ONE, "test('ABC-1 x', run); test(title, run);", /the title is computed/],
  ['two rules of one id', ONE + ONE, "test('ABC-1 x', run);", /spec\.md:2: ABC-1 stands at docs\/spec\.md:1/],
  ['a rule without a sentence', '- **ABC-1**\n', "test('ABC-1 x', run);", /has no sentence/],
  ['a malformed id', `${ONE}- **abc-2** So.\n`, "test('ABC-1 x', run);", /"abc-2" is no rule id/],
] as const) {
  test(`CHK-3 ${what} ${problem === undefined ? 'is well' : 'is refused'}`, (t) => {
    const { problems } = compare(page, source);
    if (problem === undefined) t.deepEqual(problems, []);
    else t.regex(problems.join('\n'), problem);
  });
}

test('CHK-3 a comment that cites an unknown rule is refused', (t) => {
  const source = "test('ABC-1 x', run);";
  t.deepEqual(compare(ONE, source, '/** So. Rule: ABC-1. */').problems, []);
  const { problems } = compare(ONE, source, '\n/** So. Rules: ABC-1, ABC-5. UTF-8 is no rule. */');
  t.deepEqual(problems, ['protocol/a.ts:2: cites ABC-5, which is no rule of the specification']);
  const often = compare(ONE, source, '// Rule: ABC-5\n// Rule: ABC-5\n');
  t.deepEqual(often.problems, ['protocol/a.ts:1: cites ABC-5, which is no rule of the specification (and 1 more)']);
});

test('CHK-3 a planned rule that has a test already is a remark', (t) => {
  const { problems, notes } = compare('- **ABC-1** (later) So.\n', "test('ABC-1 x', run);");
  t.deepEqual([problems, notes.length], [[], 1]);
});

test('CHK-3 ids are read from the head of a title alone', (t) => {
  t.deepEqual(idsAtHead('LNK-1 LNK-2: a gap, as in UTF-8'), ['LNK-1', 'LNK-2']);
  t.deepEqual(idsAtHead('a LNK-1'), []);
  t.deepEqual(titlesOf({ path: 'a.ts', text: "other('ABC-1 x', f); t.test('ABC-1 x', f);" }).titles, []);
});

/** Reads from a test's source which rules it pins: an id at the head of each title. */
import ts from 'typescript';
import type { SourceFile } from './source-files.js';

export interface TestTitle {
  /** Rule ids at the head of the title; none when it begins otherwise. */
  ids: string[];
  /** As far as the source tells it. */
  title: string;
  /** From 1. */
  line: number;
  /** Skipped, or still to be written: pins nothing. */
  idle: boolean;
}

export interface TitlesOfFile {
  titles: TestTitle[];
  /** Lines of tests whose title is computed, although the file has no table of titles. */
  untold: number[];
}

/** A rule's id: a chapter in capitals, and a number or a word in capitals. */
export const RULE_ID = /^[A-Z]{2,8}-(?:[1-9][0-9]{0,3}|[A-Z][A-Z0-9]{0,15})$/;

const HOOKS = new Set(['after', 'afterEach', 'before', 'beforeEach', 'macro', 'meta', 'timeout', 'teardown']);
const IDLE = new Set(['skip', 'todo']);
/** What makes a test: ava's own function, and that of a contract suite, which makes one for each implementation. */
const MAKERS = new Set(['test', 'rule']);

/**
 * Titles are the first arguments of `test(…)`, `test.serial(…)`, a suite's `rule(…)` and so on. Where a title is computed, it comes from a table: every text of
 * the file that begins with an id is then taken for one.
 */
export function titlesOf(file: SourceFile): TitlesOfFile {
  const source = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2022, true);
  const lineOf = (node: ts.Node): number => source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
  const titles: TestTitle[] = [];
  const tabled: TestTitle[] = [];
  const computed: number[] = [];

  const visit = (node: ts.Node): void => {
    const call = ts.isCallExpression(node) ? testCall(node) : undefined;
    if (call !== undefined) {
      const title = headOf(call.title);
      if (title === undefined) computed.push(lineOf(node));
      else titles.push({ ids: idsAtHead(title), title, line: lineOf(node), idle: call.idle });
    } else if (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) {
      const title = headOf(node) ?? '';
      const ids = idsAtHead(title);
      const isTitle = ts.isCallExpression(node.parent) && testCall(node.parent)?.title === node;
      if (ids.length > 0 && !isTitle) tabled.push({ ids, title, line: lineOf(node), idle: false });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  if (computed.length === 0) return { titles, untold: [] };
  return { titles: [...titles, ...tabled], untold: tabled.length === 0 ? computed : [] };
}

/** Rule ids at the head of `title`, which may be several: `LNK-1 LNK-2 a gap is seen`. */
export function idsAtHead(title: string): string[] {
  const ids: string[] = [];
  for (const word of title.split(' ')) {
    const id = word.replace(/[,:]$/, '');
    if (!RULE_ID.test(id)) break;
    ids.push(id);
  }
  return ids;
}

/** What `node` says about a test, if it makes one. */
function testCall(node: ts.CallExpression): { title: ts.Expression; idle: boolean } | undefined {
  const names: string[] = [];
  let callee: ts.Expression = node.expression;
  while (ts.isPropertyAccessExpression(callee)) {
    names.push(callee.name.text);
    callee = callee.expression;
  }
  if (!ts.isIdentifier(callee) || !MAKERS.has(callee.text)) return undefined;
  const title = node.arguments[0];
  if (title === undefined || names.some((name) => HOOKS.has(name))) return undefined;
  return { title, idle: names.some((name) => IDLE.has(name)) };
}

/** The text of a title, or how it begins if it is a template; `undefined` when the source does not tell. */
function headOf(title: ts.Expression): string | undefined {
  if (ts.isStringLiteralLike(title)) return title.text;
  if (ts.isTemplateExpression(title) && title.head.text !== '') return title.head.text;
  return undefined;
}

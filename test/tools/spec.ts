/** Compares the specification with the tests: every rule is pinned by a test, and every test says which rule it pins. */
import type { SourceFile } from './source-files.js';
import { RULE_ID, titlesOf } from './test-titles.js';

export interface SpecInput {
  /** `docs/spec.md` and what stands in `docs/spec/`. */
  pages: readonly SourceFile[];
  /** The tests, whole. */
  tests: readonly SourceFile[];
  /** Everything else that names rules in its comments, as `Rule: LNK-1.` */
  sources: readonly SourceFile[];
}

export interface SpecReport {
  /** One line for each thing that is wrong. Empty: all is well. */
  problems: string[];
  /** Remarks that fail nothing. */
  notes: string[];
  rules: number;
  /** Rules that are planned. */
  later: number;
  titles: number;
}

interface Rule {
  place: string;
  later: boolean;
}

export function compareSpec(input: SpecInput): SpecReport {
  const report: SpecReport = { problems: [], notes: [], rules: 0, later: 0, titles: 0 };
  const rules = readRules(input.pages, report);
  report.rules = rules.size;
  report.later = [...rules.values()].filter(({ later }) => later).length;
  if (rules.size === 0)
    report.problems.push(
      'the specification (docs/spec.md, docs/spec/) has no rule: a rule is a line like "- **LNK-1** sentence"',
    );

  const quoted = readTitles(input.tests, rules, report);
  if (report.titles === 0) report.problems.push('there is no test');
  for (const [id, { place, later }] of rules) {
    if (!later && !quoted.has(id)) report.problems.push(`${place}: no test quotes ${id}`);
    if (later && quoted.has(id)) report.notes.push(`${place}: ${id} is marked (later), but a test quotes it already`);
  }
  checkCitations(input.sources, rules, report);
  return report;
}

const RULE_LINE = /^- \*\*([^*]+)\*\*(.*)$/;

function readRules(pages: readonly SourceFile[], report: SpecReport): Map<string, Rule> {
  const rules = new Map<string, Rule>();
  for (const { path, text } of pages) {
    for (const [index, line] of text.split('\n').entries()) {
      const match = RULE_LINE.exec(line);
      if (match === null) continue;
      const [, id = '', rest = ''] = match;
      const place = `${path}:${index + 1}`;
      const later = /^\s*\(later\)/.test(rest);
      const sentence = rest.replace(/^\s*\(later\)/, '').trim();
      const before = rules.get(id);
      if (!RULE_ID.test(id)) report.problems.push(`${place}: "${id}" is no rule id such as LNK-1`);
      else if (before !== undefined) report.problems.push(`${place}: ${id} stands at ${before.place} already`);
      else if (sentence === '') report.problems.push(`${place}: ${id} has no sentence`);
      else rules.set(id, { place, later });
    }
  }
  return rules;
}

function readTitles(tests: readonly SourceFile[], rules: ReadonlyMap<string, Rule>, report: SpecReport): Set<string> {
  const quoted = new Set<string>();
  for (const file of tests) {
    const { titles, untold } = titlesOf(file);
    report.titles += titles.length;
    for (const line of untold) {
      report.problems.push(
        `${file.path}:${line}: the title is computed, and no text of the file begins with a rule's id`,
      );
    }
    for (const { ids, title, line, idle } of titles) {
      if (ids.length === 0) report.problems.push(`${file.path}:${line}: "${title}" does not begin with a rule's id`);
      for (const id of ids) {
        if (!rules.has(id)) report.problems.push(`${file.path}:${line}: ${id} is no rule of the specification`);
        else if (!idle) quoted.add(id);
      }
    }
  }
  return quoted;
}

const CITATION = /\bRules?: ([A-Z][A-Z0-9, -]+[A-Z0-9])/g;

/** One line for each unknown rule, however often it is cited. */
function checkCitations(sources: readonly SourceFile[], rules: ReadonlyMap<string, Rule>, report: SpecReport): void {
  const places = new Map<string, string[]>();
  for (const { path, text } of sources) {
    for (const [index, line] of text.split('\n').entries()) {
      for (const [, list = ''] of line.matchAll(CITATION)) {
        const unknown = list.split(/[, ]+/).filter((id) => RULE_ID.test(id) && !rules.has(id));
        for (const id of unknown) places.set(id, [...(places.get(id) ?? []), `${path}:${index + 1}`]);
      }
    }
  }
  for (const [id, [first, ...others]] of places) {
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
    report.problems.push(`${first}: cites ${id}, which is no rule of the specification${more}`);
  }
}

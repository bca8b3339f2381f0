/** Scalars, ranges and sets as people write them; what resources and attributes have in common. Source: the text form of Mesos. */
import { normalizeRanges } from './ranges.js';
import type { Range } from './resource.js';

/** A text that cannot be read. The message says which part and why. */
export class ParseError extends Error {
  override readonly name = 'ParseError';
}

/** A value with its type. Scalars as written, ranges normalized, items of a set sorted. */
export type ParsedValue =
  | { readonly type: 'SCALAR'; readonly scalar: number }
  | { readonly type: 'RANGES'; readonly ranges: readonly Range[] }
  | { readonly type: 'SET'; readonly items: readonly string[] }
  | { readonly type: 'TEXT'; readonly text: string };

/** The parts of `text` between semicolons, without the empty ones. */
export function splitEntries(text: string): string[] {
  return text
    .split(';')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/**
 * Reads `0.5`, `[1-3,7-9]` (or `[7]`), `{a,b}`; anything else is text.
 *
 * @throws ParseError for brackets whose inside cannot be read, and for overlapping ranges or repeated items.
 */
export function parseValue(text: string): ParsedValue {
  const value = text.trim();
  if (/^[+-]?(\d+(\.\d*)?|\.\d+)$/.test(value)) return { type: 'SCALAR', scalar: Number(value) };
  if (value.startsWith('[')) return { type: 'RANGES', ranges: parseRanges(value) };
  if (value.startsWith('{')) return { type: 'SET', items: parseItems(value) };
  return { type: 'TEXT', text: value };
}

/** What is between the brackets `open` and `close`, split at commas. */
function inside(value: string, close: string, what: string): string[] {
  if (!value.endsWith(close)) throw new ParseError(`'${value}' is not a ${what}: it does not end with '${close}'`);
  const inner = value.slice(1, -1).trim();
  return inner === '' ? [] : inner.split(',').map((part) => part.trim());
}

function parseRanges(value: string): readonly Range[] {
  const ranges = inside(value, ']', 'list of ranges').map((part) => {
    const match = /^(\d+)(?:\s*-\s*(\d+))?$/.exec(part);
    if (match === null) throw new ParseError(`'${part}' in '${value}' is not a range such as 31000-32000`);
    const begin = Number(match[1]);
    const end = Number(match[2] ?? match[1]);
    if (!Number.isSafeInteger(begin) || !Number.isSafeInteger(end))
      throw new ParseError(`'${part}' in '${value}' is too large: numbers go up to ${Number.MAX_SAFE_INTEGER}`);
    if (begin > end) throw new ParseError(`range '${part}' in '${value}' begins above its end`);
    return { begin, end };
  });
  const overlap = overlapOf(ranges);
  if (overlap !== undefined) throw new ParseError(`'${value}' has ${overlap} more than once`);
  return normalizeRanges(ranges);
}

function parseItems(value: string): readonly string[] {
  const items = inside(value, '}', 'set').sort(compareText);
  for (let i = 0; i < items.length; i++) {
    if (items[i] === '') throw new ParseError(`'${value}' has an empty item`);
    if (items[i] === items[i + 1]) throw new ParseError(`'${value}' has '${items[i]}' more than once`);
  }
  return items;
}

/** A number that is in two of the intervals, which may come in any order; `undefined` when none is. */
export function overlapOf(ranges: readonly Range[]): number | undefined {
  const sorted = ranges.slice().sort((a, b) => a.begin - b.begin);
  let reached = -1;
  for (const { begin, end } of sorted) {
    if (begin <= reached) return begin;
    reached = Math.max(reached, end);
  }
  return undefined;
}

/** `[1-3,7-7]`. */
export function formatRanges(ranges: readonly Range[]): string {
  return `[${ranges.map(({ begin, end }) => `${begin}-${end}`).join(',')}]`;
}

/** `{a,b}`. */
export function formatItems(items: readonly string[]): string {
  return `{${items.join(',')}}`;
}

/** Order by code units: the same on every machine, whatever its language. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

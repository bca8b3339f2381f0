/** Lists of any length, a page at a time: in the order of their ids, from behind the last id of the page before. Rule: OPR-4. */
import { encodeValue } from '../../protocol/codec.js';
import { byCodeUnits } from '../../protocol/digest.js';
import { MAX_PAGE_BYTES, MAX_PAGE_ROWS } from '../../protocol/limits.js';
import type { PageRequest } from '../../protocol/operator-api.js';

/** A list whose rows are made into views only for the page that shows them. */
export interface List<Row, View> {
  readonly rows: Iterable<Row>;
  readonly idOf: (row: Row) => string;
  readonly view: (row: Row) => View;
}

/** How far the pages before have come: into which of the lists, and behind which id there. */
interface Place {
  readonly list: number;
  readonly id: string;
}

function placeOf(cursor: string | undefined): Place {
  const [, list, id] = /^(\d):(.*)$/s.exec(cursor ?? '') ?? [];
  return list === undefined || id === undefined ? { list: 0, id: '' } : { list: Number(list), id };
}

/**
 * The next page of two lists, the first before the second. A row that comes or goes between two pages is or is not there;
 * every other is there once.
 */
export function pageOf<A, B, ViewA, ViewB>(
  first: List<A, ViewA>,
  second: List<B, ViewB>,
  request: PageRequest = {},
): { readonly first: ViewA[]; readonly second: ViewB[]; readonly next?: string } {
  const from = placeOf(request.cursor);
  const room = { rows: Math.min(request.limit ?? MAX_PAGE_ROWS, MAX_PAGE_ROWS), bytes: MAX_PAGE_BYTES };
  const one = from.list > 0 ? { views: [] } : take(first, from.id, room);
  if (one.last !== undefined) return { first: one.views, second: [], next: `0:${one.last}` };
  const two = take(second, from.list > 0 ? from.id : '', room);
  return { first: one.views, second: two.views, ...(two.last !== undefined && { next: `1:${two.last}` }) };
}

/** An empty second list. */
export const NO_ROWS: List<never, never> = { rows: [], idOf: (row) => row, view: (row) => row };

/** What fits; `last` is set when something is left. A page has room for one row at least, or nobody would get on. */
function take<Row, View>(
  { rows, idOf, view }: List<Row, View>,
  after: string,
  room: { rows: number; bytes: number },
): { readonly views: View[]; readonly last?: string } {
  const left = [...rows].filter((row) => byCodeUnits(idOf(row), after) > 0);
  left.sort((a, b) => byCodeUnits(idOf(a), idOf(b)));
  const views: View[] = [];
  let last = after;
  for (const row of left) {
    if (room.rows <= 0 || room.bytes <= 0) return { views, last };
    const shown = view(row);
    room.rows -= 1;
    room.bytes -= encodeValue(shown).length;
    views.push(shown);
    last = idOf(row);
  }
  return { views };
}

/** Resources as people write and read them. Source: the text form of Mesos. Rules: RES-9, RES-10. */
import { roleError } from './framework.js';
import type { Range, Resource } from './resource.js';
import { overlapError, resourcesError } from './resource-check.js';
import type { Entry } from './resource-entries.js';
import { stackOf } from './resource-identity.js';
import { fromThousandths } from './resource-value.js';
import { formatItems, formatRanges, ParseError, parseValue, splitEntries } from './value-text.js';

/**
 * Reads `cpus:4;mem(ads):512;ports:[31000-32000];zones:{a,b}`; a role in parentheses is a static reservation, entries without one get
 * that of `defaultRole`. White space does not matter.
 *
 * @throws ParseError that quotes the entry.
 */
export function parseResources(text: string, defaultRole: string): Resource[] {
  const problem = roleError(defaultRole);
  if (problem !== undefined) throw new ParseError(problem);
  const resources = splitEntries(text).map((entry) => parseEntry(entry, defaultRole));
  const types = new Map<string, string>();
  for (const { name, type } of resources) {
    const other = types.get(name);
    if (other !== undefined && other !== type)
      throw new ParseError(`resource '${name}' is given as ${other} and as ${type}`);
    types.set(name, type);
  }
  const error = resourcesError(resources) ?? overlapError(resources);
  if (error !== undefined) throw new ParseError(error);
  return resources;
}

function parseEntry(entry: string, defaultRole: string): Resource {
  const match = /^([^:()]*)(?:\(([^()]*)\)\s*)?:(.*)$/s.exec(entry);
  if (match === null) throw new ParseError(`'${entry}' is not of the form name:value or name(role):value`);
  const name = match[1]!.trim();
  if (name === '') throw new ParseError(`'${entry}' has no name`);
  const role = match[2]?.trim() ?? defaultRole;
  const problem = roleError(role);
  if (problem !== undefined) throw new ParseError(`in '${entry}': ${problem}`);
  const head: Pick<Resource, 'name' | 'reservations'> =
    role === '*' ? { name } : { name, reservations: [{ type: 'STATIC', role }] };
  const value = parseEntryValue(entry, match[3]!);
  switch (value.type) {
    case 'SCALAR':
      return { ...head, type: 'SCALAR', scalar: { value: value.scalar } };
    case 'RANGES':
      return { ...head, type: 'RANGES', ranges: { range: value.ranges.slice() } };
    case 'SET':
      return { ...head, type: 'SET', set: { item: value.items.slice() } };
    case 'TEXT':
      throw new ParseError(
        value.text === ''
          ? `'${entry}' has no value`
          : `'${value.text}' in '${entry}' is not a number, [ranges] or a {set}`,
      );
  }
}

function parseEntryValue(entry: string, text: string): ReturnType<typeof parseValue> {
  try {
    return parseValue(text);
  } catch (error) {
    throw error instanceof ParseError ? new ParseError(`in '${entry}': ${error.message}`) : error;
  }
}

/** The amount as `parseResources` reads it: `0.1`, `[1-3]`, `{a,b}`. */
export function formatValue({ id, value }: Pick<Entry, 'id' | 'value'>): string {
  if (id.type === 'RANGES') return formatRanges(value as readonly Range[]);
  if (id.type === 'SET') return formatItems(value as readonly string[]);
  return String(fromThousandths(value as number));
}

/**
 * `cpus:0.1`. What is more than that is marked: `(ads)` a static reservation, `(ads dynamic)`, `(ads > ads/web)` a stack; `[id:path]` a
 * volume or disk source; `{revocable}`; `{shared}`; `×2` copies. The allocation role is left out, as it is the same for all of a list.
 */
export function formatEntry(entry: Entry): string {
  const { id, copies } = entry;
  const stack = stackOf(id).map(({ type, role }) => (type === 'DYNAMIC' ? `${role ?? '?'} dynamic` : (role ?? '?')));
  const { disk } = id.wire;
  return [
    id.name,
    stack.length > 0 ? `(${stack.join(' > ')})` : '',
    disk === undefined ? '' : `[${formatDisk(disk)}]`,
    id.revocable ? '{revocable}' : '',
    id.shared ? '{shared}' : '',
    `:${formatValue(entry)}`,
    copies > 1 ? ` ×${copies}` : '',
  ].join('');
}

function formatDisk({ persistence, volume, source }: NonNullable<Resource['disk']>): string {
  const root = source?.path?.root ?? source?.mount?.root ?? source?.id;
  const parts = [
    source && (root === undefined ? source.type : `${source.type}:${root}`),
    persistence && (volume === undefined ? persistence.id : `${persistence.id}:${volume.containerPath}`),
  ];
  return parts.filter((part) => part !== undefined).join(',');
}

/** Any message as text that people can read. Pure. Rule: CLI-3. */
import { hex } from '../protocol/ids.js';
import { Resources } from '../protocol/resources.js';
import type { Resource } from '../protocol/resource.js';
import type { Paint } from './output.js';

/** Values as JSON has them: bytes as hexadecimal text, or their number where there are many. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.length <= 64 ? hex(value) : `${value.length} bytes`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
}

const isTime = (value: unknown): value is { nanoseconds: number } =>
  typeof value === 'object' && value !== null && Object.keys(value).join() === 'nanoseconds';

const isResources = (value: unknown): value is Resource[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every(
    (item) =>
      typeof item === 'object' &&
      item !== null &&
      'name' in item &&
      ('scalar' in item || 'ranges' in item || 'set' in item),
  );

/** Times, spans and resources in one line; `undefined` for what has members to show. */
function short(key: string, value: unknown): string | undefined {
  if (isTime(value)) {
    const { nanoseconds } = value;
    return /time$/i.test(key) ? new Date(nanoseconds / 1e6).toISOString() : `${nanoseconds / 1e9}s`;
  }
  if (key === 'timestamp' && typeof value === 'number') return new Date(value * 1_000).toISOString();
  if (isResources(value)) return Resources.of(value).toString();
  if (Array.isArray(value) && value.length === 0) return 'none';
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return value.map(String).join(', ');
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0 ? 'yes' : undefined;
  return String(value);
}

/** One member a line, what is within a member further to the right. */
export function tree(value: unknown, paint: Paint, indent = '  '): string {
  const entries: [string, unknown][] = Array.isArray(value)
    ? value.map((item, i) => [`${i + 1}`, item])
    : Object.entries(value as Record<string, unknown>);
  return entries
    .map(([key, member]) => {
      const text = short(key, member);
      const label = `${indent}${paint('dim', `${key}:`)}`;
      return text === undefined ? `${label}\n${tree(member, paint, `${indent}  `)}` : `${label} ${text}`;
    })
    .join('\n');
}

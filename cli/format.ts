/** Values as people read them. Pure. Rule: CLI-3. */
import { fromThousandths, Resources } from '../protocol/resources.js';
import type { Resource } from '../protocol/resource.js';
import type { TaskStatus } from '../protocol/task.js';
import { formatRanges } from '../protocol/value-text.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span in its largest whole unit: `3s`, `5m`, `2h`, `4d`. */
export function span(ms: number): string {
  const [unit, name] = ms < MINUTE ? [SECOND, 's'] : ms < HOUR ? [MINUTE, 'm'] : ms < DAY ? [HOUR, 'h'] : [DAY, 'd'];
  return `${Math.max(0, Math.floor(ms / (unit as number)))}${name}`;
}

/** `3s ago`; `-` for a time that is not known. */
export const ago = (atMs: number | undefined, nowMs: number): string =>
  atMs === undefined ? '-' : `${span(nowMs - atMs)} ago`;

/** Megabytes as `512M`, `6.0G`, `1.5T`. */
export function megabytes(amount: number): string {
  if (amount < 1024) return `${Number(amount.toFixed(1))}M`;
  const [value, unit] = amount < 1024 ** 2 ? [amount / 1024, 'G'] : [amount / 1024 ** 2, 'T'];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}${unit}`;
}

const FIRST = ['cpus', 'mem', 'disk'];
const rankOf = (name: string): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);

/** `0.1cpu 32M :31000`, the shortest that says it. */
export function shortResources(list: readonly Resource[] | undefined): string {
  const resources = Resources.of(list);
  const parts: string[] = [];
  const quantities = [...resources.quantities()].sort(([a], [b]) => rankOf(a) - rankOf(b));
  for (const [name, thousandths] of quantities) {
    const amount = fromThousandths(thousandths);
    if (name === 'cpus') parts.push(`${amount}cpu`);
    else if (name === 'mem') parts.push(megabytes(amount));
    else if (name === 'disk') parts.push(`${megabytes(amount)} disk`);
    else parts.push(`${name}:${amount}`);
  }
  const ports = resources.ranges('ports');
  if (ports.length > 0)
    parts.push(
      `:${formatRanges(ports)
        .slice(1, -1)
        .replaceAll(/\b(\d+)-\1\b/g, '$1')}`,
    );
  return parts.length === 0 ? '-' : parts.join(' ');
}

/** Resources for programs: amounts by name, ranges and sets in their text form. */
export function resourcesRecord(list: readonly Resource[] | undefined): Record<string, number | string> {
  const resources = Resources.of(list).unallocate();
  const record: Record<string, number | string> = {};
  for (const [name, thousandths] of resources.quantities()) record[name] = fromThousandths(thousandths);
  for (const { name, type, set } of resources.toArray()) {
    if (type === 'RANGES') record[name] = formatRanges(resources.ranges(name));
    if (type === 'SET') record[name] = `{${(set?.item ?? []).join(',')}}`;
  }
  return record;
}

/** `FINISHED`: a state without the prefix that all share. */
export const shortState = (state: string): string => state.replace(/^TASK_/, '');

/** How a task ended, in a few words: `0`, `3`, `SIGKILL`, or why there is neither. */
export function shortEnd(status: TaskStatus | undefined): string {
  if (status === undefined) return '';
  if (status.exitSignal !== undefined) return status.exitSignal;
  if (status.exitCode !== undefined) return String(status.exitCode);
  return '';
}

/** The first part of a text, with a mark where the rest was. */
export const cut = (text: string, most: number): string => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);

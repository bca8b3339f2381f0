/** One message in one line: who to whom, what, and the ids that matter. Pure. Rule: TAP-2. */
import { hex } from '../protocol/ids.js';
import { cut } from './format.js';
import type { Paint } from './output.js';
import type { Tapped } from './tap-message.js';

/** Members that a reader looks for, in this order; nested ones are found wherever they are. */
const SHOWN = [
  'taskId',
  'state',
  'exitCode',
  'exitSignal',
  'reason',
  'launchId',
  'frameworkId',
  'agentId',
  'offerId',
  'masterId',
  'code',
  'path',
  'message',
] as const;
const SHOWN_SET: ReadonlySet<string> = new Set(SHOWN);
/** What holds rows of its own: told by their number. */
const COUNTED: ReadonlySet<string> = new Set([
  'taskInfos',
  'tasks',
  'offers',
  'offerIds',
  'launches',
  'agents',
  'frameworks',
  'completedTasks',
  'completedFrameworks',
  'fileInfos',
]);
/** Descriptions that repeat what the reader knows. */
const PASSED_OVER: ReadonlySet<string> = new Set([
  'frameworkInfo',
  'agentInfo',
  'command',
  'masterInfo',
  'resources',
  'containerStatus',
]);

const LONGEST_VALUE = 60;
const DEEPEST = 6;

/** `taskId=x state=TASK_RUNNING taskInfos=3`. */
export function detailsOf(body: unknown): string {
  const found = new Map<string, string>();
  const counts = new Map<string, number>();
  const visit = (value: unknown, depth: number): void => {
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array || depth > DEEPEST) return;
    for (const [key, member] of Object.entries(value)) {
      if (PASSED_OVER.has(key)) continue;
      if (Array.isArray(member)) {
        if (COUNTED.has(key)) counts.set(key, (counts.get(key) ?? 0) + member.length);
        // A list of one thing is that thing.
        if (member.length === 1 || !COUNTED.has(key)) for (const item of member) visit(item, depth + 1);
      } else if (SHOWN_SET.has(key) && (typeof member === 'string' || typeof member === 'number')) {
        if (!found.has(key)) found.set(key, String(member));
      } else if (key === 'data' && member instanceof Uint8Array) counts.set('bytes', member.length);
      else visit(member, depth + 1);
    }
  };
  visit(body, 0);
  const parts = SHOWN.flatMap((key) => {
    const value = found.get(key);
    return value === undefined
      ? []
      : [`${key}=${cut(value.includes(' ') ? JSON.stringify(value) : value, LONGEST_VALUE)}`];
  });
  return [...parts, ...[...counts].map(([key, count]) => `${key}=${count}`)].join(' ');
}

const pad = (value: number, digits: number): string => String(value).padStart(digits, '0');

/** Time of day, where the reader is. */
export function clockTime(atMs: number): string {
  const date = new Date(atMs);
  return `${pad(date.getHours(), 2)}:${pad(date.getMinutes(), 2)}:${pad(date.getSeconds(), 2)}.${pad(date.getMilliseconds(), 3)}`;
}

/** `09:05:47.534  agent a3 → master  STATUS_UPDATE  taskId=…  #a3-x-12 ← m1-y-3`, deeper ones further to the right. */
export function tapLine(message: Tapped, paint: Paint, depth = 0): string {
  const { atMs, from, to, type, envelope, problem, bytes, parts, subject, raw } = message;
  const head = `${paint('dim', clockTime(atMs))}  ${'  '.repeat(depth)}`;
  const ends = `${from ?? '?'} → ${to ?? '?'}`;
  if (envelope === undefined) {
    const sample = hex(raw.subarray(0, 16));
    return `${head}${ends}  ${paint('red', type ?? '?')}  ${bytes} bytes on ${cut(subject, 120)} cannot be read: ${problem} [${sample}${raw.length > 16 ? '…' : ''}]`;
  }
  const details = detailsOf(envelope.body);
  const cause = envelope.cause === undefined ? '' : ` ← ${envelope.cause}`;
  const size = parts > 1 ? `  ${bytes} bytes in ${parts} parts` : '';
  return `${head}${ends}  ${paint('bold', type ?? '?')}${details === '' ? '' : `  ${details}`}${size}  ${paint('dim', `#${envelope.id}${cause}`)}`;
}

/** The subject and the bytes as they came. */
export function rawLine({ atMs, subject, raw }: Tapped, paint: Paint): string {
  return `${paint('dim', clockTime(atMs))}  ${subject}  ${raw.length}  ${hex(raw)}`;
}

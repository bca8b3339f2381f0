/** Events and effects in words: short and stable for the hash, long for a reader. */
import type { Effects } from '../../actors/effect.js';
import { hex } from '../../protocol/ids.js';
import type { HostEvent } from '../../runtime/actor-host.js';

/** What goes into the trace's hash for one step. */
export function mark(host: string, event: HostEvent, effects: Effects): string {
  const { meta, requestId, containerId } = event as {
    meta?: { id: string; sequence: number };
    requestId?: number;
    containerId?: string;
  };
  let text = `${host} ${event.type} ${meta === undefined ? (requestId ?? containerId ?? '') : `${meta.id} ${meta.sequence}`}`;
  for (const effect of effects) text += ` ${effect.type === 'publish' ? effect.message : effect.type}`;
  return text;
}

const brief = (_key: string, value: unknown): unknown => {
  if (value instanceof Uint8Array) return hex(value).slice(-12);
  if (typeof value === 'string' && value.length > 80) return `${value.slice(0, 40)}…`;
  if (Array.isArray(value) && value.length > 20) return [...(value as unknown[]).slice(0, 20), `… ${value.length}`];
  return value;
};

/** Everything that a reader of the story may want. */
export function describe(what: object): string {
  const { type, now: _now, random: _random, ...rest } = what as { type: string; now?: number; random?: number };
  return `${type} ${JSON.stringify(rest, brief)}`.slice(0, 1_200);
}

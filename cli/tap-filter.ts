/** Which messages a tap shows, and how deep they are in their chain of causes. Pure. Rule: TAP-3. */
import type { Tapped } from './tap-message.js';

export interface TapOptions {
  readonly type?: readonly string[];
  readonly task?: string;
  readonly from?: string;
  readonly to?: string;
  readonly chain?: string;
  readonly heartbeats?: boolean;
}

/** Said all the time, and of interest to few. */
const HEARTBEATS: ReadonlySet<string> = new Set(['PING', 'PONG', 'HEARTBEAT', 'LOOPBACK']);
/** Causes that are remembered. */
const MOST_REMEMBERED = 20_000;

/** Whether an end is the role or the name asked for: `agent`, `a1`, `agent a1`. */
export function isEnd(end: string | undefined, asked: string): boolean {
  if (end === undefined) return false;
  const [role, name] = end.split(' ');
  return end === asked || role === asked || name === asked;
}

/** Whether an id stands anywhere in a body. */
export function mentions(value: unknown, id: string): boolean {
  if (value === id) return true;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  return Object.values(value).some((member) => mentions(member, id));
}

/** Says of each message, in the order in which they come, which ones are to be shown now. */
export class TapFilter {
  readonly #options: TapOptions;
  readonly #types: ReadonlySet<string> | undefined;
  /** Depth in the chain of causes, by message id. */
  readonly #depths = new Map<string, number>();
  /** Messages of the chain that is asked for. */
  readonly #chain = new Set<string>();
  /** What may turn out to have led to it. */
  readonly #before = new Map<string, Tapped>();

  constructor(options: TapOptions) {
    this.#options = options;
    this.#types = options.type === undefined ? undefined : new Set(options.type.map((type) => type.toUpperCase()));
    if (options.chain !== undefined) this.#chain.add(options.chain);
  }

  /** The message itself or nothing; of a chain also what led to it, before it. */
  take(message: Tapped): readonly { readonly message: Tapped; readonly depth: number }[] {
    const depth = this.#note(message);
    const shown = this.#options.chain === undefined ? [message] : this.#ofChain(message);
    return shown
      .filter((one) => this.#isAsked(one))
      .map((one) => ({ message: one, depth: one === message ? depth : this.#depthOf(one.envelope?.id) }));
  }

  #note({ envelope }: Tapped): number {
    if (envelope === undefined) return 0;
    const { id, cause } = envelope;
    const depth = cause === undefined || !this.#depths.has(cause) ? 0 : this.#depthOf(cause) + 1;
    remember(this.#depths, id, depth);
    return depth;
  }

  #depthOf(id: string | undefined): number {
    return (id === undefined ? undefined : this.#depths.get(id)) ?? 0;
  }

  #ofChain(message: Tapped): Tapped[] {
    const { envelope } = message;
    if (envelope === undefined) return [];
    const { id, cause } = envelope;
    const isOf = this.#chain.has(id) || (cause !== undefined && this.#chain.has(cause));
    if (!isOf) {
      remember(this.#before, id, message);
      return [];
    }
    this.#chain.add(id);
    const led: Tapped[] = [];
    for (let at = cause === undefined ? undefined : this.#before.get(cause); at !== undefined;) {
      led.unshift(at);
      const own = at.envelope;
      if (own === undefined) break;
      this.#chain.add(own.id);
      this.#before.delete(own.id);
      at = own.cause === undefined ? undefined : this.#before.get(own.cause);
    }
    return [...led, message];
  }

  #isAsked({ type, from, to, envelope }: Tapped): boolean {
    const { task, from: whose, to: whom, heartbeats = false } = this.#options;
    if (type !== undefined && HEARTBEATS.has(type) && !heartbeats && this.#types?.has(type) !== true) return false;
    if (this.#types !== undefined && (type === undefined || !this.#types.has(type))) return false;
    if (whose !== undefined && !isEnd(from, whose)) return false;
    if (whom !== undefined && !isEnd(to, whom)) return false;
    return task === undefined || (envelope !== undefined && mentions(envelope.body, task));
  }
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.set(key, value);
  const oldest = map.keys().next().value;
  if (map.size > MOST_REMEMBERED && oldest !== undefined) map.delete(oldest);
}

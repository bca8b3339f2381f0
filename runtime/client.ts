/** Requests of an operator: to the leading master and to agents. For commands and tools, outside every actor. */
import { decodeMessage, encodeMessage, PartsJoiner } from '../protocol/codec.js';
import { ERRORS, type ErrorBody, type ErrorCode } from '../protocol/errors.js';
import { NO_SESSION } from '../protocol/ids.js';
import { bodyCheck } from '../protocol/messages.js';
import type {
  AgentOperatorAnswerBody,
  AgentOperatorCallBody,
  agentOperatorCalls,
  OperatorAnswerBody,
  OperatorCallBody,
  operatorCalls,
} from '../protocol/operator-api.js';
import { buildSubject, inboxPrefix, probeSubject, type Address } from '../protocol/subjects.js';
import type { LeadingBody } from '../protocol/master-api.js';
import type { Ports } from './ports.js';

export { sandboxOf } from '../actors/framework/container-of.js';

/** The cluster answered with an error, or did not answer. */
export class RequestFailed extends Error {
  override readonly name = 'RequestFailed';
  constructor(
    readonly code: ErrorCode | 'NO_ANSWER',
    message: string,
  ) {
    super(message);
  }

  /** Whether trying again can help. */
  get retryable(): boolean {
    return this.code === 'NO_ANSWER' || ERRORS[this.code].retryable;
  }
}

const DEFAULT_TIMEOUT_MS = 5_000;

/** Calls that are answered in pages, with the member of their bodies. Rule: OPR-4. */
const LISTS = {
  GET_AGENTS: 'getAgents',
  GET_FRAMEWORKS: 'getFrameworks',
  GET_TASKS: 'getTasks',
  GET_OFFERS: 'getOffers',
} as const;

/** The inside of a body: `OperatorCallBody<'GET_TASKS'>` is `{ getTasks?: … }`. */
type Inside<Body, T extends keyof typeof LISTS> = Body extends { readonly [M in (typeof LISTS)[T]]?: infer I }
  ? NonNullable<I>
  : never;
type ListRequest<T extends keyof typeof LISTS> = Omit<Inside<OperatorCallBody<T>, T>, 'cursor'>;
type ListAnswer<T extends keyof typeof LISTS> = Omit<Inside<OperatorAnswerBody<T>, T>, 'next'>;

export class OperatorClient {
  readonly #ports: Ports;
  readonly #cluster: string;
  readonly #principal: string;
  readonly #instance: string;
  readonly #waiting = new Map<string, (data: Uint8Array) => void>();
  #requests = 0;

  constructor(ports: Ports, cluster: string, principal: string) {
    this.#ports = ports;
    this.#cluster = cluster;
    this.#principal = principal;
    this.#instance = Math.floor(ports.random.next() * 2 ** 48).toString(36);
    ports.transport.subscribe(`${this.#inbox()}.*`, ({ subject, data }) => {
      this.#waiting.get(subject.slice(subject.lastIndexOf('.') + 1))?.(data);
    });
  }

  /** Asks the leading master. Rejects with {@link RequestFailed}. */
  ask<T extends keyof typeof operatorCalls>(
    type: T,
    body: OperatorCallBody<T>,
    timeoutMs = DEFAULT_TIMEOUT_MS,
  ): Promise<OperatorAnswerBody<T>> {
    const to: Address = { row: 'masterOperator', parameters: { principal: this.#principal } };
    return this.#request(to, type, body, timeoutMs, 'The leading master') as Promise<OperatorAnswerBody<T>>;
  }

  /**
   * Asks for a list and for all its further pages; gives them as one answer. Rejects with {@link RequestFailed}.
   * Rows may come and go between two pages.
   */
  async askAll<T extends keyof typeof LISTS>(
    type: T,
    request: ListRequest<T> = {} as ListRequest<T>,
    timeoutMs = DEFAULT_TIMEOUT_MS,
  ): Promise<ListAnswer<T>> {
    const member = LISTS[type];
    const all: Record<string, unknown[]> = {};
    for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
      const asked = { [member]: { ...request, ...(cursor !== undefined && { cursor }) } } as OperatorCallBody<T>;
      const answer = (await this.ask(type, asked, timeoutMs)) as unknown as Record<string, Record<string, unknown>>;
      const { next, ...lists } = answer[member] ?? {};
      for (const [name, rows] of Object.entries(lists)) (all[name] ??= []).push(...(rows as unknown[]));
      cursor = next as string | undefined;
    }
    return all as ListAnswer<T>;
  }

  /** Asks one agent, by its principal. Rejects with {@link RequestFailed}. */
  askAgent<T extends keyof typeof agentOperatorCalls>(
    agentPrincipal: string,
    type: T,
    body: AgentOperatorCallBody<T>,
    timeoutMs = DEFAULT_TIMEOUT_MS,
  ): Promise<AgentOperatorAnswerBody<T>> {
    const to: Address = { row: 'agentOperator', parameters: { agentPrincipal, principal: this.#principal } };
    return this.#request(to, type, body, timeoutMs, `Agent ${agentPrincipal}`) as Promise<AgentOperatorAnswerBody<T>>;
  }

  /** Who leads; `undefined` when nobody does. */
  leader(timeoutMs = 1_000): Promise<LeadingBody | undefined> {
    const head = { type: 'PROBE', sender: this.#principal, session: NO_SESSION, epoch: 0, id: this.#nextId() };
    const [bytes] = encodeMessage({ ...head, body: {} }, () => 0);
    return new Promise((resolve) => {
      this.#ports.transport.request(probeSubject(this.#cluster), bytes as Uint8Array, timeoutMs, (answer) => {
        if (answer.outcome !== 'answered') return resolve(undefined);
        try {
          const { type, body } = decodeMessage(answer.data);
          const fits = type === 'LEADING' && bodyCheck('probe', 'LEADING')?.(body) === undefined;
          resolve(fits ? (body as LeadingBody) : undefined);
        } catch {
          resolve(undefined);
        }
      });
    });
  }

  #inbox(): string {
    return `${inboxPrefix(this.#cluster, 'operator', this.#principal)}.${this.#instance}`;
  }

  #nextId(): string {
    return `${this.#principal}-${this.#instance}-${++this.#requests}`;
  }

  #request(to: Address, type: string, body: unknown, timeoutMs: number, whom: string): Promise<unknown> {
    const id = this.#nextId();
    // Not to be guessed: agents may publish to operators' inboxes.
    const token = `r${Math.floor(this.#ports.random.next() * 2 ** 48).toString(36)}`;
    const head = { type, sender: this.#principal, session: NO_SESSION, epoch: 0, id, body };
    const joiner = new PartsJoiner();
    return new Promise((resolve, reject) => {
      const timer = this.#ports.clock.after(timeoutMs, () => {
        this.#waiting.delete(token);
        reject(new RequestFailed('NO_ANSWER', `${whom} did not answer ${type} within ${timeoutMs / 1000} s.`));
      });
      this.#waiting.set(token, (data) => {
        try {
          // What NATS itself says where nobody listens, unless a tap does.
          if (data.length === 0) throw new RequestFailed('NO_ANSWER', `${whom} is not there.`);
          const answer = joiner.join(token, decodeMessage(data));
          if (answer === undefined || answer.cause !== id) return;
          this.#waiting.delete(token);
          timer.cancel();
          if (answer.type === 'ERROR') {
            const { code, message } = (answer.body as ErrorBody).error;
            reject(new RequestFailed(code, message));
          } else resolve(answer.body);
        } catch (error) {
          this.#waiting.delete(token);
          timer.cancel();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
      const inbox = `${this.#inbox()}.${token}`;
      const subject = buildSubject(this.#cluster, to, type);
      for (const part of encodeMessage(head, () => 0)) this.#ports.transport.publish(subject, part, inbox);
    });
  }
}

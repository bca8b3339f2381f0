/** One simulated NATS core server: connections, subjects and faults, without a socket. Rules: SIM-5, SIM-6. */
import type { Answer, Delivery, Random, Timer, Transport } from '../ports.js';
import { isSubject, SubjectTree } from './subject-tree.js';
import type { Incarnation, VirtualClock } from './virtual-clock.js';

/** The server's limit; a client throws above it. */
const MAX_PAYLOAD_BYTES = 1_048_576;

/** What becomes of one delivery. */
export interface DeliveryVerdict {
  readonly lose?: boolean | undefined;
  readonly delayMs: number;
  /** Delivered a second time, after another `delayMs`. */
  readonly repeat?: boolean | undefined;
  /** May overtake, and be overtaken by, others of the same two connections. */
  readonly reorder?: boolean | undefined;
}

/** The faults, asked once per message and subscription that it reaches. `from` and `to` are names of connections. */
export interface NetworkPolicy {
  decide(from: string, to: string, subject: string): DeliveryVerdict;
  /** How long until the server knows of a subscription, at the latest when the connection publishes; 0 if left out. */
  subscribeDelayMs?(connection: string): number;
}

/** A network without faults: each delivery takes from 0.1 to 1 ms. */
export const calmNetwork = (random: Random): NetworkPolicy => ({
  decide: () => ({ delayMs: 0.1 + 0.9 * random.next() }),
});

/** A message as a checker sees it when it is published. */
export interface TappedMessage {
  readonly now: number;
  /** Connection that published it. */
  readonly from: string;
  readonly subject: string;
  /** To be read at once: the receiver gets these very bytes. */
  readonly data: Uint8Array;
  readonly reply?: string | undefined;
  /** Whether the sender was connected; otherwise the message is lost. */
  readonly left: boolean;
}

/** A message as a checker sees it just before the receiver does. */
export interface TappedDelivery extends Omit<TappedMessage, 'left'> {
  /** Connection that receives it. */
  readonly to: string;
}

/** A client of the network. */
export interface ConnectionOptions {
  /** Name of the connection, such as `master-1` or `master-1/storage`: cuts, policies and taps speak of it. */
  readonly name: string;
  readonly incarnation: Incarnation;
  /** Inboxes of its requests lie under it. */
  readonly inboxPrefix: string;
}

interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply: string | undefined;
}

interface Subscription {
  readonly connection: Connection;
  readonly order: number;
  readonly onDelivery: (delivery: Delivery) => void;
  /** When the server knows of it. */
  activeAtMs: number;
  closed: boolean;
}

/** Every delivery has bytes of its own; the first one has those that were copied from the publisher. */
const copyOf = ({ subject, data, reply }: Message): Message => ({ subject, data: new Uint8Array(data), reply });

/** Names a direction between two connections; no name has a line break. */
const linkName = (from: string, to: string): string => `${from}\n${to}`;

/** All connections of one server. */
export class SimulatedNetwork {
  readonly #tree = new SubjectTree<Subscription>();
  readonly #connections = new Set<Connection>();
  readonly #cuts = new Set<string>();
  readonly #away = new Set<string>();
  readonly #taps: ((message: TappedMessage) => void)[] = [];
  readonly #deliveryTaps: ((delivery: TappedDelivery) => void)[] = [];
  #order = 0;

  constructor(
    readonly clock: VirtualClock,
    public policy: NetworkPolicy,
  ) {}

  /** Connects one life of a node; what it subscribes to ends with that life. While its name is away, it is too. */
  connect(options: ConnectionOptions): Transport {
    const connection = new Connection(this, options);
    this.#connections.add(connection);
    options.incarnation.onEnd(() => {
      this.#connections.delete(connection);
      connection.closeAll();
    });
    return connection;
  }

  /** Calls back for each message at the moment of its publishing, lost or not. */
  tap(onPublished: (message: TappedMessage) => void): void {
    this.#taps.push(onPublished);
  }

  /** Calls back for each delivery at the moment of its arrival. */
  tapDeliveries(onDelivered: (delivery: TappedDelivery) => void): void {
    this.#deliveryTaps.push(onDelivered);
  }

  /** Loses, from now on, all that goes from one connection to another; `*` stands for all. Nobody is told. */
  cut(from: string, to: string): void {
    this.#cuts.add(linkName(from, to));
  }

  /** Takes back a {@link cut} of the same names. */
  heal(from: string, to: string): void {
    this.#cuts.delete(linkName(from, to));
  }

  /** Cuts both ways between two connections; `*` stands for all. */
  cutBoth(one: string, other: string): void {
    this.cut(one, other);
    this.cut(other, one);
  }

  /** Takes back all cuts and brings all connections back. */
  healAll(): void {
    this.#cuts.clear();
    for (const name of [...this.#away]) this.reconnect(name);
  }

  /** Takes a connection's link to the server away: what it publishes and what is on the way to it is lost. */
  disconnect(name: string): void {
    if (this.#away.has(name)) return;
    this.#away.add(name);
    for (const connection of this.#connections) if (connection.name === name) connection.linkNumber++;
  }

  /** Brings it back, with its subscriptions, and tells it so. Does nothing if it was not away. */
  reconnect(name: string): void {
    if (!this.#away.delete(name)) return;
    for (const connection of this.#connections) if (connection.name === name) connection.comeBack();
  }

  /** @internal */
  isConnected(connection: Connection): boolean {
    return !this.#away.has(connection.name);
  }

  /** @internal */
  subscriptionDelayMs(connection: string): number {
    return this.policy.subscribeDelayMs?.(connection) ?? 0;
  }

  /** When the server tells a connection that nobody listens; `undefined` if that does not get through. @internal */
  noRespondersAtMs({ name }: Connection, inbox: string): number | undefined {
    if (this.#away.has(name) || this.#isCut(name, name)) return undefined;
    const { lose, delayMs } = this.policy.decide(name, name, inbox);
    return lose === true ? undefined : this.clock.now() + delayMs;
  }

  /** Puts a subscription into the server's tree. Returns what takes it out. @internal */
  addSubscription(pattern: string, subscription: Omit<Subscription, 'order' | 'closed'>): () => void {
    const added: Subscription = { ...subscription, order: this.#order++, closed: false };
    const remove = this.#tree.add(pattern, added);
    subscription.connection.subscriptions.add(added);
    return () => {
      added.closed = true;
      subscription.connection.subscriptions.delete(added);
      remove();
    };
  }

  /**
   * Publishes for a connection. Returns whether anybody listens there, reached or not.
   * @throws RangeError for a subject with wildcards or spaces, or for data that is too large
   * @internal
   */
  publishFrom(from: Connection, message: Message): boolean {
    if (!isSubject(message.subject)) throw new RangeError(`no subject: ${message.subject}`);
    if (message.data.length > MAX_PAYLOAD_BYTES) throw new RangeError(`message too large: ${message.data.length}`);
    const now = this.clock.now();
    const left = this.isConnected(from);
    for (const tap of this.#taps) tap({ ...message, now, from: from.name, left });
    if (!left) return false;
    from.flushSubscriptions(now);
    const found = this.#tree.match(message.subject);
    if (found.length > 1) found.sort((a, b) => a.order - b.order);
    let heard = false;
    for (const subscription of found) {
      const to = subscription.connection;
      if (!this.isConnected(to) || subscription.activeAtMs > now) continue;
      if (!this.#isCut(from.name, to.name)) this.#send(from, subscription, heard ? copyOf(message) : message);
      heard = true;
    }
    return heard;
  }

  #isCut(from: string, to: string): boolean {
    if (this.#cuts.size === 0) return false;
    for (const one of [from, '*']) for (const other of [to, '*']) if (this.#cuts.has(linkName(one, other))) return true;
    return false;
  }

  #send(from: Connection, subscription: Subscription, message: Message): void {
    const { connection: to } = subscription;
    const verdict = this.policy.decide(from.name, to.name, message.subject);
    if (verdict.lose === true) return;
    const copies = verdict.repeat === true ? 2 : 1;
    for (let copy = 1; copy <= copies; copy++) {
      let dueAtMs = this.clock.now() + verdict.delayMs * copy;
      if (verdict.reorder !== true) {
        dueAtMs = Math.max(dueAtMs, from.lastDueAtMs.get(to) ?? 0);
        from.lastDueAtMs.set(to, dueAtMs);
      }
      const { linkNumber } = to;
      const delivered = copy === 1 ? message : copyOf(message);
      this.clock.schedule(
        dueAtMs,
        () => {
          // A message on its way to a connection that went away meanwhile is lost, though the connection may be back.
          if (to.linkNumber === linkNumber && !subscription.closed) this.#deliver(from, subscription, delivered);
        },
        to.incarnation,
      );
    }
  }

  #deliver(from: Connection, subscription: Subscription, message: Message): void {
    const now = this.clock.now();
    const to = subscription.connection.name;
    for (const tap of this.#deliveryTaps) tap({ ...message, now, from: from.name, to });
    subscription.onDelivery(message);
  }
}

/** One client. Its own state is what a client library keeps: subscriptions, open requests, callbacks. */
class Connection implements Transport {
  readonly name: string;
  readonly incarnation: Incarnation;
  readonly subscriptions = new Set<Subscription>();
  /** When the last message to each other connection arrives: order is kept per pair. */
  readonly lastDueAtMs = new Map<Connection, number>();
  /** Counts the times that it went away. */
  linkNumber = 0;
  readonly #network: SimulatedNetwork;
  readonly #inbox: string;
  readonly #requests = new Map<string, (answer: Answer) => void>();
  readonly #onReconnected: (() => void)[] = [];
  readonly #closes = new Set<() => void>();
  #requestCount = 0;
  /** From when on the server knows of all subscriptions. */
  #flushedAtMs = 0;

  constructor(network: SimulatedNetwork, { name, incarnation, inboxPrefix }: ConnectionOptions) {
    this.#network = network;
    this.name = name;
    this.incarnation = incarnation;
    this.#inbox = `${inboxPrefix}.${incarnation.number}`;
  }

  publish(subject: string, data: Uint8Array, reply?: string): void {
    if (this.incarnation.alive) this.#network.publishFrom(this, copyOf({ subject, data, reply }));
  }

  subscribe(pattern: string, onDelivery: (delivery: Delivery) => void): () => void {
    if (!this.incarnation.alive) return () => undefined;
    const activeAtMs = this.#network.clock.now() + this.#network.subscriptionDelayMs(this.name);
    this.#flushedAtMs = Math.max(this.#flushedAtMs, activeAtMs);
    const remove = this.#network.addSubscription(pattern, { connection: this, onDelivery, activeAtMs });
    const close = (): void => {
      if (this.#closes.delete(close)) remove();
    };
    this.#closes.add(close);
    return close;
  }

  request(subject: string, data: Uint8Array, timeoutMs: number, onAnswer: (answer: Answer) => void): void {
    if (!this.incarnation.alive) return;
    if (this.#requestCount === 0) this.subscribe(`${this.#inbox}.*`, (delivery) => this.#onInbox(delivery));
    const inbox = `${this.#inbox}.${++this.#requestCount}`;
    const timers: Timer[] = [];
    const settle = (answer: Answer): void => {
      if (!this.#requests.delete(inbox)) return;
      for (const timer of timers) timer.cancel();
      onAnswer(answer);
    };
    this.#requests.set(inbox, settle);
    const settleAt = (dueAtMs: number, outcome: 'noResponders' | 'timeout'): void => {
      timers.push(this.#network.clock.schedule(dueAtMs, () => settle({ outcome }), this.incarnation));
    };
    settleAt(this.#network.clock.now() + timeoutMs, 'timeout');
    const heard = this.#network.publishFrom(this, copyOf({ subject, data, reply: inbox }));
    const toldAtMs = heard ? undefined : this.#network.noRespondersAtMs(this, inbox);
    if (toldAtMs !== undefined) settleAt(toldAtMs, 'noResponders');
  }

  onReconnected(callback: () => void): void {
    this.#onReconnected.push(callback);
  }

  /** What a connection publishes comes after its subscriptions: an answer to it must find the inbox. */
  flushSubscriptions(nowMs: number): void {
    if (this.#flushedAtMs <= nowMs) return;
    this.#flushedAtMs = nowMs;
    for (const subscription of this.subscriptions) subscription.activeAtMs = Math.min(subscription.activeAtMs, nowMs);
  }

  /** Subscribes anew at the server, then tells the owner. */
  comeBack(): void {
    const { clock } = this.#network;
    this.#flushedAtMs = clock.now() + this.#network.subscriptionDelayMs(this.name);
    for (const subscription of this.subscriptions) subscription.activeAtMs = this.#flushedAtMs;
    for (const callback of this.#onReconnected) clock.schedule(clock.now(), callback, this.incarnation);
  }

  closeAll(): void {
    for (const close of [...this.#closes]) close();
    this.#requests.clear();
  }

  #onInbox(delivery: Delivery): void {
    this.#requests.get(delivery.subject)?.({ outcome: 'answered', data: delivery.data });
  }
}

import test from 'ava';
import * as fc from 'fast-check';
import { SimulatedNetwork, type DeliveryVerdict, type TappedMessage } from '../../runtime/sim/simulated-network.js';
import { SubjectTree } from '../../runtime/sim/subject-tree.js';
import { Incarnation } from '../../runtime/sim/virtual-clock.js';
import type { Answer, Transport } from '../../runtime/ports.js';
import { bytes, text } from './harness.js';
import { newWorld, START_AT_MS } from './world.js';

type Decide = (from: string, to: string, subject: string) => DeliveryVerdict;

/** A network of which each delivery takes 1 ms unless `decide` says otherwise, and its first connections. */
function network(decide: Decide = () => ({ delayMs: 1 })) {
  const { clock, life } = newWorld();
  const net = new SimulatedNetwork(clock, { decide });
  const join = (name: string, incarnation = life(name)): Transport =>
    net.connect({ name, incarnation, inboxPrefix: `inbox.${name}` });
  /** Subscribes and returns what arrives, with when. */
  const hear = (transport: Transport, pattern: string): [string | undefined, number][] => {
    const heard: [string | undefined, number][] = [];
    transport.subscribe(pattern, ({ data }) => heard.push([text(data), clock.now() - START_AT_MS]));
    return heard;
  };
  return { clock, net, join, hear, settle: () => clock.run(clock.now() + 1_000) };
}

const words = (heard: readonly [string | undefined, number][]): (string | undefined)[] => heard.map(([word]) => word);

test('SIM-5: each delivery takes what the policy says, and order is kept per pair of connections', (t) => {
  const delays = new Map([['first', 50], ['second', 1]]); // prettier-ignore
  const { join, hear, settle } = network((from, _to, subject) => ({
    delayMs: from === 'b' ? 5 : (delays.get(subject) as number),
  }));
  const [a, b, c] = [join('a'), join('b'), join('c')];
  const heard = hear(c, '*');
  a.publish('first', bytes('a1'));
  a.publish('second', bytes('a2'));
  b.publish('first', bytes('b1'));
  settle();
  t.deepEqual(heard, [['b1', 5], ['a1', 50], ['a2', 50]]); // prettier-ignore
});

test('SIM-5: the policy may lose, repeat and reorder', (t) => {
  const verdicts = new Map<string, DeliveryVerdict>([
    ['lost', { delayMs: 1, lose: true }],
    ['twice', { delayMs: 2, repeat: true }],
    ['slow', { delayMs: 50, reorder: true }],
    ['late', { delayMs: 10 }],
    ['fast', { delayMs: 1, reorder: true }],
  ]);
  const { join, hear, settle } = network((_from, _to, subject) => verdicts.get(subject) as DeliveryVerdict);
  const a = join('a');
  const heard = hear(join('b'), '>');
  for (const word of verdicts.keys()) a.publish(word, bytes(word));
  settle();
  t.deepEqual(heard, [['fast', 1], ['twice', 2], ['twice', 4], ['late', 10], ['slow', 50]]); // prettier-ignore
});

test('SIM-5: bytes are copied: neither sender nor receivers share them', (t) => {
  const { join, settle } = network();
  const [a, b, c] = [join('a'), join('b'), join('c')];
  const arrived: Uint8Array[] = [];
  for (const transport of [b, c])
    transport.subscribe('x', ({ data }) => {
      arrived.push(data.slice());
      data.fill(9);
    });
  const data = Uint8Array.from([1, 2, 3]);
  a.publish('x', data);
  data.fill(7);
  settle();
  t.deepEqual(arrived.map((copy) => [...copy]), [[1, 2, 3], [1, 2, 3]]); // prettier-ignore
});

test('SIM-5: a subject with wildcards and data above 1 MiB are refused, as a client refuses them', (t) => {
  const a = network().join('a');
  for (const subject of ['a.*', 'a.>', 'a..b', '', 'a b', '.a'])
    t.throws(() => a.publish(subject, bytes('')), { instanceOf: RangeError }, subject);
  t.throws(() => a.publish('a', new Uint8Array(1_048_577)), { instanceOf: RangeError });
  t.throws(() => a.subscribe('a.>.b', () => undefined), { instanceOf: RangeError });
});

test('SIM-6: a connection that is away loses what it sends, what is sent and what is on its way, then is told', (t) => {
  const { clock, net, join, hear, settle } = network(() => ({ delayMs: 10 }));
  const [a, b] = [join('a'), join('b')];
  const [atA, atB] = [hear(a, 'to.a'), hear(b, 'to.b')];
  let back = 0;
  b.onReconnected(() => back++);
  a.publish('to.b', bytes('on its way'));
  clock.run(clock.now() + 5);
  net.disconnect('b');
  b.publish('to.a', bytes('lost'));
  a.publish('to.b', bytes('lost'));
  let answer: Answer | undefined;
  b.request('to.a', bytes('lost'), 100, (given) => (answer = given));
  clock.run(clock.now() + 2);
  net.reconnect('b');
  t.is(back, 0);
  settle();
  t.deepEqual([words(atA), words(atB), back, answer], [[], [], 1, { outcome: 'timeout' }]);
  a.publish('to.b', bytes('heard'));
  settle();
  t.deepEqual(words(atB), ['heard']);
});

test('SIM-6: while one is away its subscription is none: a request finds nobody', (t) => {
  const { net, join, settle } = network();
  const [a, b] = [join('a'), join('b')];
  b.subscribe('q', () => undefined);
  net.disconnect('b');
  let answer: Answer | undefined;
  a.request('q', bytes(''), 100, (given) => (answer = given));
  settle();
  t.deepEqual(answer, { outcome: 'noResponders' });
});

test('SIM-6: a cut loses one direction or both, silently, until it heals', (t) => {
  const { net, join, hear, settle } = network();
  const [a, b, c] = [join('a'), join('b'), join('c')];
  const [atA, atB, atC] = [hear(a, 'x'), hear(b, 'x'), hear(c, 'x')];
  const all = (word: string): void => {
    for (const [name, transport] of [['a', a], ['b', b], ['c', c]] as const) transport.publish('x', bytes(`${name}${word}`)); // prettier-ignore
    settle();
  };
  net.cut('a', 'b');
  all('1');
  t.deepEqual([words(atA), words(atB), words(atC)], [['a1', 'b1', 'c1'], ['b1', 'c1'], ['a1', 'b1', 'c1']]); // prettier-ignore
  net.heal('a', 'b');
  net.cutBoth('c', '*');
  all('2');
  t.deepEqual([words(atA), words(atB), words(atC)], [['a1', 'b1', 'c1', 'a2', 'b2'], ['b1', 'c1', 'a2', 'b2'], ['a1', 'b1', 'c1']]); // prettier-ignore
  let answer: Answer | undefined;
  c.request('nobody', bytes(''), 100, (given) => (answer = given));
  settle();
  t.deepEqual(answer, { outcome: 'timeout' });
  net.healAll();
  all('3');
  t.deepEqual(words(atC).slice(-3), ['a3', 'b3', 'c3']);
});

test('SIM-6: a life that ends loses its subscriptions and its requests, and sends no more', (t) => {
  const { net, join, hear, settle } = network();
  const life = new Incarnation('b', 1);
  const [a, b] = [join('a'), join('b', life)];
  const [atA, atB] = [hear(a, 'to.a'), hear(b, 'to.b')];
  let answers = 0;
  b.request('nobody', bytes(''), 100, () => answers++);
  a.publish('to.b', bytes('on its way'));
  life.end();
  b.publish('to.a', bytes('after the end'));
  let answer: Answer | undefined;
  a.request('to.b', bytes(''), 100, (given) => (answer = given));
  settle();
  t.deepEqual([words(atA), words(atB), answers, answer?.outcome], [[], [], 0, 'noResponders']);
  net.disconnect('b');
  const again = hear(join('b', new Incarnation('b', 2)), 'to.b');
  a.publish('to.b', bytes('while its name is away'));
  net.reconnect('b');
  a.publish('to.b', bytes('second life'));
  settle();
  t.deepEqual(words(again), ['second life']);
});

test('SIM-6: taps see all that is published, and all that arrives, with who and when', (t) => {
  const { clock, net, join, settle } = network((_from, to) => ({ delayMs: 3, lose: to === 'c' }));
  const published: TappedMessage[] = [];
  const arrived: string[] = [];
  net.tap((message) => published.push(message));
  net.tapDeliveries(({ from, to, subject, now }) => arrived.push(`${from}>${to} ${subject} ${now - START_AT_MS}`));
  const [a, b, c] = [join('a'), join('b'), join('c')];
  b.subscribe('x', ({ reply }) => b.publish(reply as string, bytes('answer')));
  c.subscribe('x', () => t.fail());
  clock.run(START_AT_MS + 5);
  a.request('x', bytes('question'), 100, () => undefined);
  settle();
  net.disconnect('a');
  a.publish('y', bytes('lost'));
  t.deepEqual(
    published.map(({ from, subject, now, data, left }) => [from, subject, now - START_AT_MS, text(data), left]),
    [['a', 'x', 5, 'question', true], ['b', 'inbox.a.1.1', 8, 'answer', true], ['a', 'y', 1_005, 'lost', false]], // prettier-ignore
  );
  t.deepEqual(arrived, ['a>b x 8', 'b>a inbox.a.1.1 11']);
});

test('SIM-6: the tree of subscriptions finds what a plain comparison finds', (t) => {
  const matches = (pattern: string, subject: string): boolean => {
    const [wanted, given] = [pattern.split('.'), subject.split('.')];
    for (const [i, token] of wanted.entries()) {
      if (token === '>') return given.length > i;
      if (given[i] === undefined || (token !== '*' && token !== given[i])) return false;
    }
    return wanted.length === given.length;
  };
  const tokens = (...choice: string[]): fc.Arbitrary<string[]> =>
    fc.array(fc.constantFrom(...choice), { minLength: 1, maxLength: 4 });
  const patterns = fc
    .tuple(tokens('a', 'b', '*'), fc.boolean())
    .map(([head, rest]) => [...head, ...(rest ? ['>'] : [])].join('.'));
  fc.assert(
    fc.property(fc.array(fc.tuple(patterns, fc.boolean())), tokens('a', 'b'), (entries, subjectTokens) => {
      const subject = subjectTokens.join('.');
      const tree = new SubjectTree<number>();
      const removes = entries.map(([pattern], i) => tree.add(pattern, i));
      for (const [i, [, stays]] of entries.entries()) if (!stays) removes[i]?.();
      const expected = entries.flatMap(([pattern, stays], i) => (stays && matches(pattern, subject) ? [i] : []));
      t.deepEqual(
        tree.match(subject).sort((a, b) => a - b),
        expected,
      );
    }),
  );
});

/** The contract of `Transport`. */
import type { ExecutionContext, TestFn } from 'ava';
import type { Answer, Delivery, Transport } from '../../runtime/ports.js';
import { bytes, called, contract, text, type Harness, type Make } from './harness.js';

export interface TransportHarness extends Harness {
  /** Another connection to the same server; it may publish and subscribe below `prefix`. */
  connect(name: string): Promise<Transport>;
  /** First tokens of subjects that nobody else uses, such as `test7`. */
  readonly prefix: string;
  /** Takes the connection of this name away and brings it back. */
  interrupt(name: string): Promise<void>;
}

/** Time enough for the server to hear of a subscription, and for what is not to come. */
const QUIET_MS = 60;

type Rule = (title: string, body: (t: ExecutionContext, h: TransportHarness) => Promise<void>) => void;

const texts = (deliveries: readonly Delivery[]): (string | undefined)[] => deliveries.map(({ data }) => text(data));

/** Registers the suite. */
export function transportSuite(make: Make<TransportHarness>, register?: TestFn): void {
  const rule = contract(make, register);
  messages(rule);
  subscriptions(rule);
  requests(rule);
  failures(rule);
}

function messages(rule: Rule): void {
  rule(
    'POR-4: a message arrives whole, with its own subject and reply, on every connection that wants it',
    async (t, h) => {
      const [one, other] = [await h.connect('one'), await h.connect('other')];
      const seen: Delivery[] = [];
      for (const transport of [one, other]) transport.subscribe(`${h.prefix}.a.*`, (delivery) => seen.push(delivery));
      await h.settle(QUIET_MS);
      const data = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      one.publish(`${h.prefix}.a.whole`, data, `${h.prefix}.back`);
      data.fill(0);
      one.publish(`${h.prefix}.a.empty`, new Uint8Array(0));
      await h.settle(() => seen.length === 4);
      const whole = seen.filter(({ subject }) => subject === `${h.prefix}.a.whole`);
      t.is(whole.length, 2);
      for (const { data: arrived, reply } of whole) {
        t.deepEqual([...arrived], [...Array(256).keys()]);
        t.is(reply, `${h.prefix}.back`);
      }
      const empty = seen.filter(({ subject }) => subject === `${h.prefix}.a.empty`);
      t.deepEqual(
        empty.map(({ data: arrived, reply }) => [arrived.length, reply ?? '']),
        [[0, ''], [0, '']], // prettier-ignore
      );
    },
  );

  rule('POR-4: data that is kept does not change under its keeper', async (t, h) => {
    const one = await h.connect('one');
    const kept: Delivery[] = [];
    one.subscribe(`${h.prefix}.kept`, (delivery) => kept.push(delivery));
    for (let i = 0; i < 200; i++) one.publish(`${h.prefix}.kept`, bytes(`message ${i} ${'x'.repeat(i)}`));
    await h.settle(() => kept.length === 200);
    t.true(kept.every(({ data }, i) => text(data) === `message ${i} ${'x'.repeat(i)}`));
  });

  rule('POR-5: what one connection publishes arrives in order, over all its subjects', async (t, h) => {
    const [one, other] = [await h.connect('one'), await h.connect('other')];
    const seen: Delivery[] = [];
    other.subscribe(`${h.prefix}.x`, (delivery) => seen.push(delivery));
    other.subscribe(`${h.prefix}.y.>`, (delivery) => seen.push(delivery));
    await h.settle(QUIET_MS);
    const sent = Array.from({ length: 500 }, (_, i) => String(i));
    for (const [i, word] of sent.entries()) one.publish(`${h.prefix}.${i % 3 === 0 ? 'x' : 'y.z'}`, bytes(word));
    await h.settle(() => seen.length === sent.length);
    t.deepEqual(texts(seen), sent);
  });
}

function subscriptions(rule: Rule): void {
  rule('POR-6: * stands for one token, > for one or more at the end', async (t, h) => {
    const [one, other] = [await h.connect('one'), await h.connect('other')];
    const seen = new Map<string, string[]>();
    for (const pattern of ['a', 'a.*', 'a.*.c', 'a.>', '*.b', 'a.b.c']) {
      seen.set(pattern, []);
      other.subscribe(`${h.prefix}.${pattern}`, ({ subject }) =>
        seen.get(pattern)?.push(subject.slice(h.prefix.length + 1)),
      );
    }
    let total = 0;
    other.subscribe(`${h.prefix}.>`, () => total++);
    await h.settle(QUIET_MS);
    const subjects = ['a', 'a.b', 'a.b.c', 'a.x.c', 'a.b.c.d', 'b.b', 'b'];
    for (const subject of subjects) one.publish(`${h.prefix}.${subject}`, bytes(subject));
    await h.settle(() => total === subjects.length);
    t.deepEqual(Object.fromEntries(seen), {
      a: ['a'],
      'a.*': ['a.b'],
      'a.*.c': ['a.b.c', 'a.x.c'],
      'a.>': ['a.b', 'a.b.c', 'a.x.c', 'a.b.c.d'],
      '*.b': ['a.b', 'b.b'],
      'a.b.c': ['a.b.c'],
    });
  });

  rule('POR-7: after unsubscribing nothing arrives, and other subscriptions go on', async (t, h) => {
    const [one, other] = [await h.connect('one'), await h.connect('other')];
    const seen: string[] = [];
    const stop = other.subscribe(`${h.prefix}.s`, () => {
      seen.push('first');
      stop();
    });
    other.subscribe(`${h.prefix}.s`, () => seen.push('second'));
    await h.settle(QUIET_MS);
    for (let i = 0; i < 3; i++) one.publish(`${h.prefix}.s`, bytes('m'));
    await h.settle(() => seen.filter((name) => name === 'second').length === 3);
    stop();
    one.publish(`${h.prefix}.s`, bytes('m'));
    await h.settle(QUIET_MS);
    t.is(seen.filter((name) => name === 'first').length, 1);
    t.is(seen.filter((name) => name === 'second').length, 4);
  });
}

function requests(rule: Rule): void {
  const ask = (h: Harness, transport: Transport, subject: string, timeoutMs: number): Promise<Answer> =>
    called(h, (onAnswer) => transport.request(subject, bytes('question'), timeoutMs, onAnswer));

  rule('POR-8: a request is answered once, by the first answer', async (t, h) => {
    const [one, other] = [await h.connect('one'), await h.connect('other')];
    other.subscribe(`${h.prefix}.q`, ({ data, reply }) => {
      for (const word of ['first', 'second']) other.publish(reply as string, bytes(`${word} ${text(data)}`));
    });
    await h.settle(QUIET_MS);
    const answers: Answer[] = [];
    one.request(`${h.prefix}.q`, bytes('question'), 1_000, (answer) => answers.push(answer));
    t.is(answers.length, 0);
    await h.settle(() => answers.length > 0);
    await h.settle(QUIET_MS);
    t.is(answers.length, 1);
    const [answer] = answers;
    t.is(answer?.outcome === 'answered' ? text(answer.data) : undefined, 'first question');
  });

  rule('POR-8: requests under way at a time each get their own answer', async (t, h) => {
    const [one, other] = [await h.connect('one'), await h.connect('other')];
    const open: Delivery[] = [];
    other.subscribe(`${h.prefix}.q.*`, (delivery) => open.push(delivery));
    await h.settle(QUIET_MS);
    const answers = new Map<number, string | undefined>();
    for (let i = 0; i < 20; i++)
      one.request(`${h.prefix}.q.${i}`, bytes(String(i)), 5_000, (answer) =>
        answers.set(i, answer.outcome === 'answered' ? text(answer.data) : answer.outcome),
      );
    await h.settle(() => open.length === 20);
    for (const { data, reply } of open.reverse()) other.publish(reply as string, data);
    await h.settle(() => answers.size === 20);
    for (const [i, answer] of answers) t.is(answer, String(i));
  });

  rule('POR-8: where nobody listens a request says so at once', async (t, h) => {
    const [one, other] = [await h.connect('one'), await h.connect('other')];
    const startMs = h.now();
    t.is((await ask(h, one, `${h.prefix}.nobody`, 5_000)).outcome, 'noResponders');
    t.true(h.now() - startMs < 2_000);
    const stop = other.subscribe(`${h.prefix}.nobody`, () => undefined);
    await h.settle(QUIET_MS);
    stop();
    await h.settle(QUIET_MS);
    t.is((await ask(h, one, `${h.prefix}.nobody`, 5_000)).outcome, 'noResponders');
  });

  rule('POR-8: where somebody listens who does not answer it times out, and a late answer is ignored', async (t, h) => {
    const [one, other] = [await h.connect('one'), await h.connect('other')];
    const open: Delivery[] = [];
    other.subscribe(`${h.prefix}.>`, (delivery) => open.push(delivery));
    await h.settle(QUIET_MS);
    const answers: Answer[] = [];
    const startMs = h.now();
    one.request(`${h.prefix}.silent`, bytes('question'), 100, (answer) => answers.push(answer));
    await h.settle(() => answers.length > 0);
    t.true(h.now() - startMs >= 95);
    other.publish(open[0]?.reply as string, bytes('late'));
    await h.settle(QUIET_MS);
    t.deepEqual(answers, [{ outcome: 'timeout' }]);
  });
}

function failures(rule: Rule): void {
  rule('POR-9: nothing calls back synchronously, not even what a connection sends to itself', async (t, h) => {
    const one = await h.connect('one');
    const seen: string[] = [];
    one.subscribe(`${h.prefix}.self`, ({ reply }) => {
      seen.push('delivery');
      if (reply !== undefined) one.publish(reply, bytes('answer'));
    });
    one.publish(`${h.prefix}.self`, bytes('m'));
    t.deepEqual(seen, []);
    await h.settle(() => seen.length === 1);
    one.request(`${h.prefix}.self`, bytes('m'), 1_000, ({ outcome }) => seen.push(outcome));
    one.request(`${h.prefix}.nobody`, bytes('m'), 1_000, ({ outcome }) => seen.push(outcome));
    t.deepEqual(seen, ['delivery']);
    await h.settle(() => seen.length === 4);
    t.deepEqual(seen.slice(1).sort(), ['answered', 'delivery', 'noResponders']);
  });

  rule('POR-9: a callback that throws breaks nothing else of its connection', async (t, h) => {
    const [one, other] = [await h.connect('one'), await h.connect('other')];
    let thrown = 0;
    const seen: Delivery[] = [];
    const fail = (): never => {
      thrown++;
      throw new Error('thrown on purpose');
    };
    other.subscribe(`${h.prefix}.t.*`, fail);
    other.subscribe(`${h.prefix}.t.>`, (delivery) => seen.push(delivery));
    other.request(`${h.prefix}.nobody`, bytes('m'), 1_000, fail);
    await h.settle(() => thrown === 1);
    await h.settle(QUIET_MS);
    for (let i = 0; i < 5; i++) one.publish(`${h.prefix}.t.m`, bytes(String(i)));
    await h.settle(() => seen.length === 5 && thrown === 6);
    t.deepEqual(texts(seen), ['0', '1', '2', '3', '4']);
    const answer = await called<Answer>(h, (done) => other.request(`${h.prefix}.nobody`, bytes('m'), 1_000, done));
    t.is(answer.outcome, 'noResponders');
  });

  rule('POR-10: a connection that comes back says so, each time, and its subscriptions go on', async (t, h) => {
    const [one, other] = [await h.connect('one'), await h.connect('other')];
    const seen: Delivery[] = [];
    let back = 0;
    other.subscribe(`${h.prefix}.r`, (delivery) => seen.push(delivery));
    other.onReconnected(() => back++);
    await h.settle(QUIET_MS);
    t.is(back, 0);
    for (const times of [1, 2]) {
      await h.interrupt('other');
      await h.settle(() => back === times);
      await h.settle(QUIET_MS);
      one.publish(`${h.prefix}.r`, bytes(`after ${times}`));
      await h.settle(() => seen.length === times);
    }
    t.deepEqual(texts(seen), ['after 1', 'after 2']);
    t.is(back, 2);
  });
}

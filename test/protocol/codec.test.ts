import test from 'ava';
import fc from 'fast-check';
import {
  DecodeError,
  decodeMessage,
  decodeValue,
  encodeMessage,
  encodeValue,
  PartsJoiner,
} from '../../protocol/codec.js';
import type { Envelope } from '../../protocol/envelope.js';
import { MAX_DEPTH, MAX_MESSAGE_BYTES, MAX_PARTS } from '../../protocol/limits.js';

const head = { type: 'ACCEPT', sender: 'f1', session: 's-C1', epoch: 7, id: 'f1-i-1' };
const counter = (from = 1) => {
  let next = from;
  return () => next++;
};
const bytesOf = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const kindOf = (act: () => unknown): string => {
  try {
    act();
    return 'accepted';
  } catch (error) {
    if (error instanceof DecodeError) return error.kind;
    throw error;
  }
};

const scalar = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.boolean(),
  fc.constant(null),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value || 0),
  fc.uint8Array({ maxLength: 40 }),
);
const key = fc.string({ unit: 'binary', maxLength: 12 }).filter((name) => name !== '__proto__');
const { plain } = fc.letrec((tie) => ({
  plain: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    scalar,
    fc.array(tie('plain'), { maxLength: 5 }),
    fc.dictionary(key, tie('plain'), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

/** Bytes as they come off the wire: msgpack may give a `Buffer`, which is a `Uint8Array` too. */
const plainBytes = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(plainBytes);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plainBytes(member)]));
};

test('PRO-2: what is plain comes back as it was', (t) => {
  fc.assert(
    fc.property(plain, (value) => {
      t.deepEqual(plainBytes(decodeValue(encodeValue(value))), value);
    }),
    { numRuns: 300 },
  );
  t.deepEqual(decodeValue(encodeValue({ a: undefined, b: 1 })), { b: 1 });
});

test('PRO-2: encoding changes nothing of what it is given', (t) => {
  const value = { big: 2 ** 40, list: [2 ** 50, { deep: -(2 ** 33) }], bytes: bytesOf(1, 2) };
  const before = structuredClone(value);
  encodeValue(value);
  t.deepEqual(value, before);
});

/** First bytes of msgpack's floating point numbers. */
const FLOATS = [0xca, 0xcb];

test('PRO-2: a whole number is an integer in the bytes, whatever its size', (t) => {
  const isInteger = (value: number): boolean => {
    const bytes = encodeValue(value);
    t.is(decodeValue(bytes), value === 0 ? 0 : value, `${value}`);
    return !FLOATS.includes(bytes[0] as number);
  };
  const edges = [7, 8, 15, 16, 31, 32, 53, 62, 63].flatMap((power) => [2 ** power, -(2 ** power)]);
  for (const edge of edges) for (const by of [-1, 0, 1]) t.true(isInteger(edge + by), `${edge} + ${by}`);
  t.true(isInteger(Number.MAX_SAFE_INTEGER));
  t.true(isInteger(2 ** 63 + 2 ** 20), 'an unsigned one');
  fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 2n ** 12n }), (big) => isInteger(Number(big))));
  t.false(isInteger(0.5));
  const deep = encodeValue({ body: [{ nanoseconds: 1_767_225_600_000_000_000 }] });
  t.false([...deep].includes(0xcb));
});

test('PRO-2: numbers that are not finite are refused', (t) => {
  for (const value of [NaN, Infinity, -Infinity]) {
    t.is(
      kindOf(() => decodeValue(encodeValue({ a: [value] }))),
      'not plain',
      `${value}`,
    );
  }
});

test('PRO-2: no extension type passes, whatever its code and length, and none leaves something behind', (t) => {
  const passed: string[] = [];
  for (let code = 0; code < 256; code++) {
    const forms = {
      fixext1: [0xd4, code, 0x80],
      record: [0xd4, code, 0x40, 0x91, 0xa1, 0x61, 0x01],
      fixext2: [0xd5, code, 0, 0],
      wideRecord: [0xd5, code, 0x40, 0x01, 0x91, 0xa1, 0x61, 0x01],
      fixext4: [0xd6, code, 0, 0, 0, 1],
      fixext8: [0xd7, code, 0, 0, 0, 0, 0, 0, 0, 1],
      fixext16: [0xd8, code, ...Array<number>(16).fill(0)],
      ext8: [0xc7, 3, code, 0x93, 1, 2],
      ext16: [0xc8, 0, 3, code, 0x93, 1, 2],
      empty: [0xc7, 0, code],
    };
    for (const [form, bytes] of Object.entries(forms)) {
      if (kindOf(() => decodeValue(Uint8Array.from(bytes))) === 'accepted') passed.push(`${form} ${code}`);
      if (kindOf(() => decodeValue(bytesOf(0x81, 0xa1, 0x62, ...bytes))) === 'accepted')
        passed.push(`${form} ${code} inside`);
    }
  }
  t.deepEqual(passed, []);
  t.deepEqual(decodeValue(bytesOf(0x92, 0x40, 0x41)), [64, 65]);
});

test('PRO-2: 32 levels pass, 33 do not, in lists, maps and messages', (t) => {
  const nest = (levels: number, wrap: (inner: unknown) => unknown): unknown => {
    let value: unknown = wrap(1);
    for (let level = 1; level < levels; level++) value = wrap(value);
    return value;
  };
  for (const wrap of [(inner: unknown) => [inner], (inner: unknown) => ({ a: inner })]) {
    t.is(
      kindOf(() => decodeValue(encodeValue(nest(MAX_DEPTH, wrap)))),
      'accepted',
    );
    t.is(
      kindOf(() => decodeValue(encodeValue(nest(MAX_DEPTH + 1, wrap)))),
      'not plain',
    );
    const [bytes] = encodeMessage({ ...head, body: nest(MAX_DEPTH, wrap) }, counter());
    t.is(
      kindOf(() => decodeMessage(bytes as Uint8Array)),
      'not plain',
      'the envelope is a level too',
    );
  }
});

test('PRO-2: what is nested beyond any stack is an error like others, and the next message is read', (t) => {
  const deep = new Uint8Array(MAX_MESSAGE_BYTES - 1).fill(0x91);
  t.is(
    kindOf(() => decodeMessage(deep)),
    'undecodable',
  );
  t.deepEqual(decodeValue(encodeValue({ a: 1 })), { a: 1 });
});

test('PRO-2: bytes that end early, go on, or promise more than there is, are refused at once', (t) => {
  const whole = encodeValue({ list: [1, 'text', 2.5, bytesOf(1, 2, 3)], big: 2 ** 40, no: null });
  for (let length = 0; length < whole.length; length++)
    t.is(
      kindOf(() => decodeValue(whole.subarray(0, length))),
      'undecodable',
      `${length}`,
    );
  t.is(
    kindOf(() => decodeValue(bytesOf(...whole, 1))),
    'undecodable',
  );
  const began = performance.now();
  for (const first of [0xc6, 0xc9, 0xdb, 0xdd, 0xdf])
    t.is(
      kindOf(() => decodeValue(bytesOf(first, 0xff, 0xff, 0xff, 0xff, 0x61))),
      'undecodable',
      first.toString(16),
    );
  t.true(performance.now() - began < 1_000);
});

test('PRO-2: random bytes decode to something plain, or to a counted error', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      t.true(['accepted', 'undecodable', 'not plain'].includes(kindOf(() => decodeValue(bytes))));
    }),
    { numRuns: 2_000 },
  );
});

test('PRO-2: a body has at most two million values', (t) => {
  const list = (length: number) => bytesOf(0xdd, length >> 24, length >> 16, length >> 8, length);
  const of = (length: number): Uint8Array => {
    const bytes = new Uint8Array(5 + length);
    bytes.set(list(length));
    return bytes;
  };
  t.is(
    kindOf(() => decodeValue(of(1_999_999))),
    'accepted',
  );
  t.is(
    kindOf(() => decodeValue(of(2_000_000))),
    'not plain',
  );
});

test('PRO-2: decoded bytes are copies, so that a reused buffer changes nothing', (t) => {
  const bytes = encodeValue({ data: bytesOf(1, 2, 3) });
  const { data } = decodeValue(bytes) as { data: Uint8Array };
  bytes.fill(0);
  t.deepEqual([...data], [1, 2, 3]);
});

test('LNK-5: what fits is one message with one place; what does not goes in parts, each with a place of its own', (t) => {
  const room = MAX_MESSAGE_BYTES - 200;
  const next = counter();
  t.is(encodeMessage({ ...head, body: new Uint8Array(room) }, next).length, 1);
  t.is(next(), 2);
  const parts = encodeMessage({ ...head, cause: 'c', body: new Uint8Array(3 * MAX_MESSAGE_BYTES) }, counter(5));
  t.is(parts.length, 4);
  for (const bytes of parts) t.true(bytes.length <= MAX_MESSAGE_BYTES);
  const decoded = parts.map(decodeMessage);
  t.deepEqual(decoded.map(({ part }) => part), [1, 2, 3, 4].map((number) => ({ number, of: 4 }))); // prettier-ignore
  t.deepEqual(decoded.map(({ sequence }) => sequence), [5, 6, 7, 8]); // prettier-ignore
  for (const { type, sender, session, epoch, id, cause } of decoded)
    t.deepEqual({ type, sender, session, epoch, id, cause }, { ...head, cause: 'c' });
});

test('LNK-5: a body of more than 64 parts is not sent at all', (t) => {
  const body = new Uint8Array(MAX_PARTS * MAX_MESSAGE_BYTES);
  t.throws(() => encodeMessage({ ...head, body }, counter()), { instanceOf: RangeError, message: /over 64 parts/ });
  t.is(
    kindOf(() => decodeMessage(new Uint8Array(MAX_MESSAGE_BYTES + 1))),
    'oversized',
  );
});

/** The parts of a message, decoded. */
const partsOf = (body: unknown, given: Partial<typeof head> = {}, from = 1): Envelope[] =>
  encodeMessage({ ...head, ...given, body }, counter(from)).map(decodeMessage);
const large = { text: 'x'.repeat(600_000), n: 2 ** 40 };

test('LNK-5: parts in order become the message, which says how many places it took and which was its last', (t) => {
  const joiner = new PartsJoiner();
  const [first, second, third, ...none] = partsOf(large, {}, 11) as [Envelope, Envelope, Envelope];
  t.is(none.length, 0);
  t.is(joiner.join('s', first), undefined);
  t.is(joiner.join('s', second), undefined);
  const whole = joiner.join('s', third);
  t.deepEqual(whole?.body, large);
  t.deepEqual([whole?.sequence, whole?.part], [13, { number: 3, of: 3 }]);
  const [small] = partsOf({ a: 1 }) as [Envelope];
  t.is(joiner.join('s', small), small);
});

test('LNK-5: parts of several messages may mix; each is joined by its subject, sender and id', (t) => {
  const joiner = new PartsJoiner();
  const messages = [
    ['a', partsOf({ ...large, n: 1 }, { id: 'x' })],
    ['b', partsOf({ ...large, n: 2 }, { id: 'x' })],
    ['a', partsOf({ ...large, n: 3 }, { id: 'y' })],
    ['a', partsOf({ ...large, n: 4 }, { id: 'x', sender: 'f2' })],
  ] as const;
  const joined: unknown[] = [];
  for (const at of [0, 1, 2])
    for (const [source, parts] of messages) {
      const whole = joiner.join(source, parts[at] as Envelope);
      if (whole !== undefined) joined.push((whole.body as { n: number }).n);
    }
  t.deepEqual(joined, [1, 2, 3, 4]);
});

test('LNK-5: a part out of order, twice or without the first is refused, and so is the rest of its message', (t) => {
  const parts = partsOf(large) as [Envelope, Envelope, Envelope];
  const orders = [[0, 2], [1], [2, 0], [0, 1, 1], [0, 1, 1, 2]];
  for (const order of orders) {
    const joiner = new PartsJoiner();
    const kinds = order.map((at) => kindOf(() => t.is(joiner.join('s', parts[at] as Envelope), undefined)));
    t.true(kinds.includes('part'), order.join());
    t.is(
      kindOf(() => joiner.join('s', parts[2])),
      'part',
      order.join(),
    );
  }
  const joiner = new PartsJoiner();
  joiner.join('s', parts[0]);
  t.is(joiner.join('s', parts[0]), undefined, 'the first again begins anew');
  joiner.join('s', parts[1]);
  t.deepEqual(joiner.join('s', parts[2])?.body, large);
});

test('LNK-5: a part that contradicts itself or its message is refused', (t) => {
  const [first, second] = partsOf(large) as [Envelope, Envelope];
  const wrong: Envelope[] = [
    { ...first, part: { number: 2, of: 1 } },
    { ...first, part: { number: 1, of: MAX_PARTS + 1 } },
    { ...first, body: 'text' },
  ];
  for (const envelope of wrong)
    t.is(
      kindOf(() => new PartsJoiner().join('s', envelope)),
      'part',
    );
  const joiner = new PartsJoiner();
  joiner.join('s', first);
  t.is(
    kindOf(() => joiner.join('s', { ...second, part: { number: 2, of: 4 } })),
    'part',
  );
});

test('LNK-5 PRO-2: the joined body is held to the same limits', (t) => {
  const joiner = new PartsJoiner();
  const deep = new Uint8Array(1_000).fill(0x91);
  const [envelope] = partsOf({}) as [Envelope];
  t.is(
    kindOf(() => joiner.join('s', { ...envelope, body: deep, part: { number: 1, of: 1 } })),
    'undecodable',
  );
});

test('LNK-5: unfinished messages are bounded, for one sender at eight and for all at 64, the oldest going first', (t) => {
  const parts = (sender: string, id: string) => partsOf(large, { sender, id }) as [Envelope, Envelope, Envelope];
  const mine = Array.from({ length: 10 }, (_, i) => parts('f1', `m${i}`));
  const joiner = new PartsJoiner();
  const other = parts('f2', 'other');
  joiner.join('s', other[0]);
  for (const [first] of mine) joiner.join('s', first);
  const lives = ([, second]: readonly Envelope[]): boolean =>
    kindOf(() => joiner.join('s', second as Envelope)) === 'accepted';
  t.deepEqual(mine.map(lives), [false, false, ...Array<boolean>(8).fill(true)]); // prettier-ignore
  t.true(lives(other), 'one sender does not push out another');

  const crowd = new PartsJoiner();
  const many = Array.from({ length: 70 }, (_, i) => parts(`f${i}`, 'm'));
  for (const [first] of many) crowd.join('s', first);
  const alive = many.map(([, second]) => kindOf(() => crowd.join('s', second)) === 'accepted');
  t.is(alive.filter(Boolean).length, 64);
  t.deepEqual(alive.slice(0, 7), [...Array<boolean>(6).fill(false), true]);
});

import test from 'ava';
import fc from 'fast-check';
import * as ids from '../../protocol/ids.js';
import { escapeToken, unescapeToken } from '../../protocol/ids.js';
import { check, Id, isId } from '../../protocol/schema.js';
import { registryKey } from '../../protocol/registry.js';

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });

test('PRO-3: any text is one token, and is read back from it', (t) => {
  fc.assert(
    fc.property(text, (value) => {
      const token = escapeToken(value);
      t.regex(token, /^(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+$/);
      t.is(unescapeToken(token), value);
    }),
    { numRuns: 1_000 },
  );
});

test('PRO-3: different texts are different tokens', (t) => {
  fc.assert(fc.property(text, text, (a, b) => t.is(escapeToken(a) === escapeToken(b), a === b)));
});

test('PRO-3: each byte is written in one way, upper case, and nothing that need not be', (t) => {
  const table: Record<string, string> = {
    'plain-Text_9': 'plain-Text_9',
    'a.b': 'a=2Eb',
    'a b': 'a=20b',
    '*': '=2A',
    '>': '=3E',
    '=': '=3D',
    '=41': '=3D41',
    é: '=C3=A9',
    '😀': '=F0=9F=98=80',
    '\u0000': '=00',
  };
  for (const [value, token] of Object.entries(table)) {
    t.is(escapeToken(value), token);
    t.is(unescapeToken(token), value);
  }
});

test('PRO-3: a token that nobody writes is refused', (t) => {
  const wrong = [
    '',
    '.',
    'a.b',
    'a b',
    '*',
    '>',
    '=',
    '=4',
    '=4G',
    '=2e',
    '=41',
    '=2D',
    '=C3',
    '=FF',
    'é',
    'a=',
    '=C0=AE',
  ];
  for (const token of wrong) t.is(unescapeToken(token), undefined, token);
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('=', '2', 'E', 'C', '3', 'A', '9', 'a', '.'), maxLength: 8 }),
      (token) => {
        const value = unescapeToken(token);
        t.true(value === undefined || escapeToken(value) === token);
      },
    ),
  );
});

test('PRO-ID: an id is 1 to 255 bytes without control characters, slashes or backslashes, and no path step', (t) => {
  const good = ['a', '...', '.a', 'a b', '=', '*', '>', 'x'.repeat(255), 'é'.repeat(127), '😀'.repeat(63)];
  const bad = [
    '',
    '.',
    '..',
    'a/b',
    'a\\b',
    'a\n',
    '\u0000',
    '\u007f',
    'x'.repeat(256),
    'é'.repeat(128),
    '😀'.repeat(64),
  ];
  for (const id of good) {
    t.true(isId(id), id);
    t.is(check(Id)(id), undefined, id);
  }
  for (const id of bad) {
    t.false(isId(id), JSON.stringify(id));
    t.not(check(Id)(id), undefined, JSON.stringify(id));
  }
  for (const value of [undefined, null, 1, {}, []]) t.not(check(Id)(value), undefined);
});

test('PRO-3 PRO-ID: every id can be a key of the registry, and no two ids share one', (t) => {
  fc.assert(
    fc.property(text.filter(isId), (id) => {
      t.regex(registryKey('task', id), /^task\.[A-Za-z0-9_=-]+$/);
      t.is(unescapeToken(registryKey('task', id).slice('task.'.length)), id);
    }),
  );
});

test('EPO-3: what a master mints begins with its epoch, and says so', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 52 }), fc.nat({ max: 1e6 }), (epoch, count) => {
      const masterId = ids.masterIdOf(epoch);
      const minted = [
        ids.frameworkIdOf(masterId, count),
        ids.agentIdOf(masterId, count),
        ids.offerIdOf(masterId, count),
        ids.launchIdOf(masterId, count),
        ids.sessionIdOf(masterId, count),
      ];
      t.is(new Set(minted).size, minted.length);
      for (const id of [masterId, ...minted]) {
        t.is(ids.epochOf(id), epoch);
        t.true(isId(id) && escapeToken(id) === id);
      }
    }),
  );
  t.is(ids.frameworkIdOf('m', 1), 'm-0001');
  t.deepEqual([ids.agentIdOf('m', 2), ids.launchIdOf('m', 3)], ['m-S2', 'm-L3']);
  for (const foreign of ['', '-', 'a.b-S1', 'UPPER-1', 'waytoolongtobeone-1']) t.is(ids.epochOf(foreign), undefined);
});

test('EPO-3: no two terms have the same id', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 52 }), fc.integer({ min: 1, max: 2 ** 52 }), (a, b) =>
      t.is(ids.masterIdOf(a) === ids.masterIdOf(b), a === b),
    ),
  );
});

test('UPD-1: a uuid has 16 bytes and is another for each count and each process', (t) => {
  const seen = new Set<string>();
  for (const seed of [0, 0.25, 0.5, 0.9999])
    for (let count = 1; count <= 200; count++) {
      const uuid = ids.uuidOf(seed, count);
      t.is(uuid.length, 16);
      seen.add(ids.hex(uuid));
    }
  t.is(seen.size, 800);
  t.is(ids.hex(Uint8Array.of(0, 15, 255)), '000fff');
});

test('AGS-6: a launch’s id says its epoch and its place in it; another text has none', (t) => {
  t.deepEqual(ids.launchPlaceOf(ids.launchIdOf(ids.masterIdOf(1_767_225_600_000), 42)), { epoch: 1_767_225_600_000, counter: 42 }); // prettier-ignore
  for (const foreign of ['', 'L1', '-L1', '5-L', '5-S1', '5-L1x', 'UPPER-L1', '5-L-1'])
    t.is(ids.launchPlaceOf(foreign), undefined, foreign);
});

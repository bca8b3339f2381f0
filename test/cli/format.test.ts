import test from 'ava';
import { Resources } from '../../protocol/resources.js';
import { ago, cut, megabytes, resourcesRecord, shortResources, span } from '../../cli/format.js';
import { painter, table } from '../../cli/output.js';
import { plain, tree } from '../../cli/tree.js';

test('CLI-3 spans are in their largest whole unit', (t) => {
  t.deepEqual([-5, 0, 999, 59_999, 60_000, 3_600_000, 86_400_000 * 3].map(span), [
    '0s',
    '0s',
    '0s',
    '59s',
    '1m',
    '1h',
    '3d',
  ]);
  t.is(ago(1_000, 4_000), '3s ago');
  t.is(ago(undefined, 4_000), '-');
});

test('CLI-3 amounts of memory are short', (t) => {
  t.deepEqual([0.5, 512, 1024, 6_026, 20_480, 3 * 1024 ** 2].map(megabytes), [
    '0.5M',
    '512M',
    '1.0G',
    '5.9G',
    '20G',
    '3.0T',
  ]);
});

test('CLI-3 resources are short for people and complete for programs', (t) => {
  const list = Resources.parse(
    'cpus:0.1;mem:32;disk:2048;ports:[31000-31000,31005-31009];gpus:1;zones:{b,a}',
  ).toArray();
  t.is(shortResources(list), '0.1cpu 32M 2.0G disk gpus:1 :31000,31005-31009');
  t.is(shortResources([]), '-');
  t.deepEqual(resourcesRecord(list), {
    cpus: 0.1,
    mem: 32,
    disk: 2048,
    gpus: 1,
    ports: '[31000-31000,31005-31009]',
    zones: '{a,b}',
  });
});

test('CLI-3 a table has headings, aligned columns and no lines', (t) => {
  const text = table(
    ['A', 'LONGER'],
    [
      ['xyz', '1'],
      ['', '22'],
    ],
    painter(false),
  );
  t.is(text, ['A    LONGER', 'xyz  1', '     22'].join('\n'));
});

test('CLI-3 colour changes nothing but the colour', (t) => {
  const coloured = table(['A'], [[painter(true)('green', 'x')]], painter(true));
  // eslint-disable-next-line no-control-regex -- colour is made of control characters
  t.is(coloured.replaceAll(/\u001b\[\d+m/g, ''), table(['A'], [['x']], painter(false)));
});

test('CLI-3 any message is a tree: times, bytes and resources in one line', (t) => {
  const value = {
    startTime: { nanoseconds: 1e18 },
    grace: { nanoseconds: 3e9 },
    uuid: Uint8Array.of(1, 171),
    total: Resources.parse('cpus:1;mem:2').toArray(),
    list: [{ a: 1 }],
    none: [],
    flags: ['x', 'y'],
  };
  t.is(
    tree(plain(value), painter(false)),
    [
      '  startTime: 2001-09-09T01:46:40.000Z',
      '  grace: 3s',
      '  uuid: 01ab',
      '  total: cpus:1; mem:2',
      '  list:',
      '    1:',
      '      a: 1',
      '  none: none',
      '  flags: x, y',
    ].join('\n'),
  );
});

test('CLI-3 what is too long is cut with a mark', (t) => {
  t.is(cut('abcdef', 4), 'abc…');
  t.is(cut('abcd', 4), 'abcd');
});

import test from 'ava';
import fc from 'fast-check';
import type { Resource } from '../../protocol/resource.js';
import { overlapError, ParseError, Resources, resourcesError } from '../../protocol/resources.js';
import { plainResources, volume } from './resource-arbitraries.js';

test('RES-9: the text form knows scalars, ranges, sets and static reservations', (t) => {
  t.deepEqual(
    Resources.parse(' cpus : 0.5 ; mem(ads/web): 512;ports:[31000-32000, 33000-33010]; zones:{b, a};').toArray(),
    [
      { name: 'cpus', type: 'SCALAR', scalar: { value: 0.5 } },
      { name: 'mem', type: 'SCALAR', reservations: [{ type: 'STATIC', role: 'ads/web' }], scalar: { value: 512 } },
      {
        name: 'ports',
        type: 'RANGES',
        ranges: {
          range: [
            { begin: 31000, end: 32000 },
            { begin: 33000, end: 33010 },
          ],
        },
      },
      { name: 'zones', type: 'SET', set: { item: ['a', 'b'] } },
    ],
  );
  t.true(Resources.parse('cpus:1;cpus:2').equals(Resources.parse('cpus:3')));
  t.true(Resources.parse('cpus:1;mem(*):2', 'ads').equals(Resources.parse('cpus(ads):1;mem:2')));
  t.true(Resources.parse('ports:[80]').equals(Resources.parse('ports:[80-80]')));
  t.true(Resources.parse('').isEmpty);
  t.true(Resources.parse('cpus:0;ports:[];zones:{}').isEmpty);
});

test('RES-9: a text that cannot be read is refused with the entry and the reason', (t) => {
  const refused: Record<string, string> = {
    cpus: "'cpus' is not of the form name:value or name(role):value",
    ':4': "':4' has no name",
    'cpus:': "'cpus:' has no value",
    'cpus:many': "'many' in 'cpus:many' is not a number, [ranges] or a {set}",
    'cpus:1e3': "'1e3' in 'cpus:1e3' is not a number, [ranges] or a {set}",
    'cpus:-1': 'resource 0 (cpus): -1 is negative',
    'gpus:1.5': 'resource 0 (gpus): 1.5 is not a whole number',
    'cpus:1;cpus:[1-2]': "resource 'cpus' is given as SCALAR and as RANGES",
    'ports:[1-2': "in 'ports:[1-2': '[1-2' is not a list of ranges: it does not end with ']'",
    'ports:[a-b]': "in 'ports:[a-b]': 'a-b' in '[a-b]' is not a range such as 31000-32000",
    'ports:[3-1]': "in 'ports:[3-1]': range '3-1' in '[3-1]' begins above its end",
    'ports:[1-3,2-4]': "in 'ports:[1-3,2-4]': '[1-3,2-4]' has 2 more than once",
    'ports:[1-99999999999999999999]':
      "in 'ports:[1-99999999999999999999]': '1-99999999999999999999' in '[1-99999999999999999999]' is too large: numbers go up to 9007199254740991",
    'ports:[1-3];ports:[3-5]': 'ports 3 is there more than once',
    'zones:{a,a}': "in 'zones:{a,a}': '{a,a}' has 'a' more than once",
    'zones:{a,}': "in 'zones:{a,}': '{a,}' has an empty item",
    'cpus(/ads):1': "in 'cpus(/ads):1': role '/ads' may not start with '/'",
    'cpus():1': "in 'cpus():1': a role may not be empty",
    'cpus(a)(b):1': "'cpus(a)(b):1' is not of the form name:value or name(role):value",
  };
  for (const [text, message] of Object.entries(refused))
    t.throws(() => Resources.parse(text), { instanceOf: ParseError, message }, text);
  t.throws(() => Resources.parse('cpus:1', 'a b'), { instanceOf: ParseError });
});

test('RES-10: reading what was printed gives the same, for plain and statically reserved resources', (t) => {
  t.is(Resources.parse('ports:[31000-31002];mem:32;cpus:0.1').toString(), 'cpus:0.1; mem:32; ports:[31000-31002]');
  fc.assert(
    fc.property(plainResources, (a) => {
      t.true(Resources.parse(a.toString()).equals(a));
      const reserved = a.pushReservation({ type: 'STATIC', role: 'ads/web' });
      t.true(Resources.parse(reserved.toString()).equals(reserved));
    }),
  );
});

test('RES-10: what is more than plain is marked', (t) => {
  const cpus: Resource = { name: 'cpus', type: 'SCALAR', scalar: { value: 1 } };
  const stack: Resource = {
    ...cpus,
    reservations: [
      { type: 'STATIC', role: 'ads' },
      { type: 'DYNAMIC', role: 'ads/web' },
    ],
  };
  const mount: Resource = {
    ...cpus,
    name: 'disk',
    disk: { source: { type: 'MOUNT', mount: { root: '/m' } } },
  };
  t.is(Resources.of([stack]).toString(), 'cpus(ads > ads/web dynamic):1');
  t.is(Resources.of([{ ...cpus, revocable: {} }]).toString(), 'cpus{revocable}:1');
  t.is(Resources.of([mount]).toString(), 'disk[MOUNT:/m]:1');
  t.is(`${Resources.of([volume('v', 2, true), volume('v', 2, true)])}`, 'disk(ads dynamic)[v:data]{shared}:2 ×2');
});

test('RES-14: what is wrong with a resource is said, with its number and name', (t) => {
  const cpus: Resource = { name: 'cpus', type: 'SCALAR', scalar: { value: 1 } };
  const ports = (...range: [number, number][]): Resource => ({
    name: 'ports',
    type: 'RANGES',
    ranges: { range: range.map(([begin, end]) => ({ begin, end })) },
  });
  const disk: Resource = { ...cpus, name: 'disk', reservations: [{ type: 'DYNAMIC', role: 'ads' }] };
  const volumeOf = (part: NonNullable<Resource['disk']>): Resource => ({ ...disk, disk: part });
  const rw = { mode: 'RW', containerPath: 'data' } as const;
  const wrong: [Resource, RegExp][] = [
    [{ ...cpus, name: '' }, /has no name/],
    [{ ...cpus, name: 'a\u0000b' }, /control characters/],
    [{ name: 'x', type: 'TEXT' }, /may not be TEXT/],
    [{ name: 'cpus', type: 'SCALAR' }, /is SCALAR but has no such value/],
    [{ ...cpus, ranges: {} }, /is SCALAR but has a value of type RANGES/],
    [{ ...cpus, scalar: { value: -0.5 } }, /-0.5 is negative/],
    [{ ...cpus, scalar: { value: Infinity } }, /not a finite number/],
    [{ ...cpus, scalar: { value: 1e15 } }, /is larger than/],
    [{ ...cpus, name: 'gpus', scalar: { value: 0.5 } }, /not a whole number/],
    [{ ...ports([1, 2]), name: 'gpus' }, /must be SCALAR/],
    [ports([2, 1]), /begins above its end/],
    [ports([5, 9], [1, 5]), /has 5 in more than one range/],
    [ports([0.5, 2]), /whole numbers/],
    [{ name: 'z', type: 'SET', set: { item: ['a', 'a'] } }, /the item 'a' more than once/],
    [{ ...cpus, allocationInfo: { role: '-x' } }, /may not start with '-'/],
    [{ ...cpus, role: 'a b' }, /white space/],
    [{ ...cpus, reservation: {} }, /no role other than/],
    [{ ...cpus, role: 'ads', reservations: [{ type: 'STATIC', role: 'ads' }] }, /both/],
    [{ ...cpus, reservations: [{ role: 'ads' }] }, /STATIC or DYNAMIC/],
    [{ ...cpus, reservations: [{ type: 'DYNAMIC' }] }, /must have a role/],
    [{ ...cpus, reservations: [{ type: 'STATIC', role: '*' }] }, /may not be for '\*'/],
    [
      {
        ...cpus,
        reservations: [
          { type: 'STATIC', role: 'a' },
          { type: 'STATIC', role: 'a/b' },
        ],
      },
      /only the first/,
    ],
    [
      {
        ...cpus,
        reservations: [
          { type: 'STATIC', role: 'a' },
          { type: 'DYNAMIC', role: 'ab' },
        ],
      },
      /below 'a'/,
    ],
    [{ ...cpus, revocable: {}, reservations: [{ type: 'DYNAMIC', role: 'a' }] }, /revocable/],
    [{ ...cpus, shared: {} }, /only persistent volumes/],
    [{ ...cpus, disk: { source: { type: 'PATH' } } }, /only 'disk'/],
    [volumeOf({}), /empty disk/],
    [volumeOf({ volume: rw }), /must be persistent/],
    [volumeOf({ persistence: { id: 'v' } }), /must have a volume/],
    [volumeOf({ persistence: { id: 'a/b' }, volume: rw }), /is not an id/],
    [volumeOf({ persistence: { id: 'v' }, volume: { ...rw, hostPath: '/x' } }), /host path/],
    [volumeOf({ persistence: { id: 'v' }, volume: rw, source: { type: 'RAW' } }), /cannot hold/],
    [{ ...cpus, name: 'disk', disk: { persistence: { id: 'v' }, volume: rw } }, /reserved disk/],
  ];
  for (const [resource, reason] of wrong) {
    const error = resourcesError([cpus, resource]);
    t.regex(error ?? 'none', reason);
    t.true(error?.startsWith(`resource 1 (${resource.name}): `), error);
  }
  t.regex(resourcesError([volume('v', 1), volume('v', 2)]) ?? 'none', /persistence id 'v' is not unique/);
  t.is(
    resourcesError([volume('v', 1, true), volume('v', 1, true), volume('w', 1), cpus, ports([1, 2], [3, 4])]),
    undefined,
  );
  fc.assert(fc.property(plainResources, (a) => t.is(resourcesError(a.toArray()), undefined)));
});

test('RES-15: a port or item that two resources of one name share is named', (t) => {
  const list = (text: string): Resource[] => Resources.parse(text).toArray();
  t.is(overlapError([...list('ports:[1-3];zones:{a}'), ...list('ports:[4-5];zones:{b}')]), undefined);
  t.is(overlapError([...list('ports:[1-3]'), ...list('ports(ads):[3-5]')]), 'ports 3 is there more than once');
  t.is(overlapError([...list('zones:{a}'), ...list('zones:{a,b}')]), "zones 'a' is there more than once");
  t.is(overlapError([...list('ports:[1-3]'), ...list('other:[1-3]')]), undefined);
});

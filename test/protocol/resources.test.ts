import test from 'ava';
import fc from 'fast-check';
import type { Resource } from '../../protocol/resource.js';
import { Resources, toQuantities } from '../../protocol/resources.js';
import { anyList, anyResources, countableResources, volume } from './resource-arbitraries.js';

const parse = (text: string): Resources => Resources.parse(text);
const text = (resources: Resources | undefined): string | undefined => resources?.toString();

test('RES-1: ten times 0.1 cpu is exactly 1, and taking them away again leaves nothing', (t) => {
  const tenth = parse('cpus:0.1');
  const sum = Resources.sum(Array.from({ length: 10 }, () => tenth));
  t.deepEqual(sum.toArray(), [{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 } }]);
  t.true(sum.equals(parse('cpus:1')));
  let rest = sum;
  for (let i = 0; i < 10; i++) rest = rest.subtract(tenth);
  t.true(rest.isEmpty);
});

test('RES-1: amounts are rounded to thousandths at the door, and what rounds to nothing is nothing', (t) => {
  t.is(parse('cpus:0.0004').toString(), '');
  t.is(parse('cpus:0.0006').toString(), 'cpus:0.001');
  t.is(parse('mem:1024.1239').scalar('mem'), 1_024_124);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (thousandths) => {
      const [resource] = Resources.of([
        { name: 'mem', type: 'SCALAR', scalar: { value: thousandths / 1000 } },
      ]).toArray();
      t.is(Resources.of([resource!]).scalar('mem'), thousandths);
    }),
  );
});

test('RES-3: sets are equal by their members, whatever their order', (t) => {
  const set = (...item: string[]): Resource => ({ name: 'zones', type: 'SET', set: { item } });
  t.true(Resources.of([set('a', 'b')]).equals(Resources.of([set('b', 'a')])));
  t.is(text(Resources.of([set('b'), set('a', 'b')])), 'zones:{a,b}');
  t.is(text(parse('zones:{a,b,c}').subtract(parse('zones:{b,x}'))), 'zones:{a,c}');
  t.true(parse('zones:{a,b}').contains(parse('zones:{b}')));
  t.false(parse('zones:{a,b}').contains(parse('zones:{b,c}')));
});

test('RES-4: only what is alike in everything but its amount is added up', (t) => {
  const cpus: Resource = { name: 'cpus', type: 'SCALAR', scalar: { value: 1 } };
  const reserved = (info: NonNullable<Resource['reservations']>[number]): Resource => ({
    ...cpus,
    reservations: [info],
  });
  const kinds: Resource[] = [
    cpus,
    { ...cpus, name: 'mem' },
    { ...cpus, allocationInfo: { role: 'ads' } },
    { ...cpus, allocationInfo: { role: 'web' } },
    { ...cpus, providerId: 'rp' },
    { ...cpus, providerId: 'rp2' },
    { ...cpus, revocable: {} },
    reserved({ type: 'STATIC', role: 'ads' }),
    reserved({ type: 'DYNAMIC', role: 'ads' }),
    reserved({ type: 'DYNAMIC', role: 'ads', principal: 'p' }),
    reserved({ type: 'DYNAMIC', role: 'ads', labels: { labels: [{ key: 'k' }] } }),
    reserved({ type: 'DYNAMIC', role: 'ads', labels: { labels: [{ key: 'k', value: '' }] } }),
    { ...cpus, disk: { source: { type: 'PATH', path: { root: '/a' } } } },
    { ...cpus, disk: { source: { type: 'PATH', path: { root: '/b' } } } },
    { ...cpus, disk: { source: { type: 'RAW', profile: 'fast' } } },
  ];
  t.is(Resources.of(kinds).toArray().length, kinds.length);
  const twice = Resources.of([...kinds, ...kinds]).toArray();
  t.is(twice.length, kinds.length);
  t.true(twice.every(({ scalar }) => scalar?.value === 2));
  for (const [i, a] of kinds.entries())
    for (const [j, b] of kinds.entries()) t.is(Resources.of([a]).contains(Resources.of([b])), i === j, `${i} ${j}`);
});

test('RES-4: the order of labels, the older spelling of a reservation and the use of a volume make no difference', (t) => {
  const cpus: Resource = { name: 'cpus', type: 'SCALAR', scalar: { value: 1 } };
  const labelled = (...keys: string[]): Resource => ({
    ...cpus,
    reservations: [{ type: 'DYNAMIC', role: 'ads', labels: { labels: keys.map((key) => ({ key })) } }],
  });
  const pairs: [Resource, Resource][] = [
    [labelled('a', 'b'), labelled('b', 'a')],
    [{ ...cpus, role: '*' }, cpus],
    [
      { ...cpus, role: 'ads' },
      { ...cpus, reservations: [{ type: 'STATIC', role: 'ads' }] },
    ],
    [
      { ...cpus, role: 'ads', reservation: { principal: 'p' } },
      { ...cpus, reservations: [{ type: 'DYNAMIC', role: 'ads', principal: 'p' }] },
    ],
    [
      volume('v', 1),
      { ...volume('v', 1), disk: { persistence: { id: 'v' }, volume: { mode: 'RO', containerPath: 'other' } } },
    ],
    [
      { ...cpus, allocationInfo: {} },
      { ...cpus, reservations: [] },
    ],
  ];
  for (const [a, b] of pairs) t.true(Resources.of([a]).equals(Resources.of([b])), JSON.stringify(a));
});

test('RES-5: adding and then subtracting gives back what there was', (t) => {
  fc.assert(
    fc.property(countableResources, countableResources, (a, b) => {
      t.true(a.add(b).subtract(b).equals(a));
      t.true(a.add(b).contains(a));
    }),
  );
  fc.assert(
    fc.property(anyResources, anyResources, (a, b) => {
      // Ranges and sets are united, so that it holds for what the two do not share.
      const own = a.subtract(b);
      t.true(own.ranges('ports').length === 0 || own.add(b).contains(own));
      t.true(
        own
          .filter(({ type }) => type !== 'SCALAR')
          .add(b)
          .subtract(b)
          .equals(own.filter(({ type }) => type !== 'SCALAR')),
      );
    }),
  );
});

test('RES-5: adding is commutative and associative, and nothing is its zero', (t) => {
  fc.assert(
    fc.property(anyResources, anyResources, anyResources, (a, b, c) => {
      t.true(a.add(b).equals(b.add(a)));
      t.true(
        a
          .add(b)
          .add(c)
          .equals(a.add(b.add(c))),
      );
      t.is(a.add(Resources.empty), a);
      t.is(a.subtract(Resources.empty), a);
    }),
  );
});

test('RES-6: nothing becomes negative, what is used up disappears, what is not there is ignored', (t) => {
  t.is(text(parse('cpus:1;mem:10').subtract(parse('cpus:2;disk:5'))), 'mem:10');
  t.true(parse('ports:[1-3]').subtract(parse('ports:[0-9]')).isEmpty);
  fc.assert(
    fc.property(anyResources, anyResources, (a, b) => {
      const rest = a.subtract(b);
      t.true(a.contains(rest));
      t.true([...rest.quantities().values()].every((thousandths) => thousandths > 0));
      t.true(a.subtract(a).isEmpty);
    }),
  );
});

test('RES-7: containing is a partial order', (t) => {
  fc.assert(
    fc.property(anyResources, anyResources, anyResources, (a, b, c) => {
      t.true(a.contains(a));
      t.is(a.contains(b) && b.contains(a), a.equals(b));
      if (a.contains(b) && b.contains(c)) t.true(a.contains(c));
      const ab = a.add(b);
      t.true(ab.add(c).contains(ab) && ab.contains(b) && ab.add(c).contains(b));
      t.true(a.contains(Resources.empty));
    }),
    { numRuns: 300 },
  );
});

test('RES-7: what is contained can be taken out and put back', (t) => {
  fc.assert(
    fc.property(anyResources, anyResources, (a, b) => {
      const all = a.add(b);
      t.true(all.subtract(b).add(b).equals(all));
      for (const [name, thousandths] of all.subtract(b).quantities()) {
        // Of a shared one a copy may go without its quantity going.
        if (all.shared().isEmpty) t.is(thousandths, all.scalar(name) - b.scalar(name));
      }
    }),
  );
});

test('RES-8: volumes are counted, never split, and go only whole', (t) => {
  const [v1, v2] = [Resources.of([volume('v1', 10)]), Resources.of([volume('v2', 10)])];
  const both = v1.add(v2).add(v1);
  t.is(both.toArray().length, 3);
  t.is(both.scalar('disk'), 30_000);
  t.is(both.subtract(v1).toArray().length, 2);
  t.true(both.subtract(v1).contains(v1));
  t.false(both.subtract(v1).subtract(v1).contains(v1));
  const smaller = Resources.of([volume('v1', 5)]);
  t.false(both.contains(smaller));
  t.true(both.subtract(smaller).equals(both));
});

test('RES-8: a shared volume has copies, and its quantity counts once', (t) => {
  const one = Resources.of([volume('v', 10, true)]);
  const two = one.add(one);
  t.is(two.scalar('disk'), 10_000);
  t.is(two.quantities().get('disk'), 10_000);
  t.is(two.toArray().length, 2);
  t.true(two.contains(one));
  t.false(one.contains(two));
  t.true(two.subtract(one).equals(one));
  t.true(one.subtract(two).isEmpty);
});

test('RES-8: which disks are counted and which are added up', (t) => {
  const disk = (source: NonNullable<NonNullable<Resource['disk']>['source']>): Resources =>
    Resources.of([{ name: 'disk', type: 'SCALAR', scalar: { value: 4 }, disk: { source } }]);
  const isCounted = (one: Resources): boolean => one.add(one).toArray().length === 2;
  t.true(isCounted(disk({ type: 'MOUNT', mount: { root: '/m' } })));
  t.true(isCounted(disk({ type: 'BLOCK', id: 'b' })));
  t.true(isCounted(disk({ type: 'RAW', id: 'r' })));
  t.false(isCounted(disk({ type: 'RAW' })));
  t.false(isCounted(disk({ type: 'PATH', path: { root: '/p' } })));
  t.false(isCounted(parse('disk(ads):4')));
});

test('RES-18: allocating, reserving and taking it back change who has something, not how much', (t) => {
  fc.assert(
    fc.property(anyResources, (a) => {
      const before = [...a.quantities()].sort();
      const bare = a.unallocate();
      t.is(a.nonShared().allocate('r').allocationRole, a.nonShared().isEmpty ? undefined : 'r');
      t.true(bare.allocate('r').unallocate().equals(bare));
      t.true(a.allocate('ads').equals(a.unallocate().allocate('ads')));
      const reservation = { type: 'DYNAMIC', role: 'ads/web/x', principal: 'p' } as const;
      const reserved = a.pushReservation(reservation);
      t.true(reserved.popReservation().equals(a));
      t.true(reserved.reserved('ads/web/x').equals(reserved));
      t.true(reserved.toUnreserved().unreserved().equals(a.toUnreserved()));
      if (a.shared().isEmpty)
        for (const other of [bare, a.allocate('r'), reserved, reserved.toUnreserved()])
          t.deepEqual([...other.quantities()].sort(), before);
    }),
  );
});

test('RES-18: filters divide by reservation, mark and ancestry', (t) => {
  const all = parse('cpus:1;cpus(ads):2;cpus(ads/web):4;cpus(adsx):8').add(
    Resources.of([{ name: 'cpus', type: 'SCALAR', scalar: { value: 16 }, revocable: {} }]),
  );
  const cpus = (resources: Resources): number => resources.scalar('cpus') / 1000;
  t.is(cpus(all.unreserved()), 17);
  t.is(cpus(all.reserved()), 14);
  t.is(cpus(all.reserved('ads')), 2);
  t.is(cpus(all.allocatableTo('ads')), 19);
  t.is(cpus(all.allocatableTo('ads/web')), 23);
  t.is(cpus(all.allocatableTo('other')), 17);
  t.is(cpus(all.revocable()), 16);
  t.true(all.revocable().add(all.nonRevocable()).equals(all));
});

test('RES-18: a conversion needs what it consumes and keeps the quantities', (t) => {
  const agent = parse('cpus:4;disk:100');
  const consumed = parse('disk:10');
  const reserved = consumed.pushReservation({ type: 'DYNAMIC', role: 'ads' });
  const after = agent.apply(consumed, reserved);
  t.is(text(after), 'cpus:4; disk:90; disk(ads dynamic):10');
  t.is(after?.apply(consumed.add(agent), reserved), undefined);
  t.is(after?.apply(reserved, Resources.of([volume('v', 11)])), undefined);
  t.is(after?.apply(reserved, Resources.of([volume('v', 9)])), undefined);
  t.is(
    text(after?.apply(reserved, Resources.of([volume('v', 11)]), true)),
    'cpus:4; disk:90; disk(ads dynamic)[v:data]:11',
  );
  t.is(text(after?.apply(reserved, Resources.of([volume('v', 10)]))), 'cpus:4; disk:90; disk(ads dynamic)[v:data]:10');
});

test('RES-19: the wire form of equal resources is equal, whatever the order they came in', (t) => {
  fc.assert(
    fc.property(anyList, fc.infiniteStream(fc.nat()), (list, chance) => {
      const shuffled = list.map((resource) => ({ resource, rank: chance.next().value as number }));
      shuffled.sort((a, b) => a.rank - b.rank);
      const a = Resources.of(list);
      const b = Resources.of(shuffled.map(({ resource }) => resource));
      t.true(a.equals(b));
      t.is(JSON.stringify(a.toArray()), JSON.stringify(b.toArray()));
      t.true(Resources.of(a.toArray()).equals(a));
      t.is(JSON.stringify(Resources.of(a.toArray()).toArray()), JSON.stringify(a.toArray()));
    }),
  );
});

test('RES-11: find prefers the own reservation, then unreserved ones, then any', (t) => {
  const agent = parse('cpus:2;cpus(ads):2;cpus(web):2;ports:[1-4];ports(web):[7-9]');
  t.is(text(agent.find(parse('cpus(ads):1'))), 'cpus(ads):1');
  t.is(text(agent.find(parse('cpus(ads):3'))), 'cpus:1; cpus(ads):2');
  t.is(text(agent.find(parse('cpus(ads):5'))), 'cpus:2; cpus(ads):2; cpus(web):1');
  t.is(text(agent.find(parse('cpus:5;ports:[3-7]'))), undefined);
  t.is(text(agent.find(parse('ports:[3-4,8-8]'))), 'ports:[3-4]; ports(web):[8-8]');
  t.is(agent.find(parse('cpus:7')), undefined);
  const withVolume = agent.add(Resources.of([volume('v', 10)]));
  t.is(text(withVolume.find(Resources.of([volume('v', 10)]))), 'disk(ads dynamic)[v:data]:10');
  t.is(withVolume.find(Resources.of([volume('v', 9)])), undefined);
  t.is(withVolume.find(parse('disk:1')), undefined);
  fc.assert(
    fc.property(anyResources, anyResources, (a, b) => {
      const found = a.find(b);
      if (found === undefined) return;
      t.true(a.contains(found));
      t.deepEqual([...found.quantities()].sort(), [...b.quantities()].sort());
    }),
  );
});

test('RES-12: take picks a task out of an offer', (t) => {
  const offer = parse('cpus:4;mem:100;ports:[31000-31001,31005-31009];cpus(ads):1').allocate('ads');
  const task = offer.take(toQuantities({ cpus: 1.5, mem: 32 }), 3);
  t.is(text(task), 'cpus:0.5; cpus(ads):1; mem:32; ports:[31000-31001,31005-31005]');
  t.is(task?.allocationRole, 'ads');
  t.is(text(offer.subtract(task!)), 'cpus:3.5; mem:68; ports:[31006-31009]');
  t.is(offer.take(toQuantities({ cpus: 5.001 })), undefined);
  t.is(offer.take(toQuantities({ gpus: 1 })), undefined);
  t.is(offer.take(new Map(), 8), undefined);
  t.true(offer.take(toQuantities({ cpus: 0 }))?.isEmpty);
});

test('RES-12: take neither splits volumes nor mixes revocable with others', (t) => {
  const revocable = Resources.of([{ name: 'cpus', type: 'SCALAR', scalar: { value: 4 }, revocable: {} }]);
  const offer = parse('cpus:1;disk:5')
    .add(revocable)
    .add(Resources.of([volume('v', 100)]));
  t.is(text(offer.take(toQuantities({ cpus: 1 }))), 'cpus:1');
  t.is(text(offer.take(toQuantities({ cpus: 2 }))), 'cpus{revocable}:2');
  t.is(offer.take(toQuantities({ cpus: 4.5 })), undefined);
  t.is(offer.take(toQuantities({ disk: 6 })), undefined);
  const wanted = fc.record({ cpus: fc.nat(3000), mem: fc.nat(3000), ports: fc.nat(5) });
  fc.assert(
    fc.property(anyResources, wanted, (a, { cpus, mem, ports }) => {
      const task = a.take(new Map(Object.entries({ cpus, mem })), ports);
      if (task === undefined) return;
      t.true(a.contains(task));
      t.is(task.scalar('cpus'), cpus);
      t.is(task.scalar('mem'), mem);
    }),
  );
});

test('RES-13: shrink cuts what can be cut and keeps the rest whole or not at all', (t) => {
  const all = parse('cpus:4;mem:100;ports:[1-9];disk:50').add(Resources.of([volume('v', 10), volume('w', 10)]));
  const cut = all.shrink(toQuantities({ cpus: 1, disk: 65, gpus: 3 }));
  t.is(text(cut), 'cpus:1; disk:50; disk(ads dynamic)[v:data]:10; mem:100; ports:[1-9]');
  t.is(text(all.shrink(toQuantities({ mem: 0 })).filter(({ name }) => name !== 'disk')), 'cpus:4; ports:[1-9]');
  fc.assert(
    fc.property(anyResources, fc.nat(4000), (a, limit) => {
      const less = a.shrink(new Map([['disk', limit]]));
      t.true(a.contains(less));
      t.true(less.scalar('disk') <= limit);
      t.is(less.scalar('cpus'), a.scalar('cpus'));
    }),
  );
});

import test from 'ava';
import fc from 'fast-check';
import type { Grant } from '../../actors/master/allocator/allocator.js';
import { CountAllocator } from '../../actors/master/allocator/count-allocator.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import { Resources } from '../../protocol/resources.js';
import { InvariantBroken } from '../../actors/invariant.js';

const INFO = { user: 'u', name: 'n' };
const AGENT = { hostname: 'h' };
const NONE = new Map<string, Resources>();

/** An allocator with active frameworks. */
function allocator(...frameworks: string[]): CountAllocator {
  const made = new CountAllocator(DEFAULT_TIMINGS);
  for (const id of frameworks) {
    made.addFramework(id, INFO, []);
    made.setFrameworkActive(id, true);
  }
  return made;
}
const of = (text: string): Resources => Resources.parse(text);
const grantsOf = (grants: readonly Grant[]) => grants.map(({ frameworkId, agentId, resources }) => `${frameworkId} ${agentId} ${resources.unallocate()}`); // prettier-ignore

const step = fc.record({
  what: fc.constantFrom('allocate', 'recover', 'part', 'refuse', 'addAgent', 'removeAgent', 'active', 'suppress', 'revive', 'framework', 'removeFramework'), // prettier-ignore
  which: fc.nat(20),
  flag: fc.boolean(),
  ms: fc.constantFrom(0, 1, 30, 60, 2_000),
});

test('ALC-1: through any operations, for each agent free plus held is the total, and a grant comes out of what was free', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const subject = allocator('f0', 'f1');
      const totals = new Map<string, Resources>();
      const known = new Set(['f0', 'f1']);
      let now = 1_000;
      for (const { what, which, flag, ms } of steps) {
        now += ms;
        const agentIds = [...totals.keys()];
        const agentId = agentIds[which % Math.max(1, agentIds.length)] ?? 'a0';
        const held = [...subject.held(agentId)];
        const [frameworkId, resources] = held[which % Math.max(1, held.length)] ?? ['f0', Resources.empty];
        const before = new Map(agentIds.map((id) => [id, subject.free(id)]));
        if (what === 'addAgent') {
          const id = `a${which % 4}`;
          if (!totals.has(id)) {
            const total = of(`cpus:${which + 1};mem:${(which + 1) * 100};ports:[1-${which + 2}]`);
            const mine = flag ? new Map([['f0', of('cpus:0.5;mem:10;ports:[1-1]')]]) : NONE;
            totals.set(id, total);
            subject.addAgent(id, AGENT, total, mine);
          }
        } else if (what === 'removeAgent') {
          subject.removeAgent(agentId);
          totals.delete(agentId);
        } else if (what === 'active') subject.setAgentActive(agentId, flag);
        else if (what === 'recover') subject.recover(frameworkId, agentId, resources);
        else if (what === 'part')
          subject.recover(frameworkId, agentId, resources.contains(of('cpus:0.1')) ? of('cpus:0.1') : Resources.empty); // prettier-ignore
        else if (what === 'refuse')
          subject.recover(frameworkId, agentId, resources, { role: '*', nowMs: now, untilMs: now + which * 100 }); // prettier-ignore
        else if (what === 'suppress' && known.has('f1')) subject.suppress('f1', []);
        else if (what === 'revive' && known.has('f1')) subject.revive('f1', []);
        else if (what === 'framework' && !known.has(`f${which % 5}`)) {
          known.add(`f${which % 5}`);
          subject.addFramework(`f${which % 5}`, INFO, flag ? ['*'] : []);
          subject.setFrameworkActive(`f${which % 5}`, true);
        } else if (what === 'removeFramework' && which % 5 > 0) {
          const id = `f${which % 5}`;
          const holds = agentIds.some((agent) => subject.held(agent).has(id));
          if (known.has(id) && !holds) {
            subject.removeFramework(id);
            known.delete(id);
          }
        } else if (what === 'allocate') {
          for (const grant of subject.allocate(now)) {
            t.true(before.get(grant.agentId)?.contains(grant.resources.unallocate()));
            t.true(known.has(grant.frameworkId));
            t.is(grant.resources.allocationRole, '*');
            t.true(subject.free(grant.agentId).isEmpty);
          }
        }
        for (const [id, total] of totals) {
          const sum = [...subject.held(id).values()].reduce((all, one) => all.add(one), subject.free(id));
          t.true(sum.equals(total), `${id}: ${sum} of ${total}`);
        }
        const next = subject.nextAllocationMs(now);
        t.true(next === undefined || next > now);
      }
    }),
    { numRuns: 300 },
  );
});

test('ALC-1: what is not held cannot be given back, and who holds something cannot go', (t) => {
  const subject = allocator('f0', 'f1');
  subject.addAgent('a0', AGENT, of('cpus:1;mem:64'), NONE);
  subject.allocate(0);
  t.throws(() => subject.recover('f0', 'a0', of('cpus:1.001')), { instanceOf: InvariantBroken });
  t.throws(() => subject.recover('f1', 'a0', of('cpus:1')), { instanceOf: InvariantBroken });
  t.throws(() => subject.removeFramework('f0'), { instanceOf: InvariantBroken });
  t.throws(() => subject.addAgent('a0', AGENT, of('cpus:1'), NONE), { instanceOf: InvariantBroken });
  t.throws(() => subject.addFramework('f0', INFO, []), { instanceOf: InvariantBroken });
  t.notThrows(() => subject.recover('f0', 'gone', of('cpus:5')), 'an agent that is gone has nothing to give back');
  t.notThrows(() => subject.removeFramework('f1'));
});

test('ALC-1: a framework that holds nothing at all can go, whatever an agent brought', (t) => {
  const subject = allocator('f0');
  subject.addAgent('a0', AGENT, of('cpus:1;mem:64'), new Map([['f0', Resources.empty]]));
  t.notThrows(() => subject.removeFramework('f0'));
});

test('ALC-2: each agent goes to the framework that holds fewest cpus, then least memory, then to the older one', (t) => {
  const subject = allocator('f0', 'f1', 'f2');
  const give = (agentId: string, text: string) => {
    subject.addAgent(agentId, AGENT, of(text), NONE);
    return subject.allocate(0)[0]?.frameworkId;
  };
  t.is(give('a0', 'cpus:4;mem:100'), 'f0');
  t.is(give('a1', 'cpus:2;mem:900'), 'f1');
  t.is(give('a2', 'cpus:1;mem:100'), 'f2');
  t.is(give('a3', 'cpus:1;mem:100'), 'f2');
  t.is(give('a4', 'cpus:1;mem:64'), 'f2', 'two cpus each: it has less memory');
  t.is(give('a5', 'cpus:1;mem:64'), 'f1');
});

test('ALC-2: what frameworks hold by their tasks counts from the beginning', (t) => {
  const subject = new CountAllocator(DEFAULT_TIMINGS);
  subject.addAgent('a0', AGENT, of('cpus:4;mem:400'), new Map([['f0', of('cpus:4;mem:400')]]));
  for (const id of ['f0', 'f1']) {
    subject.addFramework(id, INFO, []);
    subject.setFrameworkActive(id, true);
  }
  subject.addAgent('a1', AGENT, of('cpus:1;mem:64'), NONE);
  t.deepEqual(grantsOf(subject.allocate(0)), ['f1 a1 cpus:1; mem:64']);
});

test('ALC-2: nothing goes to who is away or suppressed, nothing comes from an agent that is away', (t) => {
  const subject = allocator('f0');
  subject.addAgent('a0', AGENT, of('cpus:1;mem:64'), NONE);
  subject.setAgentActive('a0', false);
  t.deepEqual(subject.allocate(0), []);
  subject.setAgentActive('a0', true);
  subject.setFrameworkActive('f0', false);
  t.deepEqual(subject.allocate(0), []);
  subject.setFrameworkActive('f0', true);
  subject.suppress('f0', []);
  t.deepEqual(subject.allocate(0), []);
  subject.updateFramework('f0', { ...INFO, roles: ['a', 'b'] }, ['a']);
  t.is(subject.allocate(0).length, 1, 'one of its roles is not suppressed');
});

test('ALC-4: the same is not offered again before 50 ms, doubling to 1 s, nor before its filter ends', (t) => {
  const subject = allocator('f0');
  subject.addAgent('a0', AGENT, of('cpus:2;mem:64'), NONE);
  let now = 10_000;
  const pauses: number[] = [];
  for (let i = 0; i < 8; i++) {
    const [grant] = subject.allocate(now);
    if (grant === undefined) return t.fail();
    subject.recover('f0', 'a0', grant.resources, { role: '*', nowMs: now, untilMs: now + (i === 7 ? 3_000 : 0) });
    t.deepEqual(subject.allocate(now), []);
    const next = subject.nextAllocationMs(now) ?? 0;
    t.deepEqual(subject.allocate(next - 1), []);
    pauses.push(next - now);
    now = next;
  }
  t.deepEqual(pauses, [50, 100, 200, 400, 800, 1_000, 1_000, 3_000]);
});

test('ALC-4: a filter holds for the agent and framework that it is for, and ends when more is free', (t) => {
  const subject = allocator('f0', 'f1');
  subject.addAgent('a0', AGENT, of('cpus:4;mem:400'), new Map([['f1', of('cpus:1;mem:100')]]));
  const [grant] = subject.allocate(0);
  t.is(grant?.frameworkId, 'f0');
  subject.suppress('f1', []);
  subject.recover('f0', 'a0', grant?.resources ?? Resources.empty, { role: '*', nowMs: 0, untilMs: 3_600_000 });
  t.deepEqual(subject.allocate(3_599_999), []);
  subject.addAgent('a1', AGENT, of('cpus:1;mem:64'), NONE);
  t.deepEqual(grantsOf(subject.allocate(10)), ['f0 a1 cpus:1; mem:64']);
  subject.revive('f1', []);
  t.deepEqual(grantsOf(subject.allocate(20)), ['f1 a0 cpus:3; mem:300'], 'another may have it');
  subject.recover('f1', 'a0', of('cpus:3;mem:300'));
  subject.suppress('f1', []);
  t.deepEqual(subject.allocate(30), []);
  subject.recover('f1', 'a0', of('cpus:0.001'));
  t.is(subject.allocate(40)[0]?.frameworkId, 'f0', 'more is free than was refused');
});

test('ALC-4: filters outlive the agent’s return and end with the framework’s absence', (t) => {
  const subject = allocator('f0');
  const total = of('cpus:1;mem:64');
  subject.addAgent('a0', AGENT, total, NONE);
  subject.allocate(0);
  subject.recover('f0', 'a0', total, { role: '*', nowMs: 0, untilMs: 60_000 });
  subject.removeAgent('a0');
  subject.addAgent('a0', AGENT, total, NONE);
  t.deepEqual(subject.allocate(1_000), []);
  subject.setFrameworkActive('f0', false);
  subject.setFrameworkActive('f0', true);
  t.is(subject.allocate(1_000).length, 1);
});

test('ALC-3 ALC-4: crumbs are not offered: less than 0.01 cpus and less than 32 MB', (t) => {
  const table: [string, boolean][] = [
    ['cpus:0.009;mem:31.999', false],
    ['cpus:0.01;mem:1', true],
    ['mem:32', true],
    ['cpus:0.009;mem:32', true],
    ['disk:1000', false],
  ];
  for (const [text, offered] of table) {
    const subject = allocator('f0');
    subject.addAgent('a0', AGENT, of(text), NONE);
    t.is(subject.allocate(0).length === 1, offered, text);
  }
});

test('OFR-4: whether another waits for an agent’s resources', (t) => {
  const subject = allocator('f0', 'f1');
  subject.addAgent('a0', AGENT, of('cpus:1;mem:64'), NONE);
  const wanted = (now = 0) => subject.isWanted('a0', 'f0', now);
  t.true(wanted());
  subject.suppress('f1', []);
  t.false(wanted());
  subject.revive('f1', []);
  subject.setFrameworkActive('f1', false);
  t.false(wanted());
  subject.setFrameworkActive('f1', true);
  t.true(wanted());
  t.is(subject.allocate(0)[0]?.frameworkId, 'f0');
  subject.suppress('f0', []);
  subject.recover('f0', 'a0', of('cpus:1;mem:64'));
  t.is(subject.allocate(0)[0]?.frameworkId, 'f1');
  subject.recover('f1', 'a0', of('cpus:1;mem:64'), { role: '*', nowMs: 0, untilMs: 5_000 });
  t.false(wanted(4_999), 'it has refused it');
  t.true(wanted(5_000));
  t.false(subject.isWanted('a0', 'f1', 0), 'a suppressed one does not wait');
});

test('ALC-1: an agent that is smaller than what its tasks hold has nothing free until they end', (t) => {
  const subject = allocator('f0');
  subject.addAgent('a0', AGENT, of('cpus:1;mem:100'), new Map([['f0', of('cpus:3;mem:300')]]));
  t.true(subject.free('a0').isEmpty);
  subject.recover('f0', 'a0', of('cpus:1;mem:100'));
  t.true(subject.free('a0').isEmpty);
  subject.recover('f0', 'a0', of('cpus:1.5;mem:150'));
  t.is(subject.free('a0').toString(), 'cpus:0.5; mem:50');
  subject.recover('f0', 'a0', of('cpus:0.5;mem:50'));
  t.is(subject.free('a0').toString(), 'cpus:1; mem:100');
});

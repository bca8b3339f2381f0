import test from 'ava';
import fc from 'fast-check';
import type { Persist } from '../../actors/effect.js';
import { decodeValue } from '../../protocol/codec.js';
import type { KeyedWrite, Storage, Stored } from '../../runtime/ports.js';
import { Registrar } from '../../runtime/registrar.js';

interface Commit {
  readonly fenceKey: string;
  readonly fence: number;
  readonly decisions: readonly (readonly KeyedWrite[])[];
  readonly answer: (outcome: Stored['outcome']) => void;
}

function registry(onTold?: (registrar: Registrar, requestId: number) => void) {
  const commits: Commit[] = [];
  const told: string[] = [];
  const storage = {
    commit: (fenceKey: string, fence: number, decisions: Commit['decisions'], answer: Commit['answer']) =>
      commits.push({ fenceKey, fence, decisions, answer }),
  } as unknown as Storage;
  const registrar: Registrar = new Registrar(storage, ({ type, requestId }) => {
    told.push(`${type.slice('REGISTRY_'.length)} ${requestId}`);
    onTold?.(registrar, requestId);
  });
  return { registrar, commits, told };
}

const record = { schemaVersion: 1 as const, agentId: 'a', principal: 'p', agentInfo: { hostname: 'h' } };
const persist = (requestId: number, records = 1, fence = 9): Persist => ({
  type: 'persist',
  requestId,
  fence,
  writes: Array.from({ length: records }, (_, i) => ({ key: `agent.${requestId}-${i}`, record })),
});

test('REG-1: one write is in flight; what piles up meanwhile goes into the next, each decision as a whole', (t) => {
  const { registrar, commits, told } = registry();
  registrar.add(persist(1));
  registrar.add(persist(2, 2));
  registrar.flush();
  t.is(commits.length, 1);
  t.like(commits[0], { fenceKey: 'epoch', fence: 9 });
  t.deepEqual(commits[0]?.decisions.map((writes) => writes.map(({ key }) => key)), [['agent.1-0'], ['agent.2-0', 'agent.2-1']]); // prettier-ignore
  for (const id of [3, 4, 5]) {
    registrar.add(persist(id));
    registrar.flush();
  }
  t.is(commits.length, 1);
  t.deepEqual(told, []);
  commits[0]?.answer('stored');
  t.deepEqual(told, ['STORED 1', 'STORED 2']);
  t.is(commits.length, 2);
  t.is(commits[1]?.decisions.length, 3);
  commits[1]?.answer('stored');
  t.deepEqual(told.slice(2), ['STORED 3', 'STORED 4', 'STORED 5']);
  registrar.flush();
  t.is(commits.length, 2, 'nothing waits');
});

test('REG-1: a record is a value, a deletion has none', (t) => {
  const { registrar, commits } = registry();
  registrar.add({ type: 'persist', requestId: 1, fence: 9, writes: [{ key: 'agent.a', record }, { key: 'agent.b' }] });
  registrar.flush();
  const [kept, deleted] = commits[0]?.decisions[0] ?? [];
  t.deepEqual(decodeValue(kept?.value as Uint8Array), record);
  t.deepEqual(deleted, { key: 'agent.b' });
});

test('REG-1: at most 1,000 records go together, and no decision is taken apart', (t) => {
  const size = fc.integer({ min: 1, max: 1_000 });
  fc.assert(
    fc.property(fc.array(size, { minLength: 1, maxLength: 40 }), (sizes) => {
      const { registrar, commits, told } = registry();
      sizes.forEach((records, at) => registrar.add(persist(at, records)));
      registrar.flush();
      for (let at = 0; at < commits.length; at++) {
        const records = commits[at]?.decisions.flat().length ?? 0;
        t.true(records <= 1_000);
        const next = sizes[commits.slice(0, at + 1).flatMap(({ decisions }) => decisions).length]; // prettier-ignore
        t.true(next === undefined || records + next > 1_000, 'as many as fit');
        commits[at]?.answer('stored');
      }
      t.deepEqual(commits.flatMap(({ decisions }) => decisions.map((writes) => writes.length)), sizes); // prettier-ignore
      t.deepEqual(told, sizes.map((_, at) => `STORED ${at}`)); // prettier-ignore
    }),
    { numRuns: 50 },
  );
});

test('REG-1: decisions under another fence wait for a write of their own', (t) => {
  const { registrar, commits } = registry();
  registrar.add(persist(1, 1, 9));
  registrar.add(persist(2, 1, 9));
  registrar.add(persist(3, 1, 12));
  registrar.flush();
  t.is(commits[0]?.decisions.length, 2);
  commits[0]?.answer('stored');
  t.deepEqual([commits[1]?.fence, commits[1]?.decisions.length], [12, 1]);
});

test('REG-4: after a write that was refused, or of unknown outcome, everything is refused and nothing is written', (t) => {
  for (const outcome of ['refused', 'busy', 'unknown'] as const) {
    const { registrar, commits, told } = registry();
    registrar.add(persist(1));
    registrar.add(persist(2));
    registrar.flush();
    for (let id = 3; id < 10; id++) registrar.add(persist(id, 300));
    registrar.add(persist(10, 1, 12));
    commits[0]?.answer(outcome);
    t.deepEqual(told, Array.from({ length: 10 }, (_, at) => `REFUSED ${at + 1}`), outcome); // prettier-ignore
    registrar.add(persist(11));
    registrar.flush();
    t.is(told.at(-1), 'REFUSED 11');
    t.is(commits.length, 1);
  }
});

test('REG-1: what is asked for by those that are told goes into the next write, still one at a time', (t) => {
  const { registrar, commits, told } = registry((own, requestId) => {
    if (requestId >= 10) return;
    own.add(persist(requestId + 10));
    own.flush();
  });
  for (const id of [1, 2, 3]) registrar.add(persist(id));
  registrar.flush();
  commits[0]?.answer('stored');
  t.is(commits.length, 2);
  commits[1]?.answer('stored');
  commits[2]?.answer('stored');
  t.deepEqual(told, ['STORED 1', 'STORED 2', 'STORED 3', 'STORED 11', 'STORED 12', 'STORED 13']);
});

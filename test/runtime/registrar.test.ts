import test from 'ava';
import fc from 'fast-check';
import type { Persist } from '../../actors/effect.js';
import { decodeValue, encodeValue } from '../../protocol/codec.js';
import { MAX_QUEUED_RECORDS } from '../../protocol/limits.js';
import type { EpochRecord } from '../../protocol/registry.js';
import { Registrar } from '../../runtime/registrar.js';
import { RegistryModel, type InFlight } from '../support/registry-model.js';

const FENCE = 9;
const EPOCH: EpochRecord = { schemaVersion: 1, epoch: 5, masterId: '5', name: 'm1' };

function registry(onTold?: (registrar: Registrar, requestId: number) => void) {
  const model = new RegistryModel(FENCE);
  const told: string[] = [];
  const registrar: Registrar = new Registrar({
    ...model.ports,
    tell: (event) => {
      if (event.type === 'REGISTRY_LOST') return told.push('LOST');
      told.push(`STORED ${event.requestId}`);
      return onTold?.(registrar, event.requestId);
    },
  });
  model.onEntry = (entry) => registrar.onEntry(entry);
  registrar.lead(EPOCH, FENCE);
  const ask = (...persists: Persist[]): void => {
    for (const each of persists) registrar.add(each);
    registrar.flush();
  };
  const commits = () => model.sent.filter(({ call }) => call === 'commit');
  const barriers = () => model.sent.filter(({ call }) => call === 'compareAndSet');
  /** The last try of a barrier is stored and delivered. */
  const settle = (): void => {
    barriers().at(-1)?.land();
    model.deliver();
  };
  return { model, registrar, told, ask, commits, barriers, settle };
}

const record = { schemaVersion: 1 as const, agentId: 'a', principal: 'p', agentInfo: { hostname: 'h' } };
const persist = (requestId: number, records = 1): Persist => ({
  type: 'persist',
  requestId,
  writes: Array.from({ length: records }, (_, i) => ({ key: `agent.${requestId}-${i}`, record })),
});
const keysOf = ({ decisions }: InFlight): string[] => decisions.flat().map(({ key }) => key);
const epochOf = ({ writes }: InFlight): EpochRecord => decodeValue(writes[0]?.value as Uint8Array) as EpochRecord;

test('REG-1: one write is in flight; what piles up meanwhile goes into the next, each decision as a whole', (t) => {
  const { ask, registrar, commits, told } = registry();
  ask(persist(1), persist(2, 2));
  t.is(commits().length, 1);
  t.like(commits()[0], { fenceKey: 'epoch', fence: FENCE });
  t.deepEqual(commits()[0]?.decisions.map((writes) => writes.map(({ key }) => key)), [['agent.1-0'], ['agent.2-0', 'agent.2-1']]); // prettier-ignore
  for (const id of [3, 4, 5]) ask(persist(id));
  t.is(commits().length, 1);
  t.deepEqual(told, []);
  commits()[0]?.answer('stored');
  t.deepEqual(told, ['STORED 1', 'STORED 2']);
  t.is(commits().length, 2);
  t.is(commits()[1]?.decisions.length, 3);
  commits()[1]?.answer('stored');
  t.deepEqual(told.slice(2), ['STORED 3', 'STORED 4', 'STORED 5']);
  registrar.flush();
  t.is(commits().length, 2, 'nothing waits');
});

test('REG-1: a record is a value, a deletion has none; nothing is written outside a term', (t) => {
  const { ask, commits } = registry();
  ask({ type: 'persist', requestId: 1, writes: [{ key: 'agent.a', record }, { key: 'agent.b' }] });
  const [kept, deleted] = commits()[0]?.decisions[0] ?? [];
  t.deepEqual(decodeValue(kept?.value as Uint8Array), record);
  t.deepEqual(deleted, { key: 'agent.b' });

  const model = new RegistryModel(FENCE);
  const outside = new Registrar({ ...model.ports, tell: () => t.fail() });
  outside.add(persist(1));
  outside.raise({ epoch: 6 });
  outside.flush();
  t.deepEqual(model.sent, []);
});

test('REG-1: at most 1,000 records go together, and no decision is taken apart', (t) => {
  const size = fc.integer({ min: 1, max: 1_000 });
  fc.assert(
    fc.property(fc.array(size, { minLength: 1, maxLength: 40 }), (sizes) => {
      const { ask, commits, told } = registry();
      ask(...sizes.map((records, at) => persist(at, records)));
      for (let at = 0; at < commits().length; at++) {
        const records = commits()[at]?.decisions.flat().length ?? 0;
        t.true(records <= 1_000);
        const next = sizes[commits().slice(0, at + 1).flatMap(({ decisions }) => decisions).length]; // prettier-ignore
        t.true(next === undefined || records + next > 1_000, 'as many as fit');
        commits()[at]?.answer('stored');
      }
      t.deepEqual(commits().flatMap(({ decisions }) => decisions.map((writes) => writes.length)), sizes); // prettier-ignore
      t.deepEqual(told, sizes.map((_, at) => `STORED ${at}`)); // prettier-ignore
    }),
    { numRuns: 50 },
  );
});

test('REG-1: what is asked for by those that are told goes into the next write, still one at a time', (t) => {
  const { ask, commits, told } = registry((own, requestId) => {
    if (requestId >= 10) return;
    own.add(persist(requestId + 10));
    own.flush();
  });
  ask(persist(1), persist(2), persist(3));
  commits()[0]?.answer('stored');
  t.is(commits().length, 2);
  commits()[1]?.answer('stored');
  commits()[2]?.answer('stored');
  t.deepEqual(told, ['STORED 1', 'STORED 2', 'STORED 3', 'STORED 11', 'STORED 12', 'STORED 13']);
});

test('REG-7 REG-4: a stored write whose answer is lost is told as stored, and not written twice', (t) => {
  const { ask, commits, barriers, told, model, settle } = registry();
  ask(persist(1), persist(2, 2));
  t.is(commits()[0]?.land(), 'stored');
  commits()[0]?.answer('unknown');
  ask(persist(3));
  t.deepEqual(told, [], 'nothing is told before the watch has said it');
  t.is(commits().length, 1, 'what comes meanwhile waits');
  t.deepEqual(barriers().map(epochOf), [{ ...EPOCH, barrier: 1 }]);
  t.is(barriers()[0]?.fence, FENCE);
  settle();
  t.deepEqual(told, ['STORED 1', 'STORED 2']);
  t.is(commits().length, 2);
  t.deepEqual(keysOf(commits()[1] as InFlight), ['agent.3-0']);
  t.is(commits()[1]?.fence, model.lastOf('epoch'), 'under the new fence');
  t.is(model.counted.get('registry_barrier'), 1);
});

test('REG-7: a write that never landed is sent again before the others, under the new fence, whatever it was answered', (t) => {
  for (const outcome of ['unknown', 'refused', 'busy'] as const) {
    const { ask, commits, told, settle, model } = registry();
    ask(persist(1), persist(2, 2));
    ask(persist(3));
    commits()[0]?.answer(outcome);
    settle();
    t.deepEqual(told, [], outcome);
    t.deepEqual(keysOf(commits()[1] as InFlight), ['agent.1-0', 'agent.2-0', 'agent.2-1', 'agent.3-0']);
    t.is(commits()[0]?.land(), 'refused', 'its first copy can no longer land');
    t.is(commits()[1]?.land(), 'stored');
    commits()[1]?.answer('stored');
    t.deepEqual(told, ['STORED 1', 'STORED 2', 'STORED 3']);
    t.is(model.counted.get('registry_writes_sent_again'), 2);
  }
});

test('REG-7: a write that lands while the barrier is on its way happened', (t) => {
  const { ask, commits, told, settle } = registry();
  ask(persist(1));
  commits()[0]?.answer('unknown');
  // Behind the time-out, ahead of the barrier: as measured of a batch, 100 ms late.
  t.is(commits()[0]?.land(), 'stored');
  settle();
  t.deepEqual(told, ['STORED 1']);
  t.is(commits().length, 1);
});

test('REG-7: of writes that went singly each is settled for itself', (t) => {
  const { ask, commits, told, settle } = registry();
  ask(persist(1), persist(2), persist(3));
  commits()[0]?.land([1]);
  commits()[0]?.answer('unknown');
  settle();
  t.deepEqual(told, ['STORED 2']);
  t.deepEqual(keysOf(commits()[1] as InFlight), ['agent.1-0', 'agent.3-0']);
});

test('REG-7: a batch in flight refuses the barrier, which is sent again until the watch delivers it', (t) => {
  const { ask, commits, barriers, told, model, settle } = registry();
  ask(persist(1));
  commits()[0]?.answer('busy');
  for (let tries = 1; tries <= 5; tries++) {
    t.is(barriers().length, tries);
    barriers()
      .at(-1)
      ?.answer(tries % 2 === 0 ? 'refused' : 'busy');
    t.is(barriers().length, tries, 'after a pause');
    model.fireTimer();
  }
  t.deepEqual([...new Set(barriers().map((each) => epochOf(each).barrier))], [1], 'one barrier, tried again');
  commits()[0]?.land();
  settle();
  t.deepEqual(told, ['STORED 1']);
  t.is(model.counted.get('registry_barrier'), 1);
});

test('REG-7: a try of the barrier whose answer is lost settles by what the watch delivers', (t) => {
  const { ask, commits, barriers, told, model } = registry();
  ask(persist(1));
  commits()[0]?.answer('unknown');
  t.is(barriers()[0]?.land(), 'stored');
  barriers()[0]?.answer('unknown');
  model.fireTimer();
  t.is(barriers().length, 2, 'the watch is slow');
  t.is(barriers()[1]?.land(), 'refused', 'under the sequence seen last, which is no longer the last');
  t.is(commits().length, 1);
  model.deliver();
  t.is(commits().length, 2);
  barriers()[1]?.answer('refused');
  model.fireTimer();
  t.is(barriers().length, 2, 'an answer of a barrier that is over starts nothing');
  commits()[1]?.land();
  commits()[1]?.answer('stored');
  t.deepEqual(told, ['STORED 1']);
});

test('REG-7: the answer to the barrier settles nothing, only the watch does', (t) => {
  const { ask, commits, barriers, told, model } = registry();
  ask(persist(1));
  commits()[0]?.land();
  commits()[0]?.answer('unknown');
  barriers()[0]?.land();
  barriers()[0]?.answer('stored');
  t.deepEqual([told, commits().length], [[], 1]);
  model.deliver(1);
  t.deepEqual([told, commits().length], [[], 1], 'the write is seen, the barrier not yet');
  model.deliver();
  t.deepEqual(told, ['STORED 1']);
});

test('REG-7: two barriers in a row, the second for what the first sent again', (t) => {
  const { ask, commits, barriers, told, settle } = registry();
  ask(persist(1), persist(2));
  commits()[0]?.answer('unknown');
  settle();
  commits()[1]?.land([0]);
  commits()[1]?.answer('unknown');
  settle();
  t.deepEqual(told, ['STORED 1']);
  t.deepEqual(barriers().map((each) => epochOf(each).barrier), [1, 2]); // prettier-ignore
  t.deepEqual(keysOf(commits()[2] as InFlight), ['agent.2-0']);
  t.is(commits()[1]?.land(), 'refused');
  commits()[2]?.answer('stored');
  t.deepEqual(told, ['STORED 1', 'STORED 2']);
});

test('REG-7: an older value that the watch delivers late is not taken for the write', (t) => {
  const { ask, commits, told, model, settle } = registry();
  const set = (requestId: number, hostname: string): Persist => {
    const changed = { ...record, agentInfo: { hostname } };
    return { type: 'persist', requestId, writes: [{ key: 'agent.a', record: changed }] };
  };
  for (const [requestId, hostname] of [
    [1, 'x'],
    [2, 'y'],
  ] as const) {
    // prettier-ignore
    ask(set(requestId, hostname));
    commits().at(-1)?.land();
    commits().at(-1)?.answer('stored');
  }
  // Neither is delivered yet. The same value as the first one, and it is lost.
  ask(set(3, 'x'));
  commits().at(-1)?.answer('unknown');
  model.deliver(1);
  settle();
  t.deepEqual(told, ['STORED 1', 'STORED 2']);
  t.is(commits().length, 4, 'sent again');
});

test('REG-7: of two writes of one key in a group the later decides for both', (t) => {
  const { ask, commits, told, settle } = registry();
  ask(persist(1), { type: 'persist', requestId: 2, writes: [{ key: 'agent.1-0' }] });
  commits()[0]?.land();
  commits()[0]?.answer('unknown');
  settle();
  t.deepEqual(told, ['STORED 1', 'STORED 2']);
});

test('REG-2 REG-7: another’s epoch record ends everything: nothing is told and nothing is written any more', (t) => {
  const other = { key: 'epoch', value: encodeValue({ ...EPOCH, epoch: 6, masterId: '6', name: 'm2' }) };
  for (const when of ['idle', 'writing', 'barrier'] as const) {
    const { ask, registrar, commits, barriers, told, model } = registry();
    if (when !== 'idle') ask(persist(1));
    if (when === 'barrier') {
      commits()[0]?.land();
      commits()[0]?.answer('unknown');
    }
    model.append(other);
    t.is(barriers()[0]?.land() ?? 'refused', 'refused');
    model.deliver();
    const sent = model.sent.length;
    commits()[0]?.answer('stored');
    barriers()[0]?.answer('refused');
    while (model.timers.length > 0) model.fireTimer();
    ask(persist(2));
    registrar.raise({ epoch: 9 });
    registrar.flush();
    t.deepEqual([told, model.sent.length], [[], sent], when);
  }
});

test('REG-2: the epoch record of a predecessor, delivered late, deposes nobody', (t) => {
  const { ask, registrar, commits, told } = registry();
  const before = { ...EPOCH, epoch: 4, masterId: '4' };
  registrar.onEntry({ key: 'epoch', value: encodeValue(before), revision: FENCE - 1 });
  ask(persist(1));
  commits()[0]?.answer('stored');
  t.deepEqual(told, ['STORED 1']);
});

test('REG-7 REG-4: while a barrier is under way writes wait within a bound, beyond it the leader gives up, once', (t) => {
  const { ask, commits, told, model } = registry();
  ask(persist(1));
  const many = (from: number, records: number): void => {
    for (let at = 0; at < records; at += 1_000) ask(persist(from + at, 1_000));
  };
  many(100, MAX_QUEUED_RECORDS + 1_000);
  t.deepEqual(told, [], 'a write that is only slow is waited for');
  const slow = registry();
  slow.ask(persist(1));
  slow.commits()[0]?.answer('unknown');
  for (let at = 0; at < MAX_QUEUED_RECORDS; at += 1_000) slow.ask(persist(100 + at, 1_000));
  t.deepEqual(slow.told, []);
  slow.ask(persist(99_999));
  t.deepEqual(slow.told, ['LOST']);
  slow.ask(persist(100_000));
  slow.settle();
  t.deepEqual(slow.told, ['LOST']);
  commits()[0]?.answer('stored');
  t.is(told[0], 'STORED 1');
  t.is(model.counted.get('registry_lost'), undefined);
});

test('EPO-5: the epoch record is raised by a barrier of its own, between writes', (t) => {
  const { ask, registrar, commits, barriers, told, settle } = registry();
  ask(persist(1));
  registrar.raise({ epoch: 77, inDoubt: true });
  registrar.flush();
  t.is(barriers().length, 0, 'a write is in flight');
  commits()[0]?.land();
  commits()[0]?.answer('stored');
  t.deepEqual(barriers().map(epochOf), [{ ...EPOCH, epoch: 77, inDoubt: true, barrier: 1 }]);
  ask(persist(2));
  t.is(commits().length, 1);
  settle();
  t.is(commits().length, 2);
  registrar.raise({ epoch: 77 });
  commits()[1]?.land();
  commits()[1]?.answer('unknown');
  settle();
  t.deepEqual(epochOf(barriers().at(-1) as InFlight), { ...EPOCH, epoch: 77, barrier: 2 }, 'one barrier does both');
  t.deepEqual(told, ['STORED 1', 'STORED 2']);
});

test('EPO-5: what is raised during a barrier gets one of its own behind it', (t) => {
  const { ask, registrar, commits, barriers, settle } = registry();
  ask(persist(1));
  commits()[0]?.answer('unknown');
  registrar.raise({ epoch: 77 });
  registrar.flush();
  settle();
  t.deepEqual(barriers().map((each) => [epochOf(each).epoch, epochOf(each).barrier]), [[5, 1], [77, 2]]); // prettier-ignore
  settle();
  t.is(commits().length, 2);
});

test('REG-7: whatever is lost, late, answered or not, each decision is told once, when it is in the stream, and lands once', (t) => {
  const step = fc.constantFrom(
    'ask',
    'ask',
    'landWrite',
    'landPart',
    'answer',
    'unknown',
    'refused',
    'landBarrier',
    'answerBarrier',
    'loseBarrier',
    'deliver',
    'deliverOne',
    'timer',
    'landOld', // prettier-ignore
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 200 }), (steps) => {
      const { ask, model, told, commits, barriers } = registry();
      const outcomes = new Map<InFlight, 'stored' | 'refused'>();
      const answered = new Set<InFlight>();
      let asked = 0;
      const toldIds = (): number[] => told.map((text) => Number(text.split(' ')[1]));
      const land = (flight: InFlight | undefined, only?: readonly number[]): void => {
        if (flight !== undefined && !outcomes.has(flight)) outcomes.set(flight, flight.land(only));
      };
      const answer = (flight: InFlight | undefined, outcome: 'stored' | 'refused' | 'unknown'): void => {
        if (flight === undefined || answered.has(flight)) return;
        answered.add(flight);
        flight.answer(outcome);
      };
      for (const each of steps) {
        const commit = commits().at(-1);
        const barrier = barriers().at(-1);
        if (each === 'ask') ask(persist(++asked));
        else if (each === 'landWrite') land(commit);
        else if (each === 'landPart' && commit !== undefined && !answered.has(commit) && !outcomes.has(commit)) {
          land(commit, [0]);
          answer(commit, 'unknown');
        } else if (each === 'answer' && commit !== undefined && outcomes.has(commit))
          answer(commit, outcomes.get(commit) ?? 'unknown'); // prettier-ignore
        else if (each === 'unknown') answer(commit, 'unknown');
        else if (each === 'refused' && outcomes.get(commit as InFlight) !== 'stored') answer(commit, 'refused');
        else if (each === 'landBarrier') land(barrier);
        else if (each === 'answerBarrier' && outcomes.has(barrier as InFlight))
          answer(barrier, outcomes.get(barrier as InFlight) ?? 'unknown'); // prettier-ignore
        else if (each === 'loseBarrier') answer(barrier, 'unknown');
        else if (each === 'deliver') model.deliver();
        else if (each === 'deliverOne') model.deliver(1);
        else if (each === 'timer') model.fireTimer();
        else if (each === 'landOld') land(commits()[0]);
        for (const id of toldIds()) t.true(model.lastOf(`agent.${id}-0`) > 0, `${id} was told ahead of the stream`);
      }
      // The faults end.
      for (let rounds = 0; rounds < 1_000 && toldIds().length < asked; rounds++) {
        const commit = commits().at(-1);
        if (commit !== undefined && !answered.has(commit)) {
          land(commit);
          answer(commit, outcomes.get(commit) === 'stored' && commit.writes.length === 1 ? 'stored' : 'unknown');
        }
        land(barriers().at(-1));
        answer(barriers().at(-1), 'unknown');
        model.deliver();
        model.fireTimer();
      }
      t.deepEqual([...toldIds()].sort((a, b) => a - b), Array.from({ length: asked }, (_, at) => at + 1)); // prettier-ignore
      const keys = model.stream.map(({ key }) => key).filter((key) => key.startsWith('agent.'));
      t.is(new Set(keys).size, keys.length, 'nothing lands twice');
      const values = model.stream.filter(({ key }) => key === 'epoch').map(({ revision }) => revision);
      t.is(new Set(values).size, values.length);
    }),
    { numRuns: 300 },
  );
});

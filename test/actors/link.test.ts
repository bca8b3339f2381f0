import test from 'ava';
import fc from 'fast-check';
import { admit, newLink } from '../../actors/link.js';
import * as member from '../../actors/member.js';
import { meta } from '../support/actor-kit.js';

test('LNK-1: a link admits what is next, drops repetitions and sees gaps, and nothing of another session', (t) => {
  const link = newLink('s-C1');
  const table: [string, number, string][] = [
    ['s-C1', 2, 'gap'],
    ['s-C1', 1, 'ok'],
    ['s-C1', 1, 'repeated'],
    ['s-C2', 2, 'stale'],
    ['0', 2, 'stale'],
    ['s-C1', 2, 'ok'],
    ['s-C1', 0, 'repeated'],
    ['s-C1', 4, 'gap'],
    ['s-C1', 5, 'gap'],
    ['s-C1', 3, 'ok'],
  ];
  for (const [session, sequence, admission] of table)
    t.is(admit(link, { session, sequence }), admission as never, `${session} ${sequence}`);
  t.is(link.seen, 3);
});

test('LNK-1: without a session nothing is admitted, not even a message that has none', (t) => {
  t.is(admit(newLink(), { session: '0', sequence: 1 }), 'stale');
  t.is(admit(newLink(), { session: 's-C1', sequence: 1 }), 'stale');
});

test('LNK-1 LNK-5: a message in parts takes the places of all of them, and a lost part is a gap', (t) => {
  const link = newLink('s');
  t.is(admit(link, { session: 's', sequence: 3, parts: 3 }), 'ok');
  t.is(admit(link, { session: 's', sequence: 3, parts: 3 }), 'repeated');
  t.is(admit(link, { session: 's', sequence: 6, parts: 2 }), 'gap');
  t.is(admit(link, { session: 's', sequence: 5, parts: 2 }), 'ok');
  t.is(admit(link, { session: 's', sequence: 6 }), 'ok');
});

test('LNK-1: of any stream with losses and repetitions an unbroken beginning is admitted, each message once', (t) => {
  const fate = fc.constantFrom('once', 'twice', 'lost', 'late');
  fc.assert(
    fc.property(fc.array(fate, { maxLength: 40 }), (fates) => {
      const stream: number[] = [];
      const late: number[] = [];
      fates.forEach((kind, at) => {
        if (kind === 'late') late.push(at + 1);
        else if (kind !== 'lost') stream.push(...(kind === 'twice' ? [at + 1, at + 1] : [at + 1]), ...late.splice(0));
      });
      const link = newLink('s');
      const admitted = stream.filter((sequence) => admit(link, { session: 's', sequence }) === 'ok');
      t.deepEqual(admitted, admitted.map((_, at) => at + 1)); // prettier-ignore
      const broken = fates.findIndex((kind) => kind === 'lost' || kind === 'late');
      t.true(admitted.length >= (broken < 0 ? fates.length : broken));
    }),
  );
});

test('EPO-2: a lower epoch is stale, a higher one is a new leader’s', (t) => {
  const one = member.newMember(5);
  t.is(member.passEpoch(one, 4), 'stale');
  t.is(member.passEpoch(one, 5), 'known');
  t.is(member.passEpoch(one, 9), 'newer');
  t.is(member.passEpoch(one, 8), 'stale');
  t.is(one.epoch, 9);
  t.is(member.passEpoch(member.newMember(), 0), 'known');
});

const asked = () => {
  const one = member.newMember();
  one.instance = 'i';
  return one;
};

test('LNK-1: only an answer to our own question begins our session', (t) => {
  const one = asked();
  const question = member.nextQuestion(one);
  t.is(question, 'i-q1');
  const answer = { session: 'a-C1', sequence: 1, cause: question };
  t.true(member.beginsSession(one, meta(answer)));
  t.true(member.beginsSession(one, meta({ ...answer, cause: 'i-q9' })), 'any question of this instance');
  for (const cause of ['j-q1', 'ii-q1', 'i-1', '', undefined])
    t.false(member.beginsSession(one, meta({ ...answer, cause })), `${cause}`);
  t.false(member.beginsSession(one, meta({ ...answer, session: '0' })));
});

test('LNK-1: when questions cross, the session that was minted last counts, in any order of arrival', (t) => {
  const one = asked();
  const answer = (session: string) => meta({ session, sequence: 4, cause: 'i-q1' });
  t.true(member.beginsSession(one, answer('a-C2')));
  member.beginSession(one, answer('a-C2'));
  t.deepEqual([one.link.session, one.link.seen, one.attempt], ['a-C2', 4, 0]);
  t.false(member.beginsSession(one, answer('a-C1')));
  t.false(member.beginsSession(one, answer('a-C2')));
  t.true(member.beginsSession(one, answer('a-C10')), 'counted, not sorted as text');
  t.true(member.beginsSession(one, answer('b-C1')), 'another term counts from one');
  member.endSession(one);
  t.is(one.link.session, '0');
  t.false(member.beginsSession(one, answer('a-C1')), 'an ended session does not begin again');
  t.false(member.beginsSession(one, answer('a-C2')));
  t.true(member.beginsSession(one, answer('a-C3')));
});

test('LNK-3: only a message that is admitted counts as heard', (t) => {
  const one = asked();
  member.beginSession(one, meta({ session: 'a-C1', sequence: 1 }));
  one.heardAtMs = 0;
  t.is(member.admitMessage(one, meta({ session: 'a-C1', sequence: 3 }), 70), 'gap');
  t.is(member.admitMessage(one, meta({ session: 'b-C1', sequence: 2 }), 80), 'stale');
  t.is(one.heardAtMs, 0);
  t.is(member.admitMessage(one, meta({ session: 'a-C1', sequence: 2 }), 90), 'ok');
  t.is(one.heardAtMs, 90);
  t.is(member.admitMessage(one, meta({ session: 'a-C1', sequence: 4, parts: 2 }), 99), 'ok');
});

test('LNK-2: an instance’s name comes from chance', (t) => {
  t.not(member.instanceOf(0.1), member.instanceOf(0.2));
  for (const random of [0, 0.5, 1 - 2 ** -53]) t.regex(member.instanceOf(random), /^[0-9a-z]+$/);
});

import test from 'ava';
import type { Publish } from '../../actors/effect.js';
import { decodeMessage, PartsJoiner } from '../../protocol/codec.js';
import type { ErrorBody } from '../../protocol/errors.js';
import { Outbound } from '../../runtime/outbound.js';
import type { Transport } from '../../runtime/ports.js';

function speaker() {
  const sent: { subject: string; data: Uint8Array }[] = [];
  const transport = { publish: (subject: string, data: Uint8Array) => sent.push({ subject, data }) };
  const outbound = new Outbound(transport as unknown as Transport, {
    cluster: 'tepui',
    principal: 'm1',
    instance: 'i',
  });
  return { outbound, sent, said: () => sent.map(({ data }) => decodeMessage(data)) };
}

const ping = (session: string, given: Partial<Publish> = {}): Publish => ({
  type: 'publish',
  to: { row: 'agentMaster', parameters: { principal: 'a1', agentId: 'x.y', sessionId: session } },
  message: 'PING',
  body: {},
  session,
  epoch: 7,
  ...given,
});

test('PRO-8 PRO-4: a message goes to its subject with its envelope', (t) => {
  const { outbound, sent, said } = speaker();
  outbound.publish(ping('s-C1', { cause: 'c' }));
  outbound.publish(ping('s-C1', { id: 'own' }));
  t.is(sent[0]?.subject, 'tepui.agent.a1.master.x=2Ey.s-C1.PING');
  const [first, second] = said();
  t.deepEqual(first, { version: 1, type: 'PING', sender: 'm1', session: 's-C1', epoch: 7, id: 'm1-i-1', cause: 'c', sequence: 1, body: {} }); // prettier-ignore
  t.deepEqual([second?.id, second?.cause], ['own', undefined]);
});

test('LNK-1: messages are numbered from one in each session as they go out, and not outside of sessions', (t) => {
  const { outbound, said } = speaker();
  for (const session of ['s-C1', 's-C2', 's-C1', '0', 's-C2', '0', 's-C1']) outbound.publish(ping(session));
  t.deepEqual(said().map(({ session, sequence }) => `${session} ${sequence}`), ['s-C1 1', 's-C2 1', 's-C1 2', '0 0', 's-C2 2', '0 0', 's-C1 3']); // prettier-ignore
  const ids = said().map(({ id }) => id);
  t.is(new Set(ids).size, ids.length);
});

test('LNK-1: numbering is kept for the sessions used last, 100,000 of them', (t) => {
  const { outbound, sent, said } = speaker();
  outbound.publish(ping('kept'));
  for (let i = 0; i < 99_998; i++) outbound.publish(ping(`s${i}`));
  outbound.publish(ping('kept'));
  for (let i = 0; i < 1_000; i++) outbound.publish(ping(`t${i}`));
  sent.length = 0;
  outbound.publish(ping('kept'));
  t.is(said()[0]?.sequence, 3);
});

test('LNK-5: a large message goes in parts, each with a place in the session, and comes out as it was', (t) => {
  const { outbound, sent, said } = speaker();
  const body = { text: 'x'.repeat(700_000) };
  outbound.publish(ping('s-C1'));
  outbound.publish(ping('s-C1', { body }));
  outbound.publish(ping('s-C1'));
  t.deepEqual(said().map(({ sequence }) => sequence), [1, 2, 3, 4, 5]); // prettier-ignore
  for (const { data } of sent) t.true(data.length <= 256 * 1024);
  t.is(new Set(said().slice(1, 4).map(({ id }) => id)).size, 1); // prettier-ignore
  const joiner = new PartsJoiner();
  const whole = said()
    .slice(1, 4)
    .map((part) => joiner.join('s', part))
    .at(-1);
  t.deepEqual(whole?.body, body);
});

test('SEC-4 PRO-8: an answer goes to the inbox that came with the question, outside of sessions', (t) => {
  const { outbound, sent, said } = speaker();
  outbound.reply({ type: 'reply', to: 'tepui.inbox.operator.o1.x', message: 'GET_MASTER', body: { a: 1 }, epoch: 7, cause: 'q' }); // prettier-ignore
  t.is(sent[0]?.subject, 'tepui.inbox.operator.o1.x');
  t.deepEqual(said()[0], { version: 1, type: 'GET_MASTER', sender: 'm1', session: '0', sequence: 0, epoch: 7, id: 'm1-i-1', cause: 'q', body: { a: 1 } }); // prettier-ignore
});

test('LNK-5: an answer that is too large for any number of parts is an error to who asked, and nothing breaks', (t) => {
  const { outbound, said } = speaker();
  const body = { tasks: Array.from({ length: 200 }, () => 'x'.repeat(100_000)) };
  t.notThrows(() => outbound.reply({ type: 'reply', to: 'tepui.inbox.operator.o1.x', message: 'GET_TASKS', body, epoch: 7, cause: 'q' })); // prettier-ignore
  const [answer, ...others] = said();
  t.is(others.length, 0);
  t.deepEqual([answer?.type, answer?.cause], ['ERROR', 'q']);
  t.regex((answer?.body as ErrorBody).error.message, /too large/);
});

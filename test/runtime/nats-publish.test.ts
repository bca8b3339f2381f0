import test from 'ava';
import type { MsgHdrs, NatsConnection } from 'nats';
import { bucketWriter, isMarkerHeader } from '../../runtime/nats/nats-publish.js';
import { silentLog } from '../../runtime/log.js';

interface Sent {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly header: MsgHdrs;
}

/** A connection that notes what is sent, and says that it is stored. */
function connection() {
  const sent: Sent[] = [];
  const note = (subject: string, data: Uint8Array, options: { headers: MsgHdrs }): number =>
    sent.push({ subject, data, header: options.headers });
  const fake = {
    publish: note,
    request: async (subject: string, data: Uint8Array, options: { headers: MsgHdrs }) => {
      note(subject, data, options);
      const answer = { stream: 'KV_b', seq: 7, batch: 'x', count: sent.length };
      return { data: new TextEncoder().encode(JSON.stringify(answer)) };
    },
    status: () => (async function* () {})(),
    closed: () => new Promise(() => undefined),
  };
  return { sent, writer: bucketWriter(fake as unknown as NatsConnection, 'b', silentLog) };
}

test('REG-5: a deletion leaves a marker in the place of its key, which expires after two minutes', async (t) => {
  const { sent, writer } = connection();
  await writer.write({ key: 'task.x' }, 'task.x', 5, undefined);
  const [marker] = sent;
  t.is(marker?.subject, '$KV.b.task.x');
  t.is(marker?.data.length, 0);
  t.deepEqual(['KV-Operation', 'Nats-Rollup', 'Nats-TTL'].map((name) => marker?.header.get(name)), ['PURGE', 'sub', '120s']); // prettier-ignore
  t.true(isMarkerHeader(marker?.header));
});

test('REG-5: in a batch each deletion is such a marker, and a value neither one nor short-lived', async (t) => {
  const { sent, writer } = connection();
  const value = Uint8Array.of(1);
  await writer.writeBatch([{ key: 'task.a', value }, { key: 'task.b' }, { key: 'task.c' }], 'epoch', 9);
  t.deepEqual(sent.map(({ header }) => header.get('KV-Operation')), ['', 'PURGE', 'PURGE']); // prettier-ignore
  t.deepEqual(sent.map(({ header }) => header.get('Nats-TTL')), ['', '120s', '120s']); // prettier-ignore
  t.deepEqual(sent.map(({ header }) => isMarkerHeader(header)), [false, true, true]); // prettier-ignore
});

test('REG-1: a batch expects the fence once, with its first member, and is committed with its last', async (t) => {
  const { sent, writer } = connection();
  const value = Uint8Array.of(1);
  await writer.writeBatch(
    [
      { key: 'task.a', value },
      { key: 'task.b', value },
      { key: 'task.c', value },
    ],
    'epoch',
    9,
  );
  const of = (name: string) => sent.map(({ header }) => header.get(name));
  t.deepEqual(of('Nats-Expected-Last-Subject-Sequence'), ['9', '', '']);
  t.deepEqual(of('Nats-Expected-Last-Subject-Sequence-Subject'), ['$KV.b.epoch', '', '']);
  t.deepEqual(of('Nats-Batch-Commit'), ['', '', '1']);
  t.deepEqual(of('Nats-Batch-Sequence'), ['1', '2', '3']);
  t.is(new Set(of('Nats-Batch-Id')).size, 1);
  for (const name of ['Nats-Expected-Last-Msg-Id', 'Nats-Expected-Last-Sequence']) t.deepEqual(of(name), ['', '', '']);
});

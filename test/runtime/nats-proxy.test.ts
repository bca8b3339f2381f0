import test from 'ava';
import fc from 'fast-check';
import { connect } from 'nats';
import { NatsSplitter, startNatsProxy } from '../support/nats-proxy.js';
import { startTestServer } from '../support/nats-server.js';

const STREAM = [
  'INFO {"a":1}\r\n',
  'PUB a.b 5\r\nhe\r\nl\r\n',
  'pub a.b reply 0\r\n\r\n',
  'HPUB a.c 12 14\r\nNATS/1.0\r\n\r\nhi\r\n',
  'MSG x.y 9 4\r\n\r\n\r\n\r\n',
  'HMSG x.z 9 r 12 12\r\nNATS/1.0\r\n\r\n\r\n',
  '+OK\r\n',
  'PING\r\n',
];

test("NAT-1 a stream of NATS' protocol is split at its messages, wherever the network cuts it", (t) => {
  const all = Buffer.from(STREAM.join(''));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: all.length }), { maxLength: 12 }), (cuts) => {
      const splitter = new NatsSplitter();
      const at = [0, ...cuts.sort((a, b) => a - b), all.length];
      const pieces = at.slice(1).flatMap((end, i) => splitter.push(all.subarray(at[i], end)));
      const texts = pieces.map(({ bytes }) => bytes.toString());
      const subjects = pieces.map(({ subject }) => subject);
      return (
        JSON.stringify(texts) === JSON.stringify(STREAM) &&
        JSON.stringify(subjects) ===
          JSON.stringify([undefined, 'a.b', 'a.b', 'a.c', 'x.y', 'x.z', undefined, undefined])
      );
    }),
  );
  t.pass();
});

test('NAT-1 exactly the message that was meant is lost between clients and a server, either way', async (t) => {
  const server = await startTestServer([
    { user: 'me', password: 'pw', permissions: { publish: ['>'], subscribe: ['>'] } },
  ]);
  t.teardown(() => server.remove());
  const proxy = await startNatsProxy(server.url);
  t.teardown(() => proxy.close());
  const login = { user: 'me', pass: 'pw' };
  const through = await connect({ servers: proxy.url, ...login });
  const direct = await connect({ servers: server.url, ...login });
  t.teardown(() => Promise.all([through.close(), direct.close()]));
  const heard = { through: [] as string[], direct: [] as string[] };
  const hear = (list: string[]) => (_: unknown, message: { string(): string }) => void list.push(message.string());
  through.subscribe('s.>', { callback: hear(heard.through) });
  direct.subscribe('s.>', { callback: hear(heard.direct) });
  await Promise.all([through.flush(), direct.flush()]);

  const outward = proxy.lose({ subject: /^s\.a$/, way: 'toServer', nth: 2 });
  const inward = proxy.lose({ subject: /^s\.b$/, way: 'toClient' });
  const never = proxy.lose({ subject: /^s\.a$/, way: 'toServer' });
  never.cancel();
  t.is(outward.subject(), undefined);
  for (const word of ['a1', 'b1', 'a2', 'b2', 'a3']) through.publish(`s.${word[0]}`, word);
  // There and back, through the proxy and past it: what comes has come by then.
  for (const connection of [through, direct, through]) await connection.flush();
  t.deepEqual(heard, { through: ['a1', 'b2', 'a3'], direct: ['a1', 'b1', 'b2', 'a3'] });
  t.deepEqual([outward.subject(), inward.subject(), never.subject()], ['s.a', 's.b', undefined]);
});

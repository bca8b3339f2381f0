import test from 'ava';
import { natsTransport } from '../../runtime/nats/nats-transport.js';
import type { ServerUser } from '../../runtime/nats/server-config.js';
import type { Answer, Transport } from '../../runtime/ports.js';
import type { TestServer } from '../support/nats-server.js';
import type { NatsConnection } from 'nats';
import { bytes, called, realHarness, text } from './harness.js';
import { connectAs, memoryLog, ROOT, startServerOf, type MemoryLog } from './real-nats.js';
import { transportSuite } from './transport.suite.js';

const NARROW: ServerUser = {
  user: 'narrow',
  password: 'narrow',
  permissions: { publish: ['open.>'], subscribe: ['open.>', '_INBOX_narrow.>'] },
};

let server: TestServer;
let count = 0;
test.before(async () => {
  server = await startServerOf([], [NARROW]);
});
test.after.always(() => server.remove());

transportSuite(async () => {
  const connections = new Map<string, NatsConnection>();
  return {
    ...realHarness(async () => {
      for (const connection of connections.values()) await connection.close();
    }),
    prefix: `test${++count}`,
    connect: async (name) => {
      const connection = await connectAs(server, ROOT);
      connections.set(name, connection);
      return natsTransport(connection, memoryLog());
    },
    interrupt: async (name) => connections.get(name)?.reconnect(),
  };
});

interface Client {
  readonly transport: Transport;
  readonly connection: NatsConnection;
  readonly log: MemoryLog;
}

async function newClient(user: ServerUser, close: (callback: () => Promise<void>) => void): Promise<Client> {
  const log = memoryLog();
  const connection = await connectAs(server, user, { log });
  close(() => connection.close());
  return { transport: natsTransport(connection, log), connection, log };
}

const harness = realHarness();
const logged = (log: MemoryLog, pattern: RegExp): boolean =>
  log.lines.some(({ message, fields }) => pattern.test(`${message} ${JSON.stringify(fields)}`));

test('NAT-3: what is too large, or has too long a subject, is logged and does not harm the connection', async (t) => {
  const { transport, connection, log } = await newClient(ROOT, (close) => t.teardown(close));
  const seen: (string | undefined)[] = [];
  transport.subscribe('large.*', ({ data }) => seen.push(text(data)));
  transport.publish('large.x', new Uint8Array(1024 * 1024 + 1));
  transport.publish(`large.${'x'.repeat(5_000)}`, bytes('long'));
  transport.publish('no spaces', bytes('x'));
  transport.publish('large.x', bytes('after'));
  await harness.settle(() => seen.length > 0);
  await harness.settle(50);
  t.deepEqual(seen, ['after']);
  t.true(logged(log, /not sent.*1048577 bytes/));
  t.false(connection.isClosed());
  const answer = await called<Answer>(harness, (done) =>
    transport.request('large.x', new Uint8Array(2 ** 21), 100, done),
  );
  t.is(answer.outcome, 'timeout');
});

test('NAT-3: refused publishes and subscriptions are logged, and the rest goes on', async (t) => {
  const { transport, log } = await newClient(NARROW, (close) => t.teardown(close));
  const seen: string[] = [];
  transport.subscribe('closed.>', () => seen.push('closed'));
  transport.subscribe('open.>', ({ subject }) => seen.push(subject));
  transport.publish('closed.a', bytes('x'));
  await harness.settle(
    () => logged(log, /subscription was refused.*closed/) && logged(log, /refused.*Publish.*closed\.a/),
  );
  transport.publish('open.a', bytes('x'));
  await harness.settle(() => seen.length > 0);
  t.deepEqual(seen, ['open.a']);
  const startMs = performance.now();
  const answer = await called<Answer>(harness, (done) => transport.request('closed.a', bytes('x'), 300, done));
  t.is(answer.outcome, 'timeout');
  t.true(performance.now() - startMs >= 295);
});

test('NAT-3: a closed connection loses messages and answers with silence, in its own time', async (t) => {
  const { transport, connection, log } = await newClient(ROOT, (close) => t.teardown(close));
  await connection.close();
  t.notThrows(() => transport.publish('a.b', bytes('x')));
  t.notThrows(() => transport.subscribe('a.b', () => t.fail())());
  const startMs = performance.now();
  const answer = await called<Answer>(harness, (done) => transport.request('a.b', bytes('x'), 200, done));
  t.is(answer.outcome, 'timeout');
  t.true(performance.now() - startMs >= 195);
  t.true(logged(log, /not sent/));
});

test('POR-10: a server that freezes and comes back is found again; what is published meanwhile does not throw', async (t) => {
  const own = await startServerOf([]);
  t.teardown(() => own.remove());
  const log = memoryLog();
  let fatal = 0;
  const connection = await connectAs(own, ROOT, { log, onFatal: () => fatal++ });
  t.teardown(() => connection.close());
  const transport = natsTransport(connection, log);
  let back = 0;
  transport.onReconnected(() => back++);
  const seen: (string | undefined)[] = [];
  transport.subscribe('s', ({ data }) => seen.push(text(data)));
  process.kill(own.pid, 'SIGSTOP');
  await harness.settle(() => logged(log, /away/));
  t.notThrows(() => transport.publish('s', bytes('lost?')));
  t.notThrows(() => transport.publish('s', new Uint8Array(2 ** 21)));
  process.kill(own.pid, 'SIGCONT');
  await harness.settle(() => back === 1);
  transport.publish('s', bytes('after'));
  await harness.settle(() => seen.includes('after'));
  t.is(fatal, 0);
});

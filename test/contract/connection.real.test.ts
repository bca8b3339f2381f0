import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { connectNats, CredentialsError, readCredentials } from '../../runtime/nats/connection.js';
import { quietLog } from '../../runtime/nats/quiet-log.js';
import type { TestServer } from '../support/nats-server.js';
import { realHarness } from './harness.js';
import { connectAs, memoryLog, ROOT, startLastingServers, startServerOf } from './real-nats.js';

let server: TestServer;
test.before(async () => {
  server = await startServerOf([]);
});
test.after.always(() => server.remove());

const settings = { inboxPrefix: '_INBOX_x', name: 'test', log: memoryLog(), onFatal: () => undefined };

test('NAT-1: a login comes from the settings or from the address, and a wrong one is refused at once', async (t) => {
  const address = server.url.replace('nats://', '');
  for (const url of [`nats://root:root@${address}`, `root:r%6fot@${address}`]) {
    const connection = await connectNats({ ...settings, url });
    t.is(connection.info?.version, server.version);
    await connection.close();
  }
  const both = await connectNats({ ...settings, url: `nats://no:no@${address}`, user: 'root', password: 'root' });
  await both.close();
  const startMs = performance.now();
  await t.throwsAsync(connectNats({ ...settings, url: server.url, user: 'root', password: 'wrong' }), {
    message: /uthorization/,
  });
  await t.throwsAsync(connectNats({ ...settings, url: server.url }));
  t.true(performance.now() - startMs < 3_000);
});

test('NAT-1: a connection that is closed on purpose is not fatal, and answers come to its own inboxes', async (t) => {
  let fatal = 0;
  const connection = await connectAs(server, ROOT, { inboxPrefix: 'own.inbox', onFatal: () => fatal++ });
  connection.subscribe('question', { callback: (_, message) => void message.respond(message.reply) });
  const answer = await connection.request('question', '');
  t.regex(answer.string(), /^own\.inbox\./);
  await connection.drain();
  await realHarness().settle(50);
  t.is(fatal, 0);
});

test('NAT-1: a server may come later than its client, and come back', async (t) => {
  const lasting = await startLastingServers(1, []);
  t.teardown(() => lasting.remove());
  await lasting.kill(0);
  await t.throwsAsync(connectAs(lasting, ROOT));
  const log = memoryLog();
  const connecting = connectNats({
    ...settings,
    url: lasting.url,
    user: 'root',
    password: 'root',
    log,
    waitForServer: true,
  });
  await realHarness().settle(300);
  await lasting.start(0);
  const connection = await connecting;
  t.teardown(() => connection.close());
  await lasting.kill(0);
  await realHarness().settle(() => log.lines.some(({ message }) => message.includes('away')));
  await lasting.start(0);
  await realHarness().settle(() => log.lines.some(({ message }) => message.includes('back')));
  await connection.flush();
  t.false(connection.isClosed());
});

test('NAT-2: a credentials file is read, and a wrong one is refused without being quoted', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tepui-credentials-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'agent.json');
  const write = async (text: string): Promise<void> => {
    await writeFile(path, text);
    await chmod(path, 0o600);
  };
  await write('{"url": "nats://h:1", "user": "a1", "password": "secret"}');
  t.deepEqual(await readCredentials(path), { url: 'nats://h:1', user: 'a1', password: 'secret' });
  await write('{"url": "nats://h:1"}');
  t.deepEqual(await readCredentials(path), { url: 'nats://h:1', user: undefined, password: undefined });
  for (const text of [
    'secret',
    '"secret"',
    '{"user": "secret"}',
    '{"url": 1}',
    '{"url": "x", "password": 5}',
    'null',
    '',
  ]) {
    await write(text);
    const error = await t.throwsAsync(readCredentials(path), { instanceOf: CredentialsError });
    t.false(error?.message.includes('secret'));
  }
  await t.throwsAsync(readCredentials(join(folder, 'missing')), { instanceOf: CredentialsError });
});

test('NAT-3: the same thing is logged once in a while, with how often it was left out', async (t) => {
  const log = memoryLog();
  const quiet = quietLog(log, 50);
  for (let i = 0; i < 10; i++) quiet('warn', 'kind', 'it happened', { i });
  quiet('warn', 'other kind', 'something else');
  await realHarness().settle(80);
  quiet('warn', 'kind', 'it happened', { i: 10 });
  t.deepEqual(
    log.lines.map(({ message, fields }) => [message, fields]),
    [['it happened', { i: 0 }], ['something else', {}], ['it happened', { i: 10, repeated: 9 }]], // prettier-ignore
  );
});

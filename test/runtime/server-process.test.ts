import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from 'nats';
import { runCommand } from '../../runtime/nats/run-command.js';
import { renderServerConfig, writeServerConfig, type ServerConfig } from '../../runtime/nats/server-config.js';
import { findServer, startServer, type ServerProcessOptions } from '../../runtime/nats/server-process.js';
import { requireServer } from '../../runtime/nats/version.js';
import { startTestServer, testServerBinary } from '../support/nats-server.js';

const writer = {
  user: 'writer',
  password: 'a "quoted" \\ $& {{users}} word',
  permissions: { publish: ['a.>', '$JS.API.>'], subscribe: ['a.*', '_INBOX.>'] },
};
const mute = { user: 'mute', password: 'mute', permissions: { publish: [], subscribe: ['a.>'] } };
const deaf = { user: 'deaf', password: 'deaf', permissions: { publish: ['a.>'], subscribe: [] } };

function config(folder: string): ServerConfig {
  return {
    serverName: 'n1',
    port: -1,
    storeFolder: join(folder, 'store'),
    users: [writer],
    systemUser: { user: 'sys', password: 's' },
  };
}

async function makeFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tepui-server-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function makeOptions(t: ExecutionContext): Promise<ServerProcessOptions & { folder: string }> {
  const folder = await makeFolder(t);
  const configFile = join(folder, 'nats.conf');
  await writeServerConfig(configFile, config(folder));
  return { binary: await testServerBinary(), configFile, runFolder: join(folder, 'run'), folder };
}

const login = (url: string, user: { user: string; password: string }): Promise<NatsConnection> =>
  connect({ servers: url, user: user.user, pass: user.password, reconnect: false, timeout: 5_000 });

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

test('SRV-6 a started server takes connections, says its version and has JetStream', async (t) => {
  const server = await startTestServer([writer]);
  t.teardown(() => server.remove());
  t.regex(server.url, /^nats:\/\/127\.0\.0\.1:\d+$/);
  requireServer(server.version);
  t.is((await readFile(join(server.folder, 'run', 'nats-server.pid'), 'utf8')).trim(), String(server.pid));
  const nc = await login(server.url, writer);
  t.is(nc.info?.version, server.version);
  const account = await (await jetstreamManager(nc)).getAccountInfo();
  t.is(account.streams, 0);
  await nc.close();
});

test('SRV-6 it listens on loopback alone', async (t) => {
  const server = await startTestServer([writer]);
  t.teardown(() => server.remove());
  const port = Number(new URL(server.url).port).toString(16).toUpperCase().padStart(4, '0');
  // The kernel's table of sockets: local address in hexadecimal digits, and 0A for one that listens.
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((table) => readFile(`/proc/net/${table}`, 'utf8').catch(() => '')),
  );
  const listening = tables
    .flatMap((table) => table.split('\n').map((line) => line.trim().split(/ +/)))
    .filter(([, local, , state]) => local?.endsWith(`:${port}`) === true && state === '0A')
    .map(([, local]) => local);
  t.deepEqual(listening, [`0100007F:${port}`]);
});

test('SRV-6 stop leaves neither a process nor its files behind', async (t) => {
  const options = await makeOptions(t);
  const server = await startServer(options);
  t.true(isAlive(server.pid));
  await Promise.all([server.stop(), server.stop()]);
  t.false(isAlive(server.pid));
  t.is(await server.exited, 'exit code 0');
  t.deepEqual(await readdir(options.runFolder), ['nats-server.log']);
});

test('SRV-6 one that was killed leaves nothing behind either', async (t) => {
  const options = await makeOptions(t);
  const server = await startServer(options);
  process.kill(server.pid, 'SIGKILL');
  t.is(await server.exited, 'signal SIGKILL');
  await server.stop();
  t.deepEqual(await readdir(options.runFolder), ['nats-server.log']);
});

test('SRV-6 one that ignores the request to end is killed', async (t) => {
  const options = { ...(await makeOptions(t)), stopTimeoutMs: 100 };
  const server = await startServer(options);
  process.kill(server.pid, 'SIGSTOP');
  await server.stop();
  t.is(await server.exited, 'signal SIGKILL');
});

test('SRV-6 a server with a life of its own is found again, keeps its store to itself, and can be stopped', async (t) => {
  const options = { ...(await makeOptions(t)), life: 'own' as const };
  t.is(await findServer(options), undefined);
  const server = await startServer(options);
  t.teardown(() => server.stop());
  await t.throwsAsync(startServer(options), { name: 'ServerStartError', message: /already runs/ });
  const found = await findServer(options);
  t.deepEqual([found?.pid, found?.url, found?.version], [server.pid, server.url, server.version]);
  await found?.stop();
  await server.exited;
  t.is(await findServer(options), undefined);
  t.deepEqual(await readdir(options.runFolder), ['nats-server.log']);
});

test('SRV-6 a server ends with the process that started it, unless it has a life of its own', async (t) => {
  const options = await makeOptions(t);
  const module = new URL('../../runtime/nats/server-process.js', import.meta.url).href;
  const script = `
    const { startServer } = await import(${JSON.stringify(module)});
    const server = await startServer(${JSON.stringify(options)});
    console.log(server.pid);
    process.exit(0);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await once(child, 'close');
  const pid = Number(said);
  t.true(pid > 0);
  // It was sent SIGKILL; init takes it away.
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
  t.pass();
});

test('SRV-7 a server that cannot start is an error with the end of its log', async (t) => {
  const options = await makeOptions(t);
  await writeFile(options.configFile, 'listen: "127.0.0.1:-1"\nno_such_option: 3\n');
  const error = await t.throwsAsync(startServer(options), { name: 'ServerStartError' });
  t.regex(error.message, /exit code 1[^]*no_such_option/);
  t.deepEqual(await readdir(options.runFolder), ['nats-server.log']);
});

test('SRV-7 a missing binary is an error', async (t) => {
  const options = { ...(await makeOptions(t)), binary: '/nowhere/nats-server' };
  await t.throwsAsync(startServer(options), { name: 'ServerStartError', message: /ENOENT/ });
});

test('SRV-8 a user may do what is listed and nothing else, and nobody is let in without a name', async (t) => {
  const server = await startTestServer([writer, mute, deaf]);
  t.teardown(() => server.remove());
  await t.throwsAsync(connect({ servers: server.url, reconnect: false }), { message: /Authorization Violation/i });
  await t.throwsAsync(login(server.url, { user: 'writer', password: 'wrong' }), {
    message: /Authorization Violation/i,
  });

  const refused = async (user: typeof writer, attempt: (nc: NatsConnection) => void): Promise<string> => {
    const nc = await login(server.url, user);
    const statuses = nc.status()[Symbol.asyncIterator]();
    attempt(nc);
    await nc.flush();
    const status = await Promise.race([statuses.next(), nc.flush().then(() => undefined)]);
    await nc.close();
    return status?.value?.type === 'error' ? status.value.error.message : 'nothing was refused';
  };
  const subscribe = (subject: string) => (nc: NatsConnection) => void nc.subscribe(subject, { callback: () => {} });
  t.is(await refused(writer, (nc) => nc.publish('a.b')), 'nothing was refused');
  t.is(await refused(writer, subscribe('a.b')), 'nothing was refused');
  t.regex(await refused(writer, (nc) => nc.publish('b')), /publish/i);
  t.regex(await refused(writer, subscribe('a.b.c')), /subscription/i);
  t.regex(await refused(mute, (nc) => nc.publish('a.b')), /publish/i);
  t.regex(await refused(deaf, subscribe('a.b')), /subscription/i);
});

test('SRV-8 the written file has passwords, so nobody else may read it, and nothing unfinished stays', async (t) => {
  const folder = await makeFolder(t);
  const path = join(folder, 'deep', 'nats.conf');
  await writeServerConfig(path, config(folder));
  await writeServerConfig(path, config(folder));
  t.is((await stat(path)).mode & 0o777, 0o600);
  t.deepEqual(await readdir(join(folder, 'deep')), ['nats.conf']);
});

test('SRV-8 the server takes the file with a cluster, and with an interval for its writes', async (t) => {
  const options = await makeOptions(t);
  const listen = { host: '127.0.0.1', port: 7001 };
  await writeServerConfig(options.configFile, {
    ...config(options.folder),
    syncInterval: '2m',
    cluster: { name: 'c1', listen, user: 'route', password: 'p@:/ "x', routes: [listen, { host: '::1', port: 7002 }] },
  });
  const result = await runCommand(options.binary, ['-t', '-c', options.configFile], { timeoutMs: 10_000 });
  t.like(result, { ended: 'exit', code: 0 }, result.output);
});

const user = (name: string) => ({ ...mute, user: name });
const may = (subject: string) => ({ ...mute, permissions: { publish: [subject], subscribe: [] } });
for (const [what, change] of [
  ['a user named *', { users: [user('*')] }],
  ['a user with a dot in the name', { users: [user('a.b')] }],
  ['a user without a name', { users: [user('')] }],
  ['two users of one name', { users: [mute, mute] }],
  ['a user named as the system user', { users: [user('sys')] }],
  ['an empty password', { users: [{ ...mute, password: '' }] }],
  ['a password that the server would take for a hash', { users: [{ ...mute, password: '$2a$10$abc' }] }],
  ['a password with a line end', { users: [{ ...mute, password: 'a\nb' }] }],
  ['a subject with a space', { users: [may('a b')] }],
  ['a subject with an empty token', { users: [may('a..b')] }],
  ['a subject with a wildcard inside a token', { users: [may('a.b*')] }],
  ['a subject that goes on after >', { users: [may('a.>.b')] }],
  ['an interval that is none', { syncInterval: 'never' }],
  ['a port that is none', { port: 70_000 }],
  ['a host that is none', { host: 'a b' }],
  ['a server name with a space', { serverName: 'a b' }],
] as const satisfies readonly (readonly [string, Partial<ServerConfig>])[]) {
  test(`SRV-8 ${what} is refused`, (t) => {
    t.throws(() => renderServerConfig('{{users}}', { ...config('/store'), ...change }), { name: 'ServerConfigError' });
  });
}

test('SRV-8 a placeholder that nobody fills in is refused', (t) => {
  t.throws(() => renderServerConfig('a: {{nonsense}}', config('/store')), { message: /nonsense/ });
});

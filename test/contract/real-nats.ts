/** A real server for the contract suites of the NATS adapters: one for each test file, with buckets of its own for each test. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { connectNats } from '../../runtime/nats/connection.js';
import { provision } from '../../runtime/nats/provision.js';
import { writeServerConfig, type ServerUser } from '../../runtime/nats/server-config.js';
import { startServer, type ServerProcess } from '../../runtime/nats/server-process.js';
import type { Log } from '../../runtime/ports.js';
import { permissionsOf, storageInboxPrefix } from '../../protocol/subjects.js';
import { startTestServer, testServerBinary, type TestServer } from '../support/nats-server.js';

/** What was logged. */
export interface MemoryLog extends Log {
  readonly lines: { level: string; message: string; fields: Readonly<Record<string, unknown>> | undefined }[];
}

export function memoryLog(): MemoryLog {
  const lines: MemoryLog['lines'] = [];
  return { lines, write: (level, message, fields) => lines.push({ level, message, fields }) };
}

/** May do everything, streams included. */
export const ROOT: ServerUser = {
  user: 'root',
  password: 'root',
  permissions: { publish: ['>'], subscribe: ['>'] },
};

/** The master of a cluster, with the permissions that masters have. */
export const masterOf = (cluster: string): ServerUser => ({
  user: `master_${cluster}`,
  password: cluster,
  permissions: permissionsOf(cluster, 'master', `master_${cluster}`),
});

/** A server with these clusters, each with a master, and an administrator; nothing is provisioned yet. */
export const startServerOf = (clusters: readonly string[], more: readonly ServerUser[] = []): Promise<TestServer> =>
  startTestServer([ROOT, ...clusters.map(masterOf), ...more]);

export async function connectAs(
  server: { readonly url: string },
  user: ServerUser,
  options: { inboxPrefix?: string; log?: Log; onFatal?: (error: Error) => void } = {},
): Promise<NatsConnection> {
  return connectNats({
    url: server.url,
    user: user.user,
    password: user.password,
    inboxPrefix: options.inboxPrefix ?? `_INBOX_${user.user}`,
    name: user.user,
    log: options.log ?? memoryLog(),
    onFatal: options.onFatal ?? (() => undefined),
  });
}

/** The storage connection of a cluster's master. */
export const connectMaster = (
  server: { readonly url: string },
  cluster: string,
  log?: Log,
): Promise<NatsConnection> => {
  const user = masterOf(cluster);
  const inboxPrefix = storageInboxPrefix(cluster, 'master', user.user);
  return connectAs(server, user, { inboxPrefix, ...(log && { log }) });
};

export async function provisionAs(server: { readonly url: string }, cluster: string, replicas = 1): Promise<void> {
  const administrator = await connectAs(server, ROOT);
  try {
    await provision(administrator, cluster, { replicas });
  } finally {
    await administrator.close();
  }
}

/** Servers with fixed ports, so that one that was killed can come back to where its clients look for it. */
export interface LastingServers {
  /** Addresses of all of them, for one client. */
  readonly url: string;
  /** Kills one by SIGKILL. */
  kill(index: number): Promise<void>;
  /** Starts one again, with what is on its disk. */
  start(index: number): Promise<void>;
  pid(index: number): number;
  /** Ends all and removes what they left. */
  remove(): Promise<void>;
}

/** `count` servers, which replicate to each other if there are several, with these clusters' masters and an administrator. */
export async function startLastingServers(count: number, clusters: readonly string[]): Promise<LastingServers> {
  const folder = await mkdtemp(join(tmpdir(), 'tepui-lasting-'));
  const binary = await testServerBinary();
  const ports = await freePorts(count * 2);
  const routes = ports.slice(count).map((port) => ({ host: '127.0.0.1', port }));
  const running = new Map<number, ServerProcess>();
  const start = async (index: number): Promise<void> => {
    const configFile = join(folder, `${index}.conf`);
    await writeServerConfig(configFile, {
      serverName: `n${index}`,
      port: ports[index]!,
      storeFolder: join(folder, `store-${index}`),
      syncInterval: '2m',
      users: [ROOT, ...clusters.map(masterOf)],
      systemUser: { user: 'sys', password: 'sys' },
      ...(count > 1 && {
        cluster: { name: 'test', listen: routes[index]!, user: 'route', password: 'route', routes },
      }),
    });
    running.set(index, await startServer({ binary, configFile, runFolder: join(folder, `run-${index}`) }));
  };
  const servers: LastingServers = {
    url: ports.slice(0, count).map((port) => `nats://127.0.0.1:${port}`).join(','), // prettier-ignore
    start,
    pid: (index) => running.get(index)!.pid,
    kill: async (index) => {
      const server = running.get(index)!;
      running.delete(index);
      process.kill(server.pid, 'SIGKILL');
      // Resolves as it is gone already, and removes its pid file.
      await server.stop();
    },
    remove: async () => {
      await Promise.all([...running.values()].map((server) => server.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
  await Promise.all(Array.from({ length: count }, (_, index) => start(index)));
  return servers;
}

async function freePorts(count: number): Promise<number[]> {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listeners.map((listener) => once(listener, 'listening')));
  const ports = listeners.map((listener) => (listener.address() as AddressInfo).port);
  await Promise.all(listeners.map((listener) => new Promise((fulfil) => listener.close(fulfil))));
  return ports;
}

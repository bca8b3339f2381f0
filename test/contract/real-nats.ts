/** A real server for the contract suites of the NATS adapters: one for each test file, with buckets of its own for each test. */
import type { NatsConnection } from 'nats';
import { connectNats } from '../../runtime/nats/connection.js';
import { provision } from '../../runtime/nats/provision.js';
import type { ServerUser } from '../../runtime/nats/server-config.js';
import type { Log } from '../../runtime/ports.js';
import { permissionsOf, storageInboxPrefix } from '../../protocol/subjects.js';
import { startTestServer, type TestServer } from '../support/nats-server.js';

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
  server: TestServer,
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
export const connectMaster = (server: TestServer, cluster: string, log?: Log): Promise<NatsConnection> => {
  const user = masterOf(cluster);
  const inboxPrefix = storageInboxPrefix(cluster, 'master', user.user);
  return connectAs(server, user, { inboxPrefix, ...(log && { log }) });
};

export async function provisionAs(server: TestServer, cluster: string): Promise<void> {
  const administrator = await connectAs(server, ROOT);
  await provision(administrator, cluster, { replicas: 1 });
  await administrator.close();
}

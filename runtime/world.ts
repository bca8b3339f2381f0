/** The real world for one process: connections of its role, and ports over them. */
import type { NatsConnection } from 'nats';
import { inboxPrefix, storageInboxPrefix, type Role } from '../protocol/subjects.js';
import { Counters } from './log.js';
import { connectNats, type Credentials } from './nats/connection.js';
import { openNatsStorage } from './nats/nats-storage.js';
import { natsTransport } from './nats/nats-transport.js';
import { systemClock } from './node/system-clock.js';
import { systemRandom } from './node/system-random.js';
import type { Log, MasterPorts, Ports } from './ports.js';

export interface WorldOptions {
  readonly credentials: Credentials;
  readonly cluster: string;
  readonly role: Role;
  readonly principal: string;
  readonly log: Log;
  /** The world is lost: the connection is closed for good, or a watch has ended. The process is to end. */
  readonly onFatal: (error: Error) => void;
  /** Wait for a server that is not there yet, rather than reject. */
  readonly waitForServer?: boolean;
}

export interface World<P extends Ports> {
  readonly ports: P;
  /** The control connection, for what is not an actor's. */
  readonly connection: NatsConnection;
  /** Sends what is buffered, then closes. */
  close(): Promise<void>;
}

const DRAIN_MS = 2_000;

/** Sends what is buffered; a connection that is away would wait for its server for ever, and the process with it. */
async function closeConnection(connection: NatsConnection): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((fulfil) => (timer = setTimeout(fulfil, DRAIN_MS)));
  await Promise.race([connection.drain().catch(() => undefined), late]);
  clearTimeout(timer);
  await connection.close();
}

/** One control connection, and the ports that every actor needs. Rejects when the server cannot be reached or does not serve. */
export async function connectWorld(options: WorldOptions): Promise<World<Ports>> {
  const { credentials, cluster, role, principal, log, onFatal, waitForServer } = options;
  const connection = await connectNats({
    ...credentials,
    waitForServer,
    inboxPrefix: inboxPrefix(cluster, role, principal),
    name: `${role} ${principal}`,
    log,
    onFatal,
  });
  const ports: Ports = {
    clock: systemClock(),
    random: systemRandom(),
    transport: natsTransport(connection, log),
    log,
    metrics: new Counters(),
  };
  return { ports, connection, close: () => closeConnection(connection) };
}

/** Besides the control connection one of its own for probes and storage, so that a flood of calls delays no renewal. Rule: LNK-5. */
export async function connectMasterWorld(options: Omit<WorldOptions, 'role'>): Promise<World<MasterPorts>> {
  const { credentials, cluster, principal, log, onFatal } = options;
  const control = await connectWorld({ ...options, role: 'master' });
  const prefix = storageInboxPrefix(cluster, 'master', principal);
  const connection = await connectNats({
    ...credentials,
    inboxPrefix: prefix,
    name: `master ${principal} storage`,
    log,
    onFatal,
  });
  const storage = await openNatsStorage({ connection, cluster, inboxPrefix: prefix, log, onFatal });
  return {
    ports: { ...control.ports, storage, probes: natsTransport(connection, log) },
    connection: control.connection,
    close: async () => {
      storage.close();
      await Promise.all([control.close(), closeConnection(connection)]);
    },
  };
}

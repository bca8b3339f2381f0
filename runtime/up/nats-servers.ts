/** The cluster's own NATS: one server, or three that hold the same and outlive the loss of one. Rules: UP-1, UP-7, UP-10, UP-11. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { locateServerBinary, systemServerSearch } from '../nats/server-binary.js';
import type { ServerConfig, ServerUser } from '../nats/server-config.js';
import { natsFiles, storedServers, type ClusterLayout } from './layout.js';
import { NatsKeeper } from './nats-keeper.js';

export interface NatsServersOptions {
  readonly layout: ClusterLayout;
  readonly cluster: string;
  /** 1 or 3. */
  readonly servers: number;
  readonly users: readonly ServerUser[];
  /** Of the first; the others have the next ones. 0: free ones, kept through restarts. */
  readonly port: number;
  readonly onChange: () => void;
  readonly report: (line: string) => void;
}

/** So many servers cannot be started here, or not on what is stored here. The message says what to do. Rule: UP-11. */
export class ServerCountError extends Error {
  override readonly name = 'ServerCountError';
}

const LOOPBACK = '127.0.0.1';
/** Three servers on fewer cores miss each other's heartbeats as soon as a task is busy, and elect instead of working. */
const LEAST_CORES = 2;

/** How many servers to start: as asked, else as many as have stored what is in the folder, else one. @throws ServerCountError. Rule: UP-11. */
export function serverCount(asked: number | undefined, layout: ClusterLayout, cores: number): number {
  const stored = storedServers(layout);
  const servers = asked ?? stored ?? 1;
  if (stored !== undefined && servers !== stored)
    throw new ServerCountError(
      `What is stored in ${layout.dir} is kept by ${countOf(stored)}, and ${countOf(servers)} could not read it. ` +
        `Leave --nats-servers ${servers} out, start in another folder (--dir), or start anew: rm -r ${layout.dir}`,
    );
  if (servers > 1 && cores < LEAST_CORES)
    throw new ServerCountError(`${countOf(servers)} need ${LEAST_CORES} cores, here is ${cores}. Use --nats-servers 1`);
  return servers;
}

const countOf = (servers: number): string => (servers === 1 ? 'one NATS server' : `${servers} NATS servers`);

export class NatsServers {
  readonly #options: NatsServersOptions;
  #keepers: readonly NatsKeeper[] = [];
  #stopping = false;

  constructor(options: NatsServersOptions) {
    this.#options = options;
  }

  /** Addresses of all, with commas between, without a login. */
  get url(): string {
    return this.#keepers.map(({ url }) => url).join(',');
  }

  get version(): string {
    return this.#keepers[0]?.version ?? '';
  }

  get keepers(): readonly NatsKeeper[] {
    return this.#keepers;
  }

  /** Rejects with `NoServerError` or `ServerStartError`, which say what to do; what has started by then runs until {@link stop}. */
  async start(): Promise<void> {
    const { layout, servers, port, onChange, report } = this.#options;
    const { path: binary } = await locateServerBinary(systemServerSearch(report));
    // Servers find each other at ports that are fixed; so are then those of their clients.
    const free = servers === 1 ? [] : await freePorts(2 * servers);
    const routePorts = free.slice(servers);
    const secrets = { system: secret(), route: secret() };
    if (this.#stopping) return;
    this.#keepers = natsFiles(layout, servers).map((files, i) => {
      const own = port === 0 ? (free[i] ?? -1) : port + i;
      const configAt = (at: number): ServerConfig =>
        this.#configOf(files.name, files.store, at, i, routePorts, secrets);
      return new NatsKeeper({ files, binary, configAt, port: own, onChange, report });
    });
    const started = await Promise.allSettled(this.#keepers.map((keeper) => keeper.start()));
    const failed = started.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#keepers.map((keeper) => keeper.stop()));
  }

  async kill(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#keepers.map((keeper) => keeper.kill()));
  }

  #configOf(
    name: string,
    storeFolder: string,
    port: number,
    index: number,
    routePorts: readonly number[],
    secrets: { system: string; route: string },
  ): ServerConfig {
    const { cluster, users } = this.#options;
    const routes = routePorts.map((at) => ({ host: LOOPBACK, port: at }));
    const listen = routes[index];
    return {
      // In the registry's streams servers know each other by name: it stays the same for ever.
      serverName: name,
      port,
      storeFolder,
      users,
      systemUser: { user: 'sys', password: secrets.system },
      ...(listen && { cluster: { name: cluster, listen, user: 'route', password: secrets.route, routes } }),
    };
  }
}

const secret = (): string => randomBytes(24).toString('hex');

/** Different ports on loopback that nobody has now. */
async function freePorts(count: number): Promise<number[]> {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, LOOPBACK));
  await Promise.all(listeners.map((listener) => once(listener, 'listening')));
  const ports = listeners.map((listener) => (listener.address() as AddressInfo).port);
  await Promise.all(listeners.map((listener) => new Promise((fulfil) => listener.close(fulfil))));
  return ports;
}

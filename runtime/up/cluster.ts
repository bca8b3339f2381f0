/** A cluster on one machine: nats-server, masters and agents as processes of their own, kept running and ended in order. Rules: UP-1 to UP-8. */
import { availableParallelism } from 'node:os';
import { storageInboxPrefix } from '../../protocol/subjects.js';
import { OperatorClient } from '../client.js';
import { silentLog } from '../log.js';
import { connectNats, type Credentials } from '../nats/connection.js';
import { textOf } from '../nats/quiet-log.js';
import { bucketReplicas, createObjectBucket, provision } from '../nats/provision.js';
import { EXIT } from '../process-config.js';
import { connectWorld } from '../world.js';
import { bootId, recordOf, type NamedProcess } from './identity.js';
import { Keeper } from './keeper.js';
import { logFile, makeFolders, type ClusterLayout } from './layout.js';
import { endContainers, endLeftovers } from './leftovers.js';
import { takeLock } from './lock.js';
import { NatsServers, serverCount } from './nats-servers.js';
import { agentGraceMs, agentNames, masterNames, processArgv, writeProcessConfigs, type UpOptions } from './plan.js';
import { logTail, NotReadyError, untilReady, type ReadyCluster } from './ready.js';
import { removeState, writeState } from './state.js';
import { chooseTaskUser } from './task-user.js';
import { ADMIN, clusterUsers, OPERATOR, userNames, WORD_COUNT, writeCredentials } from './users.js';

/** The start was given up because {@link LocalCluster.stop} was called. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
}

/** A server that was named cannot be used. */
export class NatsUnreachableError extends Error {
  override readonly name = 'NatsUnreachableError';
}

const READY_TIMEOUT_MS = 60_000;
const MASTER_GRACE_MS = 5_000;
/** NATS elects within 4 to 9 s. */
const ELECTION_TIMEOUT_MS = 30_000;
const ELECTION_POLL_MS = 250;
/** A process that ends so often before the cluster is ready has something that no new start mends. */
const MOST_RESTARTS = 4;

export class LocalCluster {
  readonly layout: ClusterLayout;
  readonly #options: UpOptions;
  readonly #keepers: Keeper[] = [];
  readonly #unlock: () => void;
  #nats: NatsServers | undefined;
  #server = { url: '', version: '' };
  #stopping = false;
  #starting: Promise<unknown> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  /** Takes the lock of the folder. @throws LockedError when another `up` has it */
  constructor(options: UpOptions) {
    this.#options = options;
    this.layout = makeFolders(options.dir);
    this.#unlock = takeLock(this.layout.lockFile);
  }

  /** Where NATS is, without a login. */
  get url(): string {
    return this.#server.url;
  }

  get version(): string {
    return this.#server.version;
  }

  /** Starts everything and waits until it works. When it rejects, what was started still runs: call {@link stop}. */
  start(): Promise<ReadyCluster> {
    const started = this.#start();
    this.#starting = started.catch(() => undefined);
    return started;
  }

  /** Ends what was started, and nothing else: agents first, which kill their tasks, then masters, NATS last. May be called at any time. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  /** The same without waiting for anybody. */
  async kill(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#keepers.map((keeper) => keeper.kill()));
    await endContainers(this.layout);
    await this.#nats?.kill();
    this.#forget();
  }

  async #start(): Promise<ReadyCluster> {
    const { layout } = this;
    const { report, timings } = this.#options;
    const ended = await endLeftovers(layout, agentGraceMs(timings));
    if (ended.length > 0) report(`ended what the last supervisor left behind: ${ended.join(', ')}`);
    this.#requireWanted();
    const credentials = await this.#startNats();
    const taskUser = chooseTaskUser(layout, report);
    writeCredentials(layout, credentials, taskUser?.user);
    writeProcessConfigs(layout, this.#options, taskUser?.name);
    this.#requireWanted();
    // Agents and masters take a while to load: they do so while the buckets are made.
    this.#keep(agentNames(this.#options), 'agent');
    await this.#provision(credentials);
    this.#requireWanted();
    this.#keep(masterNames(this.#options), 'master');
    return this.#untilReady(credentials);
  }

  async #stop(): Promise<void> {
    this.#stopping = true;
    await this.#starting;
    const graceMs = agentGraceMs(this.#options.timings);
    const [agents, masters] = (['agent', 'master'] as const).map((role) =>
      this.#keepers.filter((keeper) => keeper.role === role),
    );
    await Promise.all((agents ?? []).map((keeper) => keeper.stop(graceMs)));
    await endContainers(this.layout);
    await Promise.all((masters ?? []).map((keeper) => keeper.stop(MASTER_GRACE_MS)));
    await this.#nats?.stop();
    this.#forget();
  }

  #forget(): void {
    removeState(this.layout.stateFile);
    this.#unlock();
  }

  #requireWanted(): void {
    if (this.#stopping) throw new StoppedError('stopped while it was starting');
  }

  /** Where each principal's login comes from: our own server's users, or the one that the given URL has. */
  async #startNats(): Promise<Map<string, Credentials>> {
    const { cluster, natsUrl, port, report } = this.#options;
    const [masters, agents] = [masterNames(this.#options), agentNames(this.#options)];
    if (natsUrl !== undefined) {
      const connection = await connectNats({
        url: natsUrl,
        inboxPrefix: storageInboxPrefix(cluster, 'operator', ADMIN),
        name: 'up',
        log: silentLog,
        onFatal: () => undefined,
      }).catch((error: unknown) => {
        throw new NatsUnreachableError(`NATS at ${withoutLogin(natsUrl)} cannot be used: ${textOf(error)}`);
      });
      this.#server = { url: withoutLogin(natsUrl), version: connection.info?.version ?? '' };
      await connection.close();
      report(`using nats-server ${this.#server.version} at ${this.#server.url}`);
      return new Map(userNames(masters, agents).map((name) => [name, { url: natsUrl }]));
    }
    const users = clusterUsers(cluster, masters, agents);
    const servers = serverCount(this.#options.natsServers, this.layout, availableParallelism());
    const onChange = (): void => this.#save();
    const nats = new NatsServers({ layout: this.layout, cluster, servers, users, port, report, onChange });
    this.#nats = nats;
    await nats.start();
    this.#requireWanted();
    this.#server = { url: nats.url, version: nats.version };
    report(`nats-server ${nats.version} listens at ${nats.url.replaceAll(',', ', ')}`);
    return new Map(users.map(({ user, password }) => [user, { url: nats.url, user, password }]));
  }

  async #provision(credentials: ReadonlyMap<string, Credentials>): Promise<void> {
    const { cluster, replicas } = this.#options;
    const connection = await connectNats({
      ...(credentials.get(ADMIN) as Credentials),
      inboxPrefix: storageInboxPrefix(cluster, 'operator', ADMIN),
      name: 'up',
      log: silentLog,
      onFatal: () => undefined,
    });
    try {
      const own = this.#nats?.keepers.length ?? 1;
      await this.#untilReplicated(own, async () => {
        const copies = replicas ?? (own > 1 ? own : await bucketReplicas(connection, cluster)) ?? 1;
        await provision(connection, cluster, { replicas: copies });
        await createObjectBucket(connection, WORD_COUNT, { replicas: copies });
      });
    } finally {
      await connection.close();
    }
  }

  /** Servers that have just started elect first, and meet each other one by one: until then buckets are refused, each time for another reason. */
  async #untilReplicated(servers: number, make: () => Promise<void>): Promise<void> {
    const deadline = performance.now() + ELECTION_TIMEOUT_MS;
    for (;;) {
      try {
        return await make();
      } catch (error) {
        if (servers === 1 || performance.now() > deadline) throw error;
        this.#requireWanted();
        await new Promise((fulfil) => setTimeout(fulfil, ELECTION_POLL_MS));
      }
    }
  }

  #keep(names: readonly string[], role: 'master' | 'agent'): void {
    const { report } = this.#options;
    for (const name of names) {
      const keeper = new Keeper({
        name,
        role,
        argv: processArgv(this.layout, name),
        logFile: logFile(this.layout, name),
        onChange: () => this.#save(),
        report: (line) => report(`${line}; its log is ${logFile(this.layout, name)}`),
        meantStatus: EXIT.stopped,
      });
      this.#keepers.push(keeper);
      keeper.start();
    }
  }

  async #untilReady(credentials: ReadonlyMap<string, Credentials>): Promise<ReadyCluster> {
    const { cluster } = this.#options;
    const world = await connectWorld({
      credentials: credentials.get(OPERATOR) as Credentials,
      cluster,
      role: 'operator',
      principal: OPERATOR,
      log: silentLog,
      onFatal: () => undefined,
    });
    try {
      const client = new OperatorClient(world.ports, cluster, OPERATOR);
      const check = (): void => this.#requireProgress();
      return await untilReady(client, { agents: agentNames(this.#options), timeoutMs: READY_TIMEOUT_MS, check });
    } finally {
      await world.close();
    }
  }

  #requireProgress(): void {
    this.#requireWanted();
    const failing = this.#keepers.find(({ restarts }) => restarts >= MOST_RESTARTS);
    if (failing === undefined) return;
    const log = logFile(this.layout, failing.name);
    throw new NotReadyError(`${failing.name} ended ${failing.restarts} times. The end of ${log}:\n${logTail(log)}`);
  }

  #address(): { url: string; version: string } {
    const { url, version } = this.#nats ?? this.#server;
    return { url, version };
  }

  /** Written at each start and end of a process, so that whoever comes later knows what runs. */
  #save(): void {
    if (this.#stopped !== undefined && this.#keepers.every(({ record }) => record === undefined)) return;
    const running = (role: 'master' | 'agent'): NamedProcess[] =>
      this.#keepers.flatMap(({ name, role: own, record }) => (own === role && record ? [{ name, ...record }] : []));
    const servers = (this.#nats?.keepers ?? []).flatMap(({ name, url, record }) =>
      record === undefined ? [] : [{ name, url, ...record }],
    );
    writeState(this.layout.stateFile, {
      nats: { ...this.#address(), servers },
      masters: running('master'),
      agents: running('agent'),
      dir: this.layout.dir,
      cluster: this.#options.cluster,
      supervisor: recordOf(process.pid),
      bootId: bootId(),
    });
  }
}

/** An address as it may be shown and written down. */
export const withoutLogin = (url: string): string => url.replaceAll(/(^|,\s*)([a-z]+:\/\/)?[^@/,]*@/g, '$1$2');

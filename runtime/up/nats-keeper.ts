/** The cluster's own nats-server: found or fetched, started, started again at the same address, stopped. Rules: UP-1, UP-7. */
import { randomBytes } from 'node:crypto';
import { locateServerBinary, systemServerSearch, type ServerBinary } from '../nats/server-binary.js';
import { writeServerConfig, type ServerUser } from '../nats/server-config.js';
import { startServer, type ServerProcess } from '../nats/server-process.js';
import { nextDelayMs } from './keeper.js';
import { recordOf, signalRecord, untilGone, type ProcessRecord } from './identity.js';
import type { ClusterLayout } from './layout.js';

export interface NatsOptions {
  readonly layout: ClusterLayout;
  readonly cluster: string;
  readonly users: readonly ServerUser[];
  /** 0: the server picks a free one, and keeps it through its restarts. */
  readonly port: number;
  readonly onChange: () => void;
  readonly report: (line: string) => void;
}

export class NatsKeeper {
  readonly #options: NatsOptions;
  #binary: ServerBinary | undefined;
  #server: ServerProcess | undefined;
  #record: ProcessRecord | undefined;
  #timer: NodeJS.Timeout | undefined;
  #delayMs: number | undefined;
  #stopping = false;
  /** A start in flight: what it starts is ended too. Never rejects. */
  #launching: Promise<void> = Promise.resolve();
  #url = '';
  #version = '';

  constructor(options: NatsOptions) {
    this.#options = options;
  }

  /** Without a login. */
  get url(): string {
    return this.#url;
  }

  get version(): string {
    return this.#version;
  }

  get pid(): number | undefined {
    return this.#record?.pid;
  }

  /** Rejects with `NoServerError` or `ServerStartError`, which say what to do. */
  async start(): Promise<void> {
    const { report, port } = this.#options;
    this.#binary = await locateServerBinary(systemServerSearch(report));
    await this.#writeConfig(port === 0 ? -1 : port);
    if (this.#stopping) return;
    await this.#launch();
    // Clients come back to where they were: after a crash it has to be the same port.
    await this.#writeConfig(Number(new URL(this.#url).port));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    await this.#launching;
    await this.#server?.stop();
  }

  /** The end at once; its files are swept by the next {@link stop}. */
  async kill(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    await this.#launching;
    if (this.#record === undefined) return;
    signalRecord(this.#record, 'SIGKILL');
    await untilGone(this.#record, 10_000);
    await this.#server?.stop();
  }

  #writeConfig(port: number): Promise<void> {
    const { layout, cluster, users } = this.#options;
    return writeServerConfig(layout.nats.configFile, {
      serverName: cluster,
      port,
      storeFolder: layout.nats.store,
      users,
      systemUser: { user: 'sys', password: randomBytes(24).toString('hex') },
    });
  }

  #launch(): Promise<void> {
    const launched = this.#startServer();
    this.#launching = launched.catch(() => undefined);
    return launched;
  }

  async #startServer(): Promise<void> {
    const { layout, onChange } = this.#options;
    const startedMs = performance.now();
    const server = await startServer({
      binary: this.#binary?.path ?? '',
      configFile: layout.nats.configFile,
      runFolder: layout.nats.run,
      life: 'own',
    });
    this.#server = server;
    this.#url = server.url;
    this.#version = server.version;
    this.#record = recordOf(server.pid);
    onChange();
    void server.exited.then((how) => this.#onEnd(how, performance.now() - startedMs));
  }

  #onEnd(how: string, livedMs: number): void {
    this.#record = undefined;
    if (this.#stopping) return;
    this.#options.onChange();
    this.#delayMs = nextDelayMs(this.#delayMs, livedMs);
    this.#options.report(`nats-server has ended (${how}); it is started again in ${this.#delayMs} ms`);
    this.#timer = setTimeout(() => this.#relaunch(), this.#delayMs);
  }

  #relaunch(): void {
    const startedMs = performance.now();
    this.#launch().catch((error: unknown) => {
      this.#options.report(error instanceof Error ? error.message : String(error));
      this.#onEnd('it did not start', performance.now() - startedMs);
    });
  }
}

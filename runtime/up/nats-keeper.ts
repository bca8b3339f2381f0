/** One nats-server of the cluster: started, started again at the same address, stopped. Rules: UP-1, UP-7. */
import { writeServerConfig, type ServerConfig } from '../nats/server-config.js';
import { startServer, type ServerProcess } from '../nats/server-process.js';
import { nextDelayMs } from './keeper.js';
import { recordOf, signalRecord, untilGone, type ProcessRecord } from './identity.js';
import type { NatsFiles } from './layout.js';

export interface NatsOptions {
  readonly files: NatsFiles;
  /** Path of the nats-server. */
  readonly binary: string;
  /** Its configuration at a port; -1: a free one, which it keeps through its restarts. */
  readonly configAt: (port: number) => ServerConfig;
  readonly port: number;
  readonly onChange: () => void;
  readonly report: (line: string) => void;
}

export class NatsKeeper {
  readonly name: string;
  readonly #options: NatsOptions;
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
    this.name = options.files.name;
  }

  /** Without a login. */
  get url(): string {
    return this.#url;
  }

  get version(): string {
    return this.#version;
  }

  get record(): ProcessRecord | undefined {
    return this.#record;
  }

  /** Rejects with `ServerStartError`, which says what to do. */
  async start(): Promise<void> {
    await this.#writeConfig(this.#options.port);
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
    const { files, configAt } = this.#options;
    return writeServerConfig(files.configFile, configAt(port));
  }

  #launch(): Promise<void> {
    const launched = this.#startServer();
    this.#launching = launched.catch(() => undefined);
    return launched;
  }

  async #startServer(): Promise<void> {
    const { files, binary, onChange } = this.#options;
    const startedMs = performance.now();
    const server = await startServer({ binary, configFile: files.configFile, runFolder: files.run, life: 'own' });
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
    const { onChange, report } = this.#options;
    onChange();
    this.#delayMs = nextDelayMs(this.#delayMs, livedMs);
    report(`nats-server ${this.name} has ended (${how}); it is started again in ${this.#delayMs} ms`);
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

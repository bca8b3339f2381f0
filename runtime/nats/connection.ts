/**
 * Opens a NATS connection as a lasting process needs it: it comes back by itself for ever, says what was refused, and never dies in
 * silence. Rules: NAT-1, NAT-2.
 */
import { readFile } from 'node:fs/promises';
import { connect, type NatsConnection, type Status } from 'nats';
import type { Log } from '../ports.js';
import { quietLog, textOf } from './quiet-log.js';
import { requireServer } from './version.js';

/** Who one is, and where the server is. */
export interface Credentials {
  /** `nats://host:port`, several of them with commas between; a user and a password in it count when none are given beside it. */
  readonly url: string;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
}

export interface ConnectionSettings extends Credentials {
  /** Where answers come back to: one of `protocol/subjects.ts`. */
  readonly inboxPrefix: string;
  /** Shown by the server's monitoring. */
  readonly name: string;
  readonly log: Log;
  /** The connection is gone for good without anyone having closed it, or leads to an unfit server: the process must end. Called at most once. */
  readonly onFatal: (error: Error) => void;
  /** Wait for a server that is not there yet, rather than reject. Default: reject. */
  readonly waitForServer?: boolean | undefined;
}

/** A credentials file that cannot be used; the message says why, without the password. */
export class CredentialsError extends Error {
  override name = 'CredentialsError';
}

/** A frozen server is noticed after (maxPingOut + 1) × pingInterval, and a dial to it given up after `timeout`, all in ms. */
const LASTING = {
  // The default gives up after ten attempts, about 20 s.
  maxReconnectAttempts: -1,
  reconnectTimeWait: 100,
  reconnectJitter: 50,
  pingInterval: 1_000,
  maxPingOut: 2,
  timeout: 1_000,
  // A stack for each request costs half of the throughput.
  noAsyncTraces: true,
  // By default a second refusal of the login closes the connection for good. A server that is being set up anew may refuse for a while; a
  // wrong password is still told at once, by the first connect.
  ignoreAuthErrorAbort: true,
} as const;

/**
 * Connects, and checks that the server can do what Tepui needs, now and after each reconnect. To be closed by the caller (`drain` or `close`).
 * Rejects with what the client says, or with `UnfitServerError`.
 */
export async function connectNats(settings: ConnectionSettings): Promise<NatsConnection> {
  const { servers, user, password } = addressOf(settings);
  const connection = await connect({
    ...LASTING,
    servers,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { pass: password }),
    inboxPrefix: settings.inboxPrefix,
    name: settings.name,
    waitOnFirstConnect: settings.waitForServer ?? false,
  });
  try {
    requireServer(connection.info?.version ?? '');
  } catch (error) {
    await connection.close();
    throw error;
  }
  watchOver(connection, settings);
  return connection;
}

/** Reads `{"url", "user", "password"}`. Rejects with {@link CredentialsError}. */
export async function readCredentials(path: string): Promise<Credentials> {
  const wrong = (what: string, cause?: unknown): CredentialsError =>
    new CredentialsError(`The credentials file ${path} ${what}.`, { cause });
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw wrong(`cannot be read: ${textOf(error)}`, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says would quote the file.
    throw wrong('is no JSON');
  }
  if (typeof value !== 'object' || value === null) throw wrong('has no object');
  const { url, user, password } = value as Record<string, unknown>;
  if (typeof url !== 'string' || url === '') throw wrong('has no "url"');
  if (user !== undefined && typeof user !== 'string') throw wrong('has a "user" that is no text');
  if (password !== undefined && typeof password !== 'string') throw wrong('has a "password" that is no text');
  return { url, user, password };
}

/** Calls back each time that `connection` is back after it was away, until it is closed. `onReconnect` must not throw. */
export async function followReconnects(connection: NatsConnection, onReconnect: () => void): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'reconnect') onReconnect();
  }
}

/** The client takes no login out of an address, so it is done here. */
function addressOf(credentials: Credentials): {
  servers: string[];
  user?: string | undefined;
  password?: string | undefined;
} {
  let { user, password } = credentials;
  const servers = credentials.url.split(',').map((part) => {
    const server = part.trim();
    const login = /^([a-z]+:\/\/)?([^@/]*)@(.*)$/.exec(server);
    if (login === null) return server;
    const [, scheme = '', pair = '', rest = ''] = login;
    const colon = pair.indexOf(':');
    if (credentials.user === undefined) {
      user = decodeURIComponent(colon < 0 ? pair : pair.slice(0, colon));
      password = colon < 0 ? undefined : decodeURIComponent(pair.slice(colon + 1));
    }
    return scheme + rest;
  });
  return { servers, user, password };
}

function watchOver(connection: NatsConnection, { name, log, onFatal }: ConnectionSettings): void {
  const quiet = quietLog(log);
  let fatal = (error: Error): void => {
    fatal = () => undefined;
    onFatal(error);
  };
  const onStatus = (status: Status): void => {
    switch (status.type) {
      case 'error':
        // The only sign of a refused publish.
        return quiet('error', status.error.message, 'NATS refused something', {
          connection: name,
          error: status.error.message,
        });
      case 'disconnect':
      case 'staleConnection':
        return quiet('warn', status.type, 'The connection to NATS is away', { connection: name, status: status.type });
      case 'reconnect':
        quiet('info', status.type, 'The connection to NATS is back', { connection: name, server: status.server });
        // Between a disconnect and its own news there may be no greeting to look at; the next reconnect will have one.
        if (connection.info !== undefined) requireServer(connection.info.version);
        return;
      default:
    }
  };
  const follow = async (): Promise<void> => {
    for await (const status of connection.status()) onStatus(status);
  };
  // A reconnect to an unfit server throws out of the loop.
  follow().catch((error: unknown) => fatal(error instanceof Error ? error : new Error(String(error))));
  // Fulfilled without an error when we closed it on purpose.
  void connection.closed().then((error) => {
    if (error instanceof Error) fatal(error);
  });
}

/** From options to a cluster: whose credentials, which NATS, which subjects. Rule: CLI-1. */
import { existsSync } from 'node:fs';
import { basename, relative, resolve } from 'node:path';
import { DEFAULT_CLUSTER, isToken } from '../protocol/subjects.js';
import { OperatorClient } from '../runtime/client.js';
import { silentLog } from '../runtime/log.js';
import { readCredentials, type Credentials } from '../runtime/nats/connection.js';
import { clusterLayout, credentialsFile } from '../runtime/up/layout.js';
import { readState, type ClusterState } from '../runtime/up/state.js';
import { connectWorld } from '../runtime/world.js';
import { CliError } from './errors.js';

/** Options that every command takes. */
export interface ConnectionOptions {
  readonly dir?: string;
  readonly nats?: string;
  readonly credentials?: string;
  readonly cluster?: string;
}

export const DEFAULT_DIR = '.tepui';

/** Where a cluster is, and who one is there. */
export interface Place {
  readonly cluster: string;
  readonly credentials: Credentials;
  readonly principal: string;
  /** Of a cluster that `up` runs on this machine. */
  readonly state?: ClusterState | undefined;
}

export const dirOf = ({ dir }: ConnectionOptions): string => resolve(dir ?? DEFAULT_DIR);

/** A folder as people know it. */
export function shown(dir: string): string {
  const path = relative(process.cwd(), dir);
  return path === '' ? '.' : path.startsWith('..') ? dir : path;
}

export const noCluster = (dir: string): CliError => {
  const option = basename(dir) === DEFAULT_DIR && shown(dir) === DEFAULT_DIR ? '' : ` --dir ${shown(dir)}`;
  return new CliError(`No cluster in ${shown(dir)}.`, `Start one: tepui up${option}`);
};

/** `--credentials`, else `--nats`, else `--dir`, else `$NATS_URL`, else `.tepui`. `role` is the principal where none is told. Rule: CLI-1. */
export async function placeOf(options: ConnectionOptions, role: string): Promise<Place> {
  const { credentials: file, nats } = options;
  const cluster = options.cluster ?? DEFAULT_CLUSTER;
  if (file !== undefined) {
    const read = await readCredentials(resolve(file));
    const principal = read.user !== undefined && isToken(read.user) ? read.user : role;
    return { cluster, principal, credentials: nats === undefined ? read : { ...read, url: nats } };
  }
  if (nats !== undefined) return { cluster, principal: role, credentials: { url: nats } };
  const url = process.env['NATS_URL'];
  if (options.dir === undefined && url !== undefined && url !== '')
    return { cluster, principal: role, credentials: { url } };
  return placeInDir(dirOf(options), role, options.cluster);
}

async function placeInDir(dir: string, role: string, cluster: string | undefined): Promise<Place> {
  const layout = clusterLayout(dir);
  const state = readState(layout.stateFile);
  const path = credentialsFile(layout, role);
  if (state === undefined || !existsSync(path)) throw noCluster(dir);
  return { cluster: cluster ?? state.cluster, principal: role, credentials: await readCredentials(path), state };
}

/** A connection as an operator. */
export interface OperatorLink {
  readonly place: Place;
  readonly client: OperatorClient;
  /** Of the server that is connected to; empty when it did not say. */
  readonly serverVersion: string;
  close(): Promise<void>;
}

export async function connectOperator(options: ConnectionOptions): Promise<OperatorLink> {
  return connectAt(await placeOf(options, 'operator'));
}

/** Connects as the operator of a place that is known already. */
export async function connectAt(place: Place): Promise<OperatorLink> {
  const { cluster, credentials, principal } = place;
  const world = await connectWorld({
    credentials,
    cluster,
    role: 'operator',
    principal,
    log: silentLog,
    onFatal: () => undefined,
  }).catch((error: unknown) => {
    throw unreachable(credentials, error);
  });
  const client = new OperatorClient(world.ports, cluster, principal);
  return { place, client, serverVersion: world.connection.info?.version ?? '', close: () => world.close() };
}

/** Does something as an operator, and closes the connection in any case. */
export async function asOperator<T>(options: ConnectionOptions, use: (link: OperatorLink) => Promise<T>): Promise<T> {
  const link = await connectOperator(options);
  try {
    return await use(link);
  } finally {
    await link.close();
  }
}

export function unreachable({ url }: Credentials, error: unknown): Error {
  if (!(error instanceof Error) || error.name === 'UnfitServerError') return error as Error;
  const reason = error.name === 'AuthorizationError' ? 'refuses the login' : `cannot be reached (${error.message})`;
  return new CliError(`NATS at ${url.replaceAll(/[^/,@]*@/g, '')} ${reason}.`, 'See what is there: tepui status');
}

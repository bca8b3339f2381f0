/**
 * Object store buckets for frameworks and their tasks: `tepui/store`. Apart from the SDK's main entry, since a task that only fetches its input
 * should not load a scheduler with it: that takes four times as long.
 */
import { jetstream } from '@nats-io/jetstream';
import { Objm, setSha256Backend, type ObjectStore } from '@nats-io/obj';
import { DEFAULT_CLUSTER, storageInboxPrefix } from '../../protocol/subjects.js';
import type { Log } from '../ports.js';
import { connectNats, readCredentials, type Credentials } from './connection.js';

export { readCredentials, type Credentials };
export type { ObjectStore };

export interface ObjectStoreSettings {
  readonly credentials: Credentials;
  /** The NATS user's name. Default: as in the credentials, else the bucket's. */
  readonly principal?: string | undefined;
  /** Name of the bucket. It must exist: `tepui up` or an operator makes it. */
  readonly bucket: string;
  readonly cluster?: string | undefined;
  readonly log?: Log | undefined;
}

export interface OpenObjectStore {
  readonly store: ObjectStore;
  /** Sends what is buffered, then closes the connection. */
  readonly close: () => Promise<void>;
}

/** Opens a bucket on a connection of its own. Rejects when the server cannot be reached or there is no such bucket. */
export async function openObjectStore(settings: ObjectStoreSettings): Promise<OpenObjectStore> {
  const { credentials, bucket, cluster = DEFAULT_CLUSTER, log = { write: () => {} } } = settings;
  const principal = settings.principal ?? credentials.user ?? bucket;
  setSha256Backend('native');
  const connection = await connectNats({
    ...credentials,
    inboxPrefix: storageInboxPrefix(cluster, 'scheduler', principal),
    name: `store ${bucket} of ${principal}`,
    log,
    // Requests on a lost connection fail by themselves, and their callers are told.
    onFatal: (error) => log.write('error', 'The connection to the object store is lost', { error: error.message }),
  });
  try {
    // The general question about the account's JetStream is an administrator's.
    const store = await new Objm(jetstream(connection, { checkAPI: false })).open(bucket);
    return { store, close: () => connection.drain() };
  } catch (error) {
    await connection.close();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`The bucket ${bucket} cannot be opened: ${reason}`, { cause: error });
  }
}

/** Makes the buckets of a cluster, as an administrator, and refuses aloud a server that ignored what was asked of it. Rule: NAT-7. */
import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { nanos, type NatsConnection } from 'nats';
import { leaseBucket, registryBucket } from '../../protocol/subjects.js';

export interface ProvisionOptions {
  /** Copies of each bucket: 1, 3 or 5, and at most as many as there are servers. */
  readonly replicas: number;
}

/** A bucket that is not, and cannot be made, as Tepui needs it. The message names the option. */
export class ProvisionError extends Error {
  override name = 'ProvisionError';
}

/** Life of a marker that says that a key is deleted or has expired, in seconds. A watch that was away for longer would miss it. Rule: REG-5. */
export const MARKER_TTL_SECONDS = 120;

/** The stream behind a bucket. */
export const bucketStream = (bucket: string): string => `KV_${bucket}`;
/** The subject of a key. */
export const keySubject = (bucket: string, key: string): string => `$KV.${bucket}.${key}`;

/** What both buckets must be; everything else is left to the server or to an operator. */
const needed = (bucket: string) =>
  ({
    name: bucketStream(bucket),
    subjects: [keySubject(bucket, '>')],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    // One value per key: the registry's history is a stream of its own.
    max_msgs_per_subject: 1,
    // A full bucket, or one whose entries grow old, would lose records in silence.
    max_age: 0,
    max_msgs: -1,
    max_bytes: -1,
    // Purge markers, the lease's TTL, and the marker that the server puts where the lease expired.
    allow_rollup_hdrs: true,
    allow_msg_ttl: true,
    subject_delete_marker_ttl: nanos(MARKER_TTL_SECONDS * 1_000),
    allow_direct: true,
    // Fenced batches.
    allow_atomic: true,
    deny_purge: false,
  }) satisfies Partial<StreamConfig>;

/**
 * Creates the lease and the registry bucket of `cluster`, or changes those that exist to what is needed; a second call changes nothing.
 * `connection` must belong to an administrator of JetStream. Rejects with {@link ProvisionError} when the server did not do as it was told.
 */
export async function provision(connection: NatsConnection, cluster: string, options: ProvisionOptions): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false });
  for (const bucket of [leaseBucket(cluster), registryBucket(cluster)]) {
    await provisionBucket(manager, bucket, options.replicas);
  }
}

/** Creates an object store bucket unless it exists. `connection` must belong to an administrator of JetStream. */
export async function createObjectBucket(
  connection: NatsConnection,
  name: string,
  options: ProvisionOptions = { replicas: 1 },
): Promise<void> {
  const store = await new Objm(connection).create(name, { storage: StorageType.File, replicas: options.replicas });
  const { storage, replicas, sealed } = await store.status();
  if (storage !== StorageType.File) throw new ProvisionError(`The object bucket ${name} is not kept in files.`);
  if (replicas !== options.replicas) {
    throw new ProvisionError(`The object bucket ${name} has ${replicas} replicas, not ${options.replicas}.`);
  }
  if (sealed) throw new ProvisionError(`The object bucket ${name} is sealed.`);
}

/** Copies that the buckets of `cluster` have now, the most of them; `undefined` when there are none yet. */
export async function bucketReplicas(connection: NatsConnection, cluster: string): Promise<number | undefined> {
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const names = [leaseBucket(cluster), registryBucket(cluster)].map(bucketStream);
  const found = (await Promise.all(names.map((name) => streamInfo(manager, name)))).filter(
    (info) => info !== undefined,
  );
  return found.length === 0 ? undefined : Math.max(...found.map(({ config }) => config.num_replicas));
}

/** What of a bucket is not as needed, as phrases; empty when all is well. `replicas`: any number when left out. */
export function bucketProblems(bucket: string, config: StreamConfig, replicas?: number): string[] {
  const wanted: Record<string, unknown> = {
    ...needed(bucket),
    ...(replicas !== undefined && { num_replicas: replicas }),
  };
  const got = config as unknown as Record<string, unknown>;
  return Object.entries(wanted)
    .filter(([option, value]) => !isSame(got[option], value))
    .map(([option, value]) => `${option} is ${JSON.stringify(got[option])}, not ${JSON.stringify(value)}`);
}

/** A stream, or `undefined` when there is none. */
export async function streamInfo(manager: JetStreamManager, stream: string): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(stream);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
    throw error;
  }
}

async function provisionBucket(manager: JetStreamManager, bucket: string, replicas: number): Promise<void> {
  const wanted = { ...needed(bucket), num_replicas: replicas };
  const stream = wanted.name;
  const found = await streamInfo(manager, stream);
  try {
    if (found === undefined) await manager.streams.add(wanted);
    else if (bucketProblems(bucket, found.config, replicas).length > 0) {
      await manager.streams.update(stream, { ...found.config, ...wanted });
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ProvisionError(`The bucket ${bucket} could not be made as needed: ${reason}`, { cause: error });
  }
  // A server takes options that it does not know and forgets them, so what counts is what it says now.
  const now = await manager.streams.info(stream);
  const problems = bucketProblems(bucket, now.config, replicas);
  if (problems.length > 0) {
    throw new ProvisionError(`The server did not make the bucket ${bucket} as asked: ${problems.join('; ')}.`);
  }
}

/** Options that are off may be left out of the server's answer. */
function isSame(got: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) return JSON.stringify(got) === JSON.stringify(wanted);
  return (got ?? (typeof wanted === 'boolean' ? false : 0)) === wanted;
}

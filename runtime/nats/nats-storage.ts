/** The Storage port on JetStream KV. Rules: NAT-4, NAT-5, NAT-6. */
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from 'nats';
import { MAX_BATCH_RECORDS } from '../../protocol/limits.js';
import { leaseBucket, registryBucket } from '../../protocol/subjects.js';
import type { KeyedWrite, Log, Storage, Stored } from '../ports.js';
import { bucketWriter, isMarkerHeader, type BucketWriter, type Written } from './nats-publish.js';
import { watchBucket } from './nats-watch.js';
import { bucketProblems, bucketStream, ProvisionError, streamInfo } from './provision.js';

export interface StorageSettings {
  /** A connection of its own, apart from the control messages. Stays the caller's. Rule: LNK-5. */
  readonly connection: NatsConnection;
  readonly cluster: string;
  /** As the connection's: `storageInboxPrefix`. */
  readonly inboxPrefix: string;
  readonly log: Log;
  /** A watch cannot go on without leaving something out: the process must end and read anew. Called at most once per watch. */
  readonly onFatal: (error: Error) => void;
}

export interface NatsStorage extends Storage {
  /** Ends the watches. */
  close(): void;
}

/** On a single server a batch costs 7 to 20 ms, whatever its size: up to here single writes are faster. */
const FEWEST_BATCHED = 20;
const API_TIMEOUT_MS = 2_000;
/** The server takes no shorter time to live. */
const SHORTEST_TTL_MS = 1_000;

type Bucket = 'registry' | 'lease';

/** Opens the buckets of a cluster. Rejects with {@link ProvisionError} when one is missing or not as needed. */
export async function openNatsStorage(settings: StorageSettings): Promise<NatsStorage> {
  const { connection, cluster } = settings;
  const names: Record<Bucket, string> = { registry: registryBucket(cluster), lease: leaseBucket(cluster) };
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: API_TIMEOUT_MS });
  await requireBucket(manager, names.lease);
  const { replicas } = await requireBucket(manager, names.registry);
  return natsStorage(settings, manager, names, replicas);
}

async function requireBucket(manager: JetStreamManager, bucket: string): Promise<{ replicas: number }> {
  const info = await streamInfo(manager, bucketStream(bucket));
  if (info === undefined)
    throw new ProvisionError(`There is no bucket ${bucket}: it is made by an administrator, once.`);
  const problems = bucketProblems(bucket, info.config);
  if (problems.length > 0) throw new ProvisionError(`The bucket ${bucket} cannot be used: ${problems.join('; ')}.`);
  return { replicas: info.config.num_replicas };
}

function natsStorage(
  settings: StorageSettings,
  manager: JetStreamManager,
  names: Record<Bucket, string>,
  replicas: number,
): NatsStorage {
  const { connection, log } = settings;
  const writers: Record<Bucket, BucketWriter> = {
    registry: bucketWriter(connection, names.registry, log),
    lease: bucketWriter(connection, names.lease, log),
  };
  /** Revision of the marker of each key of the lease bucket that is deleted. */
  const markers = new Map<string, number>();
  const watches: (() => void)[] = [];
  let committing = false;

  const guard = (call: () => void): void => {
    try {
      call();
    } catch (error) {
      settings.onFatal(new Error('A callback of the storage threw.', { cause: error }));
    }
  };

  return {
    watch(bucket, onEntry, onCaughtUp) {
      const stop = watchBucket({
        ...settings,
        bucket: names[bucket],
        onEntry: (entry) => {
          if (bucket === 'lease' && entry.value === undefined) markers.set(entry.key, entry.revision);
          else if (bucket === 'lease') markers.delete(entry.key);
          onEntry(entry);
        },
        onCaughtUp,
      });
      watches.push(stop);
    },

    compareAndSet(bucket, write, revision, ttlMs, onStored) {
      if (ttlMs !== undefined && !(ttlMs >= SHORTEST_TTL_MS)) throw new RangeError(`a time to live of ${ttlMs} ms`);
      const writer = writers[bucket];
      const set = async (): Promise<Stored> => {
        const first = await writer.write(write, write.key, revision, ttlMs);
        const current = first.current;
        if (current === undefined) return first;
        // To the server a marker is an entry like others. To us a deleted key has none: as long as the marker stands it must be named, and
        // once it is gone, in silence, its revision is still the one that the watch has told.
        const isDeleted =
          revision === 0
            ? await isMarker(manager, names[bucket], current)
            : current === 0 && markers.get(write.key) === revision;
        return isDeleted ? writer.write(write, write.key, current, ttlMs) : first;
      };
      void set().then(({ outcome, revision: stored }) => guard(() => onStored({ outcome, revision: stored })));
    },

    commit(fenceKey, fence, decisions, onStored) {
      if (committing) throw new Error('a commit while another one is in flight');
      const writes = lastOfEachKey(decisions.flat());
      if (writes.length === 0 || writes.length > MAX_BATCH_RECORDS)
        throw new RangeError(`a commit of ${writes.length} records`);
      committing = true;
      // Whether singles may be used: each is then a decision of its own, and what is left of a group that is refused is whole.
      const singly = replicas === 1 && writes.length < FEWEST_BATCHED && decisions.every(({ length }) => length <= 1);
      void write(writers.registry, fenceKey, fence, writes, singly).then((outcome) => {
        committing = false;
        guard(() => onStored(outcome));
      });
    },

    close() {
      for (const stop of watches.splice(0)) stop();
    },
  };
}

async function write(
  writer: BucketWriter,
  fenceKey: string,
  fence: number,
  writes: readonly KeyedWrite[],
  singly: boolean,
): Promise<Stored['outcome']> {
  if (!singly) return (await writer.writeBatch(writes, fenceKey, fence)).outcome;
  const all = await Promise.all(writes.map((single) => writer.write(single, fenceKey, fence, undefined)));
  return commonOutcome(all);
}

/** The server refuses a batch that deletes what it has put before. Nobody sees in between, so what comes last is enough. */
function lastOfEachKey(writes: readonly KeyedWrite[]): KeyedWrite[] {
  const last = new Map<string, KeyedWrite>();
  for (const write of writes) {
    last.delete(write.key);
    last.set(write.key, write);
  }
  return [...last.values()];
}

/** Whether a revision that the server has just named is the marker of a deleted key. What stands at a sequence never changes. */
async function isMarker(manager: JetStreamManager, bucket: string, revision: number): Promise<boolean> {
  const message = await manager.streams.getMessage(bucketStream(bucket), { seq: revision }).catch(() => null);
  return message !== null && isMarkerHeader(message.header);
}

/** What is true of all; where they differ, part of the group is stored, and only the barrier can tell. Rule: REG-2. */
function commonOutcome(all: readonly Written[]): Stored['outcome'] {
  const [first] = all;
  return first !== undefined && all.every(({ outcome }) => outcome === first.outcome) ? first.outcome : 'unknown';
}

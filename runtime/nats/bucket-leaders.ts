/** Which of several NATS servers leads the stream of each bucket, as an administrator of theirs hears it. Rule: UP-12. */
import { jetstreamManager } from '@nats-io/jetstream';
import { leaseBucket, registryBucket, storageInboxPrefix } from '../../protocol/subjects.js';
import { silentLog } from '../log.js';
import { connectNats, type Credentials } from './connection.js';
import { bucketStream } from './provision.js';

export interface BucketLeaders {
  /** Name of the server; `undefined` while there is none. */
  readonly registry: string | undefined;
  readonly lease: string | undefined;
}

/** During an election nobody answers. */
const ASK_MS = 2_000;

export async function bucketLeaders(admin: Credentials, cluster: string, principal: string): Promise<BucketLeaders> {
  const connection = await connectNats({
    ...admin,
    inboxPrefix: storageInboxPrefix(cluster, 'operator', principal),
    name: 'status',
    log: silentLog,
    onFatal: () => undefined,
  });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false, timeout: ASK_MS });
    const leaderOf = (bucket: string): Promise<string | undefined> =>
      manager.streams.info(bucketStream(bucket)).then(
        ({ cluster: group }) => group?.leader,
        () => undefined,
      );
    const [registry, lease] = await Promise.all([leaderOf(registryBucket(cluster)), leaderOf(leaseBucket(cluster))]);
    return { registry, lease };
  } finally {
    await connection.close();
  }
}

/** What the registry of a cluster on this machine holds, read past all masters. */
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { registryBucket } from '../../protocol/subjects.js';
import { silentLog } from '../../runtime/log.js';
import { connectNats, readCredentials } from '../../runtime/nats/connection.js';
import { bucketStream } from '../../runtime/nats/provision.js';
import type { CliFolder } from './cli.js';

/** Last sequence of its stream, and how many entries there are under each subject: any write changes it. */
export async function registryOf(folder: CliFolder, cluster = 'tepui') {
  const credentials = await readCredentials(join(folder.dir, 'credentials', 'admin.json'));
  const connection = await connectNats({
    ...credentials,
    inboxPrefix: '_INBOX_test',
    name: 'test',
    log: silentLog,
    onFatal: () => undefined,
  });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    const { state } = await manager.streams.info(bucketStream(registryBucket(cluster)), { subjects_filter: '>' });
    return { lastSequence: state.last_seq, subjects: state.subjects };
  } finally {
    await connection.close();
  }
}

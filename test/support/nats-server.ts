/** A real nats-server for one test file: own folder, own random port, gone at the end. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateServerBinary, systemServerSearch } from '../../runtime/nats/server-binary.js';
import { writeServerConfig, type ServerUser } from '../../runtime/nats/server-config.js';
import { startServer, type ServerProcess } from '../../runtime/nats/server-process.js';

export interface TestServer extends ServerProcess {
  /** Temporary folder with everything that belongs to the server. */
  folder: string;
  /** Ends the server and removes its folder. To be called in `test.after.always`. */
  remove(): Promise<void>;
}

let binary: Promise<string> | undefined;

/** Path of the nats-server that the tests use, fetched if need be. `NATS_URL` is no matter here: tests never touch a running server. */
export function testServerBinary(): Promise<string> {
  return (binary ??= locate());
}

async function locate(): Promise<string> {
  const lines: string[] = [];
  const found = await locateServerBinary(systemServerSearch((line) => lines.push(line))).catch((error: unknown) => {
    throw new Error(`no nats-server for the tests:\n${lines.join('\n')}`, { cause: error });
  });
  return found.path;
}

/** Starts a server with `users` in the account that has JetStream. Its disk writes are not waited for, unless `syncInterval` says so. */
export async function startTestServer(
  users: readonly ServerUser[],
  options: { syncInterval?: string } = {},
): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tepui-nats-'));
  try {
    const configFile = join(folder, 'nats.conf');
    await writeServerConfig(configFile, {
      serverName: 'test',
      port: -1,
      storeFolder: join(folder, 'store'),
      syncInterval: options.syncInterval ?? '2m',
      users,
      systemUser: { user: 'sys', password: 'sys' },
    });
    const server = await startServer({ binary: await testServerBinary(), configFile, runFolder: join(folder, 'run') });
    const remove = async (): Promise<void> => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    };
    return { ...server, folder, remove };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

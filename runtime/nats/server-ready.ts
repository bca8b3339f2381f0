/** What a running nats-server tells about itself without a login: its address in the ports file, its version in its greeting. */
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

const GREETING_BYTES_MAX = 64 * 1024;

/** The name that a server gives its ports file ends so. */
export function portsFileSuffix(pid: number): string {
  return `_${pid}.ports`;
}

/** The client address of the server `pid`, from the file that it writes when it listens; `undefined` before. */
export async function listeningUrl(runFolder: string, pid: number): Promise<string | undefined> {
  const name = (await readdir(runFolder)).find((entry) => entry.endsWith(portsFileSuffix(pid)));
  if (name === undefined) return undefined;
  try {
    const ports = JSON.parse(await readFile(join(runFolder, name), 'utf8')) as { nats?: unknown };
    const first: unknown = Array.isArray(ports.nats) ? ports.nats[0] : undefined;
    return typeof first === 'string' ? first : undefined;
  } catch {
    // Seen while it is being written, or removed: the caller looks again.
    return undefined;
  }
}

/**
 * Connects as a client would and reads the server's first line, `INFO {json}`: that it comes is what "accepts connections" means.
 * Resolves with the version, as `2.15.1`; rejects with a phrase that says what is wrong.
 */
export function greetedVersion(url: string, timeoutMs: number): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) });
    const fail = (reason: string): void => {
      socket.destroy();
      reject(new Error(reason));
    };
    let text = '';
    socket.setTimeout(timeoutMs, () => fail('it does not greet within the time limit'));
    socket.once('error', (error) => fail(`it cannot be reached: ${error.message}`));
    socket.once('close', () => fail('it closed the connection without a greeting'));
    socket.on('data', (chunk) => {
      text += chunk.toString('utf8');
      const end = text.indexOf('\r\n');
      if (end < 0 && text.length < GREETING_BYTES_MAX) return;
      const version = versionInGreeting(text.slice(0, Math.max(end, 0)));
      if (version === undefined) return fail('it does not greet as a nats-server does');
      resolve(version);
      socket.destroy();
    });
  });
}

function versionInGreeting(line: string): string | undefined {
  if (!line.startsWith('INFO {')) return undefined;
  try {
    const info = JSON.parse(line.slice('INFO '.length)) as { version?: unknown };
    return typeof info.version === 'string' ? info.version : undefined;
  } catch {
    return undefined;
  }
}

/** Stands between clients and a nats-server, and loses single messages on the way: it reads of NATS' protocol what that takes, and no more. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Loss {
  /** Which messages: their subject. */
  readonly subject: RegExp;
  /** From a client to the server, so that nobody gets it; or from the server to one client. */
  readonly way: 'toServer' | 'toClient';
  /** Of those that match, from 1; default the first. */
  readonly nth?: number;
}

export interface NatsProxy {
  /** `nats://127.0.0.1:<port>` */
  readonly url: string;
  /** Loses one message from now on. */
  lose(loss: Loss): Losing;
  close(): Promise<void>;
}

export interface Losing {
  /** Subject of what was lost; `undefined` as long as nothing was. */
  subject(): string | undefined;
  /** It is not to be lost any more. */
  cancel(): void;
}

/** What a stream of NATS' protocol is made of: a control line, and with some a payload of the length that ends the line. */
export class NatsSplitter {
  #rest = Buffer.alloc(0);

  /** Whole pieces, byte for byte; the `subject` of those that are messages. */
  push(chunk: Uint8Array): { bytes: Buffer; subject: string | undefined }[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const pieces: { bytes: Buffer; subject: string | undefined }[] = [];
    for (let from = 0; ;) {
      const lineEnd = this.#rest.indexOf('\r\n', from);
      const words = lineEnd < 0 ? [] : this.#rest.toString('latin1', from, lineEnd).split(/[ \t]+/);
      const isMessage = /^(PUB|HPUB|MSG|HMSG)$/i.test(words[0] ?? '');
      const end = lineEnd + 2 + (isMessage ? Number(words.at(-1)) + 2 : 0);
      if (lineEnd < 0 || end > this.#rest.length) {
        this.#rest = this.#rest.subarray(from);
        return pieces;
      }
      pieces.push({ bytes: this.#rest.subarray(from, end), subject: isMessage ? words[1] : undefined });
      from = end;
    }
  }
}

export async function startNatsProxy(serverUrl: string): Promise<NatsProxy> {
  const { hostname, port } = new URL(serverUrl);
  const losses = new Set<{ loss: Loss; seen: number; lost: string | undefined }>();
  const sockets = new Set<Socket>();

  const isLost = (way: Loss['way'], subject: string): boolean => {
    for (const each of losses) {
      if (each.lost !== undefined || each.loss.way !== way || !each.loss.subject.test(subject)) continue;
      each.seen += 1;
      if (each.seen < (each.loss.nth ?? 1)) continue;
      each.lost = subject;
      return true;
    }
    return false;
  };

  const pass = (from: Socket, to: Socket, way: Loss['way']): void => {
    const splitter = new NatsSplitter();
    sockets.add(from);
    from.on('data', (chunk) => {
      for (const { bytes, subject } of splitter.push(chunk))
        if (subject === undefined || !isLost(way, subject)) to.write(bytes);
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  };

  const listener = createServer((client) => {
    const server = connect({ host: hostname, port: Number(port) });
    client.setNoDelay(true);
    server.setNoDelay(true);
    pass(client, server, 'toServer');
    pass(server, client, 'toClient');
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');

  return {
    url: `nats://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    lose: (loss) => {
      const entry = { loss, seen: 0, lost: undefined as string | undefined };
      losses.add(entry);
      return { subject: () => entry.lost, cancel: () => void losses.delete(entry) };
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

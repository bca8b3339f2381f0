/** Files of a task's sandbox, read through its agent. Rule: RUN-4. */
import { RequestFailed, sandboxOf, type OperatorClient } from '../runtime/client.js';

export type Stream = 'stdout' | 'stderr';

/** Which sandbox, on which agent. */
export interface SandboxPlace {
  /** The agent's principal. */
  readonly agent: string;
  readonly frameworkId: string;
  readonly taskId: string;
  readonly launchId: string;
}

const READ_TIMEOUT_MS = 5_000;
/** An agent that is started again is back within a few seconds. */
const TRIES = 6;
const PAUSE_MS = 500;

/** Follows one file of a sandbox from its beginning, remembering how far it has read. */
export class FileFollower {
  readonly #client: OperatorClient;
  readonly #agent: string;
  readonly #path: string;
  #offset = 0;

  constructor(client: OperatorClient, place: SandboxPlace, stream: Stream) {
    this.#client = client;
    this.#agent = place.agent;
    this.#path = `${sandboxOf(place.frameworkId, place.taskId, place.launchId)}/${stream}`;
  }

  /** How much has been read. */
  get offset(): number {
    return this.#offset;
  }

  /** Reads what is new, piece by piece, up to the end as it is now. A file that is not there is empty. */
  async read(onData: (data: Uint8Array) => void | Promise<void>): Promise<number> {
    let total = 0;
    for (;;) {
      const part = await this.#part();
      if (part === undefined || part.data.length === 0) return total;
      this.#offset += part.data.length;
      total += part.data.length;
      await onData(part.data);
      if (this.#offset >= part.size) return total;
    }
  }

  /** Puts the place to read from `bytes` before the end. */
  async skipToTail(bytes: number): Promise<void> {
    const part = await this.#part(0);
    this.#offset = Math.max(0, (part?.size ?? 0) - bytes);
  }

  async #part(length?: number): Promise<{ size: number; data: Uint8Array } | undefined> {
    const readFile = { path: this.#path, offset: this.#offset, ...(length !== undefined && { length }) };
    for (let tries = 1; ; tries++) {
      try {
        return (await this.#client.askAgent(this.#agent, 'READ_FILE', { readFile }, READ_TIMEOUT_MS)).readFile;
      } catch (error) {
        if (!(error instanceof RequestFailed)) throw error;
        if (error.code === 'UNKNOWN_PATH') return undefined;
        if (!error.retryable || tries === TRIES) throw error;
        await new Promise((fulfil) => setTimeout(fulfil, PAUSE_MS));
      }
    }
  }
}

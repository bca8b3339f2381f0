/**
 * The folder of records and claims of one start of the machine, `<boot id>/` below the agent's runtime folder. It is no task's: a record in a
 * sandbox could be forged, or be a link. Rules: PRC-6, PRC-7, PRC-8.
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { rmSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { formatRecord, parseRecord, type ExitRecord } from './exit-record.js';
import { bootId, type ProcessId } from './process-table.js';

/** One start of a container: a record and, once somebody has decided on it, a claim. */
export interface Attempt {
  /** Of the record, in the folder. */
  readonly file: string;
  readonly record: string;
  readonly claim: string;
}

/** Who may start the container: nobody yet; an agent, so that it never starts; a wrapper, which does; a wrapper that has not said who it is. */
export type Claim = 'none' | 'agent' | 'unsigned' | ProcessId;

const CLAIM = '.claim';
const AGENT = 'agent\n';
const LONGEST_NAME = 180;
const BOOT_ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;
const SECRET = 0o700;

/** A name of a file for an id: the id itself where it is short and harmless. */
export function nameOf(containerId: string): string {
  const isPlain = /^[A-Za-z0-9_-]+$/.test(containerId) && containerId.length <= LONGEST_NAME;
  return isPlain ? containerId : `=${createHash('sha256').update(containerId).digest('hex')}`;
}

/** The folder of this start of the machine; there once {@link openRunFolder} was called, by this life of the agent or an earlier one. */
export const runPath = (runtimeFolder: string): string => {
  const boot = bootId();
  if (boot === '') throw new Error('there is no /proc here, so no process could be found again');
  return join(runtimeFolder, boot);
};

export class RunFolder {
  constructor(readonly path: string) {}

  attempt(file: string): Attempt {
    const record = join(this.path, file);
    return { file, record, claim: record + CLAIM };
  }

  /** All starts that are recorded. */
  attempts(): Attempt[] {
    return readdirSync(this.path)
      .filter((file) => !file.endsWith(CLAIM))
      .map((file) => this.attempt(file));
  }

  /** Makes the record of a new start. @throws when the disk is full, and the container must not start */
  create(containerId: string, sandbox: string): Attempt {
    const name = nameOf(containerId);
    for (let n = 1; ; n++) {
      const attempt = this.attempt(`${name}.${n}`);
      // The claim of an agent stays after its record: who it is meant for may still be asleep.
      if (existsSync(attempt.claim) || existsSync(attempt.record)) continue;
      writeNew(attempt.record, formatRecord({ containerId, sandbox }));
      return attempt;
    }
  }

  read({ record }: Attempt): ExitRecord | undefined {
    try {
      return parseRecord(readFileSync(record));
    } catch {
      return undefined;
    }
  }

  claimOf({ claim }: Attempt): Claim {
    let text: string;
    try {
      text = readFileSync(claim, 'latin1');
    } catch {
      return 'none';
    }
    if (text === AGENT) return 'agent';
    const [, pid, startTicks] = /^(\d+) (\d+)\n$/.exec(text) ?? [];
    return pid === undefined ? 'unsigned' : { pid: Number(pid), startTicks: Number(startTicks) };
  }

  /** Claims a start, so that its wrapper never starts it. Whether that was in time. */
  claimForAgent({ claim }: Attempt): boolean {
    try {
      writeNew(claim, AGENT);
      return true;
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw error;
      return false;
    }
  }

  /**
   * Once nobody asks for it any more. The record first, for without its claim it would look like one that has not started. The claim of an
   * agent stays, unless its wrapper has ended: (1) the agent dies, a wrapper that it forked has not run yet; (2) the next one claims its
   * start and says so; (3) the claim is removed; (4) the wrapper finds none, makes one, and starts.
   */
  remove(attempt: Attempt, wrapperHasEnded: boolean): void {
    remove(attempt.record);
    if (wrapperHasEnded || this.claimOf(attempt) !== 'agent') remove(attempt.claim);
  }
}

/**
 * Opens the folder of this start of the machine. In the first life after the machine was started, what is known of the containers that are
 * still asked for is carried over from older starts, then the older folders are removed. What has no end there is lost, even without a claim,
 * and without a record: none of them is synced, so a power cut may have taken away what it was started by.
 */
export function openRunFolder(
  runtimeFolder: string,
  wanted: readonly { containerId: string; sandbox: string }[],
): RunFolder {
  mkdirSync(runtimeFolder, { recursive: true, mode: SECRET });
  const path = runPath(runtimeFolder);
  const older = readdirSync(runtimeFolder).filter((name) => BOOT_ID.test(name) && join(runtimeFolder, name) !== path);
  if (!existsSync(path)) {
    // Whole or not at all: a later life takes what is not in it for what was never started.
    const unfinished = join(runtimeFolder, 'unfinished');
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { mode: SECRET });
    const folders = older.map((name) => new RunFolder(join(runtimeFolder, name)));
    for (const { containerId, sandbox } of wanted) {
      const carried = verdict(folders, containerId) ?? { containerId, sandbox, end: { lost: 'machine' as const } };
      if (carried === 'neverStarted') continue;
      writeNew(join(unfinished, `${nameOf(containerId)}.1`), formatRecord({ ...carried, carried: true }));
    }
    renameSync(unfinished, path);
  }
  for (const name of older) rmSync(join(runtimeFolder, name), { recursive: true, force: true });
  return new RunFolder(path);
}

/** What older starts of the machine tell of a container for certain. */
function verdict(folders: readonly RunFolder[], containerId: string): ExitRecord | 'neverStarted' | undefined {
  const name = nameOf(containerId);
  let allRefused = false;
  for (const folder of folders) {
    for (const attempt of folder.attempts().filter(({ file }) => file.slice(0, file.lastIndexOf('.')) === name)) {
      const record = folder.read(attempt);
      if (record?.end !== undefined) return record;
      if (folder.claimOf(attempt) !== 'agent') return undefined;
      allRefused = true;
    }
  }
  return allRefused ? 'neverStarted' : undefined;
}

/** @throws EEXIST, also for a link */
function writeNew(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    if (writeSync(file, text) !== Buffer.byteLength(text)) throw new Error(`the disk of ${path} is full`);
  } catch (error) {
    // A claim without a word would be taken for that of a wrapper.
    remove(path);
    throw error;
  } finally {
    closeSync(file);
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error;
  }
}

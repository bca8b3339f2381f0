/**
 * Removes folders that tasks have filled, as root perhaps, without being led elsewhere. Every step is relative to an open folder that was no
 * link when it was opened: (1) we see a folder `a`; (2) another task puts a link to `/etc` in its place; (3) we would empty `/etc`. Rule: POR-30.
 */
import { constants, existsSync } from 'node:fs';
import { lstat, mkdir, open, opendir, readFile, rename, rmdir, unlink, chmod, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Log } from '../ports.js';

/** What is to be removed goes in here at once, by a rename: what is half removed is no sandbox any more, and a later life goes on with it. */
const BIN = '.removed';
const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Deeper ones are moved up first, as each level keeps a folder open. */
const DEEPEST = 32;
const ENTRIES_AT_A_TIME = 64;

/** An open folder, where it can be used by its number it is the folder that was opened, whatever has its name by now. */
interface Opened {
  readonly handle: FileHandle;
  readonly path: string;
  readonly mount: string;
}

export class FolderRemoval {
  readonly #root: string;
  readonly #log: Log;
  /** One at a time: all of them are for one disk. */
  #last: Promise<unknown> = Promise.resolve();
  #names = 0;
  #hasLooked = false;

  /** `root` without links. */
  constructor(root: string, log: Log) {
    this.#root = root;
    this.#log = log;
  }

  /** Whether the folder is gone; segments below the root. Never rejects. */
  remove(segments: readonly string[]): Promise<boolean> {
    const removed = this.#last.then(async () => {
      try {
        await this.#remove(segments);
        return true;
      } catch (error) {
        this.#log.write('warn', 'A sandbox could not be removed', { path: segments.join('/'), error: String(error) });
        return false;
      }
    });
    this.#last = removed;
    return removed;
  }

  async #remove(segments: readonly string[]): Promise<void> {
    const bin = join(this.#root, BIN);
    const source = join(this.#root, ...segments);
    // Folders above a sandbox are the agent's own, so that no task can make a link of one.
    for (let depth = 1; depth < segments.length; depth++) {
      const above = await lstat(join(this.#root, ...segments.slice(0, depth))).catch(ignore('ENOENT'));
      if (above === undefined) return;
      if (!above.isDirectory()) throw new Error('a folder above it is none');
    }
    await mkdir(bin, { mode: 0o700, recursive: true });
    const name = `${process.pid}-${Date.now()}-${++this.#names}`;
    await rename(source, join(bin, name)).catch(ignore('ENOENT'));
    await this.#removeEmpty(segments);
    const opened = await openFolder(bin);
    try {
      if (!this.#hasLooked) await this.#removeLeftovers(opened, name);
      await this.#removeAny(join(opened.path, name), opened);
    } finally {
      await opened.handle.close();
    }
    await rmdir(bin).catch(ignore('ENOTEMPTY'));
  }

  /** Of earlier lives, once: what cannot be removed is in nobody's way. */
  async #removeLeftovers(bin: Opened, except: string): Promise<void> {
    this.#hasLooked = true;
    for await (const { name } of await opendir(bin.path)) {
      if (name === except) continue;
      await this.#removeAny(join(bin.path, name), bin).catch((error: unknown) =>
        this.#log.write('warn', 'Part of a sandbox could not be removed', { name, error: String(error) }),
      );
    }
  }

  /** A folder, a file or a link; there may be none. */
  async #removeAny(path: string, bin: Opened): Promise<void> {
    const status = await lstat(path).catch(ignore('ENOENT'));
    if (status?.isDirectory() === true) await this.#removeFolder(path, bin.mount, undefined, 0);
    else if (status !== undefined) await unlink(path);
  }

  /** The folders above, from the inside to the outside, as long as nothing is in them. */
  async #removeEmpty(segments: readonly string[]): Promise<void> {
    let path = join(this.#root, ...segments);
    for (let depth = 1; depth < segments.length; depth++) {
      path = dirname(path);
      try {
        await rmdir(path);
      } catch {
        return;
      }
    }
  }

  async #empty(folder: Opened, top: Opened, depth: number): Promise<void> {
    // What is removed while a folder is read may hide something else from this reading.
    for (let found = 1; found > 0;) {
      found = 0;
      for await (const entry of await opendir(folder.path, { bufferSize: ENTRIES_AT_A_TIME })) {
        found += 1;
        const path = join(folder.path, entry.name);
        if (entry.isDirectory()) await this.#removeFolder(path, folder.mount, top, depth + 1);
        else await unlink(path).catch(ignore('ENOENT'));
      }
    }
  }

  /** `top` is the outermost that is removed, for what is too deep; `undefined` for that one itself. */
  async #removeFolder(path: string, mount: string, top: Opened | undefined, depth: number): Promise<void> {
    if (top !== undefined && depth > DEEPEST) {
      await rename(path, join(top.path, `.deep-${++this.#names}`));
      return;
    }
    const folder = await openFolder(path);
    try {
      if (folder.mount !== mount) throw new Error('something is mounted in it');
      await this.#empty(folder, top ?? folder, depth);
    } finally {
      await folder.handle.close();
    }
    await rmdir(path).catch(ignore('ENOENT'));
  }
}

async function openFolder(path: string): Promise<Opened> {
  const handle = await open(path, FOLDER_FLAGS).catch(async (error: unknown) => {
    // Only its owner can have closed it against us, and then we are the owner; root is never refused.
    if (codeOf(error) !== 'EACCES') throw error;
    await chmod(path, 0o700);
    return open(path, FOLDER_FLAGS);
  });
  try {
    const { mode, dev } = await handle.stat();
    if ((mode & 0o700) !== 0o700) await handle.chmod(0o700);
    const byNumber = `/proc/self/fd/${handle.fd}`;
    if (!existsSync(byNumber)) return { handle, path, mount: String(dev) };
    const info = await readFile(`/proc/self/fdinfo/${handle.fd}`, 'utf8');
    return { handle, path: byNumber, mount: /^mnt_id:\s*(\d+)/m.exec(info)?.[1] ?? String(dev) };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

const codeOf = (error: unknown): string | undefined => (error as { code?: string } | undefined)?.code;

const ignore =
  (code: string) =>
  (error: unknown): undefined => {
    if (codeOf(error) !== code) throw error;
  };

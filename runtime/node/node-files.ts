/** The Files port on a file system: an agent's sandboxes, which no path and no link leaves. Rules: POR-24, POR-25, POR-29 to POR-31. */
import { constants, mkdirSync, realpathSync } from 'node:fs';
import { lstat, open, readdir, readlink, realpath, statfs, type FileHandle } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { FileStatus, Files, Log } from '../ports.js';
import { FolderRemoval } from './folder-removal.js';

export interface NodeFilesSettings {
  /** Folder that holds all sandboxes; made if need be. */
  readonly sandboxFolder: string;
  readonly log: Log;
}

/** Most bytes of one read, whatever is asked. */
const MOST_READ_BYTES = 1024 * 1024;
/** Most entries of one listing; a folder that has more is cut off there. */
const MOST_LISTED = 10_000;
/** The date of a folder is the latest of its own and of so many files in it, among which are its outputs. */
const MOST_DATED = 100;
/** Opening a pipe without a writer must not wait, and a terminal must not become ours. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

export function nodeFiles(settings: NodeFilesSettings): Files {
  const { sandboxFolder, log } = settings;
  mkdirSync(sandboxFolder, { recursive: true, mode: 0o711 });
  const root = realpathSync(sandboxFolder);
  const removal = new FolderRemoval(root, log);

  return {
    read(path, offset, length, onRead) {
      void contained(readPart(root, path, offset, length), 'read', path, log).then(guarded(log, onRead));
    },

    list(path, onListed) {
      void contained(listFolder(root, path), 'list', path, log).then(guarded(log, onListed));
    },

    folders(pattern, onFound) {
      const found = contained(findFolders(root, segmentsOf(pattern) ?? []), 'list', pattern, log);
      void found.then((folders) => guarded(log, onFound)(folders ?? []));
    },

    remove(path, onRemoved) {
      const segments = segmentsOf(path) ?? [];
      const removed = segments.length === 0 ? Promise.resolve(false) : removal.remove(segments);
      void removed.then(guarded(log, onRemoved));
    },

    usage(onRead) {
      void contained(usedShare(root), 'measure', '', log).then(guarded(log, onRead));
    },
  };
}

async function readPart(
  root: string,
  path: string,
  offset: number,
  length: number,
): Promise<{ size: number; data: Uint8Array } | undefined> {
  const real = await realPathWithin(root, path);
  if (real === undefined) return undefined;
  return withFile(await open(real, READ_FLAGS), async (file) => {
    const status = await file.stat();
    if (!status.isFile() || !(await isStillWithin(root, file))) return undefined;
    const wanted = Math.min(length, MOST_READ_BYTES, Math.max(0, status.size - offset));
    const data = new Uint8Array(wanted);
    let filled = 0;
    while (filled < wanted) {
      const { bytesRead } = await file.read(data, filled, wanted - filled, offset + filled);
      // The file became shorter meanwhile.
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return { size: status.size, data: data.subarray(0, filled) };
  });
}

/** Its files and folders, by name; paths as the folder's was given, with the name behind. */
async function listFolder(root: string, path: string): Promise<FileStatus[] | undefined> {
  const real = await realPathWithin(root, path);
  if (real === undefined) return undefined;
  const names = (await readdir(real)).sort((a, b) => (a < b ? -1 : 1)).slice(0, MOST_LISTED);
  const prefix = segmentsOf(path)?.join('/') ?? '';
  const listed: FileStatus[] = [];
  for (const name of names) {
    // Of a link, the link's own: what it points to may be anywhere.
    const status = await lstat(join(real, name)).catch(() => undefined);
    if (status === undefined) continue;
    listed.push({ path: prefix === '' ? name : `${prefix}/${name}`, size: status.size, mtimeMs: status.mtimeMs });
  }
  return listed;
}

/** One folder after the other: there may be very many, and nothing waits for it. */
async function findFolders(root: string, pattern: readonly string[]): Promise<FileStatus[]> {
  let paths = pattern.length === 0 ? [] : [''];
  for (const segment of pattern) {
    const next: string[] = [];
    for (const path of paths) {
      const entries = await readdir(join(root, path), { withFileTypes: true }).catch(() => []);
      for (const entry of entries)
        if (entry.isDirectory() && (segment === '*' || segment === entry.name)) next.push(join(path, entry.name));
    }
    paths = next;
  }
  const folders: FileStatus[] = [];
  for (const path of paths.sort()) {
    const folder = join(root, path);
    const names = (await readdir(folder).catch(() => [])).slice(0, MOST_DATED);
    const dates = [folder, ...names.map((name) => join(folder, name))].map((file) =>
      lstat(file).catch(() => undefined),
    );
    const mtimeMs = Math.max(0, ...(await Promise.all(dates)).map((status) => status?.mtimeMs ?? 0));
    // Otherwise it is gone by now.
    if (mtimeMs > 0) folders.push({ path, size: 0, mtimeMs });
  }
  return folders;
}

/** As `df` tells it: without what is kept for root, who writes no sandboxes. */
async function usedShare(root: string): Promise<number | undefined> {
  const { blocks, bfree, bavail, files, ffree } = await statfs(root);
  const used = blocks - bfree;
  const ofBytes = used + bavail > 0 ? used / (used + bavail) : undefined;
  const ofEntries = files > 0 ? (files - ffree) / files : 0;
  return ofBytes && Math.max(ofBytes, ofEntries);
}

/** The tokens of a relative path; `undefined` when it says more than which way down. */
function segmentsOf(path: string): string[] | undefined {
  if (path.startsWith('/') || path.includes('\0')) return undefined;
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.');
  return segments.includes('..') ? undefined : segments;
}

async function realPathWithin(root: string, path: string): Promise<string | undefined> {
  const segments = segmentsOf(path);
  if (segments === undefined) return undefined;
  const real = await realpath(join(root, ...segments));
  return isWithin(root, real) ? real : undefined;
}

/**
 * Whether an open file is where it seemed to be: (1) we see that `a/b` is inside; (2) the task puts a link to `/etc` in the place of `a`;
 * (3) we open `a/b`. The kernel knows what was opened.
 */
async function isStillWithin(root: string, file: FileHandle): Promise<boolean> {
  const real = await readlink(`/proc/self/fd/${file.fd}`).catch(() => undefined);
  return real === undefined || isWithin(root, real);
}

const isWithin = (root: string, path: string): boolean =>
  path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);

async function withFile<T>(file: FileHandle, use: (file: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** What a task can bring about (no such file, a link in a circle, no right to read) is no answer, and no news either. */
async function contained<T>(
  work: Promise<T | undefined>,
  what: string,
  path: string,
  log: Log,
): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const usual = ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EACCES', 'ENAMETOOLONG', 'ENXIO'].includes(
      codeOf(error) ?? '',
    );
    if (!usual) log.write('warn', `A sandbox path could not be ${what}`, { path, error: String(error) });
    return undefined;
  }
}

const guarded =
  <T>(log: Log, callback: (value: T) => void) =>
  (value: T): void => {
    try {
      callback(value);
    } catch (error) {
      log.write('error', 'A callback for a file threw', {
        error: error instanceof Error ? error.stack : String(error),
      });
    }
  };

const codeOf = (error: unknown): string | undefined => (error as { code?: string } | undefined)?.code;

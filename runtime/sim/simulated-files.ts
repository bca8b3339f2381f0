/** The sandboxes on one agent's machine, in memory. Rule: SIM-9. */
import type { Files, FileStatus } from '../ports.js';
import type { SeededRandom } from './seeded-random.js';
import type { Incarnation, VirtualClock } from './virtual-clock.js';

interface SandboxFile {
  data: Uint8Array;
  size: number;
  mtimeMs: number;
}

/** How long a read takes. */
export interface FilesPolicy {
  readonly readMs: () => number;
}

export const calmFiles = (random: SeededRandom): FilesPolicy => ({
  readMs: () => random.between(0.05, 0.5),
});

/** The segments of a path below the root; `undefined` for one that is absolute or would leave it. */
function segmentsOf(path: string): string[] | undefined {
  if (path.startsWith('/') || path.includes('\0')) return undefined;
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.');
  return segments.includes('..') ? undefined : segments;
}

/** Outlives the agent's process; each life of it has its {@link port}. */
export class SimulatedFiles {
  readonly #files = new Map<string, SandboxFile>();
  /** How full the disk is said to be, from 0 to 1. */
  usedShare = 0.3;

  constructor(
    readonly clock: VirtualClock,
    readonly random: SeededRandom,
    public policy: FilesPolicy = calmFiles(random),
  ) {}

  port(incarnation: Incarnation): Files {
    return {
      read: (path, offset, length, onRead) => {
        this.#later(incarnation, () => onRead(this.#read(path, offset, length)));
      },
      list: (path, onListed) => {
        this.#later(incarnation, () => onListed(this.#list(path)));
      },
      folders: (pattern, onFound) => {
        this.#later(incarnation, () => onFound(this.#folders(segmentsOf(pattern) ?? [])));
      },
      remove: (path, onRemoved) => {
        if (!incarnation.alive) return;
        // It takes place though the process dies before it hears of it.
        const isGone = this.#remove(segmentsOf(path) ?? []);
        this.#later(incarnation, () => onRemoved(isGone));
      },
      usage: (onRead) => {
        this.#later(incarnation, () => onRead(this.usedShare));
      },
    };
  }

  /** Adds to the end of a sandbox file, as a task does. @throws RangeError for a path that leaves the sandboxes */
  append(path: string, text: string): void {
    const segments = segmentsOf(path);
    if (segments === undefined || segments.length === 0) throw new RangeError(`no path in the sandboxes: ${path}`);
    const bytes = new TextEncoder().encode(text);
    const name = segments.join('/');
    const file = this.#files.get(name) ?? { data: new Uint8Array(0), size: 0, mtimeMs: 0 };
    const size = file.size + bytes.length;
    if (size > file.data.length) {
      const grown = new Uint8Array(size * 2);
      grown.set(file.data.subarray(0, file.size));
      file.data = grown;
    }
    file.data.set(bytes, file.size);
    file.size = size;
    file.mtimeMs = this.clock.now();
    this.#files.set(name, file);
  }

  #folders(pattern: readonly string[]): FileStatus[] {
    const found = new Map<string, number>();
    if (pattern.length === 0) return [];
    for (const [name, { mtimeMs }] of this.#files) {
      const segments = name.split('/');
      if (segments.length <= pattern.length) continue;
      if (!pattern.every((segment, i) => segment === '*' || segment === segments[i])) continue;
      const path = segments.slice(0, pattern.length).join('/');
      found.set(path, Math.max(mtimeMs, found.get(path) ?? 0));
    }
    return [...found].map(([path, mtimeMs]) => ({ path, size: 0, mtimeMs })).sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  #remove(segments: readonly string[]): boolean {
    if (segments.length === 0) return false;
    for (const name of this.#files.keys()) if (name.startsWith(`${segments.join('/')}/`)) this.#files.delete(name);
    return true;
  }

  #later(incarnation: Incarnation, callback: () => void): void {
    if (incarnation.alive) this.clock.schedule(this.clock.now() + this.policy.readMs(), callback, incarnation);
  }

  #read(path: string, offset: number, length: number): { size: number; data: Uint8Array } | undefined {
    const name = segmentsOf(path)?.join('/');
    const file = name === undefined ? undefined : this.#files.get(name);
    if (file === undefined) return undefined;
    return {
      size: file.size,
      data: file.data.slice(Math.min(offset, file.size), Math.min(offset + length, file.size)),
    };
  }

  #list(path: string): FileStatus[] | undefined {
    const segments = segmentsOf(path);
    if (segments === undefined) return undefined;
    const prefix = segments.length === 0 ? '' : `${segments.join('/')}/`;
    const found = new Map<string, FileStatus>();
    for (const [name, { size, mtimeMs }] of this.#files) {
      if (!name.startsWith(prefix)) continue;
      const slash = name.indexOf('/', prefix.length);
      const child = slash < 0 ? name : name.slice(0, slash);
      found.set(child, slash < 0 ? { path: child, size, mtimeMs } : { path: child, size: 0, mtimeMs });
    }
    if (found.size === 0 && prefix !== '') return undefined;
    return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }
}

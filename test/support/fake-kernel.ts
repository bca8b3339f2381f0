/** Control groups as a kernel shows them, in memory: hierarchies of both versions, and processes that die, fork, freeze and hang. */
import type { CgroupFiles } from '../../runtime/node/cgroup-files.js';

export interface FakeProcess {
  readonly pid: number;
  /** Forks each time that somebody looks at its groups while it may run. */
  readonly forks: boolean;
  /** Does not die of SIGKILL. */
  readonly hangs: boolean;
  /** Was sent SIGKILL while it was frozen. */
  doomed: boolean;
}

export interface FakeMachine {
  /** Controllers of each hierarchy of version 1. */
  readonly v1?: readonly (readonly string[])[];
  /** Controllers of version 2. */
  readonly v2?: readonly string[];
  /** The agent's own group in all of them. */
  readonly own?: string;
  /** Paths below which nothing can be made, or written, and why. */
  readonly refused?: Readonly<Record<string, string>>;
  /** Paths below which no process can be put. */
  readonly closed?: readonly string[];
  /** Files that this kernel is too old for. */
  readonly without?: readonly string[];
  /** Controllers that version 2 hands down at the top already. */
  readonly handedDown?: readonly string[];
}

interface Top {
  readonly path: string;
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
}

const V1_FILES: Record<string, Record<string, string>> = {
  memory: {
    'memory.limit_in_bytes': '9223372036854771712',
    'memory.memsw.limit_in_bytes': '9223372036854771712',
    'memory.max_usage_in_bytes': '0',
    'memory.failcnt': '0',
    'memory.memsw.failcnt': '0',
    'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 0\n',
    'memory.use_hierarchy': '1',
  },
  cpu: { 'cpu.shares': '1024', 'cpu.cfs_period_us': '100000', 'cpu.cfs_quota_us': '-1' },
  pids: { 'pids.max': 'max' },
  freezer: { 'freezer.state': 'THAWED' },
};
const V2_FILES: Record<string, Record<string, string>> = {
  memory: {
    'memory.max': 'max',
    'memory.swap.max': 'max',
    'memory.oom.group': '0',
    'memory.peak': '0',
    'memory.events': 'low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n',
  },
  cpu: { 'cpu.weight': '100', 'cpu.max': 'max 100000' },
  pids: { 'pids.max': 'max' },
};

export class FakeKernel implements CgroupFiles {
  readonly #machine: FakeMachine;
  readonly #groups = new Map<string, Map<string, string>>();
  /** Of each process, its groups. */
  readonly #processes = new Map<FakeProcess, Set<string>>();
  readonly #tops: Top[] = [];
  #pids = 1_000;
  /** Every signal, in order. */
  readonly signals: [pid: number, signal: string][] = [];
  /** Every value written to a file, in order. */
  readonly writes: [path: string, text: string][] = [];

  constructor(machine: FakeMachine) {
    this.#machine = machine;
    for (const controllers of machine.v1 ?? [])
      this.#tops.push({ path: `/sys/fs/cgroup/${controllers.join(',')}`, version: 1, controllers });
    if (machine.v2 !== undefined)
      this.#tops.push({ path: '/sys/fs/cgroup/uni fied', version: 2, controllers: machine.v2 });
    for (const top of this.#tops) {
      this.#groups.set(top.path, this.#newFiles(top.path));
      let path = top.path;
      for (const name of (machine.own ?? '').split('/').filter((part) => part !== '')) {
        path += `/${name}`;
        this.#groups.set(path, this.#newFiles(path));
      }
    }
  }

  /** All groups that somebody made. */
  get groups(): string[] {
    return [...this.#groups.keys()].filter((path) => !this.#tops.some((top) => top.path === path));
  }

  get pids(): number[] {
    return [...this.#processes.keys()].map(({ pid }) => pid);
  }

  /** A process of these groups, or of the groups whose `cgroup.procs` are given. */
  start(groups: readonly string[], more: Partial<FakeProcess> = {}): FakeProcess {
    const process = { pid: ++this.#pids, forks: false, hangs: false, doomed: false, ...more };
    this.#processes.set(process, new Set(groups.map((path) => path.replace(/\/cgroup\.procs$/, ''))));
    return process;
  }

  end(process: FakeProcess): void {
    this.#processes.delete(process);
  }

  /** As the kernel itself writes. */
  set(path: string, text: string): void {
    const [group, file] = split(path);
    this.#groups.get(group)?.set(file, text);
  }

  read(path: string): string | undefined {
    const own = this.#machine.own ?? '/';
    if (path === '/proc/self/mountinfo')
      return `21 1 8:1 / / rw - ext4 /dev/root rw\n${this.#tops
        .map(({ path: at, version, controllers }) =>
          version === 2
            ? `30 21 0:26 / ${at.replace(' ', '\\040')} rw,nosuid shared:9 - cgroup2 cgroup2 rw\n`
            : `31 21 0:27 / ${at} rw,nosuid - cgroup cgroup rw,${controllers.join(',')}\n`,
        )
        .join('')}`;
    if (path === '/proc/self/cgroup')
      return this.#tops.map(({ version, controllers }, i) => `${i}:${version === 2 ? '' : controllers.join(',')}:${own}\n`).join(''); // prettier-ignore
    const [group, file] = split(path);
    if (file === 'cgroup.procs' && this.#groups.has(group)) return this.#list(group);
    return this.#groups.get(group)?.get(file);
  }

  write(path: string, text: string): void {
    this.#refuse(path);
    const [group, file] = split(path);
    const files = this.#groups.get(group);
    if (files?.has(file) !== true) throw failure('ENOENT', path);
    this.writes.push([path, text]);
    if (file === 'cgroup.subtree_control') {
      const controller = text.slice(1);
      if (files.get('cgroup.controllers')?.split(' ').includes(controller) !== true) throw failure('ENOENT', path);
      if (this.#machine.own === group.slice(this.#topOf(group).path.length)) throw failure('EBUSY', path);
      files.set(file, `${files.get(file) ?? ''} ${controller}`.trim());
    } else files.set(file, text);
    if (file === 'cgroup.kill') for (const process of this.#within(group)) this.#kill(process);
    this.#reap();
  }

  make(path: string): boolean {
    if (this.#groups.has(path)) return false;
    this.#refuse(path);
    if (!this.#groups.has(split(path)[0])) throw failure('ENOENT', path);
    this.#groups.set(path, this.#newFiles(path));
    return true;
  }

  remove(path: string): void {
    if (!this.#groups.has(path)) throw failure('ENOENT', path);
    if (this.folders(path).length > 0 || this.#within(path).length > 0) throw failure('EBUSY', path);
    this.#groups.delete(path);
  }

  folders(path: string): string[] {
    return [...this.#groups.keys()].flatMap((group) => {
      const [above, name] = split(group);
      return above === path ? [name] : [];
    });
  }

  whyNotJoin(path: string): string | undefined {
    return this.#machine.closed?.some((prefix) => path.startsWith(prefix)) === true ? 'Permission denied' : undefined;
  }

  signal(pid: number, signal: NodeJS.Signals): void {
    this.signals.push([pid, signal]);
    for (const process of this.#processes.keys()) if (process.pid === pid && signal === 'SIGKILL') this.#kill(process);
    this.#reap();
  }

  #kill(process: FakeProcess): void {
    process.doomed = !process.hangs;
  }

  /** Of version 1 the frozen do not die before they are thawed. */
  #reap(): void {
    for (const [process, groups] of this.#processes)
      if (process.doomed && ![...groups].some((group) => this.#isFrozen(group, 1))) this.#processes.delete(process);
  }

  #list(group: string): string {
    for (const process of this.#within(group)) {
      const groups = [...(this.#processes.get(process) ?? [])];
      const mayRun = !process.doomed && !groups.some((one) => this.#isFrozen(one));
      const mayFork = !groups.some((one) => this.#groups.get(one)?.get('pids.max') === '0');
      if (process.forks && mayRun && mayFork) this.start(groups, { forks: true });
    }
    const own = [...this.#processes].filter(([, groups]) => groups.has(group));
    return own.map(([{ pid }]) => `${pid}\n`).join('');
  }

  #within(group: string): FakeProcess[] {
    return [...this.#processes].flatMap(([process, groups]) =>
      [...groups].some((one) => one === group || one.startsWith(`${group}/`)) ? [process] : [],
    );
  }

  #isFrozen(group: string, version?: 1): boolean {
    for (let path = group; this.#groups.has(path); [path] = split(path)) {
      const files = this.#groups.get(path);
      if (files?.get('freezer.state') === 'FROZEN') return true;
      if (version === undefined && files?.get('cgroup.freeze') === '1') return true;
    }
    return false;
  }

  #topOf(path: string): Top {
    const top = this.#tops.find((one) => path === one.path || path.startsWith(`${one.path}/`));
    if (top === undefined) throw failure('EROFS', path);
    return top;
  }

  #newFiles(path: string): Map<string, string> {
    const top = this.#topOf(path);
    const [above] = split(path);
    const given = path === top.path ? undefined : this.#groups.get(above)?.get('cgroup.subtree_control');
    const controllers = top.version === 1 || path === top.path ? top.controllers : (given ?? '').split(' ');
    const files: Record<string, string> = { 'cgroup.procs': '' };
    if (top.version === 2) {
      const handedDown = path === top.path ? (this.#machine.handedDown ?? []) : [];
      Object.assign(files, {
        'cgroup.controllers': controllers.join(' '),
        'cgroup.subtree_control': handedDown.join(' '),
      });
      if (path !== top.path) Object.assign(files, { 'cgroup.kill': '', 'cgroup.freeze': '0' });
    }
    for (const controller of controllers)
      if (path !== top.path) Object.assign(files, (top.version === 1 ? V1_FILES : V2_FILES)[controller]);
    const without = this.#machine.without ?? [];
    return new Map(Object.entries(files).filter(([file]) => !without.includes(file)));
  }

  #refuse(path: string): void {
    for (const [prefix, code] of Object.entries(this.#machine.refused ?? {}))
      if (path.startsWith(prefix)) throw failure(code, path);
  }
}

const split = (path: string): [above: string, name: string] => {
  const at = path.lastIndexOf('/');
  return [path.slice(0, at), path.slice(at + 1)];
};

const failure = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code });

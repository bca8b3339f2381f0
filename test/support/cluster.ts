/** A real cluster for end-to-end tests: a nats-server, masters and agents as processes of their own, gone at the end. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AgentView } from '../../protocol/operator-api.js';
import type { Timings } from '../../protocol/limits.js';
import {
  executorPermissions,
  executorPrincipal,
  permissionsOf,
  storeUserPermissions,
  type Permissions,
  type Role,
} from '../../protocol/subjects.js';
import { OperatorClient } from '../../runtime/client.js';
import { silentLog } from '../../runtime/log.js';
import type { ProcessConfig } from '../../runtime/main.js';
import { connectNats, type Credentials } from '../../runtime/nats/connection.js';
import { createObjectBucket, provision } from '../../runtime/nats/provision.js';
import type { ServerUser } from '../../runtime/nats/server-config.js';
import { openIsolator } from '../../runtime/node/cgroups.js';
import { endRecorded } from '../../runtime/node/node-processes.js';
import { DEFAULT_TASK_USER, findUser } from '../../runtime/node/task-user.js';
import { END_TASKS_SIGNAL } from '../../runtime/process-config.js';
import { connectWorld } from '../../runtime/world.js';
import { startTestServer } from './nats-server.js';

export interface TestClusterOptions {
  readonly masters: number;
  readonly agents: number;
  readonly timings?: Partial<Timings>;
  /** In Mesos' text form. Default `cpus:1;mem:512`. */
  readonly resourcesPerAgent?: string;
  /** Principals of schedulers; each may use an object store bucket of its own name, and so may the user `<principal>-tasks`. */
  readonly schedulers?: readonly string[];
}

export interface TestCluster {
  readonly cluster: string;
  readonly url: string;
  /** Temporary folder with logs, configurations and the agents' work directories. */
  readonly dir: string;
  /** Asks masters and agents, as `op`. */
  readonly operator: OperatorClient;
  /** Pids of the masters `m1`… and agents `a1`… that run. */
  readonly pids: ReadonlyMap<string, number>;
  credentials(principal: string): Credentials;
  credentialsFile(principal: string): string;
  workDir(agent: string): string;
  /** Name of the master that leads; waits for one. */
  leader(): Promise<string>;
  /** Waits until so many agents are registered with the leader. */
  untilAgents(count: number, timeoutMs?: number): Promise<readonly AgentView[]>;
  /** Starts a master or agent again that has ended. */
  start(name: string): void;
  /** Ends one process; resolves when it is gone. */
  kill(name: string, signal?: NodeJS.Signals): Promise<void>;
  /** The end of a process's log, for a test that fails. */
  logTail(name: string, lines?: number): Promise<string>;
  /** Ends everything that was started and removes the folder. To be called in `test.after.always`. */
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL('../../runtime/main.js', import.meta.url));
const CLUSTER = 'tepui';
const OPERATOR = 'op';
const ROOT = 'root';
const READY_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 8_000;
const POLL_MS = 50;

/** Resolves when all agents are registered. What was started by then is ended when that fails. */
export async function startTestCluster(options: TestClusterOptions): Promise<TestCluster> {
  const { masters, agents, schedulers = [], resourcesPerAgent = 'cpus:1;mem:512', timings } = options;
  const names = (letter: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
  const [masterNames, agentNames] = [names('m', masters), names('a', agents)];
  const users = usersOf(masterNames, agentNames, schedulers);
  const server = await startTestServer(users);
  const dir = await mkdtemp(join(tmpdir(), 'tepui-cluster-'));
  // The user of the tasks passes through it.
  await chmod(dir, 0o711);
  const file = (name: string): string => join(dir, name);
  const credentials = (principal: string): Credentials => ({
    url: server.url,
    user: principal,
    password: passwordOf(principal),
  });
  const workDir = (agent: string): string => file(agent);
  const running = new Processes(dir);
  try {
    await prepare(credentials(ROOT), schedulers);
    for (const { user } of users) await writeJson(file(`${user}.credentials`), credentials(user));
    // Agents run as root give tasks that name no user one of their own.
    if (process.getuid?.() === 0) {
      const { uid, gid } = findUser(DEFAULT_TASK_USER);
      for (const name of schedulers) await chown(file(`${name}-tasks.credentials`), uid, gid);
    }
    const common = { cluster: CLUSTER, ...(timings && { timings }) };
    const configOf = (role: 'master' | 'agent', name: string): ProcessConfig => ({
      ...common,
      role,
      name,
      credentials: file(`${name}.credentials`),
      ...(role === 'agent' && {
        workDir: workDir(name),
        resources: resourcesPerAgent,
        attributes: `name:${name}`,
        executors: { principal: executorPrincipal(name), credentials: file(`${executorPrincipal(name)}.credentials`) },
      }),
    });
    for (const name of masterNames) await writeJson(file(`${name}.json`), configOf('master', name));
    for (const name of agentNames) await writeJson(file(`${name}.json`), configOf('agent', name));
    for (const name of [...masterNames, ...agentNames]) running.start(name);
    const world = await connectWorld({
      credentials: credentials(OPERATOR),
      cluster: CLUSTER,
      role: 'operator',
      principal: OPERATOR,
      log: silentLog,
      onFatal: () => {},
    });
    const operator = new OperatorClient(world.ports, CLUSTER, OPERATOR);
    const cluster: TestCluster = {
      cluster: CLUSTER,
      url: server.url,
      dir,
      operator,
      pids: running.pids,
      credentials,
      credentialsFile: (principal) => file(`${principal}.credentials`),
      workDir,
      leader: () => eventually('a leader', READY_TIMEOUT_MS, async () => (await operator.leader())?.name),
      untilAgents: (count, timeoutMs = READY_TIMEOUT_MS) =>
        eventually(`${count} registered agents`, timeoutMs, () => registeredAgents(operator, count)),
      start: (name) => running.start(name),
      kill: (name, signal = 'SIGKILL') => running.kill(name, signal),
      logTail: (name, lines = 20) => running.logTail(name, lines),
      stop: async () => {
        await world.close();
        await running.stop();
        await server.remove();
        await rm(dir, { recursive: true, force: true });
      },
    };
    await cluster.untilAgents(agents);
    return cluster;
  } catch (error) {
    const tails = await Promise.all([...running.pids.keys()].map((name) => running.logTail(name, 5)));
    await running.stop();
    await server.remove();
    throw new Error(`the test cluster did not come up; its logs end with:\n${tails.join('\n')}`, { cause: error });
  }
}

/** Asks again and again until there is an answer. Rejects when the time is up, with the last error. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  ask: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  do {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      cause = error;
    }
    await new Promise((fulfil) => setTimeout(fulfil, POLL_MS));
  } while (performance.now() < deadline);
  throw new Error(`${what}: not within ${timeoutMs / 1000} s`, { cause });
}

async function registeredAgents(operator: OperatorClient, count: number): Promise<readonly AgentView[] | undefined> {
  const { agents } = await operator.askAll('GET_AGENTS', {}, 1_000);
  const active = agents.filter((agent) => agent.active);
  return active.length >= count ? active : undefined;
}

/** Recognisable, so that a test can look for secrets where none may be. */
export const passwordOf = (principal: string): string => `secret-of-${principal}`;

function usersOf(masters: readonly string[], agents: readonly string[], schedulers: readonly string[]): ServerUser[] {
  const user = (name: string, ...all: Permissions[]): ServerUser => ({
    user: name,
    password: passwordOf(name),
    permissions: {
      publish: all.flatMap(({ publish }) => publish),
      subscribe: all.flatMap(({ subscribe }) => subscribe),
    },
  });
  const as = (role: Role, name: string): ServerUser => user(name, permissionsOf(CLUSTER, role, name));
  return [
    user(ROOT, { publish: ['>'], subscribe: ['>'] }),
    as('operator', OPERATOR),
    ...masters.map((name) => as('master', name)),
    ...agents.map((name) => as('agent', name)),
    ...agents.map((name) => user(executorPrincipal(name), executorPermissions(CLUSTER, name))),
    ...schedulers.flatMap((name) => [
      user(name, permissionsOf(CLUSTER, 'scheduler', name), storeUserPermissions(CLUSTER, name, name)),
      user(`${name}-tasks`, storeUserPermissions(CLUSTER, name, `${name}-tasks`)),
    ]),
  ];
}

async function prepare(root: Credentials, buckets: readonly string[]): Promise<void> {
  const settings = { ...root, inboxPrefix: '_INBOX_root', name: ROOT, log: silentLog, onFatal: () => {} };
  const administrator = await connectNats(settings);
  await provision(administrator, CLUSTER, { replicas: 1 });
  for (const bucket of buckets) await createObjectBucket(administrator, bucket);
  await administrator.close();
}

const writeJson = (path: string, value: unknown): Promise<void> =>
  writeFile(path, JSON.stringify(value), { mode: 0o600 });

/** The processes of one cluster: `main.js <dir>/<name>.json`, with a log beside it. */
class Processes {
  readonly pids = new Map<string, number>();
  readonly #children = new Map<string, ChildProcess>();
  readonly #dir: string;
  /** Those that were ever started: what one that was killed has left running is ended with the rest. */
  readonly #agents = new Set<string>();

  constructor(dir: string) {
    this.#dir = dir;
    // Not even a test that crashes leaves processes behind.
    process.once('exit', this.#killAll);
  }

  start(name: string): void {
    if (this.pids.has(name)) throw new Error(`${name} runs already`);
    const log = openSync(this.#logFile(name), 'a');
    const child = spawn(process.execPath, [MAIN, join(this.#dir, `${name}.json`)], { stdio: ['ignore', log, log] });
    closeSync(log);
    if (child.pid === undefined) throw new Error(`${name} did not start`);
    this.pids.set(name, child.pid);
    this.#children.set(name, child);
    if (name.startsWith('a')) this.#agents.add(name);
    child.once('exit', () => {
      if (this.#children.get(name) !== child) return;
      this.pids.delete(name);
      this.#children.delete(name);
    });
  }

  async kill(name: string, signal: NodeJS.Signals): Promise<void> {
    const child = this.#children.get(name);
    if (child === undefined) return;
    const gone = new Promise((fulfil) => child.once('exit', fulfil));
    child.kill(signal);
    await gone;
  }

  async stop(): Promise<void> {
    const force = setTimeout(this.#killAll, STOP_TIMEOUT_MS);
    // Agents first: a master that is there takes their goodbye.
    const [agents, masters] = [true, false].map((first) =>
      [...this.pids.keys()].filter((name) => name.startsWith('a') === first),
    );
    await Promise.all((agents ?? []).map((name) => this.kill(name, END_TASKS_SIGNAL)));
    await Promise.all((masters ?? []).map((name) => this.kill(name, 'SIGTERM')));
    clearTimeout(force);
    await Promise.all([...this.#agents].map((name) => this.#endContainers(name)));
    process.removeListener('exit', this.#killAll);
  }

  async logTail(name: string, lines: number): Promise<string> {
    const text = await readFile(this.#logFile(name), 'utf8').catch(() => '');
    return text.trimEnd().split('\n').slice(-lines).join('\n');
  }

  async #endContainers(agent: string): Promise<void> {
    const runtimeFolder = join(this.#dir, agent, 'run');
    if (!existsSync(runtimeFolder)) return;
    await endRecorded({
      runtimeFolder,
      log: silentLog,
      isolator: openIsolator({ agent, runtimeFolder, log: silentLog }),
    });
  }

  #logFile(name: string): string {
    return join(this.#dir, `${name}.log`);
  }

  readonly #killAll = (): void => {
    for (const child of this.#children.values()) child.kill('SIGKILL');
  };
}

/** Where a cluster of one machine keeps its files: all below one folder. Rule: UP-2. */
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ClusterLayout {
  /** Absolute, without links. */
  readonly dir: string;
  /** What runs, and as what; there while the cluster is up. */
  readonly stateFile: string;
  readonly lockFile: string;
  /** `{url, user, password}` by principal. */
  readonly credentials: string;
  /** Configurations of the processes, by name. */
  readonly processes: string;
  readonly logs: string;
  /** Work directories of the agents, by name. */
  readonly agents: string;
  /** A folder for each NATS server, see {@link natsFiles}. */
  readonly nats: string;
}

/** Where one NATS server keeps its files. */
export interface NatsFiles {
  /** `n1`, `n2`, ... */
  readonly name: string;
  readonly configFile: string;
  readonly run: string;
  readonly store: string;
}

/** One, or as many as can lose one. */
export const MOST_NATS_SERVERS = 3;

/** Folders that tasks of other users pass through on their way to their sandboxes. */
const PASSAGE_MODE = 0o711;
const SECRET_MODE = 0o700;

export function clusterLayout(dir: string): ClusterLayout {
  return {
    dir,
    stateFile: join(dir, 'cluster.json'),
    lockFile: join(dir, 'lock'),
    credentials: join(dir, 'credentials'),
    processes: join(dir, 'processes'),
    logs: join(dir, 'log'),
    agents: join(dir, 'agents'),
    nats: join(dir, 'nats'),
  };
}

/** Makes the folders, each for those who need it. Git is told to pass the whole of it over. */
export function makeFolders(dir: string): ClusterLayout {
  mkdirSync(dir, { recursive: true, mode: PASSAGE_MODE });
  const layout = clusterLayout(realpathSync(dir));
  for (const folder of [layout.credentials, layout.processes, layout.logs, layout.nats])
    mkdirSync(folder, { recursive: true, mode: SECRET_MODE });
  mkdirSync(layout.agents, { recursive: true, mode: PASSAGE_MODE });
  writeFileSync(join(layout.dir, '.gitignore'), '*\n');
  return layout;
}

/** Files of the servers `n1` to `n<servers>`. */
export const natsFiles = ({ nats }: ClusterLayout, servers: number): NatsFiles[] =>
  Array.from({ length: servers }, (_, i) => {
    const name = `n${i + 1}`;
    const own = (file: string): string => join(nats, name, file);
    return { name, configFile: own('nats.conf'), run: own('run'), store: own('store') };
  });

/** How many NATS servers keep what is stored in this folder; `undefined` when nothing is yet. One of three may have lost its store. */
export function storedServers(layout: ClusterLayout): number | undefined {
  const [first, ...others] = natsFiles(layout, MOST_NATS_SERVERS);
  if (others.some(({ configFile }) => existsSync(configFile))) return MOST_NATS_SERVERS;
  return first !== undefined && existsSync(first.store) ? 1 : undefined;
}

export const credentialsFile = ({ credentials }: ClusterLayout, principal: string): string =>
  join(credentials, `${principal}.json`);
export const processFile = ({ processes }: ClusterLayout, name: string): string => join(processes, `${name}.json`);
export const logFile = ({ logs }: ClusterLayout, name: string): string => join(logs, `${name}.log`);
export const workFolder = ({ agents }: ClusterLayout, name: string): string => join(agents, name);

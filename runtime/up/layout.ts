/** Where a cluster of one machine keeps its files: all below one folder. Rule: UP-2. */
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs';
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
  readonly nats: { readonly configFile: string; readonly run: string; readonly store: string };
}

/** Folders that tasks of other users pass through on their way to their sandboxes. */
const PASSAGE_MODE = 0o711;
const SECRET_MODE = 0o700;

export function clusterLayout(dir: string): ClusterLayout {
  const nats = join(dir, 'nats');
  return {
    dir,
    stateFile: join(dir, 'cluster.json'),
    lockFile: join(dir, 'lock'),
    credentials: join(dir, 'credentials'),
    processes: join(dir, 'processes'),
    logs: join(dir, 'log'),
    agents: join(dir, 'agents'),
    nats: { configFile: join(nats, 'nats.conf'), run: join(nats, 'run'), store: join(nats, 'store') },
  };
}

/** Makes the folders, each for those who need it. Git is told to pass the whole of it over. */
export function makeFolders(dir: string): ClusterLayout {
  mkdirSync(dir, { recursive: true, mode: PASSAGE_MODE });
  const layout = clusterLayout(realpathSync(dir));
  for (const folder of [layout.credentials, layout.processes, layout.logs, join(layout.dir, 'nats')])
    mkdirSync(folder, { recursive: true, mode: SECRET_MODE });
  mkdirSync(layout.agents, { recursive: true, mode: PASSAGE_MODE });
  writeFileSync(join(layout.dir, '.gitignore'), '*\n');
  return layout;
}

export const credentialsFile = ({ credentials }: ClusterLayout, principal: string): string =>
  join(credentials, `${principal}.json`);
export const processFile = ({ processes }: ClusterLayout, name: string): string => join(processes, `${name}.json`);
export const logFile = ({ logs }: ClusterLayout, name: string): string => join(logs, `${name}.log`);
export const workFolder = ({ agents }: ClusterLayout, name: string): string => join(agents, name);

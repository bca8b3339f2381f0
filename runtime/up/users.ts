/** The NATS users of a cluster: who may say what, from the subject table. Rules: UP-6, PRO-7. */
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import {
  executorPermissions,
  executorPrincipal,
  permissionsOf,
  storeUserPermissions,
  type Permissions,
} from '../../protocol/subjects.js';
import type { Credentials } from '../nats/connection.js';
import type { User } from '../node/task-user.js';
import type { ServerUser } from '../nats/server-config.js';
import { credentialsFile, type ClusterLayout } from './layout.js';

/** Bucket of the word count and name of its principal. */
export const WORD_COUNT = 'wordcount';
export const WORD_COUNT_TASKS = 'wordcount-tasks';

export const ADMIN = 'admin';
export const OPERATOR = 'operator';
export const RUN = 'run';
export const TAP = 'tap';

/** Everybody who has credentials of their own, with what they may do. */
export function clusterUsers(cluster: string, masters: readonly string[], agents: readonly string[]): ServerUser[] {
  const user = (name: string, ...all: Permissions[]): ServerUser => ({
    user: name,
    password: randomBytes(24).toString('hex'),
    permissions: {
      publish: all.flatMap(({ publish }) => publish),
      subscribe: all.flatMap(({ subscribe }) => subscribe),
    },
  });
  const store = (name: string): Permissions => storeUserPermissions(cluster, WORD_COUNT, name);
  return [
    ...masters.map((name) => user(name, permissionsOf(cluster, 'master', name))),
    ...agents.map((name) => user(name, permissionsOf(cluster, 'agent', name))),
    ...agents.map((name) => user(executorPrincipal(name), executorPermissions(cluster, name))),
    user(OPERATOR, permissionsOf(cluster, 'operator', OPERATOR)),
    user(RUN, permissionsOf(cluster, 'scheduler', RUN)),
    user(WORD_COUNT, permissionsOf(cluster, 'scheduler', WORD_COUNT), store(WORD_COUNT)),
    user(WORD_COUNT_TASKS, store(WORD_COUNT_TASKS)),
    user(TAP, { publish: [], subscribe: [`${cluster}.>`] }),
    user(ADMIN, { publish: ['>'], subscribe: ['>'] }),
  ];
}

/** Names of all users, for a server whose users are not ours: there everybody has the same login. */
export const userNames = (masters: readonly string[], agents: readonly string[]): string[] =>
  clusterUsers('tepui', masters, agents).map(({ user }) => user);

/**
 * Puts each principal's credentials where commands and processes look for them, for this user alone; those of the tasks for the tasks' user,
 * who may pass through the folder then, and neither list it nor read another file. Rule: UP-6.
 */
export function writeCredentials(
  layout: ClusterLayout,
  credentials: ReadonlyMap<string, Credentials>,
  taskUser?: User,
): void {
  mkdirSync(layout.credentials, { recursive: true, mode: 0o700 });
  chmodSync(layout.credentials, taskUser === undefined ? 0o700 : 0o711);
  for (const [principal, { url, user, password }] of credentials) {
    const path = credentialsFile(layout, principal);
    const unfinished = `${path}.tmp`;
    rmSync(unfinished, { force: true });
    writeFileSync(unfinished, `${JSON.stringify({ url, user, password })}\n`, { mode: 0o600, flag: 'wx' });
    if (principal === WORD_COUNT_TASKS && taskUser !== undefined) chownSync(unfinished, taskUser.uid, taskUser.gid);
    renameSync(unfinished, path);
  }
}

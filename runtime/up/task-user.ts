/** As whom the tasks of a cluster run that was brought up by root. Rules: UP-13, PRC-10. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_TASK_USER, findUser, type User } from '../node/task-user.js';
import type { ClusterLayout } from './layout.js';

/** What tasks of this package run: its programs and those that it depends on. */
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));

export interface TaskUser {
  readonly name: string;
  /** Where it is not us. */
  readonly user: User | undefined;
}

/**
 * `undefined`: we are not root, and tasks have our own user. Else `nobody`, if it can come to its sandbox, to Node and to this package; or
 * root, and it is said why: a cluster in a folder that is root's alone could run nothing.
 */
export function chooseTaskUser(layout: ClusterLayout, report: (line: string) => void): TaskUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const name = DEFAULT_TASK_USER;
  const asRoot = (why: string): TaskUser => {
    report(`warning: tasks run as root, since ${why}`);
    return { name: 'root', user: undefined };
  };
  let user: User;
  try {
    user = findUser(name);
  } catch {
    return asRoot(`there is no user ${name} on this machine`);
  }
  for (const path of [layout.agents, dirname(process.execPath), PACKAGE]) {
    const closed = closedFolder(path, user);
    if (closed !== undefined) return asRoot(`${name} may not pass through ${closed}`);
  }
  return { name, user };
}

/** The first folder on the way to `path`, that included, which the user may not pass through. */
function closedFolder(path: string, { uid, gid }: User): string | undefined {
  const parent = dirname(path);
  const above = parent === path ? undefined : closedFolder(parent, { uid, gid });
  if (above !== undefined) return above;
  const status = statSync(path);
  const bit = status.uid === uid ? 0o100 : status.gid === gid ? 0o010 : 0o001;
  return (status.mode & bit) === 0 ? path : undefined;
}

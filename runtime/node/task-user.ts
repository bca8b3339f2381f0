/** As whom a container runs. Rule: PRC-10. */
import { readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';

/** The user that a container is started as, where that is not our own. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Of an agent that runs as root, for tasks that name no user. */
export const DEFAULT_TASK_USER = 'nobody';

/**
 * An agent run as root starts a task as the user that it names, or else as `taskUser`; as root only where `taskUser` is root, since whoever
 * may launch tasks would else have the machine. Another agent has only its own user. `undefined`: our own user.
 * @throws RangeError when the user is unknown, or may not be had
 */
export function userOf(name: string | undefined, taskUser: string): User | undefined {
  if (process.getuid?.() !== 0) {
    if (name === undefined || name === userInfo().username) return undefined;
    throw new RangeError(`only an agent run as root can start a task as ${JSON.stringify(name)}`);
  }
  const user = findUser(name ?? taskUser);
  if (user.uid !== 0) return user;
  if (findUser(taskUser).uid === 0) return undefined;
  throw new RangeError(`tasks may not run as root here: that takes an agent whose "taskUser" is root`);
}

const USERS = '/etc/passwd';
/** As it was when it was read last. */
let users: { version: string; lines: readonly string[] } = { version: '', lines: [] };

function userLines(): readonly string[] {
  const { ino, size, mtimeMs, ctimeMs } = statSync(USERS);
  const version = [ino, size, mtimeMs, ctimeMs].join(' ');
  if (users.version !== version) users = { version, lines: readFileSync(USERS, 'utf8').split('\n') };
  return users.lines;
}

/** @throws RangeError when there is none */
export function findUser(name: string): User {
  for (const line of userLines()) {
    const [user, , uid, gid] = line.split(':');
    if (user === name && name !== '') return { uid: Number(uid), gid: Number(gid) };
  }
  throw new RangeError(`there is no user ${JSON.stringify(name)} on this machine`);
}

/** Finds out before the start whether a program can be executed: a wrapper could only say 127. Rule: PRC-11. */
import { constants, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { User } from './task-user.js';

/** What execvp(3) searches when there is no PATH. */
const SYSTEM_PATH = '/bin:/usr/bin';

/** @throws Error when the user cannot execute `program`, as it would be found from `folder`; `undefined`: our own user */
export function requireProgram(
  program: string,
  environment: Readonly<Record<string, string>>,
  folder: string,
  user: User | undefined,
): void {
  const paths = program.includes('/')
    ? [resolve(folder, program)]
    : (environment['PATH'] ?? SYSTEM_PATH).split(':').map((part) => join(resolve(folder, part), program));
  let reason = 'there is no such program (ENOENT)';
  for (const path of paths) {
    const problem = problemOf(path, user);
    if (problem === undefined) return;
    if (problem !== 'ENOENT') reason = problem;
  }
  throw new Error(`${program} cannot be executed: ${reason}`);
}

function problemOf(path: string, user: User | undefined): string | undefined {
  const uid = user?.uid ?? process.getuid?.() ?? 0;
  const groups = user === undefined ? [process.getgid?.() ?? 0, ...(process.getgroups?.() ?? [])] : [user.gid];
  try {
    const status = statSync(path);
    if (!status.isFile()) return 'it is no file';
    // Groups of another user are not known here: then it is left to the system.
    const bits =
      uid === 0 ? 0o111 : status.uid === uid ? constants.S_IXUSR : groups.includes(status.gid) ? 0o010 : 0o001;
    const mayBeByGroup = user !== undefined && (status.mode & 0o010) !== 0;
    return (status.mode & bits) !== 0 || mayBeByGroup ? undefined : 'no permission';
  } catch (error) {
    const code = (error as { code?: string }).code;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'ENOENT' : code === 'EACCES' ? 'no permission' : String(error);
  }
}

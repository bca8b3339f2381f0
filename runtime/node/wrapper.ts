/**
 * The wrapper: what lasts of a launch when the agent dies, and what knows how the container ended. A shell with a fixed text; all that is a
 * container's comes as arguments, which no shell reads. Rules: PRC-3, PRC-7, PRC-8.
 */
import { accessSync, constants } from 'node:fs';

/**
 * Arguments: the record, the claim, how many groups to join, their `cgroup.procs` files, then what to execute. Files 3 and 4 are the
 * container's outputs; 5 is the record, which only the shell has.
 *
 * A claim that is there already ends it with {@link STATUS.refused}: then nothing has been started, nor ever will be. The subshell is in the
 * foreground, since a shell starts background jobs with SIGINT and SIGQUIT ignored. Signals that are meant for all of a session or a unit
 * must not end who knows the end: they are caught, and not ignored, for what is ignored would be ignored by the container.
 */
export const WRAPPER = `trap : HUP INT QUIT TERM
record=$1 claim=$2 groups=$3
shift 3
identity() {
  read -r pid _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ start _ </proc/self/stat || exit 10
}
identity
# begun
set -C
echo "$pid $start" >"$claim" || exit 11
set +C
# claimed
exec 5<>"$record"
(
  identity
  # forked
  while [ "$groups" -gt 0 ]; do
    echo 0 >"$1" || { echo 'failed group' >&5; exit 1; }
    shift
    groups=$((groups - 1))
  done
  echo "started $pid $start" >&5 || exit 1
  # started
  exec </dev/null 1>&3 2>&4 3>&- 4>&- 5>&-
  exec "$@"
)
status=$?
# over
echo "ended $status" >&5
# recorded
exit 0
`;

/** Exit statuses of the wrapper besides 0. `system`: dash itself gave up, as it does when it cannot fork. */
export const STATUS = { system: 2, identity: 10, refused: 11 } as const;

export const SHELL = '/bin/sh';

/** Programs that stand between the wrapper and the container's own; absolute. */
export interface Tools {
  readonly env: string;
  readonly setsid: string;
  /** Where it is missing no task can have a user of its own. */
  readonly setpriv: string | undefined;
}

const FOLDERS = ['/usr/bin', '/bin', '/usr/local/bin'];

/** @throws Error when a program is missing without which nothing can be started */
export function findTools(): Tools {
  const find = (name: string): string | undefined =>
    FOLDERS.map((folder) => `${folder}/${name}`).find((path) => isExecutable(path));
  const need = (name: string): string => {
    const path = find(name);
    if (path === undefined)
      throw new Error(`${name} is missing on this machine; it is part of coreutils or util-linux`);
    return path;
  };
  if (!isExecutable(SHELL)) throw new Error(`${SHELL} is missing on this machine`);
  return { env: need('env'), setsid: need('setsid'), setpriv: find('setpriv') };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * What the wrapper executes. The user is changed first: the environment is the task's, and with it nothing may run as us (LD_PRELOAD). The
 * program comes last, behind `setsid`: `env` would take a path with `=` for a variable.
 */
export function execution(
  tools: Tools,
  user: { readonly uid: number; readonly gid: number } | undefined,
  environment: Readonly<Record<string, string>>,
  argv: readonly string[],
): string[] {
  const variables = Object.entries(environment).map(([name, value]) => {
    if (name === '' || name.includes('=')) throw new RangeError(`${JSON.stringify(name)} is no name of a variable`);
    return `${name}=${value}`;
  });
  if (user !== undefined && tools.setpriv === undefined)
    throw new Error('setpriv is missing on this machine, so no task can run as another user; it is part of util-linux');
  const asUser =
    user === undefined || tools.setpriv === undefined
      ? []
      : [tools.setpriv, `--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', '--inh-caps=-all', '--'];
  return [...asUser, tools.env, '-i', '--', ...variables, tools.setsid, '--', ...argv];
}

/**
 * The wrapper: what lasts of a launch when the agent dies, and what knows how the container ended. A shell with a fixed text; nothing that is
 * a container's is read as text by a shell. Rules: PRC-3, PRC-7, PRC-8, PRC-13.
 */
import { accessSync, constants } from 'node:fs';

/** Before the number of a word. */
const WORD_VARIABLE = 'TEPUI_WORD_';

/**
 * Arguments: the record, the claim, how many words to execute, then the `cgroup.procs` files to join. The words are variables of its
 * environment ({@link wordVariables}), since arguments are shown to everybody on the machine, and a task's may be secret; they are taken out
 * before anything is executed. Files 3 and 4 are the container's outputs; 5 is the record, which only the shell has.
 *
 * A claim that is there already ends it with {@link STATUS.refused}: then nothing has been started, nor ever will be. The subshell is in the
 * foreground, since a shell starts background jobs with SIGINT and SIGQUIT ignored. Signals that are meant for all of a session or a unit
 * must not end who knows the end: they are caught, and not ignored, for what is ignored would be ignored by the container.
 */
export const WRAPPER = `trap : HUP INT QUIT TERM
record=$1 claim=$2 count=$3
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
  for group do
    echo 0 >"$group" || { echo 'failed group' >&5; exit 1; }
  done
  echo "started $pid $start" >&5 || exit 1
  # started
  umask 022
  exec </dev/null 1>&3 2>&4 3>&- 4>&- 5>&-
  n=0 words= names=
  while [ "$n" -lt "$count" ]; do
    words="$words \\"\\$${WORD_VARIABLE}$n\\"" names="$names ${WORD_VARIABLE}$n"
    n=$((n + 1))
  done
  eval "set -- $words; unset $names"
  exec "$@"
)
status=$?
# over
echo "ended $status" >&5
# recorded
exit 0
`;

/** What is to be executed, as the wrapper is given it. */
export const wordVariables = (words: readonly string[]): Record<string, string> =>
  Object.fromEntries(words.map((word, n) => [`${WORD_VARIABLE}${n}`, word]));

/** Exit statuses of the wrapper besides 0. `system`: the shell itself gave up, as dash does when it cannot fork. */
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

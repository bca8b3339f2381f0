/** What `up` writes down of a cluster while it runs, so that every other command, and a later life, finds it. Rules: UP-3, UP-5. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { check, Type, type Static } from '../../protocol/schema.js';

const Process = Type.Object({ pid: Type.Integer({ minimum: 1 }), startTime: Type.Number() });
const Named = Type.Object({ name: Type.String(), pid: Type.Integer({ minimum: 1 }), startTime: Type.Number() });

const Server = Type.Object({ ...Named.properties, url: Type.String() });

export const ClusterState = Type.Object({
  nats: Type.Object({
    /** Without a login. */
    url: Type.String(),
    version: Type.String(),
    /** Those that `up` started and that run now. */
    servers: Type.Array(Server),
  }),
  /** Those that run now. */
  masters: Type.Array(Named),
  agents: Type.Array(Named),
  dir: Type.String(),
  cluster: Type.String(),
  supervisor: Process,
  /** Start times count from this start of the machine. */
  bootId: Type.String(),
});
export type ClusterState = Static<typeof ClusterState>;

const problemOf = check(ClusterState);

/** `undefined` when there is none, or none that can be read: a crash may have cut it off. */
export function readState(path: string): ClusterState | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return problemOf(value) === undefined ? (value as ClusterState) : undefined;
  } catch {
    return undefined;
  }
}

/** In one step, and at once: what was started is written down before anything else happens. */
export function writeState(path: string, state: ClusterState): void {
  const unfinished = `${path}.tmp`;
  writeFileSync(unfinished, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(unfinished, path);
}

export function removeState(path: string): void {
  rmSync(path, { force: true });
  rmSync(`${path}.tmp`, { force: true });
}

/** What a later life of an agent makes of the records that it finds. Rules: PRC-6, PRC-8. */
import type { Container, Containers } from './containers.js';
import type { ExitRecord } from './exit-record.js';
import { hasWrapperOf } from './process-table.js';
import { nameOf, type Attempt, type Claim } from './run-folder.js';

const POLL_MS = 20;

/** Tells what became of each container that is wanted, never synchronously, and ends all others. */
export function adoptRecords(containers: Containers, wanted: readonly Container[]): void {
  const { folder } = containers;
  const byName = new Map(wanted.map((container) => [nameOf(container.spec.containerId), container]));
  for (const container of wanted) containers.add(container);
  const found = new Set<Container>();
  for (const attempt of folder.attempts()) {
    const name = attempt.file.slice(0, attempt.file.lastIndexOf('.'));
    const container = byName.get(name);
    // At most one start of a container is not an agent's: another is begun only after that was certain.
    if (container === undefined) endUnwanted(containers, attempt);
    else if (claimed(containers, attempt) !== 'agent' || folder.read(attempt)?.end !== undefined) {
      found.add(container);
      take(containers, container, attempt);
    } else folder.remove(attempt, false);
  }
  for (const container of wanted) if (!found.has(container)) later(() => neverStarted(containers, container));
  containers.endStrays();
}

const later = (call: () => void): void => void setImmediate(call);

const neverStarted = (containers: Containers, container: Container): void =>
  containers.tellEnd(container, { neverStarted: true });

/** Whose the start is, after we have claimed what was nobody's. */
function claimed({ folder, log }: Containers, attempt: Attempt): Claim {
  try {
    if (folder.claimForAgent(attempt)) return 'agent';
  } catch (error) {
    // On a full disk its wrapper can make no claim either; but that may change, and then nobody would know.
    log.write('error', 'The start of a container cannot be claimed', { file: attempt.file, error: String(error) });
    throw error;
  }
  return folder.claimOf(attempt);
}

function take(containers: Containers, container: Container, attempt: Attempt): void {
  const { folder } = containers;
  containers.recorded(container, attempt);
  const claim = folder.claimOf(attempt);
  const record = folder.read(attempt);
  if (record?.carried === true) return later(() => tellCarried(containers, container, record));
  if (claim === 'unsigned' && record?.started === undefined && record?.end === undefined)
    return settle(containers, container, attempt);
  containers.wrapped(container, typeof claim === 'object' ? claim : undefined, false);
  later(() => containers.look(container));
}

function tellCarried(containers: Containers, container: Container, { started, end }: ExitRecord): void {
  if (started !== undefined) containers.call(container, () => container.onStarted(started.pid));
  containers.tellEnd(container, end ?? { lost: 'machine' });
}

/**
 * A wrapper has made its claim and not said who it is. Either it will within a moment, or it died in between, and then it has not forked.
 * It says who it is before it forks, so nothing can run of it that we do not see.
 */
function settle(containers: Containers, container: Container, attempt: Attempt): void {
  const lives = hasWrapperOf(attempt.claim);
  const claim = containers.folder.claimOf(attempt);
  if (containers.isClosed) return;
  if (claim === 'unsigned' && !lives) {
    containers.unrecorded(container);
    return later(() => neverStarted(containers, container));
  }
  if (claim === 'unsigned') return void setTimeout(() => settle(containers, container, attempt), POLL_MS);
  containers.wrapped(container, typeof claim === 'object' ? claim : undefined, false);
  if (container.isUnwanted === true) containers.killUnwanted(container);
  later(() => containers.look(container));
}

function endUnwanted(containers: Containers, attempt: Attempt): void {
  const { folder } = containers;
  const record = folder.read(attempt);
  // Cut off before its wrapper was forked, or of an earlier start of the machine.
  if (record === undefined || record.carried === true) return folder.remove(attempt, record !== undefined);
  const claim = claimed(containers, attempt);
  if (claim === 'agent') return folder.remove(attempt, false);
  const { containerId, sandbox } = record;
  const nothing = (): void => undefined;
  const spec = { containerId, sandbox, argv: [], environment: {} };
  const container: Container = {
    spec,
    sandbox,
    onStarted: nothing,
    onEnded: nothing,
    isAdopted: true,
    isUnwanted: true,
  };
  containers.add(container);
  take(containers, container, attempt);
  if (container.tree !== undefined) containers.killUnwanted(container);
}

/** Rows that the registry has, as types: messages that rest on a row are built from these alone. Rule: REG-3. */
import { isTerminal } from '../../protocol/task-state.js';
import type { TaskState } from '../../protocol/task.js';
import { invariant } from '../invariant.js';
import type { FrameworkRow, MasterState, TaskRow } from './master-state.js';

declare const STORED: unique symbol;

/** The registry has the row. */
export type Stored<Row> = Row & { readonly [STORED]: 'row' };
/** The registry has the removal of the framework. */
export type Removed = FrameworkRow & { readonly removalStored: true };
/** Why an acknowledgement may be passed on: the registry no longer has the launch, never had it, or the update ends nothing. */
export type Settled = { readonly [STORED]: 'settled' };

/** What a stored write gives to those who waited for it: nobody else can make these. */
export interface Witness {
  readonly stored: <Row extends { readonly stored: boolean }>(row: Row) => Stored<Row>;
  readonly removed: (framework: FrameworkRow) => Removed;
  /** Of a launch whose deletion was stored. */
  readonly deleted: (task: TaskRow) => Settled;
}

/** For the write that was just stored, and for the replay of the registry: nobody else calls it. */
export const WITNESS: Witness = {
  stored: (row) => {
    (row as { stored: boolean }).stored = true;
    return row as Stored<typeof row>;
  },
  removed: (framework) => {
    (framework as { removalStored: boolean }).removalStored = true;
    return framework as Removed;
  },
  deleted: () => ({}) as Settled,
};

/** Whether a stored write or the replay has marked the row. */
export const isStored = <Row extends { readonly stored: boolean }>(row: Row): row is Stored<Row> => row.stored;

export const isRemoved = (framework: FrameworkRow): framework is Removed => framework.removalStored;

/** No launch of that id has a row: its deletion was stored, or it never was. */
export function settledWithoutRow(state: MasterState, launchId: string | undefined): Settled {
  invariant(launchId === undefined || !state.tasks.has(launchId), `launch ${launchId} has a row`);
  return {} as Settled;
}

/** An update that ends nothing rests on nothing. */
export function settledByState(status: TaskState): Settled {
  invariant(!isTerminal(status), `${status} ends a launch`);
  return {} as Settled;
}

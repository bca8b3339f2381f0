/** What a tap has heard of the status updates of tasks: from agents, to schedulers, and their acknowledgements. */
import type { TapJson } from '../../cli/json-schemas.js';
import type { Tap } from './tap.js';

interface Status {
  readonly taskId: string;
  readonly state: string;
  readonly uuid?: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface Update {
  readonly taskId: string;
  readonly state: string;
  /** How often the agent sent it. */
  sent: number;
  /** How often it was acknowledged: by the scheduler, and to the agent. */
  acknowledged: number;
  passedOn: number;
  /** The agent sent it after its acknowledgement had been passed on. */
  isRepeated: boolean;
}

const statusOf = ({ body }: TapJson): Status =>
  ((body as { status?: Status }).status ?? (body as { update: { status: Status } }).update.status) satisfies Status;

/** Updates that agents sent, in the order in which they were first heard. */
export function updatesOf(tap: Tap): Update[] {
  const updates = new Map<string, Update>();
  for (const message of tap.of('STATUS_UPDATE', 'ACKNOWLEDGE', 'STATUS_UPDATE_ACKNOWLEDGEMENT')) {
    const { type, body } = message;
    if (type === 'STATUS_UPDATE') {
      const { taskId, state, uuid = '' } = statusOf(message);
      const update = updates.get(uuid) ?? {
        taskId,
        state,
        sent: 0,
        acknowledged: 0,
        passedOn: 0,
        isRepeated: false,
      };
      updates.set(uuid, { ...update, sent: update.sent + 1, isRepeated: update.isRepeated || update.passedOn > 0 });
      continue;
    }
    const { acknowledge, uuid } = body as { acknowledge?: { uuid: string }; uuid?: string };
    const update = updates.get(acknowledge?.uuid ?? uuid ?? '');
    if (update === undefined) continue;
    if (type === 'ACKNOWLEDGE') update.acknowledged += 1;
    else update.passedOn += 1;
  }
  return [...updates.values()];
}

/** States that a scheduler was told of a task whose id begins so, in their order. */
export const toldOf = (tap: Tap, taskId: string): string[] =>
  tap
    .of('UPDATE')
    .map(statusOf)
    .filter((status) => status.taskId.startsWith(taskId))
    .map(({ state }) => state);

const QUIET_MS = 500;

/**
 * Whether each update is acknowledged, and for so long that an agent has stored that: one that dies before may rightly say it again.
 */
export const isSettled = (tap: Tap): boolean => {
  const last = tap.of('STATUS_UPDATE_ACKNOWLEDGEMENT').at(-1);
  return (
    updatesOf(tap).every(({ passedOn }) => passedOn > 0) &&
    (last === undefined || Date.now() - Date.parse(last.time) > QUIET_MS)
  );
};

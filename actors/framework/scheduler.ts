/** The contract that a framework's author fills in: pure functions over a state of their own, which return calls. */
import type { Filters, Offer, Operation } from '../../protocol/offer.js';
import type { FrameworkInfo } from '../../protocol/framework.js';
import type { SchedulerCallBody, SchedulerEventBody } from '../../protocol/scheduler-api.js';
import type { TaskInfo, TaskStatus } from '../../protocol/task.js';
import type { KillPolicy } from '../../protocol/container.js';
import type { ErrorBody } from '../../protocol/errors.js';
import type { Stamp } from '../events.js';

type CallType =
  'ACCEPT' | 'DECLINE' | 'REVIVE' | 'SUPPRESS' | 'KILL' | 'RECONCILE' | 'REQUEST' | 'MESSAGE' | 'SHUTDOWN';

/** What a scheduler asks for: a call of the API, a wake-up, or its own end. */
export type Call =
  | { [T in CallType]: { readonly type: T } & Omit<SchedulerCallBody<T>, 'frameworkId'> }[CallType]
  /** Calls `onWake` at this time; each WAKE replaces the one before. */
  | { readonly type: 'WAKE'; readonly atMs: number }
  /** Removes the framework and kills what it runs, then ends. */
  | { readonly type: 'TEARDOWN' }
  /** Ends and leaves the framework to a later instance of it. */
  | { readonly type: 'LEAVE' };

export type Calls = readonly Call[];

/**
 * A framework's scheduler. The driver subscribes, keeps the session, acknowledges each update after `onUpdate` has
 * returned, asks again for tasks whose fate is unknown after a re-subscription, and sends what the functions return.
 * No function may await, read the clock or roll dice: `stamp` brings the time and a random number.
 */
export interface Scheduler<State, Input = never> {
  readonly info: FrameworkInfo;
  /** Roles that begin suppressed. */
  readonly suppressedRoles?: readonly string[];
  onSubscribed?(
    state: State,
    subscribed: { readonly frameworkId: string; readonly again: boolean },
    stamp: Stamp,
  ): Calls;
  onOffers(state: State, offers: readonly Offer[], stamp: Stamp): Calls;
  onRescind?(state: State, offerId: string, stamp: Stamp): Calls;
  onUpdate(state: State, status: TaskStatus, stamp: Stamp): Calls;
  onMessage?(state: State, message: SchedulerEventBody<'MESSAGE'>['message'], stamp: Stamp): Calls;
  /** With an executorId: that executor ended. Without: the agent is lost. */
  onFailure?(state: State, failure: SchedulerEventBody<'FAILURE'>['failure'], stamp: Stamp): Calls;
  onWake?(state: State, stamp: Stamp): Calls;
  /** Something from outside, given to the driver by the process around it. */
  onInput?(state: State, input: Input, stamp: Stamp): Calls;
  /** A fatal error; the driver stops after it. */
  onError?(state: State, error: ErrorBody['error']): void;
}

const NONE: Calls = [];

/** Launches tasks on one agent's offers. */
export function launch(offers: readonly Offer[], taskInfos: TaskInfo[], filters?: Filters): Call {
  const operations: Operation[] = [{ type: 'LAUNCH', launch: { taskInfos } }];
  return {
    type: 'ACCEPT',
    accept: { offerIds: offers.map((offer) => offer.id), operations, ...(filters && { filters }) },
  };
}

export function decline(offers: readonly Offer[], filters?: Filters): Calls {
  if (offers.length === 0) return NONE;
  return [{ type: 'DECLINE', decline: { offerIds: offers.map((offer) => offer.id), ...(filters && { filters }) } }];
}

export const kill = (taskId: string, agentId?: string, killPolicy?: KillPolicy): Call => ({
  type: 'KILL',
  kill: { taskId, ...(agentId !== undefined && { agentId }), ...(killPolicy && { killPolicy }) },
});

/** Scheduler API: calls of a scheduler to the master and events back, as in Mesos v1 `scheduler.proto`. */
import { MasterInfo } from './agent.js';
import { KillPolicy } from './container.js';
import { ErrorBody } from './errors.js';
import { FrameworkInfo } from './framework.js';
import { MAX_TASKS_PER_CALL } from './limits.js';
import { Filters, InverseOffer, Offer, OfferConstraints, Operation, OperationStatus, Request } from './offer.js';
import { Bytes, Id, NonNegative, Text, Type, type Static, type TSchema } from './schema.js';
import { TaskStatus } from './task.js';

const ids = (maxItems: number) => Type.Array(Id, { maxItems });
const roles = Type.Optional(Type.Array(Text(255), { maxItems: 1_000 }));

/** Every call but SUBSCRIBE names its framework. */
const call = <T extends Record<string, TSchema>>(members: T) => Type.Object({ frameworkId: Id, ...members });

export const schedulerCalls = {
  /** Opens or takes over the event stream. `frameworkInfo.id` set means that a framework comes back. */
  SUBSCRIBE: Type.Object({
    frameworkId: Type.Optional(Id),
    subscribe: Type.Object({
      frameworkInfo: FrameworkInfo,
      suppressedRoles: roles,
      offerConstraints: Type.Optional(OfferConstraints),
    }),
  }),
  /** Kills all tasks and executors and removes the framework. Answered with ERROR `FRAMEWORK_REMOVED`, repeated until then. */
  TEARDOWN: call({}),
  /** Uses offers of one agent and role: operations in order, the rest goes back with a filter. At most 10,000 tasks in all. */
  ACCEPT: call({
    accept: Type.Object({
      offerIds: ids(1_000),
      operations: Type.Optional(Type.Array(Operation, { maxItems: 10_000 })),
      filters: Type.Optional(Filters),
    }),
  }),
  DECLINE: call({ decline: Type.Object({ offerIds: ids(10_000), filters: Type.Optional(Filters) }) }),
  ACCEPT_INVERSE_OFFERS: call({
    acceptInverseOffers: Type.Object({ inverseOfferIds: ids(10_000), filters: Type.Optional(Filters) }),
  }),
  DECLINE_INVERSE_OFFERS: call({
    declineInverseOffers: Type.Object({ inverseOfferIds: ids(10_000), filters: Type.Optional(Filters) }),
  }),
  /** Clears filters and suppression of the roles (none named: of all) and offers anew. */
  REVIVE: call({ revive: Type.Optional(Type.Object({ roles })) }),
  /** No offers for the roles (none named: for all) until REVIVE. */
  SUPPRESS: call({ suppress: Type.Optional(Type.Object({ roles })) }),
  KILL: call({
    kill: Type.Object({ taskId: Id, agentId: Type.Optional(Id), killPolicy: Type.Optional(KillPolicy) }),
  }),
  SHUTDOWN: call({ shutdown: Type.Object({ executorId: Id, agentId: Id }) }),
  /** Confirms the status update with this uuid. Sent only after the scheduler has stored what it needs. */
  ACKNOWLEDGE: call({
    acknowledge: Type.Object({ agentId: Id, taskId: Id, uuid: Bytes, launchId: Type.Optional(Id) }),
  }),
  ACKNOWLEDGE_OPERATION_STATUS: call({
    acknowledgeOperationStatus: Type.Object({ agentId: Type.Optional(Id), uuid: Bytes, operationId: Id }),
  }),
  /** Asks for the state of the tasks named; none named: of all that the master knows. */
  RECONCILE: call({
    reconcile: Type.Object({
      tasks: Type.Optional(
        Type.Array(Type.Object({ taskId: Id, agentId: Type.Optional(Id) }), { maxItems: MAX_TASKS_PER_CALL }),
      ),
    }),
  }),
  RECONCILE_OPERATIONS: call({
    reconcileOperations: Type.Object({
      operations: Type.Optional(
        Type.Array(Type.Object({ operationId: Id, agentId: Type.Optional(Id) }), { maxItems: MAX_TASKS_PER_CALL }),
      ),
    }),
  }),
  MESSAGE: call({ message: Type.Object({ agentId: Id, executorId: Id, data: Bytes }) }),
  /** States a demand; Mesos ignores it, the allocator here may use it. */
  REQUEST: call({ request: Type.Object({ requests: Type.Optional(Type.Array(Request, { maxItems: 1_000 })) }) }),
  UPDATE_FRAMEWORK: call({
    updateFramework: Type.Object({
      frameworkInfo: FrameworkInfo,
      suppressedRoles: roles,
      offerConstraints: Type.Optional(OfferConstraints),
    }),
  }),
  /** The answer to HEARTBEAT; its sequence shows the master what was lost. Rule: LNK-3. */
  HEARTBEAT: call({}),
} as const;

export const schedulerEvents = {
  SUBSCRIBED: Type.Object({
    subscribed: Type.Object({
      frameworkId: Id,
      heartbeatIntervalSeconds: Type.Optional(NonNegative),
      masterInfo: Type.Optional(MasterInfo),
    }),
  }),
  OFFERS: Type.Object({ offers: Type.Object({ offers: Type.Array(Offer, { maxItems: 100_000 }) }) }),
  INVERSE_OFFERS: Type.Object({
    inverseOffers: Type.Object({ inverseOffers: Type.Array(InverseOffer, { maxItems: 100_000 }) }),
  }),
  RESCIND: Type.Object({ rescind: Type.Object({ offerId: Id }) }),
  RESCIND_INVERSE_OFFER: Type.Object({ rescindInverseOffer: Type.Object({ inverseOfferId: Id }) }),
  /** A task's status. With a uuid it comes again until it is acknowledged. */
  UPDATE: Type.Object({ update: Type.Object({ status: TaskStatus }) }),
  UPDATE_OPERATION_STATUS: Type.Object({ updateOperationStatus: Type.Object({ status: OperationStatus }) }),
  MESSAGE: Type.Object({ message: Type.Object({ agentId: Id, executorId: Id, data: Bytes }) }),
  /** With an executorId: that executor ended. Without: the agent is lost. */
  FAILURE: Type.Object({
    failure: Type.Object({
      agentId: Type.Optional(Id),
      executorId: Type.Optional(Id),
      status: Type.Optional(Type.Integer()),
    }),
  }),
  ERROR: ErrorBody,
  HEARTBEAT: Type.Object({}),
  /** "Subscribe again": the master lost its place in the session, or never had one. Rule: LNK-1. */
  INVITE: Type.Object({}),
} as const;

/** The body of one scheduler call, by its type. */
export type SchedulerCallBody<T extends keyof typeof schedulerCalls> = Static<(typeof schedulerCalls)[T]>;
/** The body of one scheduler event, by its type. */
export type SchedulerEventBody<T extends keyof typeof schedulerEvents> = Static<(typeof schedulerEvents)[T]>;

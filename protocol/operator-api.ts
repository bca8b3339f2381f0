/** Operator API: requests of an operator to a master or an agent, and their answers, as in Mesos v1 `master.proto`, `agent.proto`. */
import { AgentInfo, MasterInfo } from './agent.js';
import { KillPolicy } from './container.js';
import { ErrorBody } from './errors.js';
import { FrameworkInfo } from './framework.js';
import { MAX_PAGE_ROWS } from './limits.js';
import { Offer } from './offer.js';
import { Resource } from './resource.js';
import { Bytes, Id, Natural, Text, TimeInfo, Type, type Static } from './schema.js';
import { Task } from './task.js';

const resources = Type.Array(Resource, { maxItems: 10_000 });

/** Which page of a list is wanted: at most `limit` rows, from behind the place that the answer before it named as `next`. */
export const PageRequest = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1 })),
  cursor: Type.Optional(Type.String({ pattern: '^[01]:', maxLength: 1024 })),
});
export type PageRequest = Static<typeof PageRequest>;
const page = PageRequest.properties;

/** Set when there is more: the `cursor` of the next request. */
const next = Type.Optional(Text(1024));

/** Requests to the leading master. */
export const operatorCalls = {
  GET_MASTER: Type.Object({}),
  GET_AGENTS: Type.Object({ getAgents: Type.Optional(PageRequest) }),
  GET_FRAMEWORKS: Type.Object({ getFrameworks: Type.Optional(PageRequest) }),
  /** Tasks, of one framework or of all; completed ones, behind the others, only when asked for. */
  GET_TASKS: Type.Object({
    getTasks: Type.Optional(
      Type.Object({
        frameworkId: Type.Optional(Id),
        taskId: Type.Optional(Id),
        completed: Type.Optional(Type.Boolean()),
        ...page,
      }),
    ),
  }),
  GET_OFFERS: Type.Object({ getOffers: Type.Optional(PageRequest) }),
  /** Kills one task on behalf of an operator; the framework learns of it by the task's status. */
  KILL_TASK: Type.Object({
    killTask: Type.Object({
      frameworkId: Type.Optional(Id),
      taskId: Id,
      killPolicy: Type.Optional(KillPolicy),
    }),
  }),
  /** Removes a framework and kills its tasks. */
  TEARDOWN: Type.Object({ teardown: Type.Object({ frameworkId: Id }) }),
  /** The registry went back, and somebody has looked at it: what rests on it alone counts again. Rule: EPO-5. */
  TRUST_REGISTRY: Type.Object({}),
} as const;

export const AgentView = Type.Object({
  agentInfo: AgentInfo,
  /** The NATS principal that the agent speaks as. */
  principal: Text(255),
  /** Whether it is registered in this term and answers; offers are made on active agents alone. */
  active: Type.Boolean(),
  state: Type.Enum(['RECOVERED', 'REGISTERED', 'UNREACHABLE']),
  version: Text(64),
  registeredTime: Type.Optional(TimeInfo),
  reregisteredTime: Type.Optional(TimeInfo),
  totalResources: resources,
  allocatedResources: resources,
  offeredResources: resources,
  tasks: Natural,
});
export type AgentView = Static<typeof AgentView>;

export const FrameworkView = Type.Object({
  frameworkInfo: FrameworkInfo,
  principal: Text(255),
  /** Whether it may get offers. */
  active: Type.Boolean(),
  connected: Type.Boolean(),
  /** Known from the registry, not yet subscribed in this term. */
  recovered: Type.Boolean(),
  suppressed: Type.Boolean(),
  registeredTime: Type.Optional(TimeInfo),
  reregisteredTime: Type.Optional(TimeInfo),
  allocatedResources: resources,
  offeredResources: resources,
  offers: Natural,
  tasks: Natural,
});
export type FrameworkView = Static<typeof FrameworkView>;

/** Answers of the leading master; each carries the member that the request's name says. */
export const operatorAnswers = {
  GET_MASTER: Type.Object({
    getMaster: Type.Object({
      masterInfo: MasterInfo,
      epoch: Natural,
      electedTime: TimeInfo,
      /** Whether the registry went back and is not trusted since. Rule: EPO-5. */
      registryInDoubt: Type.Boolean(),
    }),
  }),
  GET_AGENTS: Type.Object({
    getAgents: Type.Object({ agents: Type.Array(AgentView, { maxItems: MAX_PAGE_ROWS }), next }),
  }),
  GET_FRAMEWORKS: Type.Object({
    getFrameworks: Type.Object({
      frameworks: Type.Array(FrameworkView, { maxItems: MAX_PAGE_ROWS }),
      completedFrameworks: Type.Array(FrameworkView, { maxItems: MAX_PAGE_ROWS }),
      next,
    }),
  }),
  GET_TASKS: Type.Object({
    getTasks: Type.Object({
      tasks: Type.Array(Task, { maxItems: MAX_PAGE_ROWS }),
      completedTasks: Type.Array(Task, { maxItems: MAX_PAGE_ROWS }),
      next,
    }),
  }),
  GET_OFFERS: Type.Object({ getOffers: Type.Object({ offers: Type.Array(Offer, { maxItems: MAX_PAGE_ROWS }), next }) }),
  KILL_TASK: Type.Object({ killTask: Type.Object({ frameworkId: Id, taskId: Id, agentId: Id }) }),
  TEARDOWN: Type.Object({ teardown: Type.Object({ frameworkId: Id }) }),
  TRUST_REGISTRY: Type.Object({}),
  ERROR: ErrorBody,
} as const;

const path = Text(4096);

/** Requests to one agent. Paths are within its sandboxes: `/frameworks/<frameworkId>/executors/<executorId>/runs/<launchId>/stdout`. */
export const agentOperatorCalls = {
  READ_FILE: Type.Object({
    readFile: Type.Object({ path, offset: Natural, length: Type.Optional(Natural) }),
  }),
  LIST_FILES: Type.Object({ listFiles: Type.Object({ path }) }),
} as const;

export const agentOperatorAnswers = {
  /** `size` is that of the file now; `data` is what was there from the offset on. */
  READ_FILE: Type.Object({ readFile: Type.Object({ size: Natural, data: Bytes }) }),
  LIST_FILES: Type.Object({
    listFiles: Type.Object({
      fileInfos: Type.Array(
        Type.Object({ path, size: Natural, mode: Type.Optional(Natural), mtime: Type.Optional(TimeInfo) }),
        { maxItems: 100_000 },
      ),
    }),
  }),
  ERROR: ErrorBody,
} as const;

export type OperatorCallBody<T extends keyof typeof operatorCalls> = Static<(typeof operatorCalls)[T]>;
export type OperatorAnswerBody<T extends keyof typeof operatorAnswers> = Static<(typeof operatorAnswers)[T]>;
export type AgentOperatorCallBody<T extends keyof typeof agentOperatorCalls> = Static<(typeof agentOperatorCalls)[T]>;
export type AgentOperatorAnswerBody<T extends keyof typeof agentOperatorAnswers> = Static<
  (typeof agentOperatorAnswers)[T]
>;

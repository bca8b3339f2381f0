/** Operators' requests: views of what is stored, kills and teardowns. Rules: OPR-1 to OPR-4. */
import { errorBody } from '../../protocol/errors.js';
import type { AgentView, FrameworkView, operatorAnswers, OperatorAnswerBody } from '../../protocol/operator-api.js';
import { Resources } from '../../protocol/resources.js';
import type { Resource } from '../../protocol/resource.js';
import type { Task } from '../../protocol/task.js';
import { reply, type Effects } from '../effect.js';
import type { MessageOf, OperatorMessage } from '../events.js';
import { unreachable } from '../invariant.js';
import { trustRegistry } from './doubt.js';
import { teardown } from './frameworks.js';
import { isOver, requestKill } from './kills.js';
import type { AgentRow, FrameworkRow, MasterState, OfferRow, TaskRow } from './master-state.js';
import { NO_ROWS, pageOf } from './pages.js';
import { viewTask } from './tasks.js';

const time = (ms: number): { nanoseconds: number } => ({ nanoseconds: Math.floor(ms) * 1e6 });

/** When an agent or framework came, and came back last, in this term. */
const times = ({ registeredAtMs, reregisteredAtMs }: AgentRow | FrameworkRow) => ({
  ...(registeredAtMs !== undefined && { registeredTime: time(registeredAtMs) }),
  ...(reregisteredAtMs !== undefined && { reregisteredTime: time(reregisteredAtMs) }),
});

export function onOperatorCall(state: MasterState, event: OperatorMessage): Effects {
  const answer = <T extends keyof typeof operatorAnswers>(message: T, body: OperatorAnswerBody<T>): Effects =>
    reply('masterOperator', event.meta, message, body as never, state.epoch);
  switch (event.type) {
    case 'operator.GET_MASTER':
      return answer('GET_MASTER', viewMaster(state));
    case 'operator.GET_AGENTS': {
      const rows = [...state.agents.values()].filter((agent) => agent.state !== 'ADMITTING');
      const list = { rows, idOf: (agent: AgentRow) => agent.agentId, view: viewAgent };
      const { first: agents, next } = pageOf(list, NO_ROWS, event.body.getAgents);
      return answer('GET_AGENTS', { getAgents: { agents, ...(next !== undefined && { next }) } });
    }
    case 'operator.GET_FRAMEWORKS': {
      const stored = [...state.frameworks.values()].filter((framework) => framework.stored);
      const listOf = (rows: Iterable<FrameworkRow>) => ({ rows, idOf: frameworkIdOf, view: viewFramework });
      const ended = listOf(state.completedFrameworks.values());
      const { first, second, next } = pageOf(listOf(stored), ended, event.body.getFrameworks);
      const getFrameworks = { frameworks: first, completedFrameworks: second, ...(next !== undefined && { next }) };
      return answer('GET_FRAMEWORKS', { getFrameworks });
    }
    case 'operator.GET_TASKS':
      return answer('GET_TASKS', { getTasks: viewTasks(state, event) });
    case 'operator.GET_OFFERS': {
      const rows = state.offers.values();
      const list = { rows, idOf: (row: OfferRow) => row.offerId, view: (row: OfferRow) => row.offer };
      const { first: offers, next } = pageOf(list, NO_ROWS, event.body.getOffers);
      return answer('GET_OFFERS', { getOffers: { offers, ...(next !== undefined && { next }) } });
    }
    case 'operator.KILL_TASK':
      return onKillTask(state, event);
    case 'operator.TEARDOWN':
      return onTeardown(state, event);
    case 'operator.TRUST_REGISTRY':
      return trustRegistry(state, () => answer('TRUST_REGISTRY', {}));
    default:
      return unreachable(event);
  }
}

function viewMaster(state: MasterState) {
  const { config, masterId, epoch, electedAtMs, registryInDoubt } = state;
  const masterInfo = { id: masterId, hostname: config.hostname, version: config.version, pid: config.name };
  return { getMaster: { masterInfo, epoch, electedTime: time(electedAtMs), registryInDoubt } };
}

const frameworkIdOf = ({ frameworkId }: FrameworkRow): string => frameworkId;

/** What is not stored yet may still not come to be: views skip it. Rule: REG-3. */
const storedOf = (rows: ReadonlyMap<string, TaskRow>): TaskRow[] => [...rows.values()].filter(({ stored }) => stored);

const sum = (rows: Iterable<TaskRow | OfferRow>): Resource[] => {
  let total = Resources.empty;
  for (const row of rows) if (!('recovered' in row && row.recovered)) total = total.add(row.resources);
  return total.toArray();
};

const viewAgent = (agent: AgentRow): AgentView => ({
  agentInfo: { ...agent.info, id: agent.agentId },
  principal: agent.principal,
  active: agent.state === 'REGISTERED',
  state: agent.state === 'ADMITTING' ? 'RECOVERED' : agent.state,
  version: agent.version,
  ...times(agent),
  totalResources: agent.total.toArray(),
  allocatedResources: sum(storedOf(agent.tasks)),
  offeredResources: sum(agent.offers.values()),
  tasks: storedOf(agent.tasks).length,
});

const viewFramework = (framework: FrameworkRow): FrameworkView => ({
  frameworkInfo: { ...framework.info, id: framework.frameworkId },
  principal: framework.principal,
  active: framework.connected && !framework.removed,
  connected: framework.connected,
  recovered: framework.recovered,
  suppressed: framework.suppressed,
  ...times(framework),
  allocatedResources: sum(storedOf(framework.tasks)),
  offeredResources: sum(framework.offers.values()),
  offers: framework.offers.size,
  tasks: storedOf(framework.tasks).length,
});

function viewTasks(state: MasterState, { body }: MessageOf<OperatorMessage, 'operator.GET_TASKS'>) {
  const { frameworkId, taskId, completed = false, ...request } = body.getTasks ?? {};
  const isAsked = (task: { frameworkId: string; taskId: string }): boolean =>
    (frameworkId === undefined || task.frameworkId === frameworkId) && (taskId === undefined || task.taskId === taskId);
  const live = { rows: storedOf(state.tasks).filter(isAsked), idOf: (task: TaskRow) => task.launchId, view: viewTask };
  // In the order in which they ended, which their place in all that ever ended says.
  const firstPlace = state.completedCount - state.completedTasks.length;
  const places = state.completedTasks.map((task, i) => ({ task, place: String(firstPlace + i).padStart(15, '0') }));
  const ended = {
    rows: completed ? places.filter(({ task }) => isAsked(task)) : [],
    idOf: ({ place }: { place: string }) => place,
    view: ({ task }: { task: Task }) => task,
  };
  const { first: tasks, second: completedTasks, next } = pageOf(live, ended, request);
  return { tasks, completedTasks, ...(next !== undefined && { next }) };
}

/** Answered once the kill is stored. Rules: OPR-2, OPR-3, KIL-1. */
function onKillTask(state: MasterState, { meta, body }: MessageOf<OperatorMessage, 'operator.KILL_TASK'>): Effects {
  const { taskId, frameworkId, killPolicy } = body.killTask;
  const refuse = (...error: Parameters<typeof errorBody>): Effects =>
    reply('masterOperator', meta, 'ERROR', errorBody(...error), state.epoch);
  const matching: TaskRow[] = [];
  for (const framework of state.frameworks.values()) {
    if (frameworkId !== undefined && framework.frameworkId !== frameworkId) continue;
    const task = framework.tasks.get(taskId);
    if (task !== undefined) matching.push(task);
  }
  const [task] = matching;
  if (task === undefined) {
    const ended = state.completedTasks.findLast(
      (view) => view.taskId === taskId && (frameworkId === undefined || view.frameworkId === frameworkId),
    );
    return ended === undefined
      ? refuse('UNKNOWN_TASK', `Task ${taskId}.`)
      : refuse('TASK_ENDED', `Its last state: ${ended.state}.`);
  }
  if (matching.length > 1) {
    const ids = matching.map((match) => match.frameworkId).join(', ');
    return refuse('AMBIGUOUS_TASK', `Frameworks: ${ids}.`);
  }
  if (isOver(task)) return refuse('TASK_ENDED', `Its last state: ${task.state}.`);
  const answer = { killTask: { frameworkId: task.frameworkId, taskId, agentId: task.agentId } };
  return requestKill(state, task, killPolicy, meta.id, () =>
    reply('masterOperator', meta, 'KILL_TASK', answer, state.epoch),
  );
}

/** Answered once the removal is stored. Rule: REG-3. */
function onTeardown(state: MasterState, { meta, body, now }: MessageOf<OperatorMessage, 'operator.TEARDOWN'>): Effects {
  const { frameworkId } = body.teardown;
  const framework = state.frameworks.get(frameworkId);
  if (framework === undefined) {
    const error = errorBody('UNKNOWN_FRAMEWORK', `Framework ${frameworkId}.`);
    return reply('masterOperator', meta, 'ERROR', error, state.epoch);
  }
  return teardown(state, framework, now, (removed) =>
    reply('masterOperator', meta, 'TEARDOWN', { teardown: { frameworkId: removed.frameworkId } }, state.epoch),
  );
}

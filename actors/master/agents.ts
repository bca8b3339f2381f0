/** Agents: admission, registration, return. Rules: AGT-1, AGT-2, AGT-8, LNK-1, LNK-6. */
import { sizeError } from '../../protocol/codec.js';
import { agentIdOf } from '../../protocol/ids.js';
import { registryKey } from '../../protocol/registry.js';
import { Resources, resourcesError } from '../../protocol/resources.js';
import { isTerminal } from '../../protocol/task-state.js';
import type { ExecutorRef } from '../../protocol/agent-api.js';
import type { AgentInfo } from '../../protocol/agent.js';
import { log, NOTHING, type Effect, type Effects } from '../effect.js';
import type { AgentMessage, MessageOf, Meta } from '../events.js';
import { newLink } from '../link.js';
import { isOldQuestion } from '../member.js';
import { admitAgent } from './admission.js';
import { addExecutor, endMissingExecutors } from './executors.js';
import { forwardKill } from './kills.js';
import { differs, readInventory, type Inventory } from './inventory.js';
import { endInvitation } from './invitations.js';
import { isOfEarlierTerm } from './earlier-terms.js';
import { lostLaunches, restoreRows } from './lost-rows.js';
import { agentWrite, persist, type AgentRow, type MasterState, type TaskRow } from './master-state.js';
import { wantAllocation, withdrawOffers } from './offers.js';
import { beginSession, toAgentOf } from './send.js';
import { markUnreachable } from './silence.js';
import { isRemoved, isStored, type Removed, type Stored } from './stored.js';
import { moveTask, statusByMaster } from './tasks.js';

type Register = MessageOf<AgentMessage, 'agent.REGISTER'>;
type Reregister = MessageOf<AgentMessage, 'agent.REREGISTER'>;

export function newAgentRow(agentId: string, principal: string, info: AgentInfo): AgentRow {
  return {
    agentId,
    principal,
    info,
    version: '',
    state: 'RECOVERED',
    stored: false,
    total: Resources.of(info.resources ?? []),
    tasks: new Map(),
    executors: new Map(),
    offers: new Map(),
    link: newLink(),
    missedHeartbeats: 0,
    invitedAtMs: -Infinity,
    arrivalId: '',
    registeredAtMs: undefined,
    reregisteredAtMs: undefined,
    unreachableAtMs: undefined,
    unreachableStored: false,
  };
}

/** A new agent. A principal that is known already keeps its id: an agent that lost its answer asks again. Rule: AGT-1. */
export function onRegister(state: MasterState, { meta, body, now }: Register): Effects {
  const wrong = resourcesError(body.agentInfo.resources ?? []) ?? sizeError(body.agentInfo);
  if (wrong !== undefined) return [log('warn', 'agent refused', { principal: meta.principal, wrong })];
  const known = state.agentsByPrincipal.get(meta.principal);
  if (known?.state === 'ADMITTING' || (known !== undefined && isOldQuestion(meta.id, known.arrivalId))) return NOTHING;
  const agentId = known?.agentId ?? agentIdOf(state.masterId, ++state.counters.agent);
  return admitAndAnswer(
    state,
    agentId,
    { meta, now, agentInfo: body.agentInfo, version: body.version, executors: [] },
    'REGISTERED',
  );
}

/** A known agent with a digest of what it runs, or with what differs. Rules: AGT-2, AGT-8, LNK-6. */
export function onReregister(state: MasterState, event: Reregister): Effects {
  const { meta, body, now } = event;
  const { agentId, version } = body;
  const told = body.differing?.agentInfo;
  const wrong = told === undefined ? undefined : (resourcesError(told.resources ?? []) ?? sizeError(told));
  if (wrong !== undefined) return [log('warn', 'agent refused', { principal: meta.principal, wrong })];
  const agent = state.agents.get(agentId);
  if (agent !== undefined && agent.principal !== meta.principal)
    return [log('warn', 'agent id of another principal', { agentId, principal: meta.principal })];
  if (agent?.state === 'ADMITTING' || (agent !== undefined && isOldQuestion(meta.id, agent.arrivalId))) return NOTHING;
  // Agents of this term are known until it ends; under an id that is still to be minted another would meet it later.
  if (agent === undefined && !isOfEarlierTerm(state, agentId))
    return [log('warn', 'agent id that was never minted', { agentId, principal: meta.principal })];
  const inventory = readInventory(state, body, meta.epoch);
  if (inventory === undefined) return [differs(state, body, meta)];
  const { executors = [] } = body;
  const lost = { launches: lostLaunches(state, inventory), executors: inventory.lostExecutors, running: executors };
  if (lost.launches.length + lost.executors.length > 0)
    return restoreRows(state, agentId, lost, (current, later) => onReregister(current, { ...event, now: later }));
  const effects: Effect[] = [];
  for (const [launchId, known] of inventory.launches) {
    const row = state.tasks.get(launchId);
    if (row?.agentId !== agentId) continue;
    row.updateWaits = known.updateWaits;
    effects.push(...moveTask(state, row, known.state, now));
  }
  const { agentInfo } = inventory;
  const arrival = { meta, now, agentInfo, version, inventory, executors };
  return [...effects, ...admitAndAnswer(state, agentId, arrival, 'REREGISTERED')];
}

interface Arrival {
  readonly meta: Meta;
  readonly now: number;
  readonly agentInfo: AgentInfo;
  readonly version: string;
  readonly inventory?: Inventory;
  /** What it runs of them. */
  readonly executors: readonly ExecutorRef[];
}

/** Stores the agent's record if it says something new, then answers. Rules: AGT-1, REG-3. */
function admitAndAnswer(
  state: MasterState,
  agentId: string,
  arrival: Arrival,
  answer: 'REGISTERED' | 'REREGISTERED',
): Effects {
  const { meta, agentInfo, version } = arrival;
  let agent = state.agents.get(agentId);
  const isNew = agent === undefined;
  let replaced: Effects = NOTHING;
  if (agent === undefined) {
    agent = newAgentRow(agentId, meta.principal, agentInfo);
    state.agents.set(agentId, agent);
    // The registry may have lost its row alone.
    for (const task of state.tasks.values()) if (task.agentId === agentId) agent.tasks.set(task.launchId, task);
    for (const executor of state.executors.values())
      if (executor.agentId === agentId) addExecutor(state, agent, executor);
  }
  const before = state.agentsByPrincipal.get(meta.principal);
  if (before !== agent) {
    state.agentsByPrincipal.set(meta.principal, agent);
    state.formerAgents.delete(agent);
    if (before !== undefined) {
      state.formerAgents.add(before);
      replaced = markUnreachable(state, before, arrival.now);
    }
  }
  agent.version = version;
  agent.arrivalId = meta.id;
  const isSame = JSON.stringify(agent.info) === JSON.stringify(agentInfo) && agent.unreachableAtMs === undefined;
  if (isStored(agent) && isSame) return [...replaced, ...welcome(state, agent, arrival, answer)];
  agent.info = agentInfo;
  const back = agent.state;
  if (isNew) agent.state = 'ADMITTING';
  const admission = persist(state, [agentWrite(agent)], (_state, _now, { stored }) => {
    if (agent.state === 'ADMITTING') agent.state = back;
    return welcome(state, stored(agent), arrival, answer);
  });
  return [...replaced, ...admission];
}

/** Begins the session and says what the registry has for the agent; from here on it gets offers. Rules: AGT-2, LCH-2, LCH-3. */
function welcome(
  state: MasterState,
  agent: Stored<AgentRow>,
  { meta, now, inventory, executors }: Arrival,
  answer: string,
): Effects {
  const effects: Effect[] = [...endInvitation(state, agent.agentId, now)];
  beginSession(state, agent);
  const heartbeatIntervalMs = state.config.timings.heartbeatIntervalMs;
  const { agentId } = agent;
  if (answer === 'REGISTERED' && agent.tasks.size === 0) {
    effects.push(toAgentOf(agent, state, agent, 'REGISTERED', { agentId, heartbeatIntervalMs }, meta.id));
  } else {
    // Not those whose deletion is on its way: their end is acknowledged, and asked for again it could only be told otherwise.
    const launches = [...agent.tasks.values()]
      .filter(isStored)
      .filter((task) => !task.deleting && inventory?.launches.has(task.launchId) !== true)
      .map(launchRef);
    effects.push(toAgentOf(agent, state, agent, 'REREGISTERED', { agentId, heartbeatIntervalMs, launches }, meta.id));
  }
  agent.registeredAtMs ??= now;
  agent.reregisteredAtMs = now;
  effects.push(...withdrawOffers(state, agent.offers.values(), now));
  enlist(state, agent);
  effects.push(...endMissingExecutors(state, agentId, executors, now));
  const wasUnreachable = agent.unreachableStored;
  agent.state = 'REGISTERED';
  agent.unreachableAtMs = undefined;
  agent.unreachableStored = false;
  for (const task of agent.tasks.values()) {
    effects.push(...forwardKill(state, task));
    const isOfRemoved = state.frameworks.get(task.frameworkId)?.removalStored === true;
    // One that the agent does not name is still unreachable here: the agent answers for it itself.
    if (wasUnreachable && !isOfRemoved && !isTerminal(task.state) && task.state !== 'TASK_UNREACHABLE')
      effects.push(...statusByMaster(state, task, task.state, 'REASON_AGENT_REREGISTERED', 'The agent is back.', now));
  }
  for (const framework of removedOn(state, agent, [...(inventory?.told.values() ?? []), ...executors])) {
    const { frameworkId } = framework;
    effects.push(toAgentOf(framework, state, agent, 'SHUTDOWN_FRAMEWORK', { frameworkId }));
  }
  wantAllocation(state, now);
  return [...effects, ...forgetFormer(state, agent, now)];
}

/**
 * One row for each principal: those under which it came before go, unless tasks are on them. 1. A principal names an id that nobody knows,
 * and gets a row, for the registry may have lost it. 2. It names another, and another. 3. Without this there would be a row of each, for
 * ever. An id of this term stays until the next one, lest another principal takes it. Rule: AGT-10.
 */
function forgetFormer(state: MasterState, { principal }: AgentRow, now: number): Effects {
  const effects: Effect[] = [];
  for (const row of state.formerAgents) {
    if (row.principal !== principal || row.tasks.size > 0 || !isOfEarlierTerm(state, row.agentId)) continue;
    const { agentId } = row;
    state.formerAgents.delete(row);
    // What has no task there is nobody's loss, but its row would keep its framework's for ever.
    effects.push(...endMissingExecutors(state, agentId, [], now));
    state.agents.delete(agentId);
    state.allocator.removeAgent(agentId);
    effects.push(log('warn', 'an agent came under another id: its former row goes', { agentId, principal }));
    effects.push(...persist(state, [{ key: registryKey('agent', agentId) }], () => NOTHING));
  }
  return effects;
}

/** Removed frameworks of which an agent has something, by our rows or by its own word (`told`). */
function removedOn(
  state: MasterState,
  agent: AgentRow,
  told: readonly { readonly frameworkId: string }[],
): ReadonlySet<Removed> {
  const removed = new Set<Removed>();
  for (const { frameworkId } of told) {
    const framework = state.completedFrameworks.get(frameworkId);
    if (framework !== undefined && isRemoved(framework)) removed.add(framework);
  }
  for (const { frameworkId } of [...agent.tasks.values(), ...agent.executors.values()]) {
    const framework = state.frameworks.get(frameworkId);
    // Before the removal is stored it may still not come to be; once it is, the agents that are there are told.
    if (framework === undefined || !isRemoved(framework)) continue;
    // A fact of the registry alone, and the registry went back. Rule: EPO-5.
    if (!state.registryInDoubt || !framework.recovered) removed.add(framework);
  }
  return removed;
}

const launchRef = ({ frameworkId, taskId, launchId }: Stored<TaskRow>) => ({ frameworkId, taskId, launchId });

/** Gives the agent to the allocator anew: its resources may be others than before. */
function enlist(state: MasterState, agent: AgentRow): void {
  state.allocator.removeAgent(agent.agentId);
  agent.total = Resources.of(agent.info.resources ?? []);
  const held = new Map<string, Resources>();
  const hold = ({ frameworkId, resources }: { readonly frameworkId: string; readonly resources: Resources }): void => {
    const before = held.get(frameworkId);
    held.set(frameworkId, before === undefined ? resources : before.add(resources));
  };
  for (const task of agent.tasks.values()) if (!task.recovered) hold(task);
  for (const executor of agent.executors.values()) hold(executor);
  state.allocator.addAgent(agent.agentId, agent.info, agent.total, held);
}

export function onPong(state: MasterState, event: MessageOf<AgentMessage, 'agent.PONG'>): Effects {
  const admitted = admitAgent(state, event.meta, event.body.agentId, event.now);
  if ('refused' in admitted) return admitted.refused;
  admitted.agent.missedHeartbeats = 0;
  return NOTHING;
}

/** An agent that stops in order: its tasks have ended, and it gets no offers until it is back. */
export function onUnregister(state: MasterState, event: MessageOf<AgentMessage, 'agent.UNREGISTER'>): Effects {
  const admitted = admitAgent(state, event.meta, event.body.agentId, event.now);
  return 'refused' in admitted ? admitted.refused : markUnreachable(state, admitted.agent, event.now);
}

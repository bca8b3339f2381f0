/** Agents that do not answer: pinged, and marked as unreachable, slowly and not while many are silent at once. Rules: AGT-3, AGT-6, AGT-7, AGT-9. */
import { NO_SESSION } from '../../protocol/ids.js';
import { isTerminal } from '../../protocol/task-state.js';
import { log, NOTHING, type Effect, type Effects } from '../effect.js';
import { isHearing, missesTooMany } from './hearing.js';
import { endInvitation, inviteAgents } from './invitations.js';
import { agentWrite, persist, type AgentRow, type MasterState } from './master-state.js';
import { withdrawOffers } from './offers.js';
import { toAgent, toScheduler } from './send.js';
import { statusByMaster } from './tasks.js';

/** More than this part of the agents silent at once says more of the network, or of us, than of them. */
const MANY = 0.3;
/** So many time-outs later they are marked all the same. */
const PATIENCE = 10;

/** Pings each agent, invites who has not come. */
export function heartbeatAgents(state: MasterState, now: number): Effects {
  const effects: Effect[] = [];
  let isAnySilent = false;
  for (const agent of state.agents.values()) {
    if (!isAwaited(agent)) continue;
    // One that died with the last leader never comes: its tasks are not to wait for it for ever.
    if (missesTooMany(state, agent, now)) isAnySilent = true;
    if (agent.state === 'REGISTERED') effects.push(toAgent(state, agent, 'PING', {}));
  }
  effects.push(...inviteAgents(state, now));
  return isAnySilent || state.isSilenceWide ? [...effects, ...markSilent(state, now)] : effects;
}

/** Whether an agent counts among those that should be heard. */
const isAwaited = ({ state }: AgentRow): boolean => state === 'REGISTERED' || state === 'RECOVERED';

/** Marks the agent that has been silent for longest, unless many are, and comes again for the next. Rule: AGT-7. */
export function markSilent(state: MasterState, now: number): Effects {
  // Who hears nothing cannot say that others are silent. Rule: DLN-1.
  if (!isHearing(state, now)) return NOTHING;
  const { missedHeartbeats, unreachableIntervalMs } = state.config.timings;
  const awaited = [...state.agents.values()].filter(isAwaited);
  const silent = awaited.filter((agent) => agent.missedHeartbeats > missedHeartbeats);
  const isWide = silent.length > 1 && silent.length > MANY * awaited.length;
  const alarm = isWide === state.isSilenceWide ? NOTHING : [alarmOf(isWide, silent.length, awaited.length)];
  state.isSilenceWide = isWide;
  const due = silent
    .filter((agent) => !isWide || agent.missedHeartbeats > PATIENCE * missedHeartbeats)
    .sort((a, b) => b.missedHeartbeats - a.missedHeartbeats);
  const [first] = due;
  if (first === undefined) return alarm;
  if (now < state.markAgainAtMs) {
    state.deadlines.setEarliest('silent', state.markAgainAtMs);
    return alarm;
  }
  state.markAgainAtMs = now + unreachableIntervalMs;
  if (due.length > 1) state.deadlines.set('silent', state.markAgainAtMs);
  return [...alarm, ...markUnreachable(state, first, now)];
}

const alarmOf = (isWide: boolean, silent: number, agents: number): Effect =>
  isWide
    ? log('error', 'many agents are silent at once: none is marked as unreachable for now', { silent, agents })
    : log('info', 'few agents are silent now', { silent, agents });

/**
 * Its offers are withdrawn at once, and its tasks are UNREACHABLE as soon as the registry has that it is; nothing is killed.
 * 1. A scheduler is told that a task is UNREACHABLE. 2. The leader dies. 3. The agent comes to the next one, which takes it for
 * one that never was away: nobody tells the scheduler that the task is back. Rules: AGT-3, AGT-9.
 */
export function markUnreachable(state: MasterState, agent: AgentRow, now: number): Effects {
  const wasAwaited = isAwaited(agent);
  agent.state = 'UNREACHABLE';
  if (!wasAwaited) return NOTHING;
  // If it speaks on, it is asked to register: what it says counts once both sides know that it is back.
  agent.link.session = NO_SESSION;
  agent.unreachableAtMs = now;
  state.allocator.setAgentActive(agent.agentId, false);
  const { arrivalId } = agent;
  const effects: Effect[] = [log('warn', 'agent unreachable', { agentId: agent.agentId })];
  effects.push(...endInvitation(state, agent.agentId, now), ...withdrawOffers(state, agent.offers.values(), now));
  const mark = persist(state, [agentWrite(agent, now)], (current, at) => {
    // It is on its way back, or here: in the registry, too, if this mark is the later word there.
    if (agent.state === 'REGISTERED') return persist(current, [agentWrite(agent)], () => NOTHING);
    return agent.arrivalId === arrivalId ? tellUnreachable(current, agent, at) : NOTHING;
  });
  return [...effects, ...mark];
}

/**
 * The registry has it: who runs tasks there hears of it, also of a task of which only we know that it is over. Rule: AGT-9.
 * 1. An agent says of a task that it runs, and in the same word that its latest state is FINISHED. 2. Its machine burns down. 3. The
 * FINISHED itself never comes: without a word of ours its framework would wait for ever for a task that it takes for running.
 */
function tellUnreachable(state: MasterState, agent: AgentRow, now: number): Effects {
  agent.unreachableStored = true;
  const effects: Effect[] = [];
  const told = new Set<string>();
  for (const task of agent.tasks.values()) {
    told.add(task.frameworkId);
    if (isTerminal(task.status?.state ?? 'TASK_STAGING')) continue;
    if (!isTerminal(task.state)) task.state = 'TASK_UNREACHABLE';
    effects.push(
      ...statusByMaster(state, task, 'TASK_UNREACHABLE', 'REASON_AGENT_REMOVED', 'The agent does not answer.', now),
    );
  }
  for (const frameworkId of told) {
    const framework = state.frameworks.get(frameworkId);
    if (framework?.connected === true)
      effects.push(toScheduler(state, framework, 'FAILURE', { failure: { agentId: agent.agentId } }));
  }
  return effects;
}

/** A registry that went back: agents have seen a higher epoch than ours. Rules: EPO-5, EPO-6. */
import { MAX_EPOCH_AHEAD_MS } from '../../protocol/limits.js';
import { log, NOTHING, type Effect, type Effects } from '../effect.js';
import type { AgentMessage, MessageOf } from '../events.js';
import type { MasterState } from './master-state.js';
import { toAgentOf } from './send.js';
import { isRemoved } from './stored.js';

/** Agents hear a new leader all at once; what they say of its epoch gathers for this long. */
const GATHER_MS = 1_000;

/** Whether an epoch lies so far ahead that no leader can have claimed it. */
export const isOfTheFuture = (epoch: number, now: number): boolean => epoch > now + MAX_EPOCH_AHEAD_MS;

/**
 * 1. JetStream comes back with an older registry, and the epoch record in it is older, too. 2. The next leader claims an epoch above that
 * one, and above its own time, which may be behind. 3. Agents that have seen a higher epoch would ignore it for ever: they say so instead.
 */
export function onStaleEpoch(state: MasterState, event: MessageOf<AgentMessage, 'agent.STALE_EPOCH'>): Effects {
  const { meta, body, now } = event;
  const effects: Effect[] = [{ type: 'count', metric: 'stale_epoch_told' }];
  // Said of an earlier message of ours, or of another's.
  if (body.epoch <= state.epoch) return effects;
  if (isOfTheFuture(body.epoch, now)) {
    const { epoch } = body;
    if (!state.futureEpochSeen) effects.push(log('error', 'an agent names an epoch of the future', { agent: meta.principal, epoch })); // prettier-ignore
    state.futureEpochSeen = true;
    return effects;
  }
  state.toldEpochs.set(meta.principal, body.epoch);
  if (!state.deadlines.has('raise')) state.deadlines.set('raise', now + GATHER_MS);
  return effects;
}

/** Raises our number above what was told; once the watch shows it, this term ends, and the next begins above it. Rule: EPO-5. */
export function onRaiseDue(state: MasterState): Effects {
  const epoch = Math.max(0, ...state.toldEpochs.values());
  const agents = new Set([...state.agentsByPrincipal.keys(), ...state.toldEpochs.keys()]).size;
  const told = state.toldEpochs.size;
  state.toldEpochs.clear();
  if (epoch <= state.epoch) return NOTHING;
  const inDoubt = state.registryInDoubt || told * 10 >= agents;
  return [
    log('error', 'registry went back', { epoch: state.epoch, seen: epoch, told, agents, inDoubt }),
    { type: 'count', metric: 'epoch_raised' },
    { type: 'raiseEpoch', epoch, inDoubt },
  ];
}

/** An operator trusts the registry again; `answer` goes out once that is stored. Rule: EPO-5. */
export function trustRegistry(state: MasterState, answer: () => Effects): Effects {
  if (!state.registryInDoubt) return answer();
  state.trustAnswers.push(answer);
  return [{ type: 'raiseEpoch', epoch: state.epoch, inDoubt: false }];
}

/** Our epoch record as the watch has it now: what waited for an end of the doubt goes out. */
export function onOwnEpochRecord(state: MasterState, inDoubt: boolean): Effects {
  if (inDoubt || !state.registryInDoubt) return NOTHING;
  state.registryInDoubt = false;
  const effects: Effect[] = [log('info', 'the registry is trusted again')];
  for (const agent of state.agents.values()) {
    if (agent.state !== 'REGISTERED') continue;
    const held = new Set([...agent.tasks.values()].map(({ frameworkId }) => state.frameworks.get(frameworkId)));
    for (const framework of held) {
      if (framework === undefined || !isRemoved(framework)) continue;
      const { frameworkId } = framework;
      effects.push(toAgentOf(framework, state, agent, 'SHUTDOWN_FRAMEWORK', { frameworkId }));
    }
  }
  return [...effects, ...state.trustAnswers.splice(0).flatMap((answer) => answer())];
}

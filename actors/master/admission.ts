/** The gate of sessions: whose message counts, and what the others are told. Rules: LNK-1, LNK-2. */
import { errorBody } from '../../protocol/errors.js';
import { NO_SESSION } from '../../protocol/ids.js';
import { NOTHING, type Effects } from '../effect.js';
import type { Meta } from '../events.js';
import { admit } from '../link.js';
import { counterOf } from '../member.js';
import type { AgentRow, FrameworkRow, MasterState } from './master-state.js';
import { inviteAgent, inviteScheduler, toScheduler } from './send.js';

/** The row of an agent's message, if the message is next in its session; else the agent is asked to come again. Rule: LNK-1. */
export function admitAgent(
  state: MasterState,
  meta: Meta,
  agentId: string,
  now: number,
): { agent: AgentRow } | { refused: Effects } {
  const agent = state.agents.get(agentId);
  if (agent === undefined || agent.principal !== meta.principal) return { refused: NOTHING };
  const admission = admit(agent.link, meta);
  if (admission === 'ok') return { agent };
  return { refused: admission === 'repeated' ? NOTHING : inviteAgent(state, agent, now) };
}

/** Answers a scheduler that has no session (yet): on the id that it named, under session `0`. */
export function refuse(
  state: MasterState,
  meta: Meta,
  frameworkId: string,
  ...error: Parameters<typeof errorBody>
): Effects {
  const nobody = { principal: meta.principal, frameworkId, link: { session: NO_SESSION } };
  return [toScheduler(state, nobody, 'ERROR', errorBody(...error), meta.id)];
}

/** The row of a scheduler's call, if the call is next in its session; else the scheduler is told or asked to come again. Rules: LNK-1, LNK-2. */
export function admitFramework(
  state: MasterState,
  meta: Meta,
  frameworkId: string,
  now: number,
): { framework: FrameworkRow } | { refused: Effects } {
  const framework = state.frameworks.get(frameworkId);
  // Until its removal is stored it may still not come to be: silence, and the scheduler asks again.
  if (framework?.removed === true && !framework.removalStored) return { refused: NOTHING };
  if (framework === undefined || framework.removed) {
    const code = framework !== undefined || state.completedFrameworks.has(frameworkId);
    const caller = { principal: meta.principal, frameworkId, link: { session: meta.session } };
    const error = errorBody(code ? 'FRAMEWORK_REMOVED' : 'UNKNOWN_FRAMEWORK');
    return { refused: [toScheduler(state, caller, 'ERROR', error, meta.id)] };
  }
  // Nobody knows yet whose it is: whoever it is subscribes anew.
  if (framework.principal === '') return { refused: inviteScheduler(state, framework, now, meta.principal) };
  if (framework.principal !== meta.principal) return { refused: refuse(state, meta, frameworkId, 'WRONG_PRINCIPAL') };
  const admission = admit(framework.link, meta);
  if (admission === 'ok') return { framework };
  if (admission === 'repeated') return { refused: NOTHING };
  if (admission === 'stale' && framework.connected) {
    // A session of this term that is older than the instance's first one is of an instance that it has replaced. Of its
    // own earlier ones the instance may still think that it lives in them: the answer with the newer one was lost.
    const older = { principal: meta.principal, frameworkId, link: { session: meta.session } };
    if (meta.session.startsWith(`${state.masterId}-`) && counterOf(meta.session) < framework.askerSince)
      return { refused: [toScheduler(state, older, 'ERROR', errorBody('STALE_SESSION'), meta.id)] };
  }
  return { refused: inviteScheduler(state, framework, now) };
}

/** Kills: stored, passed on, and repeated until the task has ended, by every leader. Rule: KIL-1. */
import type { KillPolicy } from '../../protocol/container.js';
import { registryKey } from '../../protocol/registry.js';
import { isTerminal } from '../../protocol/task-state.js';
import { NOTHING, type Effects } from '../effect.js';
import type { MessageOf, SchedulerMessage } from '../events.js';
import { persist, type FrameworkRow, type MasterState, type TaskRow } from './master-state.js';
import { toAgent } from './send.js';
import { isAnyAway, reconcileKnown, reconcileOne, recordOf } from './tasks.js';

/** A scheduler's kill. Of a task that is unknown or over, the answer is that of a reconciliation. Rules: KIL-1, REC-1. */
export function onKill(
  state: MasterState,
  framework: FrameworkRow,
  { meta, body, now }: MessageOf<SchedulerMessage, 'scheduler.KILL'>,
): Effects {
  const { taskId, agentId, killPolicy } = body.kill;
  const task = framework.tasks.get(taskId);
  if (task === undefined) return reconcileOne(state, framework, taskId, agentId, now, isAnyAway(state));
  if (agentId !== undefined && agentId !== task.agentId) return NOTHING;
  if (isOver(task)) return reconcileKnown(state, task, now);
  return requestKill(state, task, killPolicy, meta.id);
}

/** Whether the end is known: there is nothing left to kill, and a record written now would outlive its deletion. */
export const isOver = (task: TaskRow): boolean => task.deleting || isTerminal(task.state);

/**
 * Stores a kill, then passes it on. One that changes nothing is only passed on again: what a second kill may change is
 * a grace that it shortens. `then` answers whoever asked, once the kill is stored. A task whose own record is still on
 * its way is no exception: its decision was made before, so it is stored before.
 */
export function requestKill(
  state: MasterState,
  task: TaskRow,
  killPolicy: KillPolicy | undefined,
  cause: string,
  then: () => Effects = () => NOTHING,
): Effects {
  const before = task.kill;
  const shortens = before === undefined || graceNs(state, task, killPolicy) < graceNs(state, task, before.killPolicy);
  if (before?.stored === true && !shortens) return [...forwardKill(state, task), ...then()];
  const kill = { killPolicy: shortens ? killPolicy : before.killPolicy, cause, stored: false };
  task.kill = kill;
  return persist(state, [{ key: registryKey('task', task.launchId), record: recordOf(task) }], (current) => {
    kill.stored = true;
    return [...forwardKill(current, task), ...then()];
  });
}

/** The time between SIGTERM and SIGKILL that a kill with this policy gives, in nanoseconds. */
function graceNs(state: MasterState, task: TaskRow, killPolicy: KillPolicy | undefined): number {
  const stated = killPolicy?.gracePeriod ?? task.killPolicy?.gracePeriod;
  return stated?.nanoseconds ?? state.config.timings.killGraceMs * 1e6;
}

/** Tells the agent of a kill, if the registry has both the kill and the task: the agent must not hear of it first. */
export function forwardKill(state: MasterState, task: TaskRow): Effects {
  const agent = state.agents.get(task.agentId);
  if (task.kill?.stored !== true || agent?.state !== 'REGISTERED' || !task.stored || isOver(task)) return NOTHING;
  const { frameworkId, taskId, launchId, kill } = task;
  const killPolicy = kill.killPolicy ?? task.killPolicy;
  const body = { frameworkId, taskId, launchId, ...(killPolicy && { killPolicy }) };
  return [toAgent(state, agent, 'KILL_TASK', body, kill.cause)];
}

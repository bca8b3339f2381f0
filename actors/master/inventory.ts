/** What an agent says that it runs, against what the registry has for it: by digest, and where that differs, part by part. Rules: LNK-6, LCH-2. */
import type { AgentInfo } from '../../protocol/agent.js';
import type { AgentExecutor, AgentMessageBody, AgentTask } from '../../protocol/agent-api.js';
import {
  bucketDigests,
  bucketOf,
  bucketsFor,
  byCodeUnits,
  digestOf,
  readStateByte,
  sameBytes,
  valueDigest,
} from '../../protocol/digest.js';
import { NO_SESSION } from '../../protocol/ids.js';
import type { TaskState } from '../../protocol/task.js';
import { publish, type Effect } from '../effect.js';
import type { Meta } from '../events.js';
import { isLostExecutor } from './lost-rows.js';
import type { MasterState, TaskRow } from './master-state.js';

type Reregister = AgentMessageBody<'REREGISTER'>;

/** What an agent has, once it is known to the last launch. */
export interface Inventory {
  readonly agentInfo: AgentInfo;
  /** Every launch that the agent named, by its id: its latest state there, and whether an update of it waits. */
  readonly launches: ReadonlyMap<string, { readonly state: TaskState; readonly updateWaits: boolean }>;
  /** Those of them that it told with all that makes a row. */
  readonly told: ReadonlyMap<string, AgentTask>;
  /** Executors that it runs and the registry lacks. */
  readonly lostExecutors: readonly AgentExecutor[];
}

/** The rows of an agent, whose own row the registry may have lost. */
function rowsOf(state: MasterState, agentId: string): Iterable<TaskRow> {
  const agent = state.agents.get(agentId);
  return agent?.tasks.values() ?? [...state.tasks.values()].filter((task) => task.agentId === agentId);
}

/** What the registry has for an agent. Of a row that is not stored yet no agent can have heard. */
function launchIdsOf(state: MasterState, agentId: string): string[] {
  const launchIds: string[] = [];
  for (const { stored, launchId } of rowsOf(state, agentId)) if (stored) launchIds.push(launchId);
  return launchIds;
}

/**
 * Reads an agent's list: what it tells of the parts that differ, and what we have of all others. `undefined` when that
 * does not add up to its digest.
 *
 * What differs must have been said in our term. 1. An agent asks to register, and the question is held up. 2. Its launch
 * ends under a leader before us, and is acknowledged and deleted. 3. The question arrives and says that it runs.
 */
export function readInventory(state: MasterState, body: Reregister, epoch: number): Inventory | undefined {
  const { agentId, digest, states, differing } = body;
  if (differing !== undefined && epoch !== state.epoch) return undefined;
  const agentInfo = differing?.agentInfo ?? state.agents.get(agentId)?.info;
  if (agentInfo === undefined || !sameBytes(valueDigest(agentInfo), digest.info)) return undefined;
  const told = new Map(differing?.launches.map((launch) => [launch.launchId, launch]));
  const isTold = new Set(differing?.buckets);
  const agreed = launchIdsOf(state, agentId).filter(
    (launchId) => differing === undefined || !isTold.has(bucketOf(launchId, differing.of)),
  );
  const lostExecutors = (differing?.executors ?? []).filter((executor) => isLostExecutor(state, executor));
  if (lostExecutors.length !== lackingExecutors(state, body)) return undefined;
  const launchIds = [...new Set([...agreed, ...told.keys()])].sort(byCodeUnits);
  if (launchIds.length !== states.length || !sameBytes(digestOf(launchIds), digest.launches)) return undefined;
  const launches = new Map<string, { state: TaskState; updateWaits: boolean }>();
  for (const [i, launchId] of launchIds.entries()) {
    const known = readStateByte(states[i] as number);
    if (known === undefined) return undefined;
    launches.set(launchId, known);
  }
  return { agentInfo, launches, told, lostExecutors };
}

/** How many of the executors that an agent names the registry has lost. */
const lackingExecutors = (state: MasterState, { executors = [] }: Reregister): number =>
  executors.filter((executor) => isLostExecutor(state, executor)).length;

/** Says what the registry has, part by part. The agent has no session yet. Rule: LNK-6. */
export function differs(state: MasterState, question: Reregister, meta: Meta): Effect {
  const { agentId, digest, states } = question;
  const launchIds = launchIdsOf(state, agentId);
  const info = state.agents.get(agentId)?.info;
  const body = {
    wantsInfo: info === undefined || !sameBytes(valueDigest(info), digest.info),
    wantsExecutors: lackingExecutors(state, question) > 0,
    buckets: bucketDigests(launchIds, bucketsFor(Math.max(launchIds.length, states.length))),
  };
  const parameters = { principal: meta.principal, agentId, sessionId: NO_SESSION };
  const head = { session: NO_SESSION, epoch: state.epoch, cause: meta.id };
  return publish({ row: 'agentMaster', parameters }, 'DIFFERS', body, head);
}

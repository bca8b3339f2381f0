/** A principal that says, in its own session, what fits its schema and is not true: nobody but the speaker may be hurt. Rule: SIM-13. */
import type { AgentRow, FrameworkRow, MasterState } from '../../actors/master/master-state.js';
import { encodeMessage } from '../../protocol/codec.js';
import { uuidOf } from '../../protocol/ids.js';
import { buildSubject } from '../../protocol/subjects.js';
import type { SeededRandom } from './seeded-random.js';
import { CLUSTER, type SimCluster } from './sim-cluster.js';
import { Incarnation } from './virtual-clock.js';

interface Lie {
  readonly type: string;
  readonly body: unknown;
}

/** Ids and lists that nobody has reason to send. */
const STRANGE = ['x', '*', '0', 'T'.repeat(255), 'a=2Eb.c'];
const LONG_LIST = 5_000;

/**
 * Lets one agent or scheduler lie to the leader, as the next message of its session, and die of it: what it would have said under the
 * same number is lost.
 */
export function tellLie(cluster: SimCluster, random: SeededRandom): void {
  const [leader] = cluster.leaders();
  const speakers = [...cluster.agents, ...cluster.schedulers].filter((node) => node.isUp && !node.isPaused);
  if (leader === undefined || speakers.length === 0) return;
  const node = random.pick(speakers);
  const state = cluster.masterState(leader);
  const isAgent = node.role === 'agent';
  const rows: readonly (AgentRow | FrameworkRow)[] = [...(isAgent ? state.agents : state.frameworks).values()];
  const row = rows.find(({ principal }) => principal === node.name);
  if (row === undefined) return;
  const lie = isAgent ? lieOfAgent(state, row as AgentRow, random) : lieOfScheduler(state, row as FrameworkRow, random);
  const life = new Incarnation('liar', 1);
  const connection = cluster.network.connect({ name: `${node.name}/liar`, incarnation: life, inboxPrefix: 'x' });
  const { session, seen } = row.link;
  const head = { sender: node.name, session, epoch: state.epoch, id: `${node.name}-x${random.integer(1, 1e9)}` };
  const to = { row: isAgent ? 'masterAgent' : 'masterScheduler', parameters: { principal: node.name } } as const;
  let sequence = seen;
  for (const part of encodeMessage({ ...head, ...lie }, () => ++sequence))
    connection.publish(buildSubject(CLUSTER, to, lie.type), part);
  life.end();
  node.crash('has lied');
}

/** Something of another agent: a task of it, as a status would name it. */
function others(state: MasterState, agentId: string, random: SeededRandom) {
  const other = [...state.agents.keys()].find((each) => each !== agentId) ?? agentId;
  const task = [...state.tasks.values()].find((each) => each.agentId !== agentId);
  return {
    agentId: task?.agentId ?? other,
    frameworkId: task?.frameworkId ?? random.pick(STRANGE),
    taskId: task?.taskId ?? random.pick(STRANGE),
    launchId: task?.launchId ?? random.pick(STRANGE),
  };
}

function lieOfAgent(state: MasterState, { agentId }: AgentRow, random: SeededRandom): Lie {
  const other = others(state, agentId, random);
  const { frameworkId, taskId, launchId } = other;
  const uuid = uuidOf(random.next(), random.integer(1, 1e6));
  const status = { taskId, launchId, state: 'TASK_FAILED', uuid, source: 'SOURCE_EXECUTOR' };
  const update = (as: string, named: string) => ({
    type: 'STATUS_UPDATE',
    body: { agentId: as, frameworkId, status: { ...status, agentId: named }, latestState: 'TASK_FAILED' },
  });
  return random.pick<Lie>([
    update(agentId, agentId),
    update(other.agentId, other.agentId),
    update(agentId, other.agentId),
    { type: 'PONG', body: { agentId: other.agentId } },
    { type: 'UNREGISTER', body: { agentId: other.agentId } },
    { type: 'STALE_EPOCH', body: { agentId, epoch: Number.MAX_SAFE_INTEGER } },
  ]);
}

function lieOfScheduler(state: MasterState, { frameworkId, principal, info }: FrameworkRow, random: SeededRandom): Lie {
  const task = [...state.tasks.values()].find((each) => each.frameworkId !== frameworkId);
  const offer = [...state.offers.values()].find((each) => each.frameworkId !== frameworkId);
  const other = [...state.frameworks.values()].find((each) => each.principal !== principal);
  const { taskId, agentId, launchId } = task ?? { taskId: random.pick(STRANGE), agentId: 'nobody', launchId: 'none' };
  const otherId = other?.frameworkId ?? random.pick(STRANGE);
  const uuid = uuidOf(random.next(), random.integer(1, 1e6));
  const tasks = Array.from({ length: LONG_LIST }, (_, i) => ({ taskId: `${taskId}-${i}`.slice(-200), agentId }));
  return random.pick<Lie>([
    { type: 'ACKNOWLEDGE', body: { frameworkId, acknowledge: { agentId, taskId, uuid, launchId } } },
    { type: 'ACKNOWLEDGE', body: { frameworkId: otherId, acknowledge: { agentId, taskId, uuid, launchId } } },
    { type: 'KILL', body: { frameworkId, kill: { taskId, agentId } } },
    { type: 'KILL', body: { frameworkId: otherId, kill: { taskId, agentId } } },
    { type: 'TEARDOWN', body: { frameworkId: otherId } },
    { type: 'DECLINE', body: { frameworkId, decline: { offerIds: [offer?.offerId ?? 'none'] } } },
    { type: 'ACCEPT', body: { frameworkId, accept: { offerIds: [offer?.offerId ?? 'none'], operations: [] } } },
    { type: 'RECONCILE', body: { frameworkId, reconcile: { tasks } } },
    { type: 'SUBSCRIBE', body: { frameworkId: otherId, subscribe: { frameworkInfo: { ...info, id: otherId } } } },
  ]);
}

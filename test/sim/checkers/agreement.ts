/**
 * SIM-13: after healing, registry, master and agents agree: nothing runs, nothing is stored of what ran, all resources are free.
 * Of a machine that is gone for good is left what nobody can say more of.
 */
import type { FrameworkRow, MasterState } from '../../../actors/master/master-state.js';
import { registryKey } from '../../../protocol/registry.js';
import { isAgentGone, type Checker, type Scene } from './checker.js';

const few = (ids: Iterable<string>): string => [...ids].slice(0, 3).join(', ');

/** What is left that should not be, in words; empty when all agree. */
export function disagreements(scene: Scene): string[] {
  const { cluster, workloads } = scene;
  const wrong: string[] = [];
  for (const node of cluster.nodes) if (!node.isUp && !node.isDone) wrong.push(`${node.name} is down`);
  for (const [name, own] of workloads) if (!own.tornDown) wrong.push(`${name} works on: ${own.waiting.length} wait, ${own.running.size} run (${few(own.running.keys())})`); // prettier-ignore
  wrong.push(...leftInRegistry(scene));
  const leaders = cluster.leaders();
  if (leaders.length !== 1) wrong.push(`${leaders.length} masters lead`);
  for (const node of leaders) wrong.push(...leftInMaster(scene, cluster.masterState(node)));
  for (const node of cluster.agents) {
    if (!node.isUp) continue;
    const { launches } = cluster.agentState(node);
    if (launches.size > 0) wrong.push(`${node.name} keeps ${few(launches.keys())}`);
  }
  for (const [name, { processes }] of cluster.machines)
    if (processes.live().length > 0) wrong.push(`${name} runs ${few(processes.live())}`);
  return wrong;
}

function leftInRegistry(scene: Scene): string[] {
  const wrong: string[] = [];
  const waitFor = new Set<string>();
  for (const [key, value] of scene.registry) {
    if (!key.startsWith('task.')) continue;
    const { agentId, frameworkId } = value as { agentId: string; frameworkId: string };
    if (isAgentGone(scene, agentId)) waitFor.add(registryKey('framework', frameworkId));
    else wrong.push(`${key} is stored`);
  }
  for (const [key, value] of scene.registry) {
    if (key.startsWith('agent.') || key.startsWith('task.') || key === 'epoch') continue;
    if (!waitFor.has(key) || (value as { removed?: boolean }).removed !== true) wrong.push(`${key} is stored`);
  }
  return wrong;
}

function leftInMaster(scene: Scene, state: MasterState): string[] {
  const wrong: string[] = [];
  const left = (what: string, ids: readonly string[]): void => {
    if (ids.length > 0) wrong.push(`the master has ${what}: ${few(ids)}`);
  };
  const isWaitedFor = ({ removed, tasks }: FrameworkRow): boolean =>
    removed && tasks.size > 0 && [...tasks.values()].every(({ agentId }) => isAgentGone(scene, agentId));
  left('tasks', [...state.tasks.values()].filter(({ agentId }) => !isAgentGone(scene, agentId)).map(({ launchId }) => launchId)); // prettier-ignore
  left('offers', [...state.offers.keys()]);
  left('frameworks', [...state.frameworks.values()].filter((row) => !isWaitedFor(row)).map(({ frameworkId }) => frameworkId)); // prettier-ignore
  if (state.registryInDoubt) wrong.push('the registry is in doubt');
  left('writes', [...state.writes.keys()].map(String));
  const known = [...state.agents.values()];
  const there = known.filter(({ agentId }) => !isAgentGone(scene, agentId));
  const expected = scene.cluster.agents.filter(({ isDone }) => !isDone).length;
  if (there.length !== expected) wrong.push(`the master knows ${there.length} of ${expected} agents`);
  for (const { agentId, state: is, total } of known) {
    if (!scene.registry.has(registryKey('agent', agentId))) wrong.push(`${agentId} is not stored`);
    if (isAgentGone(scene, agentId)) {
      if (is !== 'UNREACHABLE') wrong.push(`${agentId} is ${is} and gone`);
    } else if (is !== 'REGISTERED') wrong.push(`${agentId} is ${is}`);
    else if (!state.allocator.free(agentId).equals(total)) wrong.push(`${agentId} is not free`);
  }
  return wrong;
}

export function agreement(scene: Scene): Checker {
  return {
    rules: ['SIM-13'],
    atEnd: () => {
      const [first, ...others] = disagreements(scene);
      if (first !== undefined) scene.fail('SIM-13', [first, ...others].join('; '));
      for (const [name, own] of scene.workloads)
        if (own.plan.tearDownAfterMs === undefined && !own.expired && own.finals.size !== own.plan.tasks.length)
          scene.fail('SIM-13', `${name} knows the end of ${own.finals.size} of ${own.plan.tasks.length} tasks`);
    },
  };
}

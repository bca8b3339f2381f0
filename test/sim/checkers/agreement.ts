/** SIM-13: after healing, registry, master and agents agree: nothing runs, nothing is stored of what ran, all resources are free. */
import type { MasterState } from '../../../actors/master/master-state.js';
import type { Checker, Scene } from './checker.js';

/** What is left that should not be, in words; empty when all agree. */
export function disagreements({ cluster, registry, workloads }: Scene): string[] {
  const wrong: string[] = [];
  for (const node of cluster.nodes) if (!node.isUp && !node.isDone) wrong.push(`${node.name} is down`);
  for (const [name, own] of workloads) if (!own.tornDown) wrong.push(`${name} works on: ${own.waiting.length} wait, ${own.running.size} run (${[...own.running.keys()].slice(0, 3).join(', ')})`); // prettier-ignore
  for (const key of registry.keys()) if (!key.startsWith('agent.') && key !== 'epoch') wrong.push(`${key} is stored`);
  const leaders = cluster.leaders();
  if (leaders.length !== 1) wrong.push(`${leaders.length} masters lead`);
  for (const node of leaders) wrong.push(...leftInMaster(cluster.masterState(node), registry, cluster.agents.length));
  for (const node of cluster.agents) {
    if (!node.isUp) continue;
    const { launches } = cluster.agentState(node);
    if (launches.size > 0) wrong.push(`${node.name} keeps ${[...launches.keys()].slice(0, 3).join(', ')}`);
  }
  for (const [name, { processes }] of cluster.machines)
    if (processes.live().length > 0) wrong.push(`${name} runs ${processes.live().slice(0, 3).join(', ')}`);
  return wrong;
}

function leftInMaster(state: MasterState, registry: ReadonlyMap<string, unknown>, agents: number): string[] {
  const wrong: string[] = [];
  for (const what of ['tasks', 'offers', 'frameworks', 'writes'] as const)
    if (state[what].size > 0) wrong.push(`the master has ${what}: ${[...state[what].keys()].slice(0, 3).join(', ')}`);
  const known = [...state.agents.values()];
  if (known.length !== agents) wrong.push(`the master knows ${known.length} of ${agents} agents`);
  for (const { agentId, state: is, total } of known) {
    if (!registry.has(`agent.${agentId}`)) wrong.push(`${agentId} is not stored`);
    if (is !== 'REGISTERED') wrong.push(`${agentId} is ${is}`);
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
        if (own.plan.tearDownAfterMs === undefined && own.finals.size !== own.plan.tasks.length)
          scene.fail('SIM-13', `${name} knows the end of ${own.finals.size} of ${own.plan.tasks.length} tasks`);
    },
  };
}

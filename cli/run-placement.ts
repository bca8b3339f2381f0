/** Why a task finds no place, with numbers. Pure. Rule: RUN-5. */
import type { AgentView } from '../protocol/operator-api.js';
import { fromThousandths, Resources } from '../protocol/resources.js';
import { sizeOfRanges } from '../protocol/ranges.js';
import { quantitiesOf, type RunRequest } from './run-scheduler.js';
import { megabytes, shortResources } from './format.js';

type Wanted = Pick<RunRequest, 'cpus' | 'mem' | 'disk' | 'ports'>;

const amountOf = (name: string, amount: number): string => {
  if (name === 'mem') return `${megabytes(amount)} of memory`;
  if (name === 'disk') return `${megabytes(amount)} of disk`;
  return `${amount} ${amount === 1 && name.endsWith('s') ? name.slice(0, -1) : name}`;
};

const totalOf = (agent: AgentView, name: string): number => {
  const total = Resources.of(agent.totalResources);
  return name === 'ports' ? sizeOfRanges(total.ranges('ports')) : fromThousandths(total.scalar(name));
};

/** A sentence when no agent could ever run such a task, be it idle; `undefined` when one could. */
export function neverPlaceable(wanted: Wanted, agents: readonly AgentView[]): string | undefined {
  const quantities = quantitiesOf(wanted);
  const fits = (agent: AgentView): boolean =>
    Resources.of(agent.totalResources).take(quantities, wanted.ports) !== undefined;
  if (agents.length === 0 || agents.some(fits)) return undefined;
  const needs: [string, number][] = [...quantities].map(([name, thousandths]) => [name, fromThousandths(thousandths)]);
  if (wanted.ports > 0) needs.push(['ports', wanted.ports]);
  for (const [name, need] of needs) {
    const best = agents.reduce((a, b) => (totalOf(b, name) > totalOf(a, name) ? b : a));
    const most = totalOf(best, name);
    if (most < need)
      return `No agent has ${amountOf(name, need)} in total: the most is ${amountOf(name, most)}, on ${best.principal}.`;
  }
  const all = needs.map(([name, need]) => amountOf(name, need)).join(' and ');
  const totals = agents.map(({ principal, totalResources }) => `${principal} has ${shortResources(totalResources)}`);
  return `No agent has ${all} in total at once: ${totals.join(', ')}.`;
}

/** What is free at present: a phrase for those who wait. */
export function freeNow(agents: readonly AgentView[]): string {
  const active = agents.filter((agent) => agent.active);
  if (active.length === 0) return 'no agent is registered';
  const free = active.map((agent) => {
    const used = Resources.of(agent.allocatedResources)
      .unallocate()
      .add(Resources.of(agent.offeredResources).unallocate());
    const rest = Resources.of(agent.totalResources)
      .subtract(used)
      .filter(({ name }) => name === 'cpus' || name === 'mem');
    return `${agent.principal} ${shortResources(rest.toArray())}`;
  });
  return `free now: ${free.join(', ')}`;
}

/**
 * ALC-1: of each agent, in every leading master, what is free and what frameworks hold is its total, and nothing is negative.
 * What frameworks hold is what they are offered and what their tasks use; no resource is in two offers.
 */
import type { AgentRow, MasterState } from '../../../actors/master/master-state.js';
import { Resources } from '../../../protocol/resources.js';
import type { Checker, Scene, Step } from './checker.js';

/** Events after which nothing of it can be another. */
const IDLE = new Set(['peer.LOOPBACK', 'probe.PROBE', 'agent.PONG', 'scheduler.HEARTBEAT', 'LEASE_ENTRY', 'REGISTRY_ENTRY', 'LEASE_ANSWERED']); // prettier-ignore
/** The sums over tasks and offers are made after each so many steps, and whenever there are offers. */
const DEEP_EVERY = 32;

const portsOf = (resources: Resources): number =>
  resources.ranges('ports').reduce((sum, { begin, end }) => sum + end - begin + 1, 0);

/** What is compared: thousandths of cpus and mem, and a number of ports. */
class Amount {
  cpus = 0;
  mem = 0;
  ports = 0;

  add(resources: Resources): this {
    this.cpus += resources.scalar('cpus');
    this.mem += resources.scalar('mem');
    this.ports += portsOf(resources);
    return this;
  }

  equals({ cpus, mem, ports }: Amount): boolean {
    return this.cpus === cpus && this.mem === mem && this.ports === ports;
  }

  toString(): string {
    return `${this.cpus} mcpus, ${this.mem} kB, ${this.ports} ports`;
  }
}

export function conservation(scene: Scene): Checker {
  let steps = 0;
  const check = (state: MasterState, deep: boolean): void => {
    for (const agent of state.agents.values()) {
      if (agent.state !== 'REGISTERED' && agent.state !== 'UNREACHABLE') continue;
      if (agent.reregisteredAtMs === undefined) continue;
      const wrong = shallow(state, agent) ?? (deep ? held(state, agent) : undefined);
      if (wrong !== undefined) scene.fail('ALC-1', `${agent.agentId}: ${wrong}`);
    }
  };
  return {
    rules: ['ALC-1'],
    onStep: ({ node, event, effects }: Step) => {
      if (node.role !== 'master' || IDLE.has(event.type) || !scene.cluster.isLeading(node)) return;
      const offers = effects.some((effect) => effect.type === 'publish' && effect.message === 'OFFERS');
      check(scene.cluster.masterState(node), offers || ++steps % DEEP_EVERY === 0);
    },
    atEnd: () => {
      for (const node of scene.cluster.leaders()) check(scene.cluster.masterState(node), true);
    },
  };
}

/** A new leader may hold too much for a while: it counts tasks that had ended, whose resources the old one gave away, until the agent says so. */
function shallow({ allocator }: MasterState, { agentId, total }: AgentRow): string | undefined {
  const free = new Amount().add(allocator.free(agentId));
  const held = new Amount();
  for (const resources of allocator.held(agentId).values()) held.add(resources);
  const rest = new Amount().add(total);
  for (const name of ['cpus', 'mem', 'ports'] as const) rest[name] = Math.max(0, rest[name] - held[name]);
  return free.equals(rest) ? undefined : `free are ${free}, held ${held}, the total is ${total}`;
}

function held({ allocator }: MasterState, agent: AgentRow): string | undefined {
  const used = new Map<string, Amount>();
  const of = (frameworkId: string): Amount => {
    const amount = used.get(frameworkId) ?? new Amount();
    used.set(frameworkId, amount);
    return amount;
  };
  let offered = Resources.empty;
  let offeredPorts = 0;
  for (const { frameworkId, resources } of agent.offers.values()) {
    of(frameworkId).add(resources);
    offered = offered.add(resources);
    offeredPorts += portsOf(resources);
  }
  if (portsOf(offered) !== offeredPorts) return 'a port is in two offers';
  for (const task of agent.tasks.values()) if (!task.recovered) of(task.frameworkId).add(task.resources);
  for (const executor of agent.executors.values()) of(executor.frameworkId).add(executor.resources);
  const holdings = allocator.held(agent.agentId);
  for (const frameworkId of new Set([...used.keys(), ...holdings.keys()])) {
    const amount = new Amount().add(holdings.get(frameworkId) ?? Resources.empty);
    if (!amount.equals(of(frameworkId)))
      return `${frameworkId} holds ${amount}, its offers and tasks are ${of(frameworkId)}`;
  }
  return undefined;
}

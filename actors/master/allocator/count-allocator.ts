/** Shares by count in role `*`: whole leftovers of an agent go to the framework that holds the fewest cpus. */
import type { AgentInfo } from '../../../protocol/agent.js';
import type { FrameworkInfo } from '../../../protocol/framework.js';
import type { Timings } from '../../../protocol/limits.js';
import type { Request } from '../../../protocol/offer.js';
import { Resources } from '../../../protocol/resources.js';
import { invariant } from '../../invariant.js';
import type { Allocator, Grant, Holdings, Quota, Refusal } from './allocator.js';

/** Below both of these, in thousandths, what is free on an agent is a crumb and is not offered. */
const MIN_CPUS = 10;
const MIN_MEM = 32_000;

const ROLE = '*';

interface Agent {
  readonly total: Resources;
  free: Resources;
  readonly held: Map<string, Resources>;
  active: boolean;
  /** It came back with less than its tasks use: what is free must be counted anew with each return. */
  readonly over: boolean;
}

interface Framework {
  active: boolean;
  suppressed: boolean;
  /** What it holds in all, in thousandths of a cpu, then of a megabyte: the smaller comes first. */
  cpus: number;
  mem: number;
}

/** Why an agent is not offered to a framework for now. */
interface Damper {
  /** The same is not offered again before this, unless more is free: the filter's end, or that of the pause. Rule: ALC-4. */
  untilMs: number;
  /** End of the pause alone. */
  pausedUntilMs: number;
  /** Width of the last pause; doubles while offers come back unused. */
  pauseMs: number;
  /** What was offered or refused last. */
  resources: Resources;
}

export class CountAllocator implements Allocator {
  readonly #agents = new Map<string, Agent>();
  readonly #frameworks = new Map<string, Framework>();
  /** By framework, then by agent. */
  readonly #dampers = new Map<string, Map<string, Damper>>();
  readonly #timings: Pick<Timings, 'offerDampMs' | 'offerDampMaxMs'>;

  constructor(timings: Pick<Timings, 'offerDampMs' | 'offerDampMaxMs'>) {
    this.#timings = timings;
  }

  addAgent(agentId: string, _info: AgentInfo, total: Resources, held: Holdings): void {
    invariant(!this.#agents.has(agentId), `agent ${agentId} is added once`);
    let used = Resources.empty;
    const mine = new Map<string, Resources>();
    for (const [frameworkId, resources] of held) {
      const plain = resources.unallocate();
      if (plain.isEmpty) continue;
      used = used.add(plain);
      mine.set(frameworkId, plain);
      this.#charge(frameworkId, plain, 1);
    }
    const over = !total.contains(used);
    this.#agents.set(agentId, { total, free: total.subtract(used), held: mine, active: true, over });
  }

  removeAgent(agentId: string): void {
    const agent = this.#agents.get(agentId);
    if (agent === undefined) return;
    for (const [frameworkId, resources] of agent.held) this.#charge(frameworkId, resources, -1);
    // What was refused of it stays refused: an agent that comes back is removed and added anew.
    this.#agents.delete(agentId);
  }

  setAgentActive(agentId: string, active: boolean): void {
    const agent = this.#agents.get(agentId);
    if (agent !== undefined) agent.active = active;
  }

  addFramework(frameworkId: string, info: FrameworkInfo, suppressedRoles: readonly string[]): void {
    invariant(!this.#frameworks.has(frameworkId), `framework ${frameworkId} is added once`);
    let cpus = 0;
    let mem = 0;
    for (const agent of this.#agents.values()) {
      const resources = agent.held.get(frameworkId);
      cpus += resources?.scalar('cpus') ?? 0;
      mem += resources?.scalar('mem') ?? 0;
    }
    this.#frameworks.set(frameworkId, { active: false, suppressed: isSuppressed(info, suppressedRoles), cpus, mem });
    this.#dampers.set(frameworkId, new Map());
  }

  updateFramework(frameworkId: string, info: FrameworkInfo, suppressedRoles: readonly string[]): void {
    this.#framework(frameworkId).suppressed = isSuppressed(info, suppressedRoles);
  }

  removeFramework(frameworkId: string): void {
    for (const [agentId, agent] of this.#agents)
      invariant(!agent.held.has(frameworkId), `framework ${frameworkId} still holds resources of ${agentId}`);
    this.#frameworks.delete(frameworkId);
    this.#dampers.delete(frameworkId);
  }

  setFrameworkActive(frameworkId: string, active: boolean): void {
    this.#framework(frameworkId).active = active;
    if (!active) this.#dampers.get(frameworkId)?.clear();
  }

  /** Accepted and not used yet: with shares by count everybody is offered what is there. */
  requestResources(_frameworkId: string, _requests: readonly Request[]): void {}
  /** Accepted and not enforced yet. */
  setQuota(_role: string, _quota: Quota | undefined): void {}
  /** Accepted and not used yet. */
  setWeight(_role: string, _weight: number): void {}

  suppress(frameworkId: string, _roles: readonly string[]): void {
    this.#framework(frameworkId).suppressed = true;
  }

  revive(frameworkId: string, _roles: readonly string[]): void {
    this.#framework(frameworkId).suppressed = false;
    // The filters go, the pauses stay: 1. a framework refuses for an hour; 2. something that does not fit waits, so it
    // revives; 3. it is offered the same at once and refuses: hundreds of rounds a second.
    for (const damper of this.#dampers.get(frameworkId)?.values() ?? []) damper.untilMs = damper.pausedUntilMs;
  }

  recover(frameworkId: string, agentId: string, resources: Resources, refusal?: Refusal): void {
    const agent = this.#agents.get(agentId);
    if (agent === undefined || resources.isEmpty) return;
    const plain = resources.unallocate();
    const held = agent.held.get(frameworkId) ?? Resources.empty;
    invariant(held.contains(plain), `${frameworkId} gives back ${plain} of ${agentId} but holds ${held}`);
    const rest = held.subtract(plain);
    if (rest.isEmpty) agent.held.delete(frameworkId);
    else agent.held.set(frameworkId, rest);
    agent.free = agent.over ? restOf(agent) : agent.free.add(plain);
    this.#charge(frameworkId, plain, -1);
    if (refusal !== undefined) this.#damp(frameworkId, agentId, agent.free, refusal);
  }

  allocate(now: number): Grant[] {
    const grants: Grant[] = [];
    for (const [agentId, agent] of this.#agents) {
      if (!agent.active || isCrumb(agent.free)) continue;
      const frameworkId = this.#next(agentId, agent, now);
      if (frameworkId === undefined) continue;
      const resources = agent.free;
      agent.free = Resources.empty;
      const held = agent.held.get(frameworkId);
      agent.held.set(frameworkId, held === undefined ? resources : held.add(resources));
      this.#charge(frameworkId, resources, 1);
      grants.push({ frameworkId, role: ROLE, agentId, resources: resources.allocate(ROLE) });
    }
    return grants;
  }

  nextAllocationMs(now: number): number | undefined {
    let next: number | undefined;
    for (const [frameworkId, dampers] of this.#dampers) {
      const framework = this.#framework(frameworkId);
      if (!framework.active || framework.suppressed) continue;
      for (const [agentId, damper] of dampers) {
        const agent = this.#agents.get(agentId);
        if (damper.untilMs <= now || agent === undefined || !agent.active || isCrumb(agent.free)) continue;
        next = Math.min(next ?? Infinity, damper.untilMs);
      }
    }
    return next;
  }

  isWanted(agentId: string, frameworkId: string, now: number): boolean {
    for (const [other, framework] of this.#frameworks) {
      if (other === frameworkId || !framework.active || framework.suppressed) continue;
      const damper = this.#dampers.get(other)?.get(agentId);
      if (damper === undefined || damper.untilMs <= now) return true;
    }
    return false;
  }

  free(agentId: string): Resources {
    return this.#agents.get(agentId)?.free ?? Resources.empty;
  }

  held(agentId: string): Holdings {
    return this.#agents.get(agentId)?.held ?? new Map();
  }

  /** The framework that holds least and may have what is free on the agent. */
  #next(agentId: string, agent: Agent, now: number): string | undefined {
    let best: string | undefined;
    let bestFramework: Framework | undefined;
    for (const [frameworkId, framework] of this.#frameworks) {
      if (!framework.active || framework.suppressed) continue;
      const damper = this.#dampers.get(frameworkId)?.get(agentId);
      if (damper !== undefined && damper.untilMs > now && damper.resources.contains(agent.free)) continue;
      const { cpus, mem } = framework;
      if (bestFramework !== undefined && (bestFramework.cpus - cpus || bestFramework.mem - mem) <= 0) continue;
      best = frameworkId;
      bestFramework = framework;
    }
    return best;
  }

  /** What is free with the refused back is what was refused: to offer just that again would be the same offer. */
  #damp(frameworkId: string, agentId: string, free: Resources, { nowMs, untilMs }: Refusal): void {
    const dampers = this.#dampers.get(frameworkId);
    const damper = dampers?.get(agentId);
    const { offerDampMs, offerDampMaxMs } = this.#timings;
    const same = damper !== undefined && damper.resources.contains(free);
    const pauseMs = same ? Math.min(offerDampMaxMs, damper.pauseMs * 2) : offerDampMs;
    const pausedUntilMs = nowMs + pauseMs;
    dampers?.set(agentId, { untilMs: Math.max(untilMs, pausedUntilMs), pausedUntilMs, pauseMs, resources: free });
  }

  #charge(frameworkId: string, resources: Resources, sign: 1 | -1): void {
    const framework = this.#frameworks.get(frameworkId);
    if (framework === undefined) return;
    framework.cpus += sign * resources.scalar('cpus');
    framework.mem += sign * resources.scalar('mem');
    invariant(framework.cpus >= 0 && framework.mem >= 0, `framework ${frameworkId} holds a negative amount`);
  }

  #framework(frameworkId: string): Framework {
    const framework = this.#frameworks.get(frameworkId);
    invariant(framework !== undefined, `framework ${frameworkId} is known to the allocator`);
    return framework;
  }
}

function restOf(agent: Agent): Resources {
  let used = Resources.empty;
  for (const resources of agent.held.values()) used = used.add(resources);
  return agent.total.subtract(used);
}

const isCrumb = (free: Resources): boolean => free.scalar('cpus') < MIN_CPUS && free.scalar('mem') < MIN_MEM;

const rolesOf = (info: FrameworkInfo): readonly string[] => info.roles ?? [info.role ?? ROLE];

const isSuppressed = (info: FrameworkInfo, roles: readonly string[]): boolean =>
  roles.length > 0 && rolesOf(info).every((role) => roles.includes(role));

/** The allocator's contract: who may use which free resources. It never sends anything; the master turns grants into offers. */
import type { AgentInfo } from '../../../protocol/agent.js';
import type { FrameworkInfo } from '../../../protocol/framework.js';
import type { Request } from '../../../protocol/offer.js';
import type { Resources } from '../../../protocol/resources.js';

/** Resources of one agent that a framework may use under a role. They count as allocated until they are recovered. */
export interface Grant {
  readonly frameworkId: string;
  readonly role: string;
  readonly agentId: string;
  /** With the allocation role set. */
  readonly resources: Resources;
}

/** Quota of a role, as scalar quantities in thousandths by name. */
export interface Quota {
  readonly guarantees: ReadonlyMap<string, number>;
  readonly limits: ReadonlyMap<string, number>;
}

/** What comes back was not wanted, and is not wanted again for a while. */
export interface Refusal {
  readonly role: string;
  readonly nowMs: number;
  /** End of the filter; `nowMs` when there is none. */
  readonly untilMs: number;
}

/** What frameworks hold on an agent, by framework id. */
export type Holdings = ReadonlyMap<string, Resources>;

/**
 * Conservation (rule ALC-1): for each agent, free plus all that frameworks hold is the total; nothing is negative; every
 * grant is taken from what is free. A broken conservation throws.
 */
export interface Allocator {
  addAgent(agentId: string, info: AgentInfo, total: Resources, held: Holdings): void;
  removeAgent(agentId: string): void;
  /** An inactive agent gets no offers; what is held on it stays held. */
  setAgentActive(agentId: string, active: boolean): void;

  addFramework(frameworkId: string, info: FrameworkInfo, suppressedRoles: readonly string[]): void;
  updateFramework(frameworkId: string, info: FrameworkInfo, suppressedRoles: readonly string[]): void;
  /** What it held must have been recovered before. */
  removeFramework(frameworkId: string): void;
  setFrameworkActive(frameworkId: string, active: boolean): void;

  /** The framework's demand; an empty list takes it back. */
  requestResources(frameworkId: string, requests: readonly Request[]): void;
  /** No roles named: all of the framework's. */
  suppress(frameworkId: string, roles: readonly string[]): void;
  /** Clears suppression and refusals of the roles. */
  revive(frameworkId: string, roles: readonly string[]): void;
  setQuota(role: string, quota: Quota | undefined): void;
  setWeight(role: string, weight: number): void;

  /** Takes resources back from a framework: from offers and from ended tasks. */
  recover(frameworkId: string, agentId: string, resources: Resources, refusal?: Refusal): void;
  /** One cycle over what has changed. */
  allocate(now: number): Grant[];
  /** When, without any further change, another cycle may grant something (a refusal or a damper ends). */
  nextAllocationMs(now: number): number | undefined;
  /** Whether somebody else waits for what `frameworkId` is offered on the agent. Rule: OFR-4. */
  isWanted(agentId: string, frameworkId: string, now: number): boolean;

  /** For views and checkers. */
  free(agentId: string): Resources;
  held(agentId: string): Holdings;
}

/** What the leading master tells an operator, as rows for people and programs. */
import { attributeText } from '../protocol/attributes.js';
import type { AgentView, FrameworkView } from '../protocol/operator-api.js';
import type { Offer } from '../protocol/offer.js';
import type { Task, TaskStatus } from '../protocol/task.js';
import type { OperatorClient } from '../runtime/client.js';
import { resourcesRecord } from './format.js';
import type { AgentJson, FrameworkJson, OffersJson, TaskJson } from './json-schemas.js';

export const isoTime = (time: { nanoseconds: number } | undefined): string | null =>
  time === undefined ? null : new Date(time.nanoseconds / 1e6).toISOString();

/** Names of agents and frameworks by their ids. */
export interface Names {
  readonly agents: ReadonlyMap<string, string>;
  readonly frameworks: ReadonlyMap<string, string>;
}

export async function namesOf(client: OperatorClient): Promise<Names> {
  const [{ agents }, { frameworks: live, completedFrameworks }] = await Promise.all([
    client.askAll('GET_AGENTS'),
    client.askAll('GET_FRAMEWORKS'),
  ]);
  const frameworks = [...live, ...completedFrameworks];
  return {
    agents: new Map(agents.map(({ agentInfo, principal }) => [agentInfo.id ?? '', principal])),
    frameworks: new Map(frameworks.map(({ frameworkInfo }) => [frameworkInfo.id ?? '', frameworkInfo.name])),
  };
}

export const lastStatus = ({ statuses }: Task): TaskStatus | undefined => statuses?.at(-1);

export function taskRow(task: Task, names: Names): TaskJson {
  const status = lastStatus(task);
  return {
    id: task.taskId,
    name: task.name,
    state: task.state,
    frameworkId: task.frameworkId,
    framework: names.frameworks.get(task.frameworkId) ?? null,
    agentId: task.agentId,
    agent: names.agents.get(task.agentId) ?? null,
    launchId: task.launchId ?? null,
    resources: resourcesRecord(task.resources),
    since: status?.timestamp === undefined ? null : new Date(status.timestamp * 1_000).toISOString(),
    exitCode: status?.exitCode ?? null,
    exitSignal: status?.exitSignal ?? null,
    reason: status?.reason ?? null,
    message: status?.message ?? null,
  };
}

export function agentRow(view: AgentView): AgentJson {
  const { agentInfo, principal, state, active, version, tasks } = view;
  return {
    id: agentInfo.id ?? null,
    name: principal,
    state,
    active,
    hostname: agentInfo.hostname,
    version,
    attributes: Object.fromEntries((agentInfo.attributes ?? []).map((one) => [one.name, attributeText(one)])),
    total: resourcesRecord(view.totalResources),
    allocated: resourcesRecord(view.allocatedResources),
    offered: resourcesRecord(view.offeredResources),
    tasks,
    registered: isoTime(view.registeredTime),
  };
}

/** What a framework is doing, in one word. */
function frameworkState({ recovered, connected, active, suppressed }: FrameworkView): string {
  if (recovered) return 'RECOVERED';
  if (!connected) return 'DISCONNECTED';
  if (!active) return 'INACTIVE';
  return suppressed ? 'SUPPRESSED' : 'ACTIVE';
}

export function frameworkRow(view: FrameworkView, isCompleted: boolean): FrameworkJson {
  const { frameworkInfo: info, principal, offers, tasks } = view;
  return {
    id: info.id ?? null,
    name: info.name,
    principal,
    state: isCompleted ? 'COMPLETED' : frameworkState(view),
    roles: [...(info.roles ?? [info.role ?? '*'])],
    failoverTimeout: info.failoverTimeout ?? null,
    allocated: resourcesRecord(view.allocatedResources),
    offered: resourcesRecord(view.offeredResources),
    offers,
    tasks,
    registered: isoTime(view.registeredTime),
  };
}

export const offerRow = (offer: Offer, names: Names): OffersJson['offers'][number] => ({
  id: offer.id,
  frameworkId: offer.frameworkId,
  framework: names.frameworks.get(offer.frameworkId) ?? null,
  agentId: offer.agentId,
  agent: names.agents.get(offer.agentId) ?? null,
  role: offer.allocationInfo?.role ?? '*',
  resources: resourcesRecord(offer.resources),
});

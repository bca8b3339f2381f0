/** The state of a cluster, from what `up` wrote down and what the leading master says. */
import type { AgentView } from '../protocol/operator-api.js';
import { OperatorClient, RequestFailed } from '../runtime/client.js';
import { isRunning } from '../runtime/up/identity.js';
import { readCredentials } from '../runtime/nats/connection.js';
import { bucketLeaders } from '../runtime/nats/bucket-leaders.js';
import { withoutLogin } from '../runtime/up/cluster.js';
import { clusterLayout, credentialsFile } from '../runtime/up/layout.js';
import { ADMIN } from '../runtime/up/users.js';
import { connectAt, type Place } from './connection.js';
import { resourcesRecord, shortResources } from './format.js';
import type { StatusJson } from './json-schemas.js';
import { hasColour, painter, table } from './output.js';
import { Resources } from '../protocol/resources.js';

/** Asks. Rejects when NATS cannot be reached; nobody leading is an answer. */
export async function statusOf(place: Place, dir: string | null): Promise<StatusJson> {
  const { credentials, state } = place;
  const link = await connectAt(place);
  const { client, serverVersion: version } = link;
  try {
    const leader = await client.leader();
    const views = leader === undefined ? [] : await agentViews(client);
    const epoch = leader?.epoch ?? 0;
    const masters = state?.masters ?? (leader === undefined ? [] : [{ name: leader.name, pid: null, startTime: 0 }]);
    return {
      nats: { url: withoutLogin(credentials.url), version, servers: await natsServers(place, dir) },
      masters: masters.map(({ name, pid }) => ({ name, pid, leading: name === leader?.name, epoch })),
      agents: agentRows(place, views),
      dir,
    };
  } finally {
    await link.close();
  }
}

/** Servers that `up` runs, and the buckets whose writes each of them takes. Rule: UP-12. */
async function natsServers({ state, cluster }: Place, dir: string | null): Promise<StatusJson['nats']['servers']> {
  if (dir === null || state === undefined || state.nats.servers.length === 0) return [];
  const running = state.nats.servers.filter(isRunning);
  // Only an administrator may ask who leads a stream; where there is one server there is nothing to ask.
  const [first] = state.nats.servers;
  const leaders = state.nats.url.includes(',')
    ? await bucketLeaders(await readCredentials(credentialsFile(clusterLayout(dir), ADMIN)), cluster, ADMIN)
    : { registry: first?.name, lease: first?.name };
  const leadsOf = (name: string) => BUCKETS.filter((bucket) => leaders[bucket] === name);
  return running.map(({ name, url, pid }) => ({ name, url, pid, leads: leadsOf(name) }));
}

const BUCKETS = ['registry', 'lease'] as const;

async function agentViews(client: OperatorClient): Promise<readonly AgentView[]> {
  try {
    return (await client.askAll('GET_AGENTS')).agents;
  } catch (error) {
    if (error instanceof RequestFailed && error.retryable) return [];
    throw error;
  }
}

/** Those that `up` runs, and those that have registered. */
function agentRows({ state }: Place, views: readonly AgentView[]): StatusJson['agents'] {
  const byName = new Map(views.filter(({ active }) => active).map((view) => [view.principal, view]));
  const running = new Map((state?.agents ?? []).filter(isRunning).map(({ name, pid }) => [name, pid]));
  const names = new Set([...running.keys(), ...byName.keys()]);
  return [...names].sort(byNumber).map((name) => {
    const view = byName.get(name);
    return {
      id: view?.agentInfo.id ?? null,
      name,
      pid: running.get(name) ?? null,
      resources: resourcesRecord(view?.totalResources),
    };
  });
}

const byNumber = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : 1);

/** The same for people. */
export function statusTable(status: StatusJson, where: string): string {
  const paint = painter(hasColour(process.stdout));
  const rows = [
    ...status.nats.servers.map(({ name, pid, leads }) => [
      name,
      'NATS',
      String(pid),
      'running',
      leads.length === 0 || status.nats.servers.length === 1 ? '' : `leads ${leads.join(' and ')}`,
    ]),
    ...status.masters.map(({ name, pid, leading, epoch }) => [
      name,
      'master',
      String(pid ?? '-'),
      leading ? paint('green', 'leading') : 'standing by',
      leading ? `epoch ${epoch}` : '',
    ]),
    ...status.agents.map(({ id, name, pid, resources }) => [
      name,
      'agent',
      String(pid ?? '-'),
      id === null ? paint('yellow', 'not registered') : 'registered',
      id === null ? '' : shortResources(Resources.parse(resourcesText(resources)).toArray()),
    ]),
  ];
  const nats = `nats-server ${status.nats.version} at ${status.nats.url.replaceAll(',', ', ')}`;
  return [table(['NAME', 'ROLE', 'PID', 'STATE', ''], rows, paint), '', `${nats} · files in ${where}`].join('\n');
}

const resourcesText = (resources: Record<string, number | string>): string =>
  Object.entries(resources)
    .map(([name, value]) => `${name}:${value}`)
    .join(';');

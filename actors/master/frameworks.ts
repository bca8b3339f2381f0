/** Frameworks: subscription, return, silence, teardown. Rules: FRW-1 to FRW-6, LNK-1 to LNK-3. */
import { sizeError } from '../../protocol/codec.js';
import { errorBody } from '../../protocol/errors.js';
import { roleError, type FrameworkInfo } from '../../protocol/framework.js';
import { epochOf, frameworkIdOf, NO_SESSION } from '../../protocol/ids.js';
import { registryKey, REGISTRY_VERSION, type FrameworkRecord } from '../../protocol/registry.js';
import { log, NOTHING, type Effect, type Effects } from '../effect.js';
import type { MessageOf, Meta, SchedulerMessage } from '../events.js';
import { newLink } from '../link.js';
import { askerOf, isOldQuestion } from '../member.js';
import { refuse } from './admission.js';
import { missesTooMany } from './hearing.js';
import { persist, type AgentRow, type FrameworkRow, type MasterState } from './master-state.js';
import { discardOffers, wantAllocation } from './offers.js';
import { beginSession, inviteScheduler, subscribed, tellStatus, toAgentOf, toScheduler } from './send.js';
import { isRemoved, isStored, type Removed, type Stored } from './stored.js';

type Subscribe = MessageOf<SchedulerMessage, 'scheduler.SUBSCRIBE'>;

/** Longest failover timeout: what Mesos can hold of seconds, 292 years. */
const MAX_FAILOVER_SECONDS = 9_223_372_036;

/** Removed frameworks that are remembered, so that their ids are not used again. */
const MAX_COMPLETED = 50;

export function newFrameworkRow(frameworkId: string, principal: string, info: FrameworkInfo): FrameworkRow {
  return {
    frameworkId,
    principal,
    info,
    connected: false,
    recovered: false,
    removed: false,
    removalStored: false,
    removalAnswers: [],
    asker: undefined,
    askerSince: 0,
    stored: false,
    suppressed: false,
    tasks: new Map(),
    offers: new Map(),
    link: newLink(),
    missedHeartbeats: 0,
    invitedAtMs: -Infinity,
    arrivalId: '',
    registeredAtMs: undefined,
    reregisteredAtMs: undefined,
  };
}

export const recordOf = (framework: FrameworkRow): FrameworkRecord => ({
  schemaVersion: REGISTRY_VERSION,
  frameworkId: framework.frameworkId,
  principal: framework.principal,
  frameworkInfo: framework.info,
  ...(framework.removed && { removed: true }),
});

/** The first thing wrong with a FrameworkInfo, in words. */
function infoError(info: FrameworkInfo, principal: string): string | undefined {
  if (info.principal !== undefined && info.principal !== principal)
    return `principal ${info.principal} is not ${principal}, which speaks`;
  if (info.role !== undefined && info.roles !== undefined) return 'role and roles exclude each other';
  const roles = info.roles ?? [info.role ?? '*'];
  if (new Set(roles).size !== roles.length) return 'a role is named twice';
  for (const role of roles) {
    const wrong = roleError(role);
    if (wrong !== undefined) return `role ${role}: ${wrong}`;
  }
  const timeout = info.failoverTimeout ?? 0;
  if (!(timeout >= 0 && timeout <= MAX_FAILOVER_SECONDS))
    return `failoverTimeout must be from 0 to ${MAX_FAILOVER_SECONDS} seconds`;
  return sizeError(info);
}

/** Opens or takes over the event stream of a framework. Rules: FRW-1, FRW-2. */
export function onSubscribe(state: MasterState, { meta, body, now }: Subscribe): Effects {
  const { frameworkInfo: info, suppressedRoles } = body.subscribe;
  const named = body.frameworkId ?? info.id;
  const wrong = infoError(info, meta.principal);
  if (wrong !== undefined) return refuse(state, meta, named ?? 'new', 'INVALID_FRAMEWORK', wrong);
  if (named !== undefined && state.completedFrameworks.has(named))
    return refuse(state, meta, named, 'FRAMEWORK_REMOVED');
  const known = named === undefined ? askedBefore(state, meta) : state.frameworks.get(named);
  if (known !== undefined && known.principal !== '' && known.principal !== meta.principal)
    return refuse(state, meta, known.frameworkId, 'WRONG_PRINCIPAL');
  // Until its removal is stored it may still not come to be: silence, and the scheduler asks again.
  if (known?.removed === true)
    return known.removalStored ? refuse(state, meta, known.frameworkId, 'FRAMEWORK_REMOVED') : NOTHING;
  // An id of this term or a later one would be minted once more.
  if (known === undefined && named !== undefined && (epochOf(named) ?? 0) >= state.epoch)
    return refuse(state, meta, named, wasMinted(state, named) ? 'FRAMEWORK_REMOVED' : 'UNKNOWN_FRAMEWORK');
  if (known !== undefined && isOldQuestion(meta.id, known.arrivalId)) return NOTHING;
  const frameworkId = known?.frameworkId ?? named ?? frameworkIdOf(state.masterId, ++state.counters.framework);
  const framework = known ?? newFrameworkRow(frameworkId, meta.principal, { ...info, id: frameworkId });
  if (known === undefined) {
    state.frameworks.set(frameworkId, framework);
    state.allocator.addFramework(frameworkId, framework.info, suppressedRoles ?? []);
  }
  framework.principal = meta.principal;
  framework.arrivalId = meta.id;
  framework.asker ??= askerOf(meta.id);
  const arrival = { meta, now, suppressed: suppressedRoles ?? [] };
  const same = known !== undefined && JSON.stringify(known.info) === JSON.stringify({ ...info, id: frameworkId });
  if (same && isStored(known)) return welcome(state, known, arrival);
  framework.info = { ...info, id: frameworkId };
  return persist(
    state,
    [{ key: registryKey('framework', frameworkId), record: recordOf(framework) }],
    (_state, _now, { stored }) => {
      const row = stored(framework);
      return row.removed ? NOTHING : welcome(state, row, arrival);
    },
  );
}

/** Whether an id of this term was minted; one that was and has no row any more is of a removed framework. Rule: FRW-3. */
const wasMinted = (state: MasterState, frameworkId: string): boolean =>
  epochOf(frameworkId) === state.epoch &&
  Number(frameworkId.slice(state.masterId.length + 1)) <= state.counters.framework;

/**
 * A new scheduler that asks again gets the framework of its first question. 1. It asks, and the registry is slow. 2. It
 * asks again, as it has heard nothing; it has no id to name yet. 3. With an id for each question it would live in the
 * last of several frameworks, what it launched in the first one would be unknown there and run on, and the others would
 * be left over.
 */
function askedBefore(state: MasterState, { id, principal }: Meta): FrameworkRow | undefined {
  const asker = askerOf(id);
  if (asker === undefined) return undefined;
  for (const framework of state.frameworks.values())
    if (framework.asker === asker && framework.principal === principal) return framework;
  return undefined;
}

/**
 * Begins the session; an instance before it is told that it is the older one. It is not told if it is the same one that
 * asked twice: 1. it asks, hears nothing, asks again; 2. both questions are answered, each with a session; 3. it lives in
 * the first session when the word about it comes, and would end itself. Rules: FRW-2, LNK-2.
 */
function welcome(
  state: MasterState,
  framework: Stored<FrameworkRow>,
  { meta, now, suppressed }: { meta: Meta; now: number; suppressed: readonly string[] },
): Effects {
  const { frameworkId, info } = framework;
  const effects: Effect[] = [];
  const asker = askerOf(meta.id);
  const isAnother = asker === undefined || asker !== framework.asker;
  const before = framework.connected && isAnother ? framework.link.session : undefined;
  discardOffers(state, framework.offers.values(), now);
  beginSession(state, framework);
  if (isAnother || framework.askerSince === 0) framework.askerSince = state.counters.session;
  framework.asker = asker;
  if (before !== undefined)
    effects.push(toScheduler(state, { ...framework, link: { session: before } }, 'ERROR', errorBody('STALE_SESSION')));
  framework.connected = true;
  framework.recovered = false;
  framework.registeredAtMs ??= now;
  framework.reregisteredAtMs = now;
  state.deadlines.clear(`failover:${frameworkId}`);
  // With the session its filters go: 1. it refuses for an hour; 2. it has work and revives, and the REVIVE is lost; 3. it
  // subscribes anew because of the gap. Nobody would know of the REVIVE any more.
  state.allocator.revive(frameworkId, []);
  state.allocator.updateFramework(frameworkId, info, suppressed);
  framework.suppressed = suppressed.length > 0;
  state.allocator.setFrameworkActive(frameworkId, true);
  wantAllocation(state, now);
  const masterInfo = { id: state.masterId, hostname: state.config.hostname, version: state.config.version };
  const heartbeatIntervalSeconds = state.config.timings.heartbeatIntervalMs / 1000;
  const body = { subscribed: { frameworkId, heartbeatIntervalSeconds, masterInfo } };
  effects.push(subscribed(state, framework, body, meta.id));
  // What came while it was away; without this it would come at the agents' next repetition, up to ten minutes later.
  for (const { status, acknowledged } of framework.tasks.values())
    if (status?.uuid !== undefined && !acknowledged) effects.push(tellStatus(state, framework, status, meta.id));
  return effects;
}

/** Heartbeats each scheduler; silence disconnects it and starts its failover timeout. Rule: LNK-3. */
export function heartbeatFrameworks(state: MasterState, now: number): Effects {
  const effects: Effect[] = [];
  for (const framework of state.frameworks.values()) {
    if (framework.recovered && !framework.removed && framework.principal !== '')
      effects.push(...inviteScheduler(state, framework, now));
    if (!framework.connected) continue;
    if (missesTooMany(state, framework, now)) disconnect(state, framework, now);
    else effects.push(toScheduler(state, framework, 'HEARTBEAT', {}));
  }
  return effects;
}

function disconnect(state: MasterState, framework: FrameworkRow, now: number): void {
  framework.connected = false;
  framework.link.session = NO_SESSION;
  state.allocator.setFrameworkActive(framework.frameworkId, false);
  discardOffers(state, framework.offers.values(), now);
  awaitReturn(state, framework, now);
}

/** How long after a takeover a scheduler that lives must have noticed it. */
export const returnGraceMs = ({ config: { timings } }: MasterState): number =>
  timings.heartbeatIntervalMs * (timings.missedHeartbeats + 2);

/** A framework that is not there has its failover timeout to come back. Stored timers start anew at takeover. Rule: FRW-4. */
export function awaitReturn(state: MasterState, framework: FrameworkRow, now: number, graceMs = 0): void {
  const { failoverTimeout } = framework.info;
  const timeoutMs = failoverTimeout === undefined ? state.config.timings.failoverTimeoutMs : failoverTimeout * 1000;
  state.deadlines.set(`failover:${framework.frameworkId}`, now + graceMs + timeoutMs);
}

export function onFailoverDue(state: MasterState, frameworkId: string, now: number): Effects {
  const framework = state.frameworks.get(frameworkId);
  if (framework === undefined || framework.connected) return NOTHING;
  if (!state.registryInDoubt) return teardown(state, framework, now);
  // The registry went back: that nobody came may be its fault. Rule: EPO-5.
  awaitReturn(state, framework, now);
  return NOTHING;
}

/** Marks the framework as removed; when that is stored, its agents are told to kill what it runs. Rules: FRW-5, REG-3. */
export function teardown(
  state: MasterState,
  framework: FrameworkRow,
  now: number,
  then: (removed: Removed) => Effects = () => NOTHING,
): Effects {
  const { frameworkId } = framework;
  if (isRemoved(framework)) return then(framework);
  framework.removalAnswers.push(then);
  if (framework.removed) return NOTHING;
  framework.removed = true;
  framework.suppressed = true;
  state.deadlines.clear(`failover:${frameworkId}`);
  state.allocator.setFrameworkActive(frameworkId, false);
  discardOffers(state, framework.offers.values(), now);
  return persist(
    state,
    [{ key: registryKey('framework', frameworkId), record: recordOf(framework) }],
    (_state, _now, witness) => {
      const removed = witness.removed(framework);
      const effects: Effect[] = [log('info', 'framework removed', { frameworkId })];
      if (framework.connected) effects.push(toScheduler(state, framework, 'ERROR', errorBody('FRAMEWORK_REMOVED')));
      framework.connected = false;
      for (const agent of state.agents.values())
        if (agent.state === 'REGISTERED' && runsAnything(agent, frameworkId))
          effects.push(toAgentOf(removed, state, agent, 'SHUTDOWN_FRAMEWORK', { frameworkId }));
      const answers = framework.removalAnswers.splice(0).flatMap((answer) => answer(removed));
      return [...effects, ...answers, ...removeIfDone(state, frameworkId)];
    },
  );
}

const runsAnything = ({ tasks, executors }: AgentRow, frameworkId: string): boolean =>
  [...tasks.values(), ...executors.values()].some((row) => row.frameworkId === frameworkId);

/** Forgets a removed framework once its last task and executor have ended. Rule: FRW-5. */
export function removeIfDone(state: MasterState, frameworkId: string): Effects {
  const framework = state.frameworks.get(frameworkId);
  if (framework?.removed !== true || framework.tasks.size > 0) return NOTHING;
  for (const executor of state.executors.values()) if (executor.frameworkId === frameworkId) return NOTHING;
  return persist(state, [{ key: registryKey('framework', frameworkId) }], () => {
    if (!state.frameworks.delete(frameworkId)) return NOTHING;
    state.allocator.removeFramework(frameworkId);
    state.completedFrameworks.set(frameworkId, framework);
    const oldest = state.completedFrameworks.keys().next().value;
    if (state.completedFrameworks.size > MAX_COMPLETED && oldest !== undefined)
      state.completedFrameworks.delete(oldest);
    return NOTHING;
  });
}

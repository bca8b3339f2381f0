/** Who leads: probing, the lease, the claim of the epoch record, renewal and stepping down. Rules: TKO-1 to TKO-5, EPO-1 to EPO-6. */
import { masterIdOf } from '../../protocol/ids.js';
import {
  EPOCH_KEY,
  isNewerRecord,
  REGISTRY_VERSION,
  registryRecord,
  type EpochRecord,
} from '../../protocol/registry.js';
import { log, NOTHING, publish, reply, type Effect, type Effects } from '../effect.js';
import type { LeadingBody } from '../../protocol/master-api.js';
import type { MessageOf, PeerMessage, ProbeMessage, StorageEvent, Stamp } from '../events.js';
import { isOfTheFuture, onOwnEpochRecord } from './doubt.js';
import { LOOPBACK_INTERVAL_MS, LOOPBACK_MAX_AGE_MS } from './hearing.js';
import type { Asked, MasterState } from './master-state.js';

/** The storage event of one type; several types may share a shape. */
type Answered<T extends StorageEvent['type'], E = StorageEvent> = E extends { type: infer K }
  ? T extends K
    ? E
    : never
  : never;

/** How long a claim is tried again while the old leader's batch is in flight. */
const CLAIM_TRIES_MS = 2_000;
const CLAIM_RETRY_MS = 50;
/** What a claim may leave out above the stored number. Less than a takeover takes on average, or numbers would run ahead of time. */
const EPOCH_GAP = 1_000;
/** A lease that was not renewed for so much longer than it lives is one that its leader cannot renew. Rule: TKO-4. */
const UNRENEWED_MARGIN_MS = 1_000;
const ABDICATION_INTERVAL_MS = 1_000;

function request(state: MasterState, kind: Asked['kind'], now: number): number {
  const requestId = ++state.requests;
  state.expected.set(requestId, { kind, atMs: now });
  return requestId;
}

/** Whether an answer is to a question that still stands; each is taken once. */
export const isLate = (state: MasterState, requestId: number): boolean => !state.expected.has(requestId);

const isExpected = (state: MasterState, requestId: number): boolean => state.expected.delete(requestId);

/** Whether a leader whose last confirmed renewal is so old cannot renew. */
const isUnrenewed = (state: MasterState, renewedAgeMs: number): boolean =>
  renewedAgeMs > state.config.timings.leaseTtlMs + UNRENEWED_MARGIN_MS;

export function onStart(state: MasterState, { now }: Stamp): Effects {
  state.lease.changedAtMs = now;
  return [
    { type: 'follow', bucket: 'lease' },
    { type: 'follow', bucket: 'registry' },
  ];
}

export function enterStandby(state: MasterState, { now }: { now: number }): Effects {
  forgetWitnesses(state);
  state.expected.clear();
  state.deadlines.clear('claim');
  state.deadlines.set('probe', Math.max(now, state.contendAtMs));
  return NOTHING;
}

function forgetWitnesses(state: MasterState): void {
  state.absentSinceMs = undefined;
  state.absentCount = 0;
  state.silentSinceMs = undefined;
}

export function probe(state: MasterState, now: number): Effects {
  const { probeTimeoutMs } = state.config.timings;
  return [{ type: 'probe', requestId: request(state, 'probe', now), timeoutMs: probeTimeoutMs }];
}

/** Gathers witnesses of the leader's absence; {@link isLeaderAbsent} judges them. */
export function onProbed(state: MasterState, event: Answered<'PROBED'>): Effects {
  if (!isExpected(state, event.requestId)) return NOTHING;
  state.deadlines.set('probe', event.now + state.config.timings.probeIntervalMs);
  const silent =
    event.outcome === 'silence' ||
    (event.outcome === 'answered' && (event.answer?.loopbackAgeMs ?? 0) > LOOPBACK_MAX_AGE_MS);
  if (event.outcome === 'noResponders') {
    state.absentSinceMs ??= event.now;
    state.absentCount += 1;
  } else if (silent) {
    state.absentSinceMs = undefined;
    state.absentCount = 0;
    state.silentSinceMs ??= event.now;
  } else {
    forgetWitnesses(state);
    if (event.answer !== undefined) return askToAbdicate(state, event.answer, event.now);
  }
  return NOTHING;
}

/**
 * A leader that answers, and cannot renew. 1. Its server loses its way to the stream, ours has one. 2. It answers probes, so nothing
 * deposes it, and can store nothing. 3. We have seen its lease expire, so our watch lives, and for longer than two renewals nobody took
 * it: so we ask it to make way. If the stream itself was away, the leader renews in that time, and leads on. Rule: TKO-4.
 */
function askToAbdicate(state: MasterState, { renewedAgeMs, epoch }: LeadingBody, now: number): Effects {
  const { freeSinceMs } = state.lease;
  if (!state.caughtUp || state.newer.size > 0 || !isUnrenewed(state, renewedAgeMs)) return NOTHING;
  if (freeSinceMs === undefined || now - freeSinceMs < state.config.timings.leaderSilentMs) return NOTHING;
  if (now - state.abdicationAskedAtMs < ABDICATION_INTERVAL_MS) return NOTHING;
  state.abdicationAskedAtMs = now;
  const to = { row: 'masterMaster', parameters: { principal: state.config.name } } as const;
  return [
    log('warn', 'asking the leader to abdicate', { epoch, renewedAgeMs }),
    // A standby speaks under no epoch; the number is the one that it means.
    publish(to, 'ABDICATE', { epoch }, { session: '0', epoch: 0 }),
  ];
}

/** Three probes without a responder over the time that deposes; or silence while the lease has not moved either. Rule: TKO-1. */
export function isLeaderAbsent(state: MasterState, now: number): boolean {
  const { leaderAbsentMs, leaderSilentMs } = state.config.timings;
  if (!state.caughtUp || now < state.contendAtMs || state.newer.size > 0) return false;
  const renewedSince = (sinceMs: number): boolean => state.lease.held && state.lease.changedAtMs >= sinceMs;
  const { absentSinceMs, silentSinceMs } = state;
  if (absentSinceMs !== undefined && state.absentCount >= 3)
    if (now - absentSinceMs >= leaderAbsentMs && !renewedSince(absentSinceMs)) return true;
  return (
    silentSinceMs !== undefined &&
    now - silentSinceMs >= leaderSilentMs &&
    now - state.lease.changedAtMs >= leaderSilentMs
  );
}

export function onLeaseEntry(state: MasterState, event: Answered<'LEASE_ENTRY'>): Effects {
  state.lease.revision = event.revision;
  state.lease.held = event.held;
  if (event.held) state.lease.changedAtMs = event.now;
  state.lease.freeSinceMs = event.held ? undefined : (state.lease.freeSinceMs ?? event.now);
  return NOTHING;
}

/** Keeps the warm copy, and sees who holds the epoch record. Rule: EPO-1. */
export function onRegistryEntry(state: MasterState, event: Answered<'REGISTRY_ENTRY'>): Effects {
  if (isNewerRecord(event.value)) return onNewerRecord(state, event);
  state.newer.delete(event.key);
  if (event.key !== EPOCH_KEY) {
    if (event.value === undefined) state.copy.delete(event.key);
    else state.copy.set(event.key, event.value);
    return NOTHING;
  }
  state.epochRevision = event.revision;
  if (event.value === undefined) state.epochRecord = undefined;
  else state.epochRecord = registryRecord(EPOCH_KEY, event.value).value as EpochRecord;
  return NOTHING;
}

/** Written by a newer version, which this one would misread: it stays standby and says so. Rule: REG-8. */
function onNewerRecord(state: MasterState, { key, revision }: Answered<'REGISTRY_ENTRY'>): Effects {
  const isFirst = state.newer.size === 0;
  state.newer.add(key);
  if (key === EPOCH_KEY) state.epochRevision = revision;
  if (!isFirst) return NOTHING;
  return [
    log('error', 'the registry is of a newer version: this master does not lead until it is upgraded', { key, version: REGISTRY_VERSION }), // prettier-ignore
  ];
}

export function onCaughtUp(state: MasterState): Effects {
  state.caughtUp = true;
  return NOTHING;
}

/** Compare-and-set of the lease at the revision seen. Rule: TKO-2. */
export function takeLease(state: MasterState, { now }: Stamp): Effects {
  state.contendAtMs = now;
  const { leaseTtlMs: ttlMs } = state.config.timings;
  return [{ type: 'takeLease', requestId: request(state, 'lease', now), revision: state.lease.revision, ttlMs }];
}

export function onLeaseTaken(state: MasterState, event: Answered<'LEASE_ANSWERED'>): Effects {
  const asked = state.expected.get(event.requestId);
  if (asked === undefined || !isExpected(state, event.requestId)) return NOTHING;
  state.leaseRevision = event.revision;
  state.renewedAtMs = asked.atMs;
  return NOTHING;
}

/** Lost: back to standby, with a pause of a length of our own, so that two do not meet again. */
export function onLeaseLost(state: MasterState, event: Answered<'LEASE_ANSWERED'>): Effects {
  // The marker that an expired lease leaves expires too, and nobody is told: then the key's revision is 0 again.
  if (event.outcome === 'refused' && !state.lease.held) state.lease.revision = 0;
  state.contendAtMs = event.now + 100 + 400 * event.random;
  return NOTHING;
}

/**
 * The claim: an epoch above the stored one and above the time. By how much above the stored one is a matter of chance. 1. The clock is
 * set back, so that a claim rests on the stored number alone. 2. The registry goes back to what it was before that claim. 3. The next
 * claim rests on the same number, and with a step of one would be the same: two masters under one epoch, who mint the same ids.
 * Rule: EPO-1.
 */
export function claimEpoch(state: MasterState, { now, random }: Stamp): Effects {
  state.claimGap = Math.floor(random * EPOCH_GAP);
  state.claimUntilMs = now + CLAIM_TRIES_MS;
  // As read now: a try that was held up must not overwrite what another claimed meanwhile.
  state.claimRevision = state.epochRevision;
  return sendClaim(state, now);
}

function sendClaim(state: MasterState, now: number): Effects {
  const { epoch: stored = 0, inDoubt } = state.epochRecord ?? {};
  const effects: Effect[] = [];
  // Agents drop such a number too, and would drop every one above it. Rule: EPO-6.
  const isFuture = isOfTheFuture(stored, now);
  if (isFuture) effects.push(log('error', 'the registry names an epoch of the future', { epoch: stored }));
  const epoch = Math.max(isFuture ? 0 : stored + state.claimGap, state.epoch, Math.floor(now)) + 1;
  state.epoch = epoch;
  state.masterId = masterIdOf(epoch);
  const record: EpochRecord = {
    schemaVersion: REGISTRY_VERSION,
    epoch,
    masterId: state.masterId,
    name: state.config.name,
    ...(inDoubt === true && { inDoubt }),
  };
  const requestId = request(state, 'epoch', now);
  return [...effects, { type: 'writeEpoch', requestId, record, revision: state.claimRevision }];
}

/** A refusal that names no sequence means that the old leader's batch is in flight: try again for a while. Rule: TKO-2. */
export function onClaimBusy(state: MasterState, { now }: Stamp): Effects {
  state.deadlines.set('claim', now + CLAIM_RETRY_MS);
  return NOTHING;
}

export const retryClaim = (state: MasterState, now: number): Effects => sendClaim(state, now);

export function onClaimed(state: MasterState, event: Answered<'EPOCH_ANSWERED'>): Effects {
  if (isExpected(state, event.requestId)) state.claimedRevision = event.revision;
  return NOTHING;
}

/** Losing gives the lease back. Rule: TKO-2. */
export function onClaimLost(state: MasterState, { now, random }: Stamp): Effects {
  const { leaseRevision } = state;
  state.leaseRevision = 0;
  state.masterId = '';
  state.contendAtMs = now + 100 + 400 * random;
  return [{ type: 'releaseLease', revision: leaseRevision }];
}

/** Whether the watch has delivered our own epoch record, and with it all that was written before. Rule: REG-2. */
export const hasOwnEpoch = (state: MasterState): boolean =>
  state.epochRecord?.masterId === state.masterId && state.epochRevision === state.claimedRevision;

/** Whether another claimed the epoch after us, before our term began, or one of a newer version has written. Rules: REG-2, REG-8. */
export const isOvertaken = (state: MasterState): boolean =>
  state.epochRevision > state.claimedRevision || state.newer.size > 0;

/** Called once when the term begins. */
export function announce(state: MasterState, { now }: Stamp): Effects {
  const { name, timings } = state.config;
  state.electedAtMs = now;
  state.loopbackAtMs = now;
  state.countedAtMs = now;
  state.deadlines.clear('probe');
  state.deadlines.set('renew', now + timings.leaseRenewalMs);
  state.deadlines.set('loopback', now);
  return [
    { type: 'listen', row: 'probe' },
    { type: 'listen', row: 'masterScheduler' },
    { type: 'listen', row: 'masterAgent' },
    { type: 'listen', row: 'masterOperator' },
    { type: 'listen', row: 'masterMaster' },
    publish(
      { row: 'leader', parameters: {} },
      'ELECTED',
      { masterId: state.masterId, name, epoch: state.epoch },
      {
        session: '0',
        epoch: state.epoch,
      },
    ),
    log('info', 'leading', { masterId: state.masterId, epoch: state.epoch }),
  ];
}

export function renewLease(state: MasterState, now: number): Effects {
  const { leaseTtlMs: ttlMs, leaseRenewalMs } = state.config.timings;
  state.deadlines.set('renew', now + leaseRenewalMs);
  // Another has taken it; that alone deposes nobody, but it is not ours to take back.
  if (state.leaseRevision === 0 && state.lease.held) return NOTHING;
  // Expired under us, with nobody else in it: what matters is the epoch record, so take it anew.
  const revision = state.leaseRevision === 0 ? state.lease.revision : state.leaseRevision;
  return [{ type: 'takeLease', requestId: request(state, 'lease', now), revision, ttlMs }];
}

export function onRenewed(state: MasterState, event: Answered<'LEASE_ANSWERED'>): Effects {
  const asked = state.expected.get(event.requestId);
  if (asked === undefined || !isExpected(state, event.requestId)) return NOTHING;
  state.leaseRevision = event.outcome === 'stored' ? event.revision : 0;
  // As asked: the answer may have waited for us while the lease expired.
  if (event.outcome === 'stored') state.renewedAtMs = Math.max(state.renewedAtMs, asked.atMs);
  if (event.outcome !== 'stored' && !state.lease.held) state.lease.revision = 0;
  return NOTHING;
}

export function sendLoopback(state: MasterState, now: number): Effects {
  state.deadlines.set('loopback', now + LOOPBACK_INTERVAL_MS);
  const head = { session: '0', epoch: state.epoch };
  return [publish({ row: 'masterMaster', parameters: { principal: state.config.name } }, 'LOOPBACK', {}, head)];
}

/** Another master's, still under way, says nothing of our own connection. */
export function onLoopback(state: MasterState, { now, meta }: MessageOf<PeerMessage, 'peer.LOOPBACK'>): Effects {
  if (meta.principal === state.config.name) state.loopbackAtMs = now;
  return NOTHING;
}

/** Answers that we are there, and how well we hear. Rule: LNK-4. */
export function onProbe(state: MasterState, event: ProbeMessage): Effects {
  const loopbackAgeMs = Math.max(0, Math.floor(event.now - state.loopbackAtMs));
  const renewedAgeMs = Math.max(0, Math.floor(event.now - state.renewedAtMs));
  const { masterId, epoch } = state;
  const answer = { masterId, name: state.config.name, epoch, loopbackAgeMs, renewedAgeMs };
  return reply('probe', event.meta, 'LEADING', answer, state.epoch);
}

/** Only an epoch record of another, seen in our own watch, means that we are deposed. Rule: REG-2. */
export function onEntryWhileLeading(state: MasterState, event: Answered<'REGISTRY_ENTRY'>): Effects {
  if (event.key !== EPOCH_KEY) return NOTHING;
  if (isNewerRecord(event.value)) state.epochRecord = undefined;
  else onRegistryEntry(state, event);
  const record = state.epochRecord;
  if (record?.masterId !== state.masterId)
    state.deposed = `${record?.name ?? 'nobody'} holds epoch ${record?.epoch ?? 0}`;
  else if (record.epoch > state.epoch)
    abdicate(state, `an agent has seen epoch ${record.epoch}: the registry went back`);
  else return onOwnEpochRecord(state, record.inDoubt === true);
  return NOTHING;
}

/** Makes way by itself: the actor is discarded, and the lease given back. Rule: REG-4. */
function abdicate(state: MasterState, reason: string): void {
  state.deposed ??= reason;
  state.abdicated = true;
}

/** Memory runs ahead of what is stored, and what waits outgrows its bound. Rule: REG-4. */
export function onLost(state: MasterState, event: Answered<'REGISTRY_LOST'>): Effects {
  abdicate(state, event.reason);
  return NOTHING;
}

/** Another reaches the registry. Believed only if our own renewals say the same. Rule: TKO-4. */
export function onAbdicate(state: MasterState, event: MessageOf<PeerMessage, 'peer.ABDICATE'>): Effects {
  const { meta, body, now } = event;
  if (meta.principal === state.config.name || body.epoch !== state.epoch) return NOTHING;
  if (isUnrenewed(state, now - state.renewedAtMs))
    abdicate(state, `the lease cannot be renewed, and ${meta.principal} reaches the registry`);
  return NOTHING;
}

/** The actor is discarded: another process, or this one started anew, reads the registry from the beginning. */
export function stepDown(state: MasterState): Effects {
  const reason = state.deposed ?? 'another claimed the epoch';
  const stop: Effect = { type: 'stop', restart: true, reason };
  if (!state.abdicated) return [stop];
  return [log('warn', 'abdicating', { reason }), { type: 'count', metric: 'abdicated' }, ...resign(state), stop];
}

/** An orderly end frees the lease, so that another leads at once. */
export function resign(state: MasterState): Effects {
  return state.leaseRevision === 0 ? NOTHING : [{ type: 'releaseLease', revision: state.leaseRevision }];
}

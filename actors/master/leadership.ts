/** Who leads: probing, the lease, the claim of the epoch record, renewal and stepping down. Rules: TKO-1 to TKO-3, EPO-1 to EPO-3. */
import { masterIdOf } from '../../protocol/ids.js';
import { EPOCH_KEY, REGISTRY_VERSION, registryRecord, type EpochRecord } from '../../protocol/registry.js';
import { log, NOTHING, publish, reply, type Effects } from '../effect.js';
import type { MessageOf, PeerMessage, ProbeMessage, StorageEvent, Stamp } from '../events.js';
import type { MasterState } from './master-state.js';

/** The storage event of one type; several types may share a shape. */
type Answered<T extends StorageEvent['type'], E = StorageEvent> = E extends { type: infer K }
  ? T extends K
    ? E
    : never
  : never;

/** How long a claim is tried again while the old leader's batch is in flight. */
const CLAIM_TRIES_MS = 2_000;
const CLAIM_RETRY_MS = 50;
/** A loop-back older than this counts as silence. Rule: LNK-4. */
const LOOPBACK_MAX_AGE_MS = 2_000;
const LOOPBACK_INTERVAL_MS = 500;

function request(state: MasterState, kind: 'probe' | 'lease' | 'epoch'): number {
  const requestId = ++state.requests;
  state.expected.set(requestId, kind);
  return requestId;
}

/** Whether an answer is to a question that still stands; each is taken once. */
export const isLate = (state: MasterState, requestId: number): boolean => !state.expected.has(requestId);

const isExpected = (state: MasterState, requestId: number): boolean => state.expected.delete(requestId);

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

export function probe(state: MasterState): Effects {
  const { probeTimeoutMs } = state.config.timings;
  return [{ type: 'probe', requestId: request(state, 'probe'), timeoutMs: probeTimeoutMs }];
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
  } else forgetWitnesses(state);
  return NOTHING;
}

/** Three probes without a responder over the time that deposes; or silence while the lease has not moved either. Rule: TKO-1. */
export function isLeaderAbsent(state: MasterState, now: number): boolean {
  const { leaderAbsentMs, leaderSilentMs } = state.config.timings;
  if (!state.caughtUp || now < state.contendAtMs) return false;
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
  return NOTHING;
}

/** Keeps the warm copy, and sees who holds the epoch record. Rule: EPO-1. */
export function onRegistryEntry(state: MasterState, event: Answered<'REGISTRY_ENTRY'>): Effects {
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

export function onCaughtUp(state: MasterState): Effects {
  state.caughtUp = true;
  return NOTHING;
}

/** Compare-and-set of the lease at the revision seen. Rule: TKO-2. */
export function takeLease(state: MasterState, { now }: Stamp): Effects {
  state.contendAtMs = now;
  const { leaseTtlMs: ttlMs } = state.config.timings;
  return [{ type: 'takeLease', requestId: request(state, 'lease'), revision: state.lease.revision, ttlMs }];
}

export function onLeaseTaken(state: MasterState, event: Answered<'LEASE_ANSWERED'>): Effects {
  if (isExpected(state, event.requestId)) state.leaseRevision = event.revision;
  return NOTHING;
}

/** Lost: back to standby, with a pause of a length of our own, so that two do not meet again. */
export function onLeaseLost(state: MasterState, event: Answered<'LEASE_ANSWERED'>): Effects {
  // The marker that an expired lease leaves expires too, and nobody is told: then the key's revision is 0 again.
  if (event.outcome === 'refused' && !state.lease.held) state.lease.revision = 0;
  state.contendAtMs = event.now + 100 + 400 * event.random;
  return NOTHING;
}

/** The claim: an epoch above the stored one and above the time. Rule: EPO-1. */
export function claimEpoch(state: MasterState, { now }: Stamp): Effects {
  state.claimUntilMs = now + CLAIM_TRIES_MS;
  // As read now: a try that was held up must not overwrite what another claimed meanwhile.
  state.claimRevision = state.epochRevision;
  return sendClaim(state, now);
}

function sendClaim(state: MasterState, now: number): Effects {
  const epoch = Math.max(state.epochRecord?.epoch ?? 0, state.epoch, Math.floor(now)) + 1;
  state.epoch = epoch;
  state.masterId = masterIdOf(epoch);
  const record: EpochRecord = {
    schemaVersion: REGISTRY_VERSION,
    epoch,
    masterId: state.masterId,
    name: state.config.name,
  };
  return [{ type: 'writeEpoch', requestId: request(state, 'epoch'), record, revision: state.claimRevision }];
}

/** A refusal that names no sequence means that the old leader's batch is in flight: try again for a while. Rule: TKO-2. */
export function onClaimBusy(state: MasterState, { now }: Stamp): Effects {
  state.deadlines.set('claim', now + CLAIM_RETRY_MS);
  return NOTHING;
}

export const retryClaim = (state: MasterState, now: number): Effects => sendClaim(state, now);

export function onClaimed(state: MasterState, event: Answered<'EPOCH_ANSWERED'>): Effects {
  if (isExpected(state, event.requestId)) state.fence = event.revision;
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
  state.epochRecord?.masterId === state.masterId && state.epochRevision === state.fence;

/** Whether another claimed the epoch after us, before our term began. */
export const isOvertaken = (state: MasterState): boolean => state.epochRevision > state.fence;

/** Called once when the term begins. */
export function announce(state: MasterState, { now }: Stamp): Effects {
  const { name, timings } = state.config;
  state.electedAtMs = now;
  state.loopbackAtMs = now;
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
  return [{ type: 'takeLease', requestId: request(state, 'lease'), revision, ttlMs }];
}

export function onRenewed(state: MasterState, event: Answered<'LEASE_ANSWERED'>): Effects {
  if (!isExpected(state, event.requestId)) return NOTHING;
  state.leaseRevision = event.outcome === 'stored' ? event.revision : 0;
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
  const answer = { masterId: state.masterId, name: state.config.name, epoch: state.epoch, loopbackAgeMs };
  return reply('probe', event.meta, 'LEADING', answer, state.epoch);
}

/** Only an epoch record of another, seen in our own watch, means that we are deposed. Rule: REG-2. */
export function onEntryWhileLeading(state: MasterState, event: Answered<'REGISTRY_ENTRY'>): Effects {
  if (event.key !== EPOCH_KEY) return NOTHING;
  onRegistryEntry(state, event);
  if (state.epochRecord?.masterId !== state.masterId)
    state.deposed = `${state.epochRecord?.name ?? 'nobody'} holds epoch ${state.epochRecord?.epoch ?? 0}`;
  return NOTHING;
}

/** Memory may run ahead of storage, so a write that did not happen discards the actor: the registry is read anew. Rule: REG-4. */
export function onRefused(state: MasterState, event: Answered<'REGISTRY_REFUSED'>): Effects {
  if (state.writes.delete(event.requestId)) state.deposed = 'a registry write was refused or its outcome is unknown';
  return NOTHING;
}

/** An orderly end frees the lease, so that another leads at once. */
export function resign(state: MasterState): Effects {
  return state.leaseRevision === 0 ? NOTHING : [{ type: 'releaseLease', revision: state.leaseRevision }];
}

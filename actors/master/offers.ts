/** Offers: made from grants, declined, rescinded, expired, suppressed, revived. Rules: OFR-1 to OFR-5, ALC-1 to ALC-4. */
import { encodeValue } from '../../protocol/codec.js';
import { offerIdOf } from '../../protocol/ids.js';
import { MAX_MESSAGE_BYTES } from '../../protocol/limits.js';
import type { Filters, Offer } from '../../protocol/offer.js';
import { NOTHING, type Effect, type Effects } from '../effect.js';
import type { MessageOf, SchedulerMessage } from '../events.js';
import type { Grant, Refusal } from './allocator/allocator.js';
import type { AgentRow, FrameworkRow, MasterState, OfferRow } from './master-state.js';
import { toScheduler } from './send.js';

/** Longest filter, in seconds: a year. Mesos cuts there too. */
const MAX_REFUSE_SECONDS = 365 * 24 * 3600;

/** An allocation is due at once. */
export const wantAllocation = (state: MasterState, now: number): void => state.deadlines.setEarliest('allocate', now);

/** Something was freed: more may follow, so it gathers for a little. Rule: ALC-3. */
export const gatherAllocation = (state: MasterState, now: number): void =>
  state.deadlines.setEarliest('allocate', now + state.config.timings.offerGatherMs);

/** Most bytes of offers in one OFFERS, so that with its envelope it is one message. Rule: LNK-5. */
const MAX_OFFERS_BYTES = MAX_MESSAGE_BYTES / 2;

/** Runs the allocator and offers what it grants, one OFFERS a framework, or as many as its offers fill. Rule: ALC-2. */
export function allocate(state: MasterState, now: number): Effects {
  const byFramework = new Map<FrameworkRow, Offer[]>();
  for (const grant of state.allocator.allocate(now)) {
    const framework = state.frameworks.get(grant.frameworkId);
    const agent = state.agents.get(grant.agentId);
    if (framework?.connected !== true || agent?.state !== 'REGISTERED') {
      state.allocator.recover(grant.frameworkId, grant.agentId, grant.resources);
      continue;
    }
    const offers = byFramework.get(framework) ?? [];
    offers.push(makeOffer(state, framework, agent, grant, now));
    byFramework.set(framework, offers);
  }
  const next = state.allocator.nextAllocationMs(now);
  if (next !== undefined) state.deadlines.setEarliest('allocate', next);
  return [...byFramework].flatMap(([framework, all]) =>
    inMessages(all).map((offers) => toScheduler(state, framework, 'OFFERS', { offers: { offers } })),
  );
}

/** Parts of a list of offers that each fit into a message. */
function inMessages(offers: readonly Offer[]): Offer[][] {
  const messages: Offer[][] = [];
  let room = 0;
  for (const offer of offers) {
    const { length } = encodeValue(offer);
    if (length > room) {
      messages.push([]);
      room = MAX_OFFERS_BYTES;
    }
    messages.at(-1)?.push(offer);
    room -= length;
  }
  return messages;
}

function makeOffer(
  state: MasterState,
  framework: FrameworkRow,
  agent: AgentRow,
  { role, resources }: Grant,
  now: number,
): Offer {
  const offerId = offerIdOf(state.masterId, ++state.counters.offer);
  const { frameworkId } = framework;
  const { agentId, info } = agent;
  const executorIds = [...agent.executors.values()].flatMap((executor) =>
    executor.frameworkId === frameworkId ? executor.executorId : [],
  );
  const offer: Offer = {
    id: offerId,
    frameworkId,
    agentId,
    hostname: info.hostname,
    resources: resources.toArray(),
    allocationInfo: { role },
    ...(executorIds.length > 0 && { executorIds }),
    ...(info.attributes && { attributes: info.attributes }),
    ...(info.domain && { domain: info.domain }),
  };
  const row: OfferRow = {
    offer,
    offerId,
    frameworkId,
    agentId,
    role,
    resources,
    madeAtMs: state.deadlines.counted(now),
  };
  state.offers.set(offerId, row);
  framework.offers.set(offerId, row);
  agent.offers.set(offerId, row);
  state.deadlines.set(`offer:${offerId}`, now + state.config.timings.offerLeaseMs);
  return offer;
}

/** Forgets an offer; what it held is the caller's to recover. */
export function dropOffer(state: MasterState, row: OfferRow): void {
  state.offers.delete(row.offerId);
  state.frameworks.get(row.frameworkId)?.offers.delete(row.offerId);
  state.agents.get(row.agentId)?.offers.delete(row.offerId);
  state.deadlines.clear(`offer:${row.offerId}`);
}

/** Takes offers back without a word: their framework is gone or begins anew. */
export function discardOffers(state: MasterState, rows: Iterable<OfferRow>, now: number, refused?: Refusal): void {
  for (const row of [...rows]) {
    dropOffer(state, row);
    state.allocator.recover(row.frameworkId, row.agentId, row.resources, refused);
    gatherAllocation(state, now);
  }
}

/** Takes offers back and says so. Rule: OFR-3. */
export function withdrawOffers(state: MasterState, rows: Iterable<OfferRow>, now: number, refused?: Refusal): Effects {
  const taken = [...rows];
  discardOffers(state, taken, now, refused);
  return taken.flatMap(({ frameworkId, offerId }): Effect[] => {
    const framework = state.frameworks.get(frameworkId);
    return framework?.connected === true ? [toScheduler(state, framework, 'RESCIND', { rescind: { offerId } })] : [];
  });
}

/** An offer is a lease: past it, it goes back once another could use it, and at the latest after the maximum. Rule: OFR-4. */
export function onOfferDue(state: MasterState, offerId: string, now: number): Effects {
  const row = state.offers.get(offerId);
  if (row === undefined) return NOTHING;
  const { offerMaxMs, offerLeaseMs } = state.config.timings;
  const ageMs = state.deadlines.counted(now) - row.madeAtMs;
  const isOld = ageMs >= offerMaxMs;
  if (isOld || state.allocator.isWanted(row.agentId, row.frameworkId, now)) {
    // As if it had been declined without a filter: who sits on offers holds nothing else, and would be offered the same again.
    return withdrawOffers(state, [row], now, { role: row.role, nowMs: now, untilMs: now });
  }
  state.deadlines.set(`offer:${offerId}`, now + Math.min(offerMaxMs - ageMs, offerLeaseMs / 10));
  return NOTHING;
}

/** The filter that a scheduler states, with the bounds of Mesos: default 5 s, negative is the default, a year at most. Rule: OFR-2. */
export function refusal(state: MasterState, role: string, filters: Filters | undefined, now: number): Refusal {
  const defaultSeconds = state.config.timings.declineFilterMs / 1000;
  const stated = filters?.refuseSeconds ?? defaultSeconds;
  const seconds = stated < 0 ? defaultSeconds : Math.min(stated, MAX_REFUSE_SECONDS);
  return { role, nowMs: now, untilMs: now + seconds * 1000 };
}

export function onDecline(
  state: MasterState,
  framework: FrameworkRow,
  { body, now }: MessageOf<SchedulerMessage, 'scheduler.DECLINE'>,
): Effects {
  for (const offerId of body.decline.offerIds) {
    const row = state.offers.get(offerId);
    // Unknown or another's: gone meanwhile, which is no news to anybody.
    if (row === undefined || row.frameworkId !== framework.frameworkId) continue;
    dropOffer(state, row);
    const refused = refusal(state, row.role, body.decline.filters, now);
    state.allocator.recover(row.frameworkId, row.agentId, row.resources, refused);
    gatherAllocation(state, now);
  }
  return NOTHING;
}

/** Outstanding offers stay usable. Rule: OFR-5. */
export function onSuppress(
  state: MasterState,
  framework: FrameworkRow,
  { body }: MessageOf<SchedulerMessage, 'scheduler.SUPPRESS'>,
): Effects {
  framework.suppressed = true;
  state.allocator.suppress(framework.frameworkId, body.suppress?.roles ?? []);
  return NOTHING;
}

export function onRevive(
  state: MasterState,
  framework: FrameworkRow,
  { body, now }: MessageOf<SchedulerMessage, 'scheduler.REVIVE'>,
): Effects {
  framework.suppressed = false;
  state.allocator.revive(framework.frameworkId, body.revive?.roles ?? []);
  wantAllocation(state, now);
  return NOTHING;
}

/** ALC-4: what is offered and comes back unused is not offered again at once, and less and less often; so offers per second are bounded. */
import type { Offer } from '../../../protocol/offer.js';
import { Resources } from '../../../protocol/resources.js';
import type { SimNode } from '../../../runtime/sim/sim-node.js';
import { targetOf, type Checker, type Scene } from './checker.js';

const WINDOW_MS = 1_000;
/** Offers of what was refused, or less: after 50, 100, 200, 400 ms, with room for what another framework used meanwhile. */
const SAME_MAX = 10;
/** In all: resources that come free gather for 20 ms. */
const ALL_MAX = 60;

interface Recent {
  /** What was refused last. */
  cpus: number;
  mem: number;
  same: number[];
  all: number[];
}

export function offerRate(scene: Scene): Checker {
  const recent = new Map<string, Recent>();
  const open = new Map<string, { readonly offers: Recent; readonly cpus: number; readonly mem: number }>();
  const forget = (node: SimNode, id: string): void => {
    for (const [key, offers] of recent)
      if (key.startsWith(`${node.name}#${node.lives} `) && key.includes(` ${id} `)) offers.same = [];
  };
  const onOffer = (node: SimNode, { id, frameworkId, agentId, resources }: Offer, now: number): void => {
    const key = `${node.name}#${node.lives} ${frameworkId} ${agentId} `;
    const free = Resources.of(resources ?? []);
    const [cpus, mem] = [free.scalar('cpus'), free.scalar('mem')];
    const offers = recent.get(key) ?? { cpus: -1, mem: -1, same: [], all: [] };
    recent.set(key, offers);
    const isNew = (atMs: number): boolean => atMs > now - WINDOW_MS;
    const isMore = cpus > offers.cpus || mem > offers.mem;
    offers.same = isMore ? [now] : [...offers.same.filter(isNew), now];
    offers.all = [...offers.all.filter(isNew), now];
    open.set(id, { offers, cpus, mem });
    if (offers.same.length > SAME_MAX)
      scene.fail(
        'ALC-4',
        `${frameworkId} is offered the same of ${agentId} ${offers.same.length} times within a second`,
      );
    if (offers.all.length > ALL_MAX)
      scene.fail('ALC-4', `${frameworkId} is offered ${agentId} ${offers.all.length} times within a second`);
  };
  return {
    rules: ['ALC-4'],
    onEffect: (node, host, effect) => {
      if (host !== 'master' || effect.type !== 'publish') return;
      const { message, body } = effect;
      if (message === 'SUBSCRIBED') forget(node, targetOf(effect)['frameworkId'] ?? '');
      else if (message === 'REREGISTERED' || message === 'REGISTERED') forget(node, targetOf(effect)['agentId'] ?? '');
      else if (message === 'OFFERS') {
        const now = scene.cluster.clock.now();
        for (const offer of (body as { offers: { offers: Offer[] } }).offers.offers) onOffer(node, offer, now);
      }
    },
    onStep: ({ event }) => {
      if (event.type === 'scheduler.DECLINE') {
        const { offerIds } = (event as unknown as { body: { decline: { offerIds: string[] } } }).body.decline;
        for (const id of offerIds) {
          const refused = open.get(id);
          if (refused !== undefined) Object.assign(refused.offers, { cpus: refused.cpus, mem: refused.mem });
        }
      } else if (event.type === 'scheduler.ACCEPT') {
        const { offerIds } = (event as unknown as { body: { accept: { offerIds: string[] } } }).body.accept;
        // What is used is not refused, and the rest is another offer.
        for (const id of offerIds) Object.assign(open.get(id)?.offers ?? {}, { cpus: -1, mem: -1 });
      }
    },
  };
}

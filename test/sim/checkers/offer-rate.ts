/** ALC-4: what is offered and comes back unused is not offered again at once, and less and less often; so offers per second are bounded. */
import type { Publish } from '../../../actors/effect.js';
import type { Offer } from '../../../protocol/offer.js';
import { Resources } from '../../../protocol/resources.js';
import type { SimNode } from '../../../runtime/sim/sim-node.js';
import { targetOf, type Checker, type Scene } from './checker.js';

const WINDOW_MS = 1_000;
/** Offers of the same or less: after 50, 100, 200, 400 ms, with room for what another framework used meanwhile. */
const SAME_MAX = 10;
/** In all: resources that come free gather for 20 ms. */
const ALL_MAX = 60;

interface Recent {
  cpus: number;
  mem: number;
  same: number[];
  all: number[];
}

export function offerRate(scene: Scene): Checker {
  const recent = new Map<string, Recent>();
  const forget = (node: SimNode, id: string): void => {
    for (const [key, offers] of recent) if (key.startsWith(`${node.name}#${node.lives} `) && key.includes(` ${id} `)) offers.same = [];
  };
  const onOffer = (node: SimNode, { frameworkId, agentId, resources }: Offer, now: number): void => {
    const key = `${node.name}#${node.lives} ${frameworkId} ${agentId} `;
    const free = Resources.of(resources ?? []);
    const [cpus, mem] = [free.scalar('cpus'), free.scalar('mem')];
    const offers = recent.get(key) ?? { cpus: 0, mem: 0, same: [], all: [] };
    recent.set(key, offers);
    const isNew = (atMs: number): boolean => atMs > now - WINDOW_MS;
    const grew = cpus > offers.cpus || mem > offers.mem;
    offers.same = grew ? [now] : [...offers.same.filter(isNew), now];
    offers.all = [...offers.all.filter(isNew), now];
    Object.assign(offers, { cpus, mem });
    if (offers.same.length > SAME_MAX)
      scene.fail('ALC-4', `${frameworkId} is offered the same of ${agentId} ${offers.same.length} times within a second`);
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
    onStep: ({ node, event }) => {
      if (event.type !== 'scheduler.REVIVE') return;
      forget(node, (event as unknown as Publish & { body: { frameworkId: string } }).body.frameworkId);
    },
  };
}

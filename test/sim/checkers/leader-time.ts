/** How much time a leader can have counted at most: that in which it heard itself. Kept apart from what the kernel counts. Rule: DLN-1. */
import type { MasterState } from '../../../actors/master/master-state.js';
import type { SimNode } from '../../../runtime/sim/sim-node.js';
import type { Scene, Step } from './checker.js';

/** A leader that hears nothing of itself notices it after 2 s; half a second between two loop-backs, and half for their way. */
const DEAF_AFTER_MS = 3_000;

interface Loopback {
  readonly meta: { readonly principal: string };
}

/** One term of one leader. */
export interface Term {
  readonly state: MasterState;
  /** Time counted at most, in milliseconds from the beginning of the term, up to a moment. */
  countedMs(now: number): number;
}

export class LeaderTime {
  readonly #scene: Scene;
  readonly #terms = new Map<SimNode, { state: MasterState; epoch: number; countedMs: number; heardAtMs: number }>();

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** The term that a step belongs to; `undefined` of who does not lead. */
  after({ now, node, event }: Step): Term | undefined {
    if (node.role !== 'master' || !this.#scene.cluster.isLeading(node)) return undefined;
    const state = this.#scene.cluster.masterState(node);
    let row = this.#terms.get(node);
    if (row?.state !== state || row.epoch !== state.epoch)
      row = { state, epoch: state.epoch, countedMs: 0, heardAtMs: now };
    this.#terms.set(node, row);
    if (event.type === 'peer.LOOPBACK' && (event as unknown as Loopback).meta.principal === node.name) {
      row.countedMs += Math.min(DEAF_AFTER_MS, now - row.heardAtMs);
      row.heardAtMs = now;
    }
    const { countedMs, heardAtMs } = row;
    return { state, countedMs: (at) => countedMs + Math.min(DEAF_AFTER_MS, at - heardAtMs) };
  }
}

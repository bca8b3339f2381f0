/**
 * FRW-4: a framework is removed because its scheduler wants so, or was away for its failover timeout as its leader counts time.
 * DLN-1: nobody is taken for silent who was not silent for as many heartbeats as it may miss, in time that counts.
 */
import type { Effect } from '../../../actors/effect.js';
import type { FrameworkRow } from '../../../actors/master/master-state.js';
import type { FrameworkRecord } from '../../../protocol/registry.js';
import type { Checker, Scene, Step } from './checker.js';
import { LeaderTime, type Term } from './leader-time.js';

/** In time that its leader counts. */
interface Absence {
  connected: boolean;
  /** When its session went on last, by a message of it without a gap before, or began. */
  heardMs: number;
  /** Session and place in it. */
  place: string;
  /** When it was connected last, or the term began. */
  thereMs: number;
}

const removedBy = (effect: Effect): readonly string[] =>
  effect.type !== 'persist'
    ? []
    : effect.writes.flatMap(({ key, record }) => {
        if (!key.startsWith('framework.') || record === undefined) return [];
        const { frameworkId, removed } = record as FrameworkRecord;
        return removed === true ? [frameworkId] : [];
      });

export function absences(scene: Scene): Checker {
  const time = new LeaderTime(scene);
  const frameworks = new WeakMap<FrameworkRow, Absence>();

  const follow = (row: FrameworkRow, term: Term, now: number): void => {
    const atMs = term.countedMs(now);
    const absence = frameworks.get(row) ?? { connected: false, heardMs: 0, place: '', thereMs: 0 };
    frameworks.set(row, absence);
    const place = `${row.link.session} ${row.link.seen}`;
    if (row.connected && place !== absence.place) Object.assign(absence, { place, heardMs: atMs });
    if (absence.connected && !row.connected && !row.removed) {
      const { heartbeatIntervalMs, missedHeartbeats } = term.state.config.timings;
      const silentMs = atMs - absence.heardMs;
      if (silentMs < (missedHeartbeats - 1) * heartbeatIntervalMs)
        scene.fail('DLN-1', `${row.frameworkId} is taken for silent after ${Math.round(silentMs)} ms`);
    }
    if (row.connected) absence.thereMs = atMs;
    absence.connected = row.connected;
  };
  const onRemoval = (frameworkId: string, term: Term, { now, event }: Step): void => {
    const row = term.state.frameworks.get(frameworkId);
    if (row === undefined) return;
    const own = scene.workloads.get(row.principal);
    if (own?.tearingDown === true && own.frameworkId === frameworkId) return;
    if (event.type === 'scheduler.TEARDOWN')
      return scene.fail('FRW-4', `${frameworkId} is torn down, and its scheduler does not want it`);
    const timeoutMs = (row.info.failoverTimeout ?? 0) * 1000;
    const awayMs = term.countedMs(now) - (frameworks.get(row)?.thereMs ?? 0);
    // What is counted is a sum of parts.
    if (awayMs < timeoutMs - 1)
      return scene.fail('FRW-4', `${frameworkId} is removed after ${Math.round(awayMs)} of ${timeoutMs} ms`);
    if (own?.frameworkId === frameworkId) own.expired = true;
  };

  return {
    rules: ['FRW-4', 'DLN-1'],
    onStep: (step: Step) => {
      const { now, effects } = step;
      const term = time.after(step);
      if (term === undefined) return;
      for (const row of term.state.frameworks.values()) follow(row, term, now);
      for (const effect of effects) for (const frameworkId of removedBy(effect)) onRemoval(frameworkId, term, step);
    },
  };
}

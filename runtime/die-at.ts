/** Ends this process by SIGKILL between two effects, as a test wants it: `TEPUI_DIE_AT` names the file that says where. See docs/hacking.md. */
import { readFileSync, rmSync } from 'node:fs';
import type { Effect } from '../actors/effect.js';
import { check, Type, type Static } from '../protocol/schema.js';
import type { HostEvent, HostHooks } from './actor-host.js';

export const DiePlan = Type.Object({
  /** Name of the actor's host: `master`, `agent` or `commandExecutor`. */
  host: Type.String(),
  /** Steps count whose event or effects name this: a task's id, say. */
  word: Type.String(),
  /** The effect of those steps that is not executed any more, from 1. What only counts, logs or sets the clock is not counted. */
  before: Type.Integer({ minimum: 1 }),
  /** Whether what the effects before it have sent is on its way: else it may die with the process. */
  flush: Type.Boolean(),
});
export type DiePlan = Static<typeof DiePlan>;

const problemOf = check(DiePlan);

/** Long enough for what was given to a socket or a disk, too short for an answer that would go on with the story. */
const FLUSH_MS = 5;
const UNCOUNTED: ReadonlySet<Effect['type']> = new Set(['log', 'count', 'setDeadline']);

/**
 * The file is read at each step, so that it may come, change and go while the process runs. It is removed right before the end: the next
 * life goes past the same place.
 */
export function dieAt(path: string | undefined, die: () => void = killSelf): HostHooks | undefined {
  if (path === undefined || path === '') return undefined;
  let story: { readonly text: string; readonly plan: DiePlan; counted: number } | undefined;
  let isCounting = false;
  let isOver = false;
  return {
    afterStep: (host: string, event: HostEvent, effects: readonly Effect[]) => {
      const text = readOrNothing(path);
      if (text !== story?.text) story = text === undefined ? undefined : { text, plan: parse(text), counted: 0 };
      isCounting = story?.plan.host === host && JSON.stringify([event, effects]).includes(story.plan.word);
    },
    beforeEffect: (host, effect) => {
      if (isOver) return false;
      if (story === undefined || !isCounting || host !== story.plan.host || UNCOUNTED.has(effect.type)) return true;
      story.counted += 1;
      if (story.counted < story.plan.before) return true;
      isOver = true;
      rmSync(path, { force: true });
      if (story.plan.flush) setTimeout(die, FLUSH_MS);
      else die();
      return false;
    },
  };
}

const killSelf = (): void => void process.kill(process.pid, 'SIGKILL');

function parse(text: string): DiePlan {
  const value: unknown = JSON.parse(text);
  const problem = problemOf(value);
  if (problem !== undefined) throw new Error(`the file of TEPUI_DIE_AT: ${JSON.stringify(problem)}`);
  return value as DiePlan;
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The scheduler of a word count: map tasks over all agents, one reduce task, and another try for what fails. Pure: it only decides. */
import { decline, isTerminal, kill, launch, Resources } from 'tepui';
import type { Call, Calls, Offer, Scheduler, Stamp, TaskInfo, TaskStatus } from 'tepui';
import { toQuantities } from 'tepui/protocol';

/** Tries of one piece of work, the first included. */
export const MAX_TRIES = 5;
/** What a task asks for: small, so that it fits an agent that has a part of a small machine. */
export const TASK_RESOURCES = { cpus: 0.2, mem: 96 };
/** Offers of several agents may come one after the other: this long the first ones wait for the others. */
const GATHER_MS = 100;

/** How a task of this framework is made; the scheduler knows no more of it. */
export type TaskMaker = (task: {
  readonly taskId: string;
  /** The split, or `undefined` for the reduce task. */
  readonly split: number | undefined;
  /** For the reduce task: for each split the task whose counts are to be used. */
  readonly sources: readonly string[];
}) => Omit<TaskInfo, 'taskId' | 'agentId' | 'resources'>;

/** One piece of work: a split to count, or the sum. */
export interface Work {
  /** `map-1`…, or `reduce`: also the id of its first task. */
  readonly name: string;
  readonly split: number | undefined;
  /** Tasks launched for it, in order. */
  readonly tries: Try[];
  /** Those of them that count against {@link MAX_TRIES}: one that never reached its agent does not. */
  failures: number;
  /** The task whose output counts; set once. */
  doneBy: string | undefined;
}

export interface Try {
  readonly taskId: string;
  readonly agentId: string;
  /** `lost`: it was given up, but may still be heard of. */
  state: 'live' | 'lost' | 'over';
  /** What went wrong with it, for people: `was ended by SIGKILL on agent a2`. */
  trouble: string | undefined;
}

export interface JobState {
  readonly make: TaskMaker;
  readonly maps: readonly Work[];
  readonly reduce: Work;
  /** Tasks by id. */
  readonly tries: Map<string, { readonly work: Work; readonly one: Try }>;
  /** Offers at hand. */
  readonly offers: Map<string, Offer>;
  /** Names of the agents that have made an offer. */
  readonly agents: Map<string, string>;
  /** Offers are gathered until then. */
  gatherUntilMs: number | undefined;
  suppressed: boolean;
  phase: 'map' | 'reduce' | 'done' | 'failed';
  /** What did not go smoothly, in the order in which it became known. */
  readonly news: string[];
  /** Why it failed. */
  error: string | undefined;
}

export function newJob(splits: number, make: TaskMaker): JobState {
  const work = (name: string, split?: number): Work => ({ name, split, tries: [], failures: 0, doneBy: undefined });
  return {
    make,
    maps: Array.from({ length: splits }, (_, index) => work(`map-${index + 1}`, index + 1)),
    reduce: work('reduce'),
    tries: new Map(),
    offers: new Map(),
    agents: new Map(),
    gatherUntilMs: undefined,
    suppressed: false,
    phase: 'map',
    news: [],
    error: undefined,
  };
}

export function wordCountScheduler(principal: string, user: string): Scheduler<JobState> {
  return {
    // Nobody comes back as this framework, so what it runs need not wait long for it.
    info: { name: 'wordcount', user, principal, failoverTimeout: 60 },
    onSubscribed: (job) => {
      // Offers are of a session.
      job.offers.clear();
      return [];
    },
    onOffers,
    onRescind: (job, offerId) => {
      job.offers.delete(offerId);
      return [];
    },
    onUpdate,
    onWake: (job) => place(job),
    onError: (job, { message }) => {
      job.phase = 'failed';
      job.error = message;
    },
  };
}

function onOffers(job: JobState, offers: readonly Offer[], { now }: Stamp): Calls {
  for (const offer of offers) {
    job.offers.set(offer.id, offer);
    job.agents.set(offer.agentId, nameOf(offer));
  }
  job.gatherUntilMs ??= now + GATHER_MS;
  return now < job.gatherUntilMs ? [{ type: 'WAKE', atMs: job.gatherUntilMs }] : place(job);
}

/** An agent's attribute `name` says what people call it. */
function nameOf({ attributes = [], agentId }: Offer): string {
  return attributes.find(({ name }) => name === 'name')?.text?.value ?? agentId;
}

/** What could run now and does not. */
function waiting(job: JobState): Work[] {
  const all = job.phase === 'map' ? job.maps : job.phase === 'reduce' ? [job.reduce] : [];
  return all.filter(({ doneBy, tries }) => doneBy === undefined && !tries.some(({ state }) => state === 'live'));
}

/** Uses the offers at hand for what waits, and gives the rest back. */
function place(job: JobState): Calls {
  const benches = benchesOf(job);
  for (const work of waiting(job)) {
    const bench = chooseBench(benches, work);
    if (bench === undefined) break;
    bench.free = bench.free.subtract(bench.room as Resources);
    bench.tasks.push(launchOn(job, work, bench));
    bench.load += 1;
    bench.room = bench.free.take(toQuantities(TASK_RESOURCES));
  }
  job.offers.clear();
  const calls: Call[] = [];
  for (const { offers, tasks } of benches)
    calls.push(...(tasks.length > 0 ? [launch(offers, tasks)] : decline(offers)));
  return [...calls, ...wantOffers(job)];
}

/** An agent with all that it offers. */
interface Bench {
  readonly agentId: string;
  readonly offers: Offer[];
  free: Resources;
  /** The resources for one more task; `undefined` when they do not suffice. */
  room: Resources | undefined;
  /** Tasks of this job that it runs or has finished. */
  load: number;
  readonly tasks: TaskInfo[];
}

function benchesOf(job: JobState): Bench[] {
  const benches = new Map<string, Bench>();
  for (const offer of job.offers.values()) {
    const { agentId } = offer;
    const bench = benches.get(agentId) ?? {
      agentId,
      offers: [],
      free: Resources.empty,
      room: undefined,
      load: loadOf(job, agentId),
      tasks: [],
    };
    bench.offers.push(offer);
    bench.free = bench.free.add(Resources.of(offer.resources));
    bench.room = bench.free.take(toQuantities(TASK_RESOURCES));
    benches.set(agentId, bench);
  }
  return [...benches.values()];
}

function loadOf(job: JobState, agentId: string): number {
  let load = 0;
  for (const { work, one } of job.tries.values())
    if (one.agentId === agentId && (one.state === 'live' || work.doneBy === one.taskId)) load += 1;
  return load;
}

/** Of the agents with room one where this work has not failed yet, and of these the one with the fewest tasks: so all agents get their share. */
function chooseBench(benches: readonly Bench[], work: Work): Bench | undefined {
  const failedOn = (agentId: string): number => (work.tries.some((one) => one.agentId === agentId) ? 1 : 0);
  let best: Bench | undefined;
  for (const bench of benches) {
    if (bench.room === undefined) continue;
    const order = best && (failedOn(best.agentId) - failedOn(bench.agentId) || best.load - bench.load);
    if (order === undefined || order > 0) best = bench;
  }
  return best;
}

/** Each try has an id, and with it an output, of its own: what an earlier one has left half done never counts. */
function launchOn(job: JobState, work: Work, { agentId, room }: Bench): TaskInfo {
  const { name, split, tries } = work;
  const taskId = tries.length === 0 ? name : `${name}.${tries.length + 1}`;
  const one: Try = { taskId, agentId, state: 'live', trouble: undefined };
  tries.push(one);
  job.tries.set(taskId, { work, one });
  if (tries.length > 1) job.news.push(`${titleOf(work)} runs again as ${taskId} on ${agentName(job, one)}`);
  const sources = split === undefined ? job.maps.flatMap(({ doneBy }) => doneBy ?? []) : [];
  return { ...job.make({ taskId, split, sources }), taskId, agentId, resources: (room as Resources).toArray() };
}

/** Offers are asked for only while something waits; the others of the cluster need them, too. */
function wantOffers(job: JobState): Calls {
  const suppressed = waiting(job).length === 0;
  if (suppressed === job.suppressed) return [];
  job.suppressed = suppressed;
  return [suppressed ? { type: 'SUPPRESS' } : { type: 'REVIVE' }];
}

/** An update may come late, twice, or of a task that was given up. */
function onUpdate(job: JobState, status: TaskStatus): Calls {
  const known = job.tries.get(status.taskId);
  if (known === undefined || known.one.state === 'over' || job.phase === 'done' || job.phase === 'failed') return [];
  const { work, one } = known;
  if (status.state === 'TASK_FINISHED') {
    one.state = 'over';
    return work.doneBy === undefined ? finish(job, work, one) : [];
  }
  // The master cannot tell what became of it. That may take long: another one does its work, and the first to finish counts.
  const isLost = status.state === 'TASK_UNREACHABLE' || status.state === 'TASK_UNKNOWN';
  if (!isLost && !isTerminal(status.state)) return [];
  const wasLost = one.state === 'lost';
  one.state = isLost ? 'lost' : 'over';
  return wasLost || work.doneBy !== undefined ? [] : fail(job, work, one, status);
}

function finish(job: JobState, work: Work, one: Try): Calls {
  work.doneBy = one.taskId;
  const others = work.tries.filter(({ state }) => state !== 'over').map(({ taskId, agentId }) => kill(taskId, agentId));
  if (work === job.reduce) {
    job.phase = 'done';
    return [...others, { type: 'TEARDOWN' }];
  }
  if (job.phase === 'map' && job.maps.every(({ doneBy }) => doneBy !== undefined)) job.phase = 'reduce';
  return [...others, ...wantOffers(job)];
}

function fail(job: JobState, work: Work, one: Try, status: TaskStatus): Calls {
  const { text, isFailure } = troubleOf(status, agentName(job, one));
  one.trouble = text;
  const story = `${titleOf(work)} ${text}`;
  job.news.push(story);
  if (status.state === 'TASK_ERROR') return giveUp(job, story);
  if (isFailure) work.failures += 1;
  return work.failures < MAX_TRIES
    ? wantOffers(job)
    : giveUp(job, `${story}, and that was its last try of ${MAX_TRIES}`);
}

function giveUp(job: JobState, error: string): Calls {
  job.phase = 'failed';
  job.error = error;
  return [{ type: 'TEARDOWN' }];
}

/** What happened to a task, to go behind its name, and whether the task or its agent is to blame. */
function troubleOf(status: TaskStatus, agent: string): { text: string; isFailure: boolean } {
  const { state, exitSignal, exitCode, message, reason } = status;
  const failed = (text: string) => ({ text, isFailure: true });
  if (exitSignal !== undefined) return failed(`was ended by ${exitSignal} on agent ${agent}`);
  if (exitCode !== undefined) return failed(`ended with exit code ${exitCode} on agent ${agent}`);
  if (state === 'TASK_UNREACHABLE') return failed(`was lost with agent ${agent}`);
  // The launch was lost on its way: with the leading master, say.
  const isUnknown = state === 'TASK_GONE' && reason === 'REASON_RECONCILIATION';
  if (state === 'TASK_DROPPED' || isUnknown) return { text: `never reached agent ${agent}`, isFailure: false };
  const why = message === undefined ? '' : ` (${message})`;
  return failed(state === 'TASK_ERROR' ? `was refused${why}` : `ended as ${state} on agent ${agent}${why}`);
}

const titleOf = ({ split }: Work): string => (split === undefined ? 'the reduce task' : `map ${split}`);

const agentName = (job: JobState, { agentId }: Try): string => job.agents.get(agentId) ?? agentId;

/** What did not go smoothly, a sentence for each: `map 4 was ended by SIGKILL on agent a2 and ran again as map-4.2 on a3`. */
export function eventsOf(job: JobState): string[] {
  return [...job.maps, job.reduce].flatMap((work) =>
    work.tries.flatMap((one, index) => {
      if (one.trouble === undefined) return [];
      const next = work.tries[index + 1];
      const again = next === undefined ? '' : ` and ran again as ${next.taskId} on ${agentName(job, next)}`;
      return [`${titleOf(work)} ${one.trouble}${again}`];
    }),
  );
}

/** Where each split was counted, and in which try. */
export function mapTasksOf(job: JobState): { id: string; agent: string; attempts: number }[] {
  return job.maps.flatMap(({ name, doneBy, tries }) => {
    const one = tries.find(({ taskId }) => taskId === doneBy);
    return one === undefined ? [] : [{ id: name, agent: agentName(job, one), attempts: tries.length }];
  });
}

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { CountMerger, formatCounts, summarize, WordCounter, type Sink } from '../../frameworks/wordcount/count.js';
import {
  eventsOf,
  mapTasksOf,
  MAX_TRIES,
  newJob,
  wordCountScheduler,
  type JobState,
  type TaskMaker,
} from '../../frameworks/wordcount/scheduler.js';
import { taskMaker } from '../../frameworks/wordcount/task-maker.js';
import { textOf } from '../../frameworks/wordcount/text.js';
import type { Offer } from '../../protocol/offer.js';
import { Resources } from '../../protocol/resources.js';
import { bodyCheck } from '../../protocol/messages.js';
import type { TaskInfo, TaskStatus } from '../../protocol/task.js';
import type { Call, Calls } from '../../runtime/sdk.js';

/** Puts what the scheduler names into the task, so that a test can look at it. */
const make: TaskMaker = ({ split, sources }) => ({
  name: split === undefined ? 'reduce' : `map ${split}`,
  command: { value: JSON.stringify(sources) },
});
const sourcesOf = (task: TaskInfo): string[] => JSON.parse(task.command?.value ?? '[]') as string[];

/** A cluster as small as can be: it keeps the books of offers and tasks, and throws when the scheduler breaks a rule. */
class World {
  readonly job: JobState;
  readonly scheduler = wordCountScheduler('wordcount', 'nobody');
  readonly running = new Map<string, TaskInfo>();
  readonly launched: TaskInfo[] = [];
  readonly killed: string[] = [];
  now = 1_000;
  wakeAt = Infinity;
  suppressed = false;
  ended = false;
  readonly #free: Map<string, Resources>;
  readonly #offers = new Map<string, { agentId: string; resources: Resources }>();
  #offerCount = 0;

  constructor(splits: number, agents: Readonly<Record<string, string>>) {
    this.job = newJob(splits, make);
    this.#free = new Map(
      Object.entries(agents).map(([name, text]) => [`id-${name}`, Resources.parse(text).allocate('*')]),
    );
    this.apply(this.scheduler.onSubscribed?.(this.job, { frameworkId: 'f', again: false }, this.stamp()) ?? []);
  }

  stamp = () => ({ now: this.now, random: 0.5 });

  /** Offers all that is free on these agents, one call for all or one for each. */
  offer(names = [...this.#free.keys()].map((id) => id.slice(3)), together = true): void {
    if (this.suppressed || this.ended) return;
    const offers = names.flatMap((name): Offer[] => {
      const agentId = `id-${name}`;
      const resources = this.#free.get(agentId) ?? Resources.empty;
      if (resources.isEmpty) return [];
      this.#free.set(agentId, Resources.empty);
      const id = `O${++this.#offerCount}`;
      this.#offers.set(id, { agentId, resources });
      const attributes = [{ name: 'name', type: 'TEXT' as const, text: { value: name } }];
      return [{ id, frameworkId: 'f', agentId, hostname: 'h', resources: resources.toArray(), attributes }];
    });
    if (offers.length === 0) return;
    const groups = together ? [offers] : offers.map((one) => [one]);
    for (const group of groups) this.apply(this.scheduler.onOffers(this.job, group, this.stamp()));
  }

  /** Lets the time pass to the scheduler's wake-up. */
  wake(): void {
    if (this.wakeAt === Infinity) return;
    this.now = this.wakeAt;
    this.wakeAt = Infinity;
    this.apply(this.scheduler.onWake?.(this.job, this.stamp()) ?? []);
  }

  /** Offers until nothing waits any more or nothing is free. */
  settle(): void {
    this.offer();
    this.wake();
    this.offer();
  }

  /** A status of a task. A terminal one frees what it had. */
  tell(taskId: string, state: TaskStatus['state'], more: Partial<TaskStatus> = {}): void {
    const task = this.running.get(taskId);
    const isOver = !['TASK_RUNNING', 'TASK_UNREACHABLE', 'TASK_UNKNOWN', 'TASK_STARTING'].includes(state);
    if (task !== undefined && isOver) {
      this.running.delete(taskId);
      this.#giveBack(task.agentId, Resources.of(task.resources));
    }
    this.apply(this.scheduler.onUpdate(this.job, { taskId, state, ...more }, this.stamp()));
  }

  /** Somebody else's task on this agent has ended. */
  grow(name: string, text: string): void {
    this.#giveBack(`id-${name}`, Resources.parse(text).allocate('*'));
  }

  /** Offers that the scheduler holds. */
  get outstanding(): number {
    return this.#offers.size;
  }

  get idsOnAgents(): Record<string, string[]> {
    const by: Record<string, string[]> = {};
    for (const { taskId, agentId } of this.running.values()) (by[agentId.slice(3)] ??= []).push(taskId);
    return by;
  }

  apply(calls: Calls): void {
    for (const call of calls) this.#applyOne(call);
  }

  #giveBack(agentId: string, resources: Resources): void {
    this.#free.set(agentId, (this.#free.get(agentId) ?? Resources.empty).add(resources));
  }

  #take(offerIds: readonly string[]): { agentId: string; resources: Resources } {
    const taken = offerIds.map((id) => {
      const offer = this.#offers.get(id);
      if (offer === undefined) throw new Error(`offer ${id} is used twice, or none`);
      this.#offers.delete(id);
      return offer;
    });
    const agentId = taken[0]?.agentId ?? '';
    if (taken.some((offer) => offer.agentId !== agentId)) throw new Error('offers of two agents in one call');
    return { agentId, resources: Resources.sum(taken.map(({ resources }) => resources)) };
  }

  #applyOne(call: Call): void {
    if (this.ended) throw new Error(`${call.type} after TEARDOWN`);
    switch (call.type) {
      case 'WAKE':
        this.wakeAt = call.atMs;
        return;
      case 'SUPPRESS':
      case 'REVIVE':
        this.suppressed = call.type === 'SUPPRESS';
        return;
      case 'KILL':
        this.killed.push(call.kill.taskId);
        return;
      case 'TEARDOWN':
        this.ended = true;
        return;
      case 'DECLINE':
        for (const id of call.decline.offerIds) {
          const { agentId, resources } = this.#take([id]);
          this.#giveBack(agentId, resources);
        }
        return;
      case 'ACCEPT': {
        const wrong = bodyCheck('masterScheduler', 'ACCEPT')?.({ frameworkId: 'f', accept: call.accept });
        if (wrong !== undefined) throw new Error(wrong);
        const { agentId, resources } = this.#take(call.accept.offerIds);
        let left = resources;
        for (const operation of call.accept.operations ?? []) {
          if (operation.type !== 'LAUNCH') throw new Error(operation.type);
          for (const task of operation.launch.taskInfos ?? []) left = this.#launch(agentId, left, task);
        }
        this.#giveBack(agentId, left);
        return;
      }
      default:
        throw new Error(`${call.type} was not expected`);
    }
  }

  #launch(agentId: string, left: Resources, task: TaskInfo): Resources {
    const wanted = Resources.of(task.resources);
    if (task.agentId !== agentId) throw new Error(`${task.taskId} names another agent`);
    if (!left.contains(wanted)) throw new Error(`${task.taskId} does not fit: ${wanted} in ${left}`);
    if (this.launched.some(({ taskId }) => taskId === task.taskId)) throw new Error(`${task.taskId} is launched twice`);
    this.launched.push(task);
    this.running.set(task.taskId, task);
    return left.subtract(wanted);
  }
}

const SMALL = 'cpus:0.66;mem:512';
const three = (each = SMALL, splits = 9): World => new World(splits, { a1: each, a2: each, a3: each });

for (const together of [true, false]) {
  test(`WCT-1 three agents get three of nine maps each, their offers ${together ? 'in one message' : 'one after the other'}`, (t) => {
    const world = three('cpus:8;mem:8192');
    world.offer(['a1', 'a2', 'a3'], together);
    t.is(world.launched.length, 0);
    world.wake();
    t.deepEqual(
      Object.values(world.idsOnAgents).map((ids) => ids.length),
      [3, 3, 3],
    );
    t.true(world.suppressed);
  });
}

test('WCT-1 agents that all have room get the same number of tasks, or one more', (t) => {
  const run = fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 6 }), (splits, agents) => {
    const world = new World(
      splits,
      Object.fromEntries(Array.from({ length: agents }, (_, i) => [`a${i}`, 'cpus:9;mem:9000'])),
    );
    world.settle();
    const loads = Object.values(world.idsOnAgents).map((ids) => ids.length);
    t.is(loads.length, Math.min(splits, agents));
    t.true(Math.max(...loads) - Math.min(...loads) <= 1);
  });
  fc.assert(run);
});

test('WCT-1 an agent that has room for two gets two, and one that has none gets none', (t) => {
  const world = new World(7, { a1: 'cpus:0.15;mem:512', a2: 'cpus:0.45;mem:1024', a3: 'cpus:4;mem:4096' });
  world.settle();
  const loads = Object.entries(world.idsOnAgents).map(([name, ids]) => [name, ids.length]);
  t.deepEqual(Object.fromEntries(loads), { a2: 2, a3: 5 });
});

test('WCT-1 several offers of one agent are used together', (t) => {
  const world = new World(1, { a1: 'cpus:0.15;mem:512' });
  world.offer();
  world.grow('a1', 'cpus:0.1;mem:64');
  world.offer();
  t.is(world.job.offers.size, 2);
  world.wake();
  t.deepEqual(world.idsOnAgents, { a1: ['map-1'] });
});

test('WCT-2 the reduce is launched after the last map, with one finished try of each', (t) => {
  const world = three();
  world.settle();
  for (const id of ['map-1', 'map-2', 'map-3', 'map-4', 'map-5', 'map-6', 'map-7', 'map-8'])
    world.tell(id, 'TASK_FINISHED');
  world.offer();
  t.false(world.launched.some(({ taskId }) => taskId === 'reduce'));
  world.tell('map-9', 'TASK_FAILED', { exitCode: 1 });
  world.settle();
  t.is(world.launched.at(-1)?.taskId, 'map-9.2');
  world.tell('map-9.2', 'TASK_FINISHED');
  t.false(world.suppressed);
  world.settle();
  const reduce = world.launched.at(-1) as TaskInfo;
  t.is(reduce.taskId, 'reduce');
  t.deepEqual(sourcesOf(reduce), ['map-1', 'map-2', 'map-3', 'map-4', 'map-5', 'map-6', 'map-7', 'map-8', 'map-9.2']);
  world.tell('reduce', 'TASK_FINISHED');
  t.true(world.ended);
  t.is(world.job.phase, 'done');
  t.is(mapTasksOf(world.job).find(({ id }) => id === 'map-9')?.attempts, 2);
});

test('WCT-3 a killed map runs again elsewhere, and the story says so', (t) => {
  const world = three('cpus:4;mem:4096');
  world.settle();
  const before = world.running.get('map-4')?.agentId;
  world.tell('map-4', 'TASK_FAILED', { exitSignal: 'SIGKILL' });
  world.settle();
  const after = world.running.get('map-4.2')?.agentId;
  t.truthy(after);
  t.not(after, before);
  const [name, other] = [before, after].map((id) => id?.slice(3));
  t.deepEqual(eventsOf(world.job), [
    `map 4 was ended by SIGKILL on agent ${name} and ran again as map-4.2 on ${other}`,
  ]);
  t.deepEqual(world.job.news, [
    `map 4 was ended by SIGKILL on agent ${name}`,
    `map 4 runs again as map-4.2 on ${other}`,
  ]);
});

test('WCT-3 where only the agent of the failure has room, it runs there', (t) => {
  const world = three();
  world.settle();
  const agent = world.running.get('map-4')?.agentId;
  world.tell('map-4', 'TASK_FAILED', { exitCode: 1 });
  world.settle();
  t.is(world.running.get('map-4.2')?.agentId, agent);
});

test('WCT-3 the fifth failure of one split ends the count, and says which and why', (t) => {
  const world = three();
  world.settle();
  for (let time = 1; time <= MAX_TRIES; time++) {
    t.false(world.ended);
    world.tell(time === 1 ? 'map-4' : `map-4.${time}`, 'TASK_FAILED', { exitCode: 1 });
    world.settle();
  }
  t.true(world.ended);
  t.is(world.job.phase, 'failed');
  t.regex(world.job.error ?? '', /^map 4 ended with exit code 1 on agent a\d, and that was its last try of 5$/);
  t.is(eventsOf(world.job).length, MAX_TRIES);
});

test('WCT-3 failures of different splits are not added up', (t) => {
  const world = three();
  world.settle();
  for (let split = 1; split <= 9; split++) {
    world.tell(`map-${split}`, 'TASK_FAILED', { exitCode: 1 });
    world.settle();
  }
  t.false(world.ended);
  t.is(world.running.size, 9);
});

for (const [what, state, more] of [
  ['was dropped', 'TASK_DROPPED', { reason: 'REASON_INVALID_OFFERS' }],
  ['is unknown to the master', 'TASK_GONE', { reason: 'REASON_RECONCILIATION' }],
] as const) {
  test(`WCT-3 a launch that ${what} is tried again for as long as it takes`, (t) => {
    const world = three();
    world.settle();
    for (let time = 1; time < 20; time++) {
      world.tell(time === 1 ? 'map-4' : `map-4.${time}`, state, more);
      world.settle();
    }
    t.false(world.ended);
    t.true(world.running.has('map-4.20'));
    t.regex(eventsOf(world.job)[0] ?? '', /^map 4 never reached agent a\d and ran again as map-4\.2 on a\d$/);
  });
}

test('WCT-3 a task that the master refuses ends the count at once', (t) => {
  const world = three();
  world.settle();
  world.tell('map-2', 'TASK_ERROR', { message: 'the task asks for no resources' });
  t.true(world.ended);
  t.is(world.job.error, 'map 2 was refused (the task asks for no resources)');
});

test('WCT-3 the reduce task runs again, too', (t) => {
  const world = three(SMALL, 2);
  world.settle();
  world.tell('map-1', 'TASK_FINISHED');
  world.tell('map-2', 'TASK_FINISHED');
  world.settle();
  world.tell('reduce', 'TASK_KILLED', { exitSignal: 'SIGTERM' });
  world.settle();
  world.tell('reduce.2', 'TASK_FINISHED');
  t.is(world.job.phase, 'done');
  t.is(world.job.reduce.doneBy, 'reduce.2');
  t.regex(
    eventsOf(world.job).join(),
    /^the reduce task was ended by SIGTERM on agent a\d and ran again as reduce\.2 on a\d$/,
  );
});

test('WCT-3 a fatal error of the driver ends the count', (t) => {
  const { job, scheduler } = three();
  scheduler.onError?.(job, { code: 'WRONG_PRINCIPAL', message: 'not yours' });
  t.is(job.phase, 'failed');
  t.is(job.error, 'not yours');
});

test('WCT-4 statuses that come twice, late or of nobody change nothing', (t) => {
  const world = three();
  world.settle();
  world.tell('map-1', 'TASK_FINISHED');
  const before = JSON.stringify(world.job.maps);
  const launched = world.launched.length;
  world.tell('map-1', 'TASK_FINISHED');
  world.tell('map-1', 'TASK_RUNNING');
  world.tell('map-1', 'TASK_FAILED', { exitCode: 1 });
  world.tell('map-1', 'TASK_UNREACHABLE');
  world.tell('map-99', 'TASK_FAILED');
  t.is(JSON.stringify(world.job.maps), before);
  t.is(world.launched.length, launched);
  t.deepEqual(eventsOf(world.job), []);
});

test('WCT-4 a lost task that finishes after all counts, and the one that was to replace it is killed', (t) => {
  const world = three('cpus:4;mem:4096', 3);
  world.settle();
  world.tell('map-2', 'TASK_UNREACHABLE');
  world.tell('map-2', 'TASK_UNREACHABLE');
  world.settle();
  t.true(world.running.has('map-2.2'));
  t.is(world.job.maps[1]?.failures, 1);
  world.tell('map-2', 'TASK_RUNNING');
  world.tell('map-2', 'TASK_FINISHED');
  t.deepEqual(world.killed, ['map-2.2']);
  world.tell('map-2.2', 'TASK_KILLED', { exitSignal: 'SIGTERM' });
  t.is(world.job.maps[1]?.doneBy, 'map-2');
  world.tell('map-1', 'TASK_FINISHED');
  world.tell('map-3', 'TASK_FINISHED');
  world.settle();
  t.deepEqual(sourcesOf(world.launched.at(-1) as TaskInfo), ['map-1', 'map-2', 'map-3']);
  t.is(eventsOf(world.job).length, 1);
});

test('WCT-4 a lost task that then fails has failed once', (t) => {
  const world = three('cpus:4;mem:4096', 1);
  world.settle();
  world.tell('map-1', 'TASK_UNREACHABLE');
  world.settle();
  world.tell('map-1', 'TASK_FAILED', { exitCode: 1 });
  t.is(world.job.maps[0]?.failures, 1);
  t.deepEqual([...world.running.keys()], ['map-1.2']);
});

test('WCT-4 a lost task that ends after its replacement is no news', (t) => {
  const world = three('cpus:4;mem:4096', 1);
  world.settle();
  world.tell('map-1', 'TASK_UNREACHABLE');
  world.settle();
  world.tell('map-1.2', 'TASK_FINISHED');
  t.deepEqual(world.killed, ['map-1']);
  world.tell('map-1', 'TASK_FINISHED');
  t.is(world.job.maps[0]?.doneBy, 'map-1.2');
});

test('WCT-5 what does not help goes back, a rescinded offer is not used, and offers of an old session are forgotten', (t) => {
  const world = new World(2, { tiny: 'cpus:0.1;mem:512', a1: SMALL });
  world.offer(['tiny', 'a1']);
  const [, second] = [...world.job.offers.keys()];
  world.apply(world.scheduler.onRescind?.(world.job, second ?? '', world.stamp()) ?? []);
  world.wake();
  t.is(world.launched.length, 0);
  t.false(world.suppressed);
  world.offer(['tiny']);
  t.is(world.job.offers.size, 0);
  // The one that was rescinded is the master's again, all others have been answered.
  t.is(world.outstanding, 1);
  world.job.offers.set('old', {} as Offer);
  world.apply(world.scheduler.onSubscribed?.(world.job, { frameworkId: 'f', again: true }, world.stamp()) ?? []);
  t.is(world.job.offers.size, 0);
});

test('WCT-2 WCT-3 WCT-4 WCT-5 whatever happens in whatever order, the books are right and the count ends', (t) => {
  const event = fc.record({
    pick: fc.nat(),
    what: fc.constantFrom(
      'finish',
      'finish',
      'finish',
      'fail',
      'lose',
      'drop',
      'repeat',
      'run',
      'offer',
      'offerOne',
      'wake',
    ),
  });
  const run = fc.property(
    fc.integer({ min: 1, max: 12 }),
    fc.array(fc.constantFrom(SMALL, 'cpus:0.1;mem:64', 'cpus:2;mem:300', 'cpus:8;mem:8192'), {
      minLength: 1,
      maxLength: 4,
    }),
    fc.array(event, { maxLength: 120 }),
    (splits, agents, events) => {
      const names = ['big', ...agents.map((_, i) => `a${i}`)];
      const world = new World(splits, {
        big: 'cpus:0.5;mem:256',
        ...Object.fromEntries(agents.map((text, i) => [`a${i}`, text])),
      });
      const pickFrom = (list: readonly string[], pick: number) => list[pick % Math.max(1, list.length)];
      for (const { pick, what } of events) {
        if (world.ended) break;
        const id = pickFrom([...world.running.keys()], pick);
        const old = pickFrom(
          world.launched.map(({ taskId }) => taskId),
          pick,
        );
        if (what === 'offer') world.offer();
        else if (what === 'offerOne') world.offer([names[pick % names.length] ?? '']);
        else if (what === 'wake') world.wake();
        else if (what === 'repeat' && old !== undefined && !world.running.has(old)) world.tell(old, 'TASK_FAILED');
        else if (id === undefined) world.settle();
        else if (what === 'finish') world.tell(id, 'TASK_FINISHED');
        else if (what === 'fail') world.tell(id, 'TASK_FAILED', { exitSignal: 'SIGKILL' });
        else if (what === 'lose') world.tell(id, 'TASK_UNREACHABLE');
        else if (what === 'drop') world.tell(id, 'TASK_DROPPED');
        else if (what === 'run') world.tell(id, 'TASK_RUNNING');
        const reduces = world.launched.filter(({ taskId }) => taskId.startsWith('reduce'));
        for (const reduce of reduces) {
          const works = sourcesOf(reduce).map((source) => source.replace(/\..*/, ''));
          if (new Set(works).size !== splits || works.length !== splits) throw new Error(`sources ${works.join()}`);
        }
      }
      world.wake();
      if (world.outstanding > 0) throw new Error('offers are hoarded');
      // From here on everything goes well, so the count must end.
      for (let round = 0; !world.ended && round < 100; round++) {
        world.settle();
        for (const id of [...world.running.keys()]) if (!world.ended) world.tell(id, 'TASK_FINISHED');
      }
      const { phase, error } = world.job;
      const worst = Math.max(...[...world.job.maps, world.job.reduce].map(({ failures }) => failures));
      if (phase !== 'done' && !(phase === 'failed' && worst >= MAX_TRIES)) throw new Error(`${phase} ${error}`);
    },
  );
  t.notThrows(() => fc.assert(run, { numRuns: 300 }));
});

/** Gives `bytes` to a sink in pieces that end at `cuts`. */
function addInPieces(sink: Sink, bytes: Uint8Array, cuts: readonly number[]): void {
  let from = 0;
  for (const cut of [...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    sink.add(bytes.subarray(from, cut));
    from = cut;
  }
}

const formatted = (counts: ReadonlyMap<string, number>): Buffer => Buffer.concat([...formatCounts(counts)]);

function countOf(bytes: Uint8Array, cuts: readonly number[] = []): ReadonlyMap<string, number> {
  const counter = new WordCounter();
  addInPieces(counter, bytes, cuts);
  return counter.end();
}

/** Words and what is between them: all white space there is, and bytes that only look like some. */
const WHITE = [9, 10, 11, 12, 13, 32];
const byte = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...WHITE) },
  { weight: 3, arbitrary: fc.constantFrom(97, 98, 0xc3, 0xa9) },
  { weight: 1, arbitrary: fc.constantFrom(0, 8, 14, 28, 31, 33, 127, 0x85, 0xa0, 0xff) },
  { weight: 1, arbitrary: fc.nat(255) },
);
const text = fc.array(byte, { maxLength: 300 }).map((bytes) => Uint8Array.from(bytes));
const cuts = fc.array(fc.nat(300), { maxLength: 8 });

function naiveCount(bytes: Uint8Array): Map<string, number> {
  const counts = new Map<string, number>();
  let word = '';
  for (const one of [...bytes, 32]) {
    if (!WHITE.includes(one)) word += String.fromCharCode(one);
    else if (word !== '') {
      counts.set(word, (counts.get(word) ?? 0) + 1);
      word = '';
    }
  }
  return counts;
}

test('WCT-6 the counts are those of a naive count, wherever the text is cut', (t) => {
  const run = fc.property(text, cuts, (bytes, at) => {
    const sorted = (counts: ReadonlyMap<string, number>) => [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
    t.deepEqual(sorted(countOf(bytes, at)), sorted(naiveCount(bytes)));
  });
  fc.assert(run, { numRuns: 500 });
});

test('WCT-6 the format and the order are those of the tools themselves', (t) => {
  const pipeline = `tr -s '[:space:]' '\\n' | LC_ALL=C sort | LC_ALL=C uniq -c`;
  const run = fc.property(text, (bytes) => {
    const input = Buffer.from(bytes);
    // `tr` leaves one line feed of white space at the beginning, which then is an empty line.
    while (input.length > 0 && WHITE.includes(input[0] ?? 0)) input[0] = 0x61;
    const { stdout } = spawnSync('sh', ['-c', pipeline], { input });
    t.is(formatted(countOf(input)).toString('latin1'), stdout.toString('latin1'));
  });
  fc.assert(run, { numRuns: 60 });
  t.is(formatted(new Map([['x', 12_345_678]])).toString(), '12345678 x\n');
});

test('WCT-6 counts of parts, added up, are the count of the whole', (t) => {
  const run = fc.property(fc.array(text, { maxLength: 5 }), cuts, (parts, at) => {
    const merger = new CountMerger();
    for (const part of parts) addInPieces(merger, formatted(countOf(part)), at);
    const whole = Buffer.concat(parts.flatMap((part) => [part, Buffer.from('\n')]));
    t.is(formatted(merger.end()).toString('latin1'), formatted(countOf(whole)).toString('latin1'));
  });
  fc.assert(run, { numRuns: 200 });
});

test('WCT-6 what is no count is refused when counts are added up', (t) => {
  for (const line of ['x', ' 1x', '-1 x', '1 ', ' 1 x y', '01 x']) {
    const merger = new CountMerger();
    t.throws(
      () => {
        merger.add(Buffer.from(line));
        merger.end();
      },
      { message: /is no count of a word/ },
      line,
    );
  }
});

test('WCT-6 a word without an end costs no more than its length', (t) => {
  const counter = new WordCounter();
  const piece = Buffer.alloc(64 * 1024, 'x');
  for (let i = 0; i < 200; i++) counter.add(piece);
  const [[word] = ['']] = counter.end();
  t.is(word.length, 200 * piece.length);
});

test('WCT-6 the summary has the most frequent words first, as people read them', (t) => {
  const summary = summarize(countOf(Buffer.from('a ñu b ñu a ñu')), 2);
  t.deepEqual(summary, {
    words: 6,
    distinct: 3,
    top: [
      { word: 'ñu', count: 3 },
      { word: 'a', count: 2 },
    ],
  });
});

test('WCT-7 the text is the same for the same seed and another for another, in whole lines, as long as asked for', (t) => {
  const whole = (seed: string, bytes: number): Buffer => Buffer.concat([...textOf(seed, bytes)]);
  const one = whole('a', 300_000);
  t.deepEqual(one, whole('a', 300_000));
  t.notDeepEqual(one, whole('b', 300_000));
  t.true(one.length >= 300_000 && one.length < 301_000, `${one.length}`);
  for (const chunk of textOf('a', 300_000)) t.is(chunk.at(-1), 10);
  t.false(WHITE.includes(one[0] ?? 32));
  t.false(/[ \n]{2}/.test(one.toString()));
  t.is(whole('a', 1).toString().split('\n').length, 2);
});

test('WCT-7 a few words are frequent and many are rare', (t) => {
  const counts = countOf(Buffer.concat([...textOf('zipf', 2_000_000)]));
  const sorted = [...counts.values()].sort((a, b) => b - a);
  const total = sorted.reduce((sum, count) => sum + count, 0);
  t.true(sorted.length > 4_000, `${sorted.length} words`);
  const share = (sorted[0] ?? 0) / total;
  t.true(share > 0.02 && share < 0.1, `${share}`);
  // Ten times the rank, about a tenth of the frequency.
  const ratio = (sorted[29] ?? 0) / (sorted[299] ?? 1);
  t.true(ratio > 7 && ratio < 13, `${ratio}`);
});

test('WCT-8 a task is told where its credentials are, and what to read and write', (t) => {
  const make = taskMaker({
    credentialsPath: '/secrets/tasks.json',
    cluster: undefined,
    splitObject: (split) => `run/split-${split}`,
    outputOf: (taskId) => `run/${taskId}`,
  });
  const environment = (task: ReturnType<TaskMaker>) =>
    Object.fromEntries((task.command?.environment?.variables ?? []).map(({ name, value }) => [name, value]));
  t.deepEqual(environment(make({ taskId: 'map-4.2', split: 4, sources: [] })), {
    TEPUI_CREDENTIALS: '/secrets/tasks.json',
    TEPUI_CLUSTER: '',
    WORDCOUNT_INPUTS: '["run/split-4"]',
    WORDCOUNT_OUTPUT: 'run/map-4.2',
  });
  const reduce = make({ taskId: 'reduce', split: undefined, sources: ['map-1', 'map-2.2'] });
  t.is(environment(reduce)['WORDCOUNT_INPUTS'], '["run/map-1","run/map-2.2"]');
  t.regex(reduce.command?.arguments?.at(-1) ?? '', /reduce-task\.js$/);
});

test('WCT-11 the functions on the page are those of the source', (t) => {
  const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
  const blocks = [...read('docs/first-job.md').matchAll(/```ts\n(function [^]*?)```/g)].map(([, code = '']) => code);
  const source = read('frameworks/wordcount/scheduler.ts');
  t.is(blocks.length, 2);
  for (const block of blocks) t.true(source.includes(block), block.split('\n')[0]);
});

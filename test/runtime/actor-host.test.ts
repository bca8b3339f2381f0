import test from 'ava';
import { setup, type EventObject } from 'xstate';
import { Deadlines } from '../../actors/deadlines.js';
import type { Effect, Effects } from '../../actors/effect.js';
import { performer, type ActorState, type Batch } from '../../actors/perform.js';
import { ActorHost, type HostHooks } from '../../runtime/actor-host.js';
import { SeededRandom } from '../../runtime/sim/seeded-random.js';
import { Incarnation, VirtualClock } from '../../runtime/sim/virtual-clock.js';

const START_AT_MS = 1_000_000;

interface Event extends EventObject {
  readonly now: number;
  readonly random: number;
  readonly name?: string;
}

const logged = (message: string): Effect => ({ type: 'log', level: 'info', message });

/** A host whose actor does what `decide` says, in a world of its own. */
function world(
  decide: (state: ActorState, event: Event) => Effects,
  more: {
    hooks?: HostHooks;
    execute?: (effect: Effect, host: () => { send(event: { type: string }): void }) => void;
  } = {},
) {
  const clock = new VirtualClock(START_AT_MS);
  const done: string[] = [];
  const crashes: unknown[] = [];
  const perform = performer<ActorState, Event>();
  const logic = setup({
    types: {} as { context: { state: ActorState }; events: Event; emitted: Batch },
    actions: { decide: perform(decide) as never },
  }).createMachine({
    context: () => ({ state: { deadlines: new Deadlines(), announcedMs: undefined } }),
    on: { '*': { actions: 'decide' } },
  });
  const host: ActorHost<typeof logic> = new ActorHost({
    name: 'one',
    logic,
    input: undefined as never,
    clock: clock.clockOf(new Incarnation('one', 1)),
    random: new SeededRandom(1),
    execute: (effect) => {
      done.push(effect.type === 'log' ? effect.message : effect.type);
      more.execute?.(effect, () => host);
    },
    endBatch: () => done.push('end'),
    onCrash: (error) => crashes.push(error),
    hooks: more.hooks,
  });
  const send = (type: string, rest: object = {}): void => host.send({ type, ...rest });
  return { clock, host, send, done, crashes };
}

test('ACT-2: effects of a step are executed in order after it, then the batch ends', (t) => {
  const { send, done } = world((_state, { type }) => [logged(`${type}1`), logged(`${type}2`)]);
  send('A');
  send('B');
  t.deepEqual(done, ['A1', 'A2', 'end', 'B1', 'B2', 'end']);
});

test('ACT-2: events that arrive during a step wait for the end of its effects, in order', (t) => {
  const steps: string[] = [];
  const { send, done } = world(
    (_state, { type }) => {
      steps.push(type);
      return type === 'A' ? [logged('A1'), logged('A2')] : [logged(`${type}1`)];
    },
    {
      execute: (effect, host) => {
        if (effect.type !== 'log' || !effect.message.startsWith('A')) return;
        host().send({ type: effect.message === 'A1' ? 'B' : 'C' });
        host().send({ type: 'D' });
      },
    },
  );
  send('A');
  t.deepEqual(steps, ['A', 'B', 'D', 'C', 'D']);
  t.deepEqual(done, ['A1', 'A2', 'end', 'B1', 'end', 'D1', 'end', 'C1', 'end', 'D1', 'end']);
});

test('ACT-2: a step without effects ends no batch', (t) => {
  const { send, done } = world(() => []);
  send('A');
  t.deepEqual(done, []);
});

test('ACT-1: a step that throws does nothing: its effects are dropped and the process ends', (t) => {
  const fault = new Error('broken');
  const { send, done, crashes, host } = world((_state, { type }) => {
    if (type === 'BAD') throw fault;
    return [logged(type)];
  });
  send('A');
  send('BAD');
  send('C');
  t.deepEqual(done, ['A', 'end']);
  t.deepEqual(crashes, [fault]);
  t.true(host.isEnded);
});

test('ACT-1: of a step with several decisions nothing is done when the last one throws', (t) => {
  const clock = new VirtualClock(START_AT_MS);
  const perform = performer<ActorState, Event>();
  const done: Effect[] = [];
  const crashes: unknown[] = [];
  const logic = setup({
    types: {} as { context: { state: ActorState }; events: Event; emitted: Batch },
    actions: {
      first: perform(() => [logged('first')]) as never,
      second: perform(() => {
        throw new Error('broken');
      }) as never,
    },
  }).createMachine({
    context: () => ({ state: { deadlines: new Deadlines(), announcedMs: undefined } }),
    on: { '*': { actions: ['first', 'second'] } },
  });
  const host = new ActorHost({
    name: 'one',
    logic,
    input: undefined as never,
    clock,
    random: new SeededRandom(1),
    execute: (effect) => done.push(effect),
    onCrash: (error) => crashes.push(error),
  });
  host.send({ type: 'A' });
  t.deepEqual(done, []);
  t.is(crashes.length, 1);
});

test('ACT-1: an effect that cannot be executed ends the process: what comes behind it must not be done without it', (t) => {
  const fault = new RangeError('too large');
  const { send, done, crashes, host } = world(() => [logged('1'), logged('2'), logged('3')], {
    execute: (effect) => {
      if (effect.type === 'log' && effect.message === '2') throw fault;
    },
  });
  t.notThrows(() => send('A'), 'a transport would swallow it');
  send('B');
  t.deepEqual(done, ['1', '2']);
  t.deepEqual(crashes, [fault]);
  t.true(host.isEnded);
});

test('ACT-1: events that wait are not given to an actor that has thrown', (t) => {
  const steps: string[] = [];
  const { send, crashes } = world(
    (_state, { type }) => {
      steps.push(type);
      if (type === 'BAD') throw new Error('broken');
      return [logged(type)];
    },
    {
      execute: (effect, host) => {
        if (effect.type !== 'log' || effect.message !== 'A') return;
        host().send({ type: 'BAD' });
        host().send({ type: 'C' });
      },
    },
  );
  send('A');
  t.deepEqual(steps, ['A', 'BAD']);
  t.is(crashes.length, 1);
});

test('ACT-3: an actor is woken at its earliest deadline, of all its rows, and not after it was taken back', (t) => {
  const ticks: [number, string][] = [];
  let woken = 0;
  const { clock, send } = world((state, { type, name = '', now }) => {
    if (type === 'TICK') woken++;
    if (type === 'SET') for (const each of name.split(' ')) state.deadlines.set(each, now + Number(each.slice(1)));
    else if (type === 'CLEAR') state.deadlines.clear(name);
    else
      for (let key = state.deadlines.take(now); key !== undefined; key = state.deadlines.take(now))
        ticks.push([now - START_AT_MS, key]);
    return [];
  });
  send('SET', { name: 'c300 a100 b200 d100' });
  clock.run(START_AT_MS + 150);
  t.deepEqual(ticks, [
    [100, 'a100'],
    [100, 'd100'],
  ]);
  send('CLEAR', { name: 'b200' });
  send('SET', { name: 'e10' });
  clock.run(START_AT_MS + 1_000);
  t.deepEqual(ticks.slice(2), [
    [160, 'e10'],
    [300, 'c300'],
  ]);
  t.is(clock.nextDueAtMs(), undefined);
  t.is(woken, 3, 'never in vain');
});

test('ACT-3: a deadline that is past wakes the actor soon, and not within the step', (t) => {
  let ticks = 0;
  const { clock, send } = world((state, { type, now }) => {
    if (type === 'SET') state.deadlines.set('past', now - 5_000);
    else if (state.deadlines.take(now) !== undefined) ticks++;
    return [];
  });
  send('SET');
  t.is(ticks, 0);
  clock.run(START_AT_MS);
  t.is(ticks, 1);
});

test('ACT-3: every event carries the time and a random number of its own', (t) => {
  const stamps: number[][] = [];
  const { clock, send } = world((_state, { now, random }) => {
    stamps.push([now, random]);
    return [];
  });
  send('A');
  clock.run(START_AT_MS + 70);
  send('B');
  t.deepEqual(stamps.map(([now]) => now), [START_AT_MS, START_AT_MS + 70]); // prettier-ignore
  t.not(stamps[0]?.[1], stamps[1]?.[1]);
});

test('ACT-2: a host that was ended does nothing more, also between two effects and when its time comes', (t) => {
  const cut = world((state, { now }) => (state.deadlines.set('k', now + 10), [logged('1'), logged('2'), logged('3')]), {
    hooks: { beforeEffect: (_host, effect) => effect.type !== 'log' || effect.message !== '2' },
  });
  cut.send('A');
  t.deepEqual(cut.done, ['1']);
  t.true(cut.host.isEnded);
  const ended = world((state, { now }) => (state.deadlines.set('k', now + 10), [logged('1')]));
  ended.send('A');
  ended.host.end();
  ended.send('B');
  ended.clock.run(START_AT_MS + 1_000);
  t.deepEqual(ended.done, ['1', 'end']);
});

test('ACT-2: what an observer sees of a step is its effects, before they are executed', (t) => {
  const seen: string[] = [];
  const { send, done } = world((_state, { type }) => [logged(type)], {
    hooks: {
      afterStep: (host, event, effects) => void seen.push(`${host} ${event.type} ${effects.length} ${done.length}`),
    },
  });
  send('A');
  t.deepEqual(seen, ['one A 1 0']);
});

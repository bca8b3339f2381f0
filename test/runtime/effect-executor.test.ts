import test from 'ava';
import type { Effect } from '../../actors/effect.js';
import { decodeMessage, decodeValue, encodeMessage, encodeValue } from '../../protocol/codec.js';
import { EffectExecutor, type World } from '../../runtime/effect-executor.js';
import type { Answer, ContainerEnd, Delivery, Entry, Stored, Transport } from '../../runtime/ports.js';

/** Ports that note what they are asked for; their callbacks are kept for the test to call. */
function ports() {
  const asked: string[] = [];
  const calls: { subscribe: ((delivery: Delivery) => void)[]; request: ((answer: Answer) => void)[]; stored: ((stored: Stored) => void)[]; entries: ((entry: Entry) => void)[]; caughtUp: (() => void)[]; read: ((part: { size: number; data: Uint8Array } | undefined) => void)[]; list: ((files: { path: string; size: number; mtimeMs: number }[] | undefined) => void)[]; checkpoint: (() => void)[]; started: ((pid: number) => void)[]; ended: ((end: ContainerEnd) => void)[]; adopted: [(containerId: string, pid: number) => void, (containerId: string, end: ContainerEnd) => void][] } = // prettier-ignore
    { subscribe: [], request: [], stored: [], entries: [], caughtUp: [], read: [], list: [], checkpoint: [], started: [], ended: [], adopted: [] }; // prettier-ignore
  const published: { subject: string; data: Uint8Array }[] = [];
  const transport = (name: string): Transport => ({
    publish: (subject, data) => {
      asked.push(`${name} publish ${subject}`);
      published.push({ subject, data });
    },
    subscribe: (pattern, onDelivery) => {
      asked.push(`${name} subscribe ${pattern}`);
      calls.subscribe.push(onDelivery);
      return () => undefined;
    },
    request: (subject, data, timeoutMs, onAnswer) => {
      asked.push(`${name} request ${subject} ${decodeMessage(data).type} ${timeoutMs}`);
      calls.request.push(onAnswer);
    },
    onReconnected: () => undefined,
  });
  const world: World = {
    clock: { now: () => 0, after: () => ({ cancel: () => undefined }) },
    random: { next: () => 0.5 },
    log: { write: (level, message) => asked.push(`log ${level} ${message}`) },
    metrics: { count: (metric, by) => asked.push(`count ${metric} ${by}`) },
    transport: transport('control'),
    probes: transport('probes'),
    storage: {
      watch: (bucket, onEntry, onCaughtUp) => {
        asked.push(`watch ${bucket}`);
        calls.entries.push(onEntry);
        calls.caughtUp.push(onCaughtUp);
      },
      compareAndSet: (bucket, { key, value }, revision, ttlMs, onStored) => {
        asked.push(`set ${bucket} ${key} ${value === undefined ? 'nothing' : 'value'} ${revision} ${ttlMs}`);
        calls.stored.push(onStored);
      },
      commit: (key, fence, decisions) => void asked.push(`commit ${key} ${fence} ${decisions.length}`),
    },
    processes: {
      launch: ({ containerId }, onStarted, onEnded) => {
        asked.push(`launch ${containerId}`);
        calls.started.push(onStarted);
        calls.ended.push(onEnded);
      },
      adopt: (containers, onStarted, onEnded) => {
        asked.push(`adopt ${containers.map(({ containerId }) => containerId).join()}`);
        calls.adopted.push([onStarted, onEnded]);
      },
      forget: (containerId) => void asked.push(`forget ${containerId}`),
      signal: (containerId, signal) => void asked.push(`signal ${containerId} ${signal}`),
    },
    store: {
      load: () => [],
      commit: (writes, onStored) => {
        for (const { key, value } of writes)
          asked.push(`store ${key} ${value === undefined ? 'nothing' : JSON.stringify(decodeValue(value))}`);
        calls.checkpoint.push(onStored);
      },
    },
    files: {
      read: (path, offset, length, onRead) => {
        asked.push(`read ${path} ${offset} ${length}`);
        calls.read.push(onRead);
      },
      folders: () => undefined,
      remove: () => undefined,
      usage: () => undefined,
      list: (path, onListed) => {
        asked.push(`list ${path}`);
        calls.list.push(onListed as never);
      },
    },
  };
  const sent: object[] = [];
  const told: object[] = [];
  const stops: string[] = [];
  const executor = new EffectExecutor({
    world,
    speaker: { cluster: 'tepui', principal: 'm1', instance: 'i' },
    send: (event) => sent.push(event),
    tell: (actor, event) => told.push({ actor, ...event }),
    onStop: ({ reason }) => stops.push(reason),
  });
  const run = (effect: Effect): string[] => {
    asked.length = 0;
    executor.execute(effect);
    return [...asked];
  };
  return { run, calls, sent, told, stops, published, executor, world, asked };
}

test('ACT-2: each effect is one call of a port', (t) => {
  const { run, told, stops } = ports();
  const spec = { containerId: 'L1', sandbox: 's', argv: [], environment: {} };
  const table: [Effect, string[]][] = [
    [{ type: 'listen', row: 'masterScheduler' }, ['control subscribe tepui.master.scheduler.*.*']],
    [{ type: 'listen', row: 'masterAgent' }, ['control subscribe tepui.master.agent.*.*']],
    [{ type: 'follow', bucket: 'lease' }, ['watch lease']],
    [{ type: 'follow', bucket: 'registry' }, ['watch registry']],
    [{ type: 'launchContainer', spec }, ['launch L1']],
    [{ type: 'adoptContainers', containers: [spec] }, ['adopt L1']],
    [{ type: 'forgetContainer', containerId: 'L1' }, ['forget L1']],
    [{ type: 'signalContainer', containerId: 'L1', signal: 'SIGTERM' }, ['signal L1 SIGTERM']],
    [
      { type: 'checkpoint', requestId: 1, writes: [{ key: 'agent', value: { epoch: 5 } }, { key: 'launch.L1' }] },
      ['store agent {"epoch":5}', 'store launch.L1 nothing'],
    ],
    [{ type: 'log', level: 'warn', message: 'x' }, ['log warn x']],
    [{ type: 'count', metric: 'x' }, ['count x 1']],
    [{ type: 'count', metric: 'x', by: 3 }, ['count x 3']],
    [{ type: 'tell', actor: 'agent', event: { type: 'E' } }, []],
    [{ type: 'stop', reason: 'why', restart: false }, []],
  ];
  for (const [effect, calls] of table) t.deepEqual(run(effect), calls, effect.type);
  t.deepEqual(told, [{ actor: 'agent', type: 'E' }]);
  t.deepEqual(stops, ['why']);
  t.throws(() => run({ type: 'setDeadline', dueAtMs: 1 }), { message: /host keeps deadlines/ });
  t.throws(() => run({ type: 'nonsense' } as never), { message: /no such effect/ });
});

test('ACT-1: an effect for which the role has no port is a fault of its composition', (t) => {
  const { world } = ports();
  const bare = new EffectExecutor({
    world: {
      clock: world.clock,
      random: world.random,
      log: world.log,
      metrics: world.metrics,
      transport: world.transport,
    },
    speaker: { cluster: 'tepui', principal: 'f1', instance: 'i' },
    send: () => undefined,
    onStop: () => undefined,
  });
  const wants: Effect[] = [
    { type: 'follow', bucket: 'lease' },
    { type: 'probe', requestId: 1, timeoutMs: 1 },
    { type: 'persist', requestId: 1, writes: [] },
    { type: 'signalContainer', containerId: 'x', signal: 'SIGTERM' },
    { type: 'tell', actor: 'agent', event: { type: 'E' } },
  ];
  for (const effect of wants) t.throws(() => bare.execute(effect), { message: /this role has no/ }, effect.type);
});

test('LNK-5 LNK-4: probes, and the answers to those of others, go over a connection of their own', (t) => {
  const { run, calls, sent } = ports();
  t.deepEqual(run({ type: 'listen', row: 'probe' }), ['probes subscribe _tepui_leader.tepui']);
  t.deepEqual(run({ type: 'probe', requestId: 4, timeoutMs: 400 }), ['probes request _tepui_leader.tepui PROBE 400']);
  const body = { masterId: 'x', name: 'm2', epoch: 7, loopbackAgeMs: 3, renewedAgeMs: 4 };
  const answer = (type: string, given: object): Answer => {
    const head = { type, sender: 'm2', session: '0', epoch: 7, id: 'a', body: given };
    return { outcome: 'answered', data: encodeMessage(head, () => 0)[0] as Uint8Array };
  };
  const table: [Answer, object][] = [
    [answer('LEADING', body), { outcome: 'answered', answer: body }],
    [{ outcome: 'noResponders' }, { outcome: 'noResponders' }],
    [{ outcome: 'timeout' }, { outcome: 'silence' }],
    [answer('LEADING', { masterId: 'x' }), { outcome: 'silence' }],
    [answer('ERROR', body), { outcome: 'silence' }],
    [{ outcome: 'answered', data: Uint8Array.of(0xc1) }, { outcome: 'silence' }],
  ];
  for (const [given, told] of table) {
    calls.request[0]?.(given);
    t.deepEqual(sent.at(-1), { type: 'PROBED', requestId: 4, ...told });
  }
});

test('TKO-2: the lease is written with its life, given back by a deletion, and the epoch record has no life', (t) => {
  const { run, calls, sent } = ports();
  t.deepEqual(run({ type: 'takeLease', requestId: 1, revision: 7, ttlMs: 4_000 }), ['set lease leader value 7 4000']);
  calls.stored[0]?.({ outcome: 'stored', revision: 8 });
  t.deepEqual(sent.at(-1), { type: 'LEASE_ANSWERED', requestId: 1, outcome: 'stored', revision: 8 });
  t.deepEqual(run({ type: 'releaseLease', revision: 8 }), ['set lease leader nothing 8 undefined']);
  calls.stored[1]?.({ outcome: 'refused', revision: 0 });
  t.is(sent.length, 1, 'nobody waits for that');
  const record = { schemaVersion: 1 as const, epoch: 7, masterId: '7', name: 'm1' };
  t.deepEqual(run({ type: 'writeEpoch', requestId: 2, revision: 9, record }), ['set registry epoch value 9 undefined']);
  calls.stored[2]?.({ outcome: 'busy', revision: 0 });
  t.deepEqual(sent.at(-1), { type: 'EPOCH_ANSWERED', requestId: 2, outcome: 'busy', revision: 0 });
});

test('TKO-3: what the watch delivers is told in its order, a deletion without a value, and the end of the beginning once', (t) => {
  const { run, calls, sent } = ports();
  run({ type: 'follow', bucket: 'registry' });
  calls.entries[0]?.({ key: 'task.x', value: encodeValue({ a: 1 }), revision: 3 });
  calls.entries[0]?.({ key: 'task.x', revision: 4 });
  calls.caughtUp[0]?.();
  t.deepEqual(sent, [
    { type: 'REGISTRY_ENTRY', key: 'task.x', value: { a: 1 }, revision: 3 },
    { type: 'REGISTRY_ENTRY', key: 'task.x', value: undefined, revision: 4 },
    { type: 'REGISTRY_CAUGHT_UP' },
  ]);
  run({ type: 'follow', bucket: 'lease' });
  calls.entries[1]?.({ key: 'leader', value: encodeValue({}), revision: 5 });
  calls.entries[1]?.({ key: 'leader', revision: 6 });
  calls.entries[1]?.({ key: 'other', revision: 7 });
  calls.caughtUp[1]?.();
  t.deepEqual(sent.slice(3), [
    { type: 'LEASE_ENTRY', revision: 5, held: true },
    { type: 'LEASE_ENTRY', revision: 6, held: false },
  ]);
});

test('REG-1: writes wait for the end of their batch', (t) => {
  const { run, executor, asked, calls } = ports();
  const persist = (requestId: number): Effect => ({ type: 'persist', requestId, writes: [{ key: `task.${requestId}` }] }); // prettier-ignore
  const record = { schemaVersion: 1 as const, epoch: 7, masterId: '7', name: 'm1' };
  run({ type: 'writeEpoch', requestId: 9, revision: 5, record });
  calls.stored[0]?.({ outcome: 'stored', revision: 9 });
  t.deepEqual(run(persist(1)), []);
  t.deepEqual(run(persist(2)), []);
  executor.endBatch();
  t.deepEqual(asked, ['commit epoch 9 2']);
});

test('REG-7 EPO-5: the watch’s entries reach the registrar, and a raised epoch goes out by it', (t) => {
  const { run, executor, asked, calls } = ports();
  const record = { schemaVersion: 1 as const, epoch: 7, masterId: '7', name: 'm1' };
  run({ type: 'follow', bucket: 'registry' });
  run({ type: 'writeEpoch', requestId: 9, revision: 5, record });
  calls.stored[0]?.({ outcome: 'stored', revision: 9 });
  const raise = (epoch: number, inDoubt: boolean): string[] => {
    run({ type: 'raiseEpoch', epoch, inDoubt });
    executor.endBatch();
    return asked.filter((each) => each.startsWith('set'));
  };
  t.deepEqual(raise(8, true), ['set registry epoch value 9 undefined']);
  t.deepEqual(raise(9, false), [], 'while the barrier is under way');
  calls.entries[0]?.({ key: 'epoch', value: encodeValue({ ...record, epoch: 8, inDoubt: true, barrier: 1 }), revision: 12 }); // prettier-ignore
  t.deepEqual(asked.filter((each) => each.startsWith('set')), ['set registry epoch value 12 undefined']); // prettier-ignore
});

test('AGT-5: a file or a listing is answered, one that is not there with UNKNOWN_PATH', (t) => {
  const { run, calls, published } = ports();
  const head = { type: 'replyFile', to: 'inbox', cause: 'q', epoch: 7 } as const;
  t.deepEqual(run({ ...head, request: { type: 'READ_FILE', path: 'x', offset: 5, length: 10 } }), ['read x 5 10']);
  t.deepEqual(run({ ...head, request: { type: 'LIST_FILES', path: 'd' } }), ['list d']);
  const last = () => {
    const { subject, data } = published.at(-1) ?? { subject: '', data: new Uint8Array() };
    const { type, cause, body } = decodeMessage(data);
    return { subject, type, cause, body };
  };
  calls.read[0]?.({ size: 20, data: Uint8Array.of(1, 2) });
  t.like(last(), { subject: 'inbox', type: 'READ_FILE', cause: 'q', body: { readFile: { size: 20 } } });
  calls.list[0]?.([{ path: 'd/a', size: 3, mtimeMs: 1.5 }]);
  t.deepEqual(last().body, { listFiles: { fileInfos: [{ path: 'd/a', size: 3, mtime: { nanoseconds: 1e6 } }] } });
  for (const callback of [calls.read[0], calls.list[0]]) {
    callback?.(undefined);
    t.like(last(), { type: 'ERROR', body: { error: { code: 'UNKNOWN_PATH' } } });
  }
});

test('LCH-1 EXE-3: what becomes of a container is told to the executor’s actor', (t) => {
  const { run, calls, sent } = ports();
  run({ type: 'launchContainer', spec: { containerId: 'L1', sandbox: 's', argv: [], environment: {} } });
  calls.started[0]?.(77);
  calls.ended[0]?.({ exitCode: 3 });
  t.deepEqual(sent, [
    { type: 'CONTAINER_STARTED', containerId: 'L1', pid: 77 },
    { type: 'CONTAINER_ENDED', containerId: 'L1', exitCode: 3 },
  ]);
  run({ type: 'adoptContainers', containers: [] });
  calls.adopted[0]?.[0]('L2', 78);
  calls.adopted[0]?.[1]('L2', { lost: 'wrapper' });
  t.deepEqual(sent.slice(2), [
    { type: 'CONTAINER_STARTED', containerId: 'L2', pid: 78 },
    { type: 'CONTAINER_ENDED', containerId: 'L2', lost: 'wrapper' },
  ]);
  run({ type: 'checkpoint', requestId: 5, writes: [] });
  calls.checkpoint[0]?.();
  t.deepEqual(sent.at(-1), { type: 'CHECKPOINTED', requestId: 5 });
});

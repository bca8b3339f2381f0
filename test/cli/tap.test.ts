import test from 'ava';
import { encodeMessage } from '../../protocol/codec.js';
import { check } from '../../protocol/schema.js';
import { buildSubject, type Address } from '../../protocol/subjects.js';
import { TapJson } from '../../cli/json-schemas.js';
import { painter } from '../../cli/output.js';
import { isEnd, mentions, TapFilter, type TapOptions } from '../../cli/tap-filter.js';
import { detailsOf, rawLine, tapLine } from '../../cli/tap-line.js';
import { tapJson, TapReader, type Tapped } from '../../cli/tap-message.js';

const NOW = 1_767_225_600_000;
const paint = painter(false);
const toMaster: Address = { row: 'masterScheduler', parameters: { principal: 'run' } };
const toAgent: Address = { row: 'agentMaster', parameters: { principal: 'a1', agentId: 'S1', sessionId: 's' } };
const schemaProblem = check(TapJson);

interface Given {
  readonly sender?: string;
  readonly id?: string;
  readonly cause?: string;
}

function encoded(type: string, body: unknown, { sender = 'run', id = 'x-1', cause }: Given = {}): Uint8Array[] {
  let sequence = 0;
  const head = { type, sender, session: 's', epoch: 7, id, ...(cause !== undefined && { cause }), body };
  return encodeMessage(head, () => ++sequence);
}

function tapped(to: Address, type: string, body: unknown, given: Given = {}): Tapped {
  const reader = new TapReader('tepui');
  const subject = buildSubject('tepui', to, type);
  const messages = encoded(type, body, given).map((part) => reader.read(subject, part, NOW));
  return messages.at(-1) as Tapped;
}

test('TAP-1 a message has its ends from its subject, and its type, ids and body', (t) => {
  const message = tapped(toMaster, 'SUPPRESS', { frameworkId: 'f1' }, { id: 'run-x-3', cause: 'm1-y-2' });
  t.like(message, { from: 'scheduler run', to: 'master', type: 'SUPPRESS', problem: undefined, parts: 1 });
  const json = tapJson(message);
  t.like(json, { id: 'run-x-3', cause: 'm1-y-2', epoch: 7, session: 's', sequence: 1 });
  t.is(schemaProblem(json), undefined);
});

test('TAP-1 the ends of an answer come from its inbox, and from what was heard of its sender', (t) => {
  const reader = new TapReader('tepui');
  const [run] = encoded('RUN_TASK', {}, { sender: 'm1' });
  reader.read(buildSubject('tepui', toAgent, 'RUN_TASK'), run as Uint8Array, NOW);
  const [answer] = encoded('GET_AGENTS', {}, { sender: 'm1' });
  t.like(reader.read('tepui.inbox.operator.op.abc.r1', answer as Uint8Array, NOW), {
    from: 'master m1',
    to: 'operator op',
    type: 'GET_AGENTS',
  });
});

test('TAP-1 a message in parts is one message, with its whole size', (t) => {
  const taskInfos = Array.from({ length: 2_000 }, (_, i) => ({
    name: 'x'.repeat(200),
    taskId: `t${i}`,
    agentId: 'S1',
  }));
  const body = {
    frameworkId: 'f',
    accept: { offerIds: ['o'], operations: [{ type: 'LAUNCH', launch: { taskInfos } }] },
  };
  const message = tapped(toMaster, 'ACCEPT', body);
  t.true(message.parts > 1);
  t.true(message.bytes > 400_000);
  t.regex(tapLine(message, paint), /taskInfos=2000 .*bytes in \d parts/);
});

test('TAP-1 unknown bytes are shown as such', (t) => {
  const reader = new TapReader('tepui');
  const junk = Uint8Array.of(193, 255, 0, 7);
  for (const subject of ['tepui.master.scheduler.run.ACCEPT', 'tepui.nonsense', 'tepui.inbox.operator.op.x']) {
    const message = reader.read(subject, junk, NOW) as Tapped;
    t.truthy(message.problem);
    t.regex(tapLine(message, paint), /4 bytes on tepui.* cannot be read: .*\[c1ff0007\]$/);
    t.is(schemaProblem(tapJson(message)), undefined);
  }
  t.regex(rawLine(reader.read('tepui.x', junk, NOW) as Tapped, paint), / {2}tepui\.x {2}4 {2}c1ff0007$/);
});

test('TAP-1 a part without those before it is shown as what it is', (t) => {
  const reader = new TapReader('tepui');
  const parts = encoded('ACCEPT', { text: 'x'.repeat(600_000) });
  const message = reader.read(buildSubject('tepui', toMaster, 'ACCEPT'), parts[1] as Uint8Array, NOW);
  t.regex(message?.problem ?? '', /part 2 of/);
});

test('TAP-2 a line has the ids that matter, wherever they are in the body, and no secrets of its form', (t) => {
  const status = { taskId: 't1', state: 'TASK_FAILED', exitCode: 3, launchId: 'L1', message: 'It is over' };
  t.is(
    detailsOf({ frameworkId: 'f1', update: { status } }),
    'taskId=t1 state=TASK_FAILED exitCode=3 launchId=L1 frameworkId=f1 message="It is over"',
  );
  t.is(detailsOf({ offers: { offers: [{ id: 'o1' }, { id: 'o2' }] } }), 'offers=2');
  t.is(detailsOf({}), '');
});

test('TAP-2 a line says when, who to whom, what and why', (t) => {
  const line = tapLine(tapped(toMaster, 'TEARDOWN', { frameworkId: 'f1' }, { id: 'b', cause: 'a' }), paint);
  t.regex(line, /^\d\d:\d\d:\d\d\.\d\d\d {2}scheduler run → master {2}TEARDOWN {2}frameworkId=f1 {2}#b ← a$/);
});

const shown = (options: TapOptions, messages: readonly Tapped[]): string[] => {
  const filter = new TapFilter(options);
  return messages.flatMap((message) => filter.take(message).map((one) => `${one.depth} ${one.message.envelope?.id}`));
};

const CHAIN = [
  tapped(toAgent, 'PING', {}, { sender: 'm1', id: 'ping' }),
  tapped(toMaster, 'ACCEPT', { taskId: 't1' }, { id: 'a' }),
  tapped(toAgent, 'RUN_TASK', { task: { taskId: 't1' } }, { sender: 'm1', id: 'b', cause: 'a' }),
  tapped(toMaster, 'DECLINE', {}, { id: 'other' }),
  tapped(toMaster, 'ACKNOWLEDGE', { taskId: 't2' }, { id: 'c', cause: 'b' }),
];

test('TAP-3 heartbeats are left out unless they are wanted, and a chain of causes has its depth', (t) => {
  t.deepEqual(shown({}, CHAIN), ['0 a', '1 b', '0 other', '2 c']);
  t.is(shown({ heartbeats: true }, CHAIN).length, 5);
  t.deepEqual(shown({ type: ['ping'] }, CHAIN), ['0 ping']);
});

test('TAP-3 messages are chosen by type, task, sender and receiver', (t) => {
  t.deepEqual(shown({ type: ['accept', 'DECLINE'] }, CHAIN), ['0 a', '0 other']);
  t.deepEqual(shown({ task: 't1' }, CHAIN), ['0 a', '1 b']);
  t.deepEqual(shown({ from: 'm1' }, CHAIN), ['1 b']);
  t.deepEqual(shown({ from: 'scheduler', to: 'master' }, CHAIN), ['0 a', '0 other', '2 c']);
  t.true(isEnd('agent a1', 'a1') && isEnd('agent a1', 'agent') && isEnd('agent a1', 'agent a1'));
  t.false(isEnd('agent a1', 'a') || isEnd(undefined, 'a1'));
  t.true(mentions({ a: [{ b: 't' }] }, 't'));
});

test('TAP-3 a chain is a message, what led to it and what follows from it', (t) => {
  t.deepEqual(shown({ chain: 'b' }, CHAIN), ['0 a', '1 b', '2 c']);
  t.deepEqual(shown({ chain: 'nothing' }, CHAIN), []);
});

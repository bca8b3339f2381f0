import test from 'ava';
import { encodeMessage, encodeValue } from '../../protocol/codec.js';
import { MESSAGES } from '../../protocol/messages.js';
import { buildSubject, type Address } from '../../protocol/subjects.js';
import { Inbound, type MessageEvent } from '../../runtime/inbound.js';
import { taskInfo } from '../support/master-kit.js';

interface Said {
  readonly type?: string;
  readonly sender?: string;
  readonly session?: string;
  readonly id?: string;
  readonly epoch?: number;
  readonly cause?: string;
  readonly body?: unknown;
}

function door() {
  const events: MessageEvent[] = [];
  const counts: Record<string, number> = {};
  const lines: string[] = [];
  const inbound = new Inbound({
    cluster: 'tepui',
    log: { write: (level, message, fields) => lines.push(`${level} ${message} ${String(fields?.['kind'])}`) },
    metrics: { count: (metric, by) => (counts[metric] = (counts[metric] ?? 0) + by) },
    onEvent: (event) => events.push(event),
  });
  let sequence = 0;
  /** All parts of a message, as they would be published. */
  const bytesOf = ({
    type = 'HEARTBEAT',
    sender = 'f1',
    session = 's-C1',
    id = 'x',
    epoch = 7,
    cause,
    body = { frameworkId: 'f' },
  }: Said) =>
    // prettier-ignore
    encodeMessage({ type, sender, session, epoch, id, ...(cause !== undefined && { cause }), body }, () => ++sequence);
  const hear = (subject: string, said: Said = {}, reply?: string): MessageEvent | undefined => {
    const before = events.length;
    for (const data of bytesOf(said)) inbound.receive({ subject, data, reply });
    return events.length > before ? events.at(-1) : undefined;
  };
  return { inbound, hear, bytesOf, events, counts, lines };
}

const HEARTBEAT = 'tepui.master.scheduler.f1.HEARTBEAT';

test('PRO-1: a message that fits becomes an event, with what it says of itself', (t) => {
  const { hear, counts } = door();
  t.deepEqual(hear(HEARTBEAT, { cause: 'c', id: 'i' }), {
    type: 'scheduler.HEARTBEAT',
    meta: { principal: 'f1', parameters: { principal: 'f1' }, session: 's-C1', sequence: 1, parts: undefined, epoch: 7, id: 'i', cause: 'c', reply: undefined }, // prettier-ignore
    body: { frameworkId: 'f' },
  });
  t.deepEqual(counts, {});
});

test('PRO-1 PRO-4: each row of the table becomes events of who speaks there', (t) => {
  const of = (address: Address, type: string) => buildSubject('tepui', address, type);
  const table: [string, Said, string][] = [
    [of({ row: 'masterAgent', parameters: { principal: 'a1' } }, 'PONG'), { type: 'PONG', sender: 'a1', body: { agentId: 'a' } }, 'agent.PONG'], // prettier-ignore
    [of({ row: 'agentMaster', parameters: { principal: 'a1', agentId: 'x.y', sessionId: 's' } }, 'PING'), { type: 'PING', sender: 'm1', body: {} }, 'master.PING'], // prettier-ignore
    [of({ row: 'scheduler', parameters: { principal: 'f1', frameworkId: 'x', sessionId: 's' } }, 'INVITE'), { type: 'INVITE', sender: 'm1', body: {} }, 'master.INVITE'], // prettier-ignore
    [of({ row: 'masterOperator', parameters: { principal: 'o' } }, 'GET_MASTER'), { type: 'GET_MASTER', sender: 'o', body: {} }, 'operator.GET_MASTER'], // prettier-ignore
    [of({ row: 'masterMaster', parameters: { principal: 'm1' } }, 'LOOPBACK'), { type: 'LOOPBACK', sender: 'm1', body: {} }, 'peer.LOOPBACK'], // prettier-ignore
    [of({ row: 'leader', parameters: {} }, 'ELECTED'), { type: 'ELECTED', sender: 'm1', body: { masterId: 'x', name: 'm1', epoch: 7 } }, 'leader.ELECTED'], // prettier-ignore
    [of({ row: 'agentExecutor', parameters: { agentPrincipal: 'a1', principal: 'e1' } }, 'HEARTBEAT'), { sender: 'e1', body: { executorId: 'e', frameworkId: 'f' } }, 'executor.HEARTBEAT'], // prettier-ignore
    [of({ row: 'executor', parameters: { agentPrincipal: 'a1', principal: 'e1', frameworkId: 'f', executorId: 'e', sessionId: 's' } }, 'HEARTBEAT'), { sender: 'a1', body: {} }, 'agent.HEARTBEAT'], // prettier-ignore
  ];
  for (const [subject, said, type] of table) t.is(door().hear(subject, said)?.type, type, subject);
});

test('PRO-1: what is not fit is counted by its kind, logged once for each kind, and dropped', (t) => {
  const { inbound, hear, events, counts, lines } = door();
  const garbage = { subject: HEARTBEAT, data: Uint8Array.of(0xc1) };
  const cases: [string, () => unknown][] = [
    ['subject', () => hear('tepui.nonsense')],
    ['subject', () => hear('other.master.scheduler.f1.HEARTBEAT')],
    ['type', () => hear(HEARTBEAT, { type: 'TEARDOWN' })],
    ['sender', () => hear(HEARTBEAT, { sender: 'f2' })],
    ['unknown', () => hear('tepui.master.scheduler.f1.NO_SUCH', { type: 'NO_SUCH' })],
    ['schema', () => hear('tepui.master.agent.a1.PONG', { type: 'PONG', sender: 'a1', body: {} })],
    ['not_plain', () => inbound.receive(garbage)],
    ['undecodable', () => inbound.receive({ subject: HEARTBEAT, data: Uint8Array.of(0x92, 1) })],
    ['envelope', () => inbound.receive({ subject: HEARTBEAT, data: encodeValue({ version: 9 }) })],
    ['oversized', () => inbound.receive({ subject: HEARTBEAT, data: new Uint8Array(300_000) })],
  ];
  for (const [kind, act] of cases) {
    const before = counts[`dropped_${kind}`] ?? 0;
    for (let i = 0; i < 3; i++) t.notThrows(act);
    t.is((counts[`dropped_${kind}`] ?? 0) - before, 3, kind);
  }
  t.deepEqual(events, []);
  t.is(lines.length, new Set(cases.map(([kind]) => kind)).size);
  for (const line of lines) t.regex(line, /^warn message dropped/);
});

test('PRO-1: a caller whose body does not fit is told what is wrong; nobody else is', (t) => {
  const { hear, counts } = door();
  const bad = hear('tepui.master.scheduler.f1.ACCEPT', { type: 'ACCEPT', body: { frameworkId: 'm-0001', accept: {} } });
  t.is(bad?.type, 'scheduler.INVALID');
  t.like(bad?.body as object, { call: 'ACCEPT', frameworkId: 'm-0001' });
  t.regex((bad?.body as { wrong: string }).wrong, /accept/);
  t.is(bad?.meta.sequence, 1, 'it takes its place in the session');
  for (const frameworkId of [undefined, 7, 'a/b', ''])
    t.is((hear('tepui.master.scheduler.f1.ACCEPT', { type: 'ACCEPT', body: { frameworkId } })?.body as { frameworkId: unknown }).frameworkId, undefined); // prettier-ignore
  for (const body of [null, 'text', []])
    t.is(hear('tepui.master.scheduler.f1.ACCEPT', { type: 'ACCEPT', body })?.type, 'scheduler.INVALID');
  const operator = hear('tepui.agent.a1.operator.o1.READ_FILE', { type: 'READ_FILE', sender: 'o1', body: {} });
  t.is(operator?.type, 'operator.INVALID');
  for (const [subject, said] of [
    ['tepui.master.agent.a1.PONG', { type: 'PONG', sender: 'a1', body: {} }],
    ['tepui.agent.a1.master.x.s.RUN_TASK', { type: 'RUN_TASK', sender: 'm1', body: {} }],
    ['tepui.leader.ELECTED', { type: 'ELECTED', sender: 'm1', body: {} }],
  ] as const)
    t.is(hear(subject, said), undefined, subject);
  t.is(counts['dropped_schema'], 12);
});

test('PRO-1: every type of every row has its own check at the door', (t) => {
  for (const type of Object.keys(MESSAGES.masterScheduler)) {
    const event = door().hear(`tepui.master.scheduler.f1.${type}`, { type, body: [] });
    t.is(event?.type, 'scheduler.INVALID', type);
  }
});

test('SEC-4: a host answers only to inboxes of the principal that asks', (t) => {
  const ask = (reply: string | undefined) => {
    const { hear, counts } = door();
    const event = hear('tepui.master.operator.o1.GET_MASTER', { type: 'GET_MASTER', sender: 'o1', body: {} }, reply);
    return [event?.type, event?.meta.reply, counts['dropped_reply'] ?? 0];
  };
  const own = 'tepui.inbox.operator.o1.abc.1';
  t.deepEqual(ask(own), ['operator.GET_MASTER', own, 0]);
  t.deepEqual(ask(undefined), ['operator.GET_MASTER', undefined, 0]);
  const others = [
    'tepui.inbox.operator.o2.abc',
    'tepui.inbox.operator.o11.abc',
    'tepui.inbox.operator.o1',
    'tepui.inbox.scheduler.o1.abc',
    'tepui.master.scheduler.f1.TEARDOWN',
    '$KV.tepui_registry.epoch',
    '_INBOX.x',
    '',
  ];
  for (const reply of others) t.deepEqual(ask(reply), ['operator.GET_MASTER', undefined, 1], reply);
});

test('SEC-4: a probe is answered only to inboxes of the principal that it names', (t) => {
  const ask = (reply: string | undefined) =>
    door().hear('_tepui_leader.tepui', { type: 'PROBE', sender: 'm2', session: '0', body: {} }, reply)?.meta.reply;
  for (const own of ['_tepui_inbox.tepui.master.m2.x1', 'tepui.inbox.operator.m2.x.1', 'tepui.inbox.scheduler.m2.x'])
    t.is(ask(own), own);
  const others = [
    '$KV.tepui_registry.epoch',
    'tepui.master.scheduler.f1.TEARDOWN',
    'tepui.agent.a1.master.x.s.SHUTDOWN',
    'tepui.leader.ELECTED',
    'tepui.inbox.operator.m1.x',
    'tepui.inbox.operator.m2',
    '_tepui_inbox.other.master.m2.x',
    'tepui.inbox.m2.x.y',
    undefined,
  ];
  for (const reply of others) t.is(ask(reply), undefined, reply ?? 'none');
});

test('LNK-4: on the probe subject nothing but a probe is heard', (t) => {
  const { hear, counts } = door();
  t.is(hear('_tepui_leader.tepui', { type: 'PROBE', sender: 'm2', session: '0', body: {} })?.type, 'probe.PROBE');
  t.is(hear('_tepui_leader.tepui', { type: 'LEADING', sender: 'm2' }), undefined);
  t.is(hear('_tepui_leader.other', { type: 'PROBE', sender: 'm2' }), undefined);
  t.is(counts['dropped_envelope'], 1);
});

test('SEC-4: what counts is the subject that the message carries, and its sender must agree', (t) => {
  const { hear } = door();
  t.is(hear('tepui.master.scheduler.f1.TEARDOWN', { type: 'TEARDOWN', sender: 'f2' }), undefined);
  t.is(hear('tepui.master.scheduler.f2.TEARDOWN', { type: 'TEARDOWN', sender: 'f2' })?.meta.principal, 'f2');
  t.is(hear('tepui.scheduler.f1.x.s.HEARTBEAT', { sender: 'm1', body: {} })?.meta.principal, 'm1', 'only masters may speak there'); // prettier-ignore
});

/** A call of about 600 KB: three parts. */
const large = {
  type: 'ACCEPT',
  body: {
    frameworkId: 'm-0001',
    accept: { offerIds: ['o'], operations: [{ type: 'LAUNCH', launch: { taskInfos: Array.from({ length: 10 }, (_, i) => taskInfo('a', { taskId: `t${i}`, data: new Uint8Array(60_000) })) } }] }, // prettier-ignore
  },
};

test('LNK-5 LNK-1: a call in parts is one event, which says how many places it took', (t) => {
  const { hear, events } = door();
  t.is(hear(HEARTBEAT)?.meta.sequence, 1);
  const event = hear('tepui.master.scheduler.f1.ACCEPT', large);
  t.is(events.length, 2);
  t.is(event?.type, 'scheduler.ACCEPT');
  t.deepEqual([event?.meta.sequence, event?.meta.parts], [4, 3]);
  t.is((event?.body as typeof large.body).accept.operations[0]?.launch.taskInfos.length, 10);
  t.deepEqual([hear(HEARTBEAT)?.meta.sequence], [5]);
});

test('LNK-5: parts that are not its own, nobody can add to a message, nor push out another’s', (t) => {
  const { inbound, bytesOf, events, counts } = door();
  const [first, ...rest] = bytesOf({ ...large, id: 'big' });
  inbound.receive({ subject: 'tepui.master.scheduler.f1.ACCEPT', data: first as Uint8Array });
  for (let i = 0; i < 100; i++) {
    const [data] = bytesOf({ ...large, sender: `victim${i}`, id: `m${i}` });
    inbound.receive({ subject: 'tepui.master.scheduler.liar.ACCEPT', data: data as Uint8Array });
  }
  t.is(counts['dropped_sender'], 100);
  for (const data of rest) inbound.receive({ subject: 'tepui.master.scheduler.f1.ACCEPT', data });
  t.is(events.length, 1);
});

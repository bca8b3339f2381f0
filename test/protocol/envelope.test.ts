import test from 'ava';
import { decodeMessage, DecodeError, encodeMessage, encodeValue } from '../../protocol/codec.js';
import { checkEnvelope, WIRE_VERSION, type Envelope } from '../../protocol/envelope.js';
import { ERRORS, ErrorBody, errorBody, type ErrorCode } from '../../protocol/errors.js';
import { ANSWERS, bodyCheck, MESSAGES } from '../../protocol/messages.js';
import { EPOCH_KEY, registryKey, registryRecord } from '../../protocol/registry.js';
import { check } from '../../protocol/schema.js';
import type { SubjectName } from '../../protocol/subjects.js';
import { taskInfo } from '../support/master-kit.js';

const envelope: Envelope = {
  version: WIRE_VERSION,
  type: 'ACCEPT',
  sender: 'f1',
  session: 'm-C1',
  sequence: 1,
  epoch: 7,
  id: 'f1-1',
  cause: 'm1-9',
  body: {},
};

test('PRO-8: an envelope says version, type, sender, session, sequence, epoch, id and cause', (t) => {
  t.is(checkEnvelope(envelope), undefined);
  const { cause: _cause, ...first } = envelope;
  t.is(checkEnvelope(first), undefined, 'the first of a chain has no cause');
  t.is(checkEnvelope({ ...envelope, later: 1 }), undefined, 'a newer sender may say more');
  const [bytes] = encodeMessage({ ...envelope, body: { a: 1 } }, () => 4);
  t.deepEqual(decodeMessage(bytes as Uint8Array), { ...envelope, sequence: 4, body: { a: 1 } });
});

test('PRO-8: an envelope that does not fit is refused, with the place', (t) => {
  const wrong: [string, unknown][] = [
    ['version', 2],
    ['version', '1'],
    ['type', ''],
    ['type', 'x'.repeat(65)],
    ['type', 1],
    ['sender', ''],
    ['sender', 'a/b'],
    ['session', ''],
    ['session', undefined],
    ['sequence', -1],
    ['sequence', 1.5],
    ['sequence', 2 ** 60],
    ['epoch', -1],
    ['epoch', '7'],
    ['id', 'x'.repeat(256)],
    ['id', undefined],
    ['cause', ''],
    ['part', { number: 0, of: 1 }],
    ['part', { number: 1 }],
  ];
  for (const [field, value] of wrong) {
    const said = checkEnvelope({ ...envelope, [field]: value });
    t.regex(said ?? 'nothing', new RegExp(field), `${field} ${String(value)}`);
    const error = t.throws(() => decodeMessage(encodeValue({ ...envelope, [field]: value })), {
      instanceOf: DecodeError,
    });
    t.is(error?.kind, 'envelope');
  }
  for (const value of [null, 1, 'text', []]) t.is(kindOf(value), 'envelope');
});

const kindOf = (value: unknown): string => {
  try {
    decodeMessage(encodeValue(value));
    return 'accepted';
  } catch (error) {
    return (error as DecodeError).kind;
  }
};

test('PRO-1: every message of the table has a check of its own, and no other name has one', (t) => {
  for (const row of Object.keys(MESSAGES) as SubjectName[]) {
    for (const type of Object.keys(MESSAGES[row])) {
      t.is(typeof bodyCheck(row, type), 'function', `${row} ${type}`);
      t.is(bodyCheck(row, type), bodyCheck(row, type), 'it is compiled once');
      t.not(bodyCheck(row, type)?.('text'), undefined, `${row} ${type} takes no text`);
      t.not(bodyCheck(row, type)?.(null), undefined);
    }
    for (const name of ['NO_SUCH', 'toString', 'constructor', '__proto__', '']) t.is(bodyCheck(row, name), undefined);
  }
  for (const type of Object.keys(ANSWERS.masterOperator)) t.is(typeof bodyCheck('answer', type), 'function');
  t.is(typeof bodyCheck('probe', 'LEADING'), 'function');
});

test('PRO-1: a check says what is wrong and where', (t) => {
  const accept = bodyCheck('masterScheduler', 'ACCEPT');
  const good = { frameworkId: 'm-0001', accept: { offerIds: ['m-O1'], operations: [{ type: 'LAUNCH', launch: { taskInfos: [taskInfo('m-S1')] } }] } }; // prettier-ignore
  t.is(accept?.(good), undefined);
  t.regex(accept?.({ ...good, frameworkId: '' }) ?? '', /frameworkId/);
  t.regex(accept?.({ ...good, accept: { offerIds: ['a/b'] } }) ?? '', /offerIds\/0/);
  t.regex(accept?.({ accept: good.accept }) ?? '', /frameworkId/);
});

test('PRO-1: every error has a sentence, a hint whether to try again, and a body that fits', (t) => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    t.regex(code, /^[A-Z_]+$/);
    t.regex(ERRORS[code].sentence, /^[A-Z].*\.$/);
    t.is(check(ErrorBody)(errorBody(code)), undefined);
    const body = errorBody(code, 'More.');
    t.is(body.error.message, `${ERRORS[code].sentence} More.`);
    t.is(check(ErrorBody)(errorBody(code, 'x'.repeat(10_000))), undefined, 'a long detail is cut');
  }
  const retryable = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => ERRORS[code].retryable).sort();
  t.deepEqual(retryable, ['NOT_LEADING', 'REGISTRY_UNAVAILABLE', 'STALE_EPOCH']);
  t.not(check(ErrorBody)({ error: { code: 'NO_SUCH', message: '' } }), undefined);
});

const schemaVersion = 1;
const records = {
  [EPOCH_KEY]: { schemaVersion, epoch: 5, masterId: '5', name: 'm1' },
  [registryKey('agent', 'm-S1')]: { schemaVersion, agentId: 'm-S1', principal: 'a1', agentInfo: { hostname: 'h' } },
  [registryKey('framework', 'm-0001')]: {
    schemaVersion,
    frameworkId: 'm-0001',
    principal: 'f1',
    frameworkInfo: { user: 'u', name: 'n' },
    removed: true,
  },
  [registryKey('task', 'm-L1')]: {
    schemaVersion,
    launchId: 'm-L1',
    taskId: 't.1',
    name: 'sleep',
    frameworkId: 'm-0001',
    agentId: 'm-S1',
    resources: [],
  },
};

test('REG-3: a record is read back by the kind in its key', (t) => {
  for (const [key, value] of Object.entries(records)) {
    t.deepEqual(registryRecord(key, value), { kind: key.split('.')[0] as 'task', value: value as never });
  }
  t.is(registryKey('task', 'a.b*'), 'task.a=2Eb=2A');
});

test('REG-3: a record that this version does not know is refused aloud, never taken for another', (t) => {
  const task = records['task.m-L1'];
  const wrong: [string, unknown][] = [
    ['quota.x', task],
    ['constructor', task],
    ['task.m-L1', { ...task, schemaVersion: 2 }],
    ['task.m-L1', { ...task, launchId: '' }],
    ['task.m-L1', records[EPOCH_KEY]],
    ['agent.m-S1', task],
    ['epoch', undefined],
  ];
  for (const [key, value] of wrong) t.throws(() => registryRecord(key, value), { instanceOf: RangeError }, key);
});

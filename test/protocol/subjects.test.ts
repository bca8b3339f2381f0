import test from 'ava';
import fc from 'fast-check';
import {
  buildSubject,
  inboxPrefix,
  isToken,
  leaseBucket,
  objectStorePermissions,
  parseSubject,
  executorPermissions,
  permissionsOf,
  probeSubject,
  registryBucket,
  storageInboxPrefix,
  storagePermissions,
  subjectPattern,
  SUBJECTS,
  type Address,
  type Role,
  type SubjectName,
  type SubjectRow,
} from '../../protocol/subjects.js';
import { isId } from '../../protocol/schema.js';
import { MESSAGES } from '../../protocol/messages.js';

const ROWS = Object.keys(SUBJECTS) as SubjectName[];
const ROLES: Role[] = ['master', 'agent', 'scheduler', 'executor', 'operator'];
const parametersOf = (row: SubjectName): string[] =>
  [...SUBJECTS[row].template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
const address = (row: SubjectName, parameters: Record<string, string>): Address => ({ row, parameters }) as never;

/** Whether a NATS server would deliver `subject` to `pattern`. */
function matches(pattern: string, subject: string): boolean {
  const tokens = subject.split('.');
  const wanted = pattern.split('.');
  for (const [at, token] of wanted.entries()) {
    if (token === '>') return tokens.length > at;
    if (tokens[at] === undefined || tokens[at] === '' || (token !== '*' && token !== tokens[at])) return false;
  }
  return wanted.length === tokens.length;
}

const NASTY = ['a.b', '*', '>', '=', '=2E', ' ', 'ü', '😀', 'x'.repeat(255), '0', '-', 'A_9', '..x', 'new\u00a0line'];
const id = fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }).filter(isId));

for (const row of ROWS)
  test(`PRO-4: ${row}: building and parsing are inverse, whatever the ids, and its pattern matches`, (t) => {
    const names = parametersOf(row);
    const type = fc.constantFrom(...Object.keys(MESSAGES[row]));
    fc.assert(
      fc.property(fc.array(id, { minLength: names.length, maxLength: names.length }), type, (values, message) => {
        const parameters = Object.fromEntries(names.map((name, at) => [name, values[at] as string]));
        const subject = buildSubject('tepui', address(row, parameters), message);
        t.deepEqual(parseSubject('tepui', subject), { row, parameters, type: message });
        t.true(matches(subjectPattern('tepui', row), subject));
        t.true(matches(subjectPattern('tepui', row, parameters as never), subject));
        t.true(Buffer.byteLength(subject) < 4_096);
        for (const [name, value] of Object.entries(parameters)) {
          const other = { ...parameters, [name]: `${value}x` };
          t.false(matches(subjectPattern('tepui', row, other as never), subject), name);
          t.true(matches(subjectPattern('tepui', row, { [name]: value }), subject));
        }
        t.is(parseSubject('other', subject), undefined);
      }),
    );
  });

test('PRO-4: a pattern matches no message of another row', (t) => {
  const subjects = ROWS.map((row) => {
    const parameters = Object.fromEntries(parametersOf(row).map((name) => [name, 'x']));
    return { row, subject: buildSubject('tepui', address(row, parameters), Object.keys(MESSAGES[row])[0] as string) };
  });
  for (const row of ROWS)
    for (const { row: other, subject } of subjects)
      t.is(matches(subjectPattern('tepui', row), subject), row === other, `${row} and ${other}`);
});

test('PRO-4: the receiver comes first, then the sender’s principal, the type last', (t) => {
  const of = (row: SubjectName, parameters: Record<string, string>, type: string) =>
    buildSubject('tepui', address(row, parameters), type);
  t.is(of('masterScheduler', { principal: 'f' }, 'ACCEPT'), 'tepui.master.scheduler.f.ACCEPT');
  const event = { principal: 'f', frameworkId: 'm-0001', sessionId: 'm-C1' };
  t.is(of('scheduler', event, 'OFFERS'), 'tepui.scheduler.f.m-0001.m-C1.OFFERS');
  const toAgent = { principal: 'a', agentId: 'm-S1', sessionId: '0' };
  t.is(of('agentMaster', toAgent, 'INVITE'), 'tepui.agent.a.master.m-S1.0.INVITE');
  t.is(of('agentExecutor', { agentPrincipal: 'a', principal: 'e' }, 'UPDATE'), 'tepui.agent.a.executor.e.UPDATE');
  t.is(of('leader', {}, 'ELECTED'), 'tepui.leader.ELECTED');
  for (const row of ROWS) {
    const { template, receiver, sender, senderParameter }: SubjectRow = SUBJECTS[row];
    const [first, ...rest] = template.split('.');
    if (receiver !== 'everybody') t.is(first, receiver, row);
    if (senderParameter !== undefined) t.true(rest.includes(`{${senderParameter}}`), row);
    else t.is(sender, 'master', `${row}: only a master's word needs no name`);
  }
});

test('PRO-4: what is no subject of ours is not read', (t) => {
  const wrong = [
    '',
    'tepui',
    'tepui.leader',
    'tepui.leader.elected',
    'tepui.leader.ELECTED.X',
    'tepui.master.scheduler.f',
    'tepui.master.scheduler..ACCEPT',
    'tepui.master.scheduler.f.g.ACCEPT',
    'tepui.master.scheduler.a=2eb.ACCEPT',
    'tepui.master.scheduler.*.ACCEPT',
    'tepui.master.nobody.f.ACCEPT',
    'tepui.inbox.operator.o.x1',
    '_tepui_leader.tepui',
    'other.leader.ELECTED',
  ];
  for (const subject of wrong) t.is(parseSubject('tepui', subject), undefined, subject);
  const incomplete = [{}, { principal: '' }];
  for (const parameters of incomplete)
    t.throws(() => buildSubject('tepui', address('masterScheduler', parameters), 'ACCEPT'), { instanceOf: RangeError });
});

test('PRO-5: cluster names and principals are plain tokens of at most 64', (t) => {
  for (const good of ['a', 'A-9_z', 'x'.repeat(64)]) t.true(isToken(good), good);
  for (const bad of ['', 'a.b', '*', '>', 'a b', 'ü', 'x'.repeat(65), 'a\n', '=2E']) t.false(isToken(bad), bad);
});

test('PRO-6: a tap hears the inboxes of control connections and no storage traffic', (t) => {
  for (const role of ROLES) t.true(matches('tepui.>', `${inboxPrefix('tepui', role, 'p')}.x.1`));
  t.false(matches('tepui.>', `${storageInboxPrefix('tepui', 'master', 'p')}.x`));
  for (const bucket of [leaseBucket('tepui'), registryBucket('tepui')]) t.false(matches('tepui.>', `$KV.${bucket}.k`));
});

test('LNK-4: the question whether there is a leader is outside the tapped tree', (t) => {
  t.false(matches('tepui.>', probeSubject('tepui')));
  for (const row of ROWS) t.false(matches(subjectPattern('tepui', row), probeSubject('tepui')));
  t.not(probeSubject('a'), probeSubject('b'));
});

/** A subject of the row in which `principal` stands at one end and `other` at all other places. */
function subjectWith(row: SubjectName, parameter: string | undefined, principal: string): string {
  const parameters = Object.fromEntries(
    parametersOf(row).map((name) => [name, name === parameter ? principal : 'other']),
  );
  return buildSubject('tepui', address(row, parameters), Object.keys(MESSAGES[row])[0] as string);
}

for (const role of ROLES)
  test(`PRO-7: a user with the role ${role} may speak and listen as itself by the table, and as nobody else`, (t) => {
    const { publish, subscribe } = permissionsOf('tepui', role, 'me');
    const may = (patterns: readonly string[], subject: string): boolean => patterns.some((p) => matches(p, subject));
    for (const row of ROWS) {
      const { sender, receiver, senderParameter, receiverParameter }: SubjectRow = SUBJECTS[row];
      t.is(may(publish, subjectWith(row, senderParameter, 'me')), sender === role, `publishes ${row}`);
      if (senderParameter !== undefined)
        t.false(may(publish, subjectWith(row, senderParameter, 'you')), `publishes ${row} as another`);
      const hears = receiver === role || receiver === 'everybody';
      t.is(may(subscribe, subjectWith(row, receiverParameter, 'me')), hears, `hears ${row}`);
      if (receiverParameter !== undefined)
        t.false(may(subscribe, subjectWith(row, receiverParameter, 'you')), `hears ${row} of another`);
    }
    for (const other of ROLES) {
      const own = other === role;
      t.is(may(subscribe, `${inboxPrefix('tepui', other, 'me')}.x.1`), own, `hears an inbox of ${other}`);
      t.false(may(subscribe, `${inboxPrefix('tepui', other, 'you')}.x.1`));
    }
    t.true(may(publish, probeSubject('tepui')), 'all may ask who leads');
    t.is(may(subscribe, probeSubject('tepui')), role === 'master', 'only masters may answer');
    const stream = `$KV.${registryBucket('tepui')}.epoch`;
    t.is(may(publish, stream), role === 'master', 'only masters write the registry');
    t.is(may(publish, `$JS.API.CONSUMER.CREATE.KV_${registryBucket('tepui')}.x`), role === 'master');
    for (const forbidden of ['$JS.API.STREAM.CREATE.KV_tepui_registry', '$JS.API.STREAM.DELETE.KV_tepui_registry', '>'])
      t.false(may(publish, forbidden), forbidden);
    for (const pattern of [...publish, ...subscribe]) t.false(pattern === '>' || pattern.startsWith('*'), pattern);
    const replies = `${inboxPrefix('tepui', 'operator', 'somebody')}.x`;
    t.is(may(publish, replies), role === 'master' || role === 'agent', 'who is asked may answer');
    t.false(may(publish, `${inboxPrefix('tepui', 'scheduler', 'somebody')}.x`));
    t.false(may(publish, `${inboxPrefix('other', 'operator', 'somebody')}.x`));
  });

test('PRO-7 EXC-1: executors speak to their own agent and hear it, and nobody else', (t) => {
  const { publish, subscribe } = executorPermissions('tepui', 'a1');
  const may = (patterns: readonly string[], subject: string): boolean => patterns.some((p) => matches(p, subject));
  t.true(may(publish, 'tepui.agent.a1.executor.a1-executor.UPDATE'));
  t.true(may(subscribe, 'tepui.executor.a1.a1-executor.f.e.s.LAUNCH'));
  for (const subject of [
    'tepui.agent.a2.executor.a1-executor.UPDATE',
    'tepui.agent.a1.executor.a2-executor.UPDATE',
    'tepui.master.scheduler.a1-executor.ACCEPT',
    'tepui.executor.a1.a1-executor.f.e.s.LAUNCH',
  ])
    // prettier-ignore
    t.false(may(publish, subject), subject);
  for (const subject of [
    'tepui.executor.a2.a1-executor.f.e.s.LAUNCH',
    'tepui.executor.a1.a2-executor.f.e.s.LAUNCH',
    'tepui.agent.a1.executor.a1-executor.UPDATE',
  ])
    // prettier-ignore
    t.false(may(subscribe, subject), subject);
});

test('PRO-7: a prefix of a principal opens nothing of it', (t) => {
  const { publish, subscribe } = permissionsOf('tepui', 'scheduler', 'f1');
  for (const pattern of [...publish, ...subscribe]) {
    t.false(matches(pattern, 'tepui.master.scheduler.f11.ACCEPT'));
    t.false(matches(pattern, 'tepui.scheduler.f11.id.s.OFFERS'));
    t.false(matches(pattern, 'tepui.inbox.scheduler.f11.x'));
  }
});

test('PRO-7: storage permissions name their buckets, and nothing that creates or deletes one', (t) => {
  const all = [...storagePermissions(['tepui_lease', 'tepui_registry']), ...objectStorePermissions('tepui_x')];
  for (const pattern of all) {
    t.regex(pattern, /_lease|_registry|tepui_x/);
    t.notRegex(pattern, /STREAM\.(CREATE|UPDATE|DELETE)/);
    t.false(pattern.startsWith('>') || pattern.startsWith('*'));
  }
});

import test from 'ava';
import { MapOf } from '../../protocol/common.js';
import * as agents from '../../protocol/agent.js';
import * as containers from '../../protocol/container.js';
import * as executors from '../../protocol/executor.js';
import * as frameworks from '../../protocol/framework.js';
import * as offers from '../../protocol/offer.js';
import * as resources from '../../protocol/resource.js';
import * as tasks from '../../protocol/task.js';
import { AgentInfo, MasterInfo } from '../../protocol/agent.js';
import { ContainerID, ContainerInfo } from '../../protocol/container.js';
import { FrameworkInfo, frameworkRoles, isDescendantRole, roleError } from '../../protocol/framework.js';
import { AttributeConstraint, Offer, Operation, OPERATION_BODY, OperationType } from '../../protocol/offer.js';
import { Bytes, check, Type, type Static } from '../../protocol/schema.js';
import { Task, TaskInfo, TaskStatus } from '../../protocol/task.js';

const task: Static<typeof TaskInfo> = {
  name: 'sleep',
  taskId: 't1',
  agentId: 'm-S1',
  resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 }, allocationInfo: { role: '*' } }],
  command: { value: 'sleep 1' },
};

test('PRO-BODY: a body that fits passes with fields that nobody knows, at every depth', (t) => {
  const stranger = { ...task, later: { any: [1, 'x'] }, command: { value: 'x', later: true } };
  t.is(check(TaskInfo)(stranger), undefined);
  t.is(check(Operation)({ type: 'LAUNCH', launch: { taskInfos: [stranger], more: 1 }, later: 1 }), undefined);
  t.is(check(AgentInfo)({ hostname: 'h', resources: task.resources, later: 1 }), undefined);
  t.is(check(MasterInfo)({ id: 'm', later: 1 }), undefined);
});

test('PRO-BODY: what does not fit is refused with its place', (t) => {
  const wrong: [unknown, RegExp][] = [
    [{ ...task, taskId: 'a/b' }, /^\/taskId must be an id/],
    [{ ...task, taskId: undefined }, /taskId/],
    [{ ...task, data: new Uint8Array(65_537) }, /^\/data must be at most 65536 bytes/],
    [{ ...task, data: 'text' }, /^\/data/],
    [{ ...task, resources: [{ name: 'cpus', type: 'NUMBER' }] }, /^\/resources\/0\/type/],
    [
      { ...task, resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: NaN } }] },
      /^\/resources\/0\/scalar\/value/,
    ],
    [{ ...task, name: 'x'.repeat(1025) }, /^\/name/],
    [{ ...task, command: { value: 3 } }, /^\/command\/value/],
  ];
  for (const [value, place] of wrong) t.regex(check(TaskInfo)(value) ?? 'none', place);
  t.is(check(TaskInfo)({ ...task, data: new Uint8Array(65_536) }), undefined);
});

/** Places in `schema` that have no upper bound. */
function unbounded(schema: unknown, path: string): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const node = schema as Record<string, unknown>;
  const missing = [
    node['type'] === 'string' && node['maxLength'] === undefined,
    node['title'] === 'bytes' && node['maxLength'] === undefined,
    node['type'] === 'array' && node['maxItems'] === undefined,
    node['patternProperties'] !== undefined && node['maxProperties'] === undefined,
    node['additionalProperties'] === false,
  ];
  const deeper = Object.entries(node).flatMap(([key, part]) => unbounded(part, `${path}/${key}`));
  return missing.includes(true) ? [path, ...deeper] : deeper;
}

test('PRO-BODY: every text, list, map and byte string has an upper bound, and no further field is forbidden', (t) => {
  const schemas = { ...agents, ...containers, ...executors, ...frameworks, ...offers, ...resources, ...tasks };
  t.deepEqual(unbounded({ text: Type.String(), list: Type.Array(Type.Number()), bytes: Bytes }, '').length, 3);
  for (const [name, schema] of Object.entries(schemas)) t.deepEqual(unbounded(schema, name), []);
});

test('PRO-BODY: a limit may be infinite, but neither negative nor NaN', (t) => {
  const withLimit = (value: unknown) => check(TaskInfo)({ ...task, limits: { mem: { value } } });
  t.is(withLimit(Infinity), undefined);
  t.is(withLimit(64), undefined);
  for (const value of [-1, NaN, '1', undefined]) t.regex(withLimit(value) ?? 'none', /^\/limits\/mem/);
});

test('PRO-BODY: the values of a map are checked whatever their keys, and a map is bounded', (t) => {
  const map = check(MapOf(Type.Number(), 2));
  t.is(map({ a: 1, 'b\nc': 2 }), undefined);
  t.not(map({ 'b\nc': 'text' }), undefined);
  t.not(map({ a: 1, b: 2, c: 3 }), undefined);
});

test('PRO-BODY: statuses carry our launch id and exit, bytes are bytes', (t) => {
  const status = {
    taskId: 't1',
    state: 'TASK_FAILED',
    source: 'SOURCE_EXECUTOR',
    reason: 'REASON_COMMAND_EXECUTOR_FAILED',
    uuid: new Uint8Array(16),
    launchId: 'm-L1',
    exitCode: 3,
    exitSignal: 'SIGKILL',
  };
  t.is(check(TaskStatus)(status), undefined);
  t.regex(check(TaskStatus)({ ...status, uuid: 'abc' }) ?? 'none', /^\/uuid/);
  t.regex(check(TaskStatus)({ ...status, state: 'RUNNING' }) ?? 'none', /^\/state/);
  t.regex(check(TaskStatus)({ ...status, exitCode: 0.5 }) ?? 'none', /^\/exitCode/);
  t.is(
    check(Task)({
      name: 'n',
      taskId: 't',
      frameworkId: 'f',
      agentId: 'a',
      state: 'TASK_RUNNING',
      launchId: 'l',
      statuses: [status],
    }),
    undefined,
  );
});

test('PRO-BODY: container ids nest, and their parts have no dots', (t) => {
  const id = check(ContainerID);
  t.is(id({ value: 'c', parent: { value: 'b', parent: { value: 'a' } } }), undefined);
  for (const value of ['a.b', 'a b', 'a/b', '', 'x'.repeat(243)])
    t.not(id({ value: 'c', parent: { value } }), undefined, value);
  t.is(
    check(ContainerInfo)({ type: 'MESOS', volumes: [{ mode: 'RO', containerPath: 'x', hostPath: '/y' }] }),
    undefined,
  );
});

test('PRO-ONEOF: an operation has the body that its type names', (t) => {
  const operation = check(Operation);
  t.is(
    operation({ type: 'SHRINK_VOLUME', id: 'o', shrinkVolume: { volume: task.resources![0], subtract: { value: 1 } } }),
    undefined,
  );
  for (const type of OperationType.enum)
    t.is(operation({ type }), `the body of type ${type} must have the field ${OPERATION_BODY[type]}`);
  t.not(operation({ type: 'LAUNCH', reserve: {} }), undefined);
  t.not(operation({ type: 'UNKNOWN' }), undefined);
  // Only the type names the body; a narrowed operation has it.
  const launch: Operation = { type: 'LAUNCH', launch: { taskInfos: [task] } };
  t.is(launch.launch.taskInfos?.[0]?.taskId, 't1');
});

test('PRO-ONEOF: a constraint has one selector and one predicate', (t) => {
  const constraint = check(AttributeConstraint);
  const predicate = { exists: {} };
  t.is(constraint({ selector: { attributeName: 'rack' }, predicate }), undefined);
  t.not(constraint({ selector: {}, predicate }), undefined);
  t.not(constraint({ selector: { attributeName: 'rack', pseudoattributeType: 'ZONE' }, predicate }), undefined);
  t.not(constraint({ selector: { attributeName: 'rack' }, predicate: { ...predicate, notExists: {} } }), undefined);
});

test('PRO-BODY: an offer needs its ids and its host', (t) => {
  const offer = { id: 'o', frameworkId: 'f', agentId: 'a', hostname: 'h' };
  t.is(check(Offer)(offer), undefined);
  for (const field of Object.keys(offer)) t.not(check(Offer)({ ...offer, [field]: undefined }), undefined, field);
});

test('PRO-ROLE: names of roles follow the rules of Mesos', (t) => {
  for (const role of ['*', 'a', 'a/b/c', 'a-b', 'é', 'a*', '.a', 'a:b']) t.is(roleError(role), undefined, role);
  const wrong = [
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    'a/./b',
    'a/..',
    '*/a',
    'a/*',
    '-a',
    'a/-b',
    'a b',
    'a\tb',
    'a\bb',
    'a\0',
    'x'.repeat(256),
  ];
  for (const role of wrong) t.is(typeof roleError(role), 'string', JSON.stringify(role));
});

test('PRO-ROLE: a descendant is strictly below, and the roles of a framework depend on MULTI_ROLE', (t) => {
  t.true(isDescendantRole('a/b', 'a') && isDescendantRole('a/b/c', 'a'));
  t.false(isDescendantRole('a', 'a') || isDescendantRole('ab', 'a') || isDescendantRole('a', '*'));
  const info: FrameworkInfo = { user: 'u', name: 'n', roles: ['x', 'y'] };
  t.is(check(FrameworkInfo)(info), undefined);
  t.deepEqual(frameworkRoles(info), ['*']);
  t.deepEqual(frameworkRoles({ ...info, capabilities: [{ type: 'MULTI_ROLE' }] }), ['x', 'y']);
});

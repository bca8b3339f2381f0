/** The subject grammar, as one table: build, parse, subscribe pattern, permission and docs all come from it. */
import { escapeToken, NO_SESSION, unescapeToken } from './ids.js';

/** Who may stand at an end of a subject. */
export type Role = 'master' | 'agent' | 'scheduler' | 'executor' | 'operator';

/** A row of the table. In `template`, `{name}` is one escaped token; the message's type is the last token. */
export interface SubjectRow {
  readonly template: string;
  readonly sender: Role;
  readonly receiver: Role | 'everybody';
  /** The parameter that is the sender's principal, where the subject names the sender. */
  readonly senderParameter?: string;
  /** The parameter that is the receiver's principal. */
  readonly receiverParameter?: string;
  /** What the row is for, in one sentence, for the docs. */
  readonly purpose: string;
}

/** Receiver first; the sender's principal stands in the subject, so that NATS permissions are the authentication. Rule: PRO-4. */
export const SUBJECTS = {
  masterScheduler: {
    template: 'master.scheduler.{principal}',
    sender: 'scheduler',
    receiver: 'master',
    senderParameter: 'principal',
    purpose: 'A call of a scheduler to the leading master.',
  },
  scheduler: {
    template: 'scheduler.{principal}.{frameworkId}.{sessionId}',
    sender: 'master',
    receiver: 'scheduler',
    receiverParameter: 'principal',
    purpose: 'An event for one instance of a scheduler.',
  },
  masterAgent: {
    template: 'master.agent.{principal}',
    sender: 'agent',
    receiver: 'master',
    senderParameter: 'principal',
    purpose: 'A message of an agent to the leading master.',
  },
  agentMaster: {
    template: 'agent.{principal}.master.{agentId}.{sessionId}',
    sender: 'master',
    receiver: 'agent',
    receiverParameter: 'principal',
    purpose: 'A message of the leading master to an agent.',
  },
  agentExecutor: {
    template: 'agent.{agentPrincipal}.executor.{principal}',
    sender: 'executor',
    receiver: 'agent',
    senderParameter: 'principal',
    receiverParameter: 'agentPrincipal',
    purpose: 'A call of an executor to its agent.',
  },
  executor: {
    template: 'executor.{agentPrincipal}.{principal}.{frameworkId}.{executorId}.{sessionId}',
    sender: 'agent',
    receiver: 'executor',
    senderParameter: 'agentPrincipal',
    receiverParameter: 'principal',
    purpose: 'An event for one instance of an executor.',
  },
  masterOperator: {
    template: 'master.operator.{principal}',
    sender: 'operator',
    receiver: 'master',
    senderParameter: 'principal',
    purpose: 'A request of an operator to the leading master.',
  },
  agentOperator: {
    template: 'agent.{agentPrincipal}.operator.{principal}',
    sender: 'operator',
    receiver: 'agent',
    senderParameter: 'principal',
    receiverParameter: 'agentPrincipal',
    purpose: 'A request of an operator to one agent, such as a read of a sandbox.',
  },
  masterMaster: {
    template: 'master.master.{principal}',
    sender: 'master',
    receiver: 'master',
    senderParameter: 'principal',
    purpose: 'A call of one master to the leading one, and the leader’s loop-back to itself.',
  },
  leader: {
    template: 'leader',
    sender: 'master',
    receiver: 'everybody',
    purpose: 'The broadcast of a new leader.',
  },
} as const satisfies Record<string, SubjectRow>;

export type SubjectName = keyof typeof SUBJECTS;

type ParametersOf<T extends string> = T extends `${string}{${infer P}}${infer Rest}` ? P | ParametersOf<Rest> : never;
/** The parameters of a row's template, unescaped. */
export type SubjectParameters<N extends SubjectName> = {
  readonly [P in ParametersOf<(typeof SUBJECTS)[N]['template']>]: string;
};

/** An address: a row of the table and its parameters. */
export type Address = {
  readonly [N in SubjectName]: { readonly row: N; readonly parameters: SubjectParameters<N> };
}[SubjectName];

const DEFAULT_CLUSTER = 'tepui';

interface Segment {
  readonly literal?: string;
  readonly parameter?: string;
}
const segmentsOf = (template: string): Segment[] =>
  template.split('.').map((token) => (token.startsWith('{') ? { parameter: token.slice(1, -1) } : { literal: token }));

const COMPILED: ReadonlyMap<SubjectName, readonly Segment[]> = new Map(
  (Object.keys(SUBJECTS) as SubjectName[]).map((name) => [name, segmentsOf(SUBJECTS[name].template)]),
);

/** Whether `name` may stand as a cluster, a principal or another plain token: `[A-Za-z0-9_-]+`. Rule: PRO-5. */
export const isToken = (name: string): boolean => name.length <= 64 && /^[A-Za-z0-9_-]+$/.test(name);

/** The exact subject of a message. Rule: PRO-4. */
export function buildSubject(cluster: string, address: Address, type: string): string {
  const parameters = address.parameters as Readonly<Record<string, string>>;
  let subject = cluster;
  for (const { literal, parameter } of COMPILED.get(address.row) ?? []) {
    if (literal !== undefined) subject += `.${literal}`;
    else {
      const value = parameter === undefined ? undefined : parameters[parameter];
      if (value === undefined || value === '') throw new RangeError(`subject ${address.row} needs ${parameter}`);
      subject += `.${escapeToken(value)}`;
    }
  }
  return `${subject}.${type}`;
}

/** A pattern to subscribe to: each parameter that is left out matches any token; the type matches any. */
export function subjectPattern<N extends SubjectName>(
  cluster: string,
  row: N,
  known: Partial<SubjectParameters<N>> = {},
): string {
  const given = known as Readonly<Record<string, string | undefined>>;
  const tokens = (COMPILED.get(row) ?? []).map(({ literal, parameter }) => {
    const value = parameter === undefined ? undefined : given[parameter];
    return literal ?? (value === undefined ? '*' : escapeToken(value));
  });
  return [cluster, ...tokens, '*'].join('.');
}

/** What a subject says: its row, its parameters unescaped, and the message's type. */
export interface ParsedSubject {
  readonly row: SubjectName;
  readonly parameters: Readonly<Record<string, string>>;
  readonly type: string;
}

/** Reads a subject; `undefined` when it is none of ours. The inverse of {@link buildSubject}. Rule: PRO-4. */
export function parseSubject(cluster: string, subject: string): ParsedSubject | undefined {
  const tokens = subject.split('.');
  const type = tokens.pop();
  if (tokens.shift() !== cluster || type === undefined || !/^[A-Z][A-Z_]*$/.test(type)) return undefined;
  rows: for (const [row, segments] of COMPILED) {
    if (segments.length !== tokens.length) continue;
    const parameters: Record<string, string> = {};
    for (let i = 0; i < segments.length; i++) {
      const { literal, parameter } = segments[i] as Segment;
      const token = tokens[i] as string;
      if (literal !== undefined) {
        if (literal !== token) continue rows;
      } else if (parameter !== undefined) {
        const value = unescapeToken(token);
        if (value === undefined) continue rows;
        parameters[parameter] = value;
      }
    }
    return { row, parameters, type };
  }
  return undefined;
}

/** Where a leader answers whether it is there: outside the tapped tree, so that "no responders" is the truth. Rule: LNK-4. */
export const probeSubject = (cluster: string): string => `_tepui_leader.${cluster}`;

/** Prefix of the inboxes of a control connection; under the tapped tree, so that a tap sees replies. Rule: PRO-6. */
export const inboxPrefix = (cluster: string, role: Role, principal: string): string =>
  `${cluster}.inbox.${role}.${principal}`;

/** Prefix of the inboxes of a connection that speaks to JetStream; outside the tapped tree. Rule: PRO-6. */
export const storageInboxPrefix = (cluster: string, role: string, principal: string): string =>
  `_tepui_inbox.${cluster}.${role}.${principal}`;

/** Whether `subject` is in an inbox of `principal`, whatever its role: where an answer may go that the subject asked on cannot bind. Rule: SEC-4. */
export function isInboxOf(cluster: string, principal: string, subject: string): boolean {
  const [first, second, role, owner, ...rest] = subject.split('.');
  const isControl = first === cluster && second === 'inbox';
  const isStorage = first === '_tepui_inbox' && second === cluster;
  return (isControl || isStorage) && role !== '' && owner === principal && rest.length > 0;
}

/** Names of the KV buckets of a cluster. */
export const leaseBucket = (cluster: string): string => `${cluster}_lease`;
export const registryBucket = (cluster: string): string => `${cluster}_registry`;

/** What a NATS user may do: subjects with wildcards, as the server's configuration takes them. */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** The permissions of one principal in one role, from the table. Rule: PRO-7. */
export function permissionsOf(cluster: string, role: Role, principal: string): Permissions {
  const publish: string[] = [];
  const subscribe: string[] = [`${inboxPrefix(cluster, role, principal)}.>`];
  for (const name of Object.keys(SUBJECTS) as SubjectName[]) {
    const row: SubjectRow = SUBJECTS[name];
    const own = (parameter: string | undefined): Record<string, string> =>
      parameter === undefined ? {} : { [parameter]: principal };
    if (row.sender === role) publish.push(subjectPattern(cluster, name, own(row.senderParameter)));
    if (row.receiver === role || row.receiver === 'everybody')
      subscribe.push(subjectPattern(cluster, name, own(row.receiverParameter)));
  }
  if (role === 'master' || role === 'agent') publish.push(`${cluster}.inbox.operator.>`);
  publish.push(probeSubject(cluster));
  if (role !== 'master') return { publish, subscribe };
  subscribe.push(probeSubject(cluster), `${storageInboxPrefix(cluster, role, principal)}.>`);
  publish.push(`_tepui_inbox.${cluster}.>`, ...storagePermissions([leaseBucket(cluster), registryBucket(cluster)]));
  return { publish, subscribe };
}

/** Name of the user that an agent's executors share. */
export const executorPrincipal = (agentPrincipal: string): string => `${agentPrincipal}-executor`;

/** What the executors of one agent may do: speak to it, and hear it. Rule: PRO-7. */
export function executorPermissions(cluster: string, agentPrincipal: string): Permissions {
  const principal = executorPrincipal(agentPrincipal);
  return {
    publish: [subjectPattern(cluster, 'agentExecutor', { agentPrincipal, principal })],
    subscribe: [
      `${inboxPrefix(cluster, 'executor', principal)}.>`,
      subjectPattern(cluster, 'executor', { agentPrincipal, principal }),
    ],
  };
}

/** What a user needs to read, write and watch KV buckets that exist already; creating one needs an administrator. */
export function storagePermissions(buckets: readonly string[]): string[] {
  return buckets.flatMap((bucket) => [
    `$KV.${bucket}.>`,
    `$JS.API.STREAM.INFO.KV_${bucket}`,
    `$JS.API.STREAM.MSG.GET.KV_${bucket}`,
    `$JS.API.DIRECT.GET.KV_${bucket}`,
    `$JS.API.DIRECT.GET.KV_${bucket}.>`,
    `$JS.API.CONSUMER.CREATE.KV_${bucket}`,
    `$JS.API.CONSUMER.CREATE.KV_${bucket}.>`,
    `$JS.API.CONSUMER.DELETE.KV_${bucket}.>`,
    `$JS.API.CONSUMER.INFO.KV_${bucket}.>`,
    `$JS.FC.KV_${bucket}.>`,
  ]);
}

/** What a user needs for an object store bucket of its own that exists already. Rule: PRO-7. */
export function objectStorePermissions(bucket: string): string[] {
  return [
    `$O.${bucket}.>`,
    `$JS.API.STREAM.INFO.OBJ_${bucket}`,
    `$JS.API.STREAM.PURGE.OBJ_${bucket}`,
    `$JS.API.STREAM.MSG.GET.OBJ_${bucket}`,
    `$JS.API.DIRECT.GET.OBJ_${bucket}.>`,
    `$JS.API.CONSUMER.CREATE.OBJ_${bucket}`,
    `$JS.API.CONSUMER.CREATE.OBJ_${bucket}.>`,
    `$JS.API.CONSUMER.DELETE.OBJ_${bucket}.>`,
    `$JS.API.CONSUMER.INFO.OBJ_${bucket}.>`,
    `$JS.FC.OBJ_${bucket}.>`,
  ];
}

/** All that a principal may do that only keeps objects in a bucket, such as a framework's tasks. Rule: PRO-7. */
export const storeUserPermissions = (cluster: string, bucket: string, principal: string): Permissions => ({
  publish: objectStorePermissions(bucket),
  subscribe: [`${storageInboxPrefix(cluster, 'scheduler', principal)}.>`],
});

export { DEFAULT_CLUSTER, NO_SESSION };

/** What `--json` prints, command by command. Documented in docs/cli.md. Rule: CLI-4. */
import { Type, type Static, type TSchema } from '../protocol/schema.js';

const OrNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Closed = <T extends Record<string, TSchema>>(members: T) => Type.Object(members, { additionalProperties: false });

const Text = Type.String();
const Whole = Type.Integer();
const MaybeText = OrNull(Type.String());
const MaybeWhole = OrNull(Type.Integer());

/** Amounts by name; ranges and sets in their text form. */
export const ResourcesJson = Type.Record(Type.String(), Type.Union([Type.Number(), Type.String()]));

/** `tepui status` */
export const StatusJson = Closed({
  nats: Closed({
    url: Text,
    version: Text,
    servers: Type.Array(
      Closed({ name: Text, url: Text, pid: Whole, leads: Type.Array(Type.Enum(['registry', 'lease'])) }),
    ),
  }),
  masters: Type.Array(Closed({ name: Text, pid: MaybeWhole, leading: Type.Boolean(), epoch: Whole })),
  agents: Type.Array(Closed({ id: MaybeText, name: Text, pid: MaybeWhole, resources: ResourcesJson })),
  dir: MaybeText,
});
export type StatusJson = Static<typeof StatusJson>;

/** `tepui down` */
export const DownJson = Closed({ dir: Text, supervisor: MaybeWhole, ended: Type.Array(Text) });
export type DownJson = Static<typeof DownJson>;

/** One task of `tepui ps`; times are ISO 8601. */
export const TaskJson = Closed({
  id: Text,
  name: Text,
  state: Text,
  frameworkId: Text,
  framework: MaybeText,
  agentId: Text,
  agent: MaybeText,
  launchId: MaybeText,
  resources: ResourcesJson,
  since: MaybeText,
  exitCode: MaybeWhole,
  exitSignal: MaybeText,
  reason: MaybeText,
  message: MaybeText,
});
export type TaskJson = Static<typeof TaskJson>;
export const PsJson = Closed({ tasks: Type.Array(TaskJson), completed: Type.Array(TaskJson) });
export type PsJson = Static<typeof PsJson>;

/** `tepui agents` */
export const AgentJson = Closed({
  id: MaybeText,
  name: Text,
  state: Text,
  active: Type.Boolean(),
  hostname: Text,
  version: Text,
  attributes: Type.Record(Type.String(), Type.String()),
  total: ResourcesJson,
  allocated: ResourcesJson,
  offered: ResourcesJson,
  tasks: Whole,
  registered: MaybeText,
});
export type AgentJson = Static<typeof AgentJson>;
export const AgentsJson = Closed({ agents: Type.Array(AgentJson) });
export type AgentsJson = Static<typeof AgentsJson>;

/** `tepui frameworks` */
export const FrameworkJson = Closed({
  id: MaybeText,
  name: Text,
  principal: Text,
  state: Text,
  roles: Type.Array(Text),
  failoverTimeout: OrNull(Type.Number()),
  allocated: ResourcesJson,
  offered: ResourcesJson,
  offers: Whole,
  tasks: Whole,
  registered: MaybeText,
});
export type FrameworkJson = Static<typeof FrameworkJson>;
export const FrameworksJson = Closed({ frameworks: Type.Array(FrameworkJson), completed: Type.Array(FrameworkJson) });
export type FrameworksJson = Static<typeof FrameworksJson>;

/** `tepui offers` */
export const OfferJson = Closed({
  id: Text,
  frameworkId: Text,
  framework: MaybeText,
  agentId: Text,
  agent: MaybeText,
  role: Text,
  resources: ResourcesJson,
});
export const OffersJson = Closed({ offers: Type.Array(OfferJson) });
export type OffersJson = Static<typeof OffersJson>;

/** `tepui inspect`: everything of that id, each with the body that the master has of it. */
export const InspectJson = Closed({
  found: Type.Array(
    Closed({ kind: Type.Enum(['task', 'agent', 'framework', 'offer']), id: Text, value: Type.Object({}) }),
  ),
});
export type InspectJson = Static<typeof InspectJson>;

/** `tepui kill` */
export const KillJson = Closed({
  id: Text,
  frameworkId: Text,
  agentId: Text,
  ended: Type.Boolean(),
  task: OrNull(TaskJson),
});
export type KillJson = Static<typeof KillJson>;

/** `tepui trust-registry --json`. */
export const TrustRegistryJson = Closed({ wasInDoubt: Type.Boolean() });
export type TrustRegistryJson = Static<typeof TrustRegistryJson>;

/** One line of `tepui logs --json`. */
export const LogJson = Closed({ id: Text, stream: Type.Enum(['stdout', 'stderr']), offset: Whole, data: Text });

/** One line of `tepui tap --json`. What cannot be read has `problem` and no body. */
export const TapJson = Closed({
  time: Text,
  subject: Text,
  type: MaybeText,
  from: MaybeText,
  to: MaybeText,
  id: MaybeText,
  cause: MaybeText,
  session: MaybeText,
  sequence: MaybeWhole,
  epoch: MaybeWhole,
  bytes: Whole,
  parts: Whole,
  body: Type.Unknown(),
  problem: MaybeText,
});
export type TapJson = Static<typeof TapJson>;

const event = <N extends string, T extends Record<string, TSchema>>(name: N, members: T) =>
  Closed({ event: Type.Literal(name), time: Text, ...members });

const ofTask = { task: Whole, id: Text };
const ofStatus = {
  state: Text,
  reason: Type.Optional(Text),
  message: Type.Optional(Text),
  agentId: Type.Optional(Text),
  launchId: Type.Optional(Text),
  exitCode: Type.Optional(Whole),
  exitSignal: Type.Optional(Text),
};

/** Lines of `tepui run --json`; the last one is the summary. `task` counts from 0. */
export const RunEvents = {
  subscribed: event('subscribed', { frameworkId: Text }),
  launched: event('launched', { ...ofTask, attempt: Whole, agentId: Text }),
  running: event('running', { ...ofTask, agentId: Text, launchId: Text }),
  unreachable: event('unreachable', ofTask),
  again: event('again', { ...ofTask, attempt: Whole, ...ofStatus }),
  ended: event('ended', { ...ofTask, exitStatus: Whole, ...ofStatus }),
  output: event('output', { ...ofTask, stream: Type.Enum(['stdout', 'stderr']), data: Text }),
  waiting: event('waiting', { text: Text }),
  'output-lost': event('output-lost', { text: Text }),
  stopping: event('stopping', { why: Text }),
  summary: event('summary', {
    frameworkId: MaybeText,
    tasks: Whole,
    finished: Whole,
    failed: Whole,
    notRun: Whole,
    stopped: MaybeText,
    exitStatus: Whole,
    seconds: Type.Number(),
  }),
} as const;
export const RunJson = Type.Union(Object.values(RunEvents));

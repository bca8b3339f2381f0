/** What a checker is, and what all of them see. Each looks on and changes nothing. */
import type { Effect, Effects, Publish } from '../../../actors/effect.js';
import { checkpointKey } from '../../../protocol/checkpoint.js';
import type { Envelope } from '../../../protocol/envelope.js';
import { registryKey } from '../../../protocol/registry.js';
import type { TaskStatus } from '../../../protocol/task.js';
import type { HostEvent } from '../../../runtime/actor-host.js';
import type { SimCluster } from '../../../runtime/sim/sim-cluster.js';
import type { SimNode } from '../../../runtime/sim/sim-node.js';
import type { StorageChange } from '../../../runtime/sim/simulated-storage.js';
import type { Workload } from '../workload.js';

/** The world that is checked. */
export interface Scene {
  readonly cluster: SimCluster;
  /** By the name of the scheduler's node. */
  readonly workloads: ReadonlyMap<string, Workload>;
  /** The registry as it is written now, by key; the values decoded. */
  readonly registry: ReadonlyMap<string, unknown>;
  /** Keys of the registry that were other before it went back. */
  readonly wentBack: ReadonlySet<string>;
  /** A rule is broken. The run ends with the first. */
  fail(rule: string, message: string): void;
}

/** A step of a host: after it, before its effects. */
export interface Step {
  readonly now: number;
  readonly node: SimNode;
  readonly host: string;
  readonly event: HostEvent;
  readonly effects: Effects;
}

/** A message of a control connection as it is published. */
export interface Published {
  readonly now: number;
  /** Connection and life. */
  readonly node: SimNode;
  readonly subject: string;
  readonly envelope: Envelope;
}

export interface Checker {
  /** Rules that it watches. */
  readonly rules: readonly string[];
  onStart?(node: SimNode): void;
  onEnd?(node: SimNode): void;
  onStep?(step: Step): void;
  /** An effect that takes place now. */
  onEffect?(node: SimNode, host: string, effect: Effect): void;
  onMessage?(published: Published): void;
  onStored?(change: StorageChange): void;
  /** The registry came back older. */
  onWentBack?(): void;
  /** A scheduler is told a status. */
  onTold?(node: string, own: Workload, status: TaskStatus): void;
  /** Nothing goes on any more, and not all agree: who knows why says so before anybody else does. */
  onStuck?(): void;
  /** After the second phase. */
  atEnd?(): void;
}

export type NewChecker = (scene: Scene) => Checker;

const OF_LAUNCH = ['launch', 'stream', 'ended'] as const;

/** Whether a machine that lost power has lost a record of this launch: then its agent cannot know what it knew. */
export const isRecordLost = ({ cluster }: Scene, launchId: string): boolean =>
  [...cluster.machines.values()].some(
    ({ lostKeys }) => lostKeys.size > 0 && OF_LAUNCH.some((kind) => lostKeys.has(checkpointKey(kind, launchId))),
  );

/** Whether the machine of an agent is gone for good. */
export function isAgentGone({ cluster, registry }: Scene, agentId: string): boolean {
  const record = registry.get(registryKey('agent', agentId)) as { principal: string } | undefined;
  return cluster.agents.some(({ name, isDone }) => isDone && name === record?.principal);
}

/** The message of an event that a host got off the wire. */
export interface Received {
  readonly type: string;
  readonly meta: { readonly epoch: number; readonly session: string; readonly sequence: number };
  readonly body: unknown;
}

export const isMessage = (event: HostEvent): event is HostEvent & Received => 'meta' in event;

/** Where a published effect goes. */
export const targetOf = (effect: Publish): Readonly<Record<string, string>> => effect.to.parameters;

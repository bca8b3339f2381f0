/** Composition roots: master, agent, scheduler and executor of any world, real or simulated; each fits one screen. */
import type { AnyStateMachine, InputFrom } from 'xstate';
import { agentMachine } from '../actors/agent/agent.machine.js';
import type { AgentConfig } from '../actors/agent/agent-state.js';
import { executorsToAdopt, launchesToAdopt } from '../actors/agent/recovery.js';
import type { Stop } from '../actors/effect.js';
import type { CommandExecutorConfig } from '../actors/framework/command-executor.js';
import { customExecutorMachine } from '../actors/framework/custom-executor.machine.js';
import type { ExecutorConfig } from '../actors/framework/executor-driver.js';
import { executorMachine } from '../actors/framework/executor.machine.js';
import { schedulerMachine } from '../actors/framework/scheduler.machine.js';
import type { SchedulerConfig } from '../actors/framework/scheduler-driver.js';
import { masterMachine } from '../actors/master/master.machine.js';
import type { MasterConfig } from '../actors/master/master-state.js';
import { instanceOf } from '../actors/member.js';
import { checkpointRecord, type CheckpointRecord } from '../protocol/checkpoint.js';
import { decodeValue } from '../protocol/codec.js';
import { subjectPattern, type SubjectName } from '../protocol/subjects.js';
import { ActorHost, type HostEvent, type HostHooks } from './actor-host.js';
import { EffectExecutor, type World } from './effect-executor.js';
import type { AgentPorts, MasterPorts, Ports, Store } from './ports.js';

/** What every root needs besides ports and the actor's own configuration. */
export interface RootOptions {
  readonly cluster: string;
  readonly principal: string;
  readonly hooks?: HostHooks | undefined;
  /** The actor asked for the end of its process. */
  readonly onStop: (stop: Stop) => void;
  /** An actor threw: the process is to end at once. */
  readonly onCrash: (actor: string, error: unknown) => void;
}

/** A running actor, as its process sees it. */
export interface Running<L extends AnyStateMachine> {
  readonly host: ActorHost<L>;
  /** An orderly end. Agents: `endTasks` kills what they run, or it runs on without them. Rules: AGT-4, AGS-7. */
  stop(options?: { readonly endTasks?: boolean }): void;
  /** The end without a word. */
  kill(): void;
}

function host<L extends AnyStateMachine>(
  name: string,
  logic: L,
  input: InputFrom<L>,
  world: World,
  options: RootOptions & { tell?: (actor: string, event: HostEvent) => void },
): { host: ActorHost<L>; executor: EffectExecutor } {
  const { cluster, principal, hooks, onStop, onCrash, tell } = options;
  const instance = instanceOf(world.random.next());
  const executor = new EffectExecutor({
    world,
    speaker: { cluster, principal, instance },
    send: (event) => running.send(event),
    ...(tell && { tell }),
    onStop: (stop) => {
      running.end();
      onStop(stop);
    },
  });
  const running: ActorHost<L> = new ActorHost({
    name,
    logic,
    input,
    clock: world.clock,
    random: world.random,
    execute: executor.execute,
    endBatch: executor.endBatch,
    hooks,
    onCrash: (error) => onCrash(name, error),
  });
  return { host: running, executor };
}

function run<L extends AnyStateMachine>(
  main: ActorHost<L>,
  others: readonly ActorHost<AnyStateMachine>[] = [],
): Running<L> {
  for (const other of others) other.send({ type: 'START' });
  main.send({ type: 'START' });
  return {
    host: main,
    stop: ({ endTasks = false } = {}) => main.send({ type: 'STOP', endTasks } as HostEvent),
    kill: () => [main, ...others].forEach((each) => each.end()),
  };
}

export function startMaster(
  ports: MasterPorts,
  config: Omit<MasterConfig, 'name'>,
  options: RootOptions,
): Running<typeof masterMachine> {
  const { host: main } = host('master', masterMachine, { ...config, name: options.principal }, ports, options);
  ports.transport.onReconnected(() => main.send({ type: 'RECONNECTED' }));
  return run(main);
}

/** What the agent's earlier lives stored. @throws RangeError for a record that this version does not know. */
export const loadRecords = (store: Store): CheckpointRecord[] =>
  store.load().map(([key, value]) => checkpointRecord(key, decodeValue(value)));

export function startAgent(
  ports: AgentPorts,
  config: Omit<AgentConfig, 'name' | 'records'>,
  executorConfig: Omit<CommandExecutorConfig, 'recovered'>,
  options: RootOptions,
): Running<typeof agentMachine> {
  const records = loadRecords(ports.store);
  const input: AgentConfig = { ...config, name: options.principal, records };
  const recovered = [...launchesToAdopt(records), ...executorsToAdopt(records, input)];
  const executorInput: CommandExecutorConfig = { ...executorConfig, recovered };
  const agent = host('agent', agentMachine, input, ports, {
    ...options,
    tell: (_actor, event) => command.host.send(event),
  });
  const command = host('commandExecutor', executorMachine, executorInput, ports, {
    ...options,
    tell: (_actor, event) => agent.host.send(event),
  });
  const { cluster, principal } = options;
  const patterns = [
    subjectPattern(cluster, 'agentMaster', { principal }),
    subjectPattern(cluster, 'agentOperator', { agentPrincipal: principal }),
    subjectPattern(cluster, 'agentExecutor', { agentPrincipal: principal }),
    subjectPattern(cluster, 'leader'),
  ];
  for (const pattern of patterns)
    ports.transport.subscribe(pattern, (delivery) => agent.executor.inbound.receive(delivery));
  ports.transport.onReconnected(() => agent.host.send({ type: 'RECONNECTED' }));
  return run(agent.host, [command.host as unknown as ActorHost<AnyStateMachine>]);
}

export function startScheduler(
  ports: Ports,
  config: Omit<SchedulerConfig, 'principal'>,
  options: RootOptions,
): Running<typeof schedulerMachine> {
  const { cluster, principal } = options;
  const { host: main, executor } = host('scheduler', schedulerMachine, { ...config, principal }, ports, options);
  const rows: readonly [SubjectName, Record<string, string>][] = [
    ['scheduler', { principal }],
    ['leader', {}],
  ];
  for (const [row, known] of rows)
    ports.transport.subscribe(subjectPattern(cluster, row, known), (delivery) => executor.inbound.receive(delivery));
  ports.transport.onReconnected(() => main.send({ type: 'RECONNECTED' }));
  return run(main);
}

export function startExecutor(
  ports: Ports,
  config: Omit<ExecutorConfig, 'principal'>,
  options: RootOptions,
): Running<typeof customExecutorMachine> {
  const { cluster, principal } = options;
  const { agentPrincipal, frameworkId, executorId } = config;
  const { host: main, executor } = host('executor', customExecutorMachine, { ...config, principal }, ports, options);
  const pattern = subjectPattern(cluster, 'executor', { agentPrincipal, principal, frameworkId, executorId });
  ports.transport.subscribe(pattern, (delivery) => executor.inbound.receive(delivery));
  ports.transport.onReconnected(() => main.send({ type: 'RECONNECTED' }));
  return run(main);
}

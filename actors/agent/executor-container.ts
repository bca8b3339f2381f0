/** From an executor to the container that it runs in: it is started, queued, killed and adopted like a command. Rule: EXC-1. */
import type { ExecutorInfo } from '../../protocol/executor.js';
import { writeExecutorEnvironment } from '../../protocol/executor-environment.js';
import type { FrameworkInfo } from '../../protocol/framework.js';
import type { Timings } from '../../protocol/limits.js';
import type { TaskInfo } from '../../protocol/task.js';
import type { CommandExecutorEvent } from '../framework/command-executor.js';
import { newLink } from '../link.js';
import type { AgentConfig, ExecutorRow } from './agent-state.js';

/** Name of the credentials' copy in the sandbox. */
const CREDENTIALS_NAME = 'credentials.json';

export const newExecutorRow = (
  containerId: string,
  frameworkId: string,
  info: ExecutorInfo,
  frameworkInfo: FrameworkInfo,
): ExecutorRow => ({
  ...{ containerId, frameworkId, executorId: info.executorId, info, frameworkInfo },
  state: 'REGISTERING',
  runningAtMs: undefined,
  link: newLink(),
  arrivalId: '',
  asker: undefined,
  askerSince: 0,
  invitedAtMs: -Infinity,
  tasks: new Map(),
  ending: undefined,
});

/** Between SHUTDOWN and the kill. Rule: EXC-6. */
export const shutdownGraceMs = ({ info }: ExecutorRow, timings: Pick<Timings, 'executorShutdownGraceMs'>): number =>
  info.shutdownGracePeriod === undefined
    ? timings.executorShutdownGraceMs
    : Math.max(0, info.shutdownGracePeriod.nanoseconds / 1e6);

type Launch = Omit<Extract<CommandExecutorEvent, { type: 'agent.LAUNCH' }>, 'type'>;

interface Agent extends Pick<AgentConfig, 'name' | 'timings'> {
  readonly agentId: string;
  readonly login: AgentConfig['executors'];
}

/**
 * The launch of the executor's own process. Its memory is not limited: what its tasks may use comes and goes with them,
 * and a limit of the executor's share alone would end all of them.
 */
export function executorLaunch(row: ExecutorRow, { agentId, name, login, timings }: Agent): Launch {
  const { containerId, frameworkId, executorId, info, frameworkInfo } = row;
  const ours = writeExecutorEnvironment({
    ...{ frameworkId, executorId, agentId, containerId },
    agentPrincipal: name,
    principal: login?.principal ?? '',
    cluster: login?.cluster ?? '',
    credentials: CREDENTIALS_NAME,
    shutdownGraceMs: String(shutdownGraceMs(row, timings)),
  });
  const theirs = info.command?.environment?.variables ?? [];
  const variables = [...theirs, ...Object.entries(ours).map(([key, value]) => ({ name: key, value }))];
  const task: TaskInfo = {
    name: info.name ?? executorId,
    taskId: executorId,
    agentId,
    resources: info.resources ?? [],
    command: { ...info.command, environment: { variables } },
    limits: { mem: { value: Infinity } },
  };
  return {
    launchId: containerId,
    ...{ frameworkId, agentId, task },
    sendKilling: false,
    user: frameworkInfo.user,
    ...(login !== undefined && { credentials: { from: login.credentials, as: CREDENTIALS_NAME } }),
  };
}

/** An agent's machine with a master that is played by the test. */
import { agentMachine } from '../../actors/agent/agent.machine.js';
import type { AgentConfig, AgentState } from '../../actors/agent/agent-state.js';
import type { Effect, Publish } from '../../actors/effect.js';
import type { Meta } from '../../actors/events.js';
import type { MasterToAgentBody } from '../../protocol/agent-api.js';
import { DEFAULT_TIMINGS } from '../../protocol/limits.js';
import type { TaskStatus } from '../../protocol/task.js';
import { ActorKit, bodies, meta, published } from './actor-kit.js';
import { taskInfo } from './master-kit.js';

export const AGENT_ID = '5-S1';

export class AgentKit extends ActorKit<typeof agentMachine> {
  session = '0';
  sequence = 0;
  epoch = 5;
  #sessions = 0;

  constructor(config: Partial<AgentConfig> = {}) {
    super(agentMachine, {
      name: 'a1',
      version: '1',
      info: { hostname: 'h' },
      timings: DEFAULT_TIMINGS,
      checkpoint: undefined,
      lost: [],
      ...config,
    });
  }

  get state(): AgentState {
    return this.actor.getSnapshot().context.state;
  }

  /** The last question: REGISTER or REREGISTER. */
  get question(): Publish {
    const asked = published(this.all).filter(({ message }) => message.endsWith('REGISTER') && message !== 'UNREGISTER');
    const last = asked.at(-1);
    if (last === undefined) throw new Error('the agent has not asked');
    return last;
  }

  /** The master answers the last question with a new session. */
  answer(launches?: MasterToAgentBody<'REREGISTERED'>['launches'], given: Partial<Meta> = {}): Effect[] {
    const { id = '' } = this.question;
    this.session = given.session ?? `${this.epoch.toString(36)}-C${++this.#sessions}`;
    this.sequence = 1;
    const type = launches === undefined ? 'REGISTERED' : 'REREGISTERED';
    return this.send({
      type: `master.${type}`,
      meta: meta({ session: this.session, sequence: 1, epoch: this.epoch, cause: id, ...given }),
      body: { agentId: AGENT_ID, heartbeatIntervalMs: 2_000, ...(launches && { launches }) },
    } as never);
  }

  /** A message of the master in its session. */
  hear<T extends keyof typeof import('../../protocol/agent-api.js').masterToAgentMessages>(
    type: T,
    body: MasterToAgentBody<T>,
    given: Partial<Meta> = {},
  ): Effect[] {
    const sequence = given.sequence ?? ++this.sequence;
    const head = meta({ session: this.session, epoch: this.epoch, id: `m-${sequence}`, ...given, sequence });
    return this.send({ type: `master.${type}`, meta: head, body } as never);
  }

  run(launchId: string, taskId = `t-${launchId}`, given: Partial<Meta> = {}): Effect[] {
    const frameworkInfo = { user: 'u', name: 'f' };
    return this.hear('RUN_TASK', { frameworkId: '5-0001', frameworkInfo, task: taskInfo(AGENT_ID, { taskId }), launchId }, given); // prettier-ignore
  }

  /** What its executor reports of a launch. */
  report(launchId: string, state: TaskStatus['state'], more: Partial<TaskStatus> = {}): Effect[] {
    return this.send({ type: 'executor.UPDATE', launchId, status: { state, ...more } } as never);
  }

  acknowledge({ taskId, launchId, uuid }: TaskStatus): Effect[] {
    return this.hear('STATUS_UPDATE_ACKNOWLEDGEMENT', {
      frameworkId: '5-0001',
      taskId,
      uuid: uuid as Uint8Array,
      ...(launchId !== undefined && { launchId }),
    });
  }
}

/** An agent that has registered. */
export function registeredAgent(config: Partial<AgentConfig> = {}): AgentKit {
  const kit = new AgentKit(config);
  kit.send({ type: 'START' });
  kit.answer(kit.question.message === 'REGISTER' ? undefined : []);
  return kit;
}

/** The statuses that an agent sends. */
export const updates = (effects: readonly Effect[]): TaskStatus[] =>
  bodies<{ status: TaskStatus }>(effects, 'STATUS_UPDATE').map(({ status }) => status);

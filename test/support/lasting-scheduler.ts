/**
 * A scheduler in a process of its own that may die and come back: `lasting-scheduler.js CONFIG.json`. Says what it is told, a line of JSON
 * each. Launches its tasks when it is new; SIGUSR2 makes it kill all of them.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DEFAULT_TIMINGS, type Timings } from '../../protocol/limits.js';
import { decline, kill, launch, readCredentials, Resources, runScheduler } from '../../runtime/sdk.js';

export interface LastingConfig {
  /** File with the credentials of the principal `run`. */
  readonly credentials: string;
  /** Comes back as this framework, and launches nothing. */
  readonly frameworkId?: string;
  readonly failoverTimeoutSeconds: number;
  readonly timings?: Partial<Timings>;
  /** Shell commands by task id. */
  readonly tasks: Readonly<Record<string, string>>;
}

/** Of the lines that it says. */
export interface Told {
  readonly event: 'subscribed' | 'update' | 'error';
  readonly frameworkId?: string;
  readonly taskId?: string;
  readonly state?: string;
  readonly exitCode?: number;
  readonly code?: string;
}

export const PROGRAM = fileURLToPath(import.meta.url);

const FOREVER = { refuseSeconds: 3_600 };

async function main(path: string): Promise<void> {
  const config = JSON.parse(readFileSync(path, 'utf8')) as LastingConfig;
  const say = (told: Told): void => void process.stdout.write(`${JSON.stringify(told)}\n`);
  const agentOf = new Map<string, string>();
  const waiting = config.frameworkId === undefined ? Object.entries(config.tasks) : [];
  const running = await runScheduler<undefined, 'kill'>({
    credentials: await readCredentials(config.credentials),
    principal: 'run',
    timings: { ...DEFAULT_TIMINGS, ...config.timings },
    ...(config.frameworkId !== undefined && { frameworkId: config.frameworkId }),
    state: undefined,
    scheduler: {
      info: {
        user: '',
        name: 'lasting',
        failoverTimeout: config.failoverTimeoutSeconds,
        capabilities: [{ type: 'PARTITION_AWARE' }],
      },
      onSubscribed: (_, { frameworkId }) => {
        say({ event: 'subscribed', frameworkId });
        return [];
      },
      onOffers: (_, offers) => {
        const [offer] = offers;
        const tasks = waiting.splice(0);
        if (offer === undefined || tasks.length === 0) return decline(offers, FOREVER);
        const taskInfos = tasks.map(([taskId, value]) => {
          agentOf.set(taskId, offer.agentId);
          const resources = Resources.parse('cpus:0.01;mem:16').toArray();
          return { taskId, name: taskId, agentId: offer.agentId, resources, command: { shell: true, value } };
        });
        return [launch([offer], taskInfos, FOREVER), ...decline(offers.slice(1), FOREVER)];
      },
      onUpdate: (_, { taskId, state, exitCode }) => {
        say({ event: 'update', taskId, state, ...(exitCode !== undefined && { exitCode }) });
        return [];
      },
      onInput: () => Object.keys(config.tasks).map((taskId) => kill(taskId, agentOf.get(taskId))),
      onError: (_, { code }) => say({ event: 'error', code }),
    },
  });
  process.on('SIGUSR2', () => running.input('kill'));
  await running.ended;
}

if (process.argv[1] === PROGRAM) await main(process.argv[2] ?? '');

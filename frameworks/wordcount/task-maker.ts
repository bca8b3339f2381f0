/** What the scheduler launches: this package's own programs, with the names of their objects in the environment. */
import { fileURLToPath } from 'node:url';
import type { TaskMaker } from './scheduler.js';
import { ENVIRONMENT } from './environment.js';

export interface TaskPlan {
  /** Path of the tasks' credentials file. */
  readonly credentialsPath: string;
  readonly cluster: string | undefined;
  readonly splitObject: (split: number) => string;
  /** Name of what a task writes. Each try has a name of its own, so that what an earlier one has left never counts. */
  readonly outputOf: (taskId: string) => string;
}

/** A count needs little memory. Without a limit Node takes its share of the machine's before it looks for garbage. */
const NODE_FLAGS = ['--max-old-space-size=48', '--max-semi-space-size=2'];
/** A task that hangs is ended and tried again. */
const LONGEST_MS = 10 * 60 * 1000;

export function taskMaker(plan: TaskPlan): TaskMaker {
  return ({ taskId, split, sources }) => {
    const isMap = split !== undefined;
    const inputs = isMap ? [plan.splitObject(split)] : sources.map(plan.outputOf);
    const program = fileURLToPath(new URL(isMap ? './map-task.js' : './reduce-task.js', import.meta.url));
    const variables = [
      { name: ENVIRONMENT.credentials, value: plan.credentialsPath },
      { name: ENVIRONMENT.cluster, value: plan.cluster ?? '' },
      { name: ENVIRONMENT.inputs, value: JSON.stringify(inputs) },
      { name: ENVIRONMENT.output, value: plan.outputOf(taskId) },
    ];
    return {
      name: isMap ? `count words of split ${split}` : 'add up the counts',
      command: {
        shell: false,
        value: process.execPath,
        arguments: ['node', ...NODE_FLAGS, program],
        environment: { variables },
      },
      maxCompletionTime: { nanoseconds: LONGEST_MS * 1e6 },
    };
  };
}

/** One task by the id that a person gives. */
import type { Task } from '../protocol/task.js';
import type { OperatorClient } from '../runtime/client.js';
import { CliError } from './errors.js';
import { shortState } from './format.js';

/** All tasks of this id, or launches of it; those that run first, then the last ended. */
export async function tasksNamed(client: OperatorClient, id: string, frameworkId?: string): Promise<Task[]> {
  const asked = { completed: true, ...(frameworkId !== undefined && { frameworkId }) };
  const { tasks, completedTasks } = await client.askAll('GET_TASKS', { ...asked, taskId: id });
  const named = [...tasks, ...completedTasks.reverse()];
  if (named.length > 0) return named;
  const all = await client.askAll('GET_TASKS', asked);
  return [...all.tasks, ...all.completedTasks].filter(({ launchId }) => launchId === id);
}

/** @throws CliError when there is none, or when two frameworks have one */
export async function taskNamed(client: OperatorClient, id: string, frameworkId?: string): Promise<Task> {
  const tasks = await tasksNamed(client, id, frameworkId);
  const [task] = tasks;
  if (task === undefined) throw new CliError(`The master knows no task ${id}.`, 'See those that it knows: tepui ps -a');
  const frameworks = [...new Set(tasks.map((one) => one.frameworkId))];
  if (frameworks.length > 1)
    throw new CliError(
      `More than one framework has a task ${id}: ${frameworks.join(', ')}.`,
      `Name one: --framework ${frameworks[0]}`,
    );
  return task;
}

/** How a task is, as the end of a sentence: `finished`, `failed with 3`, `was killed by SIGTERM`. */
export function howItIs({ state, statuses }: Task): string {
  const status = statuses?.at(-1);
  const word = shortState(state).toLowerCase();
  if (status?.exitSignal !== undefined) return `${word} (${status.exitSignal})`;
  return status?.exitCode === undefined ? word : `${word} (exit status ${status.exitCode})`;
}

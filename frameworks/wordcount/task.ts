/** What the two tasks share: their environment, the bucket, and an end that says what went wrong. */
import { openObjectStore, readCredentials, type ObjectStore } from 'tepui/store';
import { ENVIRONMENT } from './environment.js';
import { BUCKET } from './objects.js';

export interface Task {
  readonly store: ObjectStore;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly say: (line: string) => void;
}

/** Runs a task to its end; the exit code is 0 or 1, and 1 comes with a message on standard error. */
export async function runTask(work: (task: Task) => Promise<void>): Promise<void> {
  try {
    const credentials = await readCredentials(variable(ENVIRONMENT.credentials));
    const inputs = JSON.parse(variable(ENVIRONMENT.inputs)) as string[];
    const output = variable(ENVIRONMENT.output);
    const cluster = process.env[ENVIRONMENT.cluster] || undefined;
    const { store, close } = await openObjectStore({ credentials, bucket: BUCKET, cluster });
    await work({ store, inputs, output, say: (line) => console.log(line) });
    await close();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    // A connection that is still open would keep the process alive.
    process.exit(1);
  }
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`The environment variable ${name} is missing.`);
  return value;
}

/** How the scheduler tells a task what to do. */

/** Names of the environment variables that the scheduler sets. Never a secret: what launches a task passes by everybody who may tap. */
export const ENVIRONMENT = {
  /** Path of a file with credentials for the bucket. */
  credentials: 'TEPUI_CREDENTIALS',
  cluster: 'TEPUI_CLUSTER',
  /** Names of objects to read, as a JSON list. */
  inputs: 'WORDCOUNT_INPUTS',
  /** Name of the object to write. */
  output: 'WORDCOUNT_OUTPUT',
} as const;

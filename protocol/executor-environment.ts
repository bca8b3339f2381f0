/** What an executor finds in its environment: written by agents, read by SDKs in any language. Rule: EXC-1. */

/** The variables, by what they say. */
export const EXECUTOR_VARIABLES = {
  frameworkId: 'TEPUI_FRAMEWORK_ID',
  executorId: 'TEPUI_EXECUTOR_ID',
  agentId: 'TEPUI_AGENT_ID',
  agentPrincipal: 'TEPUI_AGENT_PRINCIPAL',
  /** Under which the executor speaks and is spoken to. */
  principal: 'TEPUI_PRINCIPAL',
  cluster: 'TEPUI_CLUSTER',
  containerId: 'TEPUI_CONTAINER_ID',
  /** Between SHUTDOWN and the kill, in milliseconds. */
  shutdownGraceMs: 'TEPUI_EXECUTOR_SHUTDOWN_GRACE_MS',
  /** File with `{url, user, password}`, relative to the sandbox, in which the process begins. */
  credentials: 'TEPUI_CREDENTIALS',
} as const;

export type ExecutorEnvironment = { readonly [K in keyof typeof EXECUTOR_VARIABLES]: string };

/** The variables as a process gets them. */
export const writeExecutorEnvironment = (values: ExecutorEnvironment): Record<string, string> =>
  Object.fromEntries(
    (Object.keys(EXECUTOR_VARIABLES) as (keyof ExecutorEnvironment)[]).map((key) => [
      EXECUTOR_VARIABLES[key],
      values[key],
    ]),
  );

/** Reads the variables. @throws RangeError that names the first one missing */
export function readExecutorEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): ExecutorEnvironment {
  const entries = Object.entries(EXECUTOR_VARIABLES).map(([key, name]) => {
    const value = environment[name];
    if (value === undefined || value === '') throw new RangeError(`${name} is not set: only an agent starts executors`);
    return [key, value] as const;
  });
  return Object.fromEntries(entries) as unknown as ExecutorEnvironment;
}

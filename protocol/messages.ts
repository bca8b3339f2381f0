/** Which messages each subject carries, with their schemas: the one table behind checks, types and docs. */
import { agentMessages, masterToAgentMessages } from './agent-api.js';
import { executorCalls, executorEvents } from './executor-api.js';
import { leaderBroadcasts, masterCalls, probeMessages } from './master-api.js';
import { agentOperatorAnswers, agentOperatorCalls, operatorAnswers, operatorCalls } from './operator-api.js';
import { schedulerCalls, schedulerEvents } from './scheduler-api.js';
import { check, type Check, type Static, type TSchema } from './schema.js';
import type { SubjectName } from './subjects.js';

export const MESSAGES = {
  masterScheduler: schedulerCalls,
  scheduler: schedulerEvents,
  masterAgent: agentMessages,
  agentMaster: masterToAgentMessages,
  agentExecutor: executorCalls,
  executor: executorEvents,
  masterOperator: operatorCalls,
  agentOperator: agentOperatorCalls,
  masterMaster: masterCalls,
  leader: leaderBroadcasts,
} as const satisfies Record<SubjectName, Record<string, TSchema>>;

/** The answers to requests, by the subject that the request came on. */
export const ANSWERS = {
  masterOperator: operatorAnswers,
  agentOperator: agentOperatorAnswers,
  probe: probeMessages,
} as const;

export type MessageType<N extends SubjectName> = keyof (typeof MESSAGES)[N] & string;
export type MessageBody<N extends SubjectName, T extends MessageType<N>> = (typeof MESSAGES)[N][T] extends TSchema
  ? Static<(typeof MESSAGES)[N][T]>
  : never;

const checks = new Map<TSchema, Check>();

/** The compiled check of one message's body, or `undefined` where the table has no such message. Rule: PRO-1. */
export function bodyCheck(row: SubjectName | 'probe' | 'answer', type: string): Check | undefined {
  const table: Readonly<Record<string, TSchema>> = tableOf(row);
  const schema = Object.hasOwn(table, type) ? table[type] : undefined;
  if (schema === undefined) return undefined;
  let compiled = checks.get(schema);
  if (compiled === undefined) checks.set(schema, (compiled = check(schema)));
  return compiled;
}

function tableOf(row: SubjectName | 'probe' | 'answer'): Readonly<Record<string, TSchema>> {
  if (row === 'probe') return ANSWERS.probe;
  if (row === 'answer') return { ...ANSWERS.masterOperator, ...ANSWERS.agentOperator };
  return MESSAGES[row];
}

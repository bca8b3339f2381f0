/** The table of error codes: each code is a search term, with its sentence and whether trying again can help. */
import { Type, type Static, Text } from './schema.js';

/** Every error that crosses the bus or reaches a person. Docs: `docs/protocol/errors.md`. */
export const ERRORS = {
  INVALID_MESSAGE: { sentence: 'The message does not fit its schema.', retryable: false },
  NOT_LEADING: { sentence: 'This master does not lead.', retryable: true },
  STALE_EPOCH: { sentence: 'A newer leader has been seen.', retryable: true },
  STALE_SESSION: { sentence: 'Another instance has subscribed under this id since.', retryable: false },
  UNKNOWN_FRAMEWORK: { sentence: 'No framework has this id.', retryable: false },
  FRAMEWORK_REMOVED: { sentence: 'The framework has been removed; its id is never used again.', retryable: false },
  WRONG_PRINCIPAL: { sentence: 'The id belongs to another principal.', retryable: false },
  INVALID_FRAMEWORK: { sentence: 'The FrameworkInfo is not acceptable.', retryable: false },
  INVALID_AGENT: { sentence: 'The AgentInfo is not acceptable.', retryable: false },
  UNKNOWN_AGENT: { sentence: 'No agent has this id.', retryable: false },
  UNKNOWN_TASK: { sentence: 'No task has this id.', retryable: false },
  TASK_ENDED: { sentence: 'The task has ended.', retryable: false },
  AMBIGUOUS_TASK: { sentence: 'More than one framework has a task of this id; name the framework.', retryable: false },
  UNKNOWN_EXECUTOR: { sentence: 'This agent runs no such executor.', retryable: false },
  UNKNOWN_PATH: { sentence: 'No such file in a sandbox of this agent.', retryable: false },
  REGISTRY_UNAVAILABLE: { sentence: 'The registry does not answer.', retryable: true },
  UNSUPPORTED: { sentence: 'This is not supported yet.', retryable: false },
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** The body of an ERROR: Mesos v1 `Event.Error` with our code beside its message. */
export const ErrorBody = Type.Object({
  error: Type.Object({
    code: Type.Enum(Object.keys(ERRORS) as ErrorCode[]),
    message: Text(),
  }),
});
export type ErrorBody = Static<typeof ErrorBody>;

/** An ERROR's body: the code's sentence, then what this case adds. */
export function errorBody(code: ErrorCode, detail?: string): ErrorBody {
  const { sentence } = ERRORS[code];
  return { error: { code, message: (detail === undefined ? sentence : `${sentence} ${detail}`).slice(0, 4096) } };
}

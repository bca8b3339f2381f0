/** An executor for end-to-end tests: each task runs until its scheduler says which one is to finish. */
import { runExecutor, update, type Executor } from '../../runtime/sdk.js';
import { processLog } from '../../runtime/log.js';

interface State {
  readonly running: Set<string>;
}

/** The pid is told, so that a test can see which process runs a task. */
const message = `pid ${process.pid}`;

const executor: Executor<State> = {
  onLaunch: ({ running }, { taskId }) => {
    running.add(taskId);
    return [update(taskId, 'TASK_RUNNING', { message })];
  },
  onKill: ({ running }, taskId) => (running.delete(taskId) ? [update(taskId, 'TASK_KILLED', { message })] : []),
  /** The name of a task that is to finish; what is said is told back. */
  onMessage: ({ running }, data) => {
    const taskId = new TextDecoder().decode(data);
    const finished = running.delete(taskId) ? [update(taskId, 'TASK_FINISHED', { message })] : [];
    return [{ type: 'MESSAGE', data }, ...finished];
  },
  onShutdown: ({ running }) => {
    const killed = [...running].map((taskId) => update(taskId, 'TASK_KILLED', { message }));
    running.clear();
    return killed;
  },
};

const running = await runExecutor({ executor, state: { running: new Set() }, log: processLog('executor') });
process.on('SIGTERM', () => running.stop());
await running.ended;

/**
 * LCH-4: what is told as over does not run and never will; what is told as DROPPED never ran.
 * EXE-3: FINISHED is told of an exit with 0 alone, FAILED of none such.
 */
import type { CommandExecutorEvent } from '../../../actors/framework/command-executor.js';
import { isTerminal } from '../../../protocol/task-state.js';
import type { TaskStatus } from '../../../protocol/task.js';
import type { ContainerEnd } from '../../../runtime/ports.js';
import type { Checker, Scene } from './checker.js';

export function truth(scene: Scene): Checker {
  /** Launch of a task id, once its agent has heard of it. */
  const launchOf = new Map<string, string>();
  const taskOf = new Map<string, string>();
  const over = new Map<string, string>();
  const started = new Set<string>();
  const counted = new Map<string, number>();

  /** How its process ended; `undefined` while it runs or when there was none. */
  const endOf = (launchId: string): ContainerEnd | undefined => {
    for (const { processes } of scene.cluster.machines.values()) {
      const end = processes.ends.get(launchId);
      if (end !== undefined) return end;
    }
    return undefined;
  };
  const noteStarts = (): void => {
    for (const [name, { processes }] of scene.cluster.machines) {
      for (let i = counted.get(name) ?? 0; i < processes.starts.length; i++) started.add(processes.starts[i] as string);
      counted.set(name, processes.starts.length);
    }
  };
  const wrongOf = ({ taskId, state }: TaskStatus, launchId: string | undefined): string | undefined => {
    if (launchId === undefined) return undefined;
    noteStarts();
    const end = endOf(launchId);
    if (started.has(launchId) && end === undefined) return `${taskId} is told as ${state} while it runs`;
    if (state === 'TASK_DROPPED' && started.has(launchId)) return `${taskId} is told as DROPPED and ran`;
    if (state === 'TASK_FINISHED' && end?.exitCode !== 0) return `${taskId} is told as FINISHED and did not end with 0`;
    return undefined;
  };
  return {
    rules: ['LCH-4', 'EXE-3'],
    onTold: (_node, _own, status) => {
      if (!isTerminal(status.state)) return;
      over.set(status.taskId, status.state);
      const wrong = wrongOf(status, status.launchId ?? launchOf.get(status.taskId));
      if (wrong !== undefined) scene.fail(status.state === 'TASK_FINISHED' ? 'EXE-3' : 'LCH-4', wrong);
    },
    onEffect: (node, _host, effect) => {
      if (effect.type === 'tell') {
        const event = effect.event as CommandExecutorEvent;
        if (event.type !== 'agent.LAUNCH') return;
        launchOf.set(event.task.taskId, event.launchId);
        taskOf.set(event.launchId, event.task.taskId);
      } else if (effect.type === 'launchContainer') {
        const taskId = taskOf.get(effect.spec.containerId) ?? '';
        const end = over.get(taskId);
        if (end !== undefined) scene.fail('LCH-4', `${node.name} starts ${taskId}, which was told as ${end}`);
      }
    },
  };
}

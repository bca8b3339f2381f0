/**
 * LCH-4: what is told as over does not run and never will; what is told as DROPPED never ran.
 * EXE-3: FINISHED is told of an exit with 0 alone, an exit as it was, and one that nobody knows of a container alone that was lost.
 */
import type { CommandExecutorEvent } from '../../../actors/framework/command-executor.js';
import { registryKey } from '../../../protocol/registry.js';
import { isTerminal } from '../../../protocol/task-state.js';
import type { TaskStatus } from '../../../protocol/task.js';
import type { ContainerEnd } from '../../../runtime/ports.js';
import { isRecordLost, type Checker, type Scene } from './checker.js';

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
  const isExitLost = (launchId: string): boolean =>
    [...scene.cluster.machines.values()].some(({ processes }) => processes.isRecordLost(launchId));
  const noteStarts = (): void => {
    for (const [name, { processes }] of scene.cluster.machines) {
      for (let i = counted.get(name) ?? 0; i < processes.starts.length; i++) started.add(processes.starts[i] as string);
      counted.set(name, processes.starts.length);
    }
  };
  const wrongOf = (status: TaskStatus, launchId: string | undefined): readonly [string, string] | undefined => {
    if (launchId === undefined) return undefined;
    noteStarts();
    const { taskId, state } = status;
    const end = endOf(launchId);
    const ran = started.has(launchId);
    if (ran && end === undefined) return ['LCH-4', `${taskId} is told as ${state} while it runs`];
    if (isRecordLost(scene, launchId)) return undefined;
    if (state === 'TASK_DROPPED' && ran) return ['LCH-4', `${taskId} is told as DROPPED and ran`];
    if (state === 'TASK_FINISHED' && end?.exitCode !== 0)
      return ['EXE-3', `${taskId} is told as FINISHED and did not end with 0`];
    return end !== undefined && ran ? wrongExit(status, end, launchId) : undefined;
  };
  /** What a machine that was restarted has no record of any more, nobody knows either. */
  const wrongExit = (
    status: TaskStatus,
    end: ContainerEnd,
    launchId: string,
  ): readonly [string, string] | undefined => {
    const { taskId, state, exitCode, exitSignal } = status;
    // The master's own word says no more than that it is over.
    if (status.uuid === undefined) return undefined;
    const said = exitCode ?? exitSignal;
    const was = end.exitCode ?? end.exitSignal;
    if (said !== undefined && said !== was)
      return ['EXE-3', `${taskId} is told to have ended with ${said}, not ${was}`];
    if (said !== undefined || was === undefined) return undefined;
    if (isExitLost(launchId)) return undefined;
    // A remembered end is its state alone; whoever asks for it again has been told all of it before.
    if (scene.wentBack.has(registryKey('task', launchId)) && over.get(taskId) === state) return undefined;
    return ['EXE-3', `${taskId} is told as ${state}, and that it ended with ${was} is lost`];
  };
  return {
    rules: ['LCH-4', 'EXE-3'],
    onTold: (_node, _own, status) => {
      if (!isTerminal(status.state)) return;
      const wrong = wrongOf(status, status.launchId ?? launchOf.get(status.taskId));
      over.set(status.taskId, status.state);
      if (wrong !== undefined) scene.fail(...wrong);
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
        if (end !== undefined && !isRecordLost(scene, effect.spec.containerId))
          scene.fail('LCH-4', `${node.name} starts ${taskId}, which was told as ${end}`);
      }
    },
  };
}

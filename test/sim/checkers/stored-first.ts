/**
 * REG-3: what names a row of the registry is published only when the registry has it; the acknowledgement of a terminal update
 * only when it no longer has the launch.
 */
import type { Publish } from '../../../actors/effect.js';
import { hex } from '../../../protocol/ids.js';
import { registryKey } from '../../../protocol/registry.js';
import { isTerminal } from '../../../protocol/task-state.js';
import type { TaskStatus } from '../../../protocol/task.js';
import type { Checker, Scene } from './checker.js';

export function storedFirst(scene: Scene): Checker {
  const { registry } = scene;
  /** Updates that end a launch. */
  const terminal = new Set<string>();
  /** Lives of masters that were there when the registry went back. */
  const actedBefore = new Set<string>();
  const wrongOf = ({ message, body }: Publish): string | undefined => {
    const named = body as { agentId: string; frameworkId: string; launchId: string; uuid: Uint8Array };
    const has = (kind: 'agent' | 'framework' | 'task', id: string): boolean => registry.has(registryKey(kind, id));
    switch (message) {
      case 'RUN_TASK':
        return has('task', named.launchId) ? undefined : named.launchId;
      case 'REGISTERED':
        return has('agent', named.agentId) ? undefined : named.agentId;
      case 'REREGISTERED': {
        const { launches } = body as { launches: { launchId: string }[] };
        const missing = launches.find(({ launchId }) => !has('task', launchId))?.launchId;
        return has('agent', named.agentId) ? missing : named.agentId;
      }
      case 'SUBSCRIBED': {
        const { frameworkId } = (body as { subscribed: { frameworkId: string } }).subscribed;
        return has('framework', frameworkId) ? undefined : frameworkId;
      }
      case 'SHUTDOWN_FRAMEWORK': {
        const record = registry.get(registryKey('framework', named.frameworkId)) as { removed?: boolean } | undefined;
        return record === undefined || record.removed === true ? undefined : named.frameworkId;
      }
      case 'STATUS_UPDATE_ACKNOWLEDGEMENT':
        return terminal.has(hex(named.uuid)) && has('task', named.launchId) ? named.launchId : undefined;
      case 'UPDATE': {
        const { agentId = '', source, reason } = (body as { update: { status: TaskStatus } }).update.status;
        if (source !== 'SOURCE_MASTER' || reason !== 'REASON_AGENT_REMOVED') return undefined;
        const record = registry.get(registryKey('agent', agentId)) as { unreachableAtMs?: number } | undefined;
        return record?.unreachableAtMs === undefined ? agentId : undefined;
      }
      default:
        return undefined;
    }
  };
  return {
    rules: ['REG-3'],
    onWentBack: () => {
      for (const { name, lives } of scene.cluster.masters) actedBefore.add(`${name}#${lives}`);
    },
    onEffect: (node, host, effect) => {
      if (effect.type !== 'publish') return;
      if (host === 'agent' && effect.message === 'STATUS_UPDATE') {
        const { status } = effect.body as { status: TaskStatus };
        if (status.uuid !== undefined && isTerminal(status.state)) terminal.add(hex(status.uuid));
        return;
      }
      if (host !== 'master') return;
      // What a deposed leader says that has not heard of it, is stale: receivers drop it.
      if (effect.epoch !== (registry.get('epoch') as { epoch: number } | undefined)?.epoch) return;
      const wrong = wrongOf(effect);
      // Until its watch says that the registry has gone back, a leader goes by what was stored.
      if (wrong !== undefined && scene.wentBack.size > 0 && actedBefore.has(`${node.name}#${node.lives}`)) return;
      if (wrong !== undefined)
        scene.fail('REG-3', `${node.name} publishes ${effect.message} ahead of the registry: ${wrong}`);
    },
  };
}

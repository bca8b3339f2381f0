/** KIL-1: a kill is passed on when it is stored, and what is stored to be killed comes to its end though nobody asks again. */
import type { TaskRecord } from '../../../protocol/registry.js';
import { registryKey } from '../../../protocol/registry.js';
import { isAgentGone, type Checker, type Scene } from './checker.js';

export function kills(scene: Scene): Checker {
  const { registry } = scene;
  return {
    rules: ['KIL-1'],
    onEffect: (node, host, effect) => {
      if (host !== 'master' || effect.type !== 'publish' || effect.message !== 'KILL_TASK') return;
      // What a deposed leader says is dropped, and who has not heard that the registry went back goes by what was stored.
      if (effect.epoch !== (registry.get('epoch') as { epoch: number } | undefined)?.epoch) return;
      const { launchId = '' } = effect.body as { launchId?: string };
      const key = registryKey('task', launchId);
      const record = registry.get(key) as TaskRecord | undefined;
      if (record?.kill === undefined && scene.wentBack.size === 0)
        scene.fail('KIL-1', `${node.name} passes on a kill of ${launchId} that is not stored`);
    },
    onStuck: () => {
      for (const [key, value] of registry) {
        if (!key.startsWith('task.')) continue;
        const { kill, agentId } = value as TaskRecord;
        if (kill !== undefined && !isAgentGone(scene, agentId))
          scene.fail('KIL-1', `${key} is to be killed, and does not come to its end`);
      }
    },
  };
}

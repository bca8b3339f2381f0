/** The sandbox of a task that the master has forgotten: agents keep it longer than masters remember. Rule: CLI-6. */
import { escapeToken, unescapeToken } from '../protocol/ids.js';
import { RequestFailed, type OperatorClient } from '../runtime/client.js';
import type { SandboxPlace } from './sandbox.js';

interface Found extends SandboxPlace {
  readonly mtime: number;
}

/** The newest launch of this task on any agent that answers; `undefined` when there is none. */
export async function findSandbox(
  client: OperatorClient,
  taskId: string,
  frameworkId?: string,
): Promise<SandboxPlace | undefined> {
  const { agents } = await client.askAll('GET_AGENTS');
  const active = agents.filter((agent) => agent.active).map(({ principal }) => principal);
  const found = (await Promise.all(active.map((agent) => onAgent(client, agent, taskId, frameworkId)))).flat();
  return found.sort((a, b) => b.mtime - a.mtime)[0];
}

async function onAgent(
  client: OperatorClient,
  agent: string,
  taskId: string,
  frameworkId: string | undefined,
): Promise<Found[]> {
  const list = async (path: string): Promise<{ name: string; mtime: number }[]> => {
    try {
      const { fileInfos } = (await client.askAgent(agent, 'LIST_FILES', { listFiles: { path } })).listFiles;
      return fileInfos.map(({ path: own, mtime }) => ({
        name: own.slice(own.lastIndexOf('/') + 1),
        mtime: mtime?.nanoseconds ?? 0,
      }));
    } catch (error) {
      if (error instanceof RequestFailed) return [];
      throw error;
    }
  };
  const all = async (): Promise<string[]> => (await list('frameworks')).map(({ name }) => name);
  const frameworks = frameworkId === undefined ? await all() : [escapeToken(frameworkId)];
  const found: Found[] = [];
  for (const framework of frameworks) {
    for (const { name, mtime } of await list(`frameworks/${framework}/executors/${escapeToken(taskId)}/runs`)) {
      const [own, launchId] = [unescapeToken(framework), unescapeToken(name)];
      if (own !== undefined && launchId !== undefined) found.push({ agent, frameworkId: own, taskId, launchId, mtime });
    }
  }
  return found;
}

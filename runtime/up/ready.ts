/** Waits until a cluster works, as its operator sees it: somebody leads, and all agents are there. Rule: UP-1. */
import { readFileSync } from 'node:fs';
import type { AgentView } from '../../protocol/operator-api.js';
import { RequestFailed, type OperatorClient } from '../client.js';

/** The cluster did not become ready. The message says what is missing, and where to look. */
export class NotReadyError extends Error {
  override readonly name = 'NotReadyError';
}

export interface ReadyCluster {
  readonly leader: string;
  readonly epoch: number;
  /** Those that were waited for. */
  readonly agents: readonly AgentView[];
}

export interface Expectation {
  /** Principals of the agents to wait for. */
  readonly agents: readonly string[];
  readonly timeoutMs: number;
  /** Asked between two looks; throws to end the wait. */
  readonly check: () => void;
}

const POLL_MS = 25;
const ASK_MS = 1_000;

export async function untilReady(
  client: OperatorClient,
  { agents, timeoutMs, check }: Expectation,
): Promise<ReadyCluster> {
  const deadline = performance.now() + timeoutMs;
  let missing = 'No master leads';
  for (;;) {
    check();
    const leader = await client.leader(ASK_MS);
    if (leader !== undefined) {
      const known = await client.askAll('GET_AGENTS', {}, ASK_MS).catch((error: unknown) => {
        if (error instanceof RequestFailed && error.retryable) return undefined;
        throw error;
      });
      const active = (known?.agents ?? []).filter((agent) => agent.active && agents.includes(agent.principal));
      if (active.length === agents.length) return { leader: leader.name, epoch: leader.epoch, agents: active };
      const there = active.map(({ principal }) => principal);
      missing = `${leader.name} leads, but not all agents have registered: ${agents.filter((name) => !there.includes(name)).join(', ')} missing`;
    }
    if (performance.now() > deadline) throw new NotReadyError(`${missing} after ${timeoutMs / 1_000} s.`);
    await new Promise((fulfil) => setTimeout(fulfil, POLL_MS));
  }
}

const TAIL_LINES = 5;

/** The last lines of a log, for an error. */
export function logTail(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  } catch {
    return '';
  }
}

/** LNK-1: as sent, the messages of one life in one session are numbered 1, 2, 3 …; outside sessions they have 0. */
import type { Checker, Scene } from './checker.js';

export function sequences(scene: Scene): Checker {
  const sent = new Map<string, number>();
  return {
    rules: ['LNK-1'],
    onMessage: ({ node, subject, envelope: { session, sequence } }) => {
      const key = `${node.name}#${node.lives} ${session}`;
      const expected = session === '0' ? 0 : (sent.get(key) ?? 0) + 1;
      if (session !== '0') sent.set(key, sequence);
      if (sequence !== expected) scene.fail('LNK-1', `${node.name} numbers ${subject} ${sequence}, not ${expected}`);
    },
  };
}

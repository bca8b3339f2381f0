/** The same as for masters, for the two actors of an agent: what it runs outlives it, and what it has not started it may start once. */
import test from 'ava';
import { MortalCluster } from '../support/mortal-cluster.js';

for (const host of ['agent', 'commandExecutor'])
  test(`FLT-8 LCH-1 UPD-1 an agent that dies between any two effects of its ${host} loses no task and starts nothing twice`, async (t) => {
    const cluster = new MortalCluster();
    t.teardown(() => cluster.remove());
    await cluster.up('--masters', '1', '--agents', '3');
    await cluster.walk(t, host, 3);
  });

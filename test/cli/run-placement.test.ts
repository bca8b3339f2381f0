import test from 'ava';
import type { AgentView } from '../../protocol/operator-api.js';
import { Resources } from '../../protocol/resources.js';
import { freeNow, neverPlaceable } from '../../cli/run-placement.js';

const agent = (principal: string, total: string, used = ''): AgentView => ({
  agentInfo: { hostname: 'h', id: `S-${principal}` },
  principal,
  active: true,
  state: 'REGISTERED',
  version: '1',
  totalResources: Resources.parse(total).toArray(),
  allocatedResources: Resources.parse(used).allocate('*').toArray(),
  offeredResources: [],
  tasks: 0,
});

const wanted = (given: { cpus?: number; mem?: number; disk?: number; ports?: number }) => ({
  cpus: 0,
  mem: 0,
  disk: 0,
  ports: 0,
  ...given,
});
const POOL = [agent('a1', 'cpus:2;mem:1024;ports:[1-3]', 'cpus:2'), agent('a2', 'cpus:0.5;mem:8192')];

test('RUN-5 what fits on an idle agent is not refused, however busy it is', (t) => {
  t.is(neverPlaceable(wanted({ cpus: 2 }), POOL), undefined);
  t.is(neverPlaceable(wanted({ cpus: 64 }), []), undefined);
});

test('RUN-5 what no agent has is refused with the numbers', (t) => {
  t.is(neverPlaceable(wanted({ cpus: 64 }), POOL), 'No agent has 64 cpus in total: the most is 2 cpus, on a1.');
  t.is(
    neverPlaceable(wanted({ mem: 10_000 }), POOL),
    'No agent has 9.8G of memory in total: the most is 8.0G of memory, on a2.',
  );
  t.is(neverPlaceable(wanted({ ports: 4 }), POOL), 'No agent has 4 ports in total: the most is 3 ports, on a1.');
});

test('RUN-5 what no agent has at once is refused with what each has', (t) => {
  t.is(
    neverPlaceable(wanted({ cpus: 1, mem: 2048 }), POOL),
    'No agent has 1 cpu and 2.0G of memory in total at once: a1 has 2cpu 1.0G :1-3, a2 has 0.5cpu 8.0G.',
  );
});

test('RUN-5 those who wait are told what is free', (t) => {
  t.is(freeNow(POOL), 'free now: a1 1.0G, a2 0.5cpu 8.0G');
  t.is(freeNow([]), 'no agent is registered');
});

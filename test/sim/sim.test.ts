import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { NO_FAULTS } from '../../runtime/sim/fault-plan.js';
import { CHECKERS } from './checkers/index.js';
import { BUGS } from './mutations/bugs.js';
import { drawOptions, simulate, type Options } from './simulate.js';

const SEEDS_PER_TEST = 20;
const RULES =
  'SIM-13 LNK-1 EPO-1 EPO-2 REG-1 REG-3 ALC-1 ALC-4 LCH-1 LCH-4 UPD-1 UPD-5 TSK-1 EXE-3 KIL-2 AGS-2 AGS-3 AGS-5 EPO-4 EPO-5 AGT-8 ' +
  'FRW-4 DLN-1 AGT-7 LNK-6 KIL-1 AGS-1 AGS-4 AGS-6 AGS-8';

/** What seeds of one kind must have done in all, or they show nothing. */
const DONE = [
  'elections',
  'tasks done',
  'retries',
  'signals',
  'end of master',
  'end of agent',
  'end of scheduler',
  'messages into the void',
  'told TASK_FINISHED',
  'told TASK_FAILED',
  'told TASK_KILLED',
  'told TASK_KILLING',
  'told TASK_DROPPED',
  'told TASK_GONE',
  'told TASK_UNREACHABLE',
  'fault: lost',
  'fault: repeated',
  'fault: cut',
  'fault: disconnect',
  'fault: pause',
  'fault: storage cut',
  'fault: storage halt',
  'fault: nonsense',
  'fault: lie',
  'fault: sleep',
  'fault: clock jump',
  'fault: watch lag',
  'fault: registry back',
  'fault: storage late',
  'fault: storage mute',
  'fault: storage refuse',
  'fault: restart of machine',
  'fault: removal of machine',
  'fault: wrapper that was lost',
  'fault: full disk',
  'fault: crash of master',
  'fault: crash of agent',
  'fault: crash of scheduler',
  'fault: stop of master',
  'fault: stop of agent',
  'fault: stop of scheduler',
];

const total = new Map<string, number>();

for (let from = 1; from <= 200; from += SEEDS_PER_TEST) {
  test.serial(`${RULES}: seeds from ${from} on`, (t) => {
    t.timeout(120_000);
    for (let seed = from; seed < from + SEEDS_PER_TEST; seed++) {
      const { failure, counts } = simulate(seed);
      t.is(failure, undefined, `npm run sim -- --seed ${seed}`);
      for (const [what, count] of Object.entries(counts)) total.set(what, (total.get(what) ?? 0) + count);
    }
  });
}

test.serial('SIM-13 SIM-16: the runs did something', (t) => {
  t.deepEqual(
    DONE.filter((what) => (total.get(what) ?? 0) < 5),
    [],
  );
});

/**
 * Seeds that broke a rule before what they show was mended. What a seed draws changes with each new kind of fault: then its story
 * goes on as a planted bug, and what is pinned here is found anew.
 */
const REGRESSIONS = [
  { seed: 98, rule: 'AGT-8', what: 'a task that ends while the registry goes back is not told as gone before its end' },
  { seed: 114, rule: 'AGT-8', what: 'nor is one whose agent has RUNNING still to tell' },
  { seed: 10, rule: 'EPO-1', what: 'a standby that asks the leader to make way does not speak under its epoch' },
  { seed: 75, rule: 'OFR-5', what: 'who revives while it asks to be subscribed as suppressed gets offers again' },
] as const;

for (const { seed, rule, what } of REGRESSIONS)
  test(`SIM-13 ${rule}: ${what}`, (t) => {
    t.timeout(60_000);
    t.is(simulate(seed).failure, undefined);
  });

test('SIM-12: the same seed gives the same trace, with and without a reader; others differ', (t) => {
  t.timeout(60_000);
  const hashes = [1, 2, 3, 4].map((seed) => {
    const [one, two] = [simulate(seed), simulate(seed, { trace: 10 })];
    t.is(one.hash, two.hash);
    t.deepEqual(one.counts, two.counts);
    t.is(two.lines.length, 10);
    return one.hash;
  });
  t.is(new Set(hashes).size, hashes.length);
});

test('SIM-13: options come from the seed alone, and differ', (t) => {
  t.deepEqual(drawOptions(7), drawOptions(7));
  t.notDeepEqual(drawOptions(7), drawOptions(8));
  const sizes = new Set(Array.from({ length: 60 }, (_, seed) => drawOptions(seed).cluster.masters));
  t.deepEqual([...sizes].sort(), [1, 2, 3]);
});

/** The smallest cluster, with one task. */
function smallest(): Options {
  const { cluster, workloads } = drawOptions(1);
  const [workload] = workloads;
  const task = {
    key: 't',
    afterMs: 0,
    cpus: 0.1,
    mem: 32,
    environment: { SIM_RUN_MS: '100' },
    killAfterMs: undefined,
    killGraceMs: undefined,
    maxCompletionMs: undefined,
    ballast: 0,
  };
  return {
    cluster: { ...cluster, masters: 1, agents: ['cpus:1;mem:512'], schedulers: 1, faults: NO_FAULTS },
    workloads: [{ ...workload!, tasks: [task], tearDownAfterMs: undefined }],
  };
}

test('SIM-13 SIM-14: without faults one task on one agent finishes, and nothing is left of it', (t) => {
  const { failure, counts } = simulate(1, { options: smallest() });
  t.is(failure, undefined);
  t.like(counts, { elections: 1, processes: 1, signals: 0, 'told TASK_RUNNING': 1, 'told TASK_FINISHED': 1 });
});

test('SIM-13 LNK-5: calls of several parts do not break their session', (t) => {
  const { cluster, workloads } = smallest();
  const [workload] = workloads;
  const tasks = Array.from({ length: 40 }, (_, i) => ({ ...workload!.tasks[0]!, key: `t${i}`, ballast: 20_000 }));
  const agents = ['cpus:8;mem:4096'];
  const { failure, counts } = simulate(1, {
    options: { cluster: { ...cluster, agents }, workloads: [{ ...workload!, tasks, perOffer: 100 }] },
  });
  t.is(failure, undefined);
  t.like(counts, { 'start of scheduler': 1, processes: 40, retries: 0 });
});

test('SIM-14: the simulator has no host, codec, machine or check of its own', (t) => {
  const folder = fileURLToPath(new URL('../../runtime/sim/', import.meta.url));
  const used = new Set<string>();
  // The compiled files: what is left of imports there is used, not only named as a type.
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.js'))) {
    const text = readFileSync(`${folder}${file}`, 'utf8');
    for (const [, from] of text.matchAll(/from '([^']+)'/g)) used.add(from as string);
    t.notRegex(text, /class \w*(Host|Inbound|Outbound|Executor|Registrar|Codec)\b/, file);
    t.notRegex(text, /\b(createActor|setup|createMachine|Packr|Unpackr)\(|\.actor\.send\(/, file);
  }
  t.true(used.has('../compose.js'));
  for (const own of [
    'xstate',
    'msgpackr',
    'typebox',
    '../actor-host.js',
    '../effect-executor.js',
    '../inbound.js',
    '../outbound.js',
    '../registrar.js',
  ])
    // prettier-ignore
    t.false(used.has(own), own);
});

test('SIM-15: every rule that is checked has a planted bug', (t) => {
  const scene = { cluster: {}, workloads: new Map(), registry: new Map(), fail: () => undefined } as never;
  const checked = new Set(CHECKERS.flatMap((newChecker) => newChecker(scene).rules));
  const planted = new Set<string>(BUGS.map(({ rule }) => rule));
  t.deepEqual(
    [...checked].filter((rule) => !planted.has(rule)),
    [],
  );
});

/** The contract of `Processes`. */
import type { ExecutionContext, TestFn } from 'ava';
import type { ContainerEnd, Files, Processes } from '../../runtime/ports.js';
import type { Behaviour, Write } from './behaviour.js';
import { called, contract, text, type Harness, type Make } from './harness.js';

export interface ProcessesHarness extends Harness {
  readonly processes: Processes;
  /** Of the same agent: the sandboxes of its containers are read through it. */
  readonly files: Files;
  readonly write: Write;
  /** The port of a later life of the same agent, whose process died at once; the containers live on. */
  restart(): Promise<Processes>;
}

type Rule = (title: string, body: (t: ExecutionContext, h: ProcessesHarness) => Promise<void>) => void;

/** One container, as its owner hears of it. */
interface Run {
  readonly containerId: string;
  readonly sandbox: string;
  readonly pids: number[];
  readonly ends: ContainerEnd[];
  /** What came in which order. */
  readonly order: ('started' | 'ended')[];
}

/** Registers the suite. */
export function processesSuite(make: Make<ProcessesHarness>, register?: TestFn): void {
  const rule = contract(make, register);
  ends(rule);
  signals(rule);
  trees(rule);
  adoptions(rule);
}

const newRun = (id: string): Run => ({
  containerId: id,
  sandbox: `frameworks/f=2E1/runs/${id}`,
  pids: [],
  ends: [],
  order: [],
});

function launch(
  h: ProcessesHarness,
  id: string,
  behaviour: Behaviour,
  environment?: Readonly<Record<string, string>>,
  processes = h.processes,
): Run {
  const run = newRun(id);
  processes.launch(
    { containerId: id, sandbox: run.sandbox, ...h.write(behaviour, environment) },
    (pid) => {
      run.pids.push(pid);
      run.order.push('started');
    },
    (end) => {
      run.ends.push(end);
      run.order.push('ended');
    },
  );
  return run;
}

/** Launches and waits until it runs. */
async function started(h: ProcessesHarness, id: string, behaviour: Behaviour): Promise<Run> {
  const run = launch(h, id, behaviour);
  await h.settle(() => run.pids.length > 0);
  return run;
}

/** An end without the fields that are not set. */
const plain = (end: ContainerEnd | undefined): Record<string, unknown> =>
  Object.fromEntries(Object.entries(end ?? {}).filter(([, value]) => value !== undefined));

async function fileText(h: ProcessesHarness, path: string): Promise<string | undefined> {
  const part = await called<{ data: Uint8Array } | undefined>(h, (onRead) => h.files.read(path, 0, 65_536, onRead));
  return text(part?.data);
}

function ends(rule: Rule): void {
  rule('POR-18: a container starts once, then ends once with its exit code, never synchronously', async (t, h) => {
    for (const exitCode of [0, 1, 42, 255]) {
      const run = launch(h, `exit-${exitCode}`, { exitCode });
      t.deepEqual(run.order, []);
      await h.settle(() => run.ends.length > 0);
      await h.settle(50);
      t.deepEqual(run.order, ['started', 'ended']);
      t.true((run.pids[0] as number) > 0);
      t.deepEqual(plain(run.ends[0]), { exitCode });
    }
  });

  rule('POR-18: containers run side by side, each with its own end', async (t, h) => {
    const runs = Array.from({ length: 8 }, (_, i) => launch(h, `side-${i}`, { runMs: 400, exitCode: i }));
    let most = 0;
    await h.settle(() => {
      most = Math.max(most, runs.filter(({ pids, ends }) => pids.length > ends.length).length);
      return runs.every(({ ends: { length } }) => length > 0);
    });
    t.true(most > 1);
    t.is(new Set(runs.flatMap(({ pids }) => pids)).size, 8);
    for (const [i, run] of runs.entries()) t.deepEqual(plain(run.ends[0]), { exitCode: i });
  });

  rule('POR-19: a container that cannot be started ends with a message and has not started', async (t, h) => {
    const run = launch(h, 'missing', { missingProgram: true });
    t.deepEqual(run.order, []);
    await h.settle(() => run.ends.length > 0);
    await h.settle(50);
    t.deepEqual(run.order, ['ended']);
    const { launchError, ...rest } = plain(run.ends[0]);
    t.true(typeof launchError === 'string' && launchError !== '');
    t.deepEqual(rest, {});
  });

  rule('POR-22: what it writes is in its sandbox, and its environment is the one given', async (t, h) => {
    const value = `a "b" 'c' $HOME \\ ü ; exit 9`;
    const run = launch(h, 'prints', { print: `it's "here"`, printVariable: 'GREETING' }, { GREETING: value });
    await h.settle(() => run.ends.length > 0);
    t.deepEqual(plain(run.ends[0]), { exitCode: 0 });
    t.is(await fileText(h, `${run.sandbox}/stdout`), `it's "here"\n${value}\n`);
    process.env.TEPUI_TEST_OF_AGENT = 'leaked';
    const bare = launch(h, 'bare', { printVariable: 'TEPUI_TEST_OF_AGENT' });
    await h.settle(() => bare.ends.length > 0);
    delete process.env.TEPUI_TEST_OF_AGENT;
    t.is(await fileText(h, `${bare.sandbox}/stdout`), '\n');
  });
}

function signals(rule: Rule): void {
  rule('POR-20: SIGTERM and SIGKILL end a container, which says so', async (t, h) => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const run = await started(h, `dies-${signal}`, { runMs: 'never' });
      h.processes.signal(run.containerId, signal);
      t.deepEqual(run.ends, []);
      await h.settle(() => run.ends.length > 0);
      t.deepEqual(plain(run.ends[0]), { exitSignal: signal });
    }
  });

  rule('POR-20: who ignores SIGTERM goes on until SIGKILL', async (t, h) => {
    const run = await started(h, 'stubborn', { runMs: 'never', ignoreTerm: true, print: 'ready' });
    for (let ready = false; !ready; await h.settle(20))
      ready = (await fileText(h, `${run.sandbox}/stdout`))?.includes('ready') === true;
    h.processes.signal(run.containerId, 'SIGTERM');
    await h.settle(200);
    t.deepEqual(run.ends, []);
    h.processes.signal(run.containerId, 'SIGKILL');
    await h.settle(() => run.ends.length > 0);
    t.deepEqual(plain(run.ends[0]), { exitSignal: 'SIGKILL' });
  });

  rule('POR-20: a signal to an unknown or an ended container is no error', async (t, h) => {
    const run = launch(h, 'ended', {});
    await h.settle(() => run.ends.length > 0);
    for (const id of ['ended', 'unknown', ''])
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) t.notThrows(() => h.processes.signal(id, signal));
    await h.settle(50);
    t.deepEqual(run.order, ['started', 'ended']);
  });

  rule('POR-20: a SIGKILL that comes while it starts is not lost', async (t, h) => {
    const run = launch(h, 'young', { runMs: 'never' });
    h.processes.signal(run.containerId, 'SIGKILL');
    await h.settle(() => run.ends.length > 0);
    await h.settle(50);
    t.is(run.ends.length, 1);
    t.is(plain(run.ends[0]).exitCode, undefined);
    t.is(run.order.at(-1), 'ended');
  });
}

function trees(rule: Rule): void {
  /** Waits until the child shows that it lives, then says how to see that it no longer does. */
  async function beating(h: ProcessesHarness, run: Run): Promise<() => Promise<boolean>> {
    const beats = async (): Promise<number> => (await fileText(h, `${run.sandbox}/beat`))?.length ?? 0;
    while ((await beats()) < 3) await h.settle(20);
    return async () => {
      await h.settle(100);
      const before = await beats();
      await h.settle(300);
      return (await beats()) > before;
    };
  }

  for (const child of ['plain', 'ownSession'] as const) {
    rule(`POR-21: SIGKILL takes the whole tree (child: ${child})`, async (t, h) => {
      const run = await started(h, `tree-${child}`, { runMs: 'never', ignoreTerm: true, child });
      const lives = await beating(h, run);
      t.true(await lives());
      h.processes.signal(run.containerId, 'SIGTERM');
      t.true(await lives());
      h.processes.signal(run.containerId, 'SIGKILL');
      await h.settle(() => run.ends.length > 0);
      t.false(await lives());
    });

    rule(`POR-21: the end of a container takes its whole tree (child: ${child})`, async (t, h) => {
      const run = await started(h, `orphan-${child}`, { runMs: 700, exitCode: 3, child });
      const lives = await beating(h, run);
      await h.settle(() => run.ends.length > 0);
      t.deepEqual(plain(run.ends[0]), { exitCode: 3 });
      t.false(await lives());
    });
  }
}

/** Containers that outlive their agent. */
function adoptions(rule: Rule): void {
  /** Adopts the containers of these ids, and says what it is told of each. */
  function adopt(h: ProcessesHarness, processes: Processes, ids: readonly string[]): Map<string, Run> {
    const runs = new Map(ids.map((id) => [id, newRun(id)]));
    const of = (id: string): Run => runs.get(id) as Run;
    processes.adopt(
      ids.map((id) => ({ containerId: id, sandbox: of(id).sandbox, ...h.write({}) })),
      (id, pid) => {
        of(id).pids.push(pid);
        of(id).order.push('started');
      },
      (id, end) => {
        of(id).ends.push(end);
        of(id).order.push('ended');
      },
    );
    return runs;
  }

  rule(
    'POR-26: a container outlives its agent; a later life is told its pid, may signal it, and hears its end',
    async (t, h) => {
      const before = await started(h, 'lasting', { runMs: 'never' });
      const processes = await h.restart();
      const run = adopt(h, processes, ['lasting']).get('lasting') as Run;
      t.deepEqual(run.order, []);
      await h.settle(() => run.pids.length > 0);
      t.deepEqual(run.pids, before.pids);
      await h.settle(100);
      t.deepEqual([run.ends, before.ends], [[], []]);
      processes.signal('lasting', 'SIGTERM');
      await h.settle(() => run.ends.length > 0);
      await h.settle(50);
      t.deepEqual(run.order, ['started', 'ended']);
      t.deepEqual(plain(run.ends[0]), { exitSignal: 'SIGTERM' });
      t.deepEqual(before.ends, []);
    },
  );

  rule('POR-26: an end while no agent is there is told to the next life, as it was', async (t, h) => {
    const before = await started(h, 'short', { runMs: 300, exitCode: 7 });
    const processes = await h.restart();
    await h.settle(600);
    const run = adopt(h, processes, ['short']).get('short') as Run;
    await h.settle(() => run.ends.length > 0);
    t.deepEqual(run.order, ['started', 'ended']);
    t.deepEqual(run.pids, before.pids);
    t.deepEqual(plain(run.ends[0]), { exitCode: 7 });
  });

  rule('POR-26: an end that was told is told again by a later life, until it is forgotten', async (t, h) => {
    const [told, forgotten] = [launch(h, 'told', { exitCode: 3 }), launch(h, 'forgotten', {})];
    await h.settle(() => told.ends.length > 0 && forgotten.ends.length > 0);
    h.processes.forget('forgotten');
    h.processes.forget('unknown');
    await h.settle(50);
    const processes = await h.restart();
    const run = adopt(h, processes, ['told']).get('told') as Run;
    await h.settle(() => run.ends.length > 0);
    t.deepEqual(plain(run.ends[0]), { exitCode: 3 });
    await h.settle(50);
    t.deepEqual(run.order, ['started', 'ended']);
  });

  rule('POR-27: one that was not launched is neverStarted, and may be launched then', async (t, h) => {
    const processes = await h.restart();
    const run = adopt(h, processes, ['unborn']).get('unborn') as Run;
    t.deepEqual(run.order, []);
    await h.settle(() => run.ends.length > 0);
    await h.settle(100);
    t.deepEqual(run.order, ['ended']);
    t.deepEqual(plain(run.ends[0]), { neverStarted: true });
    const again = launch(h, 'unborn', { exitCode: 5 }, {}, processes);
    await h.settle(() => again.ends.length > 0);
    t.deepEqual(again.order, ['started', 'ended']);
    t.deepEqual(plain(again.ends[0]), { exitCode: 5 });
  });

  rule('POR-27: whenever the agent dies during a launch, the next life runs it once in all', async (t, h) => {
    let processes = h.processes;
    for (const [i, afterMs] of [0, 1, 2, 3, 5, 8, 12].entries()) {
      const id = `cut-${i}`;
      launch(h, id, { runMs: 'never', print: 'once' }, {}, processes);
      await h.settle(afterMs);
      processes = await h.restart();
      const run = adopt(h, processes, [id]).get(id) as Run;
      await h.settle(() => run.order.length > 0);
      let last = run;
      if (run.ends.length > 0) {
        t.deepEqual(plain(run.ends[0]), { neverStarted: true });
        last = launch(h, id, { runMs: 'never', print: 'once' }, {}, processes);
        await h.settle(() => last.pids.length > 0);
      }
      for (let text = ''; !text.includes('once'); await h.settle(20))
        text = (await fileText(h, `${run.sandbox}/stdout`)) ?? '';
      processes.signal(id, 'SIGKILL');
      await h.settle(() => last.ends.length > 0);
      t.is(await fileText(h, `${run.sandbox}/stdout`), 'once\n', id);
    }
  });

  rule('POR-28: what is not adopted is ended, its whole tree', async (t, h) => {
    const run = await started(h, 'unwanted', { runMs: 'never', ignoreTerm: true, child: 'ownSession' });
    const beats = async (): Promise<number> => (await fileText(h, `${run.sandbox}/beat`))?.length ?? 0;
    while ((await beats()) < 3) await h.settle(20);
    const processes = await h.restart();
    adopt(h, processes, []);
    for (let before = -1; before !== (await beats()); await h.settle(200)) before = await beats();
    await h.settle(300);
    const before = await beats();
    await h.settle(300);
    t.is(await beats(), before);
    t.deepEqual(run.ends, []);
  });
}

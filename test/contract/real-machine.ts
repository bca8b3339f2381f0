/** A machine with one agent, whose lives follow each other in this process: one that lets go of everything stands for one that died. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { ContainerSpec } from '../../actors/effect.js';
import {
  endRecorded,
  nodeProcesses,
  type NodeProcesses,
  type NodeProcessesSettings,
} from '../../runtime/node/node-processes.js';
import type { ContainerEnd } from '../../runtime/ports.js';
import { memoryLog, type MemoryLog } from './real-nats.js';

export const PATH = '/usr/local/bin:/usr/bin:/bin';

type Settings = Partial<NodeProcessesSettings>;

export interface Machine {
  readonly folder: string;
  readonly sandboxes: string;
  readonly run: string;
  readonly log: MemoryLog;
  /** Of the life that there is. */
  processes: NodeProcesses;
  /** The agent dies; the next life adopts these. */
  restart(ids: readonly string[], settings?: Settings): ReadonlyMap<string, Run>;
}

/** A container, as its owner hears of it. */
export interface Run {
  readonly sandbox: string;
  pid?: number;
  end?: ContainerEnd;
  /** How often each was told. */
  told: { started: number; ended: number };
}

/** Its first life has not adopted anything yet. */
export function makeMachine(t: ExecutionContext, settings: Settings = {}): Machine {
  const folder = mkdtempSync(join(tmpdir(), 'tepui-machine-'));
  // The user of the tasks passes through it.
  chmodSync(folder, 0o711);
  const [sandboxFolder, runtimeFolder, log] = [join(folder, 'sandboxes'), join(folder, 'run'), memoryLog()];
  const common = { sandboxFolder, runtimeFolder, log };
  const machine: Machine = {
    folder,
    sandboxes: sandboxFolder,
    run: runtimeFolder,
    log,
    processes: nodeProcesses({ ...common, ...settings }),
    restart(ids, changed = {}) {
      machine.processes.detach();
      machine.processes = nodeProcesses({ ...common, ...settings, ...changed });
      const runs = new Map(ids.map((id) => [id, newRun(machine, id)]));
      machine.processes.adopt(
        ids.map((id) => specOf(id, 'exit 99')),
        (id, pid) => started(runs.get(id) as Run, pid),
        (id, end) => ended(runs.get(id) as Run, end),
      );
      return runs;
    },
  };
  t.teardown(async () => {
    machine.processes.detach();
    await endRecorded({ runtimeFolder: settings.runtimeFolder ?? runtimeFolder, log, isolator: settings.isolator });
    rmSync(folder, { recursive: true, force: true });
  });
  return machine;
}

export const stopAll = (processes: NodeProcesses, graceMs: number): Promise<void> =>
  new Promise((fulfil) => processes.stopAll(graceMs, fulfil));

export const specOf = (id: string, script: string, more: Partial<ContainerSpec> = {}): ContainerSpec => ({
  containerId: id,
  sandbox: `f/${id}`,
  argv: ['/bin/sh', '-c', script],
  environment: { PATH },
  ...more,
});

export function launch(machine: Machine, id: string, script: string, more: Partial<ContainerSpec> = {}): Run {
  const run = newRun(machine, id);
  machine.processes.launch(
    specOf(id, script, more),
    (pid) => started(run, pid),
    (end) => ended(run, end),
  );
  return run;
}

const newRun = ({ sandboxes }: Machine, id: string): Run => ({
  sandbox: join(sandboxes, 'f', id),
  told: { started: 0, ended: 0 },
});

function started(run: Run, pid: number): void {
  run.pid = pid;
  run.told.started += 1;
}

function ended(run: Run, end: ContainerEnd): void {
  run.end = end;
  run.told.ended += 1;
}

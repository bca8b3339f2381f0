/** Tasks that mean harm: they lie about their end, reach for what is not theirs, will not go, eat memory and disk. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openIsolator } from '../../runtime/node/cgroups.js';
import { clusterLayout, credentialsFile, workFolder } from '../../runtime/up/layout.js';
import { silentLog } from '../../runtime/log.js';
import { readState } from '../../runtime/up/state.js';
import { CliFolder, killNow, lines, until } from '../support/cli.js';
import { startFaultCluster, type FaultCluster } from '../support/fault-cluster.js';
import { KILLERS, startTap } from '../support/tap.js';
import { living, processesOf } from '../support/task-processes.js';
import { toldOf } from '../support/updates.js';

const ONE = ['--masters', '1', '--agents', '1'];
const isRoot = process.getuid?.() === 0;

/** Says why a test is left out, and whether it is. */
function leftOut(t: ExecutionContext, unless: boolean, why: string): boolean {
  if (unless) return false;
  t.log(`left out: ${why}`);
  t.pass();
  return true;
}

const agentFolder = ({ folder }: Pick<FaultCluster, 'folder'>): string => workFolder(clusterLayout(folder.dir), 'a1');

test.serial('FLT-13 PRC-7 a task that forges its record and kills its wrapper ends as it does', async (t) => {
  if (leftOut(t, isRoot, 'only an agent run as root has tasks of another user')) return;
  const cluster = await startFaultCluster(t, ...ONE);
  const records = join(agentFolder(cluster), 'run');
  const forge = `for f in ${records}/*/* ${records}/forged; do echo "ended 0" >"$f"; rm -f "$f"; ln -sf /dev/null "$f"; done`;
  const secrets = `/proc/$PPID/environ ${credentialsFile(clusterLayout(cluster.folder.dir), 'admin')}`;
  const script = `${forge}; kill -9 $PPID; cat ${secrets}; exit 9`;
  const { status, stdout } = await cluster.folder.run('run', '--name', 'forger', script);
  t.is(status, 9);
  t.is(stdout, '');
  t.deepEqual(toldOf(cluster.tap, 'forger-'), ['TASK_RUNNING', 'TASK_FAILED']);
});

test.serial(
  'FLT-13 AGT-5 PRC-2 links in a sandbox lead nowhere: what they point to is neither shown, nor written, nor removed',
  async (t) => {
    const cluster = await startFaultCluster(t, ...ONE);
    const { folder } = cluster;
    const secret = join(folder.folder, 'secret');
    writeFileSync(secret, 'intact\n', { mode: 0o644 });
    const script = `rm stdout stderr; ln -s ${secret} stdout; ln ${secret} stderr || ln -s ${secret} stderr; ln -s ${folder.folder} away; exit 4`;
    const { status, stdout, stderr } = await folder.run('run', '--json', '--name', 'linker', script);
    t.is(status, 4, stderr);
    const id = /"id":"(linker-[^"]+)"/.exec(stdout)?.[1] ?? '';
    for (const more of [[], ['--stderr']]) t.notRegex((await folder.run('logs', ...more, id)).stdout, /intact/);
    t.notRegex(stdout, /intact/);
    t.is((await folder.run('down')).status, 0);
    t.is(execFileSync('cat', [secret], { encoding: 'utf8' }), 'intact\n');
  },
);

test.serial('FLT-13 EXE-1 PRC-3 a task inherits nothing of its agent: files, environment, signals, mask', async (t) => {
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  const folder = new CliFolder();
  t.teardown(() => folder.remove());
  await folder.up(...ONE);
  process.umask(before);
  const script = `umask; grep -E '^Sig(Blk|Ign)' /proc/self/status; env | cut -d= -f1 | tr '\\n' ' '; echo
    for f in /proc/$$/fd/*; do readlink $f; done; :`;
  const out = lines(await folder.out('run', '--name', 'naked', script));
  t.is(out[0], '0022');
  t.deepEqual(
    out.slice(1, 3).map((line) => Number.parseInt(line.split('\t')[1] ?? '', 16)),
    [0, 0],
  );
  const files = out.slice(4);
  t.true(files.length >= 3);
  t.deepEqual(
    files.filter((file) => !/^\/dev\/null$|\/runs\/[^/]+\/std(out|err)$/.test(file)),
    [],
  );
  const names = new Set(out[3]?.trim().split(' '));
  const foreign = [...names].filter(
    (name) =>
      !/^(PATH|PWD|OLDPWD|SHLVL|_|TEPUI_(CONTAINER_ID|SANDBOX|FRAMEWORK_ID|TASK_ID|AGENT_ID|RUN_INDEX|RUN_COUNT))$/.test(
        name,
      ),
  );
  t.deepEqual(foreign, []);
});

const DEAF = `trap "" TERM; (setsid sh -c 'trap "" TERM; (setsid sh -c "trap \\"\\" TERM; echo ready; while :; do sleep 1; done") & while :; do sleep 1; done') &`;

for (const [what, end] of [
  ['is killed', 'while :; do sleep 1; done'],
  ['ends by itself', 'while [ ! -e GO ]; do sleep 0.05; done; exit 3'],
] as const)
  test.serial(
    `FLT-13 PRC-5 a task that forks twice into sessions of its own and ignores SIGTERM ${what}: nothing of it is left`,
    async (t) => {
      const { folder, tap } = await startFaultCluster(t, ...ONE, '--set', 'killGraceMs=300');
      const go = join(folder.temporary, 'go');
      const run = folder.start(['run', '--name', 'deaf', `${DEAF} ${end.replace('GO', go)}`]);
      await run.until(/ready/);
      const all = processesOf(folder, 'deaf-');
      t.true(all.length >= 4);
      if (what === 'is killed') {
        const { tasks } = await folder.json<{ tasks: { id: string }[] }>('ps');
        await folder.run('kill', tasks[0]?.id ?? '');
      } else writeFileSync(go, '');
      t.is((await run.ended).status, what === 'is killed' ? 137 : 3);
      t.deepEqual(living(all), []);
      t.deepEqual(living(processesOf(folder, 'deaf-')), []);
      t.deepEqual(toldOf(tap, 'deaf-').at(-1), what === 'is killed' ? 'TASK_KILLED' : 'TASK_FAILED');
    },
  );

test.serial(
  'FLT-13 CGR-7 EXE-6 a task that passes its limit of memory has FAILED for that, with what it used; its neighbour runs on',
  async (t) => {
    const cluster = await startFaultCluster(t, ...ONE);
    const { folder, tap } = cluster;
    const isolator = openIsolator({ agent: 'trial', runtimeFolder: folder.temporary, log: silentLog });
    const isLimited =
      isolator !== undefined &&
      (existsSync('/sys/fs/cgroup/memory') || existsSync('/sys/fs/cgroup/cgroup.controllers'));
    isolator?.close();
    if (leftOut(t, isLimited, 'there are no control groups here that may be used')) return;
    const go = join(folder.temporary, 'go');
    const neighbour = folder.start(['run', '--name', 'neighbour', `while [ ! -e ${go} ]; do sleep 0.05; done; exit 7`]);
    await until('a neighbour', () => toldOf(tap, 'neighbour-').includes('TASK_RUNNING'));
    // `tail` keeps all that it reads until a line ends.
    const { status, stdout } = await folder.run(
      'run',
      '--json',
      '--name',
      'eater',
      '--mem',
      '32',
      '--',
      'tail',
      '/dev/zero',
    );
    t.is(status, 137, stdout);
    t.regex(
      stdout,
      /"event":"ended".*"state":"TASK_FAILED".*"reason":"REASON_CONTAINER_LIMITATION_MEMORY","message":"Memory limit of 32 MiB exceeded; highest use \d+\.\d MiB"/,
    );
    writeFileSync(go, '');
    t.is((await neighbour.ended).status, 7);
    t.deepEqual(tap.of(...KILLERS), []);
  },
);

test.serial(
  'FLT-13 STO-2 PRC-7 a task that fills the disk of its agent at its end: the end is told as it was, once there is room',
  async (t) => {
    if (leftOut(t, isRoot, 'only root can mount a small disk')) return;
    const folder = new CliFolder();
    t.teardown(() => folder.remove());
    const disk = agentFolder({ folder });
    mkdirSync(disk, { recursive: true, mode: 0o711 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m,mode=711', 'tepui-test', disk]);
    try {
      await folder.up(...ONE);
      const tap = await startTap(folder);
      const pidOf = () => readState(clusterLayout(folder.dir).stateFile)?.agents[0]?.pid;
      const starts = join(folder.temporary, 'starts');
      const full = join(folder.temporary, 'full');
      const script = `echo start >>${starts}; head -c 100000000 /dev/zero >filler; head -c 100000000 /dev/zero >filler2; ls -d filler >${full}; exit 7`;
      const run = folder.start(['run', '--name', 'filler', script]);
      await until('a full disk', () => existsSync(full));
      await until('the end of the task', () => living(processesOf(folder, 'filler-')).length === 0);
      // It cannot store the end now, and ends itself; or it had a little room left.
      const before = pidOf();
      await until('what its agent makes of it', () => pidOf() !== before || toldOf(tap, 'filler-').length > 1);
      t.log(pidOf() === before ? 'its agent had room for the end' : 'its agent had no room for the end');
      for (const found of execFileSync('find', [disk, '-name', 'filler*'], { encoding: 'utf8' }).split('\n'))
        if (found.includes('filler')) rmSync(found, { recursive: true, force: true });
      t.is((await run.ended).status, 7);
      t.deepEqual(lines(execFileSync('cat', [starts], { encoding: 'utf8' })), ['start']);
      t.deepEqual(toldOf(tap, 'filler-'), ['TASK_RUNNING', 'TASK_FAILED']);
      t.is(await folder.out('run', '--', 'echo', 'on'), 'on\n');
      t.deepEqual(tap.of(...KILLERS), []);
      t.is((await folder.run('down')).status, 0);
    } finally {
      execFileSync('umount', ['-l', disk]);
    }
  },
);

const TOPS = ['unified', 'memory', 'cpu', 'pids', 'freezer', '.'].map((name) => join('/sys/fs/cgroup', name, 'tepui'));

for (const [how, isKilled] of [
  ['that has ended', false],
  ['whose supervisor and agent were killed', true],
] as const)
  test.serial(`FLT-13 CGR-3 CGR-8 no group is left of a cluster ${how}`, async (t) => {
    const { folder, tap, state, pidOf } = await startFaultCluster(t, ...ONE);
    const { dev, ino } = statSync(join(agentFolder({ folder }), 'run'));
    const groups = (): string[] =>
      TOPS.map((top) => join(top, `a1-${dev.toString(36)}-${ino.toString(36)}`)).filter((group) => existsSync(group));
    if (leftOut(t, groups().length > 0, 'there are no control groups here that may be used')) return;
    await folder.out('run', '--', 'true');
    const run = folder.start(['run', '--name', 'left', 'setsid sleep 300 & sleep 300']);
    await until('a task', () => toldOf(tap, 'left-').includes('TASK_RUNNING'));
    if (isKilled) for (const pid of [state().supervisor.pid, pidOf('a1')]) killNow(pid);
    t.is((await folder.run('down')).status, 0);
    run.signal('SIGKILL');
    await run.ended;
    t.deepEqual(groups(), []);
  });

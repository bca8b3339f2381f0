import { mkdtemp, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { closeOutputs, prepareSandbox } from '../../runtime/node/container-start.js';

async function place(t: ExecutionContext) {
  const dir = await mkdtemp(join(tmpdir(), 'tepui-credentials-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const from = join(dir, 'login.json');
  await writeFile(from, '{"url":"nats://x"}', { mode: 0o600 });
  const spec = {
    ...{ containerId: 'c', sandbox: 's', argv: ['/bin/sh'], environment: {} },
    credentials: { from, as: 'credentials.json' },
  };
  const sandbox = join(dir, 's');
  return { dir, sandbox, prepare: () => prepareSandbox(spec, sandbox, userInfo().username) };
}

test('EXC-1: the sandbox gets a copy of the credentials that its user alone can read', async (t) => {
  const { sandbox, prepare } = await place(t);
  closeOutputs(prepare());
  const copy = join(sandbox, 'credentials.json');
  t.is(await readFile(copy, 'utf8'), '{"url":"nats://x"}');
  t.is((await stat(copy)).mode & 0o777, 0o600);
});

test('EXC-1: a link that an earlier container left in their place is not followed', async (t) => {
  const { dir, sandbox, prepare } = await place(t);
  const victim = join(dir, 'victim');
  await writeFile(victim, 'mine');
  await mkdir(sandbox);
  await symlink(victim, join(sandbox, 'credentials.json'));
  t.throws(prepare, { code: 'ELOOP' });
  t.is(await readFile(victim, 'utf8'), 'mine');
});

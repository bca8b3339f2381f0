import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { placeOf } from '../../cli/connection.js';
import { CliError, explain } from '../../cli/errors.js';
import { RequestFailed } from '../../runtime/client.js';
import { writeState } from '../../runtime/up/state.js';

const folder = mkdtempSync(join(tmpdir(), 'tepui-place-'));
const file = join(folder, 'me.json');
const dir = join(folder, 'pool');
mkdirSync(join(dir, 'credentials'), { recursive: true });
writeFileSync(file, JSON.stringify({ url: 'nats://file', user: 'me', password: 'p' }));
writeFileSync(join(dir, 'credentials', 'tap.json'), JSON.stringify({ url: 'nats://dir', user: 'tap', password: 'p' }));
const process_ = { pid: 1, startTime: 1 };
writeState(join(dir, 'cluster.json'), {
  nats: { url: 'nats://dir', version: '2.15.1', servers: [] },
  masters: [],
  agents: [],
  dir,
  cluster: 'pool',
  supervisor: process_,
  bootId: '',
});
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
test.beforeEach(() => delete process.env['NATS_URL']);

test.serial('CLI-1 a credentials file says where and who; --nats leads elsewhere with the same login', async (t) => {
  t.like(await placeOf({ credentials: file }, 'tap'), {
    principal: 'me',
    cluster: 'tepui',
    credentials: { url: 'nats://file' },
  });
  t.like(await placeOf({ credentials: file, nats: 'nats://other', cluster: 'x' }, 'tap'), {
    principal: 'me',
    cluster: 'x',
    credentials: { url: 'nats://other', user: 'me' },
  });
});

test.serial('CLI-1 --nats comes before --dir, --dir before $NATS_URL', async (t) => {
  process.env['NATS_URL'] = 'nats://env';
  t.like(await placeOf({ nats: 'nats://arg', dir }, 'tap'), { principal: 'tap', credentials: { url: 'nats://arg' } });
  t.like(await placeOf({ dir }, 'tap'), { principal: 'tap', cluster: 'pool', credentials: { url: 'nats://dir' } });
  t.like(await placeOf({}, 'tap'), { principal: 'tap', cluster: 'tepui', credentials: { url: 'nats://env' } });
});

test.serial('CLI-2 where there is no cluster, it is said how to start one', async (t) => {
  const error = await t.throwsAsync(placeOf({ dir: join(folder, 'none') }, 'tap'), { instanceOf: CliError });
  t.regex(explain(error), /^No cluster in .*none\.\nStart one: tepui up --dir .*none$/);
});

test('CLI-2 errors that are foreseen are told without a stack, others with it', (t) => {
  t.is(explain(new CliError('It is so.', 'Do this')), 'It is so.\nDo this');
  t.is(explain(new RequestFailed('UNKNOWN_TASK', 'No task has this id.')), 'No task has this id.');
  t.regex(explain(new RequestFailed('NO_ANSWER', 'Silence.')), /tepui status/);
  t.regex(explain(new TypeError('ours')), /TypeError: ours\n {4}at /);
});

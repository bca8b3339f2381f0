import test from 'ava';
import { commandOf, nameOf, runRequest, type RunOptions } from '../../cli/run-options.js';

const OPTIONS: RunOptions = { count: 1, cpus: 0.1, mem: 32, disk: 0, ports: 0, maxAttempts: 4 };

test('RUN-7 several words are a program and its arguments, the first of which is its name', (t) => {
  t.like(commandOf(['echo', 'a b', '$HOME']), { shell: false, value: 'echo', arguments: ['echo', 'a b', '$HOME'] });
});

test('RUN-7 one word with spaces or operators goes to the shell, one without does not', (t) => {
  t.like(commandOf(['sleep 1; echo done']), { shell: true, value: 'sleep 1; echo done' });
  t.like(commandOf(['a&&b']), { shell: true });
  t.like(commandOf(['./work.sh']), { shell: false, value: './work.sh', arguments: ['./work.sh'] });
});

test('RUN-7 variables are split at the first equals sign', (t) => {
  t.deepEqual(commandOf(['x'], ['A=1', 'B=a=b', 'C=']).environment?.variables, [
    { name: 'A', value: '1' },
    { name: 'B', value: 'a=b' },
    { name: 'C', value: '' },
  ]);
  t.throws(() => commandOf(['x'], ['A']), { message: /no name or no value/ });
  t.throws(() => commandOf(['x'], ['=1']), { message: /no name or no value/ });
});

test('RUN-7 a task is named after its program', (t) => {
  t.is(nameOf(['/usr/bin/sort', '-u']), 'sort');
  t.is(nameOf(['sleep 1; echo done']), 'sleep');
  t.is(nameOf(['./-x']), 'x');
  t.is(nameOf(['']), 'run');
  t.is(nameOf(['((']), 'run');
});

test('RUN-7 what cannot be meant is an error with status 125', (t) => {
  t.is(t.throws(() => runRequest(OPTIONS, [], 'x'))?.name, 'CliError');
  const error = t.throws(() => runRequest({ ...OPTIONS, cpus: 0, mem: 0 }, ['true'], 'x'));
  t.like(error, { status: 125, message: 'A task must ask for something.' });
  t.is(runRequest({ ...OPTIONS, cpus: 0, mem: 1 }, ['true'], 'x').mem, 1);
});

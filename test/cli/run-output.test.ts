import test from 'ava';
import fc from 'fast-check';
import type { OperatorClient } from '../../runtime/client.js';
import { RequestFailed } from '../../runtime/client.js';
import { PrefixedLines } from '../../cli/prefix-lines.js';
import { OutputPump } from '../../cli/run-output.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** An agent whose files are texts, in pieces of at most `most` bytes. */
function agentOf(files: Map<string, string>, most = 5): { client: OperatorClient; asked: string[] } {
  const asked: string[] = [];
  const askAgent = (agent: string, _type: string, { readFile }: { readFile: { path: string; offset: number } }) => {
    asked.push(`${agent} ${readFile.path}`);
    const name = readFile.path.split('/').slice(-2).join('/');
    const text = files.get(name);
    if (text === undefined) return Promise.reject(new RequestFailed('UNKNOWN_PATH', 'none'));
    const data = bytes(text).slice(readFile.offset, readFile.offset + most);
    return Promise.resolve({ readFile: { size: bytes(text).length, data } });
  };
  return { client: { askAgent } as unknown as OperatorClient, asked };
}

const place = (n: number) => ({ agent: 'a1', frameworkId: 'f', taskId: `t${n}`, launchId: `L${n}` });

test('RUN-4 all that a task wrote is read, what it wrote after the last look too', async (t) => {
  const files = new Map([['L1/stdout', 'hello ']]);
  const { client } = agentOf(files);
  let seen = '';
  const ends: string[] = [];
  const pump = new OutputPump(client, {
    data: (_task, stream, data) => void (stream === 'stdout' && (seen += new TextDecoder().decode(data))),
    ended: (_task, stream) => void ends.push(stream),
    failed: () => t.fail(),
  });
  pump.add('k', 0, place(1));
  await new Promise((fulfil) => setTimeout(fulfil, 250));
  t.is(seen, 'hello ');
  files.set('L1/stdout', 'hello and the last words');
  pump.end('k');
  await pump.drained();
  t.is(seen, 'hello and the last words');
  t.deepEqual(ends, ['stdout', 'stderr']);
  pump.close();
});

test('RUN-4 many tasks are read to their ends, each once', async (t) => {
  const files = new Map(Array.from({ length: 200 }, (_, i) => [`L${i}/stdout`, `line of ${i}\n`]));
  const { client } = agentOf(files, 1_000);
  const seen = new Map<number, string>();
  const pump = new OutputPump(client, {
    data: (task, _stream, data) => void seen.set(task, (seen.get(task) ?? '') + new TextDecoder().decode(data)),
    ended: () => undefined,
    failed: () => t.fail(),
  });
  for (let i = 0; i < 200; i++) {
    pump.add(`k${i}`, i, place(i));
    pump.end(`k${i}`);
  }
  await pump.drained();
  t.is(seen.size, 200);
  for (const [i, text] of seen) t.is(text, `line of ${i}\n`);
});

test('RUN-4 what cannot be read is told, and the run goes on', async (t) => {
  const client = {
    askAgent: () => Promise.reject(new RequestFailed('NO_ANSWER', 'silence')),
  } as unknown as OperatorClient;
  const failures: string[] = [];
  const pump = new OutputPump(client, {
    data: () => t.fail(),
    ended: () => undefined,
    failed: (_task, stream) => void failures.push(stream),
  });
  pump.add('k', 0, place(1));
  pump.end('k');
  await pump.drained();
  t.deepEqual(failures, ['stdout', 'stderr']);
});

test('RUN-4 lines are whole under their prefix, however they come in', (t) => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[ab]{0,5}$/), { maxLength: 20 }), fc.array(fc.nat(7)), (lines, cuts) => {
      const text = lines.join('\n');
      const prefixed = new PrefixedLines('1 | ');
      const out: Buffer[] = [];
      let offset = 0;
      for (const size of [...cuts, text.length]) {
        out.push(prefixed.add(bytes(text.slice(offset, offset + size))));
        offset += size;
      }
      out.push(prefixed.end());
      const expected =
        text === ''
          ? ''
          : text
              .replace(/\n$/, '')
              .split('\n')
              .map((line) => `1 | ${line}\n`)
              .join('');
      return Buffer.concat(out).toString() === expected;
    }),
  );
  t.pass();
});

test('RUN-4 a line without an end is not held back for ever', (t) => {
  const prefixed = new PrefixedLines('1 | ');
  t.true(prefixed.add(new Uint8Array(100_000).fill(97)).length > 100_000);
});

/** Runs a word count on a cluster that is up: `node dist/frameworks/wordcount/main.js --dir .tepui`. */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readCredentials } from 'tepui';
import { runWordCount, type ProgressEvent } from './index.js';

const USAGE = `usage: main.js [--dir .tepui] [--cluster tepui] [--mebibytes 64] [--splits 9]`;
const MEBIBYTE = 1024 * 1024;

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { dir: text, cluster: text, mebibytes: text, splits: text } });
  const dir = resolve(values.dir ?? '.tepui');
  const credentialsOf = (principal: string): string => join(dir, 'credentials', `${principal}.json`);
  let last = '';
  const result = await runWordCount({
    dir,
    credentials: await readCredentials(credentialsOf('wordcount')),
    taskCredentialsPath: credentialsOf('wordcount-tasks'),
    cluster: values.cluster,
    bytes: count('--mebibytes', values.mebibytes, 64) * MEBIBYTE,
    splits: count('--splits', values.splits, 9),
    report: (line) => console.error(line),
    progress: ({ phase, message }: ProgressEvent) => {
      // The text grows too fast to be followed line by line.
      if (phase !== 'generate' && message !== last) console.error(message);
      last = message;
    },
  });
  const seconds = (result.elapsedMs / 1000).toFixed(1);
  console.log(`${result.words} words, ${result.distinct} of them distinct, in ${seconds} s`);
  for (const { word, count: times } of result.top) console.log(`${String(times).padStart(9)} ${word}`);
  console.log(`result: ${result.resultPath}\ncheck:  ${result.checkCommand}`);
}

function count(option: string, given: string | undefined, otherwise: number): number {
  const value = given === undefined ? otherwise : Number(given);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} takes a whole number from 1 on. ${USAGE}`);
  return value;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  // Connections that are still open would keep the process alive.
  process.exit(1);
});

/** The word count: generates a text, has it counted by map tasks on all agents and one reduce task, and fetches the result. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { runScheduler, type Credentials, type Log } from 'tepui';
import { openObjectStore, type ObjectStore } from 'tepui/store';
import { CountMerger, summarize } from './count.js';
import { makeInput, type Split } from './input.js';
import { BUCKET, readObject } from './objects.js';
import { eventsOf, mapTasksOf, newJob, TASK_RESOURCES, wordCountScheduler, type JobState } from './scheduler.js';
import { taskMaker } from './task-maker.js';

export type Phase = 'generate' | 'map' | 'reduce' | 'fetch';

export interface ProgressEvent {
  readonly phase: Phase;
  readonly done: number;
  /** In bytes while the text is generated, then in tasks. */
  readonly total: number;
  readonly message: string;
}

export interface WordCountOptions {
  /** Folder of the cluster; the count's own is `wordcount` in it. */
  readonly dir: string;
  readonly credentials: Credentials;
  /** Credentials file for the tasks, readable where they run. They get its path, as what launches them may be tapped. */
  readonly taskCredentialsPath: string;
  readonly cluster?: string | undefined;
  readonly principal?: string | undefined;
  /** Of text; a little more is generated, as lines are whole. */
  readonly bytes?: number | undefined;
  readonly splits?: number | undefined;
  /** Lines for people. */
  readonly report: (line: string) => void;
  readonly progress?: ((event: ProgressEvent) => void) | undefined;
  readonly log?: Log | undefined;
}

export interface WordCountResult {
  readonly words: number;
  readonly distinct: number;
  readonly top: { readonly word: string; readonly count: number }[];
  readonly bytes: number;
  readonly elapsedMs: number;
  readonly mapTasks: { readonly id: string; readonly agent: string; readonly attempts: number }[];
  /** What did not go smoothly, a sentence each. */
  readonly events: string[];
  readonly resultPath: string;
  readonly inputPaths: string[];
  /** Says whether the system's own tools come to the same result. */
  readonly checkCommand: string;
}

/** The count did not come to a result; the message says why, and what went wrong before. */
export class WordCountError extends Error {
  override readonly name = 'WordCountError';
}

const MEBIBYTE = 1024 * 1024;
const DEFAULT_BYTES = 64 * MEBIBYTE;
const DEFAULT_SPLITS = 9;
const MOST_SPLITS = 1_000;
const TOP_WORDS = 10;
/** Objects of a count that was ended by force are removed by a later one, once they cannot be in use any more. */
const LEFT_OVER_MS = 60 * 60 * 1000;
/** After this without any task it is said what is waited for. */
const IMPATIENT_MS = 10_000;

/** Runs one count to its end. Rejects with {@link WordCountError}, or with what NATS or the disk says. */
export async function runWordCount(options: WordCountOptions): Promise<WordCountResult> {
  const { credentials, cluster, principal = BUCKET, bytes = DEFAULT_BYTES, splits = DEFAULT_SPLITS, log } = options;
  if (!(splits >= 1 && splits <= MOST_SPLITS))
    throw new WordCountError(`Between 1 and ${MOST_SPLITS} splits, not ${splits}.`);
  const startedMs = performance.now();
  const folder = join(resolve(options.dir), 'wordcount');
  // Counts that run at the same time share the bucket.
  const run = randomBytes(4).toString('hex');
  const { store, close } = await openObjectStore({ credentials, principal, bucket: BUCKET, cluster, log });
  let resultObject: string | undefined;
  try {
    await removeObjects(store, ({ mtime }) => Date.now() - Date.parse(mtime) > LEFT_OVER_MS);
    const input = await generate(options, { store, folder, run, bytes, splits });
    const job = await schedule(options, { run, principal, input });
    resultObject = objectOf(run, job.reduce.doneBy ?? '');
    const { path, ...summary } = await fetchResult(options, store, resultObject, folder);
    return {
      ...summary,
      bytes: input.reduce((sum, split) => sum + split.bytes, 0),
      elapsedMs: performance.now() - startedMs,
      mapTasks: mapTasksOf(job),
      events: eventsOf(job),
      resultPath: path,
      inputPaths: input.map((split) => split.path),
      checkCommand: checkCommand(folder, path),
    };
  } finally {
    // The bucket is on the same disk as everything else of NATS. What fails here is left to the next count.
    await removeObjects(store, ({ name }) => name.startsWith(`${run}/`) && name !== resultObject).catch(() => {});
    await close();
  }
}

const objectOf = (run: string, name: string): string => `${run}/${name}`;

/** Megabytes with one decimal, as people read them. */
const megabytes = (bytes: number): string => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;

async function generate(
  { report, progress }: WordCountOptions,
  { run, ...plan }: { store: ObjectStore; folder: string; run: string; bytes: number; splits: number },
): Promise<Split[]> {
  const input = await makeInput({
    ...plan,
    folder: join(plan.folder, 'input'),
    objectOf: (split) => objectOf(run, `split-${split}`),
    onBytes: (done) => {
      const total = Math.max(done, plan.bytes);
      progress?.({ phase: 'generate', done, total, message: `${megabytes(done)} of text` });
    },
  });
  report(
    `generated ${megabytes(input.reduce((sum, split) => sum + split.bytes, 0))} of text in ${input.length} splits`,
  );
  return input;
}

/** Runs the scheduler until all counts are added up. */
async function schedule(
  { credentials, taskCredentialsPath, cluster, log, report, progress }: WordCountOptions,
  { run, principal, input }: { run: string; principal: string; input: readonly Split[] },
): Promise<JobState> {
  const job = newJob(
    input.length,
    taskMaker({
      credentialsPath: resolve(taskCredentialsPath),
      cluster,
      splitObject: (split) => input[split - 1]?.object ?? '',
      outputOf: (taskId) => objectOf(run, taskId),
    }),
  );
  const watcher = watch(report, progress);
  // Root asks for nobody in particular: an agent has a user for such tasks, and few let a task be root.
  const { uid, username } = userInfo();
  const running = await runScheduler({
    credentials,
    principal,
    scheduler: wordCountScheduler(principal, uid === 0 ? '' : username),
    state: job,
    onStep: watcher,
    ...(cluster !== undefined && { cluster }),
    ...(log && { log }),
  });
  const impatience = setTimeout(() => {
    const { cpus, mem } = TASK_RESOURCES;
    if (job.tries.size === 0) report(`still no agent with ${cpus} cpus and ${mem} MiB to spare; waiting for one`);
  }, IMPATIENT_MS);
  const { error } = await running.ended.finally(() => clearTimeout(impatience));
  if (job.phase === 'done') return job;
  const why = job.error ?? error?.message ?? 'the framework was removed before the count was done';
  const before = eventsOf(job).map((event) => `\n  ${event}`);
  throw new WordCountError(
    `The count failed: ${why}.${before.length > 1 ? ` What went wrong:${before.join('')}` : ''}`,
  );
}

/** Tells of each change once. */
function watch(report: WordCountOptions['report'], progress: WordCountOptions['progress']): (job: JobState) => void {
  let last = '';
  let told = 0;
  const tell = (phase: Phase, done: number, total: number, message: string): void => {
    const text = `${phase} ${message}`;
    if (text !== last) progress?.({ phase, done, total, message });
    last = text;
  };
  return (job) => {
    for (; told < job.news.length; told++) report(job.news[told] ?? '');
    if (job.phase === 'map') {
      const { length: total } = job.maps;
      const done = job.maps.filter(({ doneBy }) => doneBy !== undefined).length;
      const live = [...job.tries.values()].filter(({ one }) => one.state === 'live');
      const agents = new Set(live.map(({ one }) => one.agentId)).size;
      tell('map', done, total, `${done} of ${total} splits counted, ${live.length} tasks on ${agents} agents`);
    } else if (job.phase === 'reduce') tell('reduce', 0, 1, 'adding up');
    else if (job.phase === 'done') tell('reduce', 1, 1, 'added up');
  };
}

async function fetchResult({ progress }: WordCountOptions, store: ObjectStore, object: string, folder: string) {
  const path = join(folder, 'result.txt');
  const merger = new CountMerger();
  const chunks: Uint8Array[] = [];
  await readObject(store, object, {
    add: (chunk) => {
      merger.add(chunk);
      chunks.push(chunk);
    },
  });
  await mkdir(folder, { recursive: true });
  await writeFile(path, Buffer.concat(chunks));
  progress?.({ phase: 'fetch', done: 1, total: 1, message: `result in ${path}` });
  return { path, ...summarize(merger.end(), TOP_WORDS) };
}

async function removeObjects(
  store: ObjectStore,
  isOld: (object: { name: string; mtime: string }) => boolean,
): Promise<void> {
  for (const { name, mtime } of await store.list()) if (isOld({ name, mtime })) await store.delete(name);
}

function checkCommand(folder: string, resultPath: string): string {
  const quote = (path: string): string => `'${path.replaceAll("'", `'\\''`)}'`;
  const input = `${quote(join(folder, 'input'))}/*.txt`;
  return `cat ${input} | tr -s '[:space:]' '\\n' | LC_ALL=C sort | LC_ALL=C uniq -c | cmp - ${quote(resultPath)} && echo the same`;
}

/** The first job of a new cluster: the word count that ships with Tepui. Rule: UP-9. */
import { SingleBar } from 'cli-progress';
import { readCredentials } from '../runtime/nats/connection.js';
import { clusterLayout, credentialsFile } from '../runtime/up/layout.js';
import { WORD_COUNT, WORD_COUNT_TASKS } from '../runtime/up/users.js';
import { CliError, STATUS } from './errors.js';
import { note, say } from './output.js';

/** Runs it on the cluster of `dir`. Rejects with a {@link CliError} when it does not come to a result. */
export async function firstJob(dir: string, cluster: string): Promise<number> {
  // Loaded only when wanted: the framework comes in by the package's exports, as a stranger's would.
  const { runWordCount } = await import('../frameworks/wordcount/index.js');
  const layout = clusterLayout(dir);
  note('\nThe first job: a word count over all agents.');
  const progress = new Progress();
  try {
    const result = await runWordCount({
      dir: layout.dir,
      credentials: await readCredentials(credentialsFile(layout, WORD_COUNT)),
      taskCredentialsPath: credentialsFile(layout, WORD_COUNT_TASKS),
      cluster,
      principal: WORD_COUNT,
      report: (line) => progress.say(line),
      progress: ({ phase, done, total, message }) => progress.show(phase, done, total, message),
    });
    progress.end();
    const agents = new Set(result.mapTasks.map(({ agent }) => agent)).size;
    const seconds = (result.elapsedMs / 1_000).toFixed(1);
    const tasks = `${result.mapTasks.length} map tasks on ${agents} agents and one reduce task`;
    say(
      `\n${result.words} words, ${result.distinct} of them distinct, counted by ${tasks} in ${seconds} s. The most frequent:`,
    );
    for (const { word, count } of result.top) say(`${String(count).padStart(9)} ${word}`);
    say(`\nThe result is in ${result.resultPath}\nSee for yourself that it is right:\n  ${result.checkCommand}`);
    return STATUS.done;
  } catch (error) {
    progress.end();
    if (!(error instanceof Error) || error.name !== 'WordCountError') throw error;
    throw new CliError(error.message, 'See what became of its tasks: tepui ps -a');
  }
}

/** A bar on a terminal, elsewhere a line for each step. */
class Progress {
  #bar: SingleBar | undefined;
  #phase = '';
  #last = '';

  show(phase: string, done: number, total: number, message: string): void {
    if (!process.stderr.isTTY) {
      // The text grows too fast to be followed line by line.
      if (phase !== 'generate' && message !== this.#last) note(message);
      this.#last = message;
      return;
    }
    if (phase !== this.#phase) this.#begin(phase, total);
    this.#bar?.setTotal(total);
    this.#bar?.update(done, { message });
  }

  say(line: string): void {
    if (this.#bar !== undefined) process.stderr.write('\r\u001b[K');
    note(line);
  }

  end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #begin(phase: string, total: number): void {
    this.end();
    this.#phase = phase;
    this.#bar = new SingleBar({
      format: `${phase.padEnd(8)} {bar} {message}`,
      stream: process.stderr,
      barsize: 24,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      hideCursor: true,
      forceRedraw: true,
      gracefulExit: false,
    });
    this.#bar.start(total, 0, { message: '' });
  }
}

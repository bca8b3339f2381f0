/** The first job of a new cluster: the word count that ships with Tepui. Rule: UP-9. */
import { readCredentials } from '../runtime/nats/connection.js';
import { clusterLayout, credentialsFile } from '../runtime/up/layout.js';
import { WORD_COUNT, WORD_COUNT_TASKS } from '../runtime/up/users.js';
import { terminalBar, type Bar } from './bar.js';
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
  #bar: Bar | undefined;
  #phase = '';
  #last = '';

  show(phase: string, done: number, total: number, message: string): void {
    if (phase !== this.#phase) {
      this.end();
      this.#bar = terminalBar(`${phase.padEnd(8)} {bar} {message}`, total, { message });
    }
    this.#phase = phase;
    this.#bar?.update(done, { message }, total);
    // The text grows too fast to be followed line by line.
    if (this.#bar === undefined && phase !== 'generate' && message !== this.#last) note(message);
    this.#last = message;
  }

  say(line: string): void {
    this.#bar?.wipe();
    note(line);
  }

  end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

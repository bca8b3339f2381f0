/** Tells which records have changed, and looks at all of them slowly: a wrapper that is killed writes nothing. Rule: PRC-7. */
import { watch, type FSWatcher } from 'node:fs';
import type { Log } from '../ports.js';

const POLL_MS = 250;
/** More are looked at in the next round, so that 2,000 containers take no noticeable part of the time. */
const MOST_PER_POLL = 250;

export interface RecordWatcherSettings {
  readonly folder: string;
  readonly log: Log;
  /** The record of this name may have changed. */
  readonly onChange: (file: string) => void;
  /** Records to look at without a sign. */
  readonly pending: () => Iterable<string>;
}

export class RecordWatcher {
  readonly #settings: RecordWatcherSettings;
  readonly #timer: NodeJS.Timeout;
  #watcher: FSWatcher | undefined;
  #rest: string[] = [];

  constructor(settings: RecordWatcherSettings) {
    this.#settings = settings;
    const { folder, log, onChange } = settings;
    const giveUp = (error: unknown): void => {
      this.#watcher?.close();
      this.#watcher = undefined;
      log.write('warn', 'The folder of records cannot be watched, so starts and ends are seen up to a second later', {
        error: String(error),
      });
    };
    try {
      this.#watcher = watch(folder, { persistent: false }, (_event, file) => file !== null && onChange(file));
      this.#watcher.on('error', giveUp);
    } catch (error) {
      giveUp(error);
    }
    this.#timer = setInterval(() => this.#poll(), POLL_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#watcher?.close();
  }

  #poll(): void {
    if (this.#rest.length === 0) this.#rest = [...this.#settings.pending()];
    for (const file of this.#rest.splice(0, MOST_PER_POLL)) this.#settings.onChange(file);
  }
}

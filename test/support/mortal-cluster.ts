/** One launch after the other, in each of which a process dies right before another effect. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { DiePlan } from '../../runtime/die-at.js';
import type { StatusJson } from '../../cli/json-schemas.js';
import { CliFolder, lines, quickly, until } from './cli.js';
import { testServerBinary } from './nats-server.js';

const TIMINGS = [
  'heartbeatIntervalMs=500',
  'updateRetryMs=500',
  'invitationWaitMs=500',
  'registrationBackoffMaxMs=1000',
];
/** No launch has so many effects: a counter that runs on is a mistake in the story. */
const MOST_POINTS = 40;

/** A cluster whose processes look where they are to die. */
export class MortalCluster {
  readonly #folder = new CliFolder();
  readonly #plan = join(this.#folder.folder, 'die-at.json');

  async up(...args: string[]): Promise<void> {
    await testServerBinary();
    const up = this.#folder.start(['up', '--detach', ...quickly(...TIMINGS), ...args], { TEPUI_DIE_AT: this.#plan });
    const { status, stderr } = await up.ended;
    if (status !== 0) throw new Error(stderr);
  }

  remove(): Promise<void> {
    return this.#folder.remove();
  }

  /** Dies before each effect of `host` in turn, until a launch has no more of them; in at least so many places. */
  async walk(t: ExecutionContext, host: string, least: number): Promise<void> {
    for (const flush of [true, false]) {
      let deaths = 0;
      for (let before = 1; before <= MOST_POINTS; before++) {
        const died = await this.#runThrough(t, { host, before, flush });
        if (!died) break;
        deaths += 1;
        await this.#untilCalm();
      }
      t.log(`${host}: died at ${deaths} places, ${flush ? 'all before it sent' : 'nothing of the step sent'}`);
      t.true(deaths >= least && deaths < MOST_POINTS, `${deaths} deaths`);
    }
  }

  /** Runs one task while `at` waits for it; says whether somebody died. */
  async #runThrough(t: ExecutionContext, at: Omit<DiePlan, 'word'>): Promise<boolean> {
    const name = `point-${at.host}-${at.before}-${at.flush ? 'sent' : 'unsent'}`;
    const starts = join(this.#folder.temporary, name);
    // In one step: processes read it at any time.
    // An executor knows of a container that runs its launch, and of nothing else at this time.
    const word = at.host === 'commandExecutor' ? '' : `${name}-`;
    writeFileSync(`${this.#plan}.new`, JSON.stringify({ ...at, word }));
    renameSync(`${this.#plan}.new`, this.#plan);
    const { status, stdout, stderr } = await this.#folder.run('run', '--name', name, `echo start >>${starts}; exit 7`);
    const died = !existsSync(this.#plan);
    rmSync(this.#plan, { force: true });
    t.is(status, 7, `${name}: ${stdout}${stderr}`);
    t.deepEqual(lines(readFileSync(starts, 'utf8')), ['start'], name);
    return died;
  }

  /** All of them are back, and what was left of the launch is done with. */
  #untilCalm(): Promise<void> {
    return until('a calm cluster', async () => {
      const { status, stdout } = await this.#folder.run('status', '--json');
      if (status !== 0) return false;
      const { masters, agents } = JSON.parse(stdout) as StatusJson;
      return masters.some(({ leading }) => leading) && agents.every(({ id, pid }) => id !== null && pid !== null);
    });
  }
}

/** What `run` shows: for people lines under prefixes, notes and a bar, for programs one JSON line per event. Rules: RUN-4, RUN-8. */
import { TextDecoder } from 'node:util';
import { terminalBar, type Bar } from './bar.js';
import { span } from './format.js';
import { hasColour, note, painter, sayJson, type Colour } from './output.js';
import { PrefixedLines } from './prefix-lines.js';
import { isLostForUs, troubleOf } from './run-end.js';
import type { RunEvent, RunState } from './run-scheduler.js';
import type { Stream } from './sandbox.js';

export interface RunView {
  event(event: RunEvent): void;
  output(task: number, id: string, stream: Stream, data: Uint8Array): void;
  outputEnded(task: number, id: string, stream: Stream): void;
  /** Something worth knowing that is no event of the scheduler. */
  notice(kind: 'waiting' | 'output lost', text: string): void;
  summary(summary: RunSummary): void;
}

export interface RunSummary {
  readonly state: RunState;
  readonly exitStatus: number;
  readonly tookMs: number;
}

const COLOURS: readonly Colour[] = ['cyan', 'green', 'yellow', 'blue', 'magenta'];
/** Tasks that did not end well are named at the end, up to so many. */
const MOST_NAMED = 10;

export class PeopleView implements RunView {
  readonly #count: number;
  readonly #lines = new Map<string, PrefixedLines>();
  readonly #bar: Bar | undefined;
  readonly #paint = painter(hasColour(process.stdout));
  readonly #trouble: { task: number; text: string }[] = [];
  #done = 0;
  #failed = 0;
  #running = 0;

  constructor(count: number) {
    this.#count = count;
    const format = '{bar} {value}/{total} done, {running} running, {failed} failed';
    if (count > 1) this.#bar = terminalBar(format, count, { running: 0, failed: 0 });
  }

  event(event: RunEvent): void {
    switch (event.event) {
      case 'running':
        this.#running += 1;
        break;
      case 'again':
        this.#say(`${event.id} ${troubleOf(event.status) ?? 'is lost'}; launched again, as attempt ${event.attempt}`);
        break;
      case 'unreachable':
        this.#say(`${event.id} is on an agent that does not answer; it is launched again when that lasts`);
        break;
      case 'stopping':
        this.#say(`${event.why}: killing what runs (again: leaving at once)`);
        break;
      case 'ended':
        this.#onEnd(event);
        break;
      case 'subscribed':
      case 'launched':
        break;
    }
    this.#bar?.update(this.#done, { running: Math.max(0, this.#running), failed: this.#failed });
  }

  #onEnd({ task, id, status, exitStatus }: Extract<RunEvent, { event: 'ended' }>): void {
    this.#done += 1;
    if (!isLostForUs(status)) this.#running -= 1;
    if (exitStatus !== 0) this.#failed += 1;
    const trouble = troubleOf(status);
    const own = exitStatus !== 0 && this.#count > 1 ? `exited with ${exitStatus}` : undefined;
    const text = trouble ?? own;
    if (text !== undefined) this.#trouble.push({ task, text: `${id} ${text}` });
  }

  output(task: number, _id: string, stream: Stream, data: Uint8Array): void {
    const bytes = this.#count === 1 ? data : this.#linesOf(task, stream).add(data);
    this.#write(stream, bytes);
  }

  outputEnded(task: number, _id: string, stream: Stream): void {
    if (this.#count > 1) this.#write(stream, this.#linesOf(task, stream).end());
  }

  notice(_kind: string, text: string): void {
    this.#say(text);
  }

  summary({ state, tookMs }: RunSummary): void {
    this.#bar?.stop();
    const inOrder = this.#trouble.sort((a, b) => a.task - b.task);
    for (const { text } of inOrder.slice(0, MOST_NAMED)) note(text);
    const more = this.#trouble.length - MOST_NAMED;
    if (more > 0) note(`and ${more} more`);
    if (this.#count === 1) return;
    const count = (is: (exitStatus: number | undefined) => boolean): number =>
      state.tasks.filter(({ exitStatus }) => is(exitStatus)).length;
    const notRun = count((exitStatus) => exitStatus === undefined);
    const parts = [`${count((exitStatus) => exitStatus === 0)} finished`, `${this.#failed} failed`];
    if (notRun > 0) parts.push(`${notRun} not run`);
    const took = tookMs < 10_000 ? `${(tookMs / 1_000).toFixed(1)}s` : span(tookMs);
    note(`${this.#count} tasks: ${parts.join(', ')}, in ${took}`);
  }

  #linesOf(task: number, stream: Stream): PrefixedLines {
    const key = `${task} ${stream}`;
    let lines = this.#lines.get(key);
    if (lines === undefined) {
      const width = String(this.#count).length;
      const prefix = `${String(task + 1).padStart(width)} | `;
      lines = new PrefixedLines(this.#paint(COLOURS[task % COLOURS.length] ?? 'cyan', prefix));
      this.#lines.set(key, lines);
    }
    return lines;
  }

  #write(stream: Stream, data: Uint8Array): void {
    if (data.length === 0) return;
    this.#bar?.wipe();
    (stream === 'stdout' ? process.stdout : process.stderr).write(data);
  }

  #say(text: string): void {
    this.#bar?.wipe();
    note(text);
  }
}

/** One line per event, and a summary as the last one. */
export class JsonView implements RunView {
  readonly #decoders = new Map<string, TextDecoder>();

  event(event: RunEvent): void {
    const { atMs, event: name, ...rest } = event;
    const head = { event: name, time: new Date(atMs).toISOString() };
    if (!('status' in rest)) return sayJson({ ...head, ...rest });
    const { status, ...own } = rest;
    const { state, reason, message, agentId, launchId, exitCode, exitSignal } = status;
    sayJson({ ...head, ...own, state, reason, message, agentId, launchId, exitCode, exitSignal });
  }

  output(task: number, id: string, stream: Stream, data: Uint8Array): void {
    const key = `${id} ${stream}`;
    let decoder = this.#decoders.get(key);
    if (decoder === undefined) this.#decoders.set(key, (decoder = new TextDecoder()));
    this.#say(task, id, stream, decoder.decode(data, { stream: true }));
  }

  outputEnded(task: number, id: string, stream: Stream): void {
    const rest = this.#decoders.get(`${id} ${stream}`)?.decode() ?? '';
    this.#decoders.delete(`${id} ${stream}`);
    if (rest !== '') this.#say(task, id, stream, rest);
  }

  notice(kind: string, text: string): void {
    sayJson({ event: kind.replace(' ', '-'), time: new Date().toISOString(), text });
  }

  summary({ state, exitStatus, tookMs }: RunSummary): void {
    const { frameworkId, tasks, stop } = state;
    const ended = tasks.filter((task) => task.exitStatus !== undefined);
    sayJson({
      event: 'summary',
      time: new Date().toISOString(),
      frameworkId: frameworkId ?? null,
      tasks: tasks.length,
      finished: ended.filter((task) => task.exitStatus === 0).length,
      failed: ended.filter((task) => task.exitStatus !== 0).length,
      notRun: tasks.length - ended.length,
      stopped: stop?.why ?? null,
      exitStatus,
      seconds: Math.round(tookMs) / 1_000,
    });
  }

  #say(task: number, id: string, stream: Stream, data: string): void {
    if (data !== '') sayJson({ event: 'output', time: new Date().toISOString(), task, id, stream, data });
  }
}

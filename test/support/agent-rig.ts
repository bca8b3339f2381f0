/** One agent's machine, its executor's, a store, a container and a master, event by event: the agent may die between any two. */
import type { Effect, ContainerSpec } from '../../actors/effect.js';
import { launchesToAdopt } from '../../actors/agent/recovery.js';
import { hex } from '../../protocol/ids.js';
import { isTerminal } from '../../protocol/task-state.js';
import type { TaskStatus } from '../../protocol/task.js';
import { NOW } from './actor-kit.js';
import { AgentKit, ExecutorKit, TestStore } from './agent-kit.js';

export const LAUNCH = { frameworkId: '5-0001', taskId: 't-5-L1', launchId: '5-L1' };

export interface Script {
  /** KILL_TASK right behind RUN_TASK; the container ends by the signal alone. */
  readonly kill?: boolean;
  /** The container ends only when nothing else is to be done. */
  readonly long?: boolean;
}

export class AgentRig {
  readonly store = new TestStore();
  agent!: AgentKit;
  executor!: ExecutorKit;
  /** Starts of the container. */
  starts = 0;
  /** What the master heard, in order. */
  readonly heard: TaskStatus[] = [];
  /** What broke. */
  readonly wrong: string[] = [];
  deliveries = 0;
  readonly #script: Script;
  /** Of this life; they die with it. */
  #queue: (() => void)[] = [];
  /** Of the machine; they do not. */
  #world: (() => void)[] = [];
  #container: 'none' | 'launched' | 'running' | 'ended' = 'none';
  #exit: { exitCode?: number; exitSignal?: string } = {};
  #hasRow = true;
  #lives = 0;
  #now = NOW;
  readonly #forbidden = new Set<string>();

  constructor(script: Script) {
    this.#script = script;
    this.#begin();
    // Registered, before the story begins.
    while (this.#queue.length > 0) this.step();
    this.deliveries = 0;
    this.#queue.push(() => this.#toAgent(() => this.agent.run(LAUNCH.launchId)));
    if (script.kill === true) this.#sendKill();
  }

  /** What waits to be stored. */
  get unstored(): number {
    return this.agent.asked.length;
  }

  /** One delivery; `false` when there is nothing more to do. */
  step(): boolean {
    const next = this.#queue.shift() ?? this.#world.shift();
    if (next !== undefined) {
      this.deliveries += 1;
      next();
      return true;
    }
    if (!this.#hasRow && this.agent.state.launches.size === 0 && this.unstored === 0) return false;
    // Nothing is on its way: time passes.
    this.#now += 11_000;
    this.agent.hear('PING', {});
    this.#toAgent(() => this.agent.pass(11_000));
    this.#toExecutor(() => this.executor.pass(11_000));
    if (this.#now - NOW > 600_000) throw new Error(`it does not end: ${this.heard.map(({ state }) => state).join()}`);
    return true;
  }

  /** The agent's process dies; of what was on its way to the store so many writes have landed. A new life begins. */
  die(landed: number): void {
    for (const checkpoint of this.agent.asked.slice(0, landed)) this.store.write(checkpoint);
    const kept = new Set(
      this.store.records.flatMap((record) => (record.kind === 'stream' ? record.value.updates.map(nameOf) : [])),
    );
    for (const status of this.heard) if (!kept.has(nameOf(status))) this.#forbidden.add(nameOf(status));
    this.#queue = [];
    this.#begin();
  }

  #begin(): void {
    const { records } = this.store;
    this.agent = new AgentKit({ records });
    this.agent.storesAtOnce = false;
    this.agent.now = this.#now;
    this.agent.random = (0.1 + ++this.#lives * 0.137) % 1;
    this.executor = new ExecutorKit({ recovered: launchesToAdopt(records) }, this.#now);
    this.#route(this.executor.begun);
    this.#toAgent(() => this.agent.send({ type: 'START' }));
  }

  #toAgent(act: () => Effect[]): void {
    this.#route(act());
  }

  #toExecutor(act: () => Effect[]): void {
    this.#route(act());
  }

  #sendKill(): void {
    this.#queue.push(() => this.#toAgent(() => this.agent.kill(LAUNCH.launchId)));
  }

  #route(effects: readonly Effect[]): void {
    for (const effect of effects) this.#execute(effect);
  }

  #execute(effect: Effect): void {
    const { agent, executor } = this;
    switch (effect.type) {
      case 'checkpoint':
        this.#queue.push(() => {
          const [next] = agent.asked;
          if (next !== undefined) this.store.write(next);
          this.#toAgent(() => agent.stored());
        });
        return;
      case 'tell':
        this.#queue.push(() =>
          effect.actor === 'agent'
            ? this.#toAgent(() => agent.send(effect.event))
            : this.#toExecutor(() => executor.send(effect.event)),
        );
        return;
      case 'publish':
        return this.#onMessage(effect.message, effect.body as never);
      case 'adoptContainers':
        return this.#adopt(effect.containers);
      case 'launchContainer':
        if (this.#container !== 'none') this.wrong.push('launched twice');
        this.#container = 'launched';
        this.#queue.push(() => this.#fork());
        return;
      case 'signalContainer':
        if (this.#container === 'running') this.#world.push(() => this.#end({ exitSignal: effect.signal }));
        return;
      default:
    }
  }

  #fork(): void {
    this.starts += 1;
    this.#container = 'running';
    this.#started();
    if (this.#script.kill === true) return;
    const end = (): void => this.#end({ exitCode: 0 });
    if (this.#script.long === true) this.#world.push(end);
    else this.#queue.push(end);
    if (this.#script.long !== true) this.#endAnyway = end;
  }

  /** Its process ends whether there is an agent or not. */
  #endAnyway: (() => void) | undefined;

  #end(exit: { exitCode?: number; exitSignal?: string }): void {
    if (this.#container !== 'running') return;
    this.#container = 'ended';
    this.#exit = exit;
    this.#ended();
  }

  #started(): void {
    this.#queue.push(() => this.#toExecutor(() => this.executor.started(LAUNCH.launchId)));
  }

  #ended(): void {
    this.#queue.push(() => this.#toExecutor(() => this.executor.ended(LAUNCH.launchId, this.#exit)));
  }

  #adopt(containers: readonly ContainerSpec[]): void {
    if (containers.length === 0) {
      if (this.#container === 'running' && this.#hasRow) this.wrong.push('a running container is forgotten');
      return;
    }
    if (this.#container === 'none' || this.#container === 'launched') {
      this.#container = 'none';
      this.#queue.push(() => this.#toExecutor(() => this.executor.ended(LAUNCH.launchId, { neverStarted: true })));
      return;
    }
    this.#started();
    if (this.#container === 'ended') this.#ended();
    else if (this.#endAnyway !== undefined) this.#queue.push(this.#endAnyway);
  }

  #onMessage(message: string, body: { status: TaskStatus }): void {
    if (message === 'REGISTER') this.#queue.push(() => this.#toAgent(() => this.agent.answer()));
    else if (message === 'REREGISTER') {
      this.#queue.push(() => this.#toAgent(() => this.agent.answer(this.#hasRow ? [LAUNCH] : [])));
      if (this.#script.kill === true && this.#hasRow) this.#sendKill();
    } else if (message === 'STATUS_UPDATE') this.#onUpdate(body.status);
  }

  #onUpdate(status: TaskStatus): void {
    if (this.#forbidden.has(nameOf(status))) this.wrong.push(`${status.state} is sent again after its acknowledgement`);
    const last = this.heard.at(-1);
    if (last !== undefined && isTerminal(last.state) && last.state !== status.state)
      this.wrong.push(`${status.state} behind ${last.state}`);
    this.heard.push(status);
    if (isTerminal(status.state)) this.#hasRow = false;
    this.#queue.push(() => this.#toAgent(() => this.agent.acknowledge(status)));
  }
}

const nameOf = ({ uuid }: TaskStatus): string => hex(uuid ?? new Uint8Array());

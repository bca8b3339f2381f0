/** One switch over every effect: what an actor asks for, done through the ports. */
import type { Effect, Probe, Publish, ReplyFile, Stop } from '../actors/effect.js';
import { decodeMessage, decodeValue, encodeMessage, encodeValue } from '../protocol/codec.js';
import { errorBody } from '../protocol/errors.js';
import { NO_SESSION } from '../protocol/ids.js';
import type { LeadingBody } from '../protocol/master-api.js';
import { bodyCheck } from '../protocol/messages.js';
import { EPOCH_KEY, LEASE_KEY } from '../protocol/registry.js';
import { probeSubject, subjectPattern } from '../protocol/subjects.js';
import type { HostEvent } from './actor-host.js';
import { Inbound } from './inbound.js';
import { Outbound, type Speaker } from './outbound.js';
import type { AgentPorts, ContainerEnd, MasterPorts, Ports } from './ports.js';
import { Registrar } from './registrar.js';

/** Which ports there are depends on the role; an effect without its port is a mistake in the composition. */
export type World = Ports & Partial<MasterPorts> & Partial<AgentPorts>;

export interface ExecutorOptions {
  readonly world: World;
  readonly speaker: Speaker;
  /** Gives an event to the actor whose effects these are. */
  readonly send: (event: HostEvent) => void;
  /** Gives an event to another actor of this process. */
  readonly tell?: (actor: string, event: HostEvent) => void;
  readonly onStop: (stop: Stop) => void;
}

type ContainerEffect = Extract<Effect, { type: `${string}Container` | 'adoptContainers' }>;

export class EffectExecutor {
  readonly #options: ExecutorOptions;
  readonly #outbound: Outbound;
  readonly inbound: Inbound;
  readonly #registrar: Registrar | undefined;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    const { world, speaker, send } = options;
    this.#outbound = new Outbound(world.transport, speaker);
    this.inbound = new Inbound({ cluster: speaker.cluster, log: world.log, metrics: world.metrics, onEvent: send });
    const { storage, clock, log, metrics } = world;
    this.#registrar = storage && new Registrar({ storage, clock, log, metrics, tell: send });
  }

  readonly endBatch = (): void => this.#registrar?.flush();

  readonly execute = (effect: Effect): void => {
    const { world, send, tell, onStop } = this.#options;
    switch (effect.type) {
      case 'publish':
        return this.#publish(effect);
      case 'reply':
        return this.#outbound.reply(effect);
      case 'listen':
        return this.#listen(effect.row);
      case 'persist':
        return need(this.#registrar, 'storage').add(effect);
      case 'follow':
        return this.#follow(effect.bucket);
      case 'probe':
        return this.#probe(effect);
      case 'takeLease':
      case 'releaseLease':
      case 'writeEpoch':
        return this.#compareAndSet(effect);
      case 'raiseEpoch': {
        const { epoch, inDoubt } = effect;
        return need(this.#registrar, 'storage').raise({ epoch, ...(inDoubt && { inDoubt }) });
      }
      case 'tell':
        return need(tell, 'sibling actors')(effect.actor, effect.event);
      case 'launchContainer':
      case 'adoptContainers':
      case 'signalContainer':
      case 'forgetContainer':
        return this.#container(effect);
      case 'checkpoint':
        return need(world.store, 'store').commit(
          effect.writes.map(({ key, value }) => (value === undefined ? { key } : { key, value: encodeValue(value) })),
          () => send({ type: 'CHECKPOINTED', requestId: effect.requestId } as HostEvent),
        );
      case 'replyFile':
        return this.#replyFile(effect);
      case 'readDisk':
        return need(world.files, 'files').usage((usedShare) => send({ type: 'DISK_READ', usedShare } as HostEvent));
      case 'listSandboxes':
        return need(world.files, 'files').folders(effect.pattern, (sandboxes) =>
          send({ type: 'SANDBOXES_LISTED', sandboxes } as HostEvent),
        );
      case 'removeSandbox': {
        const { path } = effect;
        return need(world.files, 'files').remove(path, (isGone) =>
          send({ type: 'SANDBOX_REMOVED', path, isGone } as HostEvent),
        );
      }
      case 'log':
        return world.log.write(effect.level, effect.message, effect.fields);
      case 'count':
        return world.metrics.count(effect.metric, effect.by ?? 1);
      case 'stop':
        return onStop(effect);
      case 'setDeadline':
        throw new Error('the host keeps deadlines itself');
      default: {
        const never: never = effect;
        throw new Error(`no such effect: ${JSON.stringify(never)}`);
      }
    }
  };

  #container(effect: ContainerEffect): void {
    const { world, send } = this.#options;
    const processes = need(world.processes, 'processes');
    const started = (containerId: string, pid: number): void =>
      send({ type: 'CONTAINER_STARTED', containerId, pid } as HostEvent);
    const ended = (containerId: string, end: ContainerEnd): void =>
      send({ type: 'CONTAINER_ENDED', containerId, ...end } as HostEvent);
    switch (effect.type) {
      case 'launchContainer': {
        const { containerId } = effect.spec;
        return processes.launch(
          effect.spec,
          (pid) => started(containerId, pid),
          (end) => ended(containerId, end),
        );
      }
      case 'adoptContainers':
        return processes.adopt(effect.containers, started, ended);
      case 'signalContainer':
        return processes.signal(effect.containerId, effect.signal);
      case 'forgetContainer':
        return processes.forget(effect.containerId);
    }
  }

  /** A message that no number of parts can carry is not sent; the gap in its session brings the peer back. Rule: LNK-5. */
  #publish(effect: Publish): void {
    const { log, metrics } = this.#options.world;
    try {
      this.#outbound.publish(effect);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      metrics.count('oversized_message', 1);
      log.write('error', 'a message is too large and was not sent', { message: effect.message, error: error.message });
    }
  }

  #listen(row: Extract<Effect, { type: 'listen' }>['row']): void {
    const { world, speaker } = this.#options;
    const receive = this.inbound.receive.bind(this.inbound);
    if (row === 'probe') need(world.probes, 'probes').subscribe(probeSubject(speaker.cluster), receive);
    else world.transport.subscribe(subjectPattern(speaker.cluster, row), receive);
  }

  #follow(bucket: 'registry' | 'lease'): void {
    const { world, send } = this.#options;
    need(world.storage, 'storage').watch(
      bucket,
      (entry) => {
        const { key, value, revision } = entry;
        if (bucket === 'lease') {
          if (key === LEASE_KEY) send({ type: 'LEASE_ENTRY', revision, held: value !== undefined } as HostEvent);
          return;
        }
        this.#registrar?.onEntry(entry);
        const decoded = value === undefined ? undefined : decodeValue(value);
        send({ type: 'REGISTRY_ENTRY', key, value: decoded, revision } as HostEvent);
      },
      () => {
        if (bucket === 'registry') send({ type: 'REGISTRY_CAUGHT_UP' });
      },
    );
  }

  #probe({ requestId, timeoutMs }: Probe): void {
    const { world, speaker, send } = this.#options;
    const head = { type: 'PROBE', sender: speaker.principal, session: NO_SESSION, epoch: 0, id: `probe-${requestId}` };
    const [bytes] = encodeMessage({ ...head, body: {} }, () => 0);
    need(world.probes, 'probes').request(probeSubject(speaker.cluster), bytes as Uint8Array, timeoutMs, (answer) => {
      const base = { type: 'PROBED', requestId } as const;
      if (answer.outcome === 'noResponders') return send({ ...base, outcome: 'noResponders' } as HostEvent);
      const body = answer.outcome === 'answered' ? leadingOf(answer.data) : undefined;
      if (body === undefined) return send({ ...base, outcome: 'silence' } as HostEvent);
      return send({ ...base, outcome: 'answered', answer: body } as HostEvent);
    });
  }

  #compareAndSet(effect: Extract<Effect, { type: 'takeLease' | 'releaseLease' | 'writeEpoch' }>): void {
    const { world, speaker, send } = this.#options;
    const storage = need(world.storage, 'storage');
    if (effect.type === 'writeEpoch') {
      const write = { key: EPOCH_KEY, value: encodeValue(effect.record) };
      storage.compareAndSet('registry', write, effect.revision, undefined, (stored) => {
        if (stored.outcome === 'stored') this.#registrar?.lead(effect.record, stored.revision);
        send({ type: 'EPOCH_ANSWERED', requestId: effect.requestId, ...stored } as HostEvent);
      });
    } else if (effect.type === 'takeLease') {
      const write = { key: LEASE_KEY, value: encodeValue({ name: speaker.principal }) };
      storage.compareAndSet('lease', write, effect.revision, effect.ttlMs, (stored) =>
        send({ type: 'LEASE_ANSWERED', requestId: effect.requestId, ...stored } as HostEvent),
      );
    } else storage.compareAndSet('lease', { key: LEASE_KEY }, effect.revision, undefined, () => {});
  }

  #replyFile({ to, cause, epoch, request }: ReplyFile): void {
    const files = need(this.#options.world.files, 'files');
    const answer = (message: string, body: unknown): void =>
      this.#outbound.reply({ type: 'reply', to, message, body, epoch, cause });
    const missing = (): void => answer('ERROR', errorBody('UNKNOWN_PATH', request.path));
    if (request.type === 'READ_FILE') {
      files.read(request.path, request.offset, request.length, (part) =>
        part === undefined ? missing() : answer('READ_FILE', { readFile: part }),
      );
    } else {
      files.list(request.path, (listed) => {
        if (listed === undefined) return missing();
        const fileInfos = listed.map(({ path, size, mtimeMs }) => ({
          path,
          size,
          mtime: { nanoseconds: Math.floor(mtimeMs) * 1e6 },
        }));
        return answer('LIST_FILES', { listFiles: { fileInfos } });
      });
    }
  }
}

/** The body of a probe's answer; `undefined` for anything else, which counts as silence. */
function leadingOf(data: Uint8Array): LeadingBody | undefined {
  try {
    const { type, body } = decodeMessage(data);
    return type === 'LEADING' && bodyCheck('probe', type)?.(body) === undefined ? (body as LeadingBody) : undefined;
  } catch {
    return undefined;
  }
}

function need<T>(port: T | undefined, name: string): T {
  if (port === undefined) throw new Error(`this role has no ${name}`);
  return port;
}

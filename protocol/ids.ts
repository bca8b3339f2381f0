/** Ids minted by the kernel: counters under the epoch, never random. Rule: EPO-3. */

/** A master's id for one term: its epoch, written short. Unique, as no two terms share an epoch. */
export const masterIdOf = (epoch: number): string => epoch.toString(36);

/** The epoch in which an id was minted, or `undefined` for a text that no master minted. */
export function epochOf(id: string): number | undefined {
  const head = id.split('-')[0] ?? '';
  return /^[0-9a-z]{1,11}$/.test(head) ? Number.parseInt(head, 36) : undefined;
}

/** `<masterId>-0001`: frameworks, as Mesos writes them. */
export const frameworkIdOf = (masterId: string, count: number): string =>
  `${masterId}-${String(count).padStart(4, '0')}`;
/** `<masterId>-S1`: agents. */
export const agentIdOf = (masterId: string, count: number): string => `${masterId}-S${count}`;
/** `<masterId>-O1`: offers. */
export const offerIdOf = (masterId: string, count: number): string => `${masterId}-O${count}`;
/** `<masterId>-L1`: one per launch of a task; a task id that is used again is a new launch. Rule: LCH-1. */
export const launchIdOf = (masterId: string, count: number): string => `${masterId}-L${count}`;
/** The epoch and the counter of a launch's id; `undefined` for a text that no master minted. */
export function launchPlaceOf(launchId: string): { readonly epoch: number; readonly counter: number } | undefined {
  const [, head = '', count = ''] = /^([0-9a-z]{1,11})-L(\d{1,15})$/.exec(launchId) ?? [];
  return count === '' ? undefined : { epoch: Number.parseInt(head, 36), counter: Number(count) };
}
/** `<launchId>-E`: the container of an executor, named after the launch that starts it. Rule: EXC-1. */
export const executorContainerOf = (launchId: string): string => `${launchId}-E`;
/** `<masterId>-C1`: a session of a link ("connection" where NATS has none). */
export const sessionIdOf = (masterId: string, count: number): string => `${masterId}-C${count}`;

/** The session of a message that precedes every session, such as an invitation. */
export const NO_SESSION = '0';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Writes any text as one token of a subject, a KV key or a path: `=XX` for each byte outside `[A-Za-z0-9_-]`. Rule: PRO-3. */
export function escapeToken(text: string): string {
  if (/^[A-Za-z0-9_-]+$/.test(text)) return text;
  let token = '';
  for (const byte of encoder.encode(text)) {
    const char = String.fromCharCode(byte);
    token += /[A-Za-z0-9_-]/.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return token;
}

/** The inverse of {@link escapeToken}; `undefined` for a token that it never writes. */
export function unescapeToken(token: string): string | undefined {
  if (/^[A-Za-z0-9_-]+$/.test(token)) return token;
  if (!/^(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+$/.test(token)) return undefined;
  const bytes: number[] = [];
  for (let i = 0; i < token.length; i++) {
    if (token[i] === '=') {
      bytes.push(Number.parseInt(token.slice(i + 1, i + 3), 16));
      i += 2;
    } else bytes.push(token.charCodeAt(i));
  }
  try {
    const text = decoder.decode(Uint8Array.from(bytes));
    return escapeToken(text) === token ? text : undefined;
  } catch {
    return undefined;
  }
}

/** Sixteen bytes that name one status update: the agent process's random half, then a counter. Mesos v1 wants 16. */
export function uuidOf(instance: number, count: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, instance);
  view.setFloat64(8, count);
  return bytes;
}

/** Bytes as lower-case hexadecimal: uuids as keys of Maps and in tables. */
export function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

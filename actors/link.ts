/** One end of a session between two actors: what makes a lost, repeated or stale message visible. Rules: LNK-1, LNK-2. */
import { NO_SESSION } from '../protocol/ids.js';

/** The receiving end. The sending end is the host's: it numbers what really goes out. */
export interface Link {
  /** Session that this end accepts; {@link NO_SESSION} while there is none. */
  session: string;
  /** Sequence of the last message accepted. */
  seen: number;
}

export const newLink = (session: string = NO_SESSION): Link => ({ session, seen: 0 });

/** What to do with a message: `ok`, it is next; `repeated`, drop it; `gap`, one before it is lost; `stale`, another session. */
export type Admission = 'ok' | 'repeated' | 'gap' | 'stale';

/**
 * Admits a message to the link. After a gap nothing more is admitted, until a new session begins: what was lost is
 * re-derived by registering anew, and a message after the gap could rest on the one that was lost.
 */
export function admit(
  link: Link,
  message: { readonly session: string; readonly sequence: number; readonly parts?: number | undefined },
): Admission {
  if (link.session === NO_SESSION || message.session !== link.session) return 'stale';
  if (message.sequence === link.seen + (message.parts ?? 1)) {
    link.seen = message.sequence;
    return 'ok';
  }
  return message.sequence <= link.seen ? 'repeated' : 'gap';
}

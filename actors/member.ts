/** What agents and schedulers share as members of a master's term: the epoch gate and the session that it minted. Rules: EPO-2, LNK-1. */
import { epochOf, NO_SESSION } from '../protocol/ids.js';
import type { Meta } from './events.js';
import { admit, newLink, type Admission, type Link } from './link.js';

export interface Member {
  /** Highest epoch seen in any message. */
  epoch: number;
  readonly link: Link;
  /** The last session that there was; {@link Link.session} is `0` while a new one is asked for. */
  lastSession: string;
  /** Names this instance, to recognise answers to its own questions. */
  instance: string;
  /** Questions asked so far, in all. */
  asked: number;
  /** Tries since the last success: the exponent of the backoff. */
  attempt: number;
  heardAtMs: number;
}

export const newMember = (epoch = 0): Member => ({
  epoch,
  link: newLink(),
  lastSession: NO_SESSION,
  instance: '',
  asked: 0,
  attempt: 0,
  heardAtMs: 0,
});

/** A short name from one random number. */
export const instanceOf = (random: number): string => Math.floor(random * 2 ** 48).toString(36);

/** The one gate for staleness: lower epochs are dropped before any handler; a higher one is a new leader's. Rule: EPO-2. */
export function passEpoch(member: Member, epoch: number): 'stale' | 'known' | 'newer' {
  if (epoch < member.epoch) return 'stale';
  if (epoch === member.epoch) return 'known';
  member.epoch = epoch;
  return 'newer';
}

/** The id of the next question to the master. */
export const nextQuestion = (member: Member): string => `${member.instance}-q${++member.asked}`;

/** The id of the last one. */
export const lastQuestion = ({ instance, asked }: Member): string => `${instance}-q${asked}`;

/** The counter in a session's id: of two sessions of one term the later has the higher. */
export const counterOf = (session: string): number => Number(/-C(\d+)$/.exec(session)?.[1] ?? -1);

/** The instance that asked a question, by the question's id; `undefined` for an id of another form. */
export const askerOf = (id: string): string | undefined => /^(.+)-q\d+$/.exec(id)?.[1];

/**
 * Whether a question is one that was answered already, or one that its asker asked before that. Its copy, or an older
 * question that arrives late, must not begin a session: it would end the one that the asker lives in.
 */
export function isOldQuestion(id: string, answered: string): boolean {
  if (id === answered) return true;
  const asker = askerOf(id);
  if (asker === undefined || asker !== askerOf(answered)) return false;
  const numberOf = (question: string): number => Number(question.slice(asker.length + 2));
  return numberOf(id) < numberOf(answered);
}

/**
 * Whether an answer begins our session. Questions may cross: 1. we ask, 2. we hear nothing and ask again, 3. both are
 * answered, each with a session. The master counts the one that it minted last, so an answer with an older one is ignored.
 */
export function beginsSession(member: Member, meta: Meta): boolean {
  if (meta.cause?.startsWith(`${member.instance}-q`) !== true || meta.session === NO_SESSION) return false;
  const { lastSession } = member;
  const isSameTerm = lastSession !== NO_SESSION && epochOf(lastSession) === epochOf(meta.session);
  return !isSameTerm || counterOf(meta.session) > counterOf(lastSession);
}

export function beginSession(member: Member, meta: Meta): void {
  member.link.session = meta.session;
  member.lastSession = meta.session;
  member.link.seen = meta.sequence;
  member.attempt = 0;
}

/** Nothing is sent or admitted until the next session begins: what is sent now would come after the question for it. */
export function endSession(member: Member): void {
  member.link.session = NO_SESSION;
}

/** Admits a message of the session, and notes that the master was heard. */
export function admitMessage(member: Member, meta: Meta, now: number): Admission {
  const admission = admit(member.link, meta);
  if (admission === 'ok') member.heardAtMs = now;
  return admission;
}

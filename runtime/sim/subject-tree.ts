/** Subscriptions by pattern, as a NATS server keeps them: `*` is any token, `>` the rest, of one token at least. */

/** A subject without wildcards: tokens without spaces, joined by dots. */
export const isSubject = (subject: string): boolean => /^[^\s.*>]+(?:\.[^\s.*>]+)*$/.test(subject);

class Branch<T> {
  readonly children = new Map<string, Branch<T>>();
  readonly here = new Set<T>();
  readonly rest = new Set<T>();

  get empty(): boolean {
    return this.children.size === 0 && this.here.size === 0 && this.rest.size === 0;
  }
}

/** Finds all values whose pattern matches a subject, without looking at the others. */
export class SubjectTree<T> {
  readonly #root = new Branch<T>();

  /** Adds a value under a pattern. Returns what takes it out. @throws RangeError for a pattern that no server takes */
  add(pattern: string, value: T): () => void {
    const tokens = pattern.split('.');
    const path: Branch<T>[] = [this.#root];
    let branch = this.#root;
    for (const [index, token] of tokens.entries()) {
      if (token === '' || /\s/.test(token) || (token === '>' && index < tokens.length - 1))
        throw new RangeError(`no pattern: ${pattern}`);
      if (token === '>') break;
      let child = branch.children.get(token);
      if (child === undefined) branch.children.set(token, (child = new Branch<T>()));
      branch = child;
      path.push(child);
    }
    const values = tokens.at(-1) === '>' ? branch.rest : branch.here;
    values.add(value);
    return () => {
      values.delete(value);
      for (let depth = path.length - 1; depth > 0 && path[depth]?.empty === true; depth--)
        if (path[depth - 1]?.children.get(tokens[depth - 1] as string) === path[depth])
          path[depth - 1]?.children.delete(tokens[depth - 1] as string);
    };
  }

  /** All values whose pattern matches, in no order that matters. */
  match(subject: string): T[] {
    const found: T[] = [];
    this.#collect(this.#root, subject.split('.'), 0, found);
    return found;
  }

  #collect(branch: Branch<T>, tokens: readonly string[], depth: number, found: T[]): void {
    if (depth === tokens.length) {
      for (const value of branch.here) found.push(value);
      return;
    }
    for (const value of branch.rest) found.push(value);
    const exact = branch.children.get(tokens[depth] as string);
    if (exact !== undefined) this.#collect(exact, tokens, depth + 1, found);
    const any = branch.children.get('*');
    if (any !== undefined) this.#collect(any, tokens, depth + 1, found);
  }
}

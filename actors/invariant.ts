/** Assertions: inside an actor a broken invariant crashes it, and the registry recovers. */

export class InvariantBroken extends Error {
  override readonly name = 'InvariantBroken';
}

/** Crashes the actor unless `condition` holds. @throws InvariantBroken */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantBroken(message);
}

/** The end of a switch over a closed union. @throws InvariantBroken */
export function unreachable(value: never): never {
  throw new InvariantBroken(`unreachable: ${JSON.stringify(value)}`);
}

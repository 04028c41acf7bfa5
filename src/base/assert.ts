/** Assertions about our own code. A failed one is a bug: it stops the process and never becomes a client's error. */

export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

export function assert(claim: unknown, words: string): asserts claim {
  if (!claim) throw new InvariantError(words);
}

/** The end of an exhaustive `switch`: it compiles only when nothing is left over. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${JSON.stringify(value)}`);
}

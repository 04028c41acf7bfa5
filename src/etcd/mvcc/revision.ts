/** One write: `main` numbers the transaction, `sub` the write within it. */
export interface Revision {
  readonly main: number;
  readonly sub: number;
}

export function isAfter(a: Revision, b: Revision): boolean {
  return a.main > b.main || (a.main === b.main && a.sub > b.sub);
}

/** One write: `main` numbers the transaction, `sub` the write within it. */
export interface Revision {
  readonly main: number;
  readonly sub: number;
}

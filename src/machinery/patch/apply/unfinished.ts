/**
 * Thrown when ownership cannot be computed before something asynchronous is done: the caller waits for it and repeats the computation. That keeps
 * the computation itself pure.
 */
export class Unfinished extends Error {
  readonly wait: () => Promise<void>;

  constructor(wait: () => Promise<void>) {
    super("not worked out yet");
    this.wait = wait;
  }
}

/** Runs `work` until nothing is left to be waited for. */
export function finished<T>(work: () => T): T | Promise<T> {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Unfinished)) throw error;
    return error.wait().then(() => finished(work));
  }
}

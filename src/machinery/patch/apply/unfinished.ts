/**
 * Something has to be waited for before ownership can be worked out: who runs the work waits and runs it again. Only so may work that is pure ask
 * others.
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

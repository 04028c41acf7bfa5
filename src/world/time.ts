/** Waiting, built from `Clock.after` alone, so that all of it works in virtual time. */
import type { Clock } from "./world.ts";

/** Resolves after `ms`, or at once with the signal's reason as a rejection when it aborts. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer[Symbol.dispose]();
      reject(signal!.reason);
    };
    const timer = clock.after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** As `sleep`, but an abort ends it quietly; the result says whether the full time passed. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(clock, ms, signal);
    return true;
  } catch {
    return false;
  }
}

/** A signal that aborts `ms` from now or when `parent` does. Dispose it when the work is over. */
export function deadline(
  clock: Clock,
  ms: number,
  parent?: AbortSignal,
  cause: Error = new DOMException("The operation timed out.", "TimeoutError") as unknown as Error,
): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const timer = clock.after(ms, () => controller.abort(cause));
  const onAbort = () => controller.abort(parent!.reason);
  if (parent?.aborted) onAbort();
  else parent?.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      timer[Symbol.dispose]();
      parent?.removeEventListener("abort", onAbort);
    },
  };
}

/** Calls `fn` now and then `ms` after each end of it, until `signal` aborts. `fn` handles its own errors. */
export async function every(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  fn: () => void | Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    await fn();
    if (!(await pause(clock, ms, signal))) return;
  }
}

import type { Component } from "../base/component-group.ts";

/** A component with the informers and the event broadcaster that it alone uses. */
export function together(
  name: string,
  inner: Component,
  broadcaster: { run(signal: AbortSignal): Promise<void> } | undefined,
  informers: { run(signal: AbortSignal, ready: () => void): Promise<void> },
): Component {
  return {
    name,
    async run(signal, ready) {
      const failed = new AbortController();
      const stop = AbortSignal.any([signal, failed.signal]);
      const parts = [
        inner.run(stop, ready),
        informers.run(stop, () => {}),
        ...(broadcaster === undefined ? [] : [broadcaster.run(stop)]),
      ];
      for (const part of parts) part.catch((error: unknown) => failed.abort(error));
      await Promise.allSettled(parts);
      if (failed.signal.aborted) throw failed.signal.reason;
    },
  };
}

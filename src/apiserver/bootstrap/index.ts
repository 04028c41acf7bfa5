/** What the server makes at its start and keeps from then on. Upstream: pkg/controlplane/instance.go, the post-start hooks. */
import type { Services } from "../registry/context.ts";

export interface Serving {
  readonly port: number;
  readonly address: string | undefined;
}

/** Returns when everything that must be there is there; `done` settles when the loops that keep it have ended. */
export async function bootstrap(
  _services: Services,
  _serving: Serving,
  _signal: AbortSignal,
): Promise<{ readonly done: Promise<void> }> {
  return { done: Promise.resolve() };
}

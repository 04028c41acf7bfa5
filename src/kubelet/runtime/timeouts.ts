/**
 * Deadlines for calls to a runtime, so that one that hangs cannot block a pod for ever.
 * Upstream: staging/src/k8s.io/cri-client/pkg/remote_runtime.go
 */
import type { CallOptions } from "../../wire/rpc/service.ts";
import type { Runtime } from "../runtimes/runtime.ts";

const DEFAULT_MS = 120_000;
/** Sandboxes wait for the network, pulls for the internet, commands for themselves. */
const OWN: Readonly<Record<string, number | undefined>> = {
  RunPodSandbox: 2 * DEFAULT_MS,
  PullImage: undefined,
  ExecSync: undefined,
  GetContainerEvents: undefined,
};

export function withTimeouts(runtime: Runtime): Runtime {
  return { ...runtime, runtime: limited(runtime.runtime), images: limited(runtime.images) };
}

function limited<C extends object>(client: C): C {
  const calls = client as Record<string, (request: unknown, options?: CallOptions) => unknown>;
  return Object.fromEntries(
    Object.keys(calls).map((name) => [
      name,
      (request: unknown, options?: CallOptions) => {
        const timeoutMs = options?.timeoutMs ?? (name in OWN ? OWN[name] : DEFAULT_MS);
        return calls[name]!(request, timeoutMs === undefined ? options : { ...options, timeoutMs });
      },
    ]),
  ) as C;
}

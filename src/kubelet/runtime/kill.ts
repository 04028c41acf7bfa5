/**
 * Stops containers and sandboxes: preStop hooks, the order of sidecars, the grace period.
 * Upstream: pkg/kubelet/kuberuntime/kuberuntime_container.go killContainer
 */
import { isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { Container, LifecycleHandler, Pod } from "../../api/generated/core.v1.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import { deadline } from "../../world/time.ts";
import { CONTAINER_PORTS, POD_DELETION_GRACE, POD_TERMINATION_GRACE, PRE_STOP_HANDLER } from "../keys.ts";
import { findContainer, initContainers } from "../pod.ts";
import type { KillReason } from "./actions.ts";
import { containerReference } from "./context.ts";
import type { RuntimeContext } from "./context.ts";
import { runHook } from "./hooks.ts";
import type { RuntimeContainer, RuntimePod } from "./state.ts";

/** The runtime gets at least so long to stop a container. */
const MIN_GRACE_SECONDS = 2;

export interface KillOptions {
  readonly message?: string;
  readonly reason?: KillReason;
  /** In place of the pod's or the probe's own. */
  readonly graceSeconds?: number | undefined;
  readonly signal?: AbortSignal;
  /** Resolves when this container's turn has come; a sidecar waits for those that need it. */
  readonly turn?: Promise<unknown>;
}

/** Stops one container; one that is gone is stopped. `pod` is undefined for an orphan: its labels and annotations stand in. */
export async function killContainer(
  context: RuntimeContext,
  pod: Pod | undefined,
  runtime: RuntimePod,
  container: RuntimeContainer,
  options: KillOptions = {},
): Promise<void> {
  const { clock } = context.world;
  const found = pod === undefined ? undefined : findContainer(pod, container.name);
  const startedMs = clock.monotonic();
  const elapsedSeconds = () => Math.floor((clock.monotonic() - startedMs) / 1000);
  const grace = options.graceSeconds ?? graceOf(pod, found?.container, container, options.reason);
  const about =
    pod === undefined
      ? {
          kind: "Pod",
          apiVersion: "v1",
          name: runtime.name,
          namespace: runtime.namespace,
          uid: runtime.uid,
          fieldPath: `spec.containers{${container.name}}`,
        }
      : containerReference(pod, found?.type ?? "regular", container.name);
  context.events.event(about, "Normal", "Killing", options.message ?? `Stopping container ${container.name}`);

  const preStop = preStopOf(found?.container, container);
  if (preStop !== undefined && grace > 0) {
    using limit = deadline(clock, grace * 1000, options.signal);
    try {
      const known =
        found?.container ??
        ({ name: container.name, ports: json(container.annotations[CONTAINER_PORTS]) } as unknown as Container);
      await runHook(
        context,
        preStop,
        {
          containerId: container.id,
          container: known,
          podIP: runtime.sandboxes[0]?.ips[0] ?? context.downward([]).hostIPs[0] ?? "",
          pod,
        },
        limit.signal,
      );
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!limit.signal.aborted) context.events.event(about, "Warning", "FailedPreStopHook", "PreStopHook failed");
      context.log.v(2).info("PreStop hook not completed", { container: container.name, error: String(error) });
    }
  }
  if (options.turn !== undefined) await options.turn;
  const left = Math.max(MIN_GRACE_SECONDS, grace - elapsedSeconds());
  try {
    await context.cri.runtime.StopContainer(
      { container_id: container.id, timeout: left },
      { timeoutMs: 120_000 + left * 1000, ...(options.signal && { signal: options.signal }) },
    );
  } catch (error) {
    if (!(error instanceof RpcError && error.code === "NotFound")) throw error;
  }
}

function graceOf(
  pod: Pod | undefined,
  container:
    | { readonly livenessProbe?: Container["livenessProbe"]; readonly startupProbe?: Container["startupProbe"] }
    | undefined,
  runtime: RuntimeContainer,
  reason: KillReason | undefined,
): number {
  if (pod === undefined) {
    const text = runtime.annotations[POD_DELETION_GRACE] ?? runtime.annotations[POD_TERMINATION_GRACE];
    return text === undefined ? MIN_GRACE_SECONDS : Number(text);
  }
  if (pod.metadata.deletionGracePeriodSeconds !== undefined) return pod.metadata.deletionGracePeriodSeconds;
  const probe =
    reason === "startupProbe"
      ? container?.startupProbe
      : reason === "livenessProbe"
        ? container?.livenessProbe
        : undefined;
  return probe?.terminationGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? MIN_GRACE_SECONDS;
}

function preStopOf(
  container: { readonly lifecycle?: Container["lifecycle"] } | undefined,
  runtime: RuntimeContainer,
): LifecycleHandler | undefined {
  return container === undefined
    ? (json(runtime.annotations[PRE_STOP_HANDLER]) as LifecycleHandler | undefined)
    : container.lifecycle?.preStop;
}

function json(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text);
}

/**
 * Stops the whole pod: regular containers together, then the sidecars one after another from the last to the first, then the sandboxes.
 * A sidecar's preStop runs at once; only its SIGTERM waits for its turn.
 */
export async function killPod(
  context: RuntimeContext,
  pod: Pod | undefined,
  runtime: RuntimePod,
  options: { readonly graceSeconds?: number | undefined; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const alive = runtime.containers.filter(({ state }) => state === "running" || state === "unknown");
  const sidecars =
    pod === undefined
      ? []
      : initContainers(pod)
          .filter(isSidecar)
          .map(({ name }) => name);
  const kills = new Map<string, Promise<void>>();
  const regular = alive
    .filter(({ name }) => !sidecars.includes(name))
    .map((container) => killContainer(context, pod, runtime, container, options));
  let turn: Promise<unknown> = Promise.allSettled(regular);
  for (const name of sidecars.slice().reverse()) {
    const container = alive.find((each) => each.name === name);
    if (container === undefined) continue;
    const kill = killContainer(context, pod, runtime, container, { ...options, turn });
    kills.set(name, kill);
    turn = Promise.allSettled([turn, kill]);
  }
  const results = await Promise.allSettled([...regular, ...kills.values()]);
  await stopSandboxes(context, runtime, options.signal);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

async function stopSandboxes(context: RuntimeContext, runtime: RuntimePod, signal?: AbortSignal): Promise<void> {
  for (const { id } of runtime.sandboxes) {
    try {
      await context.cri.runtime.StopPodSandbox({ pod_sandbox_id: id }, signal === undefined ? {} : { signal });
    } catch (error) {
      if (!(error instanceof RpcError && error.code === "NotFound")) throw error;
    }
  }
}

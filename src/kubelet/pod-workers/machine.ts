/**
 * The lifecycle of one pod on this node: its containers are kept running, then stopped, then cleaned up after. Pure: state and event in, state and
 * work out.
 * Upstream: pkg/kubelet/pod_workers.go
 */
import { unreachable } from "../../base/assert.ts";

export type PodState =
  | { readonly phase: "syncing" }
  | { readonly phase: "terminating"; readonly graceSeconds: number }
  | { readonly phase: "terminated" }
  /** Nothing of the pod is left on the node. */
  | { readonly phase: "finished" };

export type PodEvent =
  /** The pod's source has a new word. `deleting` holds the grace period once a deletion is asked for. */
  | {
      readonly type: "updated";
      readonly deleting: number | undefined;
      readonly terminal: boolean;
      readonly grace: number;
    }
  /** Stop it, whatever the spec says: evicted, removed from its source, preempted. Without a period of its own, the pod's. */
  | { readonly type: "killed"; readonly graceSeconds: number | undefined; readonly grace: number }
  /** Its containers ended and none may start again. */
  | { readonly type: "completed"; readonly grace: number }
  | { readonly type: "containers stopped" }
  | { readonly type: "cleaned up" };

export type PodWork = "sync" | "stop containers" | "clean up" | "nothing";

export const initial: PodState = { phase: "syncing" };

export function workOf(state: PodState): PodWork {
  switch (state.phase) {
    case "syncing":
      return "sync";
    case "terminating":
      return "stop containers";
    case "terminated":
      return "clean up";
    case "finished":
      return "nothing";
    default:
      return unreachable(state);
  }
}

export function step(state: PodState, event: PodEvent): PodState {
  switch (event.type) {
    case "updated":
      if (event.deleting === undefined && !event.terminal) return state;
      return terminate(state, event.deleting ?? event.grace);
    case "killed":
      return terminate(state, event.graceSeconds ?? event.grace);
    case "completed":
      return terminate(state, event.grace);
    case "containers stopped":
      return state.phase === "terminating" ? { phase: "terminated" } : state;
    case "cleaned up":
      return state.phase === "terminated" ? { phase: "finished" } : state;
    default:
      return unreachable(event);
  }
}

/** At least a second. A grace period may shrink, never grow: an eviction overtakes a slow delete, and not the reverse. */
function terminate(state: PodState, graceSeconds: number): PodState {
  const grace = Math.max(1, graceSeconds);
  if (state.phase === "syncing") return { phase: "terminating", graceSeconds: grace };
  if (state.phase !== "terminating" || state.graceSeconds <= grace) return state;
  return { phase: "terminating", graceSeconds: grace };
}

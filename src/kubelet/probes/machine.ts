/** Applies thresholds: from single probe results to the probe's state. Pure. Upstream: pkg/kubelet/prober/worker.go */

export type ProbeKind = "startup" | "liveness" | "readiness";
export type ProbeAnswer = "success" | "failure" | "unknown";

export interface ProbeState {
  readonly last: ProbeAnswer | undefined;
  readonly run: number;
  /** What others see. */
  readonly published: "success" | "failure" | undefined;
  /** Nothing more to ask until there is a new container. */
  readonly onHold: boolean;
}

/** Of a container that has just started: not ready, alive, and not known to be up. */
export function initialProbeState(kind: ProbeKind): ProbeState {
  return {
    last: undefined,
    run: 0,
    published: kind === "readiness" ? "failure" : kind === "liveness" ? "success" : undefined,
    onHold: false,
  };
}

export function probed(
  state: ProbeState,
  kind: ProbeKind,
  answer: ProbeAnswer,
  thresholds: { readonly successThreshold: number; readonly failureThreshold: number },
): ProbeState {
  if (answer === "unknown") return state; // The probe itself failed: that says nothing of the container.
  const run = state.last === answer ? state.run + 1 : 1;
  const needed = answer === "failure" ? thresholds.failureThreshold : thresholds.successThreshold;
  if (run < needed) return { ...state, last: answer, run };
  const onHold = (kind === "liveness" && answer === "failure") || kind === "startup";
  return { last: answer, run: onHold ? 0 : run, published: answer, onHold };
}

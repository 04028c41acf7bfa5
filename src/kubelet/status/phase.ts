/** A pod's phase from its containers' states. Pure. Upstream: pkg/kubelet/kubelet_pods.go getPhase */
import { isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { ContainerStatus, Pod } from "../../api/generated/core.v1.ts";
import { initContainers, isStatic, restartPolicyOf } from "../pod.ts";
import { initIsRestartable } from "../runtime/actions.ts";

export function phaseOf(
  pod: Pod,
  statuses: readonly ContainerStatus[],
  options: { readonly terminal: boolean; readonly initialized: boolean },
): string {
  const by = new Map(statuses.map((status) => [status.name, status]));
  let pendingInit = 0;
  let pendingSidecars = 0;
  let failedForGood = 0;
  let unknown = 0;
  let running = 0;
  let waiting = 0;
  let stopped = 0;
  let succeeded = 0;

  for (const container of initContainers(pod)) {
    const status = by.get(container.name);
    if (isSidecar(container)) {
      if (status === undefined) unknown++;
      else if (status.state.running !== undefined) {
        if (status.started !== true) pendingSidecars++;
        running++;
      } else if (status.state.terminated === undefined && status.lastState.terminated === undefined) {
        pendingSidecars++;
        waiting++;
      }
      continue;
    }
    const ended = status?.state.terminated ?? status?.lastState.terminated;
    if (status === undefined || status.state.running !== undefined || ended === undefined) pendingInit++;
    else if (ended.exitCode !== 0) {
      if (!initIsRestartable(pod, container)) failedForGood++;
      else pendingInit++;
    }
  }
  let anyRestarts = false;
  for (const container of pod.spec.containers) {
    const status = by.get(container.name);
    if (status === undefined) unknown++;
    else if (status.state.running !== undefined) running++;
    else if (status.state.terminated !== undefined || status.lastState.terminated !== undefined) {
      stopped++;
      const { exitCode } = (status.state.terminated ?? status.lastState.terminated)!;
      if (exitCode === 0) succeeded++;
      const policy = container.restartPolicy ?? restartPolicyOf(pod);
      anyRestarts ||=
        policy === "Always" || (policy === "OnFailure" && exitCode !== 0) || restartsByRule(container, exitCode);
    } else waiting++;
  }

  if (failedForGood > 0) return "Failed";
  if (pendingInit > 0 || (pendingSidecars > 0 && !options.initialized)) {
    // A pod that is over and was never initialised did not succeed.
    return options.terminal ? "Failed" : "Pending";
  }
  if (waiting > 0) return "Pending";
  if (running > 0 && unknown === 0) return "Running";
  if (running === 0 && stopped > 0 && unknown === 0) {
    if (options.terminal && !isStatic(pod)) return stopped === succeeded ? "Succeeded" : "Failed";
    if (anyRestarts) return "Running";
    return stopped === succeeded ? "Succeeded" : "Failed";
  }
  return "Pending";
}

function restartsByRule(container: Pod["spec"]["containers"][number], exitCode: number): boolean {
  return (container.restartPolicyRules ?? []).some(({ exitCodes }) => {
    const listed = exitCodes?.values?.includes(exitCode) ?? false;
    return exitCodes?.operator === "NotIn" ? !listed : listed;
  });
}

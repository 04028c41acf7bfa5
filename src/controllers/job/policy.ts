/** What a pod's failure means to its Job, by the rules of `podFailurePolicy`. Pure. Upstream: pkg/controller/job/pod_failure_policy.go */
import type { PodFailurePolicy, PodFailurePolicyRule } from "../../api/generated/batch.v1.ts";
import type { ContainerStatus, Pod } from "../../api/generated/core.v1.ts";

export type Effect =
  | { readonly action: "Count" | "Ignore" | "FailIndex" }
  | { readonly action: "FailJob"; readonly message: string };

export function effectOf(policy: PodFailurePolicy | undefined, pod: Pod): Effect {
  for (const [i, rule] of (policy?.rules ?? []).entries()) {
    const why = matches(rule, pod);
    if (why === undefined) continue;
    if (rule.action === "FailJob") return { action: "FailJob", message: `${why} matching FailJob rule at index ${i}` };
    return { action: rule.action as "Count" | "Ignore" | "FailIndex" };
  }
  return { action: "Count" };
}

function matches({ onExitCodes, onPodConditions }: PodFailurePolicyRule, pod: Pod): string | undefined {
  const where = `${pod.metadata.namespace}/${pod.metadata.name}`;
  if (onExitCodes !== undefined) {
    const { containerName, operator, values } = onExitCodes;
    const statuses = [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])];
    for (const { name, state } of statuses as readonly ContainerStatus[]) {
      const code = state?.terminated?.exitCode;
      if (code === undefined || code === 0 || (containerName !== undefined && containerName !== name)) continue;
      if (values.includes(code) === (operator === "In"))
        return `Container ${name} for pod ${where} failed with exit code ${code}`;
    }
    return undefined;
  }
  for (const { type, status = "True" } of onPodConditions ?? [])
    if (pod.status.conditions?.some((condition) => condition.type === type && condition.status === status))
      return `Pod ${where} has condition ${type}`;
  return undefined;
}

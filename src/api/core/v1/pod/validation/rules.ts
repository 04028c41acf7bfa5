/**
 * What validation of a pod or template goes by: whose spec it is, and what is let pass because the stored object has it already or a gate is on.
 * Upstream: pkg/api/pod/util.go (GetValidationOptionsFromPodSpecAndMeta)
 */
import type { Container, PodAffinityTerm, PodSpec } from "../../../../generated/core.v1.ts";
import { validateLabelSelector } from "../../../../../machinery/validation/checks.ts";
import { isLabelValue } from "../../../../../machinery/validation/names.ts";
import { isSidecar } from "../resources.ts";
import { containersOf } from "./containers-of.ts";
import { isIndivisible } from "./resources.ts";
import { hasRepeatedKeys } from "./scheduling.ts";
import { isHostSysctl } from "./security.ts";
import { isNonReservedPath } from "./volume-sources.ts";

export interface PodRules {
  readonly isPod: boolean;
  /** The name of the pod; unknown in a template. */
  readonly podName?: string;
  readonly isMirror: boolean;
  readonly allowPrivileged: boolean;
  readonly allowInvalidSelectorValues: boolean;
  readonly allowInvalidNodeSelectorValues: boolean;
  readonly allowInvalidSpreadSelector: boolean;
  /** The stored constraints repeat keys: the rule of before is good enough. */
  readonly legacySpreadKeys: boolean;
  readonly allowOddHugePages: boolean;
  readonly allowOddTokenPath: boolean;
  readonly allowHostSysctls: boolean;
  readonly allowRestartOfInitContainers: boolean;
  readonly allowDevicesOfUsers: boolean;
  readonly allowHostNetworkOfUsers: boolean;
  readonly allowComparison: boolean;
  readonly onlyRecursiveSelinux: boolean;
  readonly allowRestartOfAll: boolean;
  readonly allowEnvFiles: boolean;
}

export interface Origin {
  readonly isPod: boolean;
  readonly podName?: string;
  readonly isMirror?: boolean;
  readonly old?: PodSpec | undefined;
  readonly gates?: ReadonlyMap<string, boolean> | undefined;
  readonly allowPrivileged?: boolean | undefined;
}

export function podRules({ isPod, podName, isMirror = false, old, gates, allowPrivileged = true }: Origin): PodRules {
  const on = (gate: string) => gates?.get(gate) === true;
  const off = (gate: string) => gates?.get(gate) === false;
  return {
    isPod,
    ...(podName !== undefined && { podName }),
    isMirror,
    allowPrivileged,
    allowInvalidSelectorValues: old !== undefined && podAffinityTerms(old).some(hasInvalidSelector),
    allowInvalidNodeSelectorValues: old !== undefined && hasInvalidNodeSelector(old),
    allowInvalidSpreadSelector:
      old?.topologySpreadConstraints?.some(
        ({ labelSelector }) => validateLabelSelector(labelSelector, "").length > 0,
      ) === true,
    legacySpreadKeys: old?.topologySpreadConstraints?.some(hasRepeatedKeys) === true,
    allowOddHugePages: old !== undefined && hasOddHugePages(old),
    allowOddTokenPath: old !== undefined && hasOddTokenPath(old),
    allowHostSysctls: old?.securityContext?.sysctls?.some(({ name }) => isHostSysctl(name, old)) === true,
    allowRestartOfInitContainers:
      old?.initContainers?.some(
        (container) =>
          !isSidecar(container) &&
          container.resizePolicy?.some(({ restartPolicy }) => restartPolicy === "RestartContainer") === true,
      ) === true,
    allowDevicesOfUsers:
      old?.hostUsers === false &&
      containersOf(old, "").some(({ container }) => (container.volumeDevices ?? []).length > 0),
    allowHostNetworkOfUsers:
      on("UserNamespacesHostNetworkSupport") || (old?.hostUsers === false && old.hostNetwork === true),
    allowComparison:
      on("TaintTolerationComparisonOperators") ||
      old?.tolerations?.some(({ operator }) => operator === "Lt" || operator === "Gt") === true,
    allowRestartOfAll: !off("RestartAllContainersOnContainerExits") || (old !== undefined && restartsAll(old)),
    allowEnvFiles: !off("EnvFiles") || (old !== undefined && hasFileKeys(old)),
    onlyRecursiveSelinux: !on("SELinuxMount") && old?.securityContext?.seLinuxChangePolicy === undefined,
  };
}

function restartsAll({ initContainers = [], containers = [] }: PodSpec): boolean {
  const rulesOf = ({ restartPolicyRules = [] }: Container) => restartPolicyRules;
  return (
    [...initContainers, ...containers].some((one) =>
      rulesOf(one).some(({ action }) => action === "RestartAllContainers"),
    ) || initContainers.some((one) => isSidecar(one) && rulesOf(one).length > 0)
  );
}

function hasFileKeys(spec: PodSpec): boolean {
  return containersOf(spec, "").some(({ container }) =>
    container.env?.some(({ valueFrom }) => valueFrom?.fileKeyRef !== undefined),
  );
}

function podAffinityTerms({ affinity }: PodSpec): readonly PodAffinityTerm[] {
  return [affinity?.podAffinity, affinity?.podAntiAffinity].flatMap((kind) => [
    ...(kind?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(kind?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ podAffinityTerm }) => podAffinityTerm),
  ]);
}

const hasInvalidSelector = ({ labelSelector, namespaceSelector }: PodAffinityTerm): boolean =>
  [labelSelector, namespaceSelector].some((selector) => validateLabelSelector(selector, "").length > 0);

function hasInvalidNodeSelector({ affinity }: PodSpec): boolean {
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms.some(({ matchExpressions = [] }) =>
    matchExpressions.some(({ values = [] }) => values.some((value) => isLabelValue(value).length > 0)),
  );
}

function hasOddHugePages(spec: PodSpec): boolean {
  const lists = containersOf(spec, "").flatMap(({ container }) => [
    container.resources?.limits,
    container.resources?.requests,
  ]);
  return [...lists, spec.overhead].some((list) =>
    Object.entries(list ?? {}).some(([name, text]) => isIndivisible(name, text)),
  );
}

function hasOddTokenPath({ volumes = [] }: PodSpec): boolean {
  return volumes.some(({ projected }) =>
    projected?.sources?.some(
      ({ serviceAccountToken: token }) => token !== undefined && isNonReservedPath(token.path ?? "").length > 0,
    ),
  );
}

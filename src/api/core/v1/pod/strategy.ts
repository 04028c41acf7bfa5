/** What happens to a pod between the request and the store. Upstream: pkg/registry/core/pod/strategy.go */
import type { Mutable } from "../../../../base/mutable.ts";
import type { Behaviour, HookContext } from "../../../../machinery/resource.ts";
import type { LabelSelector } from "../../../../machinery/meta/types.ts";
import { keep, keepMetadata, nextGeneration } from "../../../define.ts";
import type { AppArmorProfile, Container, Pod, PodAffinityTerm, PodCondition } from "../../../generated/core.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { dropDisabledFields, dropDisabledStatus } from "./disabled-fields.ts";
import { validateAppArmor } from "./validation/security.ts";
import { mirrorServiceAccount } from "./defaults.ts";
import { qosClassOf } from "./resources.ts";

export function preparePodForCreate(pod: Mutable<Pod>, { featureGates, now, warn }: HookContext): void {
  pod.metadata.generation = 1;
  const status: Mutable<Pod["status"]> = { phase: "Pending", qosClass: pod.status?.qosClass || qosClassOf(pod.spec) };
  if ((pod.spec.schedulingGates ?? []).length > 0)
    status.conditions = [
      {
        type: "PodScheduled",
        status: "False",
        lastTransitionTime: now,
        reason: "SchedulingGated",
        message: "Scheduling is blocked due to non-empty scheduling gates",
      },
    ];
  pod.status = status;
  dropDisabledFields(pod.spec, undefined, featureGates);
  mergeLabelKeys(pod);
  copyAppArmorAnnotations(pod, warn);
}

export function preparePodForUpdate(pod: Mutable<Pod>, old: Pod, { featureGates }: HookContext): void {
  dropDisabledFields(pod.spec, old.spec, featureGates);
}

/** `canonicalize`: admission may have set the account by now. */
export function canonicalizePod(pod: Mutable<Pod>): void {
  mirrorServiceAccount(pod.spec);
}

/** `matchLabelKeys` mean the values of this pod, so they are resolved once and for all when it is made. */
function mergeLabelKeys(pod: Mutable<Pod>): void {
  const labels = pod.metadata.labels ?? {};
  const { affinity } = pod.spec;
  for (const kind of [affinity?.podAffinity, affinity?.podAntiAffinity]) {
    for (const term of kind?.requiredDuringSchedulingIgnoredDuringExecution ?? []) mergeTerm(term, labels);
    for (const { podAffinityTerm } of kind?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
      mergeTerm(podAffinityTerm, labels);
  }
  for (const constraint of pod.spec.topologySpreadConstraints ?? [])
    addRequirements(constraint.labelSelector, constraint.matchLabelKeys, "In", labels);
}

function mergeTerm(term: Mutable<PodAffinityTerm>, labels: Readonly<Record<string, string>>): void {
  addRequirements(term.labelSelector, term.matchLabelKeys, "In", labels);
  addRequirements(term.labelSelector, term.mismatchLabelKeys, "NotIn", labels);
}

function addRequirements(
  selector: Mutable<LabelSelector> | undefined,
  keys: readonly string[] | undefined,
  operator: string,
  labels: Readonly<Record<string, string>>,
): void {
  if (selector === undefined) return;
  for (const key of keys ?? []) {
    const value = labels[key];
    if (value !== undefined) (selector.matchExpressions ??= []).push({ key, operator, values: [value] });
  }
}

const APPARMOR_PREFIX = "container.apparmor.security.beta.kubernetes.io/";

function copyAppArmorAnnotations(pod: Mutable<Pod>, warn: HookContext["warn"]): void {
  if (pod.spec.os?.name === "windows") return;
  const containers: readonly Mutable<Container>[] = [
    ...(pod.spec.initContainers ?? []),
    ...(pod.spec.containers ?? []),
    ...(pod.spec.ephemeralContainers ?? []),
  ];
  for (const container of containers) {
    const key = APPARMOR_PREFIX + container.name;
    const text = pod.metadata.annotations?.[key];
    if (text === undefined || container.securityContext?.appArmorProfile !== undefined) continue;
    const profile = appArmorProfileOf(text);
    const valid = profile !== undefined && validateAppArmor(profile, "").length === 0;
    // A container has its pod's profile without saying so.
    if (valid && semanticEqual(profile, pod.spec.securityContext?.appArmorProfile)) continue;
    if (valid) (container.securityContext ??= {}).appArmorProfile = profile;
    warn?.(`metadata.annotations[${key}]: deprecated since v1.30; use the "appArmorProfile" field instead`);
  }
}

export function appArmorProfileOf(text: string): Mutable<AppArmorProfile> | undefined {
  if (text === "unconfined") return { type: "Unconfined" };
  if (text === "runtime/default") return { type: "RuntimeDefault" };
  if (text.startsWith("localhost/") && text.length > 10)
    return { type: "Localhost", localhostProfile: text.slice("localhost/".length) };
  return undefined;
}

/** Kubelets and controllers write status; labels, annotations and finalizers may change with it, owners may not. */
export function preparePodStatus(pod: Mutable<Pod>, old: Pod, { featureGates }: HookContext): void {
  keep(pod.metadata, old.metadata as Mutable<Pod["metadata"]>, "deletionTimestamp");
  keep(pod.metadata, old.metadata as Mutable<Pod["metadata"]>, "ownerReferences");
  const status = (pod.status ??= {});
  const before = old.status ?? {};
  if (!status.qosClass && before.qosClass !== undefined) status.qosClass = before.qosClass;
  if (!status.observedGeneration && before.observedGeneration !== undefined)
    status.observedGeneration = before.observedGeneration;
  for (const condition of status.conditions ?? []) {
    const previous = before.conditions?.find(({ type }: PodCondition) => type === condition.type);
    if (!condition.observedGeneration && previous?.observedGeneration !== undefined)
      condition.observedGeneration = previous.observedGeneration;
  }
  dropDisabledStatus(status, before, featureGates);
  const { podIP, podIPs } = status;
  if (podIP && podIPs?.[0]?.ip !== podIP) status.podIPs = [{ ip: podIP }];
  else if (!podIP && podIPs?.[0] !== undefined) status.podIP = podIPs[0].ip;
}

/** Only the list of ephemeral containers comes from the request. */
export const ephemeralContainersView: Behaviour<Pod> = {
  prepareForUpdate(pod, old, { featureGates }) {
    const wanted = pod.spec.ephemeralContainers;
    keepAllBut(pod, old);
    if (wanted === undefined) delete pod.spec.ephemeralContainers;
    else pod.spec.ephemeralContainers = wanted;
    dropDisabledFields(pod.spec, old.spec, featureGates);
    if (!semanticEqual(pod.spec, old.spec)) nextGeneration(pod, old);
  },
};

/** Only resources and resize policies come from the request; when the containers don't line up validation says so. */
export const resizeView: Behaviour<Pod> = {
  prepareForUpdate(pod, old, { featureGates }) {
    const wanted = pod.spec;
    const lists = ["containers", "initContainers"] as const;
    if (lists.some((list) => (wanted[list] ?? []).length !== (old.spec[list] ?? []).length)) {
      dropDisabledFields(pod.spec, old.spec, featureGates);
      nextGeneration(pod, old);
      return;
    }
    keepAllBut(pod, old);
    for (const list of lists) {
      const [is, was] = [wanted[list] ?? [], pod.spec[list] ?? []];
      if (is.some(({ name }, i) => name !== was[i]!.name)) {
        pod.spec[list] = is;
        continue;
      }
      for (const [i, container] of was.entries()) {
        const from = is[i]!;
        container.resources = from.resources;
        if (from.resizePolicy === undefined) delete container.resizePolicy;
        else container.resizePolicy = from.resizePolicy;
      }
    }
    if (featureGates.get("InPlacePodLevelResourcesVerticalScaling") === false) keep(pod.spec, old.spec, "resources");
    else if (wanted.resources === undefined) delete pod.spec.resources;
    else pod.spec.resources = wanted.resources;
    dropDisabledFields(pod.spec, old.spec, featureGates);
    if (!semanticEqual(pod.spec, old.spec)) nextGeneration(pod, old);
  },
};

function keepAllBut(pod: Mutable<Pod>, old: Pod): void {
  keepMetadata(pod, old);
  pod.spec = structuredClone(old.spec) as Mutable<Pod["spec"]>;
  keep(pod, old as Mutable<Pod>, "status");
}

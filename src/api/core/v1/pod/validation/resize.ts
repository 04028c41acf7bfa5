/**
 * A running pod gets more or less: processors and memory of its containers, or of itself.
 * Upstream: pkg/apis/core/validation/validation.go (ValidatePodResize)
 */
import { type FieldError, fieldForbidden, invalid } from "../../../../../machinery/validation/field-error.ts";
import type { Container, Pod, PodSpec, ResourceRequirements } from "../../../../generated/core.v1.ts";
import { semanticEqual } from "../../../../semantic-equal.ts";
import { isSidecar, qosClassOf } from "../resources.ts";
import { MIRROR, NOWHERE } from "./annotations.ts";
import { type PodContext, rulesOfWrite, validateAnyPod } from "./pod.ts";

export function validateResize(pod: Pod, old: Pod, context: PodContext): FieldError[] {
  if (MIRROR in (old.metadata.annotations ?? {})) return [fieldForbidden(NOWHERE, "static pods cannot be resized")];
  if (old.spec.os?.name === "windows") return [fieldForbidden(NOWHERE, "windows pods cannot be resized")];
  const errors = validateAnyPod(pod, rulesOfWrite(pod, old, context));
  if ((old.status?.qosClass ?? qosClassOf(old.spec)) !== qosClassOf(pod.spec))
    errors.push(invalid("spec", pod.status?.qosClass ?? "", "Pod QOS Class may not change as a result of resizing"));
  if (!nodeCanResize(old)) errors.push(fieldForbidden("spec", "Pod running on node without support for resize"));
  const atPodLevel = hasAmounts(old.spec.resources) || hasAmounts(pod.spec.resources);
  const on = (gate: string) => context.featureGates.get(gate) !== false;
  if (atPodLevel && !on("InPlacePodLevelResourcesVerticalScaling"))
    return [...errors, fieldForbidden(NOWHERE, GATE_OFF)];
  if (atPodLevel) errors.push(...validatePodLevel(pod.spec.resources, old.spec.resources));
  if ((old.status?.nodeAllocatableResourceClaimStatuses ?? []).length > 0)
    errors.push(fieldForbidden("spec", "pods with node allocatable resource claims cannot be resized"));
  const resizeInit = on("InPlacePodVerticalScalingInitContainers");
  const moved = validateOrder(pod.spec, old.spec);
  if (moved.length > 0) return [...errors, ...moved];
  errors.push(
    ...validateNothingRemoved(pod.spec, old.spec, "initContainers", (one) => resizeInit || isSidecar(one)),
    ...validateNothingRemoved(pod.spec, old.spec, "containers", () => true),
    ...validateContainers(pod.spec, old.spec),
    ...validateInitContainers(pod.spec, old.spec, resizeInit),
  );
  if (errors.length === 0 && !semanticEqual(othersOf(pod.spec, atPodLevel), othersOf(old.spec, atPodLevel)))
    errors.push(fieldForbidden("spec", "only cpu and memory resources are mutable"));
  return errors;
}

const GATE_OFF =
  "resize of pods with pod-level resources is forbidden when InPlacePodLevelResourcesVerticalScalingEnabled feature gate is disabled";

/** A kubelet that can resize says what the running containers have. */
function nodeCanResize({ status }: Pod): boolean {
  const running = status?.containerStatuses?.find(({ state }) => state?.running !== undefined);
  return running === undefined || running.resources !== undefined;
}

const hasAmounts = (resources: ResourceRequirements | undefined): boolean =>
  Object.keys({ ...resources?.requests, ...resources?.limits }).length > 0;

function validatePodLevel(
  now: ResourceRequirements | undefined,
  before: ResourceRequirements | undefined,
): FieldError[] {
  if (before !== undefined && now === undefined)
    return [fieldForbidden("spec.resources", "pod-level resources cannot be removed")];
  const errors = (["requests", "limits"] as const)
    .filter((kind) => isRemoved(now?.[kind], before?.[kind]))
    .map((kind) => fieldForbidden(`spec.resources.${kind}`, `pod-level resource ${kind} cannot be removed`));
  const munged = withComputeOf(now!, before);
  const same =
    before === undefined
      ? !hasAmounts(munged) && (munged.claims ?? []).length === 0
      : semanticEqual(munged, { limits: {}, requests: {}, ...before });
  if (!same) errors.push(fieldForbidden("spec", "only cpu and memory resources are mutable at pod-level"));
  return errors;
}

function validateOrder(spec: PodSpec, old: PodSpec): FieldError[] {
  return (["containers", "initContainers"] as const).flatMap((list) => {
    const [now, before] = [spec[list] ?? [], old[list] ?? []];
    if (now.length !== before.length)
      return [fieldForbidden(`spec.${list}`, `${list} may not be added or removed on resize`)];
    return before.flatMap(({ name }, i) =>
      now[i]!.name === name
        ? []
        : [fieldForbidden(`spec.${list}[${i}].name`, `${list} may not be renamed or reordered on resize`)],
    );
  });
}

function validateNothingRemoved(
  spec: PodSpec,
  old: PodSpec,
  list: "containers" | "initContainers",
  counts: (container: Container) => boolean,
): FieldError[] {
  return (old[list] ?? []).flatMap((container, i) =>
    (counts(container) ? (["requests", "limits"] as const) : [])
      .filter((kind) => isRemoved(spec[list]![i]!.resources?.[kind], container.resources?.[kind]))
      .map((kind) => fieldForbidden(`spec.${list}[${i}].resources.${kind}`, `resource ${kind} cannot be removed`)),
  );
}

function isRemoved(now: Readonly<Record<string, string>> = {}, before: Readonly<Record<string, string>> = {}): boolean {
  return Object.keys(before).some((name) => !(name in now));
}

function validateContainers(spec: PodSpec, old: PodSpec): FieldError[] {
  return (spec.containers ?? [])
    .filter((container, i) => !isSameBesideCompute(container, old.containers[i]!))
    .map(() => fieldForbidden("spec", "only cpu and memory resources are mutable"));
}

function validateInitContainers(spec: PodSpec, old: PodSpec, resizeInit: boolean): FieldError[] {
  return (spec.initContainers ?? []).flatMap((container, i) => {
    const before = old.initContainers![i]!;
    const path = `spec.initContainers[${i}]`;
    const modified = !semanticEqual(withAmounts(container), withAmounts(before));
    if (!resizeInit && !isSidecar(container))
      return modified ? [fieldForbidden("spec", "resources for non-sidecar init containers are immutable")] : [];
    const errors: FieldError[] = [];
    if (!isSameBesideCompute(container, before))
      errors.push(fieldForbidden(path, "only cpu and memory resources for init or sidecar containers are mutable"));
    if (isSidecar(container) || !modified) return errors;
    for (const { restartPolicy } of container.resizePolicy ?? [])
      if (restartPolicy === "RestartContainer")
        errors.push(
          fieldForbidden(
            path,
            "non-sidecar init containers with a resize policy of RestartContainer cannot be resized",
          ),
        );
    return errors;
  });
}

const withAmounts = (container: Container) => ({ ...container, resources: container.resources ?? {} });

/** Claims don't survive the comparison: a container that has some is never the same. */
function isSameBesideCompute(container: Container, before: Container): boolean {
  const { claims: _, ...amounts } = withComputeOf(container.resources ?? {}, before.resources);
  return semanticEqual(
    { ...container, resources: amounts },
    { ...before, resources: { limits: {}, requests: {}, ...before.resources } },
  );
}

function withComputeOf(now: ResourceRequirements, before: ResourceRequirements | undefined): ResourceRequirements {
  const list = (kind: "limits" | "requests") => {
    const amounts: Record<string, string> = { ...now[kind] };
    for (const name of ["cpu", "memory"]) {
      const old = before?.[kind]?.[name];
      if (old === undefined) delete amounts[name];
      else amounts[name] = old;
    }
    return amounts;
  };
  return { ...now, limits: list("limits"), requests: list("requests") };
}

/** The spec without what has been compared on its own. */
function othersOf(spec: PodSpec, atPodLevel: boolean): Partial<PodSpec> {
  const { containers: _, initContainers: __, resources, ...rest } = spec;
  return atPodLevel || resources === undefined ? rest : { ...rest, resources };
}

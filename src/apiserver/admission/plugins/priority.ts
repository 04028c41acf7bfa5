/** Resolves a pod's priority class to its priority. Upstream: plugin/pkg/admission/priority. */
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

const CLASSES = "priorityclasses.scheduling.k8s.io";
/** The system's classes count before the server has made them. */
const SYSTEM: Readonly<Record<string, number>> = {
  "system-node-critical": 2000001000,
  "system-cluster-critical": 2000000000,
};
const GROUPS = "podgroups.scheduling.k8s.io";

export const priority = defineAdmission({
  name: "Priority",
  onByDefault: true,
  reads: [CLASSES],
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods", GROUPS, CLASSES] },
  admit(request, context) {
    const { resource, operation } = request;
    if (resource.plural === "pods") {
      if (operation === "CREATE") resolve(request, context);
      else keep(request);
    }
    if (resource.plural === "podgroups" && operation === "CREATE" && context.gate("WorkloadAwarePreemption", false))
      resolveGroup(request, context);
  },
  validate(request, { cluster }) {
    if (request.resource.plural !== "priorityclasses" || request.object.globalDefault !== true) return;
    const other = defaultClass(cluster);
    if (other !== undefined && (request.operation === "CREATE" || other.metadata.name !== request.object.metadata.name))
      throw refuse(
        request,
        `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`,
      );
  },
});

/** A client that replaces a pod need not know the number. */
function keep({ object, oldObject }: AdmissionRequest): void {
  for (const field of ["priority", "preemptionPolicy"] as const)
    if (object.spec[field] === undefined && oldObject.spec[field] !== undefined)
      object.spec[field] = oldObject.spec[field];
}

/** Should there be several, the lowest. */
function defaultClass(cluster: AdmissionContext["cluster"]): AnyObject | undefined {
  return cluster
    .list(CLASSES)
    .filter((one) => one.globalDefault === true)
    .reduce<AnyObject>((least, one) => (least === undefined || one.value < least.value ? one : least), undefined);
}

interface Established {
  readonly name: string;
  readonly value: number;
  readonly policy: string | undefined;
}

function establish(request: AdmissionRequest, { cluster }: AdmissionContext): Established {
  const name: string = request.object.spec.priorityClassName ?? "";
  const found = name === "" ? defaultClass(cluster) : cluster.get(CLASSES, "", name);
  if (found !== undefined) return { name: found.metadata.name, value: found.value, policy: found.preemptionPolicy };
  if (name !== "" && SYSTEM[name] === undefined) throw refuse(request, `no PriorityClass with name ${name} was found`);
  return { name, value: SYSTEM[name] ?? 0, policy: "PreemptLowerPriority" };
}

function resolve(request: AdmissionRequest, context: AdmissionContext): void {
  const { spec } = request.object;
  const { name, value, policy } = establish(request, context);
  if (name !== "") spec.priorityClassName = name;
  if (spec.priority !== undefined && spec.priority !== value)
    throw refuse(
      request,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
    );
  spec.priority = value;
  if (policy === undefined) return;
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy)
    throw refuse(
      request,
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
    );
  spec.preemptionPolicy = policy;
}

function resolveGroup(request: AdmissionRequest, context: AdmissionContext): void {
  const { spec } = request.object;
  const { name, value } = establish(request, context);
  if (spec.priority !== undefined && spec.priority !== value)
    throw refuse(
      request,
      `priority set in the pod group (${spec.priority}) must match the priority computed (${value}) based on the priority class set in the spec`,
    );
  spec.priority = value;
  if (name !== "") spec.priorityClassName = name;
}

/** The class of a pod becomes a number. Upstream: plugin/pkg/admission/priority. */
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

const CLASSES = "priorityclasses.scheduling.k8s.io";
const SYSTEM: Readonly<Record<string, number>> = {
  "system-node-critical": 2000001000,
  "system-cluster-critical": 2000000000,
};

export const priority = defineAdmission({
  name: "Priority",
  onByDefault: true,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods", CLASSES] },
  admit(request, context) {
    if (request.resource.plural !== "pods") return;
    if (request.operation === "CREATE") resolve(request, context);
    else keep(request);
  },
  validate(request, { cluster }) {
    if (request.resource.plural !== "priorityclasses" || request.object.globalDefault !== true) return;
    const other = cluster.list(CLASSES).find((one) => one.globalDefault === true);
    if (other !== undefined && other.metadata.name !== request.object.metadata.name)
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

function resolve(request: AdmissionRequest, { cluster }: AdmissionContext): void {
  const { spec } = request.object;
  let value = 0;
  let policy = "PreemptLowerPriority";
  const name: string = spec.priorityClassName ?? "";
  if (name === "") {
    const fallback = cluster
      .list(CLASSES)
      .filter((one) => one.globalDefault === true)
      .reduce<AnyObject>((least, one) => (least === undefined || one.value < least.value ? one : least), undefined);
    if (fallback !== undefined) {
      spec.priorityClassName = fallback.metadata.name;
      value = fallback.value;
      policy = fallback.preemptionPolicy ?? policy;
    }
  } else {
    const found = cluster.get(CLASSES, "", name);
    if (found === undefined && SYSTEM[name] === undefined)
      throw refuse(request, `no PriorityClass with name ${name} was found`);
    value = found?.value ?? SYSTEM[name]!;
    policy = found?.preemptionPolicy ?? policy;
  }
  if (spec.priority !== undefined && spec.priority !== value)
    throw refuse(
      request,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
    );
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy)
    throw refuse(
      request,
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
    );
  spec.priority = value;
  spec.preemptionPolicy = policy;
}

/** A pod gets the overhead and the placement of its runtime class. Upstream: plugin/pkg/admission/runtimeclass */
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

export const runtimeClass = defineAdmission({
  name: "RuntimeClass",
  onByDefault: true,
  handles: { operations: ["CREATE"], resources: ["pods"] },
  admit(request, context) {
    const { spec } = request.object;
    const found = runtimeClassOf(request, context);
    if (found?.overhead?.podFixed !== undefined) {
      if (spec.overhead !== undefined && JSON.stringify(spec.overhead) !== JSON.stringify(found.overhead.podFixed))
        throw refuse(request, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
      spec.overhead = { ...found.overhead.podFixed };
    }
    if (found?.scheduling === undefined) return;
    for (const [key, value] of Object.entries(found.scheduling.nodeSelector ?? {})) {
      const own = spec.nodeSelector?.[key];
      if (own !== undefined && own !== value)
        throw refuse(
          request,
          `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${String(value)}; pod.spec.nodeSelector[${key}] = ${own}`,
        );
      spec.nodeSelector = { ...spec.nodeSelector, [key]: value };
    }
    const known = new Set((spec.tolerations ?? []).map((toleration: AnyObject) => JSON.stringify(toleration)));
    const more = (found.scheduling.tolerations ?? []).filter((t: AnyObject) => !known.has(JSON.stringify(t)));
    if (more.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...more];
  },
  validate(request, context) {
    const { spec } = request.object;
    const found = runtimeClassOf(request, context);
    if (spec.overhead !== undefined && found?.overhead?.podFixed === undefined)
      throw refuse(request, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
  },
});

function runtimeClassOf(request: AdmissionRequest, { cluster }: AdmissionContext): AnyObject {
  const name: string | undefined = request.object.spec.runtimeClassName;
  if (name === undefined || name === "") return undefined;
  const found = cluster.get("runtimeclasses.node.k8s.io", "", name);
  if (found === undefined) throw refuse(request, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
  return found;
}

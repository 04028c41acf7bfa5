/** A pod gets the overhead, node selector and tolerations of its runtime class. Upstream: plugin/pkg/admission/runtimeclass */
import { canonicalQuantity } from "../../../machinery/meta/quantity.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";
import { mergeTolerations } from "../tolerations.ts";

export const runtimeClass = defineAdmission({
  name: "RuntimeClass",
  onByDefault: true,
  reads: ["runtimeclasses.node.k8s.io"],
  handles: { operations: ["CREATE"], resources: ["pods"] },
  async admit(request, context) {
    const { spec } = request.object;
    const found = await runtimeClassOf(request, context);
    if (found?.overhead !== undefined) {
      const overhead = found.overhead.podFixed ?? {};
      if (Object.keys(spec.overhead ?? {}).length > 0 && !sameAmounts(spec.overhead, overhead)) throw mismatch(request);
      spec.overhead = { ...overhead };
    }
    if (found?.scheduling === undefined) return;
    for (const [key, value] of Object.entries<string>(found.scheduling.nodeSelector ?? {})) {
      const own = spec.nodeSelector?.[key];
      if (own !== undefined && own !== value)
        throw refuse(
          request,
          `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`,
        );
      spec.nodeSelector = { ...spec.nodeSelector, [key]: value };
    }
    const tolerations = mergeTolerations(spec.tolerations ?? [], found.scheduling.tolerations ?? []);
    if (tolerations.length > 0) spec.tolerations = tolerations;
  },
  async validate(request, context) {
    const { spec } = request.object;
    const found = await runtimeClassOf(request, context);
    if (found?.overhead !== undefined) {
      if (!sameAmounts(spec.overhead, found.overhead.podFixed)) throw mismatch(request);
    } else if (spec.overhead !== undefined)
      throw refuse(request, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
  },
});

const mismatch = (request: AdmissionRequest) =>
  refuse(request, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");

type Amounts = Readonly<Record<string, string>> | undefined;

function sameAmounts(a: Amounts, b: Amounts): boolean {
  const text = (amounts: Amounts) =>
    Object.entries(amounts ?? {})
      .map(([name, amount]) => `${name}=${canonicalQuantity(amount)}`)
      .sort()
      .join();
  return text(a) === text(b);
}

async function runtimeClassOf(request: AdmissionRequest, { cluster }: AdmissionContext): Promise<AnyObject> {
  const name: string | undefined = request.object.spec.runtimeClassName;
  if (name === undefined) return undefined;
  const classes = "runtimeclasses.node.k8s.io";
  const found = cluster.get(classes, "", name) ?? (await cluster.live(classes, "", name));
  if (found === undefined) throw refuse(request, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
  return found;
}

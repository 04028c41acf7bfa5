/** A pod cannot be resized beyond what its node has. Upstream: plugin/pkg/admission/podresize */
import { podTotal } from "../../../api/core/v1/resourcequota/usage.ts";
import type { Quantity } from "../../../machinery/meta/quantity.ts";
import {
  compareQuantities,
  milliUnits,
  parseQuantity,
  quantityOf,
  wholeUnits,
} from "../../../machinery/meta/quantity.ts";
import type { AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

export const podResizeValidator = defineAdmission({
  name: "PodResizeValidator",
  onByDefault: true,
  reads: ["nodes"],
  handles: { operations: ["UPDATE"], resources: ["pods"], subresources: ["resize"] },
  validate(request, { cluster }) {
    const { object, oldObject, subresource } = request;
    const name: string = object.spec.nodeName ?? "";
    if (subresource !== "resize" || name === "") return;
    if (object.metadata.generation === oldObject.metadata.generation) return;
    const node = cluster.get("nodes", "", name);
    if (node === undefined) throw refuse(request, `node ${JSON.stringify(name)} not found`);
    const os: string = node.metadata.labels?.["kubernetes.io/os"] ?? "linux";
    if (os !== "linux")
      throw because(
        request,
        "UnsupportedPlatform",
        `pod resize is only supported on linux nodes, node ${JSON.stringify(name)} is ${JSON.stringify(os)}`,
      );
    const excess = exceeding(object, node.status?.allocatable ?? {});
    if (excess.length > 0)
      throw because(request, "NodeCapacity", `node didn't have enough allocatable resources: ${excess.join("; ")}`);
  },
});

function because(request: AdmissionRequest, reason: string, text: string) {
  return refuse(request, text, { causes: [{ reason }] });
}

function exceeding({ spec }: AnyObject, allocatable: Readonly<Record<string, string>>): readonly string[] {
  const requests = podTotal(spec, "requests");
  const units: readonly (readonly [string, (quantity: Quantity) => bigint])[] = [
    ["cpu", milliUnits],
    ["memory", wholeUnits],
  ];
  return units.flatMap(([name, show]) => {
    const wanted = requests[name] ?? quantityOf(0);
    const there = parseQuantity(allocatable[name] ?? "0") ?? quantityOf(0);
    if (compareQuantities(wanted, there) <= 0) return [];
    return [`${name}, requested: ${show(wanted)}, allocatable: ${show(there)}`];
  });
}

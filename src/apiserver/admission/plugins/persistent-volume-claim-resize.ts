/** A claim may grow only if its storage class allows it. Upstream: plugin/pkg/admission/storage/persistentvolume/resize */
import { compareQuantities, parseQuantity, quantityOf } from "../../../machinery/meta/quantity.ts";
import type { AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

export const persistentVolumeClaimResize = defineAdmission({
  name: "PersistentVolumeClaimResize",
  onByDefault: true,
  reads: ["storageclasses.storage.k8s.io"],
  handles: { operations: ["UPDATE"], resources: ["persistentvolumeclaims"] },
  validate(request, { cluster }) {
    const { object, oldObject } = request;
    const size = ({ spec }: AnyObject) => parseQuantity(spec.resources?.requests?.storage ?? "0") ?? quantityOf(0);
    if (compareQuantities(size(object), size(oldObject)) <= 0) return;
    if (oldObject.status?.phase !== "Bound")
      throw refuse(request, "Only bound persistent volume claims can be expanded");
    const name = classOf(object);
    const storageClass =
      name === "" || name !== classOf(oldObject) ? undefined : cluster.get("storageclasses.storage.k8s.io", "", name);
    if (storageClass?.allowVolumeExpansion !== true)
      throw refuse(
        request,
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
      );
  },
});

function classOf({ metadata, spec }: AnyObject): string {
  return metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? spec.storageClassName ?? "";
}

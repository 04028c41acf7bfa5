/** Claims grow only where their class says that they may. Upstream: plugin/pkg/admission/storage/persistentvolume/resize */
import type { AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

export const persistentVolumeClaimResize = defineAdmission({
  name: "PersistentVolumeClaimResize",
  onByDefault: true,
  handles: { operations: ["UPDATE"], resources: ["persistentvolumeclaims"] },
  validate(request, { cluster }) {
    const { object, oldObject } = request;
    const size = (claim: AnyObject): string | undefined => claim.spec.resources?.requests?.storage;
    if (size(object) === size(oldObject) || size(oldObject) === undefined) return;
    if (oldObject.status?.phase !== "Bound")
      throw refuse(request, "Only bound persistent volume claims can be expanded");
    const name: string | undefined = object.spec.storageClassName;
    const storageClass = name === undefined ? undefined : cluster.get("storageclasses.storage.k8s.io", "", name);
    if (storageClass?.allowVolumeExpansion !== true)
      throw refuse(
        request,
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
      );
  },
});

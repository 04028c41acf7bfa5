/**
 * Adds the finalizers that keep claims and volumes from being deleted while they are in use.
 * Upstream: plugin/pkg/admission/storage/storageobjectinuseprotection
 */
import { defineAdmission } from "../framework.ts";

export const storageObjectInUseProtection = defineAdmission({
  name: "StorageObjectInUseProtection",
  onByDefault: true,
  handles: {
    operations: ["CREATE"],
    resources: ["persistentvolumes", "persistentvolumeclaims", "volumeattributesclasses.storage.k8s.io"],
  },
  admit({ resource, object: { metadata } }) {
    const finalizer = {
      persistentvolumes: "kubernetes.io/pv-protection",
      persistentvolumeclaims: "kubernetes.io/pvc-protection",
      volumeattributesclasses: "kubernetes.io/vac-protection",
    }[resource.plural]!;
    if (!(metadata.finalizers ?? []).includes(finalizer))
      metadata.finalizers = [...(metadata.finalizers ?? []), finalizer];
  },
});

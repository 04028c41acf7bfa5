/**
 * Claims and ingresses that name no class get the default class; if several classes are default, the newest of them.
 * Upstream: plugin/pkg/admission/{storage/storageclass/setdefault,network/defaultingressclass}
 */
import type { AnyObject } from "../framework.ts";
import { defineAdmission } from "../framework.ts";

const newestFirst = (a: AnyObject, b: AnyObject): number =>
  Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp) ||
  (a.metadata.name < b.metadata.name ? -1 : 1);

export const defaultStorageClass = defineAdmission({
  name: "DefaultStorageClass",
  onByDefault: true,
  reads: ["storageclasses.storage.k8s.io"],
  handles: { operations: ["CREATE"], resources: ["persistentvolumeclaims"] },
  admit({ object }, { cluster }) {
    // The empty name is a choice: no class at all.
    if (object.spec.storageClassName !== undefined) return;
    if (object.metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] !== undefined) return;
    const isDefault = ({ metadata }: AnyObject) =>
      metadata.annotations?.["storageclass.kubernetes.io/is-default-class"] === "true" ||
      metadata.annotations?.["storageclass.beta.kubernetes.io/is-default-class"] === "true";
    const chosen = cluster.list("storageclasses.storage.k8s.io").filter(isDefault).sort(newestFirst)[0];
    if (chosen !== undefined) object.spec.storageClassName = chosen.metadata.name;
  },
});

export const defaultIngressClass = defineAdmission({
  name: "DefaultIngressClass",
  onByDefault: true,
  reads: ["ingressclasses.networking.k8s.io"],
  handles: { operations: ["CREATE"], resources: ["ingresses.networking.k8s.io"] },
  admit(request, { cluster }) {
    const { object } = request;
    if (object.spec?.ingressClassName !== undefined) return;
    if (object.metadata.annotations?.["kubernetes.io/ingress.class"] !== undefined) return;
    const defaults = cluster
      .list("ingressclasses.networking.k8s.io")
      .filter(({ metadata }) => metadata.annotations?.["ingressclass.kubernetes.io/is-default-class"] === "true")
      .sort(newestFirst);
    if (defaults[0] === undefined) return;
    object.spec.ingressClassName = defaults[0].metadata.name;
  },
});

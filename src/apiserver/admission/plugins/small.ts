/** Plugins of a few lines each. Upstream: plugin/pkg/admission. */
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { containersOf, defineAdmission, refuse } from "../framework.ts";

export const alwaysAdmit = defineAdmission({
  name: "AlwaysAdmit",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"] },
});

export const alwaysDeny = defineAdmission({
  name: "AlwaysDeny",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"] },
  validate(request) {
    throw refuse(request, "admission control is denying all modifications");
  },
});

/** A new node takes no pods before it says that it is ready. */
export const taintNodesByCondition = defineAdmission({
  name: "TaintNodesByCondition",
  onByDefault: true,
  handles: { operations: ["CREATE"], resources: ["nodes"] },
  admit({ object }) {
    const key = "node.kubernetes.io/not-ready";
    object.spec ??= {};
    const taints: readonly AnyObject[] = object.spec.taints ?? [];
    if (taints.some((taint) => taint.key === key && taint.effect === "NoSchedule")) return;
    object.spec.taints = [...taints, { key, effect: "NoSchedule" }];
  },
});

/** Makes every pod pull its images, so that only users with pull rights can run a private image that is on the node already. */
export const alwaysPullImages = defineAdmission({
  name: "AlwaysPullImages",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods"] },
  admit({ object }) {
    for (const { container } of containersOf(object.spec)) container.imagePullPolicy = "Always";
  },
  validate(request) {
    for (const { container, path } of containersOf(request.object.spec))
      if (container.imagePullPolicy !== "Always")
        throw refuse(
          request,
          `${path}.imagePullPolicy: Unsupported value: ${JSON.stringify(container.imagePullPolicy)}: supported values: "Always"`,
        );
  },
});

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

const newestFirst = (a: AnyObject, b: AnyObject): number =>
  Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp) ||
  (a.metadata.name < b.metadata.name ? -1 : 1);

export const defaultStorageClass = defineAdmission({
  name: "DefaultStorageClass",
  onByDefault: true,
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

/** May this user act for this signer? Rights are on the signer's name, or on all of its domain. */
function mayFor(request: AdmissionRequest, { authorizer }: AdmissionContext, verb: string, signer: string): boolean {
  const base = {
    user: request.user,
    verb,
    resourceRequest: true,
    namespace: "",
    group: "certificates.k8s.io",
    version: "*",
    resource: "signers",
    subresource: "",
    path: "",
  };
  return [signer, `${signer.split("/")[0]}/*`].some(
    (name) => authorizer.authorize({ ...base, name }).decision === "allow",
  );
}

const CSRS = "certificatesigningrequests.certificates.k8s.io";

export const certificateApproval = defineAdmission({
  name: "CertificateApproval",
  onByDefault: true,
  handles: { operations: ["UPDATE"], resources: [CSRS], subresources: ["approval"] },
  validate(request, context) {
    if (request.subresource !== "approval") return;
    const signer: string = request.oldObject.spec.signerName;
    if (!mayFor(request, context, "approve", signer))
      throw refuse(request, `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`);
  },
});

export const certificateSigning = defineAdmission({
  name: "CertificateSigning",
  onByDefault: true,
  handles: { operations: ["UPDATE"], resources: [CSRS], subresources: ["status"] },
  validate(request, context) {
    if (request.subresource !== "status") return;
    const { object, oldObject } = request;
    // Conditions of failure are the signer's word as much as the certificate.
    const failed = ({ status }: AnyObject) => (status?.conditions ?? []).some((c: AnyObject) => c.type === "Failed");
    if (object.status?.certificate === oldObject.status?.certificate && failed(object) === failed(oldObject)) return;
    const signer: string = oldObject.spec.signerName;
    if (!mayFor(request, context, "sign", signer))
      throw refuse(request, `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`);
  },
});

export const denyServiceExternalIps = defineAdmission({
  name: "DenyServiceExternalIPs",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["services"] },
  validate(request) {
    const before = new Set(request.oldObject?.spec.externalIPs ?? []);
    if ((request.object.spec.externalIPs ?? []).some((ip: string) => !before.has(ip)))
      throw refuse(request, "Use of external IPs is denied by admission control");
  },
});

/** Where a node is, its pods are. */
export const podTopologyLabels = defineAdmission({
  name: "PodTopologyLabels",
  onByDefault: true,
  handles: { operations: ["CREATE"], resources: ["pods"], subresources: ["binding"] },
  admit(request, { cluster }) {
    if (request.subresource !== "binding") return;
    const node = cluster.get("nodes", "", request.object.target?.name ?? "");
    const labels: Record<string, string> = {};
    for (const key of ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"]) {
      const value = node?.metadata.labels?.[key];
      if (value !== undefined) labels[key] = value;
    }
    if (Object.keys(labels).length > 0)
      request.object.metadata.labels = { ...request.object.metadata.labels, ...labels };
  },
});

/**
 * How often, and where among its own rules, a kind has its metadata checked. Every update is checked once before its kind is asked; most kinds then
 * check again, some twice, and each time the answer lists the same errors once more.
 *
 * O and C are the checks of a create (C as upstream's own kinds have it), U and V those of an update (V likewise), S is the kind's own rules.
 * Upstream: pkg/registry, the strategies' Validate and ValidateUpdate
 */
interface Checks {
  readonly create?: string;
  readonly update?: string;
  /** By the name of the subresource. */
  readonly [view: string]: string | undefined;
}

const MOST: Checks = { create: "CS", update: "VS", status: "VS" };
const SAME_AS_CREATE: Checks = { update: "CVS" };
const GENERIC: Checks = { create: "OS", update: "OS" };

const CHECKS: Readonly<Record<string, Checks>> = {
  "/ConfigMap": { update: "VSC" },
  "/Endpoints": { update: "VCS" },
  "/Event": { create: "S", update: "S" },
  "/LimitRange": { update: "CS" },
  "/Namespace": SAME_AS_CREATE,
  "/Node": SAME_AS_CREATE,
  "/PersistentVolume": { update: "CCS" },
  "/PersistentVolumeClaim": { update: "VCS" },
  "/Pod": { update: "VCS", ephemeralcontainers: "VCS", resize: "VCS" },
  "/Secret": { update: "VSC" },
  "/ServiceAccount": { update: "VCS" },
  "admissionregistration.k8s.io/MutatingAdmissionPolicy": GENERIC,
  "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding": GENERIC,
  "admissionregistration.k8s.io/MutatingWebhookConfiguration": GENERIC,
  "admissionregistration.k8s.io/ValidatingAdmissionPolicy": { ...GENERIC, status: "S" },
  "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding": GENERIC,
  "admissionregistration.k8s.io/ValidatingWebhookConfiguration": GENERIC,
  "apiextensions.k8s.io/CustomResourceDefinition": { create: "OS", update: "US", status: "US" },
  "apiregistration.k8s.io/APIService": { create: "OS", update: "UOS", status: "US" },
  "apps/ControllerRevision": { update: "VCS" },
  "apps/StatefulSet": { status: "SV" },
  "batch/CronJob": { status: "S" },
  "batch/Job": { update: "CVS" },
  "certificates.k8s.io/CertificateSigningRequest": { update: "CVS", status: "CSV", approval: "CSV" },
  "certificates.k8s.io/ClusterTrustBundle": { update: "CVS" },
  "coordination.k8s.io/Lease": { create: "OS", update: "US" },
  "coordination.k8s.io/LeaseCandidate": { create: "OS", update: "US" },
  "discovery.k8s.io/EndpointSlice": { update: "CS" },
  "flowcontrol.apiserver.k8s.io/FlowSchema": { update: "CS", status: "S" },
  "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration": { update: "CS", status: "S" },
  "internal.apiserver.k8s.io/StorageVersion": { update: "S", status: "S" },
  "networking.k8s.io/IPAddress": SAME_AS_CREATE,
  "networking.k8s.io/Ingress": { update: "VCS" },
  "networking.k8s.io/IngressClass": { update: "VSC" },
  "networking.k8s.io/ServiceCIDR": { status: "US" },
  "node.k8s.io/RuntimeClass": { create: "OS", update: "OUS" },
  "policy/PodDisruptionBudget": { create: "S", update: "S", status: "S" },
  "rbac.authorization.k8s.io/ClusterRole": SAME_AS_CREATE,
  "rbac.authorization.k8s.io/ClusterRoleBinding": SAME_AS_CREATE,
  "rbac.authorization.k8s.io/Role": SAME_AS_CREATE,
  "rbac.authorization.k8s.io/RoleBinding": SAME_AS_CREATE,
  "resource.k8s.io/DeviceClass": SAME_AS_CREATE,
  "resource.k8s.io/ResourceClaim": SAME_AS_CREATE,
  "resource.k8s.io/ResourceClaimTemplate": SAME_AS_CREATE,
  "storage.k8s.io/CSINode": { update: "CS" },
  "storage.k8s.io/CSIStorageCapacity": { update: "CSV" },
  "storage.k8s.io/StorageClass": SAME_AS_CREATE,
  "storage.k8s.io/VolumeAttachment": { update: "CS", status: "S" },
  "storage.k8s.io/VolumeAttributesClass": { update: "VSC" },
  "storagemigration.k8s.io/StorageVersionMigration": { update: "CVS" },
};

export function checksOf(
  { group, kind }: { readonly group: string; readonly kind: string },
  view: "create" | "update" | (string & {}),
): string {
  return CHECKS[`${group}/${kind}`]?.[view] ?? MOST[view] ?? "VS";
}

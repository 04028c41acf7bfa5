/** The names of the built-in resources that components read and write, each with the type of its objects for the compiler. */
import type {
  Binding,
  ConfigMap,
  Endpoints,
  Event,
  LimitRange,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodTemplate,
  ReplicationController,
  ResourceQuota,
  Secret,
  Service,
  ServiceAccount,
} from "../api/generated/core.v1.ts";
import type { ValidatingAdmissionPolicy } from "../api/generated/admissionregistration.v1.ts";
import type { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet } from "../api/generated/apps.v1.ts";
import type { CronJob, Job } from "../api/generated/batch.v1.ts";
import type { EndpointSlice } from "../api/generated/discovery.v1.ts";
import type { PodDisruptionBudget } from "../api/generated/policy.v1.ts";
import type { HorizontalPodAutoscaler } from "../api/generated/autoscaling.v2.ts";
import type { Lease } from "../api/generated/coordination.v1.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "../api/generated/rbac.v1.ts";
import type { Ingress, IngressClass, NetworkPolicy, ServiceCIDR, IPAddress } from "../api/generated/networking.v1.ts";
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from "../api/generated/storage.v1.ts";
import type { PriorityClass } from "../api/generated/scheduling.v1.ts";
import type { RuntimeClass } from "../api/generated/node.v1.ts";
import type { CertificateSigningRequest } from "../api/generated/certificates.v1.ts";
import type { DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice } from "../api/generated/resource.v1.ts";
import type { SubjectAccessReview } from "../api/generated/authorization.v1.ts";
import type { TokenReview } from "../api/generated/authentication.v1.ts";
import type { ResourceName, ResourceOf } from "../machinery/resource.ts";

export const bindings: ResourceOf<Binding> = {
  group: "",
  version: "v1",
  kind: "Binding",
  plural: "bindings",
  scope: "Namespaced",
};
export const configMaps: ResourceOf<ConfigMap> = {
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  scope: "Namespaced",
};
export const endpoints: ResourceOf<Endpoints> = {
  group: "",
  version: "v1",
  kind: "Endpoints",
  plural: "endpoints",
  scope: "Namespaced",
};
export const events: ResourceOf<Event> = {
  group: "",
  version: "v1",
  kind: "Event",
  plural: "events",
  scope: "Namespaced",
};
export const limitRanges: ResourceOf<LimitRange> = {
  group: "",
  version: "v1",
  kind: "LimitRange",
  plural: "limitranges",
  scope: "Namespaced",
};
export const namespaces: ResourceOf<Namespace> = {
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  scope: "Cluster",
};
export const nodes: ResourceOf<Node> = { group: "", version: "v1", kind: "Node", plural: "nodes", scope: "Cluster" };
export const persistentVolumes: ResourceOf<PersistentVolume> = {
  group: "",
  version: "v1",
  kind: "PersistentVolume",
  plural: "persistentvolumes",
  scope: "Cluster",
};
export const persistentVolumeClaims: ResourceOf<PersistentVolumeClaim> = {
  group: "",
  version: "v1",
  kind: "PersistentVolumeClaim",
  plural: "persistentvolumeclaims",
  scope: "Namespaced",
};
export const pods: ResourceOf<Pod> = { group: "", version: "v1", kind: "Pod", plural: "pods", scope: "Namespaced" };
export const podTemplates: ResourceOf<PodTemplate> = {
  group: "",
  version: "v1",
  kind: "PodTemplate",
  plural: "podtemplates",
  scope: "Namespaced",
};
export const replicationControllers: ResourceOf<ReplicationController> = {
  group: "",
  version: "v1",
  kind: "ReplicationController",
  plural: "replicationcontrollers",
  scope: "Namespaced",
};
export const resourceQuotas: ResourceOf<ResourceQuota> = {
  group: "",
  version: "v1",
  kind: "ResourceQuota",
  plural: "resourcequotas",
  scope: "Namespaced",
};
export const secrets: ResourceOf<Secret> = {
  group: "",
  version: "v1",
  kind: "Secret",
  plural: "secrets",
  scope: "Namespaced",
};
export const services: ResourceOf<Service> = {
  group: "",
  version: "v1",
  kind: "Service",
  plural: "services",
  scope: "Namespaced",
};
export const serviceAccounts: ResourceOf<ServiceAccount> = {
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  scope: "Namespaced",
};
export const controllerRevisions: ResourceOf<ControllerRevision> = {
  group: "apps",
  version: "v1",
  kind: "ControllerRevision",
  plural: "controllerrevisions",
  scope: "Namespaced",
};
export const daemonSets: ResourceOf<DaemonSet> = {
  group: "apps",
  version: "v1",
  kind: "DaemonSet",
  plural: "daemonsets",
  scope: "Namespaced",
};
export const deployments: ResourceOf<Deployment> = {
  group: "apps",
  version: "v1",
  kind: "Deployment",
  plural: "deployments",
  scope: "Namespaced",
};
export const replicaSets: ResourceOf<ReplicaSet> = {
  group: "apps",
  version: "v1",
  kind: "ReplicaSet",
  plural: "replicasets",
  scope: "Namespaced",
};
export const statefulSets: ResourceOf<StatefulSet> = {
  group: "apps",
  version: "v1",
  kind: "StatefulSet",
  plural: "statefulsets",
  scope: "Namespaced",
};
export const cronJobs: ResourceOf<CronJob> = {
  group: "batch",
  version: "v1",
  kind: "CronJob",
  plural: "cronjobs",
  scope: "Namespaced",
};
export const jobs: ResourceOf<Job> = {
  group: "batch",
  version: "v1",
  kind: "Job",
  plural: "jobs",
  scope: "Namespaced",
};
export const endpointSlices: ResourceOf<EndpointSlice> = {
  group: "discovery.k8s.io",
  version: "v1",
  kind: "EndpointSlice",
  plural: "endpointslices",
  scope: "Namespaced",
};
export const podDisruptionBudgets: ResourceOf<PodDisruptionBudget> = {
  group: "policy",
  version: "v1",
  kind: "PodDisruptionBudget",
  plural: "poddisruptionbudgets",
  scope: "Namespaced",
};
export const horizontalPodAutoscalers: ResourceOf<HorizontalPodAutoscaler> = {
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  scope: "Namespaced",
};
export const leases: ResourceOf<Lease> = {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  scope: "Namespaced",
};
export const validatingAdmissionPolicies: ResourceOf<ValidatingAdmissionPolicy> = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingAdmissionPolicy",
  plural: "validatingadmissionpolicies",
  scope: "Cluster",
};
export const clusterRoles: ResourceOf<ClusterRole> = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRole",
  plural: "clusterroles",
  scope: "Cluster",
};
export const clusterRoleBindings: ResourceOf<ClusterRoleBinding> = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRoleBinding",
  plural: "clusterrolebindings",
  scope: "Cluster",
};
export const roles: ResourceOf<Role> = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "Role",
  plural: "roles",
  scope: "Namespaced",
};
export const roleBindings: ResourceOf<RoleBinding> = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "RoleBinding",
  plural: "rolebindings",
  scope: "Namespaced",
};
export const ingresses: ResourceOf<Ingress> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "Ingress",
  plural: "ingresses",
  scope: "Namespaced",
};
export const ingressClasses: ResourceOf<IngressClass> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "IngressClass",
  plural: "ingressclasses",
  scope: "Cluster",
};
export const networkPolicies: ResourceOf<NetworkPolicy> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "NetworkPolicy",
  plural: "networkpolicies",
  scope: "Namespaced",
};
export const serviceCIDRs: ResourceOf<ServiceCIDR> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "ServiceCIDR",
  plural: "servicecidrs",
  scope: "Cluster",
};
export const ipAddresses: ResourceOf<IPAddress> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "IPAddress",
  plural: "ipaddresses",
  scope: "Cluster",
};
export const csiDrivers: ResourceOf<CSIDriver> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSIDriver",
  plural: "csidrivers",
  scope: "Cluster",
};
export const csiNodes: ResourceOf<CSINode> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSINode",
  plural: "csinodes",
  scope: "Cluster",
};
export const csiStorageCapacities: ResourceOf<CSIStorageCapacity> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSIStorageCapacity",
  plural: "csistoragecapacities",
  scope: "Namespaced",
};
export const storageClasses: ResourceOf<StorageClass> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "StorageClass",
  plural: "storageclasses",
  scope: "Cluster",
};
export const volumeAttachments: ResourceOf<VolumeAttachment> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "VolumeAttachment",
  plural: "volumeattachments",
  scope: "Cluster",
};
export const volumeAttributesClasses: ResourceOf<VolumeAttributesClass> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "VolumeAttributesClass",
  plural: "volumeattributesclasses",
  scope: "Cluster",
};
export const priorityClasses: ResourceOf<PriorityClass> = {
  group: "scheduling.k8s.io",
  version: "v1",
  kind: "PriorityClass",
  plural: "priorityclasses",
  scope: "Cluster",
};
export const runtimeClasses: ResourceOf<RuntimeClass> = {
  group: "node.k8s.io",
  version: "v1",
  kind: "RuntimeClass",
  plural: "runtimeclasses",
  scope: "Cluster",
};
export const certificateSigningRequests: ResourceOf<CertificateSigningRequest> = {
  group: "certificates.k8s.io",
  version: "v1",
  kind: "CertificateSigningRequest",
  plural: "certificatesigningrequests",
  scope: "Cluster",
};
export const deviceClasses: ResourceOf<DeviceClass> = {
  group: "resource.k8s.io",
  version: "v1",
  kind: "DeviceClass",
  plural: "deviceclasses",
  scope: "Cluster",
};
export const resourceClaims: ResourceOf<ResourceClaim> = {
  group: "resource.k8s.io",
  version: "v1",
  kind: "ResourceClaim",
  plural: "resourceclaims",
  scope: "Namespaced",
};
export const resourceClaimTemplates: ResourceOf<ResourceClaimTemplate> = {
  group: "resource.k8s.io",
  version: "v1",
  kind: "ResourceClaimTemplate",
  plural: "resourceclaimtemplates",
  scope: "Namespaced",
};
export const resourceSlices: ResourceOf<ResourceSlice> = {
  group: "resource.k8s.io",
  version: "v1",
  kind: "ResourceSlice",
  plural: "resourceslices",
  scope: "Cluster",
};
export const subjectAccessReviews: ResourceOf<SubjectAccessReview> = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SubjectAccessReview",
  plural: "subjectaccessreviews",
  scope: "Cluster",
};
export const tokenReviews: ResourceOf<TokenReview> = {
  group: "authentication.k8s.io",
  version: "v1",
  kind: "TokenReview",
  plural: "tokenreviews",
  scope: "Cluster",
};

/** All of the above. What a server has besides, and custom resources, are found by discovery. */
export const BUILT_IN: readonly ResourceName[] = [
  bindings,
  configMaps,
  endpoints,
  events,
  limitRanges,
  namespaces,
  nodes,
  persistentVolumes,
  persistentVolumeClaims,
  pods,
  podTemplates,
  replicationControllers,
  resourceQuotas,
  secrets,
  services,
  serviceAccounts,
  controllerRevisions,
  daemonSets,
  deployments,
  replicaSets,
  statefulSets,
  cronJobs,
  jobs,
  endpointSlices,
  podDisruptionBudgets,
  horizontalPodAutoscalers,
  leases,
  validatingAdmissionPolicies,
  clusterRoles,
  clusterRoleBindings,
  roles,
  roleBindings,
  ingresses,
  ingressClasses,
  networkPolicies,
  serviceCIDRs,
  ipAddresses,
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  storageClasses,
  volumeAttachments,
  volumeAttributesClasses,
  priorityClasses,
  runtimeClasses,
  certificateSigningRequests,
  deviceClasses,
  resourceClaims,
  resourceClaimTemplates,
  resourceSlices,
  subjectAccessReviews,
  tokenReviews,
];

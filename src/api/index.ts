/**
 * Every built-in resource of Kubernetes 1.36, in the order of discovery; a resource that is off by default says so itself. Routes, discovery,
 * OpenAPI, codecs, the client and informers are derived from this list.
 */
import type { Resource } from "../machinery/resource.ts";
import { bindings } from "./core/v1/binding/resource.ts";
import { componentStatuses } from "./core/v1/componentstatus/resource.ts";
import { configMaps } from "./core/v1/configmap/resource.ts";
import { endpoints } from "./core/v1/endpoints/resource.ts";
import { events } from "./core/v1/event/resource.ts";
import { limitRanges } from "./core/v1/limitrange/resource.ts";
import { namespaces } from "./core/v1/namespace/resource.ts";
import { nodes } from "./core/v1/node/resource.ts";
import { persistentVolumeClaims } from "./core/v1/persistentvolumeclaim/resource.ts";
import { persistentVolumes } from "./core/v1/persistentvolume/resource.ts";
import { pods } from "./core/v1/pod/resource.ts";
import { podTemplates } from "./core/v1/podtemplate/resource.ts";
import { replicationControllers } from "./core/v1/replicationcontroller/resource.ts";
import { resourceQuotas } from "./core/v1/resourcequota/resource.ts";
import { secrets } from "./core/v1/secret/resource.ts";
import { serviceAccounts } from "./core/v1/serviceaccount/resource.ts";
import { services } from "./core/v1/service/resource.ts";
import { apiServices } from "./apiregistration/v1/apiservice/resource.ts";
import { controllerRevisions } from "./apps/v1/controllerrevision/resource.ts";
import { daemonSets } from "./apps/v1/daemonset/resource.ts";
import { deployments } from "./apps/v1/deployment/resource.ts";
import { replicaSets } from "./apps/v1/replicaset/resource.ts";
import { statefulSets } from "./apps/v1/statefulset/resource.ts";
import { events as eventsEvents } from "./events/v1/event/resource.ts";
import { selfSubjectReviews } from "./authentication/v1/selfsubjectreview/resource.ts";
import { tokenReviews } from "./authentication/v1/tokenreview/resource.ts";
import { localSubjectAccessReviews } from "./authorization/v1/localsubjectaccessreview/resource.ts";
import { selfSubjectAccessReviews } from "./authorization/v1/selfsubjectaccessreview/resource.ts";
import { selfSubjectRulesReviews } from "./authorization/v1/selfsubjectrulesreview/resource.ts";
import { subjectAccessReviews } from "./authorization/v1/subjectaccessreview/resource.ts";
import { horizontalPodAutoscalers } from "./autoscaling/v2/horizontalpodautoscaler/resource.ts";
import { horizontalPodAutoscalers as horizontalPodAutoscalersV1 } from "./autoscaling/v1/horizontalpodautoscaler/resource.ts";
import { cronJobs } from "./batch/v1/cronjob/resource.ts";
import { jobs } from "./batch/v1/job/resource.ts";
import { certificateSigningRequests } from "./certificates/v1/certificatesigningrequest/resource.ts";
import { clusterTrustBundles } from "./certificates/v1beta1/clustertrustbundle/resource.ts";
import { podCertificateRequests } from "./certificates/v1beta1/podcertificaterequest/resource.ts";
import { clusterTrustBundles as clusterTrustBundlesV1alpha1 } from "./certificates/v1alpha1/clustertrustbundle/resource.ts";
import { ingressClasses } from "./networking/v1/ingressclass/resource.ts";
import { ingresses } from "./networking/v1/ingress/resource.ts";
import { ipAddresses } from "./networking/v1/ipaddress/resource.ts";
import { networkPolicies } from "./networking/v1/networkpolicy/resource.ts";
import { serviceCIDRs } from "./networking/v1/servicecidr/resource.ts";
import { ipAddresses as ipAddressesV1beta1 } from "./networking/v1beta1/ipaddress/resource.ts";
import { serviceCIDRs as serviceCIDRsV1beta1 } from "./networking/v1beta1/servicecidr/resource.ts";
import { podDisruptionBudgets } from "./policy/v1/poddisruptionbudget/resource.ts";
import { clusterRoleBindings } from "./rbac/v1/clusterrolebinding/resource.ts";
import { clusterRoles } from "./rbac/v1/clusterrole/resource.ts";
import { roleBindings } from "./rbac/v1/rolebinding/resource.ts";
import { roles } from "./rbac/v1/role/resource.ts";
import { csiDrivers } from "./storage/v1/csidriver/resource.ts";
import { csiNodes } from "./storage/v1/csinode/resource.ts";
import { csiStorageCapacities } from "./storage/v1/csistoragecapacity/resource.ts";
import { storageClasses } from "./storage/v1/storageclass/resource.ts";
import { volumeAttachments } from "./storage/v1/volumeattachment/resource.ts";
import { volumeAttributesClasses } from "./storage/v1/volumeattributesclass/resource.ts";
import { volumeAttributesClasses as volumeAttributesClassesV1beta1 } from "./storage/v1beta1/volumeattributesclass/resource.ts";
import { mutatingAdmissionPolicies } from "./admissionregistration/v1/mutatingadmissionpolicy/resource.ts";
import { mutatingAdmissionPolicyBindings } from "./admissionregistration/v1/mutatingadmissionpolicybinding/resource.ts";
import { mutatingWebhookConfigurations } from "./admissionregistration/v1/mutatingwebhookconfiguration/resource.ts";
import { validatingAdmissionPolicies } from "./admissionregistration/v1/validatingadmissionpolicy/resource.ts";
import { validatingAdmissionPolicyBindings } from "./admissionregistration/v1/validatingadmissionpolicybinding/resource.ts";
import { validatingWebhookConfigurations } from "./admissionregistration/v1/validatingwebhookconfiguration/resource.ts";
import { mutatingAdmissionPolicies as mutatingAdmissionPoliciesV1beta1 } from "./admissionregistration/v1beta1/mutatingadmissionpolicy/resource.ts";
import { mutatingAdmissionPolicyBindings as mutatingAdmissionPolicyBindingsV1beta1 } from "./admissionregistration/v1beta1/mutatingadmissionpolicybinding/resource.ts";
import { mutatingAdmissionPolicies as mutatingAdmissionPoliciesV1alpha1 } from "./admissionregistration/v1alpha1/mutatingadmissionpolicy/resource.ts";
import { mutatingAdmissionPolicyBindings as mutatingAdmissionPolicyBindingsV1alpha1 } from "./admissionregistration/v1alpha1/mutatingadmissionpolicybinding/resource.ts";
import { customResourceDefinitions } from "./apiextensions/v1/customresourcedefinition/resource.ts";
import { priorityClasses } from "./scheduling/v1/priorityclass/resource.ts";
import { podGroups } from "./scheduling/v1alpha2/podgroup/resource.ts";
import { workloads } from "./scheduling/v1alpha2/workload/resource.ts";
import { leases } from "./coordination/v1/lease/resource.ts";
import { leaseCandidates } from "./coordination/v1beta1/leasecandidate/resource.ts";
import { leaseCandidates as leaseCandidatesV1alpha2 } from "./coordination/v1alpha2/leasecandidate/resource.ts";
import { runtimeClasses } from "./node/v1/runtimeclass/resource.ts";
import { endpointSlices } from "./discovery/v1/endpointslice/resource.ts";
import { deviceClasses } from "./resource/v1/deviceclass/resource.ts";
import { resourceClaims } from "./resource/v1/resourceclaim/resource.ts";
import { resourceClaimTemplates } from "./resource/v1/resourceclaimtemplate/resource.ts";
import { resourceSlices } from "./resource/v1/resourceslice/resource.ts";
import { deviceClasses as deviceClassesV1beta2 } from "./resource/v1beta2/deviceclass/resource.ts";
import { deviceTaintRules } from "./resource/v1beta2/devicetaintrule/resource.ts";
import { resourceClaims as resourceClaimsV1beta2 } from "./resource/v1beta2/resourceclaim/resource.ts";
import { resourceClaimTemplates as resourceClaimTemplatesV1beta2 } from "./resource/v1beta2/resourceclaimtemplate/resource.ts";
import { resourceSlices as resourceSlicesV1beta2 } from "./resource/v1beta2/resourceslice/resource.ts";
import { deviceClasses as deviceClassesV1beta1 } from "./resource/v1beta1/deviceclass/resource.ts";
import { resourceClaims as resourceClaimsV1beta1 } from "./resource/v1beta1/resourceclaim/resource.ts";
import { resourceClaimTemplates as resourceClaimTemplatesV1beta1 } from "./resource/v1beta1/resourceclaimtemplate/resource.ts";
import { resourceSlices as resourceSlicesV1beta1 } from "./resource/v1beta1/resourceslice/resource.ts";
import { deviceTaintRules as deviceTaintRulesV1alpha3 } from "./resource/v1alpha3/devicetaintrule/resource.ts";
import { resourcePoolStatusRequests } from "./resource/v1alpha3/resourcepoolstatusrequest/resource.ts";
import { flowSchemas } from "./flowcontrol/v1/flowschema/resource.ts";
import { priorityLevelConfigurations } from "./flowcontrol/v1/prioritylevelconfiguration/resource.ts";
import { storageVersions } from "./apiserverinternal/v1alpha1/storageversion/resource.ts";
import { storageVersionMigrations } from "./storagemigration/v1beta1/storageversionmigration/resource.ts";

export const builtinResources: readonly Resource[] = [
  // v1
  bindings,
  componentStatuses,
  configMaps,
  endpoints,
  events,
  limitRanges,
  namespaces,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  podTemplates,
  replicationControllers,
  resourceQuotas,
  secrets,
  serviceAccounts,
  services,
  // apiregistration.k8s.io/v1
  apiServices,
  // apps/v1
  controllerRevisions,
  daemonSets,
  deployments,
  replicaSets,
  statefulSets,
  // events.k8s.io/v1
  eventsEvents,
  // authentication.k8s.io/v1
  selfSubjectReviews,
  tokenReviews,
  // authorization.k8s.io/v1
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectRulesReviews,
  subjectAccessReviews,
  // autoscaling/v2
  horizontalPodAutoscalers,
  // autoscaling/v1
  horizontalPodAutoscalersV1,
  // batch/v1
  cronJobs,
  jobs,
  // certificates.k8s.io/v1
  certificateSigningRequests,
  // certificates.k8s.io/v1beta1
  clusterTrustBundles,
  podCertificateRequests,
  // certificates.k8s.io/v1alpha1
  clusterTrustBundlesV1alpha1,
  // networking.k8s.io/v1
  ingressClasses,
  ingresses,
  ipAddresses,
  networkPolicies,
  serviceCIDRs,
  // networking.k8s.io/v1beta1
  ipAddressesV1beta1,
  serviceCIDRsV1beta1,
  // policy/v1
  podDisruptionBudgets,
  // rbac.authorization.k8s.io/v1
  clusterRoleBindings,
  clusterRoles,
  roleBindings,
  roles,
  // storage.k8s.io/v1
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  storageClasses,
  volumeAttachments,
  volumeAttributesClasses,
  // storage.k8s.io/v1beta1
  volumeAttributesClassesV1beta1,
  // admissionregistration.k8s.io/v1
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  mutatingWebhookConfigurations,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  validatingWebhookConfigurations,
  // admissionregistration.k8s.io/v1beta1
  mutatingAdmissionPoliciesV1beta1,
  mutatingAdmissionPolicyBindingsV1beta1,
  // admissionregistration.k8s.io/v1alpha1
  mutatingAdmissionPoliciesV1alpha1,
  mutatingAdmissionPolicyBindingsV1alpha1,
  // apiextensions.k8s.io/v1
  customResourceDefinitions,
  // scheduling.k8s.io/v1
  priorityClasses,
  // scheduling.k8s.io/v1alpha2
  podGroups,
  workloads,
  // coordination.k8s.io/v1
  leases,
  // coordination.k8s.io/v1beta1
  leaseCandidates,
  // coordination.k8s.io/v1alpha2
  leaseCandidatesV1alpha2,
  // node.k8s.io/v1
  runtimeClasses,
  // discovery.k8s.io/v1
  endpointSlices,
  // resource.k8s.io/v1
  deviceClasses,
  resourceClaims,
  resourceClaimTemplates,
  resourceSlices,
  // resource.k8s.io/v1beta2
  deviceClassesV1beta2,
  deviceTaintRules,
  resourceClaimsV1beta2,
  resourceClaimTemplatesV1beta2,
  resourceSlicesV1beta2,
  // resource.k8s.io/v1beta1
  deviceClassesV1beta1,
  resourceClaimsV1beta1,
  resourceClaimTemplatesV1beta1,
  resourceSlicesV1beta1,
  // resource.k8s.io/v1alpha3
  deviceTaintRulesV1alpha3,
  resourcePoolStatusRequests,
  // flowcontrol.apiserver.k8s.io/v1
  flowSchemas,
  priorityLevelConfigurations,
  // internal.apiserver.k8s.io/v1alpha1
  storageVersions,
  // storagemigration.k8s.io/v1beta1
  storageVersionMigrations,
];

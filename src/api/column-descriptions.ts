/**
 * What the columns of tables are about, by kind and column: words of their own, or those of the field that they show.
 * Upstream: pkg/printers/internalversion/printers.go
 */

/** A field of a type, by the type's name in OpenAPI: it describes a column too. */
export interface FieldName {
  readonly type: string;
  readonly field: string;
}

export const NAME_FIELD = meta("name");
export const CREATED_FIELD = meta("creationTimestamp");

export function describedColumn(kind: string, column: string): string | FieldName | undefined {
  return DESCRIPTIONS[kind]?.[column];
}

function meta(name: string): FieldName {
  return { type: "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", field: name };
}

function field(type: string, name: string): FieldName {
  return { type: `io.k8s.api.${type}`, field: name };
}

const DESCRIPTIONS: Readonly<Record<string, Readonly<Record<string, string | FieldName>>>> = {
  APIService: {
    Service: "The reference to the service that hosts this API endpoint.",
    Available: "Whether this service is available.",
  },
  CSIDriver: {
    AttachRequired: field("storage.v1.CSIDriverSpec", "attachRequired"),
    PodInfoOnMount: field("storage.v1.CSIDriverSpec", "podInfoOnMount"),
    StorageCapacity: field("storage.v1.CSIDriverSpec", "storageCapacity"),
    TokenRequests: field("storage.v1.CSIDriverSpec", "tokenRequests"),
    RequiresRepublish: field("storage.v1.CSIDriverSpec", "requiresRepublish"),
    Modes: field("storage.v1.CSIDriverSpec", "volumeLifecycleModes"),
  },
  CSINode: {
    Drivers: "Drivers indicates the number of CSI drivers registered on the node",
  },
  CertificateSigningRequest: {
    SignerName: field("certificates.v1.CertificateSigningRequestSpec", "signerName"),
    Requestor: "Base64-encoded PKCS#10 CSR data",
    RequestedDuration: field("certificates.v1.CertificateSigningRequestSpec", "expirationSeconds"),
    Condition: "Conditions applied to the request, such as approval or denial.",
  },
  ClusterRoleBinding: {
    Role: "RoleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.",
    Users: "Users in the clusterRoleBinding",
    Groups: "Groups in the clusterRoleBinding",
    ServiceAccounts: "ServiceAccounts in the clusterRoleBinding",
  },
  ClusterTrustBundle: {
    SignerName: field("certificates.v1beta1.ClusterTrustBundleSpec", "signerName"),
  },
  ComponentStatus: {
    Status: "Status of the component conditions",
    Message: "Message of the component conditions",
    Error: "Error of the component conditions",
  },
  ConfigMap: {
    Data: field("core.v1.ConfigMap", "data"),
  },
  ControllerRevision: {
    Controller: "Controller of the object",
    Revision: field("apps.v1.ControllerRevision", "revision"),
  },
  CronJob: {
    Schedule: field("batch.v1.CronJobSpec", "schedule"),
    Timezone: field("batch.v1.CronJobSpec", "timeZone"),
    Suspend: field("batch.v1.CronJobSpec", "suspend"),
    Active: field("batch.v1.CronJobStatus", "active"),
    "Last Schedule": field("batch.v1.CronJobStatus", "lastScheduleTime"),
    Containers: "Names of each container in the template.",
    Images: "Images referenced by each container in the template.",
    Selector:
      "A label query over pods that should match the pod count. Normally, the system sets this field for you. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
  },
  DaemonSet: {
    Desired: field("apps.v1.DaemonSetStatus", "desiredNumberScheduled"),
    Current: field("apps.v1.DaemonSetStatus", "currentNumberScheduled"),
    Ready: field("apps.v1.DaemonSetStatus", "numberReady"),
    "Up-to-date": field("apps.v1.DaemonSetStatus", "updatedNumberScheduled"),
    Available: field("apps.v1.DaemonSetStatus", "numberAvailable"),
    "Node Selector": field("core.v1.PodSpec", "nodeSelector"),
    Containers: "Names of each container in the template.",
    Images: "Images referenced by each container in the template.",
    Selector:
      "A label query over pods that are managed by the daemon set. Must match in order to be controlled. It must match the pod template's labels. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
  },
  Deployment: {
    Ready: "Number of the pod with ready state",
    "Up-to-date": field("apps.v1.DeploymentStatus", "updatedReplicas"),
    Available: field("apps.v1.DeploymentStatus", "availableReplicas"),
    Containers: "Names of each container in the template.",
    Images: "Images referenced by each container in the template.",
    Selector:
      "Label selector for pods. Existing ReplicaSets whose pods are selected by this will be the ones affected by this deployment. It must match the pod template's labels.",
  },
  DeviceTaintRule: {
    Key: field("resource.v1.DeviceTaint", "key"),
    Value: field("resource.v1.DeviceTaint", "value"),
    Effect: field("resource.v1.DeviceTaint", "effect"),
    TimeAdded: field("resource.v1.DeviceTaint", "timeAdded"),
  },
  EndpointSlice: {
    AddressType: field("discovery.v1.EndpointSlice", "addressType"),
    Ports: field("discovery.v1.EndpointSlice", "ports"),
    Endpoints: field("discovery.v1.EndpointSlice", "endpoints"),
  },
  Endpoints: {
    Endpoints: field("core.v1.Endpoints", "subsets"),
  },
  Event: {
    "Last Seen": field("core.v1.Event", "lastTimestamp"),
    Type: field("core.v1.Event", "type"),
    Reason: field("core.v1.Event", "reason"),
    Object: "The object that this event is about.",
    Subobject: field("core.v1.ObjectReference", "fieldPath"),
    Source: "The component reporting this event. Should be a short machine understandable string.",
    Message: field("core.v1.Event", "message"),
    "First Seen": field("core.v1.Event", "firstTimestamp"),
    Count: field("core.v1.Event", "count"),
  },
  FlowSchema: {
    PriorityLevel: field("flowcontrol.v1.PriorityLevelConfigurationReference", "name"),
    MatchingPrecedence: field("flowcontrol.v1.FlowSchemaSpec", "matchingPrecedence"),
    DistinguisherMethod:
      "`distinguisherMethod` defines how to compute the flow distinguisher for requests that match this schema. `nil` specifies that the distinguisher is disabled and thus will always be the empty string.",
    MissingPL: "references a broken or non-existent PriorityLevelConfiguration",
  },
  HorizontalPodAutoscaler: {
    Reference:
      "scaleTargetRef points to the target resource to scale, and is used to the pods for which metrics should be collected, as well as to actually change the replica count.",
    Targets: field("autoscaling.v2.HorizontalPodAutoscalerSpec", "metrics"),
    MinPods: field("autoscaling.v2.HorizontalPodAutoscalerSpec", "minReplicas"),
    MaxPods: field("autoscaling.v2.HorizontalPodAutoscalerSpec", "maxReplicas"),
    Replicas: field("autoscaling.v2.HorizontalPodAutoscalerStatus", "currentReplicas"),
  },
  IPAddress: {
    ParentRef:
      "ParentRef references the resource that an IPAddress is attached to. An IPAddress must reference a parent object.",
  },
  Ingress: {
    Class: "The name of the IngressClass resource that should be used for additional configuration",
    Hosts: "Hosts that incoming requests are matched against before the ingress rule",
    Address: "Address is a list containing ingress points for the load-balancer",
    Ports: "Ports of TLS configurations that open",
  },
  IngressClass: {
    Controller: "Controller that is responsible for handling this class",
    Parameters: "A reference to a resource with additional parameters",
  },
  Job: {
    Status: "Status of the job.",
    Completions: field("batch.v1.JobStatus", "succeeded"),
    Duration: "Time required to complete the job.",
    Containers: "Names of each container in the template.",
    Images: "Images referenced by each container in the template.",
    Selector:
      "A label query over pods that should match the pod count. Normally, the system sets this field for you. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
  },
  Lease: {
    Holder: field("coordination.v1.LeaseSpec", "holderIdentity"),
  },
  LeaseCandidate: {
    LeaseName: field("coordination.v1alpha2.LeaseCandidateSpec", "leaseName"),
  },
  MutatingAdmissionPolicy: {
    Mutations: "Mutation indicates the number of mutations rules defined in this configuration",
    ParamKind: "ParamKind specifies the kind of resources used to parameterize this policy",
  },
  MutatingAdmissionPolicyBinding: {
    PolicyName: "PolicyName indicates the policy definition which the policy binding binded to",
    ParamRef: "ParamRef indicates the param resource which sets the configuration param",
  },
  MutatingWebhookConfiguration: {
    Webhooks: "Webhooks indicates the number of webhooks registered in this configuration",
  },
  Namespace: {
    Status: "The status of the namespace",
  },
  NetworkPolicy: {
    "Pod-Selector":
      "podSelector selects the pods to which this NetworkPolicy object applies. The array of rules is applied to any pods selected by this field. An empty selector matches all pods in the policy's namespace. Multiple network policies can select the same set of pods. In this case, the ingress rules for each are combined additively. This field is optional. If it is not specified, it defaults to an empty selector.",
  },
  Node: {
    Status: "The status of the node",
    Roles: "The roles of the node",
    Version: field("core.v1.NodeSystemInfo", "kubeletVersion"),
    "Internal-IP": field("core.v1.NodeStatus", "addresses"),
    "External-IP": field("core.v1.NodeStatus", "addresses"),
    "OS-Image": field("core.v1.NodeSystemInfo", "osImage"),
    "Kernel-Version": field("core.v1.NodeSystemInfo", "kernelVersion"),
    "Container-Runtime": field("core.v1.NodeSystemInfo", "containerRuntimeVersion"),
  },
  PersistentVolume: {
    Capacity: field("core.v1.PersistentVolumeSpec", "capacity"),
    "Access Modes": field("core.v1.PersistentVolumeSpec", "accessModes"),
    "Reclaim Policy": field("core.v1.PersistentVolumeSpec", "persistentVolumeReclaimPolicy"),
    Status: field("core.v1.PersistentVolumeStatus", "phase"),
    Claim:
      "claimRef is part of a bi-directional binding between PersistentVolume and PersistentVolumeClaim. Expected to be non-nil when bound. claim.VolumeName is the authoritative bind between PV and PVC. More info: https://kubernetes.io/docs/concepts/storage/persistent-volumes#binding",
    StorageClass: "StorageClass of the pv",
    VolumeAttributesClass: "VolumeAttributesClass of the pv",
    Reason: field("core.v1.PersistentVolumeStatus", "reason"),
    VolumeMode: field("core.v1.PersistentVolumeSpec", "volumeMode"),
  },
  PersistentVolumeClaim: {
    Status: field("core.v1.PersistentVolumeClaimStatus", "phase"),
    Volume: field("core.v1.PersistentVolumeClaimSpec", "volumeName"),
    Capacity: field("core.v1.PersistentVolumeClaimStatus", "capacity"),
    "Access Modes": field("core.v1.PersistentVolumeClaimStatus", "accessModes"),
    StorageClass: "StorageClass of the pvc",
    VolumeAttributesClass: "VolumeAttributesClass of the pvc",
    VolumeMode: field("core.v1.PersistentVolumeClaimSpec", "volumeMode"),
  },
  Pod: {
    Ready: "The aggregate readiness state of this pod for accepting traffic.",
    Status: "The aggregate status of the containers in this pod.",
    Restarts:
      "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
    IP: field("core.v1.PodStatus", "podIP"),
    Node: field("core.v1.PodSpec", "nodeName"),
    "Nominated Node": field("core.v1.PodStatus", "nominatedNodeName"),
    "Readiness Gates": field("core.v1.PodSpec", "readinessGates"),
  },
  PodCertificateRequest: {
    PodName: field("certificates.v1beta1.PodCertificateRequestSpec", "podName"),
    ServiceAccountName: field("certificates.v1beta1.PodCertificateRequestSpec", "serviceAccountName"),
    NodeName: field("certificates.v1beta1.PodCertificateRequestSpec", "nodeName"),
    SignerName: field("certificates.v1beta1.PodCertificateRequestSpec", "signerName"),
    State: "Is the request Pending, Issued, Denied, or Failed?",
    UnverifiedUserAnnotations: field("certificates.v1beta1.PodCertificateRequestSpec", "unverifiedUserAnnotations"),
  },
  PodDisruptionBudget: {
    "Min Available": "The minimum number of pods that must be available.",
    "Max Unavailable": "The maximum number of pods that may be unavailable.",
    "Allowed Disruptions": "Calculated number of pods that may be disrupted at this time.",
  },
  PodGroup: {
    Policy:
      "SchedulingPolicy defines the scheduling policy for this instance of the PodGroup. Controllers are expected to fill this field by copying it from a PodGroupTemplate. This field is immutable.",
    Workload: "Name of the referenced Workload object",
    Status: "Status of the PodGroup",
  },
  PodTemplate: {
    Containers: "Names of each container in the template.",
    Images: "Images referenced by each container in the template.",
    "Pod Labels": "The labels for the pod template.",
  },
  PriorityClass: {
    Value: field("scheduling.v1.PriorityClass", "value"),
    "Global-Default": field("scheduling.v1.PriorityClass", "globalDefault"),
    PreemptionPolicy: field("scheduling.v1.PriorityClass", "preemptionPolicy"),
  },
  PriorityLevelConfiguration: {
    Type: field("flowcontrol.v1.PriorityLevelConfigurationSpec", "type"),
    NominalConcurrencyShares: field("flowcontrol.v1.LimitedPriorityLevelConfiguration", "nominalConcurrencyShares"),
    Queues: field("flowcontrol.v1.QueuingConfiguration", "queues"),
    HandSize: field("flowcontrol.v1.QueuingConfiguration", "handSize"),
    QueueLengthLimit: field("flowcontrol.v1.QueuingConfiguration", "queueLengthLimit"),
  },
  ReplicaSet: {
    Desired: field("apps.v1.ReplicaSetSpec", "replicas"),
    Current: field("apps.v1.ReplicaSetStatus", "replicas"),
    Ready: field("apps.v1.ReplicaSetStatus", "readyReplicas"),
    Containers: "Names of each container in the template.",
    Images: "Images referenced by each container in the template.",
    Selector:
      "Selector is a label query over pods that should match the replica count. Label keys and values that must match in order to be controlled by this replica set. It must match the pod template's labels. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
  },
  ReplicationController: {
    Desired: field("core.v1.ReplicationControllerSpec", "replicas"),
    Current: field("core.v1.ReplicationControllerStatus", "replicas"),
    Ready: field("core.v1.ReplicationControllerStatus", "readyReplicas"),
    Containers: "Names of each container in the template.",
    Images: "Images referenced by each container in the template.",
    Selector: field("core.v1.ReplicationControllerSpec", "selector"),
  },
  ResourceClaim: {
    State: "A summary of the current state (allocated, pending, reserved, etc.).",
  },
  ResourcePoolStatusRequest: {
    Driver: "The driver to query pools for.",
    Total: "Total number of devices across all pools.",
    Available: "Number of available devices across all pools.",
    Allocated: "Number of allocated devices across all pools.",
    Unavailable: "Number of unavailable devices across all pools.",
    Errors: "Number of pools with validation errors.",
    Pools: "Total number of matching pools.",
    Status: "Processing status.",
    Completed: "Time since the observation completed.",
  },
  ResourceQuota: {
    Request: "Request represents a minimum amount of cpu/memory that a container may consume.",
    Limit:
      "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.",
  },
  ResourceSlice: {
    Node: field("resource.v1.ResourceSliceSpec", "nodeName"),
    Driver: field("resource.v1.ResourceSliceSpec", "driver"),
    Pool: field("resource.v1.ResourcePool", "name"),
  },
  RoleBinding: {
    Role: "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.",
    Users: "Users in the roleBinding",
    Groups: "Groups in the roleBinding",
    ServiceAccounts: "ServiceAccounts in the roleBinding",
  },
  Scale: {
    Desired: field("autoscaling.v1.ScaleSpec", "replicas"),
    Available: field("autoscaling.v1.ScaleStatus", "replicas"),
  },
  Secret: {
    Type: field("core.v1.Secret", "type"),
    Data: field("core.v1.Secret", "data"),
  },
  Service: {
    Type: field("core.v1.ServiceSpec", "type"),
    "Cluster-IP": field("core.v1.ServiceSpec", "clusterIP"),
    "External-IP": field("core.v1.ServiceSpec", "externalIPs"),
    "Port(s)": field("core.v1.ServiceSpec", "ports"),
    Selector: field("core.v1.ServiceSpec", "selector"),
  },
  ServiceCIDR: {
    CIDRs: field("networking.v1.ServiceCIDRSpec", "cidrs"),
  },
  StatefulSet: {
    Ready: "Number of the pod with ready state",
    Containers: "Names of each container in the template.",
    Images: "Images referenced by each container in the template.",
  },
  StorageClass: {
    Provisioner: field("storage.v1.StorageClass", "provisioner"),
    ReclaimPolicy: field("storage.v1.StorageClass", "reclaimPolicy"),
    VolumeBindingMode: field("storage.v1.StorageClass", "volumeBindingMode"),
    AllowVolumeExpansion: field("storage.v1.StorageClass", "allowVolumeExpansion"),
  },
  StorageVersion: {
    CommonEncodingVersion: field("apiserverinternal.v1alpha1.StorageVersionStatus", "commonEncodingVersion"),
    StorageVersions: field("apiserverinternal.v1alpha1.StorageVersionStatus", "storageVersions"),
  },
  StorageVersionMigration: {
    Resource: "GroupResource to migrate",
    Status: "Status of the migration",
  },
  ValidatingAdmissionPolicy: {
    Validations: "Validations indicates the number of validation rules defined in this configuration",
    ParamKind: "ParamKind specifies the kind of resources used to parameterize this policy",
  },
  ValidatingAdmissionPolicyBinding: {
    PolicyName: "PolicyName indicates the policy definition which the policy binding binded to",
    ParamRef: "ParamRef indicates the param resource which sets the configuration param",
  },
  ValidatingWebhookConfiguration: {
    Webhooks: "Webhooks indicates the number of webhooks registered in this configuration",
  },
  VolumeAttachment: {
    Attacher: field("storage.v1.VolumeAttachmentSpec", "attacher"),
    PV: field("storage.v1.VolumeAttachmentSource", "persistentVolumeName"),
    Node: field("storage.v1.VolumeAttachmentSpec", "nodeName"),
    Attached: field("storage.v1.VolumeAttachmentStatus", "attached"),
  },
  VolumeAttributesClass: {
    DriverName: field("storage.v1.VolumeAttributesClass", "driverName"),
  },
};

/** One small valid object of every built-in kind, and for those with a status one that it may have: what tests write when any object will do. */
import { assert } from "../base/assert.ts";
import type { ResourceName } from "../machinery/resource.ts";
import { apiVersionOf } from "../machinery/resource.ts";

interface Sample {
  /** All but apiVersion, kind, name and namespace. */
  readonly body?: object;
  readonly status?: object;
  /** For kinds whose names are not free. */
  readonly name?: (index: number) => string;
}

export interface SampleObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

export const SAMPLE_NAMESPACE = "default";

/** The sample of a kind; `index` tells several of them apart, in name and in whatever else has to be one's own. */
export function sampleOf(resource: ResourceName, index = 0): SampleObject {
  const { body, name } = find(resource, index);
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    ...body,
    metadata: {
      name: name?.(index) ?? `sample-${index}`,
      ...(resource.scope === "Namespaced" && { namespace: SAMPLE_NAMESPACE }),
    },
  };
}

export function sampleStatusOf(resource: ResourceName): object | undefined {
  return find(resource, 0).status;
}

function find(resource: ResourceName, index: number): Sample {
  const { group, version, kind } = resource;
  const all = samples(index);
  const sample = all[`${group}/${kind}/${version}`] ?? all[`${group}/${kind}`];
  assert(sample !== undefined, `no sample of ${group}/${version} ${kind}`);
  return sample;
}

const CERTIFICATE_REQUEST =
  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIWU1IOENBUUF3SFRFTU1Bb0dBMVVFQ2d3RFpHVjJNUTB3Q3dZRFZRUUREQVJxWVc1bE1Ga3dFd1lIS29aSQp6ajBDQVFZSUtvWkl6ajBEQVFjRFFnQUUvbDFEQXJXUkZHZllEMEwxTllkdDVTMTR3blpKbTB4WFMrYVgyWHB1CjY2TCtHb1B6QzFpOTgrMVJndU5kbjN4U0JNOGVNMGFQVDRXb1Z2UW9DanlJSmFBQU1Bb0dDQ3FHU000OUJBTUMKQTBrQU1FWUNJUURsdDFqc2V2NzBnSVdxT2pqS1luRHBEN1ZidWNDdFNRcG4wNVkrNkd2U3l3SWhBSnFrZk90QwpmRGQwdzVXZmx1MUNmUHMydEVWaFAxZFZVVnJta3lUaDF5d2QKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUHGQMHYw1vs4mEniCVqqbZtpsCq4wCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGc2FtcGxlMCAXDTI2MTEyMzA3MDQyNVoYDzIxMjYxMDMwMDcw
NDI1WjARMQ8wDQYDVQQDDAZzYW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAT+XUMCtZEUZ9gPQvU1h23lLXjCdkmbTFdL5pfZem7rov4ag/MLWL3z7VGC412f
fFIEzx4zRo9PhahW9CgKPIglo1MwUTAdBgNVHQ4EFgQUPbGQdZvZv0357u7Fb4s+
0Dd/jZYwHwYDVR0jBBgwFoAUPbGQdZvZv0357u7Fb4s+0Dd/jZYwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBmQ9u/jiCA60ZkcJtLye6gOxLvtlEE
oXodzUWTBn9ETwIhAKc6EVj+LzetFPEAPxLtRroVj2nf76tJKuDB0pKVh+lv
-----END CERTIFICATE-----
`;

const NOW = "2026-01-01T00:00:00Z";
const MICRO_NOW = "2026-01-01T00:00:00.000000Z";
const labels = { app: "sample" };
const selector = { matchLabels: labels };
const podSpec = { containers: [{ name: "main", image: "nginx:1.27" }] };
const template = { metadata: { labels }, spec: podSpec };
const jobTemplate = { metadata: { labels }, spec: { ...podSpec, restartPolicy: "Never" } };
const storageRequest = { resources: { requests: { storage: "1Gi" } } };
const condition = {
  type: "Sampled",
  status: "True",
  reason: "Sample",
  message: "sampled",
  lastTransitionTime: NOW,
};
const conditions = { conditions: [condition] };
const rule = { apiGroups: [""], resources: ["pods"], verbs: ["get"] };
const subject = { kind: "User", name: "jane", apiGroup: "rbac.authorization.k8s.io" };
const webhook = {
  name: "sample.example.com",
  admissionReviewVersions: ["v1"],
  sideEffects: "None",
  failurePolicy: "Ignore",
  clientConfig: { url: "https://127.0.0.1:1/" },
  // Nothing has this label, so that the sample changes nothing.
  objectSelector: { matchLabels: { "example.com/sampled": "never" } },
  rules: [{ apiGroups: ["example.com"], apiVersions: ["v1"], operations: ["CREATE"], resources: ["samples"] }],
};
const matchConstraints = {
  resourceRules: [{ apiGroups: ["example.com"], apiVersions: ["v1"], operations: ["CREATE"], resources: ["samples"] }],
};
const deviceRequest = { name: "one", exactly: { deviceClassName: "sample.example.com" } };
const oldDeviceRequest = { name: "one", deviceClassName: "sample.example.com" };
const mutatingPolicy = {
  spec: {
    failurePolicy: "Ignore",
    reinvocationPolicy: "Never",
    matchConstraints,
    mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression: "Object{}" } }],
  },
};
const leaseCandidate = {
  spec: {
    leaseName: "sample",
    binaryVersion: "1.36.0",
    emulationVersion: "1.36.0",
    strategy: "OldestEmulationVersion",
  },
};
const deviceTaintRule = {
  body: {
    spec: {
      deviceSelector: { driver: "sample.example.com" },
      taint: { key: "example.com/sick", value: "yes", effect: "NoSchedule" },
    },
  },
  status: conditions,
};
const resourceSlice = (index: number) => ({
  spec: {
    driver: "sample.example.com",
    nodeName: "node-0",
    pool: { name: `pool-${index}`, generation: 1, resourceSliceCount: 1 },
  },
});
const clusterTrustBundle = { body: { spec: { trustBundle: CERTIFICATE } } };
const ipAddress = {
  body: { spec: { parentRef: { group: "", resource: "services", namespace: SAMPLE_NAMESPACE, name: "sample" } } },
  name: (index: number) => `192.168.7.${index + 1}`,
};
const serviceCIDR = (index: number) => ({
  body: { spec: { cidrs: [`10.${200 + index}.0.0/24`] } },
  status: conditions,
});
const volumeAttributesClass = { body: { driverName: "sample.example.com", parameters: { speed: "high" } } };

function samples(index: number): Readonly<Record<string, Sample>> {
  return {
    "/ConfigMap": { body: { data: { key: "value" } } },
    "/Endpoints": { body: { subsets: [{ addresses: [{ ip: "10.1.2.3" }], ports: [{ port: 80 }] }] } },
    "/Event": {
      body: {
        involvedObject: { kind: "Pod", namespace: SAMPLE_NAMESPACE, name: "p" },
        reason: "Sampled",
        type: "Normal",
        message: "m",
      },
    },
    "/LimitRange": { body: { spec: { limits: [{ type: "PersistentVolumeClaim", max: { storage: "100Gi" } }] } } },
    "/Namespace": { status: { phase: "Active", conditions: [{ ...condition, type: "NamespaceContentRemaining" }] } },
    "/Node": { status: { capacity: { cpu: "4" }, phase: "Running" } },
    "/PersistentVolumeClaim": {
      body: { spec: { accessModes: ["ReadWriteOnce"], ...storageRequest } },
      status: { phase: "Lost" },
    },
    "/PersistentVolume": {
      body: {
        spec: { accessModes: ["ReadWriteOnce"], capacity: { storage: "1Gi" }, hostPath: { path: "/tmp/sample" } },
      },
      status: { phase: "Available", message: "sampled" },
    },
    "/Pod": { body: { spec: podSpec }, status: { phase: "Failed", message: "sampled" } },
    "/PodTemplate": { body: { template } },
    "/ReplicationController": {
      body: { spec: { selector: labels, template } },
      status: { replicas: 1, observedGeneration: 1 },
    },
    "/ResourceQuota": {
      body: { spec: { hard: { "count/widgets.example.com": "10" } } },
      status: { hard: { "count/widgets.example.com": "10" }, used: { "count/widgets.example.com": "1" } },
    },
    "/Secret": { body: { type: "Opaque", data: { key: "dmFsdWU=" } } },
    "/ServiceAccount": {},
    "/Service": {
      body: { spec: { selector: labels, ports: [{ port: 80 }] } },
      status: { loadBalancer: {}, conditions: [condition] },
    },
    "apiregistration.k8s.io/APIService": {
      body: {
        spec: {
          group: `group-${index}.example.com`,
          version: "v1",
          groupPriorityMinimum: 1000,
          versionPriority: 15,
          insecureSkipTLSVerify: true,
          service: { namespace: SAMPLE_NAMESPACE, name: "sample", port: 443 },
        },
      },
      status: { conditions: [{ ...condition, status: "False" }] },
      name: (i) => `v1.group-${i}.example.com`,
    },
    "apps/ControllerRevision": { body: { revision: 1, data: { spec: { replicas: 1 } } } },
    "apps/DaemonSet": {
      body: { spec: { selector, template } },
      status: { currentNumberScheduled: 1, desiredNumberScheduled: 1, numberMisscheduled: 0, numberReady: 1 },
    },
    "apps/Deployment": { body: { spec: { selector, template } }, status: { replicas: 1, observedGeneration: 1 } },
    "apps/ReplicaSet": { body: { spec: { selector, template } }, status: { replicas: 1, observedGeneration: 1 } },
    "apps/StatefulSet": {
      body: { spec: { selector, template, serviceName: "sample" } },
      status: { replicas: 1, availableReplicas: 0, observedGeneration: 1 },
    },
    "events.k8s.io/Event": {
      body: {
        eventTime: MICRO_NOW,
        reportingController: "example.com/sampler",
        reportingInstance: "sampler-0",
        action: "Sampling",
        reason: "Sampled",
        type: "Normal",
        regarding: { kind: "Pod", namespace: SAMPLE_NAMESPACE, name: "p" },
      },
    },
    "autoscaling/HorizontalPodAutoscaler": {
      body: { spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "d" } } },
      status: { currentReplicas: 1, desiredReplicas: 1 },
    },
    "batch/CronJob": {
      body: { spec: { schedule: "*/5 * * * *", jobTemplate: { spec: { template: jobTemplate } } } },
      status: { lastScheduleTime: NOW },
    },
    "batch/Job": { body: { spec: { template: jobTemplate } }, status: { active: 1 } },
    "certificates.k8s.io/CertificateSigningRequest": {
      body: {
        spec: { request: CERTIFICATE_REQUEST, signerName: "example.com/sample", usages: ["client auth"] },
      },
      status: { conditions: [{ type: "Failed", status: "True", reason: "Sample", message: "sampled" }] },
    },
    "certificates.k8s.io/ClusterTrustBundle": clusterTrustBundle,
    "certificates.k8s.io/PodCertificateRequest": {
      body: {
        spec: {
          signerName: "example.com/sample",
          podName: "p",
          podUID: "8c3f6f0e-8f5c-4c92-9b52-4c8a7a5c0001",
          serviceAccountName: "default",
          serviceAccountUID: "8c3f6f0e-8f5c-4c92-9b52-4c8a7a5c0002",
          nodeName: "node-0",
          nodeUID: "8c3f6f0e-8f5c-4c92-9b52-4c8a7a5c0003",
          maxExpirationSeconds: 86400,
          // The request itself, without the armour around it.
          stubPKCS10Request: Buffer.from(CERTIFICATE_REQUEST, "base64")
            .toString()
            .replaceAll(/-----[A-Z ]+-----|\s/g, ""),
        },
      },
      status: { conditions: [{ ...condition, type: "Denied" }] },
    },
    "networking.k8s.io/IngressClass": { body: { spec: { controller: "example.com/ingress" } } },
    "networking.k8s.io/Ingress": {
      body: { spec: { defaultBackend: { service: { name: "s", port: { number: 80 } } } } },
      status: { loadBalancer: { ingress: [{ ip: "10.9.8.7" }] } },
    },
    "networking.k8s.io/IPAddress": ipAddress,
    "networking.k8s.io/NetworkPolicy": { body: { spec: { podSelector: selector } } },
    "networking.k8s.io/ServiceCIDR": serviceCIDR(index),
    "policy/PodDisruptionBudget": {
      body: { spec: { minAvailable: 1, selector } },
      status: { currentHealthy: 1, desiredHealthy: 1, disruptionsAllowed: 0, expectedPods: 1 },
    },
    "rbac.authorization.k8s.io/ClusterRole": { body: { rules: [rule] } },
    "rbac.authorization.k8s.io/Role": { body: { rules: [rule] } },
    "rbac.authorization.k8s.io/ClusterRoleBinding": {
      body: {
        subjects: [subject],
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
      },
    },
    "rbac.authorization.k8s.io/RoleBinding": {
      body: { subjects: [subject], roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" } },
    },
    "storage.k8s.io/CSIDriver": { body: { spec: { attachRequired: false } } },
    "storage.k8s.io/CSINode": { body: { spec: { drivers: [{ name: "sample.example.com", nodeID: "n" }] } } },
    "storage.k8s.io/CSIStorageCapacity": { body: { storageClassName: "sample", capacity: "1Gi" } },
    "storage.k8s.io/StorageClass": { body: { provisioner: "example.com/sample" } },
    "storage.k8s.io/VolumeAttachment": {
      body: { spec: { attacher: "sample.example.com", nodeName: "n", source: { persistentVolumeName: "pv" } } },
      status: { attached: true },
    },
    "storage.k8s.io/VolumeAttributesClass": volumeAttributesClass,
    "admissionregistration.k8s.io/MutatingAdmissionPolicy": { body: mutatingPolicy },
    "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding": { body: { spec: { policyName: "sample-0" } } },
    "admissionregistration.k8s.io/MutatingWebhookConfiguration": { body: { webhooks: [webhook] } },
    "admissionregistration.k8s.io/ValidatingWebhookConfiguration": { body: { webhooks: [webhook] } },
    "admissionregistration.k8s.io/ValidatingAdmissionPolicy": {
      body: { spec: { matchConstraints, validations: [{ expression: "true" }] } },
      status: { observedGeneration: 1, conditions: [condition] },
    },
    "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding": {
      body: { spec: { policyName: "sample-0", validationActions: ["Deny"] } },
    },
    "apiextensions.k8s.io/CustomResourceDefinition": {
      body: {
        spec: {
          group: "example.com",
          scope: "Namespaced",
          names: {
            plural: `widget${index}s`,
            singular: `widget${index}`,
            kind: `Widget${index}`,
            listKind: `Widget${index}List`,
          },
          versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
        },
      },
      status: { conditions: [condition], acceptedNames: { plural: "", kind: "" }, storedVersions: ["v1"] },
      name: (i) => `widget${i}s.example.com`,
    },
    "scheduling.k8s.io/PriorityClass": { body: { value: 1000 + index } },
    "scheduling.k8s.io/PodGroup": {
      body: { spec: { disruptionMode: "Pod", schedulingPolicy: { gang: { minCount: 2 } } } },
      status: conditions,
    },
    "scheduling.k8s.io/Workload": {
      body: { spec: { podGroupTemplates: [{ name: "workers", schedulingPolicy: { gang: { minCount: 2 } } }] } },
    },
    "coordination.k8s.io/Lease": { body: { spec: { holderIdentity: "me", leaseDurationSeconds: 15 } } },
    "coordination.k8s.io/LeaseCandidate": { body: leaseCandidate },
    "node.k8s.io/RuntimeClass": { body: { handler: "runc" } },
    "discovery.k8s.io/EndpointSlice": {
      body: { addressType: "IPv4", endpoints: [{ addresses: ["10.1.2.3"] }], ports: [{ port: 80 }] },
    },
    "resource.k8s.io/DeviceClass": { body: { spec: {} } },
    "resource.k8s.io/ResourceClaim": {
      body: { spec: { devices: { requests: [deviceRequest] } } },
      status: {
        allocation: {
          devices: {
            results: [{ request: "one", driver: "sample.example.com", pool: "p", device: "d" }],
          },
        },
      },
    },
    "resource.k8s.io/ResourceClaim/v1beta1": {
      body: { spec: { devices: { requests: [oldDeviceRequest] } } },
      status: {
        allocation: {
          devices: {
            results: [{ request: "one", driver: "sample.example.com", pool: "p", device: "d" }],
          },
        },
      },
    },
    "resource.k8s.io/ResourceClaimTemplate": { body: { spec: { spec: { devices: { requests: [deviceRequest] } } } } },
    "resource.k8s.io/ResourceClaimTemplate/v1beta1": {
      body: { spec: { spec: { devices: { requests: [oldDeviceRequest] } } } },
    },
    "resource.k8s.io/ResourceSlice": { body: resourceSlice(index) },
    "resource.k8s.io/DeviceTaintRule": deviceTaintRule,
    "resource.k8s.io/ResourcePoolStatusRequest": {
      body: { spec: { driver: "sample.example.com", limit: 10 } },
      status: { poolCount: 0, conditions: [{ ...condition, type: "Complete" }] },
    },
    "flowcontrol.apiserver.k8s.io/FlowSchema": {
      body: { spec: { priorityLevelConfiguration: { name: "global-default" }, matchingPrecedence: 500 } },
      status: { conditions: [{ ...condition, type: "Dangling" }] },
    },
    "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration": {
      body: { spec: { type: "Limited", limited: { nominalConcurrencyShares: 1, limitResponse: { type: "Reject" } } } },
      status: { conditions: [condition] },
    },
    "internal.apiserver.k8s.io/StorageVersion": {
      body: { spec: {} },
      status: {
        storageVersions: [
          { apiServerID: "a", encodingVersion: "v1", decodableVersions: ["v1"], servedVersions: ["v1"] },
        ],
        commonEncodingVersion: "v1",
        conditions: [{ ...condition, type: "AllEncodingVersionsEqual" }],
      },
      name: (i) => `example.com.things${i}`,
    },
    "storagemigration.k8s.io/StorageVersionMigration": {
      body: { spec: { resource: { group: "", resource: "secrets" } } },
      status: { conditions: [{ ...condition, type: "Running" }], resourceVersion: "1" },
    },
  };
}

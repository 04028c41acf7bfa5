/** Plugins that complete pods or check their specifications. */
import type { DecisionTable } from "./table.ts";
import { named, pod, only, resources, mirror } from "./objects.ts";

export const podDecisions: DecisionTable = {
  LimitPodHardAntiAffinityTopology: [
    {
      when: "pods must keep apart over zones",
      object: pod({
        affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: "zone" }] } },
      }),
      says: "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only key kubernetes.io/hostname is allowed",
    },
    {
      when: "pods would rather keep apart over zones",
      object: pod({
        affinity: {
          podAntiAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [{ podAffinityTerm: { topologyKey: "zone" } }],
          },
        },
      }),
    },
  ],
  ServiceAccount: [
    {
      when: "a pod names none, and there is none",
      object: pod(),
      says: 'error looking up service account default/default: serviceaccount "default" not found',
    },
    {
      when: "a pod names none",
      object: pod({ automountServiceAccountToken: false }),
      cluster: { serviceaccounts: [named("default", { namespace: "default" })] },
      becomes: { spec: { serviceAccountName: "default", serviceAccount: "default" } },
    },
    {
      when: "the account has pull secrets, and the pod has none",
      object: pod({ automountServiceAccountToken: false }),
      cluster: {
        serviceaccounts: [{ ...named("default", { namespace: "default" }), imagePullSecrets: [{ name: "s" }] }],
      },
      becomes: { spec: { imagePullSecrets: [{ name: "s" }] } },
    },
    {
      when: "a mirror pod names one",
      object: mirror({ serviceAccountName: "a" }),
      says: "a mirror pod may not reference service accounts",
    },
    {
      when: "a mirror pod has a secret",
      object: mirror({ volumes: [{ name: "v", secret: { secretName: "s" } }] }),
      says: "a mirror pod may not reference secrets",
    },
    {
      when: "a mirror pod has a token",
      object: mirror({ volumes: [{ name: "v", projected: { sources: [{ serviceAccountToken: { path: "t" } }] } }] }),
      says: "a mirror pod may not use ServiceAccountToken volume projections",
    },
    ...(
      [
        [
          "a volume of a secret that the account doesn't list",
          { volumes: [{ name: "v", secret: { secretName: "s" } }] },
          'volume with secret.secretName="s" is not allowed because service account strict does not reference that secret',
        ],
        [
          "a variable of such a secret",
          { containers: [{ name: "c", image: "i", env: [{ name: "E", valueFrom: { secretKeyRef: { name: "s" } } }] }] },
          'container c with envVar E referencing secret.secretName="s" is not allowed because service account strict does not reference that secret',
        ],
        [
          "pull secrets that it doesn't list",
          { imagePullSecrets: [{ name: "s" }] },
          'imagePullSecrets[0].name="s" is not allowed because service account strict does not reference that imagePullSecret',
        ],
      ] as const
    ).map(([when, spec, says]) => ({
      when,
      object: pod({ serviceAccountName: "strict", automountServiceAccountToken: false, ...spec }),
      cluster: {
        serviceaccounts: [
          named("strict", { namespace: "default", annotations: { "kubernetes.io/enforce-mountable-secrets": "true" } }),
        ],
      },
      says,
    })),
  ],
  AlwaysPullImages: [
    {
      when: "a pod is made",
      object: pod({ volumes: [{ name: "v", image: { reference: "x" } }] }),
      becomes: {
        spec: {
          containers: [{ name: "c", image: "i", imagePullPolicy: "Always" }],
          volumes: [{ name: "v", image: { reference: "x", pullPolicy: "Always" } }],
        },
      },
    },
    {
      when: "a pod is changed, and its images aren't",
      operation: "UPDATE",
      object: only({ imagePullPolicy: "Never" }),
      old: only({ imagePullPolicy: "Never" }),
      becomes: { spec: { containers: [{ name: "c", image: "i", imagePullPolicy: "Never" }] } },
    },
  ],
  ImagePolicyWebhook: [
    {
      when: "it is told of no webhook",
      object: pod(),
      says: 'couldn\'t init admission plugin "ImagePolicyWebhook": no config specified',
    },
    {
      when: "it is to remember for too long",
      object: pod(),
      configuration: { imagePolicy: { allowTTL: 7200 } },
      says: 'couldn\'t init admission plugin "ImagePolicyWebhook": valid value is between 1s and 30m0s, got 2h0m0s',
    },
  ],
  Priority: [
    {
      when: "a pod's class isn't there",
      object: pod({ priorityClassName: "high" }),
      says: "no PriorityClass with name high was found",
    },
    {
      when: "a pod's class is there",
      object: pod({ priorityClassName: "high" }),
      cluster: { "priorityclasses.scheduling.k8s.io": [{ ...named("high"), value: 7, preemptionPolicy: "Never" }] },
      becomes: { spec: { priority: 7, preemptionPolicy: "Never" } },
    },
    {
      when: "a pod has no class, and there are defaults",
      object: pod(),
      cluster: {
        "priorityclasses.scheduling.k8s.io": [
          { ...named("b"), value: 9, globalDefault: true },
          { ...named("a"), value: 3, globalDefault: true },
        ],
      },
      becomes: { spec: { priority: 3, priorityClassName: "a" } },
    },
    {
      when: "a pod has no class",
      object: pod(),
      becomes: { spec: { priority: 0, preemptionPolicy: "PreemptLowerPriority" } },
    },
    {
      when: "a pod has another priority than its class",
      object: pod({ priority: 5 }),
      says: "the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name",
    },
    {
      when: "a pod has another policy than its class",
      object: pod({ preemptionPolicy: "Never" }),
      says: "the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller computed PreemptLowerPriority from the given PriorityClass name",
    },
    {
      when: "a second class is to be the default",
      resource: "priorityclasses.scheduling.k8s.io",
      object: { ...named("b"), globalDefault: true },
      cluster: { "priorityclasses.scheduling.k8s.io": [{ ...named("a"), value: 1, globalDefault: true }] },
      says: "PriorityClass a is already marked as default. Only one default can exist",
    },
    {
      when: "a group of pods has another priority than its class",
      resource: "podgroups.scheduling.k8s.io",
      gates: { WorkloadAwarePreemption: true },
      object: { ...named("g"), spec: { priority: 5 } },
      says: "priority set in the pod group (5) must match the priority computed (0) based on the priority class set in the spec",
    },
  ],
  DefaultTolerationSeconds: [
    {
      when: "a pod doesn't say how long it stays",
      object: pod(),
      becomes: {
        spec: {
          tolerations: ["not-ready", "unreachable"].map((word) => ({
            key: `node.kubernetes.io/${word}`,
            operator: "Exists",
            effect: "NoExecute",
            tolerationSeconds: 300,
          })),
        },
      },
    },
    {
      when: "a pod tolerates everything",
      object: pod({ tolerations: [{ operator: "Exists" }] }),
      becomes: { spec: { tolerations: [{ operator: "Exists" }] } },
    },
  ],
  ExtendedResourceToleration: [
    {
      when: "a pod asks for a device",
      object: resources({ "example.com/gpu": "1", cpu: "1" }),
      becomes: { spec: { tolerations: [{ key: "example.com/gpu", operator: "Exists", effect: "NoSchedule" }] } },
    },
  ],
  RuntimeClass: [
    {
      when: "the class isn't there",
      object: pod({ runtimeClassName: "vm" }),
      says: 'pod rejected: RuntimeClass "vm" not found',
    },
    ...(
      [
        [
          "a pod of it says another overhead",
          { overhead: { cpu: "2" } },
          "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
          undefined,
        ],
        [
          "a pod of it runs elsewhere",
          { nodeSelector: { kind: "b" } },
          "conflict: runtimeClass.scheduling.nodeSelector[kind] = a; pod.spec.nodeSelector[kind] = b",
          undefined,
        ],
        [
          "a pod of it says nothing",
          {},
          undefined,
          {
            spec: {
              overhead: { cpu: "1" },
              nodeSelector: { kind: "a" },
              tolerations: [{ key: "t", operator: "Exists" }],
            },
          },
        ],
      ] as const
    ).map(([when, spec, says, becomes]) => ({
      when,
      object: pod({ runtimeClassName: "vm", ...spec }),
      cluster: {
        "runtimeclasses.node.k8s.io": [
          {
            ...named("vm"),
            overhead: { podFixed: { cpu: "1" } },
            scheduling: { nodeSelector: { kind: "a" }, tolerations: [{ key: "t", operator: "Exists" }] },
          },
        ],
      },
      ...(says !== undefined && { says }),
      ...(becomes !== undefined && { becomes }),
    })),
    {
      when: "a pod has overhead of no class",
      object: pod({ overhead: { cpu: "1" } }),
      says: "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
    },
  ],
  PodResizeValidator: [
    ...(
      [
        ["a node of Windows", "windows", {}, 'pod resize is only supported on linux nodes, node "n1" is "windows"'],
        [
          "a node that is too small",
          "linux",
          { cpu: "1", memory: "1Gi" },
          "node didn't have enough allocatable resources: cpu, requested: 2000, allocatable: 1000; memory, requested: 2147483648, allocatable: 1073741824",
        ],
        ["a node that is large enough", "linux", { cpu: "4", memory: "4Gi" }, undefined],
      ] as const
    ).map(([where, os, allocatable, says]) => ({
      when: `a pod grows on ${where}`,
      operation: "UPDATE" as const,
      resource: "pods/resize",
      object: pod(
        {
          nodeName: "n1",
          containers: [{ name: "c", image: "i", resources: { requests: { cpu: "2", memory: "2Gi" } } }],
        },
        { generation: 2 },
      ),
      old: pod({ nodeName: "n1" }, { generation: 1 }),
      cluster: { nodes: [{ ...named("n1", { labels: { "kubernetes.io/os": os } }), status: { allocatable } }] },
      ...(says !== undefined && { says }),
    })),
    {
      when: "the node isn't there",
      operation: "UPDATE",
      resource: "pods/resize",
      object: pod({ nodeName: "n1" }, { generation: 2 }),
      old: pod({ nodeName: "n1" }, { generation: 1 }),
      says: 'node "n1" not found',
    },
  ],
};

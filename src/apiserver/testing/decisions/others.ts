/** Plugins that admit or deny everything, and those that look at one other kind. */
import type { DecisionTable } from "./table.ts";
import { named, pod, NODE } from "./objects.ts";

export const otherDecisions: DecisionTable = {
  AlwaysAdmit: [{ when: "anything", object: pod() }],
  DefaultStorageClass: [
    {
      when: "a claim names no class, and two are default",
      resource: "persistentvolumeclaims",
      object: { ...named("c"), spec: {} },
      cluster: {
        "storageclasses.storage.k8s.io": ["2024", "2025"].map((year) =>
          named(`of-${year}`, {
            creationTimestamp: `${year}-01-01T00:00:00Z`,
            annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
          }),
        ),
      },
      becomes: { spec: { storageClassName: "of-2025" } },
    },
    {
      when: "a claim wants none",
      resource: "persistentvolumeclaims",
      object: { ...named("c"), spec: { storageClassName: "" } },
      becomes: { spec: { storageClassName: "" } },
    },
  ],
  StorageObjectInUseProtection: (
    [
      ["persistentvolumes", "pv"],
      ["persistentvolumeclaims", "pvc"],
      ["volumeattributesclasses.storage.k8s.io", "vac"],
    ] as const
  ).map(([resource, word]) => ({
    when: `one of ${resource} is made`,
    resource,
    object: named("x"),
    becomes: { metadata: { finalizers: [`kubernetes.io/${word}-protection`] } },
  })),
  PodGroupProtection: [
    {
      when: "a group is made",
      resource: "podgroups.scheduling.k8s.io",
      object: named("g"),
      becomes: { metadata: { finalizers: undefined } },
    },
    {
      when: "a group is made, and GenericWorkload is on",
      resource: "podgroups.scheduling.k8s.io",
      gates: { GenericWorkload: true },
      object: named("g"),
      becomes: { metadata: { finalizers: ["scheduling.k8s.io/podgroup-protection"] } },
    },
  ],
  PersistentVolumeClaimResize: (
    [
      ["that isn't bound grows", "2Gi", "Pending", true, "Only bound persistent volume claims can be expanded"],
      [
        "whose class lets none grow, grows",
        "2Gi",
        "Bound",
        false,
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
      ],
      ["whose class lets it grow, grows", "2Gi", "Bound", true, undefined],
      ["shrinks", "500Mi", "Pending", false, undefined],
    ] as const
  ).map(([what, storage, phase, allowVolumeExpansion, says]) => ({
    when: `a claim ${what}`,
    operation: "UPDATE" as const,
    resource: "persistentvolumeclaims",
    object: { ...named("c"), spec: { storageClassName: "s", resources: { requests: { storage } } } },
    old: {
      ...named("c"),
      spec: { storageClassName: "s", resources: { requests: { storage: "1Gi" } } },
      status: { phase },
    },
    cluster: { "storageclasses.storage.k8s.io": [{ ...named("s"), allowVolumeExpansion }] },
    ...(says !== undefined && { says }),
  })),
  DefaultIngressClass: [
    {
      when: "an ingress names no class, and one is default",
      resource: "ingresses.networking.k8s.io",
      object: { ...named("i"), spec: {} },
      cluster: {
        "ingressclasses.networking.k8s.io": [
          named("a", { annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } }),
        ],
      },
      becomes: { spec: { ingressClassName: "a" } },
    },
    {
      when: "an ingress names its class by annotation",
      resource: "ingresses.networking.k8s.io",
      object: { ...named("i", { annotations: { "kubernetes.io/ingress.class": "b" } }), spec: {} },
      becomes: { spec: { ingressClassName: undefined } },
    },
  ],
  PodTopologyLabels: (
    [
      ["a pod is bound", "pods/binding", { ...named("p"), target: { kind: "Node", name: "n1" } }],
      ["a pod is made on a node", "pods", pod({ nodeName: "n1" })],
    ] as const
  ).map(([when, resource, object]) => ({
    when,
    resource,
    object,
    cluster: { nodes: [named("n1", { labels: { "topology.kubernetes.io/zone": "z", other: "x" } })] },
    becomes: { metadata: { labels: { "topology.kubernetes.io/zone": "z" } } },
  })),
  PodGroupWorkloadExists: (
    [
      ["isn't there", "none", "t", 'PodGroup rejected: Workload "none" not found'],
      ["goes", "going", "t", 'PodGroup rejected: Workload "going" is being deleted'],
      ["has no such template", "w", "u", 'PodGroup rejected: PodGroupTemplate "u" not found in Workload "w"'],
      ["has the template", "w", "t", undefined],
    ] as const
  ).map(([what, workloadName, podGroupTemplateName, says]) => ({
    when: `the workload ${what}`,
    resource: "podgroups.scheduling.k8s.io",
    gates: { GenericWorkload: true },
    object: { ...named("g"), spec: { podGroupTemplateRef: { workload: { workloadName, podGroupTemplateName } } } },
    cluster: {
      "workloads.scheduling.k8s.io": [
        { ...named("w", { namespace: "default" }), spec: { podGroupTemplates: [{ name: "t" }] } },
        { ...named("going", { namespace: "default", deletionTimestamp: "2025-01-01T00:00:00Z" }), spec: {} },
      ],
    },
    ...(says !== undefined && { says }),
  })),
  NodeDeclaredFeatureValidator: (
    [
      ["can", ["InPlacePodLevelResourcesVerticalScaling"], undefined],
      [
        "can't",
        [],
        'pod update requires features InPlacePodLevelResourcesVerticalScaling which are not available on node "n1"',
      ],
    ] as const
  ).map(([can, declaredFeatures, says]) => ({
    when: `the pod's own resources change on a node that ${can}`,
    operation: "UPDATE" as const,
    resource: "pods/resize",
    object: pod({ nodeName: "n1", resources: { requests: { cpu: "2" } } }, { generation: 2 }),
    old: pod({ nodeName: "n1", resources: { requests: { cpu: "1" } } }, { generation: 1 }),
    cluster: { nodes: [{ ...NODE, status: { declaredFeatures } }] },
    ...(says !== undefined && { says }),
  })),
  JobValidation: [
    {
      when: "the parallelism of a job changes whose pods go all together",
      operation: "UPDATE",
      resource: "jobs.batch",
      gates: { GenericWorkload: true },
      object: { ...named("j", { uid: "u" }), spec: { parallelism: 2, template: { spec: {} } } },
      old: { ...named("j", { uid: "u" }), spec: { parallelism: 1, template: { spec: {} } } },
      cluster: {
        "podgroups.scheduling.k8s.io": [
          {
            ...named("g", { namespace: "default", ownerReferences: [{ uid: "u", controller: true }] }),
            spec: { schedulingPolicy: { gang: {} } },
          },
        ],
      },
      says: 'cannot change parallelism for a Job referencing gang-scheduled PodGroup "g"',
    },
  ],
  AlwaysDeny: [{ when: "anything", object: pod(), says: "admission control is denying all modifications" }],
};

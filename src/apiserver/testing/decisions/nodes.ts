/** What kubelets may do, and what new nodes are given. */
import type { DecisionTable } from "./table.ts";
import { named, pod, KUBELET, NODE, OWNER, mirror } from "./objects.ts";

export const nodeDecisions: DecisionTable = {
  NodeRestriction: [
    ...(
      [
        [
          "a pod that is no mirror",
          pod({ nodeName: "n1" }),
          'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods',
        ],
        [
          "a mirror pod of another node",
          mirror({ nodeName: "n2" }),
          'node "n1" can only create pods with spec.nodeName set to itself',
        ],
        [
          "one that nobody owns",
          mirror({}, { ownerReferences: [] }),
          'node "n1" can only create pods with an owner reference set to itself',
        ],
        [
          "one that two own",
          mirror({}, { ownerReferences: [OWNER, OWNER] }),
          'node "n1" can only create pods with a single owner reference set to itself',
        ],
        [
          "one that another owns",
          mirror({}, { ownerReferences: [{ ...OWNER, name: "n2" }] }),
          'node "n1" can only create pods with an owner reference set to itself',
        ],
        [
          "one whose owner doesn't control it",
          mirror({}, { ownerReferences: [{ ...OWNER, controller: false }] }),
          'node "n1" can only create pods with a controller owner reference set to itself',
        ],
        [
          "one that holds its owner up",
          mirror({}, { ownerReferences: [{ ...OWNER, blockOwnerDeletion: true }] }),
          'node "n1" must not set blockOwnerDeletion on an owner reference',
        ],
        [
          "one whose owner was another",
          mirror({}, { ownerReferences: [{ ...OWNER, uid: "u0" }] }),
          "node n1 UID mismatch: expected u0 got u1",
        ],
        [
          "one with a service account",
          mirror({ serviceAccountName: "a" }),
          'node "n1" can not create pods that reference serviceaccounts',
        ],
        [
          "one with a secret",
          mirror({ volumes: [{ name: "v", secret: { secretName: "s" } }] }),
          'node "n1" can not create pods that reference secrets',
        ],
        [
          "one with a config map",
          mirror({ volumes: [{ name: "v", configMap: { name: "s" } }] }),
          'node "n1" can not create pods that reference configmaps',
        ],
        [
          "one with a resource claim",
          mirror({ resourceClaims: [{ name: "r" }] }),
          'node "n1" can not create pods that reference resourceclaims',
        ],
        [
          "one with a claim",
          mirror({ volumes: [{ name: "v", persistentVolumeClaim: { claimName: "s" } }] }),
          'node "n1" can not create pods that reference persistentvolumeclaims',
        ],
        [
          "one with a volume of a CSI driver",
          mirror({ volumes: [{ name: "v", csi: { driver: "d" } }] }),
          'node "n1" can not create pods that reference csidrivers (via CSI volumes)',
        ],
        [
          "one with a claim of its own",
          mirror({ volumes: [{ name: "v", ephemeral: {} }] }),
          'node "n1" can not create pods that reference persistentvolumeclaims (via ephemeral volumes)',
        ],
        [
          "one with a token",
          mirror({ volumes: [{ name: "v", projected: { sources: [{ serviceAccountToken: {} }] } }] }),
          'node "n1" can not create pods that reference serviceaccounts (via projected volumes)',
        ],
        [
          "one with a trust bundle",
          mirror({ volumes: [{ name: "v", projected: { sources: [{ clusterTrustBundle: {} }] } }] }),
          'node "n1" can not create pods that reference clustertrustbundles',
        ],
        ["its own mirror pod", mirror(), undefined],
      ] as const
    ).map(([what, object, says]) => ({
      when: `a kubelet makes ${what}`,
      user: KUBELET,
      object,
      cluster: { nodes: [NODE] },
      ...(says !== undefined && { says }),
    })),
    {
      when: "a kubelet updates a pod",
      user: KUBELET,
      operation: "UPDATE",
      object: mirror(),
      old: mirror(),
      says: 'unexpected operation "UPDATE", node "n1" can only create and delete mirror pods',
    },
    {
      when: "a kubelet deletes a pod of another node",
      user: KUBELET,
      operation: "DELETE",
      old: pod({ nodeName: "n2" }),
      says: 'node "n1" can only delete pods with spec.nodeName set to itself',
    },
    {
      when: "a kubelet evicts a pod of another node",
      user: KUBELET,
      resource: "pods/eviction",
      name: "p",
      object: named("p"),
      cluster: { pods: [pod({ nodeName: "n2" })] },
      says: "node n1 can only evict pods with spec.nodeName set to itself",
    },
    {
      when: "a kubelet binds a pod",
      user: KUBELET,
      resource: "pods/binding",
      object: named("p"),
      says: "unexpected pod subresource \"binding\", only 'status' and 'eviction' are allowed",
    },
    ...(
      [
        [
          "of another node's pod",
          pod({ nodeName: "n2" }),
          {},
          'node "n1" can only update pod status for pods with spec.nodeName set to itself',
        ],
        [
          "and labels with it",
          pod({ nodeName: "n1" }),
          { labels: { a: "b" } },
          'node "n1" cannot update labels through pod status',
        ],
      ] as const
    ).map(([what, old, metadata, says]) => ({
      when: `a kubelet writes the status ${what}`,
      user: KUBELET,
      operation: "UPDATE" as const,
      resource: "pods/status",
      object: { ...old, metadata: { ...old.metadata, ...metadata } },
      old,
      says,
    })),
    {
      when: "a kubelet writes which claims a pod has",
      user: KUBELET,
      operation: "UPDATE",
      resource: "pods/status",
      object: pod({ nodeName: "n1" }, {}, { status: { resourceClaimStatuses: [{ name: "a" }] } }),
      old: pod({ nodeName: "n1" }),
      says: 'node "n1" cannot update resource claim statues',
    },
    ...(
      [
        ["CREATE", "another node", named("n2"), undefined, 'node "n1" is not allowed to modify node "n2"'],
        [
          "CREATE",
          "its node with labels that restrict it",
          named("n1", { labels: { "node-restriction.kubernetes.io/a": "b" } }),
          undefined,
          'node "n1" is not allowed to set the following labels: node-restriction.kubernetes.io/a',
        ],
        [
          "CREATE",
          "its node with a source of configuration",
          { ...named("n1"), spec: { configSource: {} } },
          undefined,
          'node "n1" is not allowed to create pods with a non-nil configSource',
        ],
        [
          "CREATE",
          "its node with labels of its own",
          named("n1", { labels: { "kubernetes.io/hostname": "n1", "kubelet.kubernetes.io/a": "b", mine: "c" } }),
          undefined,
          undefined,
        ],
        [
          "UPDATE",
          "its taints",
          { ...named("n1"), spec: { taints: [] } },
          { ...named("n1"), spec: { taints: [{ key: "a" }] } },
          'node "n1" is not allowed to modify taints',
        ],
        [
          "UPDATE",
          "its owners",
          named("n1", { ownerReferences: [OWNER] }),
          named("n1"),
          'node "n1" is not allowed to modify ownerReferences',
        ],
        [
          "UPDATE",
          "its role",
          named("n1", { labels: { "node-role.kubernetes.io/x": "" } }),
          named("n1"),
          "is not allowed to modify labels: node-role.kubernetes.io/x",
        ],
        [
          "UPDATE",
          "its source of configuration",
          { ...named("n1"), spec: { configSource: { a: 1 } } },
          named("n1"),
          'node "n1" is not allowed to update configSource to a new non-nil configSource',
        ],
      ] as const
    ).map(([operation, what, object, old, says]) => ({
      when: `a kubelet ${operation === "CREATE" ? "makes" : "changes"} ${what}`,
      user: KUBELET,
      operation,
      resource: "nodes",
      name: object.metadata.name as string,
      object,
      ...(old !== undefined && { old }),
      ...(says !== undefined && { says }),
    })),
    {
      when: "a kubelet changes a claim",
      user: KUBELET,
      operation: "UPDATE",
      resource: "persistentvolumeclaims",
      object: named("c"),
      old: named("c"),
      says: "may only update PVC status",
    },
    {
      when: "a kubelet changes more of a claim than its status",
      user: KUBELET,
      operation: "UPDATE",
      resource: "persistentvolumeclaims/status",
      object: named("c", { labels: { a: "b" } }),
      old: named("c"),
      says: 'node "n1" is not allowed to update fields other than status.quantity and status.conditions',
    },
    ...(
      [
        ["bound to no pod", {}, "node requested token not bound to a pod"],
        [
          "bound to a pod without a uid",
          { boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "p" } },
          "node requested token with a pod binding without a uid",
        ],
        [
          "bound to a pod that is gone",
          { boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "q", uid: "u" } },
          '404 pod "q" not found',
        ],
        [
          "bound to a pod that was",
          { boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "p", uid: "u0" } },
          "the UID in the bound object reference (u0) does not match the UID in record. The object might have been deleted and then recreated",
        ],
        [
          "bound to a pod of another node",
          { boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "far", uid: "u" } },
          "node requested token bound to a pod scheduled on a different node",
        ],
        [
          "for two audiences",
          { audiences: ["a", "b"], boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "p", uid: "u" } },
          "node may only request 0 or 1 audiences",
        ],
        [
          "for an audience that the pod doesn't name",
          { audiences: ["b"], boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "p", uid: "u" } },
          'audience "b" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience',
        ],
        [
          "for one that it does",
          { audiences: ["a"], boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "p", uid: "u" } },
          undefined,
        ],
      ] as const
    ).map(([what, spec, says]) => ({
      when: `a kubelet asks for a token ${what}`,
      user: KUBELET,
      resource: "serviceaccounts/token",
      name: "sa",
      object: { metadata: {}, spec },
      rights: [],
      cluster: {
        pods: [
          pod(
            {
              nodeName: "n1",
              volumes: [{ name: "v", projected: { sources: [{ serviceAccountToken: { audience: "a" } }] } }],
            },
            { uid: "u" },
          ),
          pod({ nodeName: "n2" }, { name: "far", uid: "u" }),
        ],
      },
      ...(says !== undefined && { says }),
    })),
    {
      when: "a kubelet writes a lease elsewhere",
      user: KUBELET,
      resource: "leases.coordination.k8s.io",
      object: named("n1"),
      says: 'can only access leases in the "kube-node-lease" system namespace',
    },
    {
      when: "a kubelet writes another's lease",
      user: KUBELET,
      resource: "leases.coordination.k8s.io",
      namespace: "kube-node-lease",
      object: named("n2"),
      says: "can only access node lease with the same name as the requesting node",
    },
    {
      when: "a kubelet writes another's CSINode",
      user: KUBELET,
      resource: "csinodes.storage.k8s.io",
      object: named("n2"),
      says: "can only access CSINode with the same name as the requesting node",
    },
    {
      when: "a kubelet makes another's resource slice",
      user: KUBELET,
      resource: "resourceslices.resource.k8s.io",
      object: { ...named("s"), spec: { nodeName: "n2" } },
      says: "can only create ResourceSlice with the same NodeName as the requesting node",
    },
    {
      when: "a kubelet deletes another's resource slice",
      user: KUBELET,
      operation: "DELETE",
      resource: "resourceslices.resource.k8s.io",
      old: { ...named("s"), spec: { nodeName: "n2" } },
      says: "can only delete ResourceSlice with the same NodeName as the requesting node",
    },
    {
      when: "a kubelet's certificate request is none",
      user: KUBELET,
      resource: "certificatesigningrequests.certificates.k8s.io",
      object: { ...named("r"), spec: { signerName: "kubernetes.io/kubelet-serving", request: "" } },
      says: "unable to parse csr: PEM block type must be CERTIFICATE REQUEST",
    },
    {
      when: "a kubelet asks for a pod's certificate, and the gate is closed",
      user: KUBELET,
      resource: "podcertificaterequests.certificates.k8s.io",
      object: { ...named("r"), spec: {} },
      says: "PodCertificateRequest feature gate is disabled",
    },
    { when: "somebody else does any of it", object: pod() },
  ],
  TaintNodesByCondition: [
    {
      when: "a node is made",
      resource: "nodes",
      object: { ...named("n"), spec: {} },
      becomes: { spec: { taints: [{ key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }] } },
    },
  ],
};

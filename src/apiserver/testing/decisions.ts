/** What each admission plugin decides: one row for each decision, with upstream's words. The reference page is made from it. */
import type { AnyObject } from "../admission/framework.ts";
import type { Decision } from "./decide.ts";

const named = (name: string, metadata: object = {}): AnyObject => ({ metadata: { name, ...metadata } });
const pod = (spec: object = {}, metadata: object = {}, rest: object = {}): AnyObject => ({
  metadata: { name: "p", namespace: "default", ...metadata },
  spec: { containers: [{ name: "c", image: "i" }], ...spec },
  ...rest,
});
const namespace = (metadata: object = {}, phase = "Active"): AnyObject => ({
  ...named("default", metadata),
  status: { phase },
});
const only = (one: object): AnyObject => pod({ containers: [{ name: "c", image: "i", ...one }] });
const resources = (requests: object, limits: object = {}): AnyObject => only({ resources: { requests, limits } });
const KUBELET = { name: "system:node:n1", groups: ["system:nodes", "system:authenticated"] };
const NODE = named("n1", { uid: "u1" });
const MIRROR = { "kubernetes.io/config.mirror": "x" };
const OWNER = { apiVersion: "v1", kind: "Node", name: "n1", uid: "u1", controller: true };
const mirror = (spec: object = {}, metadata: object = {}): AnyObject =>
  pod({ nodeName: "n1", ...spec }, { annotations: MIRROR, ownerReferences: [OWNER], ...metadata });

type Rows = readonly Omit<Decision, "plugin">[];

const TABLE: Readonly<Record<string, Rows>> = {
  AlwaysAdmit: [{ when: "anything", object: pod() }],
  NamespaceAutoProvision: [
    { when: "something in a namespace that isn't there", object: pod(), makes: ["default"] },
    { when: "something in one that is", object: pod(), cluster: { namespaces: [named("default")] }, makes: [] },
    { when: "a dry run", object: pod(), dryRun: true, makes: [] },
  ],
  NamespaceLifecycle: [
    {
      when: "kube-system is deleted",
      operation: "DELETE",
      resource: "namespaces",
      name: "kube-system",
      old: named("kube-system"),
      says: "this namespace may not be deleted",
    },
    { when: "another namespace is", operation: "DELETE", resource: "namespaces", name: "a", old: named("a") },
    {
      when: "something is made in a namespace that isn't there",
      object: pod(),
      says: '404 namespaces "default" not found',
    },
    {
      when: "something is made in a namespace that goes",
      object: pod(),
      cluster: { namespaces: [namespace({}, "Terminating")] },
      says: "unable to create new content in namespace default because it is being terminated",
    },
    {
      when: "something is changed in a namespace that goes",
      operation: "UPDATE",
      object: pod(),
      old: pod(),
      cluster: { namespaces: [namespace({}, "Terminating")] },
    },
    {
      when: "something is changed in a namespace that isn't there",
      operation: "UPDATE",
      object: pod(),
      old: pod(),
      says: '404 namespaces "default" not found',
    },
    { when: "something is deleted in a namespace that isn't there", operation: "DELETE", old: pod() },
    { when: "a review is asked for there", resource: "localsubjectaccessreviews.authorization.k8s.io", object: {} },
  ],
  NamespaceExists: [
    { when: "the namespace isn't there", object: pod(), says: '404 namespaces "default" not found' },
    { when: "the namespace is there", object: pod(), cluster: { namespaces: [namespace()] } },
  ],
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
  LimitRanger: [
    ...limits({ type: "Container", default: { cpu: "2" }, defaultRequest: { cpu: "1", memory: "1Gi" } }, [
      {
        when: "a container states nothing and there are defaults",
        object: pod(),
        becomes: {
          metadata: {
            annotations: {
              "kubernetes.io/limit-ranger":
                "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c",
            },
          },
          spec: {
            containers: [
              {
                name: "c",
                image: "i",
                resources: { requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: "2" } },
              },
            ],
          },
        },
      },
    ]),
    ...limits({ type: "Container", min: { cpu: "100m" }, max: { cpu: "1" }, maxLimitRequestRatio: { cpu: "2" } }, [
      {
        when: "a container is within its bounds",
        object: resources({ cpu: "500m" }, { cpu: "1" }),
      },
      {
        when: "a container asks for too little",
        object: resources({ cpu: "50m" }, { cpu: "100m" }),
        says: "minimum cpu usage per Container is 100m, but request is 50m",
      },
      {
        when: "a container's limit is too low, though it asks for enough",
        object: resources({ cpu: "100m" }, { cpu: "50m" }),
        says: "minimum cpu usage per Container is 100m, but limit is 50m",
      },
      {
        when: "a container may use too much",
        object: resources({ cpu: "1" }, { cpu: "2" }),
        says: "maximum cpu usage per Container is 1, but limit is 2",
      },
      {
        when: "a container may use much more than it asks for",
        object: resources({ cpu: "100m" }, { cpu: "1" }),
        says: "cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000",
      },
      {
        when: "a container states nothing",
        object: pod(),
        says: "[minimum cpu usage per Container is 100m.  No request is specified, maximum cpu usage per Container is 1.  No limit is specified, cpu max limit to request ratio per Container is 2, but no request is specified or request is 0]",
      },
      { when: "a pod is updated", operation: "UPDATE", object: pod(), old: pod() },
      {
        when: "a pod is resized to too much",
        operation: "UPDATE",
        resource: "pods/resize",
        object: resources({ cpu: "2" }, { cpu: "2" }),
        old: resources({ cpu: "1" }, { cpu: "1" }),
        says: "maximum cpu usage per Container is 1, but limit is 2",
      },
    ]),
    ...limits({ type: "Pod", max: { memory: "1Gi" } }, [
      {
        when: "containers together may use too much",
        object: pod({
          containers: [
            { name: "a", image: "i", resources: { limits: { memory: "1Gi" } } },
            { name: "b", image: "i", resources: { limits: { memory: "1Gi" } } },
          ],
        }),
        says: "maximum memory usage per Pod is 1Gi, but limit is 2Gi",
      },
    ]),
    ...limits({ type: "PersistentVolumeClaim", min: { storage: "1Gi" }, max: { storage: "10Gi" } }, [
      {
        when: "a claim asks for too much",
        resource: "persistentvolumeclaims",
        object: { ...named("c"), spec: { resources: { requests: { storage: "20Gi" } } } },
        says: "maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 20Gi",
      },
      {
        when: "a claim asks for too little",
        resource: "persistentvolumeclaims",
        object: { ...named("c"), spec: { resources: { requests: { storage: "1Mi" } } } },
        says: "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi",
      },
    ]),
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
  PodSecurity: [
    {
      when: "a privileged pod where baseline is enforced",
      object: only({ securityContext: { privileged: true } }),
      cluster: { namespaces: [namespace({ labels: { "pod-security.kubernetes.io/enforce": "baseline" } })] },
      says: 'violates PodSecurity "baseline:latest": privileged (container "c" must not set securityContext.privileged=true)',
    },
    {
      when: "a plain pod where restricted is warned of",
      object: pod(),
      cluster: {
        namespaces: [
          namespace({
            labels: {
              "pod-security.kubernetes.io/warn": "restricted",
              "pod-security.kubernetes.io/warn-version": "v1.7",
            },
          }),
        ],
      },
      warns: [
        'would violate PodSecurity "restricted:v1.7": runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
      ],
    },
    {
      when: "a deployment of such pods where restricted is enforced",
      resource: "deployments.apps",
      object: { ...named("d"), spec: { template: pod({ hostNetwork: true }) } },
      cluster: {
        namespaces: [
          namespace({
            labels: { "pod-security.kubernetes.io/enforce": "baseline" },
          }),
        ],
      },
      warns: ['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'],
    },
    {
      when: "a privileged pod where the defaults forbid it",
      object: only({ securityContext: { privileged: true } }),
      configuration: { defaults: { enforce: "baseline", "enforce-version": "v1.30" } },
      cluster: { namespaces: [namespace()] },
      says: 'violates PodSecurity "baseline:v1.30": privileged (container "c" must not set securityContext.privileged=true)',
    },
    ...(
      [
        ["user", { usernames: ["jane"] }, {}],
        ["namespace", { namespaces: ["default"] }, {}],
        ["runtime class", { runtimeClasses: ["vm"] }, { runtimeClassName: "vm" }],
      ] as const
    ).map(([what, exemptions, spec]) => ({
      when: `a privileged pod of a ${what} that is exempt`,
      object: pod({ containers: [{ name: "c", securityContext: { privileged: true } }], ...spec }),
      configuration: { defaults: { enforce: "baseline" }, exemptions },
      cluster: { namespaces: [namespace()] },
    })),
    {
      when: "a namespace with a level that isn't one",
      resource: "namespaces",
      object: named("a", { labels: { "pod-security.kubernetes.io/enforce": "strict" } }),
      says: '422 Namespace "a" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted',
    },
    {
      when: "a namespace with a version that isn't one",
      resource: "namespaces",
      object: named("a", { labels: { "pod-security.kubernetes.io/audit-version": "1.30" } }),
      says: '422 Namespace "a" is invalid: metadata.labels[pod-security.kubernetes.io/audit-version]: Invalid value: "1.30": must be "latest" or "v1.x"',
    },
    {
      when: "a namespace becomes stricter than its pods",
      operation: "UPDATE",
      resource: "namespaces",
      object: named("default", { labels: { "pod-security.kubernetes.io/enforce": "baseline" } }),
      old: named("default"),
      cluster: {
        pods: [
          pod({ hostNetwork: true }, { name: "b" }),
          pod({ hostNetwork: true }, { name: "a" }),
          pod({ hostNetwork: true, hostPID: true }, { name: "c" }),
          pod({ volumes: [{ name: "v", hostPath: {} }] }, { name: "d" }),
        ],
      },
      warns: [
        'existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): host namespaces",
        "d: hostPath volumes",
      ],
    },
    {
      when: "a namespace that is exempt gets a policy",
      resource: "namespaces",
      object: named("default", { labels: { "pod-security.kubernetes.io/enforce": "baseline" } }),
      configuration: { exemptions: { namespaces: ["default"] } },
      warns: [
        'namespace "default" is exempt from Pod Security, and the policy (enforce=baseline:latest) will be ignored',
      ],
    },
    {
      when: "its defaults are wrong",
      object: pod(),
      configuration: { defaults: { warn: "strict" }, exemptions: { usernames: ["", "a", "a"] } },
      says: 'couldn\'t init admission plugin "PodSecurity": PodSecurity invalid: [defaults.warn: Invalid value: "strict": must be one of privileged, baseline, restricted, exemptions.usernames[0]: Invalid value: "": username must not be empty, exemptions.usernames[2]: Duplicate value: "a"]',
    },
  ],
  PodNodeSelector: [
    {
      when: "the namespace says where its pods run",
      object: pod({ nodeSelector: { more: "x" } }),
      cluster: {
        namespaces: [
          namespace({ annotations: { "scheduler.alpha.kubernetes.io/node-selector": "env=prod, disk=fast" } }),
        ],
      },
      becomes: { spec: { nodeSelector: { env: "prod", disk: "fast", more: "x" } } },
    },
    {
      when: "the pod says otherwise",
      object: pod({ nodeSelector: { env: "test" } }),
      cluster: {
        namespaces: [namespace({ annotations: { "scheduler.alpha.kubernetes.io/node-selector": "env=prod" } })],
      },
      says: "pod node label selector conflicts with its namespace node label selector",
    },
    {
      when: "the namespace says nothing, and the cluster does",
      object: pod(),
      configuration: { podNodeSelectorPluginConfig: { clusterDefaultNodeSelector: "env=any" } },
      cluster: { namespaces: [namespace()] },
      becomes: { spec: { nodeSelector: { env: "any" } } },
    },
    {
      when: "the pod asks for what its namespace may not",
      object: pod({ nodeSelector: { env: "prod" } }),
      configuration: { podNodeSelectorPluginConfig: { default: "env=test" } },
      cluster: { namespaces: [namespace()] },
      says: "pod node label selector labels conflict with its namespace whitelist",
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
  PodTolerationRestriction: [
    {
      when: "the namespace gives its pods tolerations",
      object: pod(),
      cluster: {
        namespaces: [
          namespace({
            annotations: { "scheduler.alpha.kubernetes.io/defaultTolerations": '[{"key":"a","operator":"Exists"}]' },
          }),
        ],
      },
      becomes: { spec: { tolerations: [{ key: "a", operator: "Exists" }] } },
    },
    {
      when: "the cluster does, and the namespace wants none",
      object: pod(),
      configuration: { default: [{ key: "a", operator: "Exists" }] },
      cluster: { namespaces: [namespace({ annotations: { "scheduler.alpha.kubernetes.io/defaultTolerations": "" } })] },
      becomes: { spec: { tolerations: undefined } },
    },
    {
      when: "a pod with requests",
      object: resources({ cpu: "1" }),
      cluster: { namespaces: [namespace()] },
      becomes: {
        spec: {
          tolerations: [{ key: "node.kubernetes.io/memory-pressure", operator: "Exists", effect: "NoSchedule" }],
        },
      },
    },
    {
      when: "a pod tolerates more than its namespace may",
      object: pod({ tolerations: [{ key: "b", operator: "Exists" }] }),
      cluster: {
        namespaces: [
          namespace({
            annotations: { "scheduler.alpha.kubernetes.io/tolerationsWhitelist": '[{"key":"a","operator":"Exists"}]' },
          }),
        ],
      },
      says: "500 pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist",
    },
    {
      when: "a pod tolerates more than the cluster lets anybody",
      object: pod({ tolerations: [{ key: "b", operator: "Exists" }] }),
      configuration: { whitelist: [{ key: "a", operator: "Exists" }] },
      cluster: { namespaces: [namespace()] },
      says: "500 pod tolerations (possibly merged with namespace default tolerations) conflict with its cluster whitelist",
    },
  ],
  EventRateLimit: [
    {
      when: "it is told of no limits",
      resource: "events",
      object: {},
      says: 'couldn\'t init admission plugin "EventRateLimit": limits: Invalid value: null: must not be empty',
    },
    ...(
      [
        [{ type: "Server", qps: 1, burst: 2 }, ""],
        [{ type: "Namespace", qps: 1, burst: 2 }, "default"],
        [{ type: "User", qps: 1, burst: 2 }, "jane"],
        [{ type: "SourceAndObject", qps: 1, burst: 2 }, "kubeletn1Poddefaultpuv1"],
      ] as const
    ).map(([limit, key]) => ({
      when: `the third event at once, with two allowed by ${limit.type}`,
      resource: "events",
      configuration: { limits: [limit] },
      object: {
        source: { component: "kubelet", host: "n1" },
        involvedObject: { kind: "Pod", namespace: "default", name: "p", uid: "u", apiVersion: "v1" },
      },
      times: 3,
      says: `429 limit reached on type ${limit.type} for key ${key}`,
    })),
    {
      when: "the second event",
      resource: "events",
      configuration: { limits: [{ type: "Server", qps: 1, burst: 2 }] },
      object: {},
      times: 2,
    },
  ],
  ExtendedResourceToleration: [
    {
      when: "a pod asks for a device",
      object: resources({ "example.com/gpu": "1", cpu: "1" }),
      becomes: { spec: { tolerations: [{ key: "example.com/gpu", operator: "Exists", effect: "NoSchedule" }] } },
    },
  ],
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
  OwnerReferencesPermissionEnforcement: [
    {
      when: "something gets an owner, and may not be deleted by who gives it",
      operation: "UPDATE",
      resource: "configmaps",
      object: named("m", { ownerReferences: [{ ...OWNER, kind: "Pod" }] }),
      old: named("m"),
      rights: [],
      says: "cannot set an ownerRef on a resource you can't delete: , <nil>",
    },
    {
      when: "something holds up an owner whose finalizers are another's",
      resource: "configmaps",
      object: named("m", { ownerReferences: [{ ...OWNER, kind: "Pod", blockOwnerDeletion: true }] }),
      rights: [],
      says: "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: , <nil>",
    },
    {
      when: "something holds up an owner whose finalizers are one's own",
      resource: "configmaps",
      object: named("m", { ownerReferences: [{ ...OWNER, kind: "Pod", blockOwnerDeletion: true }] }),
      rights: ["update pods/finalizers n1"],
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
  CertificateApproval: certificateRows("approval", "approve", {
    ...named("r"),
    spec: { signerName: "example.com/a" },
    status: { conditions: [{ type: "Approved" }] },
  }),
  CertificateSigning: certificateRows("status", "sign", {
    ...named("r"),
    spec: { signerName: "example.com/a" },
    status: { certificate: "x" },
  }),
  ClusterTrustBundleAttest: [
    {
      when: "who may not attest for a signer does",
      resource: "clustertrustbundles.certificates.k8s.io",
      rights: [],
      object: { ...named("b"), spec: { signerName: "example.com/a" } },
      says: 'user not permitted to attest for signerName "example.com/a"',
    },
    {
      when: "who may attest for all of a domain's signers does",
      resource: "clustertrustbundles.certificates.k8s.io",
      rights: ["attest signers example.com/*"],
      object: { ...named("b"), spec: { signerName: "example.com/a" } },
    },
    {
      when: "only its owners change",
      operation: "UPDATE",
      resource: "clustertrustbundles.certificates.k8s.io",
      rights: [],
      object: { ...named("b", { ownerReferences: [OWNER] }), spec: { signerName: "example.com/a" } },
      old: { ...named("b"), spec: { signerName: "example.com/a" } },
    },
  ],
  CertificateSubjectRestriction: [
    {
      when: "what is asked for is no request",
      resource: "certificatesigningrequests.certificates.k8s.io",
      object: { ...named("r"), spec: { signerName: "kubernetes.io/kube-apiserver-client", request: "" } },
      says: "failed to parse CSR: PEM block type must be CERTIFICATE REQUEST",
    },
    {
      when: "another signer is asked",
      resource: "certificatesigningrequests.certificates.k8s.io",
      object: { ...named("r"), spec: { signerName: "example.com/a", request: "" } },
    },
  ],
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
  DenyServiceExternalIPs: [
    {
      when: "a service gets an external address",
      resource: "services",
      object: { ...named("s"), spec: { externalIPs: ["1.2.3.4"] } },
      says: "Use of external IPs is denied by admission control",
    },
    {
      when: "a service keeps what it has",
      operation: "UPDATE",
      resource: "services",
      object: { ...named("s"), spec: { externalIPs: ["1.2.3.4"] } },
      old: { ...named("s"), spec: { externalIPs: ["1.2.3.4", "1.2.3.5"] } },
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
  ResourceQuota: [
    ...(
      [
        [
          "a quota is used up",
          { pods: "1" },
          { pods: "1" },
          pod(),
          "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
        ],
        ["a quota has room", { pods: "2" }, { pods: "1" }, pod(), undefined],
        ["nobody has counted yet", { pods: "2" }, {}, pod(), "status unknown for quota: q, resources: pods"],
        [
          "a quota of memory, and a container that states none",
          { memory: "1Gi" },
          { memory: "0" },
          pod(),
          "failed quota: q: must specify memory for: c",
        ],
        [
          "more memory than there is",
          { memory: "1Gi", pods: "5" },
          { memory: "512Mi", pods: "1" },
          resources({ memory: "1Gi" }),
          "exceeded quota: q, requested: memory=1Gi, used: memory=512Mi, limited: memory=1Gi",
        ],
      ] as const
    ).map(([when, hard, used, object, says]) => ({
      when,
      object: { ...object, status: {} },
      cluster: {
        resourcequotas: [{ ...named("q", { namespace: "default" }), spec: { hard }, status: { hard, used } }],
      },
      ...(says !== undefined && { says }),
    })),
    {
      when: "what is limited by default has no quota",
      object: { ...resources({ cpu: "1" }), status: {} },
      configuration: { limitedResources: [{ resource: "pods", matchContains: ["cpu"] }] },
      says: "insufficient quota to consume: cpu,requests.cpu",
    },
    {
      when: "a class is limited by default, and no quota is for it",
      object: { ...pod({ priorityClassName: "vip" }), status: {} },
      configuration: {
        limitedResources: [
          { resource: "pods", matchScopes: [{ scopeName: "PriorityClass", operator: "In", values: ["vip"] }] },
        ],
      },
      says: "500 insufficient quota to match these scopes: [{PriorityClass In [vip]}]",
    },
    {
      when: "its configuration names no resource",
      object: pod(),
      configuration: { limitedResources: [{ matchContains: ["cpu"] }] },
      says: 'couldn\'t init admission plugin "ResourceQuota": limitedResources[0].resource: Required value',
    },
  ],
  AlwaysDeny: [{ when: "anything", object: pod(), says: "admission control is denying all modifications" }],
};

export const DECISIONS: readonly Decision[] = Object.entries(TABLE).flatMap(([plugin, rows]) =>
  rows.map((row) => ({ plugin, ...row })),
);

function limits(limit: object, rows: Rows): Rows {
  const range = { ...named("r", { namespace: "default" }), spec: { limits: [limit] } };
  return rows.map((row) => ({ ...row, cluster: { limitranges: [range] } }));
}

function certificateRows(subresource: string, verb: string, object: AnyObject): Rows {
  const row = {
    operation: "UPDATE" as const,
    resource: `certificatesigningrequests.certificates.k8s.io/${subresource}`,
    object,
    old: { ...named("r"), spec: { signerName: "example.com/a" } },
  };
  return [
    {
      ...row,
      when: `who may not ${verb} for the signer does`,
      rights: [],
      says: `user not permitted to ${verb} requests with signerName "example.com/a"`,
    },
    { ...row, when: `who may ${verb} for the signer does`, rights: [`${verb} signers example.com/a`] },
    { ...row, when: `who may ${verb} for all of its domain does`, rights: [`${verb} signers example.com/*`] },
  ];
}

import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnyObject, ClusterView } from "../admission/framework.ts";
import type { Attributes, Decision } from "./authorizer.ts";
import { nodeAuthorizer } from "./node.ts";

const named = (name: string, namespace: string, rest: object): AnyObject => ({
  metadata: { name, namespace },
  ...rest,
});
const OBJECTS: Readonly<Record<string, readonly AnyObject[]>> = {
  pods: [
    named("p", "a", {
      spec: {
        nodeName: "n1",
        serviceAccountName: "app",
        imagePullSecrets: [{ name: "pull" }],
        containers: [
          { env: [{ valueFrom: { secretKeyRef: { name: "env" } } }], envFrom: [{ configMapRef: { name: "all" } }] },
        ],
        initContainers: [{ envFrom: [{ secretRef: { name: "init" } }] }],
        volumes: [
          { name: "s", secret: { secretName: "vol" } },
          { name: "c", projected: { sources: [{ configMap: { name: "proj" } }] } },
          { name: "d", persistentVolumeClaim: { claimName: "claim" } },
          { name: "e", ephemeral: {} },
        ],
        resourceClaims: [{ name: "gpu", resourceClaimName: "gpu" }],
      },
    }),
    named("other", "a", {
      spec: { nodeName: "n2", serviceAccountName: "elsewhere", volumes: [{ secret: { secretName: "far" } }] },
    }),
    {
      metadata: { name: "mirror", namespace: "a", annotations: { "kubernetes.io/config.mirror": "x" } },
      spec: { nodeName: "n1", serviceAccountName: "mirrored", volumes: [{ secret: { secretName: "wished-for" } }] },
    },
  ],
  persistentvolumeclaims: [named("claim", "a", { spec: { volumeName: "pv" } })],
  persistentvolumes: [named("pv", "", { spec: { csi: { nodeStageSecretRef: { name: "stage", namespace: "b" } } } })],
  "resourceslices.resource.k8s.io": [
    named("mine", "", { spec: { nodeName: "n1" } }),
    named("theirs", "", { spec: { nodeName: "n2" } }),
  ],
  "podcertificaterequests.certificates.k8s.io": [named("pcr", "a", { spec: { nodeName: "n1" } })],
  "volumeattachments.storage.k8s.io": [named("va", "", { spec: { nodeName: "n1" } })],
};
const cluster = {
  get: (resource: string, namespace: string, name: string) =>
    OBJECTS[resource]?.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace),
  list: (resource: string, namespace = "") =>
    (OBJECTS[resource] ?? []).filter(({ metadata }) => namespace === "" || metadata.namespace === namespace),
  podsOn: (node: string) => OBJECTS["pods"]!.filter(({ spec }) => spec.nodeName === node),
} as unknown as ClusterView;
const authorizer = nodeAuthorizer(cluster, new Map([["PodCertificateRequest", true]]));

const NOT_RELATED = "no relationship found between node 'n1' and this object";
/** `verb resource[/subresource].group [namespace/]name [fieldSelector]`, then what is said: empty for yes. */
const table: readonly (readonly [string, string])[] = [
  ["get secrets. a/vol", ""],
  ["watch secrets. a/env", ""],
  ["get secrets. a/init", ""],
  ["get secrets. a/pull", ""],
  ["get secrets. b/stage", ""],
  ["get secrets. a/stage", NOT_RELATED],
  ["get secrets. a/far", NOT_RELATED],
  ["get secrets. a/wished-for", NOT_RELATED],
  ["list secrets. a/", "No Object name found"],
  ["list secrets. /", "can only read namespaced object of this type"],
  ["delete secrets. a/vol", "can only read resources of this type"],
  ["get configmaps. a/all", ""],
  ["get configmaps. a/proj", ""],
  ["get configmaps. a/x", NOT_RELATED],
  ["get persistentvolumeclaims. a/claim", ""],
  ["get persistentvolumeclaims. a/p-e", ""],
  ["list persistentvolumeclaims. a/claim", "can only get individual resources of this type"],
  ["update persistentvolumeclaims/status. a/claim", ""],
  ["delete persistentvolumeclaims/status. a/claim", "can only get/update/patch this type"],
  ["get persistentvolumes. /pv", ""],
  ["get persistentvolumes. /pv2", NOT_RELATED],
  ["get persistentvolumes/status. /pv", "cannot get subresource"],
  ["get resourceclaims.resource.k8s.io a/gpu", ""],
  ["get volumeattachments.storage.k8s.io /va", ""],
  ["create serviceaccounts/token. a/app", ""],
  ["create serviceaccounts/token. a/elsewhere", NOT_RELATED],
  ["create serviceaccounts/token. a/mirrored", NOT_RELATED],
  ["create serviceaccounts. a/app", "can only create token subresource of serviceaccount"],
  ["create serviceaccounts/token. a/", "can only create tokens for individual service accounts"],
  ["update leases.coordination.k8s.io kube-node-lease/n1", ""],
  [
    "update leases.coordination.k8s.io kube-node-lease/n2",
    "can only access node lease with the same name as the requesting node",
  ],
  ["update leases.coordination.k8s.io a/n1", 'can only access leases in the "kube-node-lease" system namespace'],
  ["list leases.coordination.k8s.io kube-node-lease/", "can only get, create, update, patch, or delete a node lease"],
  ["get csinodes.storage.k8s.io /n1", ""],
  ["get csinodes.storage.k8s.io /n2", "can only access CSINode with the same name as the requesting node"],
  ["watch csinodes.storage.k8s.io /n1", "can only get, create, update, patch, or delete a CSINode"],
  ["get csinodes/status.storage.k8s.io /n1", "cannot authorize CSINode subresources"],
  ["create resourceslices.resource.k8s.io /", ""],
  ["delete resourceslices.resource.k8s.io /mine", ""],
  ["delete resourceslices.resource.k8s.io /theirs", NOT_RELATED],
  ["list resourceslices.resource.k8s.io / spec.nodeName=n1", ""],
  [
    "list resourceslices.resource.k8s.io / spec.nodeName=n2",
    "can only list/watch/deletecollection resourceslices with nodeName field selector",
  ],
  [
    "bind resourceslices.resource.k8s.io /mine",
    "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
  ],
  ["create podcertificaterequests.certificates.k8s.io a/x", ""],
  ["get podcertificaterequests.certificates.k8s.io a/pcr", ""],
  ["get podcertificaterequests.certificates.k8s.io a/x", NOT_RELATED],
  [
    "list podcertificaterequests.certificates.k8s.io a/",
    "can only list/watch podcertificaterequests with nodeName field selector",
  ],
  ["delete podcertificaterequests.certificates.k8s.io a/pcr", "nodes may not delete podcertificaterequests"],
  [
    "update podcertificaterequests/status.certificates.k8s.io a/pcr",
    "nodes may not access the status subresource of PodCertificateRequests",
  ],
  ["get nodes. /n1", ""],
  ["get nodes. /n2", "node 'n1' cannot read 'n2', only its own Node object"],
  ["list nodes. /", "node 'n1' cannot read all nodes, only its own Node object"],
  ["list nodes. / metadata.name=n1", "node 'n1' cannot read all nodes, only its own Node object"],
  ["list nodes. /n1", ""],
  ["get pods. a/p", ""],
  ["get pods. a/other", NOT_RELATED],
  ["list pods. a/", "can only list/watch pods with spec.nodeName field selector"],
  ["watch pods. / spec.nodeName=n1", ""],
  ["watch pods. / spec.nodeName!=n1", "can only list/watch pods with spec.nodeName field selector"],
  ["get pods. a/", "No Object name found"],
  ["get pods. a/ghost", NOT_RELATED],
  ["list pods. a/p", ""],
  ["list pods. a/other", NOT_RELATED],
  ["patch pods/status. a/p", ""],
  ["list services. /", ""],
];

function ask(question: string, node = "n1"): Decision {
  const [verb, what, where, fieldSelector] = question.split(" ") as [string, string, string, string | undefined];
  const [path, ...group] = what.split(".") as [string, ...string[]];
  const [resource, subresource = ""] = path.split("/") as [string, string | undefined];
  const [namespace, name] = where.split("/") as [string, string];
  const asked: Attributes = {
    user: { name: `system:node:${node}`, groups: ["system:nodes"] },
    verb,
    resourceRequest: true,
    namespace,
    group: group.join("."),
    version: "v1",
    resource,
    subresource,
    name,
    path: "",
    ...(fieldSelector !== undefined && { fieldSelector }),
  };
  return authorizer.authorize(asked) as Decision;
}

for (const [question, reason] of table)
  test(`a node may ${question}: ${reason || "yes"}`, () =>
    assert.deepEqual(ask(question), { decision: reason === "" ? "allow" : "no opinion", reason }));

test("what a node may not do with its pods gets no reason", () =>
  assert.deepEqual(ask("update pods. a/p"), { decision: "no opinion", reason: "" }));

test("without the gate nothing is said of certificates of pods", () => {
  const plain = nodeAuthorizer(cluster);
  const user = { name: "system:node:n1", groups: ["system:nodes"] };
  const group = "certificates.k8s.io";
  const asked = {
    user,
    verb: "list",
    resourceRequest: true,
    group,
    resource: "podcertificaterequests",
    subresource: "",
  };
  assert.deepEqual(plain.authorize(asked as unknown as Attributes), { decision: "no opinion", reason: "" });
});

test("a member of the nodes that is no node is known as such", () => {
  const user = { name: "system:serviceaccount:a:b", groups: ["system:nodes"] };
  const { reason } = authorizer.authorize({ user } as unknown as Attributes) as Decision;
  assert.equal(reason, 'unknown node for user "system:serviceaccount:a:b"');
});

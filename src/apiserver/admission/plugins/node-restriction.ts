/** A kubelet touches its own node and the pods bound to it. Upstream: plugin/pkg/admission/noderestriction. */
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";
import { StatusError } from "../../../machinery/status.ts";
import { nodeOfUser } from "../../authn/user.ts";

const MIRROR = "kubernetes.io/config.mirror";
const OWN_PREFIXES = ["kubelet.kubernetes.io/", "node.kubernetes.io/"];
const OWN_LABELS = new Set([
  "kubernetes.io/hostname",
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
  "node.kubernetes.io/instance-type",
  "beta.kubernetes.io/instance-type",
  "kubernetes.io/os",
  "kubernetes.io/arch",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/arch",
]);

export const nodeRestriction = defineAdmission({
  name: "NodeRestriction",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE", "DELETE"] },
  async admit(request, context) {
    if (!request.user.groups.includes("system:nodes") || !request.user.name.startsWith("system:node:")) return;
    const node = nodeOfUser(request.user);
    if (node === undefined)
      throw refuse(request, `could not determine node from user ${JSON.stringify(request.user.name)}`);
    const { group, plural } = request.resource;
    if (group === "" && plural === "pods") await checkPod(request, context, node);
    else if (group === "" && plural === "nodes") checkNode(request, node);
    else if (group === "" && plural === "serviceaccounts") await checkToken(request, context, node);
    else if (group === "" && plural === "persistentvolumeclaims") checkClaim(request);
    else if (group === "coordination.k8s.io" && plural === "leases") checkLease(request, node);
    else if (group === "storage.k8s.io" && plural === "csinodes") checkCsiNode(request, node);
  },
});

const quote = JSON.stringify;

async function checkPod(request: AdmissionRequest, { cluster }: AdmissionContext, node: string): Promise<void> {
  const { operation, subresource, namespace, name } = request;
  const mine = quote(node);
  if (subresource === "eviction") {
    const pod = await cluster.live("pods", namespace, name || request.object?.metadata.name);
    if (pod !== undefined && pod.spec.nodeName !== node)
      throw refuse(request, `node ${node} can only evict pods with spec.nodeName set to itself`);
    return;
  }
  if (subresource === "status") {
    if (request.oldObject.spec.nodeName !== node)
      throw refuse(request, `node ${mine} can only update pod status for pods with spec.nodeName set to itself`);
    if (quote(request.object.metadata.labels ?? {}) !== quote(request.oldObject.metadata.labels ?? {}))
      throw refuse(request, `node ${mine} cannot update labels through pod status`);
    return;
  }
  if (subresource !== "")
    throw refuse(request, `unexpected pod subresource ${quote(subresource)}, only 'status' and 'eviction' are allowed`);
  if (operation === "DELETE") {
    const pod = request.oldObject ?? (await cluster.live("pods", namespace, name));
    if (pod !== undefined && pod.spec.nodeName !== node)
      throw refuse(request, `node ${mine} can only delete pods with spec.nodeName set to itself`);
    return;
  }
  if (operation !== "CREATE")
    throw refuse(
      request,
      `unexpected operation ${quote(operation)}, node ${mine} can only create and delete mirror pods`,
    );
  const pod = request.object;
  if (pod.metadata.annotations?.[MIRROR] === undefined)
    throw refuse(request, `pod does not have "${MIRROR}" annotation, node ${mine} can only create mirror pods`);
  if (pod.spec.nodeName !== node)
    throw refuse(request, `node ${mine} can only create pods with spec.nodeName set to itself`);
  const owners: readonly AnyObject[] = pod.metadata.ownerReferences ?? [];
  const owner = owners[0];
  if (owner === undefined)
    throw refuse(request, `node ${mine} can only create pods with an owner reference set to itself`);
  if (owners.length > 1)
    throw refuse(request, `node ${mine} can only create pods with a single owner reference set to itself`);
  if (owner.apiVersion !== "v1" || owner.kind !== "Node" || owner.name !== node)
    throw refuse(request, `node ${mine} can only create pods with an owner reference set to itself`);
  if (owner.controller !== true)
    throw refuse(request, `node ${mine} can only create pods with a controller owner reference set to itself`);
  if (owner.blockOwnerDeletion === true)
    throw refuse(request, `node ${mine} must not set blockOwnerDeletion on an owner reference`);
  const itself = cluster.get("nodes", "", node) ?? (await cluster.live("nodes", "", node));
  if (itself === undefined) throw new StatusError("NotFound", `node ${mine} not found`, { name: node, kind: "node" });
  if (owner.uid !== itself.metadata.uid)
    throw refuse(request, `node ${node} UID mismatch: expected ${owner.uid} got ${itself.metadata.uid}`);
  for (const [field, words] of [
    ["secret", "secrets"],
    ["configMap", "configmaps"],
    ["persistentVolumeClaim", "persistentvolumeclaims"],
  ] as const)
    if ((pod.spec.volumes ?? []).some((volume: AnyObject) => volume[field] !== undefined))
      throw refuse(request, `node ${mine} can not create pods that reference ${words}`);
}

function checkNode(request: AdmissionRequest, node: string): void {
  const { operation, subresource, object, oldObject } = request;
  const name = request.name || object?.metadata.name;
  const mine = quote(node);
  if (name !== node) throw refuse(request, `node ${mine} is not allowed to modify node ${quote(name)}`);
  if (operation === "CREATE") {
    const labels = reserved(Object.keys(object.metadata.labels ?? {}));
    if (labels.length > 0)
      throw refuse(request, `node ${mine} is not allowed to set the following labels: ${labels.join(", ")}`);
    if (object.spec?.configSource !== undefined)
      throw refuse(request, `node ${mine} is not allowed to create pods with a non-nil configSource`);
  }
  if (operation !== "UPDATE" || subresource === "status") return;
  if (quote(object.metadata.ownerReferences ?? []) !== quote(oldObject.metadata.ownerReferences ?? []))
    throw refuse(request, `node ${mine} is not allowed to modify ownerReferences`);
  if (quote(object.spec?.taints ?? []) !== quote(oldObject.spec?.taints ?? []))
    throw refuse(request, `node ${mine} is not allowed to modify taints`);
  const [now, before] = [object.metadata.labels ?? {}, oldObject.metadata.labels ?? {}];
  const changed = [...new Set([...Object.keys(now), ...Object.keys(before)])].filter((key) => now[key] !== before[key]);
  const labels = reserved(changed);
  if (labels.length > 0) throw refuse(request, `node ${mine} is not allowed to modify labels: ${labels.join(", ")}`);
}

/** Labels of Kubernetes itself that are not a kubelet's to set. */
function reserved(keys: readonly string[]): readonly string[] {
  return keys
    .filter((key) => {
      if (OWN_LABELS.has(key) || OWN_PREFIXES.some((prefix) => key.startsWith(prefix))) return false;
      const domain = key.includes("/") ? key.split("/")[0]! : "";
      return /(^|\.)(kubernetes\.io|k8s\.io)$/.test(domain);
    })
    .sort();
}

async function checkToken(request: AdmissionRequest, { cluster }: AdmissionContext, node: string): Promise<void> {
  if (request.subresource !== "token" || request.operation !== "CREATE") return;
  const ref = request.object.spec.boundObjectRef;
  if (ref === undefined || ref.kind !== "Pod" || (ref.apiVersion ?? "v1") !== "v1")
    throw refuse(request, "node requested token not bound to a pod");
  if (!ref.uid) throw refuse(request, "node requested token with a pod binding without a uid");
  const pod = await cluster.live("pods", request.namespace, ref.name);
  if (pod === undefined || pod.metadata.uid !== ref.uid)
    throw refuse(request, `node requested token for pod ${ref.name} with UID ${ref.uid} which is not there`);
  if (pod.spec.nodeName !== node)
    throw refuse(request, "node requested token bound to a pod scheduled on a different node");
}

function checkClaim(request: AdmissionRequest): void {
  if (request.subresource !== "status" || request.operation !== "UPDATE")
    throw refuse(request, "may only update PVC status");
}

function checkLease(request: AdmissionRequest, node: string): void {
  if (request.namespace !== "kube-node-lease")
    throw refuse(request, 'can only access leases in the "kube-node-lease" system namespace');
  const name = request.name || request.object?.metadata.name;
  if (name !== node) throw refuse(request, "can only access node lease with the same name as the requesting node");
}

function checkCsiNode(request: AdmissionRequest, node: string): void {
  const name = request.name || request.object?.metadata.name;
  if (name !== node) throw refuse(request, "can only access CSINode with the same name as the requesting node");
}

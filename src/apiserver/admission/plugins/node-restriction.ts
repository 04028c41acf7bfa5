/** A kubelet may write only its own node and the pods that are bound to it. Upstream: plugin/pkg/admission/noderestriction */
import { isAllowed, resourceAttributes } from "../../authz/authorizer.ts";
import { isDeepStrictEqual } from "node:util";
import { parseSigningRequest } from "../../../machinery/pki/signing-request.ts";
import { notFound } from "../../../machinery/status.ts";
import { nodeOfUser } from "../../authn/user.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { containersOf, defineAdmission, refuse, unclassified } from "../framework.ts";

const MIRROR = "kubernetes.io/config.mirror";
const OWN_DOMAINS = ["kubelet.kubernetes.io", "node.kubernetes.io"];
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

type Check = (request: AdmissionRequest, node: string, context: AdmissionContext) => void | Promise<void>;

const CHECKS: Readonly<Record<string, Check>> = {
  pods: checkPod,
  nodes: checkNode,
  persistentvolumeclaims: checkClaim,
  serviceaccounts: checkToken,
  "leases.coordination.k8s.io": checkLease,
  "csinodes.storage.k8s.io": checkCsiNode,
  "resourceslices.resource.k8s.io": checkSlice,
  "certificatesigningrequests.certificates.k8s.io": checkSigningRequest,
  "podcertificaterequests.certificates.k8s.io": checkPodCertificateRequest,
};

export const nodeRestriction = defineAdmission({
  name: "NodeRestriction",
  onByDefault: false,
  reads: ["nodes", "csidrivers.storage.k8s.io", "serviceaccounts"],
  handles: { operations: ["CREATE", "UPDATE", "DELETE"] },
  async admit(request, context) {
    const { name, groups } = request.user;
    if (!name.startsWith("system:node:") || !groups.includes("system:nodes")) return;
    const node = nodeOfUser(request.user);
    if (node === undefined) throw refuse(request, `could not determine node from user ${quote(name)}`);
    const { group, plural } = request.resource;
    await CHECKS[group === "" ? plural : `${plural}.${group}`]?.(request, node, context);
  },
});

const quote = JSON.stringify;
const same = (a: unknown, b: unknown): boolean => isDeepStrictEqual(plain(a), plain(b));
const plain = (value: unknown): unknown => JSON.parse(quote(value ?? null));

function checkPod(request: AdmissionRequest, node: string, context: AdmissionContext): void {
  switch (request.subresource) {
    case "":
      return request.operation === "CREATE"
        ? checkMirror(request, node, context)
        : checkRemoval(request, node, context);
    case "status":
      return checkStatus(request, node);
    case "eviction":
      return checkEviction(request, node, context);
    default:
      throw refuse(
        request,
        `unexpected pod subresource ${quote(request.subresource)}, only 'status' and 'eviction' are allowed`,
      );
  }
}

function checkRemoval(request: AdmissionRequest, node: string, { cluster }: AdmissionContext): void {
  const { operation, namespace, name } = request;
  if (operation !== "DELETE")
    throw refuse(
      request,
      `unexpected operation ${quote(operation)}, node ${quote(node)} can only create and delete mirror pods`,
    );
  const pod = request.oldObject ?? cluster.get("pods", namespace, name);
  if (pod === undefined) throw singularNotFound("pod", name);
  if (pod.spec.nodeName !== node)
    throw refuse(request, `node ${quote(node)} can only delete pods with spec.nodeName set to itself`);
}

/** As informers' listers say it. */
const singularNotFound = (kind: string, name: string) => notFound({ group: "", plural: kind }, name);

function checkEviction(request: AdmissionRequest, node: string, { cluster }: AdmissionContext): void {
  if (request.operation !== "CREATE") throw refuse(request, `unexpected operation ${request.operation}`);
  const name: string = request.name || (request.object?.metadata?.name ?? "");
  if (name === "") throw refuse(request, "could not determine pod from request data");
  const pod = cluster.get("pods", request.namespace, name);
  if (pod === undefined) throw singularNotFound("pod", name);
  if (pod.spec.nodeName !== node)
    throw refuse(request, `node ${node} can only evict pods with spec.nodeName set to itself`);
}

function checkStatus(request: AdmissionRequest, node: string): void {
  const { operation, object, oldObject } = request;
  if (operation !== "UPDATE") throw refuse(request, `unexpected operation ${quote(operation)}`);
  const mine = quote(node);
  if (oldObject.spec.nodeName !== node)
    throw refuse(request, `node ${mine} can only update pod status for pods with spec.nodeName set to itself`);
  if (!same(object.metadata.labels ?? {}, oldObject.metadata.labels ?? {}))
    throw refuse(request, `node ${mine} cannot update labels through pod status`);
  if (!same(object.status?.resourceClaimStatuses ?? [], oldObject.status?.resourceClaimStatuses ?? []))
    throw refuse(request, `node ${mine} cannot update resource claim statues`);
  if (!same(object.status?.extendedResourceClaimStatus, oldObject.status?.extendedResourceClaimStatus))
    throw refuse(request, `node ${mine} cannot update extended resource claim status`);
}

function checkMirror(request: AdmissionRequest, node: string, { cluster }: AdmissionContext): void {
  const pod = request.object;
  const mine = quote(node);
  if (pod.metadata.annotations?.[MIRROR] === undefined)
    throw refuse(request, `pod does not have "${MIRROR}" annotation, node ${mine} can only create mirror pods`);
  if (pod.spec.nodeName !== node)
    throw refuse(request, `node ${mine} can only create pods with spec.nodeName set to itself`);
  const owners: readonly AnyObject[] = pod.metadata.ownerReferences ?? [];
  const [owner] = owners;
  if (owners.length > 1)
    throw refuse(request, `node ${mine} can only create pods with a single owner reference set to itself`);
  if (owner?.apiVersion !== "v1" || owner.kind !== "Node" || owner.name !== node)
    throw refuse(request, `node ${mine} can only create pods with an owner reference set to itself`);
  if (owner.controller !== true)
    throw refuse(request, `node ${mine} can only create pods with a controller owner reference set to itself`);
  if (owner.blockOwnerDeletion === true)
    throw refuse(request, `node ${mine} must not set blockOwnerDeletion on an owner reference`);
  const itself = cluster.get("nodes", "", node);
  if (itself === undefined) throw singularNotFound("node", node);
  if (owner.uid !== itself.metadata.uid)
    throw refuse(request, `node ${node} UID mismatch: expected ${owner.uid} got ${itself.metadata.uid}`);
  const referenced = referenceOf(pod.spec);
  if (referenced !== undefined) throw refuse(request, `node ${mine} can not create pods that reference ${referenced}`);
}

/** What of the API a pod needs, in upstream's order; a static pod can have none of it. */
function referenceOf(spec: AnyObject): string | undefined {
  if ((spec.serviceAccountName ?? "") !== "") return "serviceaccounts";
  const containers = containersOf(spec).map(({ container }) => container);
  const volumes: readonly AnyObject[] = spec.volumes ?? [];
  const sources: readonly AnyObject[] = volumes.flatMap(({ projected }) => projected?.sources ?? []);
  const uses = (env: string, from: string) =>
    containers.some(
      (one) =>
        (one.env ?? []).some(({ valueFrom }: AnyObject) => valueFrom?.[env] !== undefined) ||
        (one.envFrom ?? []).some((source: AnyObject) => source[from] !== undefined),
    );
  const isSecret = (volume: AnyObject) =>
    volume.secret !== undefined ||
    volume.azureFile !== undefined ||
    volume.csi?.nodePublishSecretRef !== undefined ||
    ["cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos"].some(
      (kind) => volume[kind]?.secretRef !== undefined,
    );
  if ((spec.imagePullSecrets ?? []).length > 0 || uses("secretKeyRef", "secretRef") || volumes.some(isSecret))
    return "secrets";
  if (sources.some(({ secret }) => secret !== undefined)) return "secrets";
  if (uses("configMapKeyRef", "configMapRef") || volumes.some(({ configMap }) => configMap !== undefined))
    return "configmaps";
  if (sources.some(({ configMap }) => configMap !== undefined)) return "configmaps";
  if ((spec.resourceClaims ?? []).length > 0) return "resourceclaims";
  for (const volume of volumes) {
    const kind = Object.keys(VOLUMES).find((name) => volume[name] !== undefined);
    if (kind !== undefined) return VOLUMES[kind];
    for (const source of volume.projected?.sources ?? []) {
      const found = Object.keys(PROJECTED).find((name) => source[name] !== undefined);
      if (found !== undefined) return PROJECTED[found];
    }
  }
  return undefined;
}

const VOLUMES: Readonly<Record<string, string>> = {
  csi: "csidrivers (via CSI volumes)",
  glusterfs: "endpoints (via glusterFS volumes)",
  persistentVolumeClaim: "persistentvolumeclaims",
  ephemeral: "persistentvolumeclaims (via ephemeral volumes)",
};
const PROJECTED: Readonly<Record<string, string>> = {
  serviceAccountToken: "serviceaccounts (via projected volumes)",
  clusterTrustBundle: "clustertrustbundles",
  podCertificate: "podcertificates",
};

function checkNode(request: AdmissionRequest, node: string): void {
  const { operation, object, oldObject } = request;
  const name: string = request.name || (object?.metadata.name ?? "");
  const mine = quote(node);
  if (name !== node) throw refuse(request, `node ${mine} is not allowed to modify node ${quote(name)}`);
  if (operation === "CREATE") {
    if (object.spec?.configSource !== undefined)
      throw refuse(request, `node ${mine} is not allowed to create pods with a non-nil configSource`);
    const labels = reserved(Object.keys(object.metadata.labels ?? {}));
    if (labels.length > 0)
      throw refuse(request, `node ${mine} is not allowed to set the following labels: ${labels.join(", ")}`);
  }
  if (operation !== "UPDATE") return;
  const source = object.spec?.configSource;
  if (source !== undefined && !same(source, oldObject.spec?.configSource))
    throw refuse(request, `node ${mine} is not allowed to update configSource to a new non-nil configSource`);
  if (!same(object.spec?.taints ?? [], oldObject.spec?.taints ?? []))
    throw refuse(request, `node ${mine} is not allowed to modify taints`);
  if (!same(object.metadata.ownerReferences ?? [], oldObject.metadata.ownerReferences ?? []))
    throw refuse(request, `node ${mine} is not allowed to modify ownerReferences`);
  const [now, before] = [object.metadata.labels ?? {}, oldObject.metadata.labels ?? {}];
  const changed = [...new Set([...Object.keys(now), ...Object.keys(before)])].filter((key) => now[key] !== before[key]);
  const labels = reserved(changed);
  if (labels.length > 0) throw refuse(request, `is not allowed to modify labels: ${labels.join(", ")}`);
}

/** Labels of Kubernetes itself that are not a kubelet's to set. */
function reserved(keys: readonly string[]): readonly string[] {
  const within = (domain: string, suffix: string) => domain === suffix || domain.endsWith(`.${suffix}`);
  return keys
    .filter((key) => {
      const domain = key.includes("/") ? key.slice(0, key.indexOf("/")) : "";
      if (within(domain, "node-restriction.kubernetes.io")) return true;
      if (!within(domain, "kubernetes.io") && !within(domain, "k8s.io")) return false;
      return !OWN_LABELS.has(key) && !OWN_DOMAINS.some((own) => within(domain, own));
    })
    .sort();
}

async function checkToken(request: AdmissionRequest, node: string, context: AdmissionContext): Promise<void> {
  if (request.subresource !== "token" || request.operation !== "CREATE") return;
  const { boundObjectRef: ref } = request.object.spec;
  if (ref === undefined || ref === null || ref.apiVersion !== "v1" || ref.kind !== "Pod" || (ref.name ?? "") === "")
    throw refuse(request, "node requested token not bound to a pod");
  if ((ref.uid ?? "") === "") throw refuse(request, "node requested token with a pod binding without a uid");
  const pod = context.cluster.get("pods", request.namespace, ref.name);
  if (pod === undefined) throw singularNotFound("pod", ref.name);
  if (pod.metadata.uid !== ref.uid)
    throw refuse(
      request,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  if (pod.spec.nodeName !== node)
    throw refuse(request, "node requested token bound to a pod scheduled on a different node");
  if (context.gate("ServiceAccountNodeAudienceRestriction", true)) await checkAudience(request, pod, context);
}

/** A node gets tokens for those whom its pod's volumes name, or whom it is allowed. */
async function checkAudience(
  request: AdmissionRequest,
  pod: AnyObject,
  { cluster, authorizer }: AdmissionContext,
): Promise<void> {
  const audiences: readonly string[] = request.object.spec.audiences ?? [];
  if (audiences.length > 1) throw refuse(request, "node may only request 0 or 1 audiences");
  const audience = audiences[0] ?? "";
  const errors: string[] = [];
  for (const volume of pod.spec.volumes ?? []) {
    const projected: readonly AnyObject[] = volume.projected?.sources ?? [];
    if (projected.some(({ serviceAccountToken: token }) => token !== undefined && (token.audience ?? "") === audience))
      return;
    const driver = driverOf(volume, pod, cluster);
    if (driver === undefined) continue;
    if ("error" in driver) {
      errors.push(driver.error);
      continue;
    }
    const found = cluster.get("csidrivers.storage.k8s.io", "", driver.name);
    if (found === undefined) errors.push(`csidriver.storage.k8s.io ${quote(driver.name)} not found`);
    else if ((found.spec.tokenRequests ?? []).some((one: AnyObject) => (one.audience ?? "") === audience)) return;
  }
  if (errors.length > 0)
    throw refuse(
      request,
      `error validating audience ${quote(audience)}: ${errors.length === 1 ? errors[0]! : `[${[...new Set(errors)].join(", ")}]`}`,
    );
  const { user, namespace, name } = request;
  const verb = "request-serviceaccounts-token-audience";
  const attributes = resourceAttributes({ user, verb, group: "", version: "v1", resource: audience, namespace, name });
  if (!(await isAllowed(authorizer, attributes)))
    throw refuse(
      request,
      `audience ${quote(audience)} not found in pod spec volume, ${request.user.name} is not authorized to request tokens for this audience`,
    );
}

type Driver = { readonly name: string } | { readonly error: string };

/** The CSI driver behind a volume, by way of its claim where it has one. */
function driverOf(
  volume: AnyObject,
  { metadata }: AnyObject,
  cluster: AdmissionContext["cluster"],
): Driver | undefined {
  if (volume.csi !== undefined) return { name: volume.csi.driver };
  const claim: string | undefined =
    volume.ephemeral?.volumeClaimTemplate === undefined
      ? volume.persistentVolumeClaim?.claimName
      : `${metadata.name}-${volume.name}`;
  if (claim === undefined) return undefined;
  const found = cluster.get("persistentvolumeclaims", metadata.namespace, claim);
  if (found === undefined) return { error: `persistentvolumeclaim ${quote(claim)} not found` };
  const name: string = found.spec.volumeName ?? "";
  const persistent = cluster.get("persistentvolumes", "", name);
  if (persistent === undefined) return { error: `persistentvolume ${quote(name)} not found` };
  return persistent.spec.csi === undefined ? undefined : { name: persistent.spec.csi.driver };
}

function checkClaim(request: AdmissionRequest, node: string): void {
  const { subresource, operation, object, oldObject } = request;
  if (subresource !== "status") throw refuse(request, "may only update PVC status");
  if (operation !== "UPDATE") throw refuse(request, `unexpected operation ${quote(operation)}`);
  const rest = ({ metadata, status = {}, ...others }: AnyObject) => {
    const { resourceVersion: _1, managedFields: _2, ...kept } = metadata;
    const { capacity: _3, conditions: _4, allocatedResourceStatuses: _5, allocatedResources: _6, ...told } = status;
    return { ...others, metadata: kept, status: told };
  };
  if (same(rest(object), rest(oldObject))) return;
  throw refuse(
    request,
    `node ${quote(node)} is not allowed to update fields other than status.quantity and status.conditions`,
  );
}

const nameOf = ({ operation, name, object }: AdmissionRequest): string =>
  operation === "CREATE" ? (object?.metadata.name ?? "") : name;

function checkLease(request: AdmissionRequest, node: string): void {
  if (request.namespace !== "kube-node-lease")
    throw refuse(request, 'can only access leases in the "kube-node-lease" system namespace');
  if (nameOf(request) !== node)
    throw refuse(request, "can only access node lease with the same name as the requesting node");
}

function checkCsiNode(request: AdmissionRequest, node: string): void {
  if (nameOf(request) !== node)
    throw refuse(request, "can only access CSINode with the same name as the requesting node");
}

/** What the authoriser can't know: what a new slice says, and each of those that are deleted together. */
function checkSlice(request: AdmissionRequest, node: string): void {
  const { operation, object, oldObject } = request;
  if (operation === "CREATE" && object.spec.nodeName !== node)
    throw refuse(request, "can only create ResourceSlice with the same NodeName as the requesting node");
  if (operation === "DELETE" && oldObject.spec.nodeName !== node)
    throw refuse(request, "can only delete ResourceSlice with the same NodeName as the requesting node");
}

function checkSigningRequest(request: AdmissionRequest, node: string, { gate }: AdmissionContext): void {
  if (request.operation !== "CREATE" || gate("AllowInsecureKubeletCertificateSigningRequests", false)) return;
  const { spec } = request.object;
  if (!["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"].includes(spec.signerName))
    return;
  let commonName: string;
  try {
    ({ commonName } = parseSigningRequest(Buffer.from(spec.request ?? "", "base64").toString()));
  } catch (error) {
    throw refuse(request, `unable to parse csr: ${(error as Error).message}`);
  }
  if (commonName !== `system:node:${node}`)
    throw refuse(request, `can only create a node CSR with CN=system:node:${node}`);
}

/** What may be the cache's being late is no refusal: the kubelet tries again. */
function checkPodCertificateRequest(
  request: AdmissionRequest,
  node: string,
  { gate, cluster }: AdmissionContext,
): void {
  const { operation, subresource, namespace, object } = request;
  if (!gate("PodCertificateRequest", false)) throw refuse(request, "PodCertificateRequest feature gate is disabled");
  if (operation !== "CREATE") throw refuse(request, `unexpected operation ${operation}`);
  if (subresource !== "") throw refuse(request, `unexpected subresource ${subresource}`);
  const { spec } = object;
  if (spec.nodeName !== node)
    throw refuse(
      request,
      `PodCertificateRequest.Spec.NodeName=${quote(spec.nodeName)}, which is not the requesting node ${quote(node)}`,
    );
  const itself = cluster.get("nodes", "", node);
  if (itself === undefined)
    throw unclassified(
      `while retrieving node ${quote(node)} named in the PodCertificateRequest: node ${quote(node)} not found`,
    );
  const podKey = quote(`${namespace}/${spec.podName}`);
  if (itself.metadata.uid !== spec.nodeUID)
    throw unclassified(
      `PodCertificateRequest for pod ${podKey} names node UID ${quote(spec.nodeUID)}, inconsistent with the running node (${quote(itself.metadata.uid)})`,
    );
  const pod = cluster.get("pods", namespace, spec.podName);
  if (pod === undefined)
    throw unclassified(
      `while retrieving pod ${podKey} named in the PodCertificateRequest: pod ${quote(spec.podName)} not found`,
    );
  if (pod.metadata.uid !== spec.podUID)
    throw unclassified(
      `PodCertificateRequest for pod ${podKey} contains pod UID (${quote(spec.podUID)}) which differs from running pod ${quote(pod.metadata.uid)}`,
    );
  if (pod.spec.nodeName !== node)
    throw refuse(request, `pod ${podKey} is not running on node ${quote(node)} named in the PodCertificateRequest`);
  if (pod.metadata.annotations?.[MIRROR] !== undefined) throw refuse(request, `pod ${podKey} is a mirror pod`);
  if (pod.spec.serviceAccountName !== spec.serviceAccountName)
    throw refuse(
      request,
      `PodCertificateRequest for pod ${podKey} contains serviceAccountName (${quote(spec.serviceAccountName)}) that differs from running pod (${quote(pod.spec.serviceAccountName)})`,
    );
  const account = cluster.get("serviceaccounts", namespace, spec.serviceAccountName);
  const accountKey = quote(`${namespace}/${spec.serviceAccountName}`);
  if (account === undefined)
    throw unclassified(
      `while retrieving service account ${accountKey} named in the PodCertificateRequest: serviceaccount ${quote(spec.serviceAccountName)} not found`,
    );
  if (account.metadata.uid !== spec.serviceAccountUID)
    throw unclassified(
      `PodCertificateRequest for pod ${podKey} names service account UID ${quote(spec.serviceAccountUID)}, which differs from the running service account (${quote(account.metadata.uid)})`,
    );
}

/**
 * What kubelets may do: access their own node, the pods bound to it, and what those pods refer to. Everything that all kubelets may do is in the
 * role `system:node`.
 * Upstream: plugin/pkg/auth/authorizer/node.
 */
import { parseFieldSelector } from "../../machinery/selector/fields.ts";
import { SelectorError } from "../../machinery/selector/labels.ts";
import type { AnyObject, ClusterView } from "../admission/framework.ts";
import { nodeOfUser } from "../authn/user.ts";
import type { Attributes, Authorizer, Decision } from "./authorizer.ts";
import { bootstrapPolicy } from "./policy.ts";
import { ruleAllows } from "./rbac.ts";

/** And pods: they aren't waited for, as kubelets hear of them from where their rights are read. */
export const READ_FOR_NODES: readonly string[] = [
  "persistentvolumeclaims",
  "persistentvolumes",
  "volumeattachments.storage.k8s.io",
  "resourceslices.resource.k8s.io",
  "podcertificaterequests.certificates.k8s.io",
];

const allow: Decision = { decision: "allow", reason: "" };
const no = (reason: string): Decision => ({ decision: "no opinion", reason });

export function nodeAuthorizer(cluster: ClusterView, featureGates?: ReadonlyMap<string, boolean>): Authorizer {
  const podCertificates = featureGates?.get("PodCertificateRequest") ?? false;
  const { clusterRoles } = bootstrapPolicy(featureGates);
  const { rules } = clusterRoles.find(({ metadata }) => metadata.name === "system:node")!;
  return {
    authorize(asked) {
      if (!asked.user.groups.includes("system:nodes")) return no("");
      const node = nodeOfUser(asked.user);
      if (node === undefined) return no(`unknown node for user ${JSON.stringify(asked.user.name)}`);
      if (asked.resourceRequest) {
        const special = decide(cluster, node, asked, podCertificates);
        if (special !== undefined) return special;
      }
      return rules!.some((rule) => ruleAllows(asked, rule)) ? allow : no("");
    },
    rulesFor: (user) =>
      nodeOfUser(user) === undefined
        ? { rules: [], incomplete: false }
        : { rules: [], incomplete: true, error: "node authorizer does not support user rule resolution" },
  };
}

/** Undefined for what the role decides. */
function decide(cluster: ClusterView, node: string, asked: Attributes, podCertificates: boolean): Decision | undefined {
  switch (`${asked.resource}.${asked.group}`) {
    case "secrets.":
      return read(
        node,
        asked,
        () => refersTo(cluster, node, asked, secretsOf) || volumesReferTo(cluster, node, asked.namespace, asked.name),
      );
    case "configmaps.":
      return read(node, asked, () => refersTo(cluster, node, asked, configMapsOf));
    case "persistentvolumeclaims.":
      if (asked.subresource === "status") {
        if (asked.verb !== "update" && asked.verb !== "patch") return no("can only get/update/patch this type");
        return related(node, refersTo(cluster, node, asked, claimsOf));
      }
      return get(node, asked, () => refersTo(cluster, node, asked, claimsOf));
    case "persistentvolumes.":
      return get(node, asked, () => volumesOf(cluster, node).includes(asked.name));
    case "resourceclaims.resource.k8s.io":
      return get(node, asked, () => refersTo(cluster, node, asked, resourceClaimsOf));
    case "volumeattachments.storage.k8s.io":
      return get(
        node,
        asked,
        () => cluster.get("volumeattachments.storage.k8s.io", "", asked.name)?.spec.nodeName === node,
      );
    case "serviceaccounts.":
      return decideServiceAccount(cluster, node, asked);
    case "leases.coordination.k8s.io":
      return decideLease(node, asked);
    case "csinodes.storage.k8s.io":
      return decideOwn(node, asked, "a CSINode", "CSINode");
    case "resourceslices.resource.k8s.io":
      return decideSlice(cluster, node, asked);
    case "podcertificaterequests.certificates.k8s.io":
      return podCertificates ? decideCertificateRequest(cluster, node, asked) : undefined;
    case "nodes.":
      return decideNode(node, asked);
    case "pods.":
      return decidePod(cluster, node, asked);
    default:
      return undefined;
  }
}

const related = (node: string, yes: boolean): Decision =>
  yes ? allow : no(`no relationship found between node '${node}' and this object`);

function get(node: string, { verb, subresource, name }: Attributes, isRelated: () => boolean): Decision {
  if (verb !== "get") return no("can only get individual resources of this type");
  if (subresource !== "") return no("cannot get subresource");
  if (name === "") return no("No Object name found");
  return related(node, isRelated());
}

function read(node: string, { verb, subresource, namespace, name }: Attributes, isRelated: () => boolean): Decision {
  if (!["get", "list", "watch"].includes(verb)) return no("can only read resources of this type");
  if (subresource !== "") return no("cannot read subresource");
  if (namespace === "") return no("can only read namespaced object of this type");
  if (name === "") return no("No Object name found");
  return related(node, isRelated());
}

function decideServiceAccount(cluster: ClusterView, node: string, asked: Attributes): Decision {
  const runs = () => podsOn(cluster, node, asked.namespace).some((pod) => pod.spec.serviceAccountName === asked.name);
  if (asked.verb === "get" && asked.subresource === "") return related(node, asked.name !== "" && runs());
  if (asked.verb !== "create" || asked.name === "") return no("can only create tokens for individual service accounts");
  if (asked.subresource !== "token") return no("can only create token subresource of serviceaccount");
  return related(node, runs());
}

const LEASE_VERBS = ["get", "create", "update", "patch", "delete"];

function decideLease(node: string, { verb, namespace, name }: Attributes): Decision {
  if (!LEASE_VERBS.includes(verb)) return no("can only get, create, update, patch, or delete a node lease");
  if (namespace !== "kube-node-lease") return no('can only access leases in the "kube-node-lease" system namespace');
  if (verb !== "create" && name !== node)
    return no("can only access node lease with the same name as the requesting node");
  return allow;
}

function decideOwn(node: string, { verb, subresource, name }: Attributes, article: string, kind: string): Decision {
  if (!LEASE_VERBS.includes(verb)) return no(`can only get, create, update, patch, or delete ${article}`);
  if (subresource !== "") return no(`cannot authorize ${kind} subresources`);
  if (verb !== "create" && name !== node)
    return no(`can only access ${kind} with the same name as the requesting node`);
  return allow;
}

function decideSlice(cluster: ClusterView, node: string, asked: Attributes): Decision {
  if (asked.subresource !== "") return no("cannot authorize ResourceSlice subresources");
  switch (asked.verb) {
    case "create":
      return allow; // Whose it is, admission looks at.
    case "get":
    case "update":
    case "patch":
    case "delete":
      return related(node, cluster.get("resourceslices.resource.k8s.io", "", asked.name)?.spec.nodeName === node);
    case "list":
    case "watch":
    case "deletecollection":
      return selects(asked.fieldSelector, "spec.nodeName", node)
        ? allow
        : no("can only list/watch/deletecollection resourceslices with nodeName field selector");
    default:
      return no(
        "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
      );
  }
}

function decideCertificateRequest(cluster: ClusterView, node: string, asked: Attributes): Decision {
  if (asked.subresource === "status")
    return no("nodes may not access the status subresource of PodCertificateRequests");
  switch (asked.verb) {
    case "create":
      return allow; // For which pod, admission looks at.
    case "get": {
      const found = cluster.get("podcertificaterequests.certificates.k8s.io", asked.namespace, asked.name);
      return related(node, found?.spec.nodeName === node);
    }
    case "list":
    case "watch":
      return selects(asked.fieldSelector, "spec.nodeName", node)
        ? allow
        : no("can only list/watch podcertificaterequests with nodeName field selector");
    default:
      return no(`nodes may not ${asked.verb} podcertificaterequests`);
  }
}

function decideNode(node: string, { verb, subresource, name }: Attributes): Decision | undefined {
  switch (verb) {
    case "create":
      return subresource === "" ? allow : undefined;
    case "get":
    case "list":
    case "watch":
      if (name === node) return allow;
      return no(`node '${node}' cannot read ${name === "" ? "all nodes" : `'${name}'`}, only its own Node object`);
    case "update":
    case "patch":
      if (subresource === "" || subresource === "status") return allow;
      return undefined;
    default:
      return undefined;
  }
}

function decidePod(cluster: ClusterView, node: string, asked: Attributes): Decision {
  const { verb, subresource, namespace, name, fieldSelector } = asked;
  const isBound = () => cluster.get("pods", namespace, name)?.spec.nodeName === node;
  switch (verb) {
    case "get": {
      if (subresource !== "") return no("");
      return name === "" ? no("No Object name found") : related(node, isBound());
    }
    case "list":
    case "watch":
      return selects(fieldSelector, "spec.nodeName", node)
        ? allow
        : name === ""
          ? no("can only list/watch pods with spec.nodeName field selector")
          : related(node, isBound());
    case "create":
      return subresource === "" || subresource === "eviction" ? allow : no("");
    case "delete":
      return subresource === "" ? allow : no("");
    case "update":
    case "patch":
      return subresource === "status" ? allow : no("");
    default:
      return no("");
  }
}

function selects(fieldSelector: string | undefined, field: string, value: string): boolean {
  if (fieldSelector === undefined || fieldSelector === "") return false;
  try {
    return parseFieldSelector(fieldSelector).exactValue(field) === value;
  } catch (error) {
    if (error instanceof SelectorError) return false;
    throw error;
  }
}

const MIRROR = "kubernetes.io/config.mirror";

/** The pods that give a node rights. Mirror pods don't: a node makes them itself, and would name what it likes. */
function podsOn(cluster: ClusterView, node: string, namespace = ""): readonly AnyObject[] {
  return cluster
    .podsOn(node)
    .filter(
      ({ metadata }) =>
        (namespace === "" || metadata.namespace === namespace) && metadata.annotations?.[MIRROR] === undefined,
    );
}

function volumesOf(cluster: ClusterView, node: string): readonly string[] {
  return podsOn(cluster, node).flatMap((pod) =>
    claimsOf(pod).flatMap(
      (claim) => cluster.get("persistentvolumeclaims", pod.metadata.namespace, claim)?.spec.volumeName ?? [],
    ),
  );
}

/** Secrets that a volume's driver needs on the node. */
function volumesReferTo(cluster: ClusterView, node: string, namespace: string, name: string): boolean {
  const isIt = (ref: AnyObject, home?: string): boolean =>
    ref !== undefined && ref.name === name && (ref.namespace ?? home) === namespace;
  return volumesOf(cluster, node).some((volume) => {
    const { spec } = cluster.get("persistentvolumes", "", volume) ?? {};
    const home: string | undefined = spec?.claimRef?.namespace;
    const { csi, azureFile } = spec ?? {};
    return (
      [csi?.nodePublishSecretRef, csi?.nodeStageSecretRef, csi?.nodeExpandSecretRef].some((ref) => isIt(ref)) ||
      (azureFile !== undefined && azureFile.secretName === name && (azureFile.secretNamespace ?? home) === namespace) ||
      ["cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"].some((kind) =>
        isIt(spec?.[kind]?.secretRef, home),
      )
    );
  });
}

function refersTo(
  cluster: ClusterView,
  node: string,
  { namespace, name }: Attributes,
  namesOf: (pod: AnyObject) => readonly string[],
): boolean {
  return podsOn(cluster, node, namespace).some((pod) => namesOf(pod).includes(name));
}

const containers = ({ spec }: AnyObject): readonly AnyObject[] => [
  ...(spec.initContainers ?? []),
  ...(spec.containers ?? []),
  ...(spec.ephemeralContainers ?? []),
];

function secretsOf(pod: AnyObject): readonly string[] {
  const names: (string | undefined)[] = (pod.spec.imagePullSecrets ?? []).map(({ name }: AnyObject) => name);
  for (const volume of pod.spec.volumes ?? []) {
    names.push(
      volume.secret?.secretName,
      volume.csi?.nodePublishSecretRef?.name,
      ...["cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"].map((kind) => volume[kind]?.secretRef?.name),
      volume.azureFile?.secretName,
      ...(volume.projected?.sources ?? []).map((source: AnyObject) => source.secret?.name),
    );
  }
  for (const { env = [], envFrom = [] } of containers(pod))
    names.push(
      ...env.map((variable: AnyObject) => variable.valueFrom?.secretKeyRef?.name),
      ...envFrom.map((source: AnyObject) => source.secretRef?.name),
    );
  return names.filter((name) => name !== undefined);
}

function configMapsOf(pod: AnyObject): readonly string[] {
  const names: (string | undefined)[] = [];
  for (const volume of pod.spec.volumes ?? [])
    names.push(
      volume.configMap?.name,
      ...(volume.projected?.sources ?? []).map((source: AnyObject) => source.configMap?.name),
    );
  for (const { env = [], envFrom = [] } of containers(pod))
    names.push(
      ...env.map((variable: AnyObject) => variable.valueFrom?.configMapKeyRef?.name),
      ...envFrom.map((source: AnyObject) => source.configMapRef?.name),
    );
  return names.filter((name) => name !== undefined);
}

function claimsOf(pod: AnyObject): readonly string[] {
  return (pod.spec.volumes ?? []).flatMap((volume: AnyObject) =>
    volume.persistentVolumeClaim !== undefined
      ? [volume.persistentVolumeClaim.claimName as string]
      : volume.ephemeral !== undefined
        ? [`${pod.metadata.name}-${volume.name}`]
        : [],
  );
}

function resourceClaimsOf(pod: AnyObject): readonly string[] {
  return [
    ...(pod.spec.resourceClaims ?? []).map((claim: AnyObject) => claim.resourceClaimName),
    ...(pod.status?.resourceClaimStatuses ?? []).map((status: AnyObject) => status.resourceClaimName),
  ].filter((name) => name !== undefined);
}

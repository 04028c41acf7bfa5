/** What pods are told of where they run: names, services, secrets for pulling, the node. */
import type { Node, Pod, Secret } from "../api/generated/core.v1.ts";
import { runtimeClasses } from "../client/resources.ts";
import { hasReason } from "../machinery/status.ts";
import { newNode, nodeStatus } from "./node/status.ts";
import { isStatic } from "./pod.ts";
import { podReference } from "./runtime/context.ts";
import { parseResolvConf } from "./runtime/dns.ts";
import type { DownwardContext } from "./runtime/downward.ts";
import type { KubeletState } from "./state.ts";

export function downwardOf(kubelet: KubeletState, podIPs: readonly string[]): DownwardContext {
  const node = kubelet.nodeManager.node;
  return { podIPs, hostIPs: kubelet.nodeManager.hostIPs, allocatable: node?.status?.allocatable ?? {} };
}

export async function dnsSettings(kubelet: KubeletState) {
  const { clusterDns, clusterDomain, resolvConf } = kubelet.settings;
  if (!kubelet.cri.usesFiles || resolvConf === "") return { clusterDns, clusterDomain, node: undefined };
  const text = Buffer.from(await kubelet.world.fs.readFile(resolvConf)).toString("utf8");
  return { clusterDns, clusterDomain, node: parseResolvConf(text) };
}

export async function runtimeHandlerOf(kubelet: KubeletState, pod: Pod): Promise<string> {
  const name = pod.spec.runtimeClassName ?? "";
  if (name === "") return "";
  try {
    return (await kubelet.client.get(runtimeClasses, { name })).handler;
  } catch (error) {
    if (hasReason(error, "NotFound")) throw new Error(`RuntimeClass "${name}" not found`, { cause: error });
    throw error;
  }
}

export function servicesOf(kubelet: KubeletState, pod: Pod) {
  if (isStatic(pod)) return kubelet.serviceInformer.synced ? kubelet.serviceInformer.list() : [];
  if (!kubelet.serviceInformer.synced)
    throw new Error("services have not yet been read at least once, cannot construct envvars");
  return [
    ...kubelet.serviceInformer.list(pod.metadata.namespace),
    ...(pod.metadata.namespace === "default" ? [] : [kubelet.serviceInformer.get("default/kubernetes")]),
  ].filter((service) => service !== undefined);
}

/** Before the API server has been heard: what the node would say of itself. */
export function initialNode(kubelet: KubeletState): Node {
  const { host, clock } = kubelet.world;
  const cpus = host.cpus();
  const memoryBytes = host.memory().totalBytes;
  const machine = { machineId: "", systemUuid: "", bootId: "", osImage: "", cpus, memoryBytes, ephemeralBytes: 0 };
  const status = nodeStatus(undefined, {
    host,
    settings: kubelet.settings,
    machine,
    runtimeVersion: "",
    runtimeStatus: undefined,
    images: [],
    health: { problems: [], pressures: new Set() },
    kubeletPort: kubelet.port ?? 0,
    nowMs: clock.now(),
  });
  return newNode(kubelet.settings, host, {
    ...status,
    allocatable: withoutKey(status.allocatable, "ephemeral-storage"),
  });
}

export async function pullSecretsOf(kubelet: KubeletState, pod: Pod): Promise<readonly Secret[]> {
  const names = (pod.spec.imagePullSecrets ?? []).map(({ name }) => name);
  if (isStatic(pod) || names.length === 0) return [];
  const found = await kubelet.references.several(pod.metadata.namespace ?? "", { configMaps: [], secrets: names });
  const missing = names.filter((name) => found.secrets.get(name) === undefined);
  if (missing.length > 0) {
    kubelet.events.event(
      podReference(pod),
      "Warning",
      "FailedToRetrieveImagePullSecret",
      `Unable to retrieve some image pull secrets (${missing.join(", ")}); attempting to pull the image may not succeed.`,
    );
  }
  return [...found.secrets.values()].filter((secret) => secret !== undefined);
}

function withoutKey<T>(map: Readonly<Record<string, T>> | undefined, key: string): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(map ?? {}).filter(([name]) => name !== key));
}

/** What the server, the statistics and the metrics see of a kubelet. */
import type { Node, Pod } from "../api/generated/core.v1.ts";
import type { Client } from "../client/client.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { World } from "../world/world.ts";
import type { Settings } from "./options.ts";
import type { RuntimePod } from "./runtime/state.ts";
import type { Runtime } from "./runtimes/runtime.ts";
import type { KubeletState } from "./state.ts";

/** What the server and the metrics may see of the kubelet. */
export interface KubeletView {
  readonly settings: Settings;
  readonly world: World;
  readonly client: Client;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly cri: Runtime;
  readonly runtimeName: string;
  readonly node: Node | undefined;
  /** Pods of the node with the status that the kubelet gives them. */
  pods(): readonly Pod[];
  podByName(namespace: string, name: string): Pod | undefined;
  runtimeOf(uid: string): RuntimePod;
  isHealthy(): boolean;
}

export function viewOf(kubelet: KubeletState): KubeletView {
  const { settings, world, client, log, metrics, cri } = kubelet;
  return {
    settings,
    world,
    client,
    log,
    metrics,
    cri,
    get runtimeName() {
      return kubelet.runtimeName;
    },
    get node() {
      return kubelet.nodeManager.node;
    },
    pods(): readonly Pod[] {
      return [...kubelet.pods.values()].map((pod) => ({
        ...pod,
        status: kubelet.status.get(pod.metadata.uid) ?? pod.status,
      }));
    },
    podByName(namespace: string, name: string): Pod | undefined {
      const uid = kubelet.uids.get(`${name}_${namespace}`);
      const pod = uid === undefined ? undefined : kubelet.pods.get(uid);
      return pod && { ...pod, status: kubelet.status.get(pod.metadata.uid) ?? pod.status };
    },
    runtimeOf(uid: string): RuntimePod {
      return kubelet.pleg.get(uid);
    },
    isHealthy(): boolean {
      return kubelet.started && !kubelet.stopping;
    },
  };
}

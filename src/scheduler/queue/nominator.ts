/**
 * Pods for which a node is being cleared. Pods of lower or equal priority must leave them that room.
 * Upstream: pkg/scheduler/backend/queue/nominator.go
 */
import type { PodInfo } from "../cache/pod-info.ts";

export class Nominator {
  readonly #byNode = new Map<string, Map<string, PodInfo>>();
  readonly #nodeOf = new Map<string, string>();

  nominate(info: PodInfo, nodeName: string): void {
    this.delete(info.pod.metadata.uid);
    if (nodeName === "") return;
    this.#nodeOf.set(info.pod.metadata.uid, nodeName);
    const pods = this.#byNode.get(nodeName);
    if (pods === undefined) this.#byNode.set(nodeName, new Map([[info.pod.metadata.uid, info]]));
    else pods.set(info.pod.metadata.uid, info);
  }

  delete(uid: string): void {
    const nodeName = this.#nodeOf.get(uid);
    if (nodeName === undefined) return;
    this.#nodeOf.delete(uid);
    const pods = this.#byNode.get(nodeName)!;
    pods.delete(uid);
    if (pods.size === 0) this.#byNode.delete(nodeName);
  }

  nodeOf(uid: string): string | undefined {
    return this.#nodeOf.get(uid);
  }

  get isEmpty(): boolean {
    return this.#byNode.size === 0;
  }

  on(nodeName: string): Iterable<PodInfo> {
    return this.#byNode.get(nodeName)?.values() ?? [];
  }
}

/**
 * What the scheduler knows about nodes and the pods on them. Events update it in place; no snapshot is needed before a cycle, since nothing changes
 * during one. A pod that was just assigned to a node counts there (it is "assumed") until the informer confirms it or the binding fails.
 * Upstream: pkg/scheduler/backend/cache
 */
import { assert } from "../../base/assert.ts";
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import { jsonEqual } from "../../machinery/patch/json-value.ts";
import { NodeColumns, NodeInfo, type Columns } from "./node-info.ts";
import { NodeOrder } from "./node-order.ts";
import { PodGroups } from "./pod-groups.ts";
import { createPodInfo, type PodInfo } from "./pod-info.ts";
import { Quantities } from "./quantities.ts";

interface Placed {
  readonly info: PodInfo;
  readonly node: NodeInfo;
  readonly assumed: boolean;
}

export class Cache {
  readonly #table = new NodeColumns();
  readonly #quantities = new Quantities();
  readonly #nodes = new Map<string, NodeInfo>();
  readonly #order = new NodeOrder();
  readonly #pods = new Map<string, Placed>();
  readonly groups = new PodGroups(() => this.#nodes.values());
  /** Which nodes have an image, by name. */
  readonly #imageNodes = new Map<string, number>();
  #assumed = 0;

  get columns(): Columns {
    return this.#table.columns;
  }
  /** Nodes that exist, zones in turn. */
  get nodes(): readonly NodeInfo[] {
    return this.#order.list();
  }
  get podCount(): number {
    return this.#pods.size;
  }
  get assumedCount(): number {
    return this.#assumed;
  }

  amount(resource: string, text: string): number {
    return this.#quantities.amount(resource, text);
  }
  podInfo(pod: Pod): PodInfo {
    return createPodInfo(pod, this.#quantities);
  }
  node(name: string): NodeInfo | undefined {
    const info = this.#nodes.get(name);
    return info?.node === undefined ? undefined : info;
  }
  nodesWithImage(name: string): number {
    return this.#imageNodes.get(name) ?? 0;
  }
  isAssumed(pod: Pod): boolean {
    return this.#pods.get(pod.metadata.uid)?.assumed === true;
  }
  isPlaced(uid: string): boolean {
    return this.#pods.has(uid);
  }

  addNode(node: Node): void {
    const info = this.#entry(node.metadata.name);
    if (info.node !== undefined) return this.updateNode(node);
    info.setNode(node, this.#quantities);
    this.#images(info, 1);
    this.#order.add(info);
    this.groups.node(info, 1);
  }

  updateNode(node: Node): void {
    const info = this.#entry(node.metadata.name);
    const old = info.node;
    if (old === undefined) return this.addNode(node);
    const sameImages = jsonEqual(old.status?.images, node.status?.images);
    const sameLabels = jsonEqual(old.metadata.labels, node.metadata.labels);
    const samePlace = sameLabels && jsonEqual(old.spec, node.spec);
    if (!samePlace) this.groups.node(info, -1);
    if (!sameImages) this.#images(info, -1);
    if (!sameLabels) this.#order.remove(info);
    info.setNode(node, this.#quantities);
    if (!sameLabels) this.#order.add(info);
    if (!sameImages) this.#images(info, 1);
    if (!samePlace) this.groups.node(info, 1);
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (info?.node === undefined) return;
    this.groups.node(info, -1);
    this.#images(info, -1);
    this.#order.remove(info);
    info.node = undefined;
    this.#dropIfUnused(info);
  }

  /** A pod that has a node: new, changed, or the confirmation of an assumed one. */
  setPod(pod: Pod): PodInfo {
    const placed = this.#pods.get(pod.metadata.uid);
    if (placed !== undefined && placed.node.name === pod.spec.nodeName && sameToPlugins(placed.info.pod, pod)) {
      placed.info.pod = pod;
      if (placed.assumed) {
        this.#pods.set(pod.metadata.uid, { ...placed, assumed: false });
        this.#assumed--;
      }
      return placed.info;
    }
    this.removePod(pod.metadata.uid);
    const info = this.podInfo(pod);
    this.#place(info, pod.spec.nodeName!, false);
    return info;
  }

  removePod(uid: string): void {
    const placed = this.#pods.get(uid);
    if (placed === undefined) return;
    this.#pods.delete(uid);
    if (placed.assumed) this.#assumed--;
    this.lift(placed.info, placed.node);
    this.#dropIfUnused(placed.node);
  }

  assume(info: PodInfo, nodeName: string): void {
    assert(!this.#pods.has(info.pod.metadata.uid), "a pod that has a node is scheduled again");
    this.#place(info, nodeName, true);
  }

  /** Takes an assumed pod back. What the informer has confirmed meanwhile stays. */
  forget(uid: string): void {
    if (this.#pods.get(uid)?.assumed === true) this.removePod(uid);
  }

  /** Puts a pod on a node for a while: the "what if" of preemption and nomination. Undo it with `lift`. */
  put(info: PodInfo, node: NodeInfo): void {
    node.pods.set(info.pod.metadata.uid, info);
    node.count(info, 1);
    this.groups.pod(info, node, 1);
  }
  lift(info: PodInfo, node: NodeInfo): void {
    node.pods.delete(info.pod.metadata.uid);
    node.count(info, -1);
    this.groups.pod(info, node, -1);
  }

  #place(info: PodInfo, nodeName: string, assumed: boolean): void {
    const node = this.#entry(nodeName);
    this.#pods.set(info.pod.metadata.uid, { info, node, assumed });
    if (assumed) this.#assumed++;
    this.put(info, node);
  }

  #entry(name: string): NodeInfo {
    let info = this.#nodes.get(name);
    if (info === undefined) this.#nodes.set(name, (info = new NodeInfo(name, this.#table)));
    return info;
  }

  #dropIfUnused(info: NodeInfo): void {
    if (info.node !== undefined || info.pods.size > 0) return;
    this.#nodes.delete(info.name);
    this.#table.release(info.row);
  }

  #images(info: NodeInfo, sign: 1 | -1): void {
    for (const name of info.images.keys()) {
      const count = this.nodesWithImage(name) + sign;
      if (count === 0) this.#imageNodes.delete(name);
      else this.#imageNodes.set(name, count);
    }
  }
}

/** Whether two states of a placed pod differ in nothing that is counted or matched. Status alone changes often. */
export function sameToPlugins(old: Pod, pod: Pod): boolean {
  if (old.metadata.deletionTimestamp !== pod.metadata.deletionTimestamp) return false;
  if (!jsonEqual(old.metadata.labels, pod.metadata.labels)) return false;
  if (held(old) || held(pod)) return false;
  if (old.spec === pod.spec) return true;
  const { nodeName: _, ...before } = old.spec;
  const { nodeName: __, ...after } = pod.spec;
  return jsonEqual(before, after);
}
/** A kubelet has said what the containers really have. */
const held = ({ status }: Pod): boolean =>
  status?.containerStatuses?.some((c) => c.resources !== undefined || c.allocatedResources !== undefined) === true;

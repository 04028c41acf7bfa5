/**
 * A node and the pods on it. The sums that every cycle reads are columns of numbers with one row per node, so that filters and scores work on packed
 * memory.
 * Upstream: pkg/scheduler/framework/types.go (NodeInfo)
 */
import type { Node, Taint } from "../../api/generated/core.v1.ts";
import type { PodGroup } from "./pod-groups.ts";
import type { HostPort, PodInfo } from "./pod-info.ts";
import type { Quantities } from "./quantities.ts";

const COLUMNS = [
  "allocatableCpu",
  "allocatableMemory",
  "allocatableEphemeralStorage",
  "allocatablePods",
  "cpu",
  "memory",
  "ephemeralStorage",
  "nonZeroCpu",
  "nonZeroMemory",
] as const;
type ColumnName = (typeof COLUMNS)[number];
export type Columns = Record<ColumnName, Float64Array>;

/** The columns of all nodes. They grow by doubling; whoever keeps one reads it anew each cycle. */
export class NodeColumns {
  columns: Columns = columnsOf(16);
  #free: number[] = [];
  #used = 0;

  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const size = this.columns.cpu.length;
    if (this.#used === size) {
      const grown = columnsOf(size * 2);
      for (const name of COLUMNS) grown[name].set(this.columns[name]);
      this.columns = grown;
    }
    return this.#used++;
  }

  release(row: number): void {
    for (const name of COLUMNS) this.columns[name][row] = 0;
    this.#free.push(row);
  }
}

function columnsOf(size: number): Columns {
  return Object.fromEntries(COLUMNS.map((name) => [name, new Float64Array(size)])) as Columns;
}

const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});
const NO_TAINTS: readonly Taint[] = [];

export class NodeInfo {
  readonly name: string;
  /** Undefined while pods are here of a node that isn't, or isn't any more. */
  node: Node | undefined;
  /** Where its numbers are. */
  readonly row: number;
  readonly #table: NodeColumns;
  /** By uid. */
  readonly pods = new Map<string, PodInfo>();
  /** How many pods of each group are here. */
  readonly groups = new Map<PodGroup, number>();
  /** Pods that have affinity terms of their own. */
  readonly podsWithAffinity = new Set<PodInfo>();
  readonly scalars = new Map<string, number>();
  allocatableScalars: ReadonlyMap<string, number> = new Map();
  labels: Readonly<Record<string, string>> = NO_LABELS;
  taints: readonly Taint[] = NO_TAINTS;
  /** Bytes of each image that is here, by normalised name. */
  images: ReadonlyMap<string, number> = new Map();
  /** `protocol/port` in use, with the addresses it is used on. */
  readonly #ports = new Map<string, string[]>();

  constructor(name: string, table: NodeColumns) {
    this.name = name;
    this.#table = table;
    this.row = table.take();
  }

  setNode(node: Node, quantities: Quantities): void {
    this.node = node;
    this.labels = node.metadata.labels ?? NO_LABELS;
    this.taints = node.spec?.taints ?? NO_TAINTS;
    const { columns } = this.#table;
    const scalars = new Map<string, number>();
    const amounts: Record<string, number> = {};
    for (const [name, text] of Object.entries(node.status?.allocatable ?? {})) {
      const amount = quantities.amount(name, text);
      amounts[name] = amount;
      if (!["cpu", "memory", "ephemeral-storage", "pods"].includes(name)) scalars.set(name, amount);
    }
    columns.allocatableCpu[this.row] = amounts["cpu"] ?? 0;
    columns.allocatableMemory[this.row] = amounts["memory"] ?? 0;
    columns.allocatableEphemeralStorage[this.row] = amounts["ephemeral-storage"] ?? 0;
    columns.allocatablePods[this.row] = amounts["pods"] ?? 0;
    this.allocatableScalars = scalars;
    this.images = new Map(
      (node.status?.images ?? []).flatMap(({ names, sizeBytes }) =>
        (names ?? []).map((name) => [name, sizeBytes ?? 0] as const),
      ),
    );
  }

  count(pod: PodInfo, sign: 1 | -1): void {
    const { columns } = this.#table;
    const { row } = this;
    const { requests } = pod;
    columns.cpu[row]! += sign * requests.cpu;
    columns.memory[row]! += sign * requests.memory;
    columns.ephemeralStorage[row]! += sign * requests.ephemeralStorage;
    columns.nonZeroCpu[row]! += sign * pod.nonZeroCpu;
    columns.nonZeroMemory[row]! += sign * pod.nonZeroMemory;
    for (const [name, amount] of requests.scalars) {
      const sum = (this.scalars.get(name) ?? 0) + sign * amount;
      if (sum === 0) this.scalars.delete(name);
      else this.scalars.set(name, sum);
    }
    for (const { protocol, port, ip } of pod.ports) {
      const key = `${protocol}/${port}`;
      const used = this.#ports.get(key) ?? [];
      if (sign === 1) used.push(ip);
      else used.splice(used.indexOf(ip), 1);
      if (used.length === 0) this.#ports.delete(key);
      else this.#ports.set(key, used);
    }
    if (pod.affinity !== undefined) {
      if (sign === 1) this.podsWithAffinity.add(pod);
      else this.podsWithAffinity.delete(pod);
    }
  }

  portsConflict(ports: readonly HostPort[]): boolean {
    return ports.some(({ protocol, port, ip }) => {
      const used = this.#ports.get(`${protocol}/${port}`);
      return used !== undefined && (ip === "0.0.0.0" || used.includes("0.0.0.0") || used.includes(ip));
    });
  }
}

/**
 * Pods by what selectors see of them. Pods made from one template have the same namespace and labels, so a selector is matched against groups,
 * not against pods, and a tally of how many matching pods each topology domain has is kept up to date by the pods that come and go.
 * This is what keeps a cycle with spreading or pod affinity from looking at all pods.
 */
import type { Labels } from "../../machinery/selector/labels.ts";
import type { NodeInfo } from "./node-info.ts";
import type { PodInfo, Term } from "./pod-info.ts";

export interface PodGroup {
  readonly key: string;
  readonly namespace: string;
  readonly labels: Labels;
  /** On their way out: affinity counts them, spreading doesn't. */
  readonly terminating: boolean;
  readonly nodes: Map<NodeInfo, number>;
  /** The tallies that count these pods. */
  readonly tallies: Set<Tally>;
}

export interface TallySpec {
  /** Equal keys, equal tallies. */
  readonly key: string;
  readonly topologyKey: string;
  counts(group: PodGroup): boolean;
  /** Nodes whose pods don't count, and that make no domain. */
  includes(node: NodeInfo): boolean;
  /** Depends on labels of namespaces: made anew when they change. */
  readonly byNamespaceLabels: boolean;
}

interface Domain {
  nodes: number;
  pods: number;
}

/** How many of the pods in question each value of a topology label has. */
export class Tally {
  readonly spec: TallySpec;
  readonly domains = new Map<string, Domain>();
  /** All pods counted in some domain. */
  total = 0;
  usedAt = 0;

  constructor(spec: TallySpec) {
    this.spec = spec;
  }

  podsIn(value: string): number {
    return this.domains.get(value)?.pods ?? 0;
  }

  /** The fewest pods that any domain has. */
  get least(): number {
    let least = Number.MAX_SAFE_INTEGER;
    for (const { pods } of this.domains.values()) if (pods < least) least = pods;
    return least;
  }

  node(node: NodeInfo, sign: 1 | -1): void {
    const value = this.#valueOf(node);
    if (value === undefined) return;
    const domain = this.#domain(value);
    domain.nodes += sign;
    for (const [group, pods] of node.groups) {
      if (!group.tallies.has(this)) continue;
      domain.pods += sign * pods;
      this.total += sign * pods;
    }
    if (domain.nodes === 0) this.domains.delete(value);
  }

  pod(node: NodeInfo, sign: 1 | -1): void {
    const value = this.#valueOf(node);
    if (value === undefined) return;
    this.#domain(value).pods += sign;
    this.total += sign;
  }

  #valueOf(node: NodeInfo): string | undefined {
    if (node.node === undefined) return undefined;
    const value = node.labels[this.spec.topologyKey];
    return value === undefined || !this.spec.includes(node) ? undefined : value;
  }

  #domain(value: string): Domain {
    let domain = this.domains.get(value);
    if (domain === undefined) this.domains.set(value, (domain = { nodes: 0, pods: 0 }));
    return domain;
  }
}

/** One affinity term of pods that are placed, and how many such pods each domain has. */
export interface PlacedTerm {
  readonly term: Term;
  readonly kind: "antiRequired" | "required" | "preferred" | "antiPreferred";
  readonly weight: number;
  readonly pods: Map<string, number>;
}

const TALLIES_MAX = 512;

export class PodGroups {
  readonly #groups = new Map<string, PodGroup>();
  readonly #tallies = new Map<string, Tally>();
  readonly #nodes: () => Iterable<NodeInfo>;
  /** Terms of placed pods by namespace they look at; under "" those that select namespaces by label. */
  readonly #placed = new Map<string, Map<string, PlacedTerm>>();
  #uses = 0;

  constructor(nodes: () => Iterable<NodeInfo>) {
    this.#nodes = nodes;
  }

  /** The tally of a spec, made from all groups when it is asked for the first time. */
  tally(spec: TallySpec): Tally {
    let tally = this.#tallies.get(spec.key);
    if (tally === undefined) {
      if (this.#tallies.size >= TALLIES_MAX) this.#forgetOldest();
      tally = new Tally(spec);
      this.#tallies.set(spec.key, tally);
      for (const group of this.#groups.values()) if (spec.counts(group)) group.tallies.add(tally);
      for (const node of this.#nodes()) tally.node(node, 1);
    }
    tally.usedAt = this.#uses++;
    return tally;
  }

  /** Terms of placed pods that may look at pods of the namespace. */
  *placedTerms(namespace: string): Iterable<PlacedTerm> {
    yield* this.#placed.get(namespace)?.values() ?? [];
    yield* this.#placed.get("")?.values() ?? [];
  }

  pod(pod: PodInfo, node: NodeInfo, sign: 1 | -1): void {
    const group = this.#groupOf(pod);
    for (const tally of group.tallies) tally.pod(node, sign);
    add(group.nodes, node, sign);
    add(node.groups, group, sign);
    if (group.nodes.size === 0) this.#groups.delete(group.key);
    if (pod.affinity !== undefined && node.node !== undefined) this.#terms(pod, node, sign);
  }

  /** Before (-1) and after (1) a node's labels, taints or existence change. */
  node(node: NodeInfo, sign: 1 | -1): void {
    for (const tally of this.#tallies.values()) tally.node(node, sign);
    if (node.node !== undefined) for (const pod of node.podsWithAffinity) this.#terms(pod, node, sign);
  }

  namespaceLabelsChanged(): void {
    for (const tally of this.#tallies.values()) if (tally.spec.byNamespaceLabels) this.#forget(tally);
  }

  #groupOf({ pod }: PodInfo): PodGroup {
    const labels = pod.metadata.labels ?? {};
    const namespace = pod.metadata.namespace ?? "";
    const terminating = pod.metadata.deletionTimestamp !== undefined;
    let key = `${namespace}\0${terminating ? 1 : 0}`;
    for (const name of Object.keys(labels).sort()) key += `\0${name}\0${labels[name]}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { key, namespace, labels, terminating, nodes: new Map(), tallies: new Set() };
      this.#groups.set(key, group);
      for (const tally of this.#tallies.values()) if (tally.spec.counts(group)) group.tallies.add(tally);
    }
    return group;
  }

  #terms(pod: PodInfo, node: NodeInfo, sign: 1 | -1): void {
    const { required, preferred, antiRequired, antiPreferred } = pod.affinity!;
    for (const term of antiRequired) this.#term(term, "antiRequired", 1, node, sign);
    for (const term of required) this.#term(term, "required", 1, node, sign);
    for (const term of preferred) this.#term(term, "preferred", term.weight, node, sign);
    for (const term of antiPreferred) this.#term(term, "antiPreferred", term.weight, node, sign);
  }

  #term(term: Term, kind: PlacedTerm["kind"], weight: number, node: NodeInfo, sign: 1 | -1): void {
    const value = node.labels[term.topologyKey];
    if (value === undefined) return;
    const key = `${kind}/${weight}/${term.key}`;
    const shelves = term.namespaceSelector === undefined ? term.namespaces : [""];
    for (const shelf of shelves) {
      let terms = this.#placed.get(shelf);
      if (terms === undefined) this.#placed.set(shelf, (terms = new Map()));
      let placed = terms.get(key);
      if (placed === undefined) terms.set(key, (placed = { term, kind, weight, pods: new Map() }));
      add(placed.pods, value, sign);
      if (placed.pods.size === 0) terms.delete(key);
    }
  }

  #forgetOldest(): void {
    let oldest: Tally | undefined;
    for (const tally of this.#tallies.values())
      if (oldest === undefined || tally.usedAt < oldest.usedAt) oldest = tally;
    if (oldest !== undefined) this.#forget(oldest);
  }

  #forget(tally: Tally): void {
    this.#tallies.delete(tally.spec.key);
    for (const group of this.#groups.values()) group.tallies.delete(tally);
  }
}

/** Counts a key up or down; what comes to nothing goes. */
function add<K>(counts: Map<K, number>, key: K, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

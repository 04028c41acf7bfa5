/**
 * One scheduling decision: which node a pod gets. It reads the cache, awaits nothing, and changes nothing but where the next search starts.
 * Upstream: pkg/scheduler/schedule_one.go (schedulePod)
 */
import { randomInt, type Random } from "../world/world.ts";
import type { Cache } from "./cache/cache.ts";
import type { NodeInfo } from "./cache/node-info.ts";
import type { PodInfo } from "./cache/pod-info.ts";
import type { FitFailure } from "./fit-error.ts";
import { unresolvable, type NodeFilter, type Verdict } from "./framework.ts";
import type { Profile } from "./profile.ts";
import type { Nominator } from "./queue/nominator.ts";

export interface Decision {
  readonly node: NodeInfo;
  /** How many nodes came into question. */
  readonly feasible: number;
}

/** Each plugin that has something to ask of nodes, with its questions. */
type Questions = readonly { readonly plugin: string; readonly filter: NodeFilter }[];

const NOWHERE: Omit<FitFailure, "total" | "rejectors"> = {
  nodes: [],
  verdicts: [],
  absent: undefined,
  refused: undefined,
};

export class Cycle {
  readonly #cache: Cache;
  readonly #profile: Profile;
  readonly #nominator: Nominator;
  readonly #random: Random;
  #start = 0;
  #totals = new Float64Array(0);
  #scores = new Float64Array(0);

  constructor(cache: Cache, profile: Profile, nominator: Nominator, random: Random) {
    this.#cache = cache;
    this.#profile = profile;
    this.#nominator = nominator;
    this.#random = random;
  }

  decide(pod: PodInfo): Decision | FitFailure {
    const all = this.#cache.nodes;
    const total = all.length;
    if (total === 0) return { ...NOWHERE, total, rejectors: new Set() };
    const questions = this.#questionsFor(pod);
    if ("refused" in questions) return { ...NOWHERE, total, ...questions };

    const nominated = this.#nominatedNode(pod, questions);
    if (nominated !== undefined) return { node: nominated, feasible: 1 };

    const rejectors = new Set<string>();
    const only = namesIn(questions);
    const candidates = only === undefined ? all : [...only.names].flatMap((name) => this.#cache.node(name) ?? []);
    const absent = only && unresolvable(`node(s) didn't satisfy plugin(s) [${only.plugins.join(" ")}]`);
    for (const plugin of only?.plugins ?? []) rejectors.add(plugin);

    const scored = this.#profile.plugins.some(({ score }) => score !== undefined);
    const wanted = scored ? howManyNodes(candidates.length, this.#profile.percentageOfNodesToScore) : 1;
    const feasible: NodeInfo[] = [];
    const nodes: NodeInfo[] = [];
    const verdicts: Verdict[] = [];
    const count = candidates.length;
    const start = count === total ? this.#start % count : 0;
    for (let i = 0; i < count && feasible.length < wanted; i++) {
      const node = candidates[start + i < count ? start + i : start + i - count]!;
      const verdict = this.#check(pod, node, questions, rejectors);
      if (verdict === undefined) feasible.push(node);
      else {
        nodes.push(node);
        verdicts.push(verdict);
      }
    }
    this.#start = (this.#start + feasible.length + nodes.length) % total;
    if (feasible.length === 0) return { total, nodes, verdicts, absent, refused: undefined, rejectors };
    if (feasible.length === 1) return { node: feasible[0]!, feasible: 1 };
    return { node: this.#best(pod, feasible), feasible: feasible.length };
  }

  /** Whether the pod could be on the node as things are: undefined, or why not. For "what if" questions, after the cache was changed. */
  verdictOn(pod: PodInfo, node: NodeInfo): Verdict | undefined {
    const questions = this.#questionsFor(pod);
    if ("refused" in questions) return questions.refused;
    return this.#check(pod, node, questions, undefined);
  }

  #questionsFor(pod: PodInfo): Questions | { readonly refused: Verdict; readonly rejectors: ReadonlySet<string> } {
    const questions: { plugin: string; filter: NodeFilter }[] = [];
    for (const { name, filter } of this.#profile.plugins) {
      const answer = filter?.(pod);
      if (answer === undefined) continue;
      if ("refused" in answer) return { refused: answer.refused, rejectors: new Set([name]) };
      questions.push({ plugin: name, filter: answer });
    }
    return questions;
  }

  #check(pod: PodInfo, node: NodeInfo, questions: Questions, rejectors: Set<string> | undefined): Verdict | undefined {
    if (!this.#nominator.isEmpty) {
      const verdict = this.#withNominated(pod, node, rejectors);
      if (verdict !== undefined) return verdict;
    }
    for (const { plugin, filter } of questions) {
      const verdict = filter.check?.(node);
      if (verdict === undefined) continue;
      rejectors?.add(plugin);
      return verdict;
    }
    return undefined;
  }

  /** The node must do with the pods that were promised room on it as well as without them. */
  #withNominated(pod: PodInfo, node: NodeInfo, rejectors: Set<string> | undefined): Verdict | undefined {
    const { uid } = pod.pod.metadata;
    const promised = [...this.#nominator.on(node.name)].filter(
      (other) =>
        other.priority >= pod.priority && other.pod.metadata.uid !== uid && !node.pods.has(other.pod.metadata.uid),
    );
    if (promised.length === 0) return undefined;
    for (const other of promised) this.#cache.put(other, node);
    try {
      const questions = this.#questionsFor(pod);
      if ("refused" in questions) return questions.refused;
      for (const { plugin, filter } of questions) {
        const verdict = filter.check?.(node);
        if (verdict === undefined) continue;
        rejectors?.add(plugin);
        return verdict;
      }
      return undefined;
    } finally {
      for (const other of promised) this.#cache.lift(other, node);
    }
  }

  #nominatedNode(pod: PodInfo, questions: Questions): NodeInfo | undefined {
    const name = pod.pod.status?.nominatedNodeName ?? this.#nominator.nodeOf(pod.pod.metadata.uid);
    const node = name === undefined || name === "" ? undefined : this.#cache.node(name);
    return node !== undefined && this.#check(pod, node, questions, undefined) === undefined ? node : undefined;
  }

  /** The node with the highest sum of weighted scores; among equals, any. */
  #best(pod: PodInfo, feasible: readonly NodeInfo[]): NodeInfo {
    const count = feasible.length;
    if (this.#totals.length < count) {
      this.#totals = new Float64Array(count * 2);
      this.#scores = new Float64Array(count * 2);
    }
    const totals = this.#totals.fill(0, 0, count);
    const scores = this.#scores;
    for (const { score, weight } of this.#profile.plugins) {
      const scorer = score?.(pod, feasible);
      if (scorer === undefined) continue;
      scorer(feasible, scores);
      for (let i = 0; i < count; i++) totals[i]! += scores[i]! * weight;
    }
    let best = 0;
    let equals = 1;
    for (let i = 1; i < count; i++) {
      if (totals[i]! > totals[best]!) {
        best = i;
        equals = 1;
      } else if (totals[i] === totals[best] && randomInt(this.#random, ++equals) === 0) best = i;
    }
    return feasible[best]!;
  }
}

/** The nodes that all restricting plugins allow. */
function namesIn(
  questions: Questions,
): { readonly names: ReadonlySet<string>; readonly plugins: readonly string[] } | undefined {
  const restricting = questions.filter(({ filter }) => filter.only !== undefined);
  if (restricting.length === 0) return undefined;
  const [first, ...rest] = restricting.map(({ filter }) => filter.only!);
  return {
    names: new Set([...first!].filter((name) => rest.every((names) => names.has(name)))),
    plugins: restricting.map(({ plugin }) => plugin).sort(),
  };
}

const NODES_MIN = 100;

/** How many feasible nodes are enough to choose from: large clusters don't look at all. */
export function howManyNodes(nodes: number, percentage: number): number {
  if (nodes < NODES_MIN) return nodes;
  const share = percentage > 0 ? percentage : Math.max(5, 50 - Math.trunc(nodes / 125));
  return Math.min(nodes, Math.max(NODES_MIN, Math.trunc((nodes * share) / 100)));
}

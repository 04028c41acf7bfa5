/** Tells kubelets, by the size of the cluster, how long they may cache secrets and config maps. Upstream: pkg/controller/ttl */
import type { Node } from "../../api/generated/core.v1.ts";
import { defineController, done } from "../../client/controller.ts";
import { nodes } from "../../client/resources.ts";

const ANNOTATION = "node.alpha.kubernetes.io/ttl";

/** Steps overlap, so that a cluster at a border doesn't rewrite all its nodes again and again. */
const STEPS: readonly { readonly from: number; readonly to: number; readonly seconds: number }[] = [
  { from: 0, to: 100, seconds: 0 },
  { from: 90, to: 500, seconds: 15 },
  { from: 450, to: 1000, seconds: 30 },
  { from: 900, to: 2000, seconds: 60 },
  { from: 1800, to: Number.POSITIVE_INFINITY, seconds: 300 },
];

/** The step for `count` nodes, coming from step `current`. Pure. */
export function stepFor(count: number, current: number): number {
  let step = current;
  while (count > STEPS[step]!.to) step++;
  while (count < STEPS[step]!.from) step--;
  return step;
}

export const ttlController = defineController({
  name: "ttl-controller",
  aliases: ["ttl"],
  workers: { default: 5 },
  triggers: [
    {
      resource: nodes,
      changed: (old: Node, node: Node) =>
        old.metadata.annotations?.[ANNOTATION] !== node.metadata.annotations?.[ANNOTATION],
      keys: ({ metadata }) => [metadata.name],
    },
  ],
  create({ informers }) {
    let step = 0;
    return {
      async reconcile(name, signal, client) {
        const all = informers.of(nodes);
        step = stepFor(all.list().length, step);
        const node = all.get(name);
        const value = String(STEPS[step]!.seconds);
        if (node === undefined || node.metadata.annotations?.[ANNOTATION] === value) return done;
        await client.patch(
          nodes,
          { name },
          "application/strategic-merge-patch+json",
          { metadata: { annotations: { [ANNOTATION]: value } } },
          { signal },
        );
        return done;
      },
    };
  },
});

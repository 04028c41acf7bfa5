/** Assigns a pod CIDR to each node. Upstream: pkg/controller/nodeipam/ipam/range_allocator.go */
import type { Node } from "../../api/generated/core.v1.ts";
import { defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { nodes } from "../../client/resources.ts";
import { RangeSet } from "./plan.ts";

export const nodeIpamController = defineController({
  name: "node-ipam-controller",
  aliases: ["nodeipam"],
  eventsAs: "cidrAllocator",
  workers: { default: 30 },
  triggers: [itself(nodes)],
  create({ informers, options, events }) {
    const clusterCidr = options["cluster-cidr"];
    const enabled = options["allocate-node-cidrs"] === true && typeof clusterCidr === "string" && clusterCidr !== "";
    const sets = enabled ? rangeSets(clusterCidr, options) : [];
    const held = new Map<string, readonly string[]>();
    let started = false;

    const cidrsOf = ({ spec }: Node) => spec.podCIDRs ?? (spec.podCIDR === undefined ? [] : [spec.podCIDR]);
    const hold = (name: string, cidrs: readonly string[]) => {
      held.set(name, cidrs);
      for (const cidr of cidrs) for (const set of sets) set.occupy(cidr);
    };
    /** All ranges that nodes have are known before the first is given away. */
    const start = () => {
      if (started) return;
      started = true;
      for (const node of informers.of(nodes).list())
        if (cidrsOf(node).length > 0) hold(node.metadata.name, cidrsOf(node));
    };

    return {
      async reconcile(name, signal, client) {
        if (!enabled) return done;
        start();
        const node = informers.of(nodes).get(name);
        if (node === undefined) {
          for (const cidr of held.get(name) ?? []) for (const set of sets) set.release(cidr);
          held.delete(name);
          return done;
        }
        if (cidrsOf(node).length > 0) {
          if (!held.has(name)) hold(name, cidrsOf(node));
          return done;
        }
        const podCIDRs = sets.map((set) => set.allocate());
        if (podCIDRs.includes(undefined)) {
          for (const cidr of podCIDRs) if (cidr !== undefined) for (const set of sets) set.release(cidr);
          events.event(node, "Normal", "CIDRNotAvailable", `Node ${name} status is now: CIDRNotAvailable`);
          throw new Error(
            "CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range",
          );
        }
        try {
          const patch = { spec: { podCIDR: podCIDRs[0], podCIDRs } };
          await client.patch(nodes, { name }, "application/strategic-merge-patch+json", patch, { signal });
          held.set(name, podCIDRs as string[]);
        } catch (error) {
          for (const cidr of podCIDRs) for (const set of sets) set.release(cidr!);
          events.event(node, "Normal", "CIDRAssignmentFailed", `Node ${name} status is now: CIDRAssignmentFailed`);
          throw error;
        }
        return done;
      },
    };
  },
});

function rangeSets(clusterCidr: string, options: Readonly<Record<string, unknown>>): readonly RangeSet[] {
  const size = (name: string, standard: number) =>
    typeof options[name] === "number" && options[name] > 0 ? options[name] : standard;
  const sets = clusterCidr.split(",").map((cidr) => {
    const six = cidr.includes(":");
    const standard = six
      ? size("node-cidr-mask-size-ipv6", 64)
      : size("node-cidr-mask-size-ipv4", size("node-cidr-mask-size", 24));
    return new RangeSet(cidr.trim(), standard);
  });
  const services = options["service-cluster-ip-range"];
  if (typeof services === "string")
    for (const cidr of services.split(",")) for (const set of sets) set.occupy(cidr.trim());
  return sets;
}

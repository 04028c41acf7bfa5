/**
 * Maintains a route to every other node's pod subnet through that node's address. Elsewhere a cloud's route controller or the agent of a network
 * provider does this. A machine that is not a node itself has routes to all nodes.
 */
import type { Component } from "../../base/component-group.ts";
import { deferred } from "../../base/deferred.ts";
import type { Node } from "../../api/generated/core.v1.ts";
import type { Informers } from "../../client/informer/informer.ts";
import { nodes } from "../../client/resources.ts";
import type { Logger } from "../../observe/log.ts";
import { pause } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { type Route, routesTo } from "./conflist.ts";
import { runs } from "./node-network.ts";

export function createNodeRoutes(
  { nodeName }: { readonly nodeName: string | undefined },
  deps: Pick<World, "host" | "clock"> & { readonly informers: Informers; readonly log: Logger },
): Component {
  const { host, clock, log } = deps;
  return {
    name: "node-routes",
    async run(signal, ready) {
      const informer = deps.informers.of<Node>(nodes);
      let wake = deferred();
      const touch = () => wake.resolve();
      signal.addEventListener("abort", touch, { once: true });
      using _subscription = informer.subscribe({ add: touch, update: touch, delete: touch });
      const routes = new Map<string, Route>();
      ready();
      while (!signal.aborted) {
        wake = deferred();
        const wanted = new Map(
          routesTo(
            informer.list().map((node) => ({
              name: node.metadata.name,
              podCidr: node.spec.podCIDR,
              internalIp: node.status.addresses?.find(({ type }) => type === "InternalIP")?.address,
            })),
            nodeName,
          ).map((route) => [`${route.to} ${route.via}`, route]),
        );
        try {
          for (const [key, { to, via }] of routes) {
            if (wanted.has(key)) continue;
            routes.delete(key);
            await host.exec("ip", ["route", "del", to, "via", via]);
          }
          for (const [key, route] of wanted) {
            if (routes.has(key)) continue;
            await runs(host, "ip", ["route", "replace", route.to, "via", route.via]);
            routes.set(key, route);
          }
        } catch (error) {
          log.error("Failed to set the routes to other nodes", error);
          await pause(clock, 1000, signal);
          continue;
        }
        await wake.promise;
      }
      for (const { to, via } of routes.values()) await host.exec("ip", ["route", "del", to, "via", via]);
    },
  };
}

/** Read access to the server's own objects for admission, authentication and authorization: from the watch caches, by reference. */
import type { AnyObject, ClusterView } from "./admission/framework.ts";
import type { Registry } from "./registry/registry.ts";
import { keyFor, prefixFor } from "./storage/keys.ts";
import { prepareViews, viewOf, storedOf } from "./storage/entry.ts";
import { recordUpdate } from "./registry/managed-fields.ts";
import type { Clock } from "../world/world.ts";
import { PodsByNode } from "./pods-by-node.ts";
import { deepFreeze } from "../base/mutable.ts";

export function clusterView(registry: Registry, clock: Pick<Clock, "now">): ClusterView {
  let podsByNode: PodsByNode | undefined;
  return {
    podsOn(node) {
      const resource = registry.named("pods");
      if (resource === undefined) return [];
      podsByNode ??= new PodsByNode(registry.storage(resource).cache);
      return [...podsByNode.on(node)].map((entry) => entry.view(resource));
    },
    get(name, namespace, object) {
      const resource = registry.named(name);
      if (resource === undefined) return undefined;
      return registry
        .storage(resource)
        .cache.get(keyFor(resource, namespace, object))
        ?.view(resource);
    },
    list(name, namespace = "") {
      const resource = registry.named(name);
      if (resource === undefined) return [];
      return registry
        .storage(resource)
        .cache.list({ prefix: prefixFor(resource, namespace) })
        .map((entry) => entry.view(resource));
    },
    async live(name, namespace, object) {
      const resource = registry.named(name);
      if (resource === undefined) return undefined;
      const { store, cache } = registry.storage(resource);
      const key = keyFor(resource, namespace, object);
      const { entry } = await store.get(key, cache.get(key));
      if (entry !== undefined) await prepareViews(resource, [entry]);
      return entry?.view(resource);
    },
    async inVersion(resource, namespace, name) {
      registry.readBySelf(resource);
      const { cache } = registry.storage(resource);
      const one = name === undefined ? undefined : cache.get(keyFor(resource, namespace, name));
      const entries =
        name === undefined ? cache.list({ prefix: prefixFor(resource, namespace) }) : one === undefined ? [] : [one];
      await prepareViews(resource, entries);
      return entries.map((entry) => entry.view(resource));
    },
    async update(name, namespace, object, change, subresource = "") {
      const resource = registry.named(name);
      if (resource === undefined) return undefined;
      const { store, cache } = registry.storage(resource);
      const key = keyFor(resource, namespace, object);
      const result = await store.update(key, cache.get(key), (current) => {
        if (current === undefined) return "same";
        const now = viewOf(resource, current.stored);
        const wanted: AnyObject = change(now);
        if (wanted === undefined) return "same";
        const context = { services: { registry, clock: clock as Clock }, fieldManager: "kube-apiserver" };
        const owned = recordUpdate(context, resource, subresource, now, wanted);
        return { put: deepFreeze(storedOf(resource, owned)) };
      });
      return result?.entry.view(resource);
    },
  };
}

/** The etcd keys of objects. */
import type { Resource } from "../../machinery/resource.ts";

export function keyFor(resource: Resource, namespace: string, name: string): string {
  return `${prefixFor(resource, namespace)}${name}`;
}

export function prefixFor(resource: Resource, namespace: string): string {
  const root = `/registry/${resource.storage.prefix}/`;
  return resource.scope === "Namespaced" && namespace !== "" ? `${root}${namespace}/` : root;
}
